"""Derivatives of samples against 40 digits, at the samples as stored; extremes in which formulas break."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import implicit_references as references
import mpmath as mp
import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import Categorical, Distribution
from torch.distributions import Normal as TorchNormal

from workings.implicit_reparameterization import (
    Beta,
    Dirichlet,
    Gamma,
    MixtureSameFamily,
    Rice,
    StudentT,
    TruncatedNormal,
    VonMises,
    bessel_gap,
    beta_gradient,
    gamma_gradient,
    marcum_q,
    student_gradient,
    von_mises_gradient,
)
from workings.implicit_reparameterization.special import von_mises_tail

POINTS = 300


def spread(low: float, high: float, seed: int, n: int = POINTS) -> np.ndarray:
    """Parameters, log-uniform."""
    return 10 ** np.random.default_rng(seed).uniform(low, high, n)


def levels(seed: int, n: int = POINTS) -> np.ndarray:
    """Levels from 1e-4 to 1 - 1e-4, as often near one end as near the other; as (distance from the end, which end)."""
    rng = np.random.default_rng(seed)
    near = 10 ** rng.uniform(-4, math.log10(0.5), n)
    return np.where(rng.random(n) < 0.5, near, 1 - near)


def worst(found: Tensor, true: Iterable[Any], z: np.ndarray, parameter: np.ndarray) -> float:
    """The largest |error| / (|∂z/∂φ| + 1e-3 |z/φ|)."""
    assert found.isfinite().all()
    pairs = zip(found.tolist(), true, z, parameter, strict=True)
    return max(float(abs(mp.mpf(f) - t) / (abs(t) + mp.mpf(1e-3) * abs(x / p))) for f, t, x, p in pairs)


def tensor(values: np.ndarray, device: torch.device, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype, device=device)


def test_gamma(device: torch.device) -> None:
    alpha = spread(-2, 5, 0)
    z = stats.gamma.ppf(levels(1), alpha)
    alpha, z = alpha[z > 1e-300], z[z > 1e-300]
    assert len(z) > 270
    found = gamma_gradient(tensor(alpha, device), tensor(z, device)).cpu() * torch.tensor(z)
    assert worst(found, map(references.gamma, alpha, z), z, alpha) < 1e-12


def test_gamma_where_the_sample_has_underflowed(device: torch.device) -> None:
    """At α = 0.01 the median is e^-69·…; ∂ log z/∂α = (ψ(α+1) - log z)/α needs only its logarithm."""
    alpha, log_z = torch.tensor([0.001, 0.01], device=device).double(), torch.tensor([-5000.0, -900.0], device=device)
    found = gamma_gradient(alpha, log_z.exp(), log_z)
    expected = (torch.digamma(alpha + 1) - log_z.double()) / alpha
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)


def test_beta(device: torch.device) -> None:
    a, b = spread(-2, 3, 2), spread(-2, 3, 3)
    z = stats.beta.ppf(levels(4), a, b)
    inside = (z > 1e-300) & (z < 1)
    a, b, z = a[inside], b[inside], z[inside]
    assert len(z) > 250
    p, q, x = (tensor(v, device) for v in (a, b, z))
    da, db = beta_gradient(p, q, x).cpu(), -beta_gradient(q, p, 1 - x, x).cpu()
    with mp.workdps(40):
        y = [1 - mp.mpf(x) for x in z]
    assert worst(da, map(references.beta, a, b, z, y), z, a) < 1e-11
    assert worst(db, [-d for d in map(references.beta, b, a, y, z)], z, b) < 1e-11


def test_student(device: torch.device) -> None:
    df = np.r_[spread(-1, 5, 5, 200), spread(-2, 0, 16, 60)]
    nearest = np.r_[np.full(200, -4.0), np.full(60, -2.0)]  # heavier tails leave the range of numbers sooner
    t = -stats.t.ppf(10 ** np.random.default_rng(6).uniform(nearest, math.log10(0.5)), df)
    df, t = df[np.isfinite(t)], t[np.isfinite(t)]
    found = student_gradient(tensor(df, device), tensor(t, device)).cpu()
    assert worst(found, map(references.student, df, t), 0 * t, df) < 2e-12  # relative to itself, over many decades
    mirrored = student_gradient(tensor(df, device), tensor(-t, device)).cpu()
    torch.testing.assert_close(mirrored, -found, rtol=0, atol=0)


def test_von_mises(device: torch.device) -> None:
    kappa = spread(-3, 4, 7)
    angle = -stats.vonmises.ppf(10 ** np.random.default_rng(8).uniform(-4, math.log10(0.5), POINTS), kappa)
    k, z = tensor(kappa, device), tensor(angle, device)
    assert worst(von_mises_gradient(k, z).cpu(), map(references.von_mises, kappa, angle), angle, kappa) < 1e-12
    torch.testing.assert_close(von_mises_gradient(k, -z), -von_mises_gradient(k, z), rtol=0, atol=0)
    tail = von_mises_tail(k, z).cpu()
    assert worst(tail, map(references.von_mises_tail, kappa, angle), 0 * angle, kappa) < 1e-12


def test_bessel_gap(device: torch.device) -> None:
    w = np.r_[1e-8, 1e-3, 0.5, 5, 20, 29.99, 30.01, 50, 1e3, 1e6]
    with mp.workdps(60):
        true = [1 - mp.besseli(1, v) / mp.besseli(0, v) for v in w]
    assert worst(bessel_gap(tensor(w, device)).cpu(), true, 0 * w, w) < 1e-13
    at = torch.tensor([0.0, 0.1, 10.0, 29.0, 31.0, 500.0], dtype=torch.float64, device=device, requires_grad=True)
    assert torch.autograd.gradcheck(bessel_gap, at, eps=1e-4, atol=1e-7)


def test_marcum(device: torch.device) -> None:
    a = spread(-2, 3, 9)
    b = np.abs(a + 4 * np.random.default_rng(10).normal(size=POINTS))
    true = list(map(references.marcum, a, b))
    for complement in (False, True):
        found = marcum_q(tensor(a, device), tensor(b, device), complement).cpu().tolist()
        errors = [abs(mp.mpf(f) - t[complement]) for f, t in zip(found, true, strict=True)]
        assert max(errors) < 1e-13
        small = [float(e / t[complement]) for e, t in zip(errors, true, strict=True) if t[complement] < 0.4]
        assert max(small) < 1e-11  # what is tiny keeps its digits
    # not at b = a, where exchanged arguments do not show
    assert marcum_q(torch.tensor(1.5), torch.tensor(3.0)).item() == pytest.approx(1 - stats.rice.cdf(3, 1.5), abs=1e-6)


def test_rice(device: torch.device) -> None:
    nu, sigma = spread(-2, 4, 11), spread(-2, 1, 12)
    x = np.abs(nu + sigma * np.random.default_rng(13).normal(size=POINTS)) + 1e-3 * sigma
    found = per_sample(Rice, [nu, sigma], x, device, torch.float64)
    true = list(map(references.rice, nu, sigma, x))
    assert worst(found[0], [t[0] for t in true], x, nu) < 1e-12
    assert worst(found[1], [t[1] for t in true], x, sigma) < 1e-12


@pytest.mark.parametrize("low", [-1.0, 1.9, 5.0, 30.0, -math.inf])
def test_truncated(low: float, device: torch.device) -> None:
    n = 40
    a, b = np.full(n, max(low, -50.0)), np.full(n, low + 2 if math.isfinite(low) else 0.3)
    loc, scale = np.full(n, 0.1), np.full(n, 0.9)
    z = stats.truncnorm.ppf(levels(14, n), (a - loc) / scale, (b - loc) / scale, loc, scale)
    true = list(map(references.truncated, loc, scale, a, b, z))
    found = per_sample(lambda m, s: TruncatedNormal(m, s, low, b[0]), [loc, scale], z, device, torch.float64)
    assert worst(found[0], [t[0] for t in true], 0 * z, loc) < 1e-10  # relative to itself
    assert worst(found[1], [t[1] for t in true], z - loc, scale) < 1e-10


def per_sample(
    make: Callable[..., Distribution],
    parameters: list[np.ndarray],
    z: np.ndarray,
    device: torch.device,
    dtype: torch.dtype,
) -> list[Tensor]:
    """The derivative that `rsample` attaches, at a sample of our choice: each parameter belongs to one sample."""
    given = [tensor(p, device, dtype).requires_grad_() for p in parameters]
    distribution = make(*given)
    drawn = at_sample(distribution, tensor(z, device, dtype))
    return [g.cpu() for g in torch.autograd.grad(drawn.sum(), given)]


def at_sample(distribution: Distribution, z: Tensor) -> Tensor:
    """`rsample`, with what it draws replaced by ``z``."""
    import workings.implicit_reparameterization as package

    with pytest.MonkeyPatch.context() as patch:
        if isinstance(distribution, Rice):
            nu, sigma = distribution.nu.detach(), distribution.sigma.detach()
            noise = torch.stack(((z - nu) / sigma, torch.zeros_like(z)))
            patch.setattr(package.rice, "normal", lambda shape, like, generator: noise)
        elif isinstance(distribution, TruncatedNormal):
            xi = (z - distribution.loc.detach()) / distribution.scale.detach()
            patch.setattr(package.truncated_normal, "_quantile", lambda u, a, b: xi.double())
        return distribution.rsample()


# ---- float32: computed in float64 inside, so only the rounding of the result is left ----

SINGLE: dict[str, tuple[Callable[..., Distribution], list[tuple[float, float]], Callable[..., object]]] = {
    "gamma": (lambda a: Gamma(a, torch.ones_like(a)), [(-0.7, 5)], references.gamma),
    "beta": (lambda a: Beta(a, torch.ones_like(a)), [(-1, 3)], lambda a, z: references.beta(a, 1.0, z, 1 - z)),
    "student": (StudentT, [(0, 4)], lambda n, t: references.student(n, abs(t)) * (1 if t > 0 else -1)),
    "von-mises": (
        lambda k: VonMises(torch.zeros_like(k), k), [(-3, 4)],
        lambda k, z: references.von_mises(k, abs(z)) * (1 if z > 0 else -1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SINGLE)
def test_single_precision(name: str, device: torch.device) -> None:
    make, ranges, reference = SINGLE[name]
    parameter = tensor(spread(*ranges[0], 15, 100), device, torch.float32).requires_grad_()
    z = make(parameter).rsample()
    assert z.dtype == torch.float32
    (found,) = torch.autograd.grad(z.sum(), parameter)
    p, at = parameter.detach().cpu().double().numpy(), z.detach().cpu().double().numpy()
    assert worst(found.cpu(), map(reference, p, at), at, p) < 1e-6


def test_mixture_in_single_precision_keeps_its_digits_in_the_upper_tail(device: torch.device) -> None:
    """dz/dlogit needs F_k - F, where both are nearly 1."""
    found = []
    for dtype in (torch.float32, torch.float64):
        logits = torch.tensor([0.3, -0.2, 0.1], dtype=dtype, device=device, requires_grad=True)
        locs = torch.tensor([-1.0, 0.5, 2.0], dtype=dtype, device=device)
        for z in (-5.5, 6.5):
            mixture = MixtureSameFamily(Categorical(logits=logits), TorchNormal(locs, torch.ones_like(locs)))
            standardized, slope = mixture.standardize(torch.tensor(z, dtype=dtype, device=device))
            (by_logits,) = torch.autograd.grad(standardized, logits)
            found.append(by_logits.double().cpu() / slope.double().cpu())
    for single, double in zip(found[:2], found[2:], strict=True):
        torch.testing.assert_close(single, double, rtol=1e-5, atol=1e-7)


# ---- extremes ----

CORNERS: dict[str, tuple[Callable[..., Distribution], list[float]]] = {
    "gamma-tiny": (Gamma, [1e-3, 100.0]),
    "gamma-huge": (Gamma, [1e8, 1.0]),
    "beta-tiny": (Beta, [1e-3, 1e-3]),
    "beta-lopsided": (Beta, [1e-3, 1e4]),
    "beta-huge": (Beta, [1e5, 2e5]),
    "dirichlet-tiny": (lambda a, b, c: Dirichlet(torch.stack((a, b, c), -1)), [1e-3, 1e-3, 1e-2]),
    "student-heavy": (lambda n: StudentT(n), [0.05]),
    "student-light": (lambda n: StudentT(n), [1e7]),
    "von-mises-uniform": (VonMises, [0.5, 0.0]),
    "von-mises-point": (VonMises, [0.5, 1e9]),
    "rice-far": (Rice, [1e5, 1e-2]),
    "rice-rayleigh": (Rice, [0.0, 1e-3]),
    "truncated-tail": (lambda m, s: TruncatedNormal(m, s, low=5.0), [0.0, 1.0]),
    "truncated-remote": (lambda m, s: TruncatedNormal(m, s, low=1000.0, high=1001.0), [0.0, 1.0]),
    "truncated-below": (lambda m, s: TruncatedNormal(m, s, high=-60.0), [0.0, 1.0]),
    "truncated-narrow": (lambda m, s: TruncatedNormal(m, s, low=0.5, high=0.50001), [0.0, 1.0]),
    "truncated-wide": (lambda m, s: TruncatedNormal(m, s), [0.3, 2.0]),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CORNERS)
def test_nothing_breaks_in_a_corner(name: str, dtype: torch.dtype, device: torch.device) -> None:
    make, values = CORNERS[name]
    parameters = [torch.full((2000,), v, dtype=dtype, device=device, requires_grad=True) for v in values]
    distribution: Any = make(*parameters)
    z = distribution.rsample()
    assert z.dtype == dtype
    assert z.isfinite().all()
    assert distribution.support.check(z).all()
    for gradient in torch.autograd.grad(z.double().sum(), parameters):
        assert gradient.isfinite().all()
    if isinstance(distribution, Gamma | Beta | Dirichlet):
        assert z.min().item() >= torch.finfo(dtype).tiny
    assert distribution.log_prob(z).isfinite().all()


def test_what_the_corners_tend_to(device: torch.device) -> None:
    """Limits that are known: uniform angles, normal angles, shifted tails, Rayleigh lengths."""
    f64 = torch.float64
    k = torch.zeros(100_000, dtype=f64, device=device, requires_grad=True)
    z = VonMises(torch.zeros_like(k), k).rsample()
    assert z.detach().cos().mean().abs().item() < 0.01
    torch.testing.assert_close(torch.autograd.grad(z.sum(), k)[0], -z.detach().sin(), atol=1e-12, rtol=0)
    # κ large: θ = ε/√κ, so ∂θ/∂κ = -θ/(2κ)
    k = torch.full((1000,), 1e9, dtype=f64, device=device, requires_grad=True)
    z = VonMises(torch.zeros_like(k), k).rsample()
    torch.testing.assert_close(torch.autograd.grad(z.sum(), k)[0], -z.detach() / 2e9, rtol=1e-6, atol=0)
    assert (z.detach() * 1e9**0.5).std().item() == pytest.approx(1.0, abs=0.1)
    # far in a tail z - a is exponential with rate a/σ²: it does not see μ alone but the rate (a - μ)/σ²
    scale = torch.ones(1000, dtype=f64, device=device, requires_grad=True)
    z = TruncatedNormal(torch.zeros_like(scale), scale, low=1e4).rsample((), torch.Generator().manual_seed(0))
    assert stats.kstest(1e4 * (z.detach().cpu() - 1e4), "expon").pvalue > 1e-3
    (gradient,) = torch.autograd.grad(z.sum(), scale)
    torch.testing.assert_close(gradient, 2 * (z.detach() - 1e4), rtol=1e-3, atol=1e-9)
    nu = torch.zeros(1000, dtype=f64, device=device, requires_grad=True)
    x = Rice(nu, 1.0).rsample()
    assert torch.autograd.grad(x.sum(), nu)[0].abs().max().item() == 0.0
