"""Where to look."""

from __future__ import annotations

import numpy as np
import torch

from workings.book.ledger import verifies
from workings.checks.attention.oracle import SOURCES, TARGETS, Naive, largest, model, padded


@verifies(
    "attention:fixed-context",
    tex=r"c = q(h_1, \dots, h_{T_x}) = h_{T_x}",
    tolerance=1e-12,
    wrong={"at the end of the padding": {"which": "padding"}, "the mean of the states": {"which": "mean"}},
    kind="definition",
)
def fixed_context(device: torch.device, which: str = "last") -> float:
    """Compare the context that the decoder of a padded batch sees, and s_0 made of it."""
    ours = model("fixed")
    naive = Naive(ours)
    memory = ours.to(device).encode(padded(SOURCES, device))
    gap = 0.0
    for b, sentence in enumerate(SOURCES):
        rest = [0] * (max(map(len, SOURCES)) - len(sentence)) if which == "padding" else []
        states = naive.read("encoder.forwards.unit", naive.vectors(sentence + rest))
        c = np.mean(states, 0) if which == "mean" else states[-1]
        s0 = np.tanh(naive.w["start.weight"] @ c)
        gap = max(gap, largest(memory.annotations[b, 0], c), largest(memory.start[b], s0))
    return gap


@verifies(
    "attention:energy",
    tex=r"e_{ij} = v_a^\top \tanh\bigl(W_a s_{i-1} + U_a h_j\bigr)",
    tolerance=1e-12,
    wrong={"without the tanh": {"bent": False}, "with the state s_i": {"shift": 1}},
)
def energy(device: torch.device, bent: bool = True, shift: int = 0) -> float:
    """Compare logarithms of the library's weights: they are these energies, up to a constant for each i."""
    ours = model()
    naive = Naive(ours)
    _, weights = ours.to(device)(padded(SOURCES, device), padded(TARGETS, device))
    gap = 0.0
    for b, (sentence, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        states, h = naive.decode(sentence, target)["states"], naive.annotations(sentence)
        for i in range(len(target)):
            e = naive.energies(states[i + shift], h, bent)
            log = weights[b, i, : len(sentence)].log().detach().cpu().numpy()
            gap = max(gap, float(np.abs((e - e.mean()) - (log - log.mean())).max()))
    return gap


@verifies(
    "attention:weights",
    tex=r"\alpha_{ij} = \frac{\exp(e_{ij})}{\sum_{k=1}^{T_x} \exp(e_{ik})}",
    tolerance=1e-12,
    wrong={"summed over i": {"over": "i"}, "with padding in the sum": {"over": "padded"}},
)
def weights(device: torch.device, over: str = "j") -> float:
    """Compare the library's weights, of sentences of different lengths, from energies one by one."""
    ours = model()
    naive = Naive(ours)
    source = padded(SOURCES, device)
    _, found = ours.to(device)(source, padded(TARGETS, device))
    gap = 0.0
    for b, (sentence, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        e = naive.decode(sentence, target)["energies"]
        total = np.exp(e).sum(0 if over == "i" else 1, keepdims=True)
        if over == "padded":
            total = total + (source.shape[1] - len(sentence))  # energies of nothing are zero
        true = np.zeros((len(target), source.shape[1]))
        true[:, : len(sentence)] = np.exp(e) / total
        gap = max(gap, largest(found[b, : len(target)], true))
    return gap


@verifies(
    "attention:context",
    tex=r"c_i = \sum_{j=1}^{T_x} \alpha_{ij}\,h_j",
    tolerance=1e-12,
    wrong={"all words alike": {"alike": True}, "of the likeliest word alone": {"hard": True}},
)
def context(device: torch.device, alike: bool = False, hard: bool = False) -> float:
    """Compare the library's context for a state drawn at random with one summed word by word."""
    ours = model()
    naive = Naive(ours)
    memory = ours.to(device).encode(padded(SOURCES, device))
    rng = np.random.default_rng(1)
    s = rng.normal(size=(len(SOURCES), 5))
    queries = ours.get_submodule("attention.of_state")(torch.tensor(s, device=device))[:, None]
    found, _ = ours.get_submodule("attention")(queries, memory)
    gap = 0.0
    for b, sentence in enumerate(SOURCES):
        h = naive.annotations(sentence)
        alpha = np.exp(naive.energies(s[b], h))
        alpha = np.ones(len(h)) if alike else alpha == alpha.max() if hard else alpha
        gap = max(gap, largest(found[b, 0], sum(a * one for a, one in zip(alpha / alpha.sum(), h, strict=True))))
    return gap


@verifies(
    "attention:uniform",
    tex=r"v_a = 0 \quad\Longrightarrow\quad \alpha_{ij} = \frac{1}{T_x}",
    tolerance=1e-12,
    wrong={"from torch's own initialization": {"init": "default"}},
)
def uniform(device: torch.device, init: str = "paper") -> float:
    """Compare the first weights from the paper's initialization, of sentences of two lengths."""
    source, target = padded(SOURCES, device), padded(TARGETS, device)
    _, found = model(init=init).to(device)(source, target)
    true = (source != 0).double() / (source != 0).sum(1, keepdim=True)
    return largest(found, true[:, None].expand_as(found).cpu().numpy())
