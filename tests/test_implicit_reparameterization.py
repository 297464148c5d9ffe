"""The mechanism, and gradients of expectations by Monte Carlo against closed forms, for every parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from scipy.special import ive
from scipy.stats import truncnorm
from torch import Tensor
from torch.distributions import Categorical, Distribution, Independent
from torch.distributions import Normal as TorchNormal

from workings.implicit_reparameterization import (
    Beta,
    Dirichlet,
    Gamma,
    MixtureSameFamily,
    Normal,
    Rice,
    StudentT,
    TruncatedNormal,
    VonMises,
    implicit,
    moved,
)

SHAPES = [((), ()), ((), (5,)), ((3,), ()), ((3,), (5,)), ((3,), (2, 4))]
N, PART = 1_000_000, 20_000


# ---- the mechanism ----


@pytest.mark.parametrize(("batch", "sample"), SHAPES)
def test_normal_is_what_the_explicit_form_gives_in_every_shape(
    batch: tuple[int, ...], sample: tuple[int, ...], device: torch.device
) -> None:
    """f = z³: a derivative of the summed distribution function would mix the samples up."""
    loc = (
        torch.linspace(-1, 1, 3, dtype=torch.float64, device=device)[: math.prod(batch)].reshape(batch).requires_grad_()
    )
    scale = (loc.detach() / 4 + 1).requires_grad_()
    z = Normal(loc, scale).rsample(sample)
    assert z.shape == sample + batch
    grads = torch.autograd.grad(z.pow(3).sum(), (loc, scale))
    eps = ((z - loc) / scale).detach()
    slope = (3 * z.square()).detach()
    torch.testing.assert_close(grads[0], slope.sum_to_size(batch), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(grads[1], (slope * eps).sum_to_size(batch), rtol=1e-12, atol=1e-12)


def test_only_one_parameter_needs_a_gradient() -> None:
    loc = torch.zeros(3, requires_grad=True)
    z = Normal(loc, torch.ones(3)).rsample((4,))
    assert torch.autograd.grad(z.sum(), loc)[0].tolist() == [4.0] * 3
    assert not Normal(torch.zeros(3), torch.ones(3)).rsample().requires_grad
    with torch.no_grad():
        assert not Normal(loc, 1.0).rsample().requires_grad


def test_a_shift_of_the_standardization_changes_nothing() -> None:
    rate = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    z = torch.tensor([0.5, 1.5], dtype=torch.float64)
    survival = torch.exp(-rate * z)
    down = implicit(z, -survival, (rate * survival).detach())
    assert torch.autograd.grad(down.sum(), rate)[0].item() == pytest.approx(-1.0, abs=1e-14)
    assert torch.equal(down, z)


def correlated(z: Tensor, s1: Tensor, s2: Tensor, rho: float) -> Tensor:
    """The autoregressive distribution function of a normal vector in the plane."""
    e1 = z[..., 0] / s1
    e2 = (z[..., 1] / s2 - rho * e1) / math.sqrt(1 - rho**2)
    levels: Tensor = torch.special.ndtr(torch.stack((e1, e2), -1))
    return levels


def test_two_dimensions_take_the_triangular_matrix(device: torch.device) -> None:
    """d/dσ₁ of E z₂² given the noise is 0; through S the sample of z₂ moves with z₁ (audit, equation 7)."""
    s1, s2 = (torch.tensor(v, dtype=torch.float64, device=device, requires_grad=True) for v in (1.3, 0.7))
    e = torch.randn(1000, 2, dtype=torch.float64, device=device)
    rho = 0.8
    z = torch.stack((s1 * e[:, 0], s2 * (rho * e[:, 0] + 0.6 * e[:, 1])), -1).detach()
    at = z.clone().requires_grad_()
    rows = [torch.autograd.grad(correlated(at, s1, s2, rho)[:, d].sum(), at)[0] for d in range(2)]
    slope = torch.stack(rows, -2)
    moved_z = implicit(z, correlated(z, s1, s2, rho), slope)
    grads = torch.autograd.grad((moved_z.sin() * moved_z.flip(-1)).sum(), (s1, s2))
    explicit = torch.stack((s1 * e[:, 0], s2 * (rho * e[:, 0] + 0.6 * e[:, 1])), -1)
    expected = torch.autograd.grad((explicit.sin() * explicit.flip(-1)).sum(), (s1, s2))
    torch.testing.assert_close(torch.stack(grads), torch.stack(expected), rtol=1e-10, atol=1e-10)


def test_a_second_derivative_is_refused_rather_than_dropped() -> None:
    scale = torch.tensor(1.5, requires_grad=True)
    for z in (
        Normal(0.0, scale).rsample((4,)),
        Gamma(scale, 1.0).rsample((4,)),
        Gamma(scale, 1.0).cdf(torch.ones(4)),
    ):
        (first,) = torch.autograd.grad(z.square().sum(), scale, create_graph=True)
        with pytest.raises(NotImplementedError, match="no second derivative"):
            torch.autograd.grad(first, scale)


def test_shapes_that_do_not_fit() -> None:
    z = torch.ones(4, 3)
    with pytest.raises(ValueError, match=r"standardized must be shaped like z, \(4, 3\); got \(3,\)"):
        implicit(z, torch.ones(3), z)
    with pytest.raises(ValueError, match=r"slope must be shaped like z, \(4, 3\), or hold a matrix.*got \(3, 3\)"):
        implicit(z, z, torch.ones(3, 3))
    with pytest.raises(ValueError, match="slope must be shaped like z"):
        implicit(torch.tensor(1.0), torch.tensor(1.0), torch.ones(2))


def test_known_derivatives_are_only_computed_where_needed() -> None:
    def never() -> Tensor:
        raise AssertionError("computed although nobody asked")

    a, b = torch.tensor([1.0, 2.0]), torch.tensor(3.0, requires_grad=True)
    z = moved(torch.ones(2), (a, never), (b, lambda: torch.tensor([5.0, 7.0])))
    assert torch.autograd.grad((z * torch.tensor([1.0, 10.0])).sum(), b)[0].item() == 75.0
    with torch.no_grad():
        assert not moved(torch.ones(2), (b, never)).requires_grad


# ---- unbiased ----

K, H = 1.7, 1e-5


def ratio(kappa: float) -> float:
    return float(ive(1, kappa) / ive(0, kappa))


def differences(f: Callable[..., float], at: Sequence[float]) -> list[float]:
    """Central differences of a closed form."""
    return [
        (f(*[v + H * (i == j) for j, v in enumerate(at)]) - f(*[v - H * (i == j) for j, v in enumerate(at)])) / (2 * H)
        for i in range(len(at))
    ]


def truncated_square(loc: float, scale: float, low: float, high: float) -> float:
    return float(truncnorm((low - loc) / scale, (high - loc) / scale, loc, scale).moment(2))


def mixed(*p: Tensor) -> Distribution:
    logits, locs, scales = (torch.stack(p[i : i + 2], -1) for i in (0, 2, 4))
    return MixtureSameFamily(Categorical(logits=logits), TorchNormal(locs, scales))


def mixed_cube(l0: float, l1: float, m0: float, m1: float, s0: float, s1: float) -> float:
    w = 1 / (1 + math.exp(l1 - l0))
    return w * (m0**3 + 3 * m0 * s0**2) + (1 - w) * (m1**3 + 3 * m1 * s1**2)


def mixed_plane(*p: Tensor) -> Distribution:
    """Two components in the plane: logits, then location and scale of each component and dimension."""
    logits = torch.stack(p[:2], -1)
    locs, scales = (torch.stack(p[i : i + 4], -1).reshape(*p[0].shape, 2, 2) for i in (2, 6))
    return MixtureSameFamily(Categorical(logits=logits), Independent(TorchNormal(locs, scales), 1))


def mixed_product(l0: float, l1: float, a0: float, a1: float, b0: float, b1: float, *scales: float) -> float:
    """E z₁ z₂² of it."""
    w = 1 / (1 + math.exp(l1 - l0))
    return w * a0 * (a1**2 + scales[1] ** 2) + (1 - w) * b0 * (b1**2 + scales[3] ** 2)


CASES: dict[str, tuple[Callable[..., Distribution], list[float], Callable[[Tensor], Tensor], Callable[..., float]]] = {
    "normal": (Normal, [0.3, 1.3], lambda z: z.pow(4), lambda m, s: m**4 + 6 * m**2 * s**2 + 3 * s**4),
    "von-mises": (VonMises, [0.4, K], torch.cos, lambda m, k: math.cos(m) * ratio(k)),
    "von-mises-wide": (VonMises, [-3.0, 0.2], torch.cos, lambda m, k: math.cos(m) * ratio(k)),
    "von-mises-narrow": (VonMises, [2.0, 300.0], torch.sin, lambda m, k: math.sin(m) * ratio(k)),
    "gamma": (Gamma, [2.2, 1.5], torch.square, lambda a, r: a * (a + 1) / r**2),
    "gamma-small": (Gamma, [0.05, 1.5], torch.square, lambda a, r: a * (a + 1) / r**2),
    "beta": (Beta, [0.4, 2.0], torch.square, lambda a, b: a * (a + 1) / ((a + b) * (a + b + 1))),
    "beta-large": (Beta, [30.0, 7.0], torch.square, lambda a, b: a * (a + 1) / ((a + b) * (a + b + 1))),
    "dirichlet": (
        lambda *p: Dirichlet(torch.stack(p, -1)), [0.4, 2.0, 1.1], lambda z: z[..., 0] * z[..., 2],
        lambda a, b, c: a * c / ((a + b + c) * (a + b + c + 1)),
    ),
    "student": (StudentT, [12.0, 0.3, 2.0], torch.square, lambda n, m, s: m**2 + s**2 * n / (n - 2)),
    "truncated": (TruncatedNormal, [0.3, 1.2, -0.5, 1.4], torch.square, truncated_square),
    "truncated-tail": (
        lambda m, s: TruncatedNormal(m, s, low=5.0), [0.0, 1.0], torch.square,
        lambda m, s: truncated_square(m, s, 5.0, math.inf),
    ),
    "rice": (Rice, [1.3, 0.7], lambda x: x.pow(4), lambda v, s: 8 * s**4 + 8 * s**2 * v**2 + v**4),
    "rayleigh": (Rice, [0.0, 0.7], lambda x: x.pow(4), lambda v, s: 8 * s**4 + 8 * s**2 * v**2 + v**4),
    "mixture": (mixed, [0.2, -0.3, -1.0, 2.0, 0.7, 1.1], lambda z: z.pow(3), mixed_cube),
    "mixture-plane": (
        mixed_plane, [0.2, -0.3, -1.0, 0.4, 2.0, 1.0, 0.7, 1.1, 0.9, 0.6],
        lambda z: z[..., 0] * z[..., 1].square(), mixed_product,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_expectations(name: str, device: torch.device) -> None:
    """Within 4 standard errors of the closed form, for n = 10⁶ and every parameter."""
    make, at, f, closed = CASES[name]
    generator = torch.Generator().manual_seed(1)
    parts = [drawn(make, at, f, generator, device) for _ in range(N // PART)]  # parts that stay in the cache
    values, *each = (torch.cat(column) for column in zip(*parts, strict=True))
    assert len(values) == N
    assert values.isfinite().all()
    true = differences(closed, at) if name != "rayleigh" else [0.0, 32 * 0.7**3]
    for gradient, expected, position in zip(each, true, range(len(at)), strict=True):
        error = max(gradient.std().item() / math.sqrt(N), 1e-12)
        score = (gradient.mean().item() - expected) / error
        assert abs(score) < 4, f"parameter {position}: {gradient.mean().item():g} for {expected:g}, {score:.1f} errors"
    assert np.isclose(values.mean().item(), closed(*at), atol=4 * values.std().item() / math.sqrt(N))


def drawn(
    make: Callable[..., Distribution],
    at: list[float],
    f: Callable[[Tensor], Tensor],
    generator: torch.Generator,
    device: torch.device,
) -> list[Tensor]:
    """Values of ``f`` at samples, and each value's derivatives: every sample has parameters of its own."""
    parameters = [torch.full((PART,), v, dtype=torch.float64, device=device, requires_grad=True) for v in at]
    values = f(make(*parameters).rsample((), generator))  # type: ignore[call-arg]
    return [values.detach(), *torch.autograd.grad(values.sum(), parameters)]


def test_rice_is_the_mean_of_the_explicit_gradient_given_the_sample(device: torch.device) -> None:
    """Rao–Blackwell: x = √((ν+σε₁)²+(σε₂)²) has ∂x/∂ν = cos of the angle, whose mean given x is I₁/I₀."""
    nu, sigma, n = 1.0, 1.0, 400_000
    e1, e2 = torch.randn(2, n, dtype=torch.float64, device=device)
    x = torch.hypot(nu + sigma * e1, sigma * e2)
    explicit = (nu + sigma * e1) / x
    w = x * nu / sigma**2
    averaged = torch.special.i1e(w) / torch.special.i0e(w)
    difference = explicit - averaged
    assert abs(difference.mean().item()) < 4 * difference.std().item() / math.sqrt(n)
    for low in (0.3, 1.0, 2.0, 3.0):  # not only on the whole: given x
        near = difference[(x > low) & (x < low + 0.3)]
        assert abs(near.mean().item()) < 4 * near.std().item() / math.sqrt(len(near))
    assert explicit.var().item() == pytest.approx(0.2965, rel=0.02)  # facts measured independently
    assert averaged.var().item() == pytest.approx(0.0346, rel=0.03)
