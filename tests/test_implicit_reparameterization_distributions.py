"""The distributions as distributions: densities, levels, moments, entropies and samples against SciPy; bad input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import Tensor
from torch.distributions import Categorical, Distribution, Independent, MultivariateNormal, Uniform, kl_divergence
from torch.distributions import Normal as TorchNormal

from workings.implicit_reparameterization import (
    Beta,
    Dirichlet,
    Gamma,
    Implicit,
    MixtureSameFamily,
    Normal,
    Rice,
    StudentT,
    TruncatedNormal,
    VonMises,
    marcum_q,
)


class Mixed:
    """SciPy's side of the mixture."""

    parts = (stats.norm(-1.0, 0.7), stats.norm(2.0, 1.1))
    weights = (0.3, 0.7)

    def pdf(self, z: np.ndarray) -> Any:
        return sum(w * p.pdf(z) for w, p in zip(self.weights, self.parts, strict=True))

    def cdf(self, z: np.ndarray) -> Any:
        return sum(w * p.cdf(z) for w, p in zip(self.weights, self.parts, strict=True))

    def mean(self) -> float:
        return 0.3 * -1.0 + 0.7 * 2.0

    def var(self) -> float:
        return 0.3 * (0.49 + 1.0) + 0.7 * (1.21 + 4.0) - self.mean() ** 2


def mixture(weights: Tensor, locs: Tensor, scales: Tensor) -> MixtureSameFamily:
    return MixtureSameFamily(Categorical(probs=weights), TorchNormal(locs, scales))


# name → ours, its parameters, SciPy's, values
EVERY: dict[str, tuple[Callable[..., Distribution], list[Any], Any, list[float]]] = {
    "normal": (Normal, [0.3, 1.4], stats.norm(0.3, 1.4), [-2.0, 0.1, 3.0]),
    "von-mises": (VonMises, [0.4, 1.7], stats.vonmises(1.7, loc=0.4), [-2.5, 0.1, 3.0]),
    "gamma": (Gamma, [2.2, 1.5], stats.gamma(2.2, scale=1 / 1.5), [0.1, 1.0, 4.0]),
    "gamma-small": (Gamma, [0.3, 1.5], stats.gamma(0.3, scale=1 / 1.5), [0.01, 0.2, 2.0]),
    "beta": (Beta, [0.6, 2.0], stats.beta(0.6, 2.0), [0.01, 0.3, 0.9]),
    "student": (StudentT, [4.5, 0.3, 2.0], stats.t(4.5, 0.3, 2.0), [-6.0, 0.2, 3.0]),
    "truncated": (
        TruncatedNormal, [0.3, 1.2, -0.5, 1.4],
        stats.truncnorm(-0.8 / 1.2, 1.1 / 1.2, 0.3, 1.2), [-0.4, 0.2, 1.3],
    ),
    "truncated-tail": (
        TruncatedNormal, [0.0, 1.0, 5.0, 9.0], stats.truncnorm(5.0, 9.0), [5.01, 5.1, 6.0],
    ),
    "truncated-below": (
        TruncatedNormal, [1.0, 2.0, -math.inf, 0.0], stats.truncnorm(-math.inf, -0.5, 1.0, 2.0), [-4.0, -1.0, -0.1],
    ),
    "rice": (Rice, [1.3, 0.7], stats.rice(1.3 / 0.7, scale=0.7), [0.1, 1.2, 3.0]),
    "rice-far": (Rice, [50.0, 0.7], stats.rice(50 / 0.7, scale=0.7), [48.0, 50.0, 51.0]),
    "mixture": (mixture, [[0.3, 0.7], [-1.0, 2.0], [0.7, 1.1]], Mixed(), [-2.0, 0.4, 3.0]),
}  # fmt: skip
ALL = pytest.mark.parametrize("name", EVERY)


def made(name: str, device: torch.device, dtype: torch.dtype = torch.float64) -> tuple[Any, list[Tensor]]:
    """The distribution, and those of its parameters that have gradients."""
    make, parameters, _, _ = EVERY[name]
    given = [torch.tensor(p, dtype=dtype, device=device) for p in parameters]
    finite = [p.requires_grad_() for p in given if p.isfinite().all()]
    return make(*given), finite


