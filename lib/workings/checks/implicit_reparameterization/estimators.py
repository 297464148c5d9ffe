"""Estimators of the gradient of an expectation: what they are for, and how they vary."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from scipy import special, stats
from torch.distributions import kl_divergence

from workings.book.ledger import verifies
from workings.checks.implicit_reparameterization.oracle import largest, on, slope, tensor
from workings.implicit_reparameterization import Gamma, Normal, Rice
from workings.implicit_reparameterization.amplitudes import log_joint

COLUMN, NOISE, OBSERVED, MEAN, DEVIATION = 1.4, 0.8, 0.9, 0.3, 0.6


@verifies(
    "implicit_reparameterization:elbo",
    tex=r"""\begin{aligned}
    L(x) &= \mathbb{E}_{q_\phi}\log p_\theta(x \mid z) - \mathrm{KL}\bigl(q_\phi \,\|\, p(z)\bigr) \\
    &= \log p_\theta(x) - \mathrm{KL}\bigl(q_\phi \,\|\, p_\theta(z \mid x)\bigr)
    \end{aligned}""",
    tolerance=1e-9,
    wrong={"with the divergence added": {"sign": -1.0}, "without the gap": {"gap": 0.0}},
)
def evidence_bound(device: torch.device, sign: float = 1.0, gap: float = 1.0) -> float:
    """Take a normal z seen through x = 1.4 z + noise, where evidence and posterior are normal too."""
    z, w = on(-9.0, 9.0)
    q = Normal(tensor(MEAN, device), tensor(DEVIATION, device))
    density = q.log_prob(tensor(z, device)).exp().cpu().numpy()
    likelihood = w @ (density * stats.norm.logpdf(OBSERVED, COLUMN * z, NOISE))
    prior = Normal(tensor(0.0, device), tensor(1.0, device))
    bound = likelihood - sign * kl_divergence(q, prior).item()
    evidence = stats.norm.logpdf(OBSERVED, 0.0, np.hypot(COLUMN, NOISE))
    precision = 1 + COLUMN**2 / NOISE**2
    exact = Normal(tensor(COLUMN * OBSERVED / NOISE**2 / precision, device), tensor(precision**-0.5, device))
    return float(abs(bound - evidence + gap * kl_divergence(q, exact).item()))


@verifies(
    "implicit_reparameterization:score",
    tex=r"\nabla_\phi\,\mathbb{E}_{q_\phi} f(z) = \mathbb{E}_{q_\phi}\bigl[f(z)\,\nabla_\phi \log q_\phi(z)\bigr]",
    tolerance=1e-8,
    wrong={"without the logarithm": {"logarithm": False}, "with the sign lost": {"sign": -1.0}},
)
def score_function(device: torch.device, logarithm: bool = True, sign: float = 1.0) -> float:
    """For E z² = α(α + 1) of a gamma distribution, by quadrature, with the score from autograd."""
    alpha, (z, w) = 2.2, on(0.0, 40.0)
    a = torch.full((len(z),), alpha, dtype=torch.float64, device=device, requires_grad=True)
    log_q = Gamma(a, tensor(1.0, device)).log_prob(tensor(z, device))
    (score,) = torch.autograd.grad((log_q if logarithm else log_q.exp()).sum(), a)
    each = log_q.detach().exp() * score
    return float(abs(sign * w @ (each.cpu().numpy() * z**2) - (2 * alpha + 1)))


@verifies(
    "implicit_reparameterization:wild",
    tex=r"""\frac{\operatorname{Var}\bigl[\omega \sin \omega z\bigr]}
    {\operatorname{Var}\bigl[\cos(\omega z)\,(z - \mu)/\sigma^2\bigr]} \approx \omega^2\sigma^2""",
    tolerance=1e-6,
    wrong={"with σ instead of σ²": {"power": 1}, "with the ratio upside down": {"inverse": True}},
)
def variances(device: torch.device, power: int = 2, inverse: bool = False) -> float:
    """By quadrature at ω = 20, σ = 1.3, relative to it; what is left out is of order e^(-ω²σ²/2)."""
    omega, mu, sigma = 20.0, 0.3, 1.3
    z = tensor(np.linspace(mu - 12 * sigma, mu + 12 * sigma, 200_001), device).requires_grad_()
    q = Normal(tensor(mu, device), tensor(sigma, device))
    p = q.log_prob(z.detach()).exp()
    p = p / p.sum()
    path = torch.autograd.grad(torch.cos(omega * z).sum(), z)[0]
    score = torch.cos(omega * z.detach()) * (z.detach() - mu) / sigma**2
    variance = [((p * g.square()).sum() - (p * g).sum().square()).item() for g in (path, score)]
    ratio = variance[1] / variance[0] if inverse else variance[0] / variance[1]
    return float(abs(ratio / (omega**2 * sigma**power) - 1))


@verifies(
    "implicit_reparameterization:amplitude",
    tex=r"""\begin{aligned}
    F &\sim \mathrm{Rice}\bigl(0, \sqrt{1/2}\bigr), \\
    I &= F^2 + s\,\varepsilon, \qquad \varepsilon \sim \mathcal{N}(0, 1)
    \end{aligned}""",
    tolerance=1e-9,
    wrong={"with the intensity linear in F": {"power": 1}, "with E F² = 2": {"sigma": 1.0}},
    kind="definition",
)
def amplitude_model(device: torch.device, power: int = 2, sigma: float = np.sqrt(0.5)) -> float:
    """Compare the library's joint density with SciPy's Rayleigh and normal densities."""
    amplitude, intensity, s = np.array([0.2, 0.9, 1.7]), np.array([-0.3, 1.0, 2.2]), 0.5
    ours = log_joint(tensor(amplitude, device), tensor(intensity, device), s).cpu().numpy()
    true = stats.rayleigh.logpdf(amplitude, scale=sigma) + stats.norm.logpdf(intensity, amplitude**power, s)
    return largest(ours - true)


@verifies(
    "implicit_reparameterization:rao-blackwell",
    tex=r"\frac{\partial x}{\partial \nu} = \mathbb{E}\Bigl[\,\frac{\nu + \sigma\varepsilon_1}{x} \Bigm| x\,\Bigr]",
    tolerance=1e-10,
    wrong={"with the angle uniform given x": {"pull": 0.0}, "with twice the pull": {"pull": 2.0}},
)
def averaged_over_the_angle(device: torch.device, pull: float = 1.0) -> float:
    """Given x, the vector's angle has density ∝ exp(w cos): average its cosine; compare with the library's gradient."""
    nu, sigma = 1.3, 0.7
    angle, w = on(-np.pi, np.pi)
    parameter = torch.full((4,), nu, dtype=torch.float64, device=device, requires_grad=True)
    x = Rice(parameter, tensor(sigma, device)).rsample((), torch.Generator().manual_seed(0))
    (ours,) = torch.autograd.grad(x.sum(), parameter)
    residual = 0.0
    for at, derivative in zip(x.tolist(), ours.tolist(), strict=True):
        density = w * np.exp(pull * at * nu / sigma**2 * (np.cos(angle) - 1))
        residual = max(residual, abs(density @ np.cos(angle) / density.sum() - derivative))
    return residual


def rice_level(nu: float, sigma: float, x: float) -> float:
    """Return SciPy's distribution function."""
    return float(stats.rice.cdf(x, nu / sigma, scale=sigma))


