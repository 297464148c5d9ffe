"""Paths, exact marginals and losses against autograd, closed forms and quadrature: the fast, discriminating tests."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor

from workings.flow_matching import (
    ConditionalOT,
    EmpiricalMarginal,
    GaussianPath,
    Geometric,
    Linear,
    VarianceExploding,
    VariancePreserving,
    conditional_loss,
    convert,
    marginal_loss,
)

# a reversed time does not show with the geometric schedule, nor does a lost 1 − σ_min where σ_min is 0
PATHS: dict[str, GaussianPath] = {
    "ve": VarianceExploding(Geometric(0.05, 3.0)),
    "ve-linear": VarianceExploding(Linear(0.1, 2.0)),
    "vp": VariancePreserving(),
    "vp-other": VariancePreserving(beta_min=0.5, beta_max=4.0),
    "ot": ConditionalOT(sigma_min=0.1),
    "ot-0": ConditionalOT(),
}
EVERY = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


def f64(values: Any, device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=device)


def states(*shape: int, seed: int, device: torch.device) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(device)


# ---- the paths ----


@EVERY
def test_derivatives_are_those_of_autograd(path: GaussianPath, device: torch.device) -> None:
    t = f64([0.0, 0.1, 0.37, 0.5, 0.9, 0.99], device).requires_grad_()
    for function, derivative in ((path.alpha, path.d_alpha), (path.sigma, path.d_sigma)):
        value = function(t)
        slope = torch.autograd.grad(value.sum(), t)[0] if value.requires_grad else torch.zeros_like(t)
        assert value.shape == derivative(t).shape == t.shape
        torch.testing.assert_close(derivative(t), slope, atol=1e-12, rtol=1e-10)


@EVERY
def test_conditional_velocity_is_the_time_derivative_of_the_flow(path: GaussianPath, device: torch.device) -> None:
    """Theorem 3: u_t(ψ_t(x₀)) = d/dt ψ_t(x₀), by autograd, at a time of its own for each state."""
    x0, x1 = states(5, 3, seed=1, device=device), 2 + states(5, 3, seed=2, device=device)
    t = f64([0.05, 0.3, 0.5, 0.8, 0.97], device)
    x, u = path.sample(t, x0, x1)
    torch.testing.assert_close(x, path.flow(t, x0, x1), atol=0, rtol=0)
    for i in range(5):
        moved = torch.autograd.functional.jacobian(lambda s, i=i: path.flow(s, x0[i], x1[i]), t[i])
        torch.testing.assert_close(u[i], moved, atol=1e-11, rtol=1e-10)
    torch.testing.assert_close(path.velocity(t, x, x1), u, atol=1e-11, rtol=1e-9)


@EVERY
def test_points_have_the_mean_and_the_deviation_of_the_path(path: GaussianPath, device: torch.device) -> None:
    x1, t = f64([2.0, -1.0], device), f64(0.4, device)
    x0 = states(200_000, 2, seed=3, device=device)
    x = path.flow(t, x0, x1.expand_as(x0))
    sigma = path.sigma(t).item()
    torch.testing.assert_close(x.mean(0), path.mean(t, x1), atol=5 * sigma / math.sqrt(2e5), rtol=0)
    assert x.std(0).tolist() == pytest.approx([sigma] * 2, rel=0.01)


def test_ends_of_the_paths(device: torch.device) -> None:
    """Only the optimal-transport path starts from a standard normal; the others by how much they do not."""
    x1, start, end = f64([2.0], device), f64(0.0, device), f64(1.0, device)
    ot, vp, ve = ConditionalOT(sigma_min=0.1), VariancePreserving(), VarianceExploding()

    def ends(path: GaussianPath) -> list[float]:
        return [value.item() for t in (start, end) for value in (path.mean(t, x1), path.sigma(t))]

    assert ends(ot) == pytest.approx([0.0, 1.0, 2.0, 0.1])
    assert vp.mean(start, x1).item() == pytest.approx(2 * math.exp(-10.05 / 2), rel=1e-12)
    assert ends(vp) == pytest.approx([0.01314, 0.999978, 2.0, 0.0], abs=1e-5)
    assert ends(ve) == pytest.approx([2.0, 50.0, 2.0, 0.01])
    t = torch.linspace(0, 1, 11, dtype=torch.float64, device=device)
    torch.testing.assert_close(vp.alpha(t) ** 2 + vp.sigma(t) ** 2, torch.ones_like(t), atol=1e-14, rtol=0)


def test_where_a_path_stops_and_how_wide_its_noise_is() -> None:
    assert (ConditionalOT(0.1).last, ConditionalOT().last, VariancePreserving().last) == (1.0, 1 - 1e-5, 1 - 1e-5)
    assert (Linear(), Geometric()) == (Linear(0.01, 50.0), Geometric(0.01, 50.0))
    assert (VarianceExploding().last, VarianceExploding(Linear(0.0, 2.0)).last) == (1.0, 1 - 1e-5)
    assert VarianceExploding(Linear(0.1, 2.0)).noise_std == pytest.approx(2.0)
    assert ConditionalOT().noise_std == 1.0


def test_vp_velocity_in_both_forms_of_the_paper(device: torch.device) -> None:
    """Equation 19: with primes for derivatives in the symbol's own argument, T'(s) = β_min + s (β_max − β_min)."""
    path, x, x1 = VariancePreserving(), states(4, 2, seed=4, device=device), states(4, 2, seed=5, device=device)
    for time in (0.0, 0.3, 0.8, 0.999):
        s = 1 - time
        T, slope = 0.1 * s + 0.5 * s**2 * 19.9, 0.1 + s * 19.9
        alpha = math.exp(-T / 2)
        first = -slope / 2 * alpha / (1 - alpha**2) * (alpha * x - x1)
        second = -slope / 2 * (math.exp(-T) * x - math.exp(-T / 2) * x1) / (1 - math.exp(-T))
        torch.testing.assert_close(first, second, atol=1e-10, rtol=1e-10)
        torch.testing.assert_close(path.velocity(f64(time, device), x, x1), second, atol=1e-10, rtol=1e-10)


def test_states_of_any_shape_and_dtype(device: torch.device) -> None:
    path, t = ConditionalOT(sigma_min=0.1), torch.tensor([0.2, 0.7], device=device)
    x0, x1 = torch.ones(2, 3, 4, 5, device=device), torch.zeros(2, 3, 4, 5, device=device)
    x, u = path.sample(t, x0, x1)
    assert x.dtype == torch.float32
    assert x[:, 0, 0, 0].tolist() == pytest.approx([0.82, 0.37])
    assert u.unique().tolist() == pytest.approx([-0.9])
    times = path.times(1000, x0, torch.Generator().manual_seed(0))
    assert times.shape == (1000,)
    assert times.dtype == torch.float32
    assert torch.equal(times, path.times(1000, x0, torch.Generator().manual_seed(0)))
    stopped = VariancePreserving().times(1000, x0, torch.Generator().manual_seed(0))
    assert torch.equal(stopped, (1 - 1e-5) * ConditionalOT(0.1).times(1000, x0, torch.Generator().manual_seed(0)))
    assert times.mean().item() == pytest.approx(0.5, abs=0.05)


# ---- the marginal ----


def gaussians(path: GaussianPath, data: Tensor, weights: Tensor, t: float) -> list[tuple[float, Any]]:
    """The marginal as SciPy's mixture."""
    time = torch.tensor(t, dtype=torch.float64)
    return [
        (float(w), multivariate_normal(path.mean(time, point).numpy(), float(path.sigma(time)) ** 2))
        for w, point in zip(weights.cpu(), data.cpu(), strict=True)
    ]


