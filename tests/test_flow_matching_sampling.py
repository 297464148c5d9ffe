"""Sampling, likelihoods and training of fields whose answer is known; data sets against their definitions."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor, nn

from workings.flow_matching import (
    CHECKERBOARD_ENTROPY,
    ConditionalOT,
    EmpiricalMarginal,
    GaussianPath,
    Geometric,
    VarianceExploding,
    VariancePreserving,
    VelocityMLP,
    checkerboard,
    digits,
    eight_gaussians,
    fit,
    generate,
    log_prob,
    mnist,
    on_checkerboard,
    optimal_pairing,
    straightness,
    two_moons,
)
from workings.neural_ode import MLPField, Stats

PATHS: dict[str, GaussianPath] = {
    "ot": ConditionalOT(sigma_min=0.3),
    "vp": VariancePreserving(),
    "ve": VarianceExploding(Geometric(0.3, 30.0)),
}


def f64(values: Any, device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=device)


class Gaussian(nn.Module):
    """The exact velocity from noise to N(m, s²) in one dimension after another, on a Gaussian path."""

    def __init__(self, path: GaussianPath, mean: Tensor, std: float) -> None:
        super().__init__()
        self.path, self.mean, self.variance = path, mean, std**2

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        a, s, da, ds = (f(t) for f in (self.path.alpha, self.path.sigma, self.path.d_alpha, self.path.d_sigma))
        total = a**2 * self.variance + s**2
        return da * self.mean + (a * da * self.variance + s * ds) / total * (x - a * self.mean)


@pytest.mark.parametrize("name", PATHS)
def test_noise_becomes_the_data_and_has_their_density(name: str, device: torch.device) -> None:
    """Along the exact velocity: samples have mean and width of p₁, and the density is that of the path at its end."""
    path, mean = PATHS[name], f64([1.0, -2.0], device)
    field = Gaussian(path, mean, 0.5)
    width = math.sqrt(0.25 + float(path.sigma(torch.tensor(path.last, dtype=torch.float64))) ** 2)
    x0 = torch.randn(20_000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).to(device)
    x = generate(field, x0, path, rtol=1e-8, atol=1e-8)
    start = (
        path.noise_std**2 + float(path.alpha(torch.zeros(()))) ** 2 * 0.25
    )  # the variance of p₀, against the noise's
    assert x.std(0).tolist() == pytest.approx([width * path.noise_std / math.sqrt(start)] * 2, rel=0.02)
    exact = torch.distributions.Normal(mean, width).log_prob(x[:50]).sum(-1)
    found = log_prob(field, x[:50], path, rtol=1e-9, atol=1e-9)
    slack = {"ot": 1e-6, "vp": 0.05, "ve": 0.3}[name]  # the noise is not quite p₀ but for "ot"
    torch.testing.assert_close(found, exact, atol=slack, rtol=0)
    assert (found - exact).abs().max() > slack / 100 or name == "ot"


def test_density_in_units_of_the_noise(device: torch.device) -> None:
    """For the exploding path the field is exact for noise N(0, σ₀²): then the density is exact too."""
    path = VarianceExploding(Geometric(0.3, 30.0))

    class Shrink(nn.Module):
        def forward(self, t: Tensor, x: Tensor) -> Tensor:
            return path.d_sigma(t) / path.sigma(t) * x

    x = f64([[0.2, -0.5], [1.0, 0.3]], device)
    exact = torch.distributions.Normal(0.0, 0.3).log_prob(x).sum(-1)
    for trace in ("exact", "hutchinson"):
        torch.testing.assert_close(
            log_prob(Shrink(), x, path, trace=trace, rtol=1e-9, atol=1e-9), exact, atol=1e-6, rtol=0
        )


def test_closed_trace_of_a_field_that_has_one(device: torch.device) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        field = MLPField(2, hidden=(8,)).to(device, torch.float64)
    x, path = f64([[0.2, -0.5], [1.0, 0.3]], device), VarianceExploding(Geometric(0.3, 4.0))
    closed, exact = (log_prob(field, x, path, trace=trace, rtol=1e-8, atol=1e-8) for trace in ("closed", "exact"))
    torch.testing.assert_close(closed, exact, atol=1e-7, rtol=0)
    with pytest.raises(ValueError, match="trace='closed' needs a field with a method divergence"):
        log_prob(VelocityMLP(2), x.float(), trace="closed")


def test_density_can_be_trained(device: torch.device) -> None:
    field = VelocityMLP(2, hidden=(8,)).to(device)
    log_prob(field, torch.zeros(3, 2, device=device)).mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in field.net[0].parameters())


def test_steps_and_evaluations(device: torch.device) -> None:
    field, x0 = VelocityMLP(2, hidden=(8,)).to(device), torch.randn(5, 2, device=device)
    for method, each in (("euler", 1), ("midpoint", 2), ("rk4", 4)):
        stats = Stats()
        x = generate(field, x0, ConditionalOT(), steps=10, method=method, stats=stats)
        assert stats.evaluations == 10 * each
        assert not x.requires_grad
    whole = generate(field, x0, ConditionalOT(), steps=10, trajectory=True)
    assert whole.shape == (11, 5, 2)
    assert torch.equal(whole[0], x0)
    assert torch.equal(whole[-1], generate(field, x0, ConditionalOT(), steps=10, method="midpoint"))


def test_steps_are_equal_and_end_where_the_path_does(device: torch.device) -> None:
    seen: list[float] = []

    def spy(t: Tensor, x: Tensor) -> Tensor:
        seen.append(t.item())
        return torch.zeros_like(x)

    x0 = torch.ones(1, 1, dtype=torch.float64, device=device)
    assert generate(spy, x0, VarianceExploding(Geometric(0.1, 7.0)), steps=4, method="euler").item() == 7.0
    assert seen == pytest.approx([0.0, 0.25, 0.5, 0.75])
    seen.clear()
    generate(spy, x0, VariancePreserving(), steps=2, method="midpoint")
    assert seen == pytest.approx([0.0, 0.25, 0.5, 0.75], abs=1e-5)
    assert seen[-1] < 0.75
    assert generate(spy, x0, steps=1, method="euler").item() == 1.0


def test_straightness(device: torch.device) -> None:
    """Straight at constant speed is 0; a detour that is longer than the way, more than 1; by hand for a parabola."""
    t = torch.linspace(0, 1, 401, dtype=torch.float64, device=device)[:, None, None]
    ends = torch.randn(2, 7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).to(device)
    assert straightness(ends[0] + t * (ends[1] - ends[0])).item() < 1e-20
    assert straightness(ends[0] + t**2 * (ends[1] - ends[0])).item() == pytest.approx(1 / 3, rel=1e-4)  # ∫(1 − 2t)²
    assert straightness(t * ends[0] + 3 * t * (1 - t) * ends[1]).item() > 1


def test_marginal_flow_of_few_points_ends_on_them(device: torch.device) -> None:
    """The exact velocity of a data set carries noise to the data: as memory does."""
    data = f64([[-2.0, 0.0], [1.0, 1.0], [1.0, -3.0]], device)
    path = ConditionalOT(sigma_min=0.05)
    marginal = EmpiricalMarginal(path, data, f64([0.2, 0.5, 0.3], device))
    x0 = torch.randn(4000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).to(device)
    x = generate(marginal.velocity, x0, path, rtol=1e-6, atol=1e-6)
    distance, nearest = torch.cdist(x, data).min(1)
    assert distance.square().mean().sqrt().item() == pytest.approx(0.05 * math.sqrt(2), rel=0.1)
    shares = torch.bincount(nearest, minlength=3).cpu() / 4000
    assert shares.tolist() == pytest.approx([0.2, 0.5, 0.3], abs=0.03)


# ---- the network and its training ----


def test_network_takes_one_time_or_a_time_for_each(device: torch.device) -> None:
    for frequencies in (0, 3):
        net = VelocityMLP(2, hidden=(16, 8), frequencies=frequencies).to(device)
        x = torch.randn(4, 5, 2, device=device)
        one = net(torch.tensor(0.3, device=device), x)
        assert one.shape == x.shape
        torch.testing.assert_close(net(torch.full((4, 5), 0.3, device=device), x), one)
        assert not torch.allclose(net(torch.tensor(0.4, device=device), x), one)
    assert sum(p.numel() for p in VelocityMLP(2, (16, 8), 3).parameters()) == 9 * 16 + 16 + 16 * 8 + 8 + 8 * 2 + 2


def test_network_sees_time_and_its_cycles(device: torch.device) -> None:
    """With k cycles, a wave of t = 1/(4k) is at its crest."""
    net, seen = VelocityMLP(1, hidden=(4,), frequencies=3).to(device), []
    net.net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net(torch.tensor(0.125, device=device), torch.full((1,), 7.0, device=device))
    half = 0.5**0.5
    expected = torch.tensor([7, 0.125, half, 1, half, half, 0, -half], device=device)
    torch.testing.assert_close(seen[0], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("pairing", [None, optimal_pairing])
def test_training_learns_a_shifted_gaussian(pairing: Any, device: torch.device) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        field = VelocityMLP(1, hidden=(32, 32)).to(device)

    def draw(n: int, generator: torch.Generator | None) -> Tensor:
        return 3 + 0.5 * torch.randn(n, 1, generator=generator)

    generator = torch.Generator().manual_seed(3)
    losses = fit(
        field, ConditionalOT(), draw, 300, batch=128, lr=1e-2, pairing=pairing, device=device, generator=generator
    )
    x = generate(field, torch.randn(4000, 1, generator=generator).to(device), ConditionalOT(), steps=20)
    assert [x.mean().item(), x.std().item()] == pytest.approx([3, 0.5], abs=0.1)
    assert len(losses) == 300
    # x₁ − x₀ has a variance of 1.25 of which (x₁ − x₀ | x_t) keeps its own; paired, x₁ is a function of x₀
    irreducible = np.mean(losses[-50:])
    assert irreducible < 0.1 if pairing else 0.3 < irreducible < 1.25


def test_training_repeats_and_takes_given_pairs(device: torch.device) -> None:
    found = []
    for seed in (1, 1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            field = VelocityMLP(2, hidden=(8,)).to(device)
        found.append(
            fit(
                field,
                ConditionalOT(),
                checkerboard,
                3,
                batch=8,
                device=device,
                generator=torch.Generator().manual_seed(seed),
            )
        )
    assert found[0] == found[1]
    assert found[0] != found[2]

    def pairs(n: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        x0 = torch.randn(n, 1, generator=generator)
        return x0, x0 + 4

    field = VelocityMLP(1, hidden=(16,)).to(device)
    losses = fit(field, ConditionalOT(), pairs, 400, lr=1e-2, device=device, generator=torch.Generator().manual_seed(1))
    assert np.mean(losses[-20:]) < 0.3  # x₁ − x₀ is 4 for each


def test_the_rate_falls_to_nothing(device: torch.device) -> None:
    """The last of many steps hardly moves the weights."""
    field, before = VelocityMLP(1, hidden=(4,)).to(device), []

    def watch(steps: Any) -> Any:
        for step in steps:
            before.append(next(field.parameters()).detach().clone())
            yield step

    fit(field, ConditionalOT(), lambda n, g: torch.randn(n, 1, generator=g), 100, device=device, each=watch)
    moves = [(b - a).abs().max().item() for a, b in pairwise(before)]
    assert moves[-1] < 0.01 * max(moves)
    assert moves[0] == pytest.approx(1e-3, rel=0.01)  # Adam's first step is its rate


# ---- data ----


def test_checkerboard(device: torch.device) -> None:
    x = checkerboard(40_000, torch.Generator().manual_seed(4))
    assert on_checkerboard(x).all()
    batched = on_checkerboard((x + 1).view(100, 400, 2))
    assert torch.equal(batched.flatten(), on_checkerboard(x + 1))
    assert 0.1 < batched.double().mean() < 0.9
    assert pytest.approx(3.6765, abs=1e-4) == CHECKERBOARD_ENTROPY
    square = torch.floor(0.45 * x + 2).long()
    shares = torch.bincount(4 * square[:, 0] + square[:, 1], minlength=16) / 40_000
    assert sorted(shares.tolist())[8:] == pytest.approx([1 / 8] * 8, abs=0.01)
    assert sorted(shares.tolist())[:8] == [0.0] * 8
    assert kstest(0.45 * x[:, 0], "uniform", (-2, 4)).pvalue > 1e-3
    assert kstest((0.45 * x[:, 1]) % 1, "uniform").pvalue > 1e-3
    everywhere = torch.cartesian_prod(*2 * [torch.linspace(-6, 6, 1201)])
    assert on_checkerboard(everywhere).double().mean().item() * 144 == pytest.approx(
        math.exp(CHECKERBOARD_ENTROPY), rel=0.01
    )


def test_eight_gaussians_and_two_moons() -> None:
    x = eight_gaussians(20_000, torch.Generator().manual_seed(5))
    angle = torch.round(torch.atan2(x[:, 1], x[:, 0]) / (math.pi / 4))
    centers = 5 * torch.stack((torch.cos(angle * math.pi / 4), torch.sin(angle * math.pi / 4)), -1)
    assert len(angle.unique()) in (8, 9)  # −4 and 4 are one
    assert (x - centers).var(0).tolist() == pytest.approx([0.1, 0.1], rel=0.05)
    from sklearn.datasets import make_moons

    ours = two_moons(20_000, torch.Generator().manual_seed(6)).double()
    theirs = torch.tensor(make_moons(20_000, noise=0.2, random_state=0)[0] * 3 - 1)
    for k in range(2):
        assert kstest(ours[:, k], theirs[:, k]).pvalue > 1e-3
    assert torch.corrcoef(ours.T)[0, 1].item() == pytest.approx(torch.corrcoef(theirs.T)[0, 1].item(), abs=0.02)


def test_digits_are_split_once() -> None:
    train, test = digits(), digits(held_out=True)
    assert (train.shape, test.shape) == ((1438, 64), (359, 64))
    assert [float(train.min()), float(train.max())] == [0.0, 16.0]
    assert (torch.cdist(test, train).min(1).values > 0).double().mean() == 1.0


def test_mnist_is_split_by_image_with_all_classes() -> None:
    train, test = mnist(), mnist(held_out=True)
    assert (train.shape, test.shape) == ((4000, 784), (1000, 784))
    assert [float(train.min()), float(train.max())] == [0.0, 255.0]
    assert torch.equal(test, test.round())
    assert 25 < float(test.mean()) < 45


BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda: generate(VelocityMLP(1), torch.zeros(1, 1), steps=0), ValueError, r"steps must be positive; got 0"),
    (lambda: generate(VelocityMLP(1), torch.zeros(1, 1), trajectory=True), ValueError, r"trajectory=True needs steps"),
    (
        lambda: straightness(torch.zeros(2, 3, 4)),
        ValueError,
        r"x must hold states at three times or more, .*got \(2, 3, 4\)",
    ),
    (lambda: VelocityMLP(2, ()), ValueError, r"hidden must hold the widths of hidden layers, .*got \(\)"),
    (lambda: VelocityMLP(2, 8), ValueError, r"parameter hidden=8"),  # type: ignore[arg-type]
    (lambda: VelocityMLP(2, (8,), -1), ValueError, r"frequencies must not be negative; got -1"),
    (lambda: fit(VelocityMLP(2), ConditionalOT(), checkerboard, 0), ValueError, r"steps must be positive; got 0"),
    (
        lambda: fit(VelocityMLP(2), ConditionalOT(), checkerboard, 1, batch=0),
        ValueError,
        r"batch must be positive; got 0",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
