"""Where the derivatives come from, distribution by distribution."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from scipy import integrate, special, stats
from torch.distributions import Categorical, Independent
from torch.distributions import Normal as TorchNormal

from workings.book.ledger import verifies
from workings.checks.implicit_reparameterization.mechanism import HIGH, LOC, LOW, SCALE, our_truncated, truncated
from workings.checks.implicit_reparameterization.oracle import LEVELS, largest, on, slope, tensor
from workings.implicit_reparameterization import (
    MixtureSameFamily,
    Rice,
    VonMises,
    gamma_gradient,
    von_mises_gradient,
)


@verifies(
    "implicit_reparameterization:short-side",
    tex=r"""\begin{aligned}
    \frac{\partial z}{\partial\phi} &= -\int_{-\infty}^{z} s(t)\,\frac{q_\phi(t)}{q_\phi(z)}\,\mathrm{d}t \\
    &= \int_{z}^{\infty} s(t)\,\frac{q_\phi(t)}{q_\phi(z)}\,\mathrm{d}t, \\
    s(t) &= \frac{\partial}{\partial\phi} \log q_\phi(t)
    \end{aligned}""",
    tolerance=1e-8,
    wrong={"with one sign for both sides": {"sign": -1.0}, "with the density itself for the score": {"score": False}},
)
def score_of_either_side(device: torch.device, sign: float = 1.0, score: bool = True) -> float:
    """Both integrals by SciPy for gamma samples, against the library, relative to it."""
    residual = 0.0
    for alpha, z in ((0.6, 0.3), (2.2, 1.5), (30.0, 33.0)):
        ours = z * gamma_gradient(tensor(alpha, device), tensor(z, device)).item()

        def term(t: float, alpha: float = alpha, z: float = z) -> float:
            of_t = np.log(t) - special.digamma(alpha) if score else 1.0
            return float(of_t * np.exp((alpha - 1) * np.log(t / z) - t + z))

        below = -integrate.quad(term, 0, z, epsabs=1e-12, epsrel=1e-12)[0]
        above = integrate.quad(term, z, z + 60 + 10 * alpha, epsabs=1e-12, epsrel=1e-12, limit=200)[0]
        residual = max(residual, abs(below / ours - 1), abs(sign * above / ours - 1))
    return residual


@verifies(
    "implicit_reparameterization:von-mises",
    tex=r"""\begin{aligned}
    q(z) &= \frac{e^{\kappa \cos(z - \mu)}}{2\pi I_0(\kappa)}, \\
    s_\kappa(z) &= \cos(z - \mu) - \frac{I_1(\kappa)}{I_0(\kappa)}
    \end{aligned}""",
    tolerance=1e-8,
    wrong={"without the mean of the cosine": {"mean": 0.0}, "normalized by I₁": {"order": 1}},
)
def von_mises(device: torch.device, mean: float = 1.0, order: int = 0) -> float:
    """Compare the library's density, its autograd score, and ∂z/∂κ with the integral of this score above z."""
    mu, kappa = 0.4, 1.7
    k = torch.full((5,), kappa, dtype=torch.float64, device=device, requires_grad=True)
    z = np.array([-2.0, -0.5, 0.4, 1.0, 2.9])
    log_q = VonMises(tensor(mu, device), k).log_prob(tensor(z, device))
    (score,) = torch.autograd.grad(log_q.sum(), k)
    expected = np.cos(z - mu) - mean * special.ive(1, kappa) / special.ive(0, kappa)
    density = np.exp(kappa * np.cos(z - mu)) / (2 * np.pi * special.iv(order, kappa))
    at = 0.8
    t, w = on(at, np.pi)
    bracket = np.cos(t) - mean * special.ive(1, kappa) / special.ive(0, kappa)
    by_kappa = w @ (bracket * np.exp(kappa * (np.cos(t) - np.cos(at))))
    ours = von_mises_gradient(tensor(kappa, device), tensor(at, device)).item()
    return largest(score.cpu().numpy() - expected, log_q.detach().exp().cpu().numpy() - density, ours - by_kappa)


def quantile(level: float, loc: float) -> float:
    """Return SciPy's quantile of the truncated normal distribution."""
    return float(truncated(loc, SCALE).ppf(level))