@EVERY
@pytest.mark.parametrize("block", [1, 7, 2**23])
def test_marginal_density_and_velocity_are_the_sums_of_the_definition(
    path: GaussianPath, block: int, device: torch.device
) -> None:
    data, x = states(6, 2, seed=6, device=device), states(3, 4, 2, seed=7, device=device)
    weights = f64([0.1, 0.3, 0.0, 0.2, 0.15, 0.25], device)
    marginal, t = EmpiricalMarginal(path, data, 2 * weights, block=block), f64(0.6, device)
    mixture = gaussians(path, data, weights, 0.6)
    parts = np.stack([w * component.pdf(x.cpu().numpy()) for w, component in mixture])
    posterior = torch.tensor(parts / parts.sum(0), device=device)
    velocities = torch.stack([path.velocity(t, x, point.expand_as(x)) for point in data])
    np.testing.assert_allclose(marginal.log_prob(t, x).cpu(), np.log(parts.sum(0)), atol=1e-12)
    torch.testing.assert_close(
        marginal.velocity(t, x), (posterior[..., None] * velocities).sum(0), atol=1e-12, rtol=1e-10
    )
    seen = [0, 1, 3, 4, 5]
    torch.testing.assert_close(marginal.posterior(t, x), posterior[seen].movedim(0, -1), atol=1e-13, rtol=1e-10)
    torch.testing.assert_close(marginal.denoised(t, x), marginal.posterior(t, x) @ data[seen], atol=1e-13, rtol=1e-10)


