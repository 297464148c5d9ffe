"""Writing a sentence, and what it is worth."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import torch
from torch import Tensor

from workings.attention import EOS, Translator, beam_search, bleu, nll
from workings.book.ledger import verifies
from workings.checks.attention.oracle import SOURCES, TARGETS, Naive, largest, model, padded


def _log_probabilities(ours: Translator, device: torch.device) -> Tensor:
    """Return the library's log p of each word of the targets, (B, T)."""
    target = padded(TARGETS, device)
    logits, _ = ours(padded(SOURCES, device), target)
    found: Tensor = torch.log_softmax(logits, -1).gather(-1, target[..., None])[..., 0]
    return found.detach()


@verifies(
    "attention:decoder",
    tex=r"""\begin{aligned}
    s_i &= f(s_{i-1}, y_{i-1}, c_i), \\
    s_0 &= \tanh\bigl(W_s \overleftarrow h_1\bigr)
    \end{aligned}""",
    tolerance=1e-12,
    wrong={"from a state of zeros": {"start": False}, "with the context of the word before": {"early": True}},
)
def decoder(device: torch.device, start: bool = True, early: bool = False) -> float:
    """Compare the library's states, taken one step at a time, with those of NumPy."""
    ours = model()
    naive = Naive(ours)
    ours = ours.to(device)
    memory, target = ours.encode(padded(SOURCES, device)), padded(TARGETS, device)
    s, words, gap = memory.start[:, None], torch.zeros(len(target), 1, dtype=torch.long, device=device), 0.0
    true = [naive.decode(*pair, start=start, early=early)["states"] for pair in zip(SOURCES, TARGETS, strict=True)]
    for i in range(target.shape[1]):
        gap = max(gap, *(largest(s[b, 0], states[i]) for b, states in enumerate(true) if i < len(states)))
        _, s, _ = ours.step(words, s, memory)
        words = target[:, i : i + 1]
    return gap


@verifies(
    "attention:readout",
    tex=r"""\begin{aligned}
    \tilde t_i &= U_o s_{i-1} + V_o E y_{i-1} + C_o c_i, \\
    t_{i,k} &= \max\bigl(\tilde t_{i,2k-1},\, \tilde t_{i,2k}\bigr), \\
    p(y_i \mid y_{<i}, x) &\propto \exp\bigl(y_i^\top W_o t_i\bigr)
    \end{aligned}""",
    tolerance=1e-12,
    wrong={
        "the sum of each pair": {"how": "sum"}, "the larger of both halves": {"how": "halves"},
        "with the state s_i": {"shift": 1},
    },
)  # fmt: skip
def readout(device: torch.device, how: str = "pairs", shift: int = 0) -> float:
    """Compare log-probabilities of two translations, word by word."""
    ours = model()
    naive, gap = Naive(ours), 0.0
    found = _log_probabilities(ours.to(device), device)
    for b, (sentence, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        run = naive.decode(sentence, target)
        for i, (before, word) in enumerate(zip([0, *target[:-1]], target, strict=True)):
            y = naive.w["target.weight"][before]
            logits = naive.readout(run["states"][i + shift], y, run["contexts"][i], how)
            gap = max(gap, abs(float(found[b, i]) - (logits[word] - math.log(np.exp(logits).sum()))))
    return gap


@verifies(
    "attention:likelihood",
    tex=r"\log p(y \mid x) = \sum_{i=1}^{T_y} \log p\bigl(y_i \mid y_1, \dots, y_{i-1}, x\bigr)",
    tolerance=1e-12,
    wrong={"without the end of the sentence": {"end": False}, "with padding counted": {"padding": True}},
)
def likelihood(device: torch.device, end: bool = True, padding: bool = False) -> float:
    """Compare the loss of a padded batch times its words with sums of NumPy's log-probabilities."""
    ours = model()
    naive = Naive(ours)
    target = padded(TARGETS, device)
    logits, _ = ours.to(device)(padded(SOURCES, device), target)
    words = target.numel() if padding else sum(map(len, TARGETS))
    each = [naive.decode(*pair)["logp"] for pair in zip(SOURCES, TARGETS, strict=True)]
    return abs(nll(logits, target).item() * words + sum(float(p[: None if end else -1].sum()) for p in each))


@verifies(
    "attention:normalized",
    tex=r"\frac{1}{T_y} \log p(y \mid x)",
    tolerance=1e-10,
    wrong={"the end not counted as a word": {"end": 0}, "not divided": {"divided": False}},
    kind="definition",
)
def normalized(device: torch.device, end: int = 1, divided: bool = True) -> float:
    """Compare the score for each word of what a search found with NumPy's log-probabilities of the same words."""
    ours = model()
    with torch.no_grad():
        ours.words.bias[EOS] += 1  # sentences that end
    naive, gap = Naive(ours), 0.0
    for sentence, found in zip(SOURCES, beam_search(ours.to(device), padded(SOURCES, device), 4), strict=True):
        for hypothesis in (h for h in found if h.ended and h.words):
            logp = naive.decode(sentence, [*hypothesis.words, EOS])["logp"].sum()
            gap = max(gap, abs(hypothesis.mean - logp / ((len(hypothesis.words) + end) if divided else 1)))
    return gap


@verifies(
    "attention:bleu",
    tex=r"\mathrm{BLEU} = 100\,\min\bigl(1, e^{1 - r/c}\bigr)\,\Bigl(\prod_{n=1}^{4} p_n\Bigr)^{1/4}",
    tolerance=1e-5,
    wrong={"translation and reference exchanged": {"exchanged": True}, "without the brevity factor": {"brief": False}},
)
def bleu_by_hand(device: torch.device, exchanged: bool = False, brief: bool = True) -> float:
    """Count the runs of one to four words of two sentences that the reference has too."""
    found = [line.split() for line in ("the cat sat on the mat", "a dog saw the small cat run")]
    truth = [line.split() for line in ("the cat sat down on the mat", "the dog saw the small cat run away")]
    ours = bleu(found, truth)[0]
    if exchanged:
        found, truth = truth, found
    shares = []
    for n in range(1, 5):
        runs = [[Counter(tuple(s[k : k + n]) for k in range(len(s) - n + 1)) for s in text] for text in (found, truth)]
        right = sum((a & b).total() for a, b in zip(*runs, strict=True))
        shares.append(right / sum(a.total() for a in runs[0]))
    c, r = (sum(map(len, text)) for text in (found, truth))
    short = min(1.0, math.exp(1 - r / c)) if brief else 1.0
    true: float = 100 * short * math.prod(shares) ** 0.25
    return abs(ours - true)
