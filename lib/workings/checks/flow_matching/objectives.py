"""The two losses, and the couplings that make the conditional one easier."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import torch
from scipy.stats import norm
from torch import Tensor

from workings.book.ledger import verifies
from workings.checks.flow_matching.oracle import (
    ALL,
    OT,
    POINTS,
    WEIGHTS,
    conditional_velocity,
    density,
    gap,
    marginal,
    tensor,
)
from workings.flow_matching import ConditionalOT, conditional_loss, marginal_loss, optimal_pairing, straightness

TIMES = (np.arange(24) + 0.5) / 24  # midpoints: the mean over them stands for the integral over t
LEVELS = (np.arange(4000) + 0.5) / 4000


def field(t: Tensor, x: Tensor) -> Tensor:
    """Return v = tanh(x) + t, a velocity field that is to be judged."""
    return torch.tanh(x) + t.reshape(t.shape + (1,) * (x.dim() - t.dim()))


GRID = np.linspace(-8, 8, 24_001)


@verifies(
    "flow_matching:marginal-loss",
    tex=r"L_{\text{FM}}(\theta) = \mathbb{E}_{t,\;x\,\sim\,p_t}\,\bigl\|v_t(x, \theta) - u_t(x)\bigr\|^2",
    tolerance=2e-3,
    wrong={"with points drawn from the noise instead of p_t": {"noise": True}},
    kind="definition",
)
def loss_on_the_marginal(device: torch.device, noise: bool = False) -> float:
    """Compare the library's mean over quantiles of p_t with quadratures; the field on the line is −∂F/∂t / p."""
    both, ours, true = marginal(OT, device), [], []
    for t in TIMES[::6]:
        p = density(OT, t, GRID)
        cumulative = np.cumsum(p) * (GRID[1] - GRID[0])
        x = norm.ppf(LEVELS) if noise else np.interp(LEVELS, cumulative, GRID + (GRID[1] - GRID[0]) / 2)
        times = torch.full((len(x),), float(t), dtype=torch.float64, device=device)
        ours.append(float(marginal_loss(field, both, times, tensor(x[:, None], device))))
        each = [w * norm.pdf(GRID, t * x1, 1 - 0.9 * t) for w, x1 in zip(WEIGHTS, POINTS, strict=True)]
        u = sum(e * conditional_velocity(OT, t, GRID, x1) for e, x1 in zip(each, POINTS, strict=True)) / p
        true.append(np.trapezoid(p * (np.tanh(GRID) + t - u) ** 2, GRID))
    return abs(float(np.mean(ours) - np.mean(true)))


@verifies(
    "flow_matching:conditional-loss",
    tex=r"""\begin{aligned}
    L_{\text{CFM}}(\theta) &= \mathbb{E}\,\bigl\|v_t(x, \theta) - u_t(x \mid x_1)\bigr\|^2, \\
    x_1 &\sim q, \quad x \sim p_t(\cdot \mid x_1)
    \end{aligned}""",
    tolerance=2e-3,
    wrong={"with the field at the noise instead of the point": {"at_noise": True}},
    kind="definition",
)
def loss_on_the_conditionals(device: torch.device, at_noise: bool = False) -> float:
    """Compare the library's mean over quantiles of the noise with quadratures."""
    x0, ours, true = tensor(norm.ppf(LEVELS)[:, None], device), [], []
    for t in TIMES[::6]:
        times = torch.full((len(x0),), float(t), dtype=torch.float64, device=device)
        judged = (lambda t, x: field(t, x0)) if at_noise else field
        each = [conditional_loss(judged, OT, torch.full_like(x0, x1), x0, times).item() for x1 in POINTS]
        ours.append(float(WEIGHTS @ each))
        squares = [(np.tanh(GRID) + t - conditional_velocity(OT, t, GRID, x1)) ** 2 for x1 in POINTS]
        pdfs = [w * norm.pdf(GRID, t * x1, 1 - 0.9 * t) for w, x1 in zip(WEIGHTS, POINTS, strict=True)]
        true.append(np.trapezoid(sum(p * square for p, square in zip(pdfs, squares, strict=True)), GRID))
    return abs(float(np.mean(ours) - np.mean(true)))