@EVERY
def test_score_is_the_gradient_of_the_density(path: GaussianPath, device: torch.device) -> None:
    marginal = EmpiricalMarginal(path, states(5, 3, seed=8, device=device))
    x, t = states(4, 3, seed=9, device=device).requires_grad_(), f64([0.2, 0.5, 0.7, 0.9], device)
    slope = torch.autograd.grad(marginal.log_prob(t, x).sum(), x)[0]
    torch.testing.assert_close(marginal.score(t, x.detach()), slope, atol=1e-10, rtol=1e-9)


@EVERY
def test_continuity_equation_of_the_marginal(path: GaussianPath, device: torch.device) -> None:
    """∂ₜp + ∇·(pu) = 0 by autograd in both t and x: theorem 1; with the prior for the posterior it fails."""
    data, weights = states(4, 2, seed=10, device=device), f64([0.4, 0.1, 0.2, 0.3], device)
    marginal = EmpiricalMarginal(path, data, weights)
    x, t = states(6, 2, seed=11, device=device), f64(0.55, device).requires_grad_()
    residual, size = [], []
    for point in x:
        z = point.clone().requires_grad_()
        p = marginal.log_prob(t, z[None]).exp()[0]
        by_t = torch.autograd.grad(p, t)[0]
        flux = torch.autograd.functional.jacobian(
            lambda y: marginal.log_prob(t, y[None]).exp() * marginal.velocity(t, y[None])[0], z
        )
        residual.append(abs((by_t + flux.trace()).item()))
        size.append(abs(by_t.item()))
    assert max(residual) < 1e-11 * max(1.0, max(size))
    assert max(size) > 1e-3


def test_far_points_and_narrow_components_do_not_overflow(device: torch.device) -> None:
    """Where every component underflows, the nearest data point is the posterior."""
    for dtype in (torch.float32, torch.float64):
        data = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=dtype, device=device)
        marginal, t = EmpiricalMarginal(ConditionalOT(1e-3), data), torch.tensor(1.0, dtype=dtype, device=device)
        x = torch.tensor([[300.0, 5.0], [-0.2, 40.0]], dtype=dtype, device=device)
        assert marginal.denoised(t, x).tolist() == [[1.0, 0.0], [-1.0, 0.0]]
        assert marginal.log_prob(t, x).isfinite().all()
        assert marginal.posterior(t, x).tolist() == [[0.0, 1.0], [1.0, 0.0]]
        assert marginal.log_prob(t, x).dtype == dtype


def test_a_time_for_each_point(device: torch.device) -> None:
    marginal = EmpiricalMarginal(VariancePreserving(), states(7, 2, seed=12, device=device), block=30)
    x, t = states(5, 2, seed=13, device=device), f64([0.0, 0.2, 0.5, 0.8, 0.99], device)
    for method in (marginal.velocity, marginal.log_prob, marginal.score, marginal.denoised, marginal.posterior):
        together = method(t, x)
        torch.testing.assert_close(together, torch.stack([method(s, point) for s, point in zip(t, x, strict=True)]))


# ---- the losses ----


def field(theta: Tensor, t: Tensor, x: Tensor) -> Tensor:
    """A small nonlinear field with five parameters, on the line."""
    return theta[0] * torch.tanh(theta[1] * x + theta[2] * t[..., None]) + theta[3] * x + theta[4]


