"""Conditional paths: their flow, their velocity, and the three that the chapter compares."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import torch
from scipy.stats import norm

from workings.book.ledger import verifies
from workings.checks.flow_matching.oracle import ALL, EXPLODING, OT, PRESERVING, gap, marginal, scales, tensor
from workings.flow_matching import convert

X, X1, T = np.array([-1.3, 0.2, 1.7]), np.array([0.8, -0.5, 2.0]), 0.35


@verifies(
    "flow_matching:conditional-path",
    tex=r"p_t(x \mid x_1) = \mathcal{N}\bigl(x \mid \mu_t(x_1),\,\sigma_t^2 I\bigr)",
    tolerance=1e-10,
    wrong={"with the standard deviation where the variance belongs": {"power": 0.5}},
    kind="definition",
)
def conditional_path(device: torch.device, power: float = 1.0) -> float:
    """Quantiles of the noise become those of this normal: compare the library's flow with SciPy's quantiles."""
    levels, residual = np.array([0.1, 0.4, 0.9]), 0.0
    for path in ALL:
        alpha, sigma, _, _ = scales(path, T)
        moved = path.flow(tensor(T, device), tensor(norm.ppf(levels), device), tensor(X1, device))
        residual = max(residual, gap(moved, norm.ppf(levels, alpha * X1, sigma**power)))
    return residual


@verifies(
    "flow_matching:conditional-flow",
    tex=r"\psi_t(x_0 \mid x_1) = \sigma_t\,x_0 + \mu_t(x_1)",
    tolerance=1e-12,
    wrong={"with noise and data exchanged": {"swapped": True}},
    kind="definition",
)
def conditional_flow(device: torch.device, swapped: bool = False) -> float:
    """Compare the library's points with this formula."""
    residual = 0.0
    for path in ALL:
        alpha, sigma, _, _ = scales(path, T)
        x, _ = path.sample(tensor(T, device), tensor(X, device), tensor(X1, device))
        residual = max(residual, gap(x, sigma * X1 + alpha * X if swapped else sigma * X + alpha * X1))
    return residual


@verifies(
    "flow_matching:conditional-velocity",
    tex=r"u_t(x \mid x_1) = \frac{\dot\sigma_t}{\sigma_t}\,\bigl(x - \mu_t(x_1)\bigr) + \dot\mu_t(x_1)",
    tolerance=1e-8,
    wrong={
        "without the moving mean": {"drift": 0.0},
        "with x in place of x − μ": {"centred": 0.0},
        "with the sign of the first term flipped": {"sign": -1.0},
    },
)
def conditional_velocity(device: torch.device, drift: float = 1.0, centred: float = 1.0, sign: float = 1.0) -> float:
    """Theorem 3: compare with differences in time of the flow through a point."""
    h, residual = 1e-4, 0.0
    for path in ALL:
        alpha, sigma, d_alpha, d_sigma = scales(path, T)
        x0 = (X - alpha * X1) / sigma
        moved = []
        for k in (-2, -1, 1, 2):
            a, s, _, _ = scales(path, T + k * h)
            moved.append(s * x0 + a * X1)
        true = (moved[0] - 8 * moved[1] + 8 * moved[2] - moved[3]) / (12 * h)
        ours = path.velocity(tensor(T, device), tensor(X, device), tensor(X1, device))
        formula = sign * d_sigma / sigma * (X - centred * alpha * X1) + drift * d_alpha * X1
        residual = max(residual, gap(ours, true), gap(formula, true))
    return residual


@verifies(
    "flow_matching:exploding",
    tex=r"""\begin{aligned}
    \mu_t(x_1) &= x_1, \qquad \sigma_t = \varsigma(1-t), \\
    u_t(x \mid x_1) &= -\frac{\varsigma'(1-t)}{\varsigma(1-t)}\,(x - x_1)
    \end{aligned}""",
    tolerance=1e-9,
    wrong={"with the prime as a derivative in t": {"sign": 1.0}, "with time reversed": {"reversed_time": True}},
    kind="definition",
)
def exploding(device: torch.device, sign: float = -1.0, reversed_time: bool = False) -> float:
    """Compare the library with this formula, for a schedule that is a straight line."""
    s = T if reversed_time else 1 - T
    varsigma, slope = 0.1 + 1.9 * s, 1.9
    t = tensor(T, device)
    ends = gap(EXPLODING.sigma(t), 0.1 + 1.9 * (1 - T)) + gap(EXPLODING.mean(t, tensor(X1, device)), X1)
    return ends + gap(EXPLODING.velocity(t, tensor(X, device), tensor(X1, device)), sign * slope / varsigma * (X - X1))