@verifies(
    "flow_matching:same-gradient",
    tex=r"""\begin{aligned}
    \nabla_\theta L_{\text{FM}} &= \nabla_\theta L_{\text{CFM}}, \\
    L_{\text{CFM}} - L_{\text{FM}} &= \mathbb{E}\,\bigl\|u_t(x \mid x_1) - u_t(x)\bigr\|^2
    \end{aligned}""",
    tolerance=1e-9,
    wrong={
        "with the velocity of another path in the conditional loss": {"other": True},
        "with the gap taken as zero": {"gap_factor": 0.0},
    },
)
def one_gradient(device: torch.device, other: bool = False, gap_factor: float = 1.0) -> float:
    """Theorem 2 by quadrature over x for each path: both gradients of a field with three parameters, and the gap."""
    x = torch.linspace(-9, 9, 3001, dtype=torch.float64, device=device)[:, None]
    dx, data, residual = float(x[1] - x[0]), tensor(POINTS, device), 0.0
    for path in ALL:
        both, theta = marginal(path, device), tensor([0.6, 1.3, -0.4], device).requires_grad_()
        to_marginal, to_conditional, between = theta.new_zeros(()), theta.new_zeros(()), 0.0
        for time in (0.1, 0.4, 0.8):
            t = tensor(time, device)
            v = theta[0] * torch.tanh(theta[1] * x + t) + theta[2]
            p, u, posterior = both.log_prob(t, x).exp(), both.velocity(t, x), both.posterior(t, x)
            used = ConditionalOT(0.5) if other else path
            each = torch.cat([used.velocity(t, x, x1.expand_as(x)) for x1 in data], -1)
            to_marginal = to_marginal + dx * (p * (v - u).square()[:, 0]).sum()
            to_conditional = to_conditional + dx * (p * (posterior * (v - each).square()).sum(-1)).sum()
            between += dx * (p * (posterior * (each - u).square()).sum(-1)).sum().item()
        slopes = [torch.autograd.grad(loss, theta, retain_graph=True)[0] for loss in (to_marginal, to_conditional)]
        excess = (to_conditional - to_marginal).item() - gap_factor * between
        residual = max(residual, gap(*slopes), abs(excess))
    return residual


@verifies(
    "flow_matching:pairing",
    tex=r"\pi^\star = \arg\min_\pi \sum_i \bigl\|x_0^{(i)} - x_1^{(\pi(i))}\bigr\|^2",
    tolerance=1e-12,
    wrong={"left as drawn": {"how": "drawn"}, "each to what is nearest of those left": {"how": "greedy"}},
)
def optimal_pairs(device: torch.device, how: str = "optimal") -> float:
    """Compare the cost of the library's pairing with the least over all permutations of six points."""
    rng, residual = np.random.default_rng(0), 0.0
    for _ in range(5):
        x0, x1 = rng.normal(size=(6, 2)), rng.normal(size=(6, 2)) + 1
        cost = ((x0[:, None] - x1[None]) ** 2).sum(-1)
        least = min(cost[range(6), p].sum() for p in permutations(range(6)))
        if how == "optimal":
            chosen = optimal_pairing(tensor(x0, device), tensor(x1, device)).cpu().numpy()
        elif how == "drawn":
            chosen = np.arange(6)
        else:
            chosen, free = np.zeros(6, dtype=int), list(range(6))
            for i in range(6):
                chosen[i] = free[int(np.argmin(cost[i, free]))]
                free.remove(chosen[i])
        residual = max(residual, abs(cost[range(6), chosen].sum() - least))
    return residual


@verifies(
    "flow_matching:straightness",
    tex=r"""S = \frac{\int_0^1 \mathbb{E}\,\|x(1) - x(0) - \dot x(t)\|^2\,\mathrm{d}t}
    {\mathbb{E}\,\|x(1) - x(0)\|^2}""",
    tolerance=1e-4,
    wrong={"without the division by the way": {"divided": False}},
    kind="definition",
)
def straightness_of_a_parabola(device: torch.device, divided: bool = True) -> float:
    """Along x(0) + t² (x(1) − x(0)) the integral of (1 − 2t)² is a third."""
    t = torch.linspace(0, 1, 401, dtype=torch.float64, device=device)[:, None, None]
    way = tensor([[1.0, 2.0], [0.5, -1.0]], device)
    true = 1 / 3 if divided else float(way.square().sum(1).mean()) / 3
    return gap(straightness(t**2 * way), true)