@pytest.mark.parametrize("path", [PATHS["ve-linear"], PATHS["vp-other"], PATHS["ot"]], ids=["ve", "vp", "ot"])
def test_both_losses_have_one_gradient_and_differ_by_a_constant(path: GaussianPath, device: torch.device) -> None:
    """Theorem 2, by quadrature over x for two data points: equal gradients, a gap that no parameter changes."""
    data, weights = f64([[-1.2], [0.9]], device), f64([0.35, 0.65], device)
    marginal = EmpiricalMarginal(path, data, weights)
    x = torch.linspace(-12, 12, 4001, dtype=torch.float64, device=device)[:, None]
    dx, gaps = (x[1] - x[0]).item(), []
    for values in ([0.5, 1.2, -0.7, 0.3, 0.1], [-1.0, 0.4, 2.0, -0.6, 0.8]):
        theta = f64(values, device).requires_grad_()
        losses = theta.new_zeros(2)
        for time in np.linspace(0.02, 0.9, 12):
            t = torch.full((len(x),), time, dtype=torch.float64, device=device)
            v, p = field(theta, t, x), marginal.log_prob(t, x).exp()
            to_marginal = (p * (v - marginal.velocity(t, x)).square()[:, 0]).sum()
            squares = torch.stack([(v - path.velocity(t, x, x1.expand_as(x))).square()[:, 0] for x1 in data], -1)
            to_conditional = (p * (marginal.posterior(t, x) * squares).sum(-1)).sum()
            losses = losses + dx / 12 * torch.stack((to_marginal, to_conditional))
        slopes = [torch.autograd.grad(loss, theta, retain_graph=True)[0] for loss in losses]
        torch.testing.assert_close(slopes[0], slopes[1], atol=1e-10, rtol=1e-10)
        gaps.append((losses[1] - losses[0]).item())
    assert gaps[0] == pytest.approx(gaps[1], abs=1e-10)
    assert gaps[0] > 0.1


@pytest.mark.parametrize("path", [PATHS["ve-linear"], PATHS["vp-other"], PATHS["ot"]], ids=["ve", "vp", "ot"])
def test_losses_of_a_batch_agree_in_gradient_on_average(path: GaussianPath, device: torch.device) -> None:
    """The functions themselves, by Monte Carlo on the same points: within four standard errors."""
    data = states(8, 2, seed=14, device=device)
    marginal, generator = EmpiricalMarginal(path, data), torch.Generator().manual_seed(15)
    theta, n, slopes = states(2, 2, seed=16, device=device).requires_grad_(), 20_000, []
    x1 = data[torch.randint(0, 8, (n,), generator=generator)].to(device)
    x0 = torch.randn(n, 2, dtype=torch.float64, generator=generator).to(device)
    t = 0.9 * torch.rand(n, dtype=torch.float64, generator=generator).to(device)
    x, _ = path.sample(t, x0, x1)
    for i in range(2):
        parts = []
        for chunk in torch.arange(n, device=device).split(1000):
            given = (lambda t, x: x @ theta, path, x1[chunk], x0[chunk], t[chunk])
            loss = marginal_loss(given[0], marginal, t[chunk], x[chunk]) if i else conditional_loss(*given)
            parts.append(torch.autograd.grad(loss, theta)[0])
        slopes.append(torch.stack(parts))
    difference = slopes[0] - slopes[1]
    error = difference.std(0) / math.sqrt(len(difference))
    assert (difference.mean(0).abs() < 4 * error).all()
    assert (slopes[0].mean(0).abs() > 8 * error).any()


