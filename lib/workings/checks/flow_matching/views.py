"""A flow, its density path and its velocity field: three views of one thing."""

from __future__ import annotations

from math import log, pi, sqrt

import numpy as np
import torch
from scipy.integrate import quad
from scipy.stats import multivariate_normal
from torch import Tensor

from workings.book.ledger import verifies
from workings.checks.flow_matching.oracle import (
    ALL,
    OT,
    POINTS,
    WEIGHTS,
    conditional_velocity,
    density,
    distribution,
    gap,
    marginal,
    tensor,
)
from workings.flow_matching import generate, log_prob
from workings.neural_ode import odeint

MARGINAL_VELOCITY = r"u_t(x) = \int u_t(x \mid x_1)\,\frac{p_t(x \mid x_1)\,q(x_1)}{p_t(x)}\,\mathrm{d}x_1"
MEAN, STD = 1.5, 0.4  # of the data in the checks that can be done by hand


class Affine(torch.nn.Module):
    """The velocity that carries N(0, 1) to N(t m, w(t)²) along the optimal-transport path with σ_min = 0.1."""

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        """Return v_t(x), shaped like ``x``."""
        w, dw = width(t)
        return MEAN + dw / w * (x - t * MEAN)


def width(t: Tensor) -> tuple[Tensor, Tensor]:
    """Return the standard deviation of p_t and its slope."""
    sigma, slope = OT.sigma(t), OT.d_sigma(t)
    w = torch.sqrt((t * STD) ** 2 + sigma**2)
    return w, (t * STD**2 + sigma * slope) / w


@verifies(
    "flow_matching:flow",
    tex=r"\frac{\mathrm{d}}{\mathrm{d}t}\,\varphi_t(x) = v_t\bigl(\varphi_t(x)\bigr), \qquad \varphi_0(x) = x",
    tolerance=1e-7,
    wrong={"without its second half, as printed in the post: a flow that starts elsewhere": {"start": 5.0}},
    kind="definition",
)
def flow_of_a_field(device: torch.device, start: float = 0.0) -> float:
    """Compare the solution from x with the affine flow that is known by hand."""
    x = tensor([[-1.0], [0.3], [2.0]], device)
    found = generate(Affine(), x + start, rtol=1e-9, atol=1e-11)
    return gap(found, MEAN + sqrt(STD**2 + 0.01) * x)


@verifies(
    "flow_matching:pushforward",
    tex=r"p_t(x) = p_0\bigl(\varphi_t^{-1}(x)\bigr)\,\Bigl|\det\frac{\partial\varphi_t^{-1}}{\partial x}\Bigr|",
    tolerance=1e-12,
    wrong={
        "without the absolute value, as printed in the post": {"absolute": False},
        "with the Jacobian of the flow itself": {"inverse": False},
    },
)
def change_of_variables(device: torch.device, absolute: bool = True, inverse: bool = True) -> float:
    """Compare with SciPy's normal density for a map that mirrors: its determinant is negative."""
    A, x = tensor([[0.4, 1.3], [0.9, -0.2]], device), tensor([[0.5, -0.3], [1.0, 2.0]], device)
    back = torch.linalg.inv(A)
    z, det = x @ back.T, torch.linalg.det(back if inverse else A)
    base = torch.exp(-0.5 * z.square().sum(-1)) / (2 * pi)
    true = multivariate_normal([0, 0], (A @ A.T).cpu().numpy()).pdf(x.cpu().numpy())
    return gap(base * (det.abs() if absolute else det), true)


@verifies(
    "flow_matching:continuity",
    tex=r"\frac{\partial p_t}{\partial t} + \nabla\cdot(p_t\,v_t) = 0",
    tolerance=1e-9,
    wrong={
        "with the sign of the divergence flipped": {"sign": -1.0},
        "with the field of another time": {"shift": 0.1},
    },
)
def continuity(device: torch.device, sign: float = 1.0, shift: float = 0.0) -> float:
    """Differentiate the library's marginal density and flux by autograd."""
    residual = 0.0
    for path in ALL:
        both = marginal(path, device)
        for point in (-1.5, 0.0, 0.4, 1.1):
            t, x = tensor(0.45, device).requires_grad_(), tensor([[point]], device).requires_grad_()
            p = both.log_prob(t, x).exp()
            flux = p[:, None] * both.velocity(t + shift, x)
            by_t = torch.autograd.grad(p.sum(), t, retain_graph=True)[0]
            by_x = torch.autograd.grad(flux.sum(), x)[0]
            residual = max(residual, abs((by_t + sign * by_x.sum()).item()))
    return residual