@verifies(
    "flow_matching:preserving",
    tex=r"""\begin{aligned}
    s &= 1 - t, \qquad \alpha_t = e^{-T(s)/2}, \\
    \mu_t(x_1) &= \alpha_t x_1, \qquad \sigma_t = \sqrt{1 - \alpha_t^2}, \\
    u_t(x \mid x_1) &= -\frac{T'(s)}{2}\;\frac{e^{-T(s)}\,x - e^{-T(s)/2}\,x_1}{1 - e^{-T(s)}}
    \end{aligned}""",
    tolerance=1e-9,
    wrong={
        "with the prime as a derivative in t": {"sign": 1.0},
        "without the half": {"half": 1.0},
        "with e^(−T) before both": {"root": 1.0},
        "with time reversed": {"reversed_time": True},
    },
    kind="definition",
)
def preserving(
    device: torch.device, sign: float = -1.0, half: float = 2.0, root: float = 2.0, reversed_time: bool = False
) -> float:
    """Compare the library with this formula, for β from 0.5 to 4."""
    s = T if reversed_time else 1 - T
    integral, slope = 0.5 * s + 0.5 * 3.5 * s**2, 0.5 + 3.5 * s
    alpha, t = exp(-integral / 2), tensor(T, device)
    u = sign * slope / half * (exp(-integral) * X - exp(-integral / root) * X1) / (1 - exp(-integral))
    ends = gap(PRESERVING.alpha(t), alpha) + gap(PRESERVING.sigma(t), sqrt(1 - alpha**2))
    return ends + gap(PRESERVING.velocity(t, tensor(X, device), tensor(X1, device)), u)


@verifies(
    "flow_matching:straight",
    tex=r"""\begin{aligned}
    \mu_t(x_1) &= t\,x_1, \qquad \sigma_t = 1 - (1 - \sigma_{\min})\,t, \\
    u_t(x \mid x_1) &= \frac{x_1 - (1 - \sigma_{\min})\,x}{1 - (1 - \sigma_{\min})\,t}
    \end{aligned}""",
    tolerance=1e-12,
    wrong={"without σ_min in the numerator": {"above": 0.0}, "without σ_min at all": {"above": 0.0, "below": 0.0}},
    kind="definition",
)
def straight(device: torch.device, above: float = 0.1, below: float = 0.1) -> float:
    """Compare the library with this formula, for σ_min = 0.1."""
    t = tensor(T, device)
    ends = gap(OT.sigma(t), 1 - 0.9 * T) + gap(OT.mean(t, tensor(X1, device)), T * X1)
    u = (X1 - (1 - above) * X) / (1 - (1 - below) * T)
    return ends + gap(OT.velocity(t, tensor(X, device), tensor(X1, device)), u)


@verifies(
    "flow_matching:straight-target",
    tex=r"u_t\bigl(\psi_t(x_0 \mid x_1) \mid x_1\bigr) = x_1 - (1 - \sigma_{\min})\,x_0",
    tolerance=1e-12,
    wrong={"without σ_min": {"factor": 1.0}, "with the point itself in place of its noise": {"noise": False}},
    kind="derivation",
)
def straight_target(device: torch.device, factor: float = 0.9, noise: bool = True) -> float:
    """Compare the library's velocity at the library's point with this difference."""
    t, x0, x1 = tensor(T, device), tensor(X, device), tensor(X1, device)
    x, u = OT.sample(t, x0, x1)
    difference = X1 - factor * (X if noise else x.cpu().numpy())
    return max(gap(u, difference), gap(OT.velocity(t, x, x1), difference))


@verifies(
    "flow_matching:predictions",
    tex=r"""\begin{aligned}
    x &= \alpha_t D + \sigma_t N, \\
    u_t(x) &= \dot\alpha_t D + \dot\sigma_t N, \\
    \nabla \log p_t(x) &= -N / \sigma_t
    \end{aligned}""",
    tolerance=1e-8,
    wrong={"with the sign of the score flipped": {"score_sign": 1.0}, "with the score times σ": {"power": -1.0}},
)
def predictions(device: torch.device, score_sign: float = -1.0, power: float = 1.0) -> float:
    """Compare what follows from the posterior mean with the marginal's velocity and score, and with `convert`."""
    x, t, residual = tensor(X[:, None], device).requires_grad_(), tensor(T, device), 0.0
    for path in ALL:
        both, (alpha, sigma, d_alpha, d_sigma) = marginal(path, device), scales(path, T)
        data = both.denoised(t, x).detach()
        noise = (x.detach() - alpha * data) / sigma
        score = torch.autograd.grad(both.log_prob(t, x).sum(), x)[0]
        velocity = both.velocity(t, x).detach()
        residual = max(
            residual,
            gap(velocity, d_alpha * data + d_sigma * noise),
            gap(score, score_sign * noise / sigma**power),
            gap(convert(path, t, x.detach(), score, source="score", target="data"), data),
            gap(convert(path, t, x.detach(), velocity, source="velocity", target="noise"), noise),
        )
    return residual