def test_the_marginal_velocity_leaves_the_irreducible_loss(device: torch.device) -> None:
    """At the best field the conditional loss is E Var(u | x), and any other field is worse."""
    path, data = PATHS["ot"], f64([[-1.0], [1.0]], device)
    marginal, n = EmpiricalMarginal(path, data), 50_000
    generator = torch.Generator().manual_seed(17)
    x1 = data[torch.randint(0, 2, (n,), generator=generator)]
    x0, t = (torch.randn(n, k, dtype=torch.float64, generator=generator).to(device) for k in (1, 1))
    t = torch.special.ndtr(t[:, 0])
    x, u = path.sample(t, x0, x1)
    best = conditional_loss(marginal.velocity, path, x1, x0, t).item()
    variance = (u - marginal.velocity(t, x)).square().mean().item()
    assert best == pytest.approx(variance, rel=1e-9)
    assert marginal_loss(marginal.velocity, marginal, t, x).item() < 1e-20
    assert conditional_loss(lambda t, x: marginal.velocity(t, x) + 0.2, path, x1, x0, t).item() > best + 0.02
    posterior = marginal.posterior(t, x)
    by_hand = (
        posterior.prod(-1)
        * (path.velocity(t, x, data[0].expand_as(x)) - path.velocity(t, x, data[1].expand_as(x))).square()[:, 0]
    )
    assert best == pytest.approx(by_hand.mean().item(), rel=0.03)


def test_a_loss_is_a_sum_over_dimensions_and_a_mean_over_the_batch(device: torch.device) -> None:
    x1, x0 = torch.full((5, 2, 3), 2.0, device=device), torch.zeros(5, 2, 3, device=device)
    t = torch.full((5,), 0.5, device=device)
    loss = conditional_loss(lambda t, x: torch.zeros_like(x), ConditionalOT(), x1, x0, t)
    assert loss.item() == pytest.approx(6 * 4.0)


