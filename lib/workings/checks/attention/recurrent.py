"""Reading a sentence."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workings.attention import GatedUnit, TorchUnit, reverse
from workings.book.ledger import verifies
from workings.checks.attention.oracle import SOURCES, Naive, largest, model, padded


def _annotations(device: torch.device) -> tuple[Naive, Tensor, Tensor]:
    """Return a naive model, the library's annotations of two padded sentences, and the lengths."""
    ours, source = model(), padded(SOURCES, device)
    return Naive(ours), ours.to(device).encode(source).annotations, (source != 0).sum(1)


@verifies(
    "attention:recurrence",
    tex=r"h_t = f(x_t, h_{t-1}), \qquad h_0 = 0",
    tolerance=1e-12,
    wrong={"from a state of ones": {"start": 1.0}, "with the word before": {"late": True}},
)
def recurrence(device: torch.device, start: float = 0.0, late: bool = False) -> float:
    """Compare the forward half of the annotations with NumPy, word by word."""
    naive, ours, _ = _annotations(device)
    n = ours.shape[-1] // 2
    return max(
        largest(
            ours[b, : len(s), :n],
            np.array(naive.read("encoder.forwards.unit", naive.vectors(s), start=start, late=late)),
        )
        for b, s in enumerate(SOURCES)
    )


@verifies(
    "attention:unit",
    tex=r"""\begin{aligned}
    r &= \sigma(W_r x + U_r h), \\
    z &= \sigma(W_z x + U_z h), \\
    \tilde h &= \tanh\bigl(W x + U (r \circ h)\bigr), \\
    f(x, h) &= (1 - z) \circ h + z \circ \tilde h
    \end{aligned}""",
    tolerance=1e-12,
    wrong={
        "reset after the product": {"after": True},
        "with the update the other way round": {"keeps": True},
        "with the gates exchanged": {"exchanged": True},
    },
)
def unit(device: torch.device, after: bool = False, keeps: bool = False, exchanged: bool = False) -> float:
    """Compare one step of the library's unit with NumPy."""
    ours = model()
    naive = Naive(ours)
    rng = np.random.default_rng(0)
    x, h = rng.normal(size=4), rng.normal(size=5)
    cell = ours.get_submodule("encoder.forwards.unit").to(device)
    found = cell(torch.tensor(x, device=device), torch.tensor(h, device=device))
    return largest(found, naive.unit("encoder.forwards.unit", x, h, None, after, keeps, exchanged))


@verifies(
    "attention:torch-unit",
    tex=r"""\begin{aligned}
    \tilde h &= \tanh\bigl(W x + r \circ (U h + b)\bigr), \\
    f(x, h) &= (1 - z) \circ \tilde h + z \circ h
    \end{aligned}""",
    tolerance=1e-12,
    wrong={"with the paper's unit": {"paper": True}},
)
def torch_unit(device: torch.device, paper: bool = False) -> float:
    """Compare `TorchUnit` with ``torch.nn.GRUCell`` with the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        cell, ours = torch.nn.GRUCell(4, 5).double(), TorchUnit(4, 5).double()
        x, h = torch.randn(3, 4).double(), torch.randn(3, 5).double()
    with torch.no_grad():
        for linear, name in ((ours.of_input, "ih"), (ours.of_state, "hh")):
            linear.weight.copy_(getattr(cell, f"weight_{name}"))
            linear.bias.copy_(getattr(cell, f"bias_{name}"))
        unit: torch.nn.Module = ours
        if paper:
            unit = GatedUnit(4, 5).double()
            unit.of_input.weight.copy_(cell.weight_ih)
            unit.of_input.bias.copy_(cell.bias_ih + cell.bias_hh)
            unit.of_state.weight.copy_(cell.weight_hh[:10])
            unit.of_reset.weight.copy_(cell.weight_hh[10:])
        return largest(unit.to(device)(x.to(device), h.to(device)), cell(x, h).numpy())


@verifies(
    "attention:backward",
    tex=r"\overleftarrow h_t = f(x_t, \overleftarrow h_{t+1}), \qquad \overleftarrow h_{T_x + 1} = 0",
    tolerance=1e-12,
    wrong={"as printed in the post": {"printed": True}},
)
def backward(device: torch.device, printed: bool = False) -> float:
    """Compare the backward half of the annotations with NumPy, word by word from each sentence's own end."""
    naive, ours, _ = _annotations(device)
    n = ours.shape[-1] // 2
    return max(
        largest(ours[b, : len(s), n:], np.array(naive.backward(naive.vectors(s), printed)))
        for b, s in enumerate(SOURCES)
    )


@verifies(
    "attention:reversal",
    tex=r"\overleftarrow{\mathrm{RNN}}(x_1, \dots, x_{T_x}) = \mathrm{rev}\,\mathrm{RNN}(x_{T_x}, \dots, x_1)",
    tolerance=1e-12,
    wrong={"as printed in the post": {"printed": True}, "padding turned round as well": {"padding": True}},
)
def reversal(device: torch.device, printed: bool = False, padding: bool = False) -> float:
    """Compare what the library computes by turning sentences round with states computed from the end, one by one."""
    ours = model()
    naive, source = Naive(ours), padded(SOURCES, device)
    ours = ours.to(device)
    lengths = (source != 0).sum(1)
    if padding:
        lengths = torch.full_like(lengths, source.shape[1])
    cell = ours.get_submodule("encoder.backwards")
    turned = reverse(cell(reverse(ours.source(source), lengths))[0], lengths)
    return max(
        largest(turned[b, : len(s)], np.array(naive.backward(naive.vectors(s), printed))) for b, s in enumerate(SOURCES)
    )


@verifies(
    "attention:annotation",
    tex=r"h_j = \bigl[\overrightarrow h_j^\top,\ \overleftarrow h_j^\top\bigr]^\top \in \mathbb{R}^{2n}",
    tolerance=1e-12,
    wrong={"the backward state first": {"first": "backward"}, "one state twice": {"first": "both"}},
    kind="definition",
)
def annotation(device: torch.device, first: str = "forward") -> float:
    """Compare both halves at once; where padding is they are zero."""
    naive, ours, _ = _annotations(device)
    n, gap = ours.shape[-1] // 2, 0.0
    for b, s in enumerate(SOURCES):
        h = naive.annotations(s)
        halves = {"forward": h, "backward": np.roll(h, n, 1), "both": np.concatenate((h[:, :n], h[:, :n]), 1)}
        true = np.zeros(ours.shape[1:])
        true[: len(s)] = halves[first]
        gap = max(gap, largest(ours[b], true))
    return gap