@verifies(
    "implicit_reparameterization:truncated",
    tex=r"""\begin{aligned}
    u &= \frac{F(z) - F(a)}{F(b) - F(a)}, \\
    \nabla_\phi z &= -\bigl[\nabla_\phi F(z) - (1-u)\,\nabla_\phi F(a) \\
    &\qquad - u\,\nabla_\phi F(b)\bigr] \big/ q_\phi(z)
    \end{aligned}""",
    tolerance=1e-7,
    wrong={"without the terms of the bounds": {"bounds": False}, "with their weights exchanged": {"exchanged": True}},
)
def truncation(device: torch.device, bounds: bool = True, exchanged: bool = False) -> float:
    """Compare the formula and the library's gradient with differences of SciPy's quantile."""
    levels, residual = LEVELS[40::80], 0.0
    z = truncated().ppf(levels)
    ours = our_truncated(device)._derivatives(tensor(z, device))
    for k, (u, x) in enumerate(zip(levels, z, strict=True)):
        true = slope(partial(quantile, u), LOC)
        by_loc = [-stats.norm.pdf(v, LOC, SCALE) for v in (x, LOW, HIGH)]
        at_low, at_high = (u, 1 - u) if exchanged else (1 - u, u)
        formula = -(by_loc[0] - bounds * (at_low * by_loc[1] + at_high * by_loc[2])) / stats.norm.pdf(x, LOC, SCALE)
        residual = max(residual, abs(formula - true), abs(ours[1][k].item() - true))
    return float(residual)


@verifies(
    "implicit_reparameterization:rice",
    tex=r"q(x) = \frac{x}{\sigma^2}\,e^{-(x^2 + \nu^2)/2\sigma^2}\,I_0\Bigl(\frac{x\nu}{\sigma^2}\Bigr)",
    tolerance=1e-10,
    wrong={"with I₁": {"order": 1}, "without the factor x": {"length": False}},
)
def length_of_a_vector(device: torch.device, order: int = 0, length: bool = True) -> float:
    """Integrate the density of a normal vector in the plane over the circle of radius x."""
    nu, sigma = 1.3, 0.7
    x = np.array([0.1, 0.9, 1.3, 3.0])
    angle, w = on(-np.pi, np.pi)
    square = (x[:, None] * np.cos(angle) - nu) ** 2 + (x[:, None] * np.sin(angle)) ** 2
    true = x * (np.exp(-square / (2 * sigma**2)) @ w) / (2 * np.pi * sigma**2)
    printed = np.exp(-(x**2 + nu**2) / (2 * sigma**2)) * special.iv(order, x * nu / sigma**2) / sigma**2
    ours = Rice(tensor(nu, device), tensor(sigma, device)).log_prob(tensor(x, device)).exp().cpu().numpy()
    return largest(printed * (x if length else 1.0) - true, ours - true)


@verifies(
    "implicit_reparameterization:rice-cdf",
    tex=r"F(x) = 1 - Q_1\Bigl(\frac{\nu}{\sigma},\,\frac{x}{\sigma}\Bigr)",
    tolerance=1e-10,
    wrong={"with the arguments exchanged": {"exchanged": True}, "as the complement": {"complement": True}},
)
def rice_levels(device: torch.device, exchanged: bool = False, complement: bool = False) -> float:
    """Integrate SciPy's density; not at x = ν, where exchanged arguments do not show."""
    nu, sigma, residual = 1.3, 0.7, 0.0
    for x in (0.4, 2.6):
        t, w = on(0.0, x)
        true = w @ stats.rice.pdf(t, nu / sigma, scale=sigma)
        a, b = (x, nu) if exchanged else (nu, x)
        # the level of x for ν is that of ν for x with the arguments exchanged
        ours = Rice(tensor(a, device), tensor(sigma, device)).cdf(tensor(b, device)).item()
        residual = max(residual, abs((1 - ours if complement else ours) - true))
    return float(residual)


@verifies(
    "implicit_reparameterization:mixture",
    tex=r"""\begin{aligned}
    S_d &= \sum_k w_k(z_{<d})\,F_k(z_d), \\
    w_k(z_{<d}) &\propto \pi_k \prod_{j<d} q_k(z_j)
    \end{aligned}""",
    tolerance=1e-10,
    wrong={"weighed by the prior": {"prior": True}, "with all dimensions in the weights": {"last": 2}},
)
def mixture(device: torch.device, prior: bool = False, last: int = 1) -> float:
    """Compare the second coordinate, and its gradient to the first location, with SciPy and differences."""
    pi, scales = np.array([0.4, 0.6]), np.array([[0.8, 0.5], [0.6, 1.1]])
    first = np.array([[-1.0, 0.5], [1.2, -0.8]])
    z = np.array([0.3, -0.4])

    def second(locs: np.ndarray) -> float:
        each = stats.norm.pdf(z, locs, scales)[:, :last].prod(-1)
        weights = pi * (1.0 if prior else each)
        return float(weights @ stats.norm.cdf(z[1], locs[:, 1], scales[:, 1]) / weights.sum())

    def at(value: float) -> float:
        locs = first.copy()
        locs[0, 0] = value
        return second(locs)

    locs = tensor(first, device).requires_grad_()
    q = MixtureSameFamily(
        Categorical(probs=tensor(pi, device)), Independent(TorchNormal(locs, tensor(scales, device)), 1)
    )
    ours = q.standardize(tensor(z, device))[0][1]
    (by_loc,) = torch.autograd.grad(ours, locs)
    return max(abs(ours.item() % 1 - second(first)), abs(by_loc[0, 0].item() - slope(at, -1.0)))
