"""Standardization, the explicit and the implicit gradient, and why the one is the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import special, stats

from workings.book.ledger import verifies
from workings.checks.implicit_reparameterization.oracle import LEVELS, OF_LEVELS, Correlated, largest, on, slope, tensor
from workings.implicit_reparameterization import (
    Beta,
    Gamma,
    MixtureSameFamily,
    Rice,
    TruncatedNormal,
    VonMises,
    gamma_gradient,
    implicit,
)

LOC, SCALE, LOW, HIGH = 0.3, 1.2, -0.5, 1.4


def truncated(loc: float = LOC, scale: float = SCALE) -> Any:
    """Return SciPy's truncated normal distribution."""
    return stats.truncnorm((LOW - loc) / scale, (HIGH - loc) / scale, loc, scale)


def our_truncated(device: torch.device, loc: float = LOC) -> TruncatedNormal:
    """Return the library's."""
    return TruncatedNormal(tensor(loc, device), tensor(SCALE, device), tensor(LOW, device), tensor(HIGH, device))


@verifies(
    "implicit_reparameterization:standardize",
    tex=r"S_\phi(z) = \varepsilon \sim q(\varepsilon), \qquad z = S_\phi^{-1}(\varepsilon)",
    tolerance=1e-10,
    wrong={"with the standardization of another location": {"loc": 0.4}},
    kind="definition",
)
def there_and_back(device: torch.device, loc: float = LOC) -> float:
    """Take quantiles of SciPy's truncated normal to their levels with the library, and back."""
    z = tensor(truncated().ppf(LEVELS[::20]), device)
    ours = our_truncated(device, loc)
    return largest(ours.cdf(z).cpu().numpy() - LEVELS[::20], ours.icdf(ours.cdf(z)) - z)


@verifies(
    "implicit_reparameterization:explicit",
    tex=r"""\begin{aligned}
    \nabla_\phi\,\mathbb{E}_{q_\phi} f(z) &= \mathbb{E}_\varepsilon\,\nabla_\phi f(S_\phi^{-1}(\varepsilon)) \\
    &= \mathbb{E}_\varepsilon\bigl[\nabla_z f(z)\,\nabla_\phi S_\phi^{-1}(\varepsilon)\bigr]
    \end{aligned}""",
    tolerance=1e-8,
    wrong={
        "without the derivative of the inverse": {"inner": False},
        "with the sign of the implicit form": {"sign": -1.0},
    },
)
def explicit_gradient(device: torch.device, inner: bool = True, sign: float = 1.0) -> float:
    """For f = z², by quadrature over the levels of a truncated normal, against SciPy's second moment."""
    phi = [tensor(v, device).expand(len(LEVELS)).clone().requires_grad_() for v in (LOC, SCALE)]
    z = TruncatedNormal(phi[0], phi[1], tensor(LOW, device), tensor(HIGH, device)).icdf(tensor(LEVELS, device))
    each = [d.cpu().numpy() if inner else np.ones(len(LEVELS)) for d in torch.autograd.grad(z.sum(), phi)]
    ours = [sign * OF_LEVELS @ (2 * z.detach().cpu().numpy() * d) for d in each]
    true = [
        slope(lambda m: truncated(m, SCALE).moment(2), LOC),
        slope(lambda s: truncated(LOC, s).moment(2), SCALE),
    ]
    return largest(np.subtract(ours, true))


@verifies(
    "implicit_reparameterization:cdf",
    tex=r"S_\phi(z) = F(z \mid \phi) \sim \mathrm{Uniform}(0, 1)",
    tolerance=1e-9,
    wrong={"for a discrete distribution": {"discrete": True}},
)
def levels_are_uniform(device: torch.device, discrete: bool = False) -> float:
    """Integrate F(z), its square and its cube over each density: 1/2, 1/3 and 1/4."""
    if discrete:  # Bernoulli: F takes the values 1 - p and 1
        return abs(0.7 * 0.7 + 0.3 * 1.0 - 0.5)
    residual = 0.0
    for q, low, high in (
        (Gamma(tensor(2.2, device), tensor(1.5, device)), 0.0, 30.0),
        (Beta(tensor(2.6, device), tensor(3.0, device)), 0.0, 1.0),
        (VonMises(tensor(0.0, device), tensor(1.7, device)), -np.pi, np.pi),
        (Rice(tensor(1.3, device), tensor(0.7, device)), 0.0, 9.0),
    ):
        z, w = on(low, high)
        at = tensor(z, device)
        density, level = q.log_prob(at).exp().cpu().numpy(), q.cdf(at).detach().cpu().numpy()
        residual = max(residual, *(abs(w @ (density * level**k) - 1 / (k + 1)) for k in (1, 2, 3)))
    return float(residual)


def gamma_rise(alpha: float, z: float) -> float:
    """Return ∂z/∂α at a fixed level, by differences of SciPy's quantile."""
    level = special.gammainc(alpha, z)
    return slope(lambda a: float(special.gammaincinv(a, level)), alpha)


@verifies(
    "implicit_reparameterization:total",
    tex=r"\nabla_z S_\phi(z)\,\nabla_\phi z + \nabla_\phi S_\phi(z) = 0",
    tolerance=1e-8,
    wrong={"with a minus between the terms": {"sign": -1.0}},
)
def total_derivative(device: torch.device, sign: float = 1.0) -> float:
    """For gamma quantiles: the density times the derivative of SciPy's quantile, and the library's ∂F/∂α."""
    residual = 0.0
    for alpha, z in ((0.6, 0.3), (2.2, 1.5), (30.0, 33.0)):
        a = tensor(alpha, device).requires_grad_()
        level = Gamma(a, tensor(1.0, device)).cdf(tensor(z, device))
        by_alpha = torch.autograd.grad(level, a)[0].item()
        residual = max(residual, abs(stats.gamma.pdf(z, alpha) * gamma_rise(alpha, z) + sign * by_alpha))
    return residual