@ALL
def test_density_and_level_are_scipys(name: str, device: torch.device) -> None:
    ours, _ = made(name, device)
    theirs, values = EVERY[name][2:]
    z = torch.tensor(values, dtype=torch.float64, device=device)
    assert ours.log_prob(z).exp().tolist() == pytest.approx(theirs.pdf(np.array(values)), rel=1e-10)
    levels = theirs.cdf(np.array(values))
    if name == "von-mises":  # ours counts from half a turn below the mean direction, and so does theirs on its turn
        levels = theirs.cdf(np.array(values)) - theirs.cdf(0.4 - math.pi)
    assert ours.cdf(z).tolist() == pytest.approx(levels, rel=1e-10, abs=1e-13)
    assert made(name, device, torch.float32)[0].cdf(z.float()).dtype == torch.float32


@ALL
def test_moments_are_scipys(name: str, device: torch.device) -> None:
    ours, theirs = made(name, device)[0], EVERY[name][2]
    if name == "von-mises":
        assert ours.mean.item() == 0.4
        assert ours.variance.item() == pytest.approx(
            1 - theirs.expect(lambda z: np.cos(z - 0.4), lb=-2.74, ub=3.54), rel=1e-3
        )
        return
    mean, variance = (
        (theirs.mean(), theirs.var()) if name != "rice-far" else (50 + 0.49 / 100 + 0.49**2 / 1e6, 0.49 - 0.49**2 / 5e3)
    )
    assert ours.mean.item() == pytest.approx(mean, rel=1e-9)
    assert ours.variance.item() == pytest.approx(variance, rel=1e-6 if name == "rice-far" else 1e-9)


@ALL
def test_derivatives_of_density_and_level(name: str, device: torch.device) -> None:
    make, values = EVERY[name][0], EVERY[name][1]
    z = torch.tensor(EVERY[name][3], dtype=torch.float64, device=device, requires_grad=True)
    _, finite = made(name, device)

    def called(method: str) -> Callable[..., Tensor]:
        def function(z: Tensor, *parameters: Tensor) -> Tensor:
            left = iter(parameters)
            all_of_them = [next(left) if np.isfinite(v).all() else torch.tensor(v, device=device) for v in values]
            result: Tensor = getattr(make(*all_of_them), method)(z)
            return result

        return function

    for method in ("log_prob", "cdf"):
        assert torch.autograd.gradcheck(called(method), (z, *finite), atol=1e-6, rtol=1e-4)


@ALL
def test_samples_have_the_law(name: str, device: torch.device) -> None:
    """Kolmogorov–Smirnov at 10⁴ draws; the same draws from the same generator, on any device."""
    ours, theirs = made(name, device)[0], EVERY[name][2]
    assert issubclass(type(ours), Implicit)
    assert ours.has_rsample
    z = ours.sample((10_000,), torch.Generator().manual_seed(3))
    again = ours.rsample((10_000,), torch.Generator().manual_seed(3))
    torch.testing.assert_close(z, again.detach(), atol=0, rtol=0)
    assert z.shape == (10_000,)
    assert ours.support.check(z).all()
    start, turn = (theirs.cdf(0.4 - math.pi), _turn) if name == "von-mises" else (0.0, np.asarray)
    assert stats.kstest(turn(z.cpu().numpy()), lambda x: theirs.cdf(x) - start).pvalue > 1e-3
    other = ours.sample((10_000,), torch.Generator().manual_seed(4))
    assert not torch.equal(z, other)
    torch.manual_seed(5)
    by_torch = ours.sample((10_000,))
    assert stats.kstest(turn(by_torch.cpu().numpy()), lambda x: theirs.cdf(x) - start).pvalue > 1e-3


def _turn(x: np.ndarray) -> np.ndarray:
    """Angles on the turn around 0.4."""
    return (x - 0.4 + math.pi) % (2 * math.pi) - math.pi + 0.4


@pytest.mark.parametrize(
    "unchecked",
    [
        VonMises(torch.tensor(0.0), torch.tensor(-1.0), validate_args=False),
        Rice(1.0, -1.0, validate_args=False),
        TruncatedNormal(0.0, -1.0, validate_args=False),
    ],
    ids=lambda d: type(d).__name__,
)
def test_what_was_not_checked_is_not_checked_when_expanded(unchecked: Distribution) -> None:
    """As torch's own distributions do it."""
    assert TorchNormal(0.0, -1.0, validate_args=False).expand((2,)).batch_shape == (2,)
    wide = unchecked.expand((2,))
    assert wide.batch_shape == (2,)
    assert not wide._validate_args