@verifies(
    "implicit_reparameterization:rice-gradient",
    tex=r"""\begin{aligned}
    w &= \frac{x\nu}{\sigma^2}, \qquad r = \frac{I_1(w)}{I_0(w)}, \\
    \frac{\partial x}{\partial\nu} &= r, \qquad \frac{\partial x}{\partial\sigma} = \frac{x - \nu r}{\sigma}
    \end{aligned}""",
    tolerance=1e-6,
    wrong={
        "with r = 1, as far from 0": {"far": True},
        "with the Bessel functions exchanged": {"exchanged": True},
        "without the r in the second": {"kept": 0.0},
    },
)
def rice_gradient(device: torch.device, far: bool = False, exchanged: bool = False, kept: float = 1.0) -> float:
    """Equation 7 with SciPy's distribution function, differentiated by differences; and the library's gradient."""
    nu, sigma, residual = 1.3, 0.7, 0.0
    p = [torch.full((4,), v, dtype=torch.float64, device=device, requires_grad=True) for v in (nu, sigma)]
    sample = Rice(p[0], p[1]).rsample((), torch.Generator().manual_seed(0))
    ours = [g.tolist() for g in torch.autograd.grad(sample.sum(), p)]
    for k, x in enumerate(sample.tolist()):
        density = stats.rice.pdf(x, nu / sigma, scale=sigma)
        true = [
            -slope(partial(rice_level, sigma=sigma, x=x), nu) / density,
            -slope(partial(rice_level, nu, x=x), sigma) / density,
        ]
        bessel = special.ive(1, x * nu / sigma**2) / special.ive(0, x * nu / sigma**2)
        r = 1.0 if far else 1 / bessel if exchanged else bessel
        formula = [r, (x - nu * (r if kept else 1.0)) / sigma]
        residual = max(residual, largest(np.subtract(formula, true), np.subtract([g[k] for g in ours], true)))
    return residual