@verifies(
    "flow_matching:likelihood",
    tex=r"\log p_1(x) = \log p_0(x_0) - \int_0^1 \nabla\cdot v_t(x_t)\,\mathrm{d}t",
    tolerance=1e-6,
    wrong={"with a plus, as printed in the post": {"sign": 1.0}},
)
def likelihood(device: torch.device, sign: float = -1.0) -> float:
    """Compare the library's density of the affine flow with this formula, the divergence by quadrature."""

    def divergence(t: float) -> float:
        w, dw = width(torch.tensor(t, dtype=torch.float64))
        return float(dw / w)

    x = np.array([0.7, 1.4, 2.5])
    z = (x - MEAN) / sqrt(STD**2 + 0.01)
    formula = -0.5 * z**2 - 0.5 * log(2 * pi) + sign * quad(divergence, 0, 1, epsabs=1e-12)[0]
    return gap(log_prob(Affine(), tensor(x[:, None], device), rtol=1e-9, atol=1e-11), formula)


@verifies(
    "flow_matching:marginal-path",
    tex=r"p_t(x) = \int p_t(x \mid x_1)\,q(x_1)\,\mathrm{d}x_1",
    tolerance=1e-12,
    wrong={"with every data point weighted alike": {"weighted": False}},
    kind="definition",
)
def marginal_path(device: torch.device, weighted: bool = True) -> float:
    """Compare the library's density with SciPy's mixture."""
    x = np.linspace(-3, 3, 13)
    weights = WEIGHTS if weighted else np.full(2, 0.5)
    t = tensor(0.6, device)
    return max(
        gap(marginal(path, device).log_prob(t, tensor(x[:, None], device)).exp(), density(path, 0.6, x, weights))
        for path in ALL
    )


@verifies(
    "flow_matching:marginal-velocity",
    tex=MARGINAL_VELOCITY,
    tolerance=1e-7,
    wrong={"with the prior weights q in place of the posterior's": {"prior": True}},
)
def marginal_velocity(device: torch.device, prior: bool = False) -> float:
    """On the line only one field moves the distribution function F: u = −∂F/∂t / p. Compare the library's with it."""
    x, t, h, residual = np.linspace(-2, 2, 9), 0.55, 1e-4, 0.0
    for path in ALL:
        F = [distribution(path, t + k * h, x) for k in (-2, -1, 1, 2)]
        true = -(F[0] - 8 * F[1] + 8 * F[2] - F[3]) / (12 * h) / density(path, t, x)
        ours = marginal(path, device).velocity(tensor(t, device), tensor(x[:, None], device))[:, 0]
        if prior:
            each = [w * conditional_velocity(path, t, x, x1) for w, x1 in zip(WEIGHTS, POINTS, strict=True)]
            ours = tensor(sum(each), device)
        residual = max(residual, gap(ours, true))
    return residual


@verifies(
    "flow_matching:marginal-velocity",
    tex=MARGINAL_VELOCITY,
    tolerance=1e-5,
    wrong={"with time reversed": {"direction": -1.0}, "without the start": {"start": 0.0}},
)
def quantiles_stay_quantiles(device: torch.device, start: float = 1.0, direction: float = 1.0) -> float:
    """Theorem 1: along the marginal velocity each quantile of p₀ becomes the same quantile of p_t."""
    levels = np.array([0.05, 0.2, 0.5, 0.8, 0.95])
    both = marginal(OT, device)
    x0 = tensor(np.sqrt(2) * torch.erfinv(torch.tensor(2 * levels - 1)).numpy()[:, None], device)
    t = tensor([0.0, 0.8], device)
    moved = odeint(lambda t, x: direction * both.velocity(t, x), x0, t, rtol=1e-9, atol=1e-10)[-1]
    return gap(distribution(OT, 0.8, (moved - (1 - start) * x0).cpu().numpy()[:, 0]), levels)