@ALL
def test_shapes(name: str, device: torch.device) -> None:
    one, parameters = made(name, device, torch.float32)
    wide = one.expand((4, 3))
    assert type(wide) is type(one)
    assert wide.batch_shape == (4, 3)
    z = wide.rsample((2,))
    assert z.shape == (2, 4, 3)
    assert z.dtype == torch.float32
    assert wide.log_prob(z).shape == wide.cdf(z).shape == (2, 4, 3)
    assert one.rsample().shape == ()
    assert wide.mean.shape == wide.variance.shape == (4, 3)
    for gradient, p in zip(torch.autograd.grad(z.sum(), parameters), parameters, strict=True):
        assert gradient.shape == p.shape
        assert gradient.isfinite().all()
    with torch.no_grad():
        assert not wide.rsample().requires_grad
    assert not wide.sample().requires_grad


def entropy_of(q: Distribution, points: np.ndarray) -> float:
    log = q.log_prob(torch.tensor(points, dtype=torch.float64)).numpy()
    return float(-integrate.simpson(np.exp(log) * log, x=points))


def divergence(p: Distribution, q: Distribution, points: np.ndarray) -> float:
    log_p, log_q = (d.log_prob(torch.tensor(points)).numpy() for d in (p, q))
    return float(integrate.simpson(np.exp(log_p) * (log_p - log_q), x=points))


def f64(*values: float) -> Any:
    return [torch.tensor(v, dtype=torch.float64) for v in values]


def truncated(*values: float) -> Any:
    return TruncatedNormal(*f64(*values))


def test_entropies_and_divergences_by_quadrature() -> None:
    circle = np.linspace(-math.pi, math.pi, 4001)
    for kappa in (0.0, 1.7, 60.0):
        p, q = VonMises(*f64(0.4, kappa)), VonMises(*f64(-1.1, 2.5))
        assert p.entropy().item() == pytest.approx(entropy_of(p, circle), abs=1e-9)
        assert kl_divergence(p, q).item() == pytest.approx(divergence(p, q, circle), abs=1e-8)
        uniform = Uniform(*f64(-math.pi, math.pi))
        assert kl_divergence(p, uniform).item() == pytest.approx(
            math.log(2 * math.pi) - entropy_of(p, circle), abs=1e-8
        )
    assert kl_divergence(VonMises(*f64(0.0, 1.0)), Uniform(-1.0, 1.0)).item() == math.inf
    between = np.linspace(-0.5, 1.4, 4001)
    p, q, narrow = (truncated(*v) for v in ((0.3, 1.2, -0.5, 1.4), (1.3, 0.6, -1.0, 2.0), (0.3, 1.2, 0.0, 1.0)))
    assert p.entropy().item() == pytest.approx(entropy_of(p, between), abs=1e-9)
    assert kl_divergence(p, q).item() == pytest.approx(divergence(p, q, between), abs=1e-9)
    aside = truncated(3.0, 0.6, -1.0, 2.0)  # whose mode is a bound
    assert kl_divergence(p, aside).item() == pytest.approx(divergence(p, aside, between), abs=1e-9)
    assert kl_divergence(p, narrow).item() == math.inf
    tail = truncated(0.0, 1.0, 30.0, 32.0)
    assert tail.entropy().item() == pytest.approx(entropy_of(tail, np.linspace(30, 32, 20_001)), abs=1e-8)


def test_what_is_inherited_from_torch() -> None:
    """Entropies and divergences of the gamma family are torch's own."""
    assert Gamma(2.0, 3.0).entropy() == torch.distributions.Gamma(2.0, 3.0).entropy()
    theirs = kl_divergence(torch.distributions.Beta(1.0, 2.0), torch.distributions.Beta(2.0, 2.0))
    assert kl_divergence(Beta(1.0, 2.0), Beta(2.0, 2.0)) == theirs
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 3.0])
    theirs = kl_divergence(torch.distributions.Dirichlet(a), torch.distributions.Dirichlet(b))
    assert kl_divergence(Dirichlet(a), Dirichlet(b)) == theirs


def test_angles_stay_on_one_turn() -> None:
    q = VonMises(*f64(3.0, 1.0))
    z = q.sample((10_000,), torch.Generator().manual_seed(0))
    assert z.abs().max().item() <= math.pi
    assert z.min().item() < -3  # beyond π they come back from below
    far = torch.tensor([0.5, 0.5 + 2 * math.pi, 0.5 - 4 * math.pi], dtype=torch.float64)
    assert q.log_prob(far).tolist() == pytest.approx([q.log_prob(far[0]).item()] * 3)
    assert q.cdf(far).tolist() == pytest.approx([q.cdf(far[0]).item()] * 3)