@verifies(
    "implicit_reparameterization:implicit",
    tex=r"\nabla_\phi z = -\bigl(\nabla_z S_\phi(z)\bigr)^{-1}\,\nabla_\phi S_\phi(z)",
    tolerance=1e-10,
    wrong={
        "with the sign lost": {"form": "sign"},
        "with the matrix transposed": {"form": "transposed"},
        "coordinate by coordinate": {"form": "diagonal"},
    },
)
def implicit_jacobian(device: torch.device, form: str = "") -> float:
    """Both columns of ∇z of a correlated normal vector, against autograd through the Cholesky factor."""
    both = Correlated(device)
    matrix, residual = both.matrix(), 0.0
    if form == "transposed":
        matrix = matrix.mT
    elif form == "diagonal":
        matrix = torch.diag_embed(matrix.diagonal(dim1=-2, dim2=-1))
    for d in range(2):
        (true,) = torch.autograd.grad(both.explicit()[0, d], both.scales)
        level = both.standardize(both.z)
        rows = torch.stack([torch.autograd.grad(level[0, k], both.scales, retain_graph=True)[0] for k in range(2)])
        ours = -torch.linalg.solve(matrix[0], rows)[d]
        residual = max(residual, largest((-ours if form == "sign" else ours) - true))
    return residual


@verifies(
    "implicit_reparameterization:univariate",
    tex=r"\nabla_\phi z = -\frac{\nabla_\phi F(z \mid \phi)}{q_\phi(z)}",
    tolerance=1e-7,
    wrong={"with the sign lost": {"sign": -1.0}, "without the density": {"divided": False}},
)
def one_dimension(device: torch.device, sign: float = 1.0, divided: bool = True) -> float:
    """Compare ∂z/∂α of gamma samples with differences of SciPy's quantile, relative to it."""
    residual = 0.0
    for alpha, z in ((0.6, 0.3), (2.2, 1.5), (30.0, 33.0)):
        ours = z * gamma_gradient(tensor(alpha, device), tensor(z, device)).item()
        ours = ours if divided else ours * stats.gamma.pdf(z, alpha)
        residual = max(residual, abs(sign * ours / gamma_rise(alpha, z) - 1))
    return residual


@verifies(
    "implicit_reparameterization:pullback",
    tex=r"""\begin{aligned}
    \bigl(\nabla_z S\bigr)^{\!\top} \lambda &= \bigl(\nabla_z L\bigr)^{\!\top}, \\
    \nabla_\phi L &= -\lambda^{\!\top}\,\nabla_\phi S
    \end{aligned}""",
    tolerance=1e-10,
    wrong={"solved with the matrix itself": {"transposed": True}, "solved with its diagonal": {"diagonal": True}},
)
def pulled_back(device: torch.device, transposed: bool = False, diagonal: bool = False) -> float:
    """Compare the gradient of a function of correlated normal vectors with autograd through Cholesky's."""
    both = Correlated(device)
    matrix = both.matrix().mT if transposed else both.matrix()
    slopes = matrix.diagonal(dim1=-2, dim2=-1) if diagonal else matrix
    z, true = implicit(both.z, both.standardize(both.z), slopes), both.explicit()
    if transposed:  # what the triangular solve would take is not triangular any more
        grad = torch.autograd.grad((true.sin() * true.flip(-1)).sum(), true)[0]
        solved = torch.linalg.solve(both.matrix(), grad[..., None])[..., 0].detach()
        (ours,) = torch.autograd.grad(-(solved * both.standardize(both.z)).sum(), both.scales)
    else:
        (ours,) = torch.autograd.grad((z.sin() * z.flip(-1)).sum(), both.scales)
    true = both.explicit()
    return largest(ours - torch.autograd.grad((true.sin() * true.flip(-1)).sum(), both.scales)[0])


@verifies(
    "implicit_reparameterization:rosenblatt",
    tex=r"S_d(z) = F(z_d \mid z_1, \dots, z_{d-1})",
    tolerance=1e-9,
    wrong={"with marginal distribution functions": {"marginal": True}},
)
def conditional_levels(device: torch.device, marginal: bool = False) -> float:
    """Compare the second level of a mixture in the plane with a quadrature of its density along z₂."""
    weights, locs, scales = (
        np.array([0.4, 0.6]),
        np.array([[-1.0, 0.5], [1.2, -0.8]]),
        np.array([[0.8, 0.5], [0.6, 1.1]]),
    )
    q = MixtureSameFamily(
        torch.distributions.Categorical(probs=tensor(weights, device)),
        torch.distributions.Independent(torch.distributions.Normal(tensor(locs, device), tensor(scales, device)), 1),
    )
    residual = 0.0
    for z in ((-0.7, 0.4), (0.6, -0.9), (1.5, 0.2)):
        level = q.standardize(tensor(z, device))[0][1].item() % 1  # up to a constant
        t, w = on(-12.0, z[1])
        along = q.log_prob(tensor(np.stack((np.full_like(t, z[0]), t), -1), device)).exp().cpu().numpy()
        first = weights @ stats.norm.pdf(z[0], locs[:, 0], scales[:, 0])
        true = weights @ stats.norm.cdf(z[1], locs[:, 1], scales[:, 1]) if marginal else w @ along / first
        residual = max(residual, abs(level - true))
    return float(residual)