def test_what_a_loss_draws(device: torch.device) -> None:
    """Uniform times and standard normal noise, the same from the same generator, on any device."""
    seen: list[Tensor] = []

    def spy(t: Tensor, x: Tensor) -> Tensor:
        seen.extend((t, x))
        return torch.zeros_like(x)

    x1 = torch.zeros(40_000, 1, device=device)
    losses = [conditional_loss(spy, ConditionalOT(), x1, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]
    t, noise = seen[0], seen[1][:, 0] / (1 - seen[0])
    assert t.shape == (40_000,)
    assert noise.std().item() == pytest.approx(1, abs=0.02)
    assert (t.mean().item(), t.std().item()) == pytest.approx((0.5, 1 / math.sqrt(12)), abs=0.01)


# ---- conversions ----


@EVERY
def test_four_predictions_say_the_same(path: GaussianPath, device: torch.device) -> None:
    """Of the exact marginal: the velocity, the score by autograd, the posterior means of noise and data."""
    marginal, t = EmpiricalMarginal(path, states(5, 2, seed=18, device=device)), f64([0.3, 0.6, 0.9], device)
    x = states(3, 2, seed=19, device=device)
    data = marginal.denoised(t, x)
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    values = {
        "velocity": marginal.velocity(t, x),
        "score": marginal.score(t, x),
        "noise": (x - alpha * data) / sigma,
        "data": data,
    }
    for source, value in values.items():
        for target, expected in values.items():
            found = convert(path, t, x, value, source=source, target=target)
            torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


def test_score_of_the_diffusion_path_by_hand(device: torch.device) -> None:
    """The usual sign: u = ½ T'(1 − t) (x + ∇ log p), on the variance-preserving path."""
    path, t = VariancePreserving(), f64(0.4, device)
    x, score = states(3, 2, seed=20, device=device), states(3, 2, seed=21, device=device)
    expected = 0.5 * (0.1 + 0.6 * 19.9) * (x + score)
    torch.testing.assert_close(convert(path, t, x, score, source="score", target="velocity"), expected)


# ---- bad input ----


X = torch.zeros(3, 2)
T = torch.full((3,), 0.5)
BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda: ConditionalOT(-0.1), ValueError, r"sigma_min must be in \[0, 1\); got -0.1"),
    (lambda: ConditionalOT(1.0), ValueError, r"sigma_min must be in \[0, 1\); got 1.0"),
    (
        lambda: VariancePreserving(2.0, 1.0),
        ValueError,
        r"0 <= beta_min <= beta_max, .*; got beta_min=2.0, beta_max=1.0",
    ),
    (lambda: VariancePreserving(0.0, 0.0), ValueError, r"and not both 0"),
    (lambda: Geometric(0.0, 1.0), ValueError, r"must be 0 < low < high; got low=0.0, high=1.0"),
    (lambda: Linear(1.0, 1.0), ValueError, r"must be 0 <= low < high; got low=1.0, high=1.0"),
    (
        lambda: ConditionalOT().sample(T, X, X[:2]),
        ValueError,
        r"x0 and x1 must have the same shape; got \(3, 2\) and \(2, 2\)",
    ),
    (lambda: ConditionalOT().velocity(T, X, X[:, :1]), ValueError, r"x and x1 must have the same shape"),
    (
        lambda: ConditionalOT().flow(T[:2], X, X),
        ValueError,
        r"t must be 0-dim or of a shape with which \(3, 2\) begins; got \(2,\)",
    ),
    (lambda: ConditionalOT().mean(T + 1, X), ValueError, r"t must be in \[0, 1\]; got 1.5"),
    (lambda: ConditionalOT().mean(T - 1, X), ValueError, r"t must be in \[0, 1\]; got -0.5"),
    (lambda: ConditionalOT().mean(T * math.nan, X), ValueError, r"t must be in \[0, 1\]; got nan"),
    (lambda: ConditionalOT().mean(0.5, X), TypeError, r"parameter t=0.5"),  # type: ignore[arg-type]
    (
        lambda: ConditionalOT().mean(torch.tensor(1), X),
        TypeError,
        r"t must be a floating tensor; got a tensor of torch.int64",
    ),
    (
        lambda: ConditionalOT().velocity(T + 0.5, X, X),
        ValueError,
        r"divides by its std, which is 0 at t=1: stop at path.last = 0.99999, or",
    ),
    (lambda: VariancePreserving().velocity(torch.tensor(1.0), X, X), ValueError, r"which is 0 at t=1"),
    (
        lambda: EmpiricalMarginal(ConditionalOT(), X[:0]),
        ValueError,
        r"data must have shape \(N, d\) and not be empty; got \(0, 2\)",
    ),
    (lambda: EmpiricalMarginal(ConditionalOT(), T), ValueError, r"data must have shape \(N, d\) .*got \(3,\)"),
    (lambda: EmpiricalMarginal(ConditionalOT(), X, T[:2]), ValueError, r"weights must have shape \(3,\), .*got \(2,\)"),
    (
        lambda: EmpiricalMarginal(ConditionalOT(), X, T - 0.7),
        ValueError,
        r"weights must not be negative, and not all 0",
    ),
    (lambda: EmpiricalMarginal(ConditionalOT(), X, 0 * T), ValueError, r"weights must not be negative, and not all 0"),
    (
        lambda: EmpiricalMarginal(ConditionalOT(), X).velocity(T, X[:, :1]),
        ValueError,
        r"x must have shape \(..., 2\), .*got \(3, 1\)",
    ),
    (
        lambda: EmpiricalMarginal(ConditionalOT(), X).log_prob(T + 0.5, X),
        ValueError,
        r"has no density where its std is 0: stop at 0.99999",
    ),
    (
        lambda: conditional_loss(lambda t, x: x, ConditionalOT(), X[:0]),
        ValueError,
        r"x1 must hold a batch of states, .*got shape \(0, 2\)",
    ),
    (
        lambda: conditional_loss(lambda t, x: x[:, :1], ConditionalOT(), X),
        ValueError,
        r"the field's value and the velocity must have the same shape; got \(3, 1\)",
    ),
    (
        lambda: convert(ConditionalOT(), T, X, X, source="x0", target="data"),
        ValueError,
        r"source must be one of velocity, score, noise, data; got 'x0'",
    ),
    (
        lambda: convert(ConditionalOT(), T, X, X, source="data", target="eps"),
        ValueError,
        r"target must be one of .*; got 'eps'",
    ),
    (
        lambda: convert(ConditionalOT(), T, X, X[:2], source="data", target="noise"),
        ValueError,
        r"value and x must have the same shape",
    ),
    (
        lambda: convert(ConditionalOT(), 0 * T, X, X, source="noise", target="data"),
        ValueError,
        r"at t=0 on .* the data does not follow from the noise",
    ),
    (
        lambda: convert(ConditionalOT(), T + 0.5, X, X, source="data", target="score"),
        ValueError,
        r"at t=1 on .* the score does not follow from the data",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