def test_shares_of_gamma_variables_that_underflow() -> None:
    """Beta(a, a) for tiny a is nearly a coin: ratios of numbers that underflow would be 1/2 or nothing."""
    z = Beta(*f64(0.002, 0.002)).sample((20_000,), torch.Generator().manual_seed(0))
    between = ((z > 0.1) & (z < 0.9)).double().mean().item()
    assert between == pytest.approx(stats.beta(0.002, 0.002).cdf(0.9) - stats.beta(0.002, 0.002).cdf(0.1), abs=0.002)
    assert (z > 0.5).double().mean().item() == pytest.approx(0.5, abs=0.02)
    three = Dirichlet(torch.full((3,), 0.002)).sample((20_000,), torch.Generator().manual_seed(0))
    assert (three.amax(-1) > 0.99).double().mean().item() > 0.97
    assert three.argmax(-1).bincount().tolist() == pytest.approx([20_000 / 3] * 3, rel=0.05)


def test_dirichlet_is_the_beta_distribution_in_two_dimensions() -> None:
    z = Dirichlet(torch.tensor([0.6, 2.0])).sample((10_000,), torch.Generator().manual_seed(1))
    assert z.sum(-1).tolist() == pytest.approx([1.0] * 10_000, abs=1e-6)
    assert stats.kstest(z[:, 0].numpy(), stats.beta(0.6, 2.0).cdf).pvalue > 1e-3
    assert Dirichlet(torch.ones(3)).expand((5,)).rsample((2,)).shape == (2, 5, 3)


def test_explicit_and_implicit_truncation_agree(device: torch.device) -> None:
    """Equation 7 gives what autograd through Φ⁻¹ gives, for all four parameters and on either side."""
    for bounds in ((-0.5, 1.2), (1.0, 4.0), (-5.0, -3.0), (6.0, 9.0)):
        values = [0.2, 1.3, *bounds]
        p = [torch.full((50,), v, dtype=torch.float64, device=device, requires_grad=True) for v in values]
        d = TruncatedNormal(*p)  # type: ignore[arg-type]
        u = torch.linspace(0.01, 0.99, 50, dtype=torch.float64, device=device)
        explicit = d.icdf(u)
        torch.testing.assert_close(d.cdf(explicit), u, atol=1e-10, rtol=0)
        expected = torch.autograd.grad(explicit.sum(), p)
        z, a, b = explicit.detach(), *(bound.detach() for bound in d._bounds())
        with torch.no_grad():
            for found in (d._derivatives(z)[1:], d._short_side(z, a, b)[1:]):
                for f, e in zip(found, expected, strict=True):
                    torch.testing.assert_close(f, e, atol=1e-10, rtol=1e-9)


def test_rice_levels_and_their_complement() -> None:
    """Not at x = ν, where exchanged arguments of the Marcum function do not show."""
    nu, sigma, x = f64(1.2, 0.9, 0.4)
    theirs = stats.rice(1.2 / 0.9, scale=0.9)
    assert Rice(nu, sigma).cdf(x).item() == pytest.approx(theirs.cdf(0.4), rel=1e-10)
    assert marcum_q(nu / sigma, x / sigma).item() == pytest.approx(theirs.sf(0.4), rel=1e-10)
    far = torch.tensor(20.0, dtype=torch.float64)
    assert marcum_q(nu / sigma, far).item() == pytest.approx(stats.ncx2(2, (1.2 / 0.9) ** 2).sf(400), rel=1e-6)


# ---- mixtures ----


def plane(device: torch.device, dims: int = 3) -> tuple[MixtureSameFamily, list[Tensor]]:
    generator = torch.Generator().manual_seed(2)
    logits, locs, scales = (
        torch.randn(s, dtype=torch.float64, generator=generator) for s in ((4,), (4, dims), (4, dims))
    )
    given = [p.to(device).requires_grad_() for p in (logits, locs, scales.exp())]
    return MixtureSameFamily(Categorical(logits=given[0]), Independent(TorchNormal(given[1], given[2]), 1)), given


