"""What becomes of noise: transfer curves by enumeration, their slope at the end, and margins of a curve one knows."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch

from workings.book.ledger import verifies
from workings.checks.neuroidal_memory import oracle
from workings.neuroidal_memory import exactly, noise_margins, one_step_transfer, tail


@verifies(
    "neuroidal_memory:transfer",
    tex=r"""\begin{aligned}
    y(f) &= \frac{1}{B(N, p, k)} \\
    &\quad \times \sum_{x \geq k} T(N, p, x)\; B(x, f, k')
    \end{aligned}""",
    tolerance=1e-12,
    wrong={"for any neuron, of C or not": {"given": False}, "at the old threshold": {"now": 3}},
)
def transfer(device: torch.device, given: bool = True, now: int = 2) -> float:
    """Enumerate the edges of seven neurons, and which of these fire."""
    p, f, k = Fraction(1, 4), Fraction(4, 5), 3
    member, fires = Fraction(0), Fraction(0)
    for hits, weight in oracle.patterns(7, p):
        if sum(hits) >= k or not given:
            member += weight
            for on, chance in oracle.patterns(sum(hits), f):
                fires += weight * chance * (sum(on) >= now)
    return abs(float(one_step_transfer(0.8, 7, 0.25, k, recall=2)) - float(fires / member))


@verifies(
    "neuroidal_memory:slope",
    tex=r"y'(1) = k\,\frac{T(N, p, k)}{B(N, p, k)}",
    tolerance=1e-3,
    wrong={"without the factor k": {"factor": 1}, "for exactly k + 1": {"more": 1}},
)
def slope(device: torch.device, factor: int = 32, more: int = 0) -> float:
    """Lower the share that fires by a millionth."""
    h, N, p = 1e-6, 4222, 0.00512
    fallen = (1 - float(one_step_transfer(1 - h, N, p, 32))) / h
    printed = factor * float(exactly(N, p, 32 + more) / tail(N, p, 32))
    return abs(fallen / printed - 1)


@verifies(
    "neuroidal_memory:margins",
    tex=r"""\begin{gathered}
    y'(V_{IL}) = y'(V_{IH}) = 1, \\
    \mathrm{NM}_L = V_{IL} - y(V_{IL}), \\
    \mathrm{NM}_H = y(V_{IH}) - V_{IH}
    \end{gathered}""",
    tolerance=2e-3,
    wrong={"to the middle of the curve": {"middle": True}, "where the slope is two": {"steep": 2.0}},
    kind="definition",
)
def margins(device: torch.device, middle: bool = False, steep: float = 1.0) -> float:
    """Solve for where a logistic curve, whose slope is s y (1 - y), has slope one, by hand."""
    s = 20.0
    y = (1 - np.sqrt(1 - 4 * steep / s)) / 2  # where it becomes steep
    x = 0.5 + np.log(y / (1 - y)) / s
    expected = (0.5 if middle else x) - y
    found = noise_margins(lambda v: 1 / (1 + np.exp(-s * (v - 0.5))))
    return float(max(abs(found.low - expected), abs(found.high - expected)))
