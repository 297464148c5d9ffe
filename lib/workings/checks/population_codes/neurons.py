"""What is learned, what integrates and fires, and what is counted in a recording."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import integrate, special

from workings.book.ledger import verifies
from workings.checks.population_codes.oracle import GRID, drawn, largest, rates, tensor
from workings.population_codes import (
    Layer,
    LearnedKernel,
    bin_spikes,
    fano_factor,
    learn_kernel,
    reconstruct,
    surrogate,
)


@verifies(
    "population_codes:learning",
    tex=r"""L = -\frac{1}{n} \sum_{k=1}^n \log
    \frac{e^{h(s_k)^\top r_k + b(s_k)}}{\sum_s e^{h(s)^\top r_k + b(s)}}""",
    tolerance=1e-12,
    wrong={"without the sum over stimuli": {"normalised": False}, "without b": {"offset": 0.0}},
    kind="definition",
)
def learning(device: torch.device, normalised: bool = True, offset: float = 1.0) -> float:
    """Compute the loss of random weights from the formula by SciPy; it is where the library begins, and goes down."""
    rng = np.random.default_rng(0)
    index = rng.integers(0, 13, 400)
    r = rng.poisson(2.0 * rates(GRID[index], np.array([-9.0, 0.0, 9.0]), 5.0)).astype(float)
    model, w, b = LearnedKernel(3, tensor(GRID, device), 5), rng.normal(size=(5, 3)), rng.normal(size=5)
    with torch.no_grad():
        model.weights.copy_(tensor(w, device))
        model.offset.copy_(tensor(b, device))
    bumps = np.exp(-(((GRID[:, None] - np.arange(-30.0, 31.0, 15.0)) / 15.0) ** 2) / 2)  # (13, 5)
    score = r @ (bumps @ w).T + offset * (bumps @ b)
    total = special.logsumexp(score, axis=1) if normalised else score.max(1)
    losses = learn_kernel(model, tensor(r, device), torch.tensor(index, device=device), 20)
    return largest(losses[0] - float((total - score[np.arange(400), index]).mean()), max(0.0, losses[-1] - losses[0]))


@verifies(
    "population_codes:integrate",
    tex=r"""\begin{aligned}
    v &\leftarrow e^{-\delta/\tau}\,v + (1 - e^{-\delta/\tau})\,I, \\
    v &\geq 1\colon \text{ a spike, and } v \leftarrow 0
    \end{aligned}""",
    tolerance=0.01,
    wrong={"without the leak": {"leak": False}, "with the current not divided by τ": {"scaled": False}},
)
def integrated(device: torch.device, leak: bool = True, scaled: bool = True) -> float:
    """Solve τ v' = I - v by SciPy up to the threshold: the time of the first spike, as a share of τ."""
    tau, current, step = 20.0, 1.6, 0.05
    crossing = lambda _, v: v[0] - 1  # noqa: E731
    crossing.terminal = True  # type: ignore[attr-defined]
    solved = integrate.solve_ivp(lambda _, v: (current - v) / tau, (0, 200), [0.0], events=crossing, rtol=1e-10)
    true = float(solved.t_events[0][0])
    kept, share = math.exp(-step / tau), 1 - math.exp(-step / tau)
    v, t = 0.0, 0
    while v < 1 and t < 10_000:
        v, t = (kept if leak else 1.0) * v + (share if scaled else step) * current, t + 1
    layer = Layer(torch.zeros(1, 1, dtype=torch.float64, device=device), current, tau, refractory=0.0, step=step)
    silence = torch.zeros(round(true / step) + 3, 1, dtype=torch.float64, device=device)
    fired = [layer.run(part, torch.zeros_like(part[0])).item() for part in (silence[:-6], silence)]
    return largest((t * step - true) / tau, abs(fired[0]) + abs(fired[1] - 1))


@verifies(
    "population_codes:fano-factor",
    tex=r"F = \frac{\operatorname{Var}(n)}{\mathbb{E}[n]}",
    tolerance=1e-9,
    wrong={"with the standard deviation": {"power": 0.5}, "over the square of the mean": {"mean": 2}},
    kind="definition",
)
def fano_factors(device: torch.device, power: float = 1.0, mean: int = 1) -> float:
    """Give the library each binomial count as often as it is likely: the Fano factor is 1 - p."""
    likely = [1, 8, 28, 56, 70, 56, 28, 8, 1]  # of 0 to 8, p = 1/2
    n = np.repeat(np.arange(9.0), likely)
    printed = (n.var() ** power) / n.mean() ** mean
    ours = fano_factor(tensor(n, device)).item() * (len(n) - 1) / len(n)
    return largest(printed - 0.5, ours - 0.5)


@verifies(
    "population_codes:hazard",
    tex=r"\lambda = \frac{r}{1 - r\,\tau_r}",
    tolerance=0.02,
    wrong={"as if nothing rested": {"rest": 0.0}, "with the sign flipped": {"rest": -0.005}},
)
def hazard(device: torch.device, rest: float = 0.005) -> float:
    """Invert the mean interval, which is the rest plus one over the hazard; then count what is drawn."""
    rate = 90.0
    mean = 0.005 + 1 / (rate / (1 - rate * rest))
    level = torch.full((2000,), rate, dtype=torch.float64, device=device)
    drawn = surrogate(level, 1e-3, 0.005, 200, torch.Generator().manual_seed(0))
    counted = bin_spikes(drawn, 2.0, 2.0).mean().item()
    return largest(mean * rate - 1, counted / 180 - 1)


@verifies(
    "population_codes:reconstruct",
    tex=r"\hat s_t = w_0 + \sum_{k=-L}^{L} w_k\,n_{t+k}",
    tolerance=1e-6,
    wrong={"with past and future exchanged": {"flipped": True}, "without the constant": {"constant": 0.0}},
)
def reconstructed(device: torch.device, flipped: bool = False, constant: float = 4.0) -> float:
    """Make a stimulus from counts by known weights, in a loop; the filters must give it back."""
    n, w = drawn(0, 1.0, cells=np.linspace(-8, 8, 600)), np.array([0.5, -1.0, 2.0, 0.0, 0.3])
    taps = w[::-1] if flipped else w
    silent = np.concatenate(([0.0, 0.0], n, [0.0, 0.0]))
    printed = np.array([constant + sum(taps[k + 2] * silent[t + k + 2] for k in range(-2, 3)) for t in range(600)])
    true = np.array([4.0 + sum(w[k + 2] * silent[t + k + 2] for k in range(-2, 3)) for t in range(600)])
    ours = reconstruct(tensor(n, device), tensor(true, device), 2, 4, ridge=1e-9).cpu().numpy()
    return largest(ours - printed)