def test_standardized_mixture_is_uniform_and_its_matrix_triangular(device: torch.device) -> None:
    """Rosenblatt: uniform and uncorrelated coordinates, where the marginal distribution functions are correlated."""
    d, _ = plane(device)
    z = d.sample((20_000,), torch.Generator().manual_seed(0))
    s = d.standardize(z)[0].detach().cpu().numpy() % 1  # normal components: less 1 in the upper tail of each
    for k in range(3):
        assert stats.kstest(s[:, k], "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(s.T) - np.eye(3)).max() < 0.03
    at = z[:5]
    slope = d.standardize(at)[1]
    for i in range(5):
        jacobian = torch.autograd.functional.jacobian(lambda x: d.standardize(x)[0], at[i])
        torch.testing.assert_close(slope[i], jacobian, atol=1e-10, rtol=1e-8)
    assert (slope.triu(1) == 0).all()
    assert slope.tril(-1).abs().max() > 0.1


def test_mixture_of_one_component_is_that_component(device: torch.device) -> None:
    loc, scale = (torch.tensor([[v, -v]], dtype=torch.float64, device=device, requires_grad=True) for v in (0.5, 1.2))
    d = MixtureSameFamily(
        Categorical(logits=torch.zeros(1, device=device)), Independent(TorchNormal(loc, scale.abs()), 1)
    )
    z = d.rsample((7,))
    found = torch.autograd.grad(z.pow(3).sum(), (loc, scale))
    eps = ((z - loc) / scale.abs()).detach()
    slope = (3 * z.square()).detach()
    torch.testing.assert_close(found[0], slope.sum(0, keepdim=True))
    torch.testing.assert_close(found[1], (slope * eps).sum(0, keepdim=True) * scale.sign())


def test_mixture_of_other_components(device: torch.device) -> None:
    """Components of our own, whose distribution functions are differentiable, and torch's Laplace."""
    alpha = torch.tensor([2.0, 9.0], dtype=torch.float64, device=device, requires_grad=True)
    d = MixtureSameFamily(
        Categorical(probs=torch.tensor([0.4, 0.6], device=device)), Gamma(alpha, torch.ones_like(alpha))
    )
    z = d.rsample((200_000,), torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad(z.mean(), alpha)  # of 0.4 α₁ + 0.6 α₂
    assert gradient.tolist() == pytest.approx([0.4, 0.6], abs=0.02)
    loc = torch.tensor([-1.0, 4.0], dtype=torch.float64, device=device, requires_grad=True)
    d = MixtureSameFamily(
        Categorical(probs=torch.tensor([0.4, 0.6], device=device)), torch.distributions.Laplace(loc, 1.0)
    )
    (gradient,) = torch.autograd.grad(d.rsample((200_000,), torch.Generator().manual_seed(0)).mean(), loc)
    assert gradient.tolist() == pytest.approx([0.4, 0.6], abs=0.02)


def test_components_that_cannot_be_standardized() -> None:
    weights = Categorical(logits=torch.zeros(2))
    with pytest.raises(
        ValueError, match=r"component_distribution must be univariate, or Independent.*MultivariateNormal"
    ):
        MixtureSameFamily(weights, MultivariateNormal(torch.zeros(2, 3), torch.eye(3)))
    images = Independent(TorchNormal(torch.zeros(2, 3, 4), 1.0), 2)
    with pytest.raises(ValueError, match=r"event shape \(3, 4\)"):
        MixtureSameFamily(weights, images)


# ---- bad input ----

BAD: list[tuple[Callable[..., Distribution], list[float], str]] = [
    (VonMises, [0.0, -1.0], "concentration"),
    (Rice, [-1.0, 1.0], "nu"),
    (Rice, [1.0, 0.0], "sigma"),
    (TruncatedNormal, [0.0, -1.0], "scale"),
    (TruncatedNormal, [0.0, 1.0, 2.0, 2.0], "low must be below high; got low=2 and high=2"),
    (TruncatedNormal, [0.0, 1.0, math.nan, 2.0], "low must be below high"),
    (Gamma, [0.0, 1.0], "concentration"),
    (Beta, [1.0, -1.0], "concentration"),
    (Normal, [0.0, 0.0], "scale"),
]


@pytest.mark.parametrize(("make", "values", "message"), BAD)
def test_bad_parameters(make: Callable[..., Distribution], values: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(*map(torch.tensor, values), validate_args=True)
    make(*map(torch.tensor, values), validate_args=False)


@pytest.mark.parametrize(
    ("distribution", "value"),
    [
        (Rice(1.0, 1.0), -1.0),
        (Gamma(1.0, 1.0), -1.0),
        (Beta(1.0, 1.0), 1.5),
        (TruncatedNormal(0.0, 1.0, 0.0, 1.0), 1.5),
        (VonMises(*f64(0.0, 1.0)), math.nan),
        (StudentT(1.0), math.nan),
    ],
)
def test_bad_values(distribution: Distribution, value: float) -> None:
    for method in (distribution.log_prob, distribution.cdf):
        with pytest.raises(ValueError, match="support"):
            method(torch.tensor(value))


def test_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(RuntimeError, match="size"):
        Rice(torch.ones(2), torch.ones(3))
    with pytest.raises(ValueError, match="a must not be negative; got -1"):
        marcum_q(torch.tensor(-1.0), torch.tensor(1.0))
    with pytest.raises(ValueError, match="b must not be negative"):
        marcum_q(torch.tensor(1.0), torch.tensor(-1.0))
