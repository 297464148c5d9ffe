"""How large items are: binomial laws against sums of fractions, patterns enumerated, and the size that stays."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from scipy import stats

from workings.book.ledger import verifies
from workings.checks.neuroidal_memory import oracle
from workings.neuroidal_memory import elasticity, link_yield, one_step_size, replicating_size, tail, two_step_size

P = Fraction(1, 4)


@verifies(
    "neuroidal_memory:tail",
    tex=r"""\begin{aligned}
    T(N, p, j) &= \binom{N}{j} p^j (1 - p)^{N - j}, \\
    B(N, p, k) &= \sum_{j \geq k} T(N, p, j)
    \end{aligned}""",
    tolerance=1e-13,
    wrong={"with more than k": {"more": 1}, "of exactly k": {"one": True}},
    kind="definition",
)
def tails(device: torch.device, more: int = 0, one: bool = False) -> float:
    """Sum fractions."""
    exact = oracle.exactly(30, P, 9) if one else oracle.tail(30, P, 9 + more)
    return abs(float(tail(30, 0.25, 9)) - float(exact))


@verifies(
    "neuroidal_memory:one-step",
    tex=r"\mathbb{E}|C| = n\,B\Bigl(2r - \frac{r^2}{n},\ p,\ k_m\Bigr)",
    tolerance=1e-12,
    wrong={"as if items were disjoint": {"common": 0}, "with more than k": {"more": 1}},
)
def one_step(device: torch.device, common: int = 1, more: int = 0) -> float:
    """Enumerate the edges from two items of four, one of sixteen neurons in common, into a neuron."""
    chance = sum(weight for hits, weight in oracle.patterns(8 - common, P) if sum(hits) >= 3 + more)
    return abs(float(one_step_size(4, 16, 0.25, 3)) - float(16 * chance))


@verifies(
    "neuroidal_memory:two-step",
    tex=r"""\begin{aligned}
    \mathbb{E}|C| &= n \sum_i T(r', p, i) \\
    &\qquad \times B(r - r', p, k - i)^2, \\
    r' &= r^2 / n
    \end{aligned}""",
    tolerance=1e-12,
    wrong={"as if items were disjoint": {"common": 0}, "with 2k from both together": {"together": True}},
)
def two_step(device: torch.device, common: int = 1, together: bool = False) -> float:
    """Enumerate the edges into a neuron: the first ones come from A alone, the last from B alone."""
    chance, own = Fraction(0), 4 - common
    for hits, weight in oracle.patterns(8 - common, P):
        a, b = sum(hits[: own + common]), sum(hits[own:])
        chance += weight * (a + b >= 4 if together else min(a, b) >= 2)
    return abs(float(two_step_size(4, 16, 0.25, 2)) - float(16 * chance))


@verifies(
    "neuroidal_memory:fixed-point",
    tex=r"\mathbb{E}|C|\,(r) = r",
    tolerance=2e-3,
    wrong={"with more than k": {"more": 1}, "with d edges over n - 1 pairs doubled": {"twice": 2}},
)
def fixed_point(device: torch.device, more: int = 0, twice: int = 1) -> float:
    """Put Valiant's size into SciPy's binomial law, between whole numbers of neurons."""
    r = replicating_size(lambda s: one_step_size(s, 1e5, 0.00512, 32), 1e5)
    N = 2 * r - r * r / 1e5
    low, high = (float(stats.binom.sf(31 + more, np.floor(N) + i, 0.00512 * twice)) for i in (0, 1))
    return abs(1e5 * (low + (N % 1) * (high - low)) / r - 1)


@verifies(
    "neuroidal_memory:elasticity",
    tex=r"\eta = \frac{\mathrm{d} \log \mathbb{E}|C|}{\mathrm{d} \log r}",
    tolerance=1e-3,
    wrong={"without the logarithms": {"logarithms": False}},
    kind="definition",
)
def grows(device: torch.device, logarithms: bool = True) -> float:
    """Items larger by a thousandth: how much larger is what JOIN makes of them? By differences of both signs."""

    def size(r: float) -> float:
        return float(one_step_size(r, 1e5, 0.00512, 32))

    up, down = size(2000 * 1.001), size(2000 / 1.001)
    change = np.log(up / down) / np.log(1.001**2) if logarithms else (up - down) / (2000 * (1.001 - 1 / 1.001))
    return abs(elasticity(size, 2000) - float(change)) / 10


@verifies(
    "neuroidal_memory:link",
    tex=r"Y = B\bigl(n,\ p\,B(r, p, k_a),\ k_a\bigr)",
    tolerance=1e-12,
    wrong={"with one step for both": {"one": True}, "over relays that need not be raised": {"needed": 0}},
)
def linked(device: torch.device, one: bool = False, needed: int = 2) -> float:
    """Any of nine neurons is a relay that reaches v, or is not: sum over how many are."""
    relay = oracle.tail(6, P, needed)
    chance = relay if one else oracle.tail(9, P * relay, 2)
    return abs(float(link_yield(6, 9, 0.25, 2)) - float(chance))
