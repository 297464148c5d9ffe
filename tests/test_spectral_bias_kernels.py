"""Tangent kernels: against Jacobians by autograd, wide networks, hand arithmetic, and each other."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from workings import spectral_bias as sb
from workings.spectral_bias import closed_form, empirical


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def brute_force(module: nn.Module, x: Tensor, other: Tensor) -> Tensor:
    """Row by row and output by output, with plain autograd: (n, m, c, c)."""
    trained = [p for p in module.parameters() if p.requires_grad]

    def gradients(points: Tensor) -> Tensor:
        rows = []
        for row in points:
            outputs = module(row[None]).reshape(-1)
            each = [torch.autograd.grad(f, trained, retain_graph=True, allow_unused=True) for f in outputs]
            rows.append(torch.stack([torch.cat([g.flatten() for g in one if g is not None]) for one in each]))
        return torch.stack(rows)  # (n, c, size)

    return torch.einsum("nap,mbp->nmab", gradients(x), gradients(other))


class Residual(nn.Module):
    """Linear layers with a skip, and an in-place activation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu_(self.first(x))
        return self.last(h + torch.tanh_(self.second(h)))  # type: ignore[no-any-return]


class Scaled(nn.Module):
    """A parameter outside linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.scale = sb.MLP(3, (4,)), nn.Parameter(torch.tensor(1.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.net(x)  # type: ignore[no-any-return]


class Twice(nn.Module):
    """A linear layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last = nn.Linear(3, 3), nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.layer(torch.tanh(self.layer(x)))))  # type: ignore[no-any-return]


class Instead(Twice):
    """A linear layer that is called twice, beside one that never is."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(3, 3)


class Tied(nn.Module):
    """Two layers that share a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x)))))  # type: ignore[no-any-return]


class Sequence(nn.Module):
    """A linear layer on two vectors of each row."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last = nn.Linear(3, 4), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.layer(torch.stack((x, 2 * x), 1))).flatten(1))  # type: ignore[no-any-return]


class Flat(nn.Module):
    """One output without an axis of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.net = sb.MLP(3, (4,))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)[:, 0]  # type: ignore[no-any-return]


def frozen() -> nn.Module:
    net = sb.MLP(3, (5, 4), 2)
    net[0].weight.requires_grad_(False)
    net[2].bias.requires_grad_(False)
    for p in net[4].parameters():
        p.requires_grad_(False)
    return net


MODULES = {
    "mlp": lambda: sb.MLP(3, (5, 4)),
    "ntk": lambda: sb.MLP(3, (5, 4), 2, parametrization="ntk", weight_variance=2.0),
    "no bias": lambda: sb.MLP(3, (5, 4), 3, bias=False),
    "sigmoid at the end": lambda: nn.Sequential(sb.MLP(3, (5,), 2), nn.Sigmoid()),
    "features before": lambda: nn.Sequential(sb.GaussianFeatures(3, 1.0, 4), sb.MLP(8, (5,))),
    "in place, with a skip": Residual,
    "frozen": frozen,
    "flat": Flat,
    "another parameter": Scaled,
    "called twice": Twice,
    "called twice, beside one that is not": Instead,
    "weight normalization": lambda: nn.Sequential(weight_norm(nn.Linear(3, 4)), nn.Tanh(), nn.Linear(4, 1)),
    "tied": Tied,
    "sequence": Sequence,
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)
    ),
}
LAYERWISE = (
    "mlp",
    "ntk",
    "no bias",
    "sigmoid at the end",
    "features before",
    "in place, with a skip",
    "frozen",
    "flat",
)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("name", MODULES)
def test_kernel_of_any_module(name: str, device: torch.device) -> None:
    """Between one set of points, and between two, both ways."""
    module = MODULES[name]().double().to(device)
    x, other = randn(6, 3).to(device), randn(4, 3, seed=1).to(device)
    for second in (None, other):
        true = brute_force(module, x, x if second is None else second)
        true = true[:, :, 0, 0] if true.shape[-1] == 1 else true
        for kernel in (sb.empirical_ntk, sb.jacobian_ntk):
            torch.testing.assert_close(kernel(module, x, second), true, atol=1e-10, rtol=1e-10)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("name", MODULES)
def test_which_modules_need_no_jacobian(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []

    def watched(*arguments: Any) -> Tensor:
        called.append(1)
        return sb.jacobian_ntk(*arguments)

    monkeypatch.setattr(empirical, "jacobian_ntk", watched)
    sb.empirical_ntk(MODULES[name]().double(), randn(3, 3))
    assert bool(called) == (name not in LAYERWISE)


@pytest.mark.parametrize("n", [1, 127, 128, 129, 300])
def test_blocks_of_rows_make_one_symmetric_kernel(n: int) -> None:
    net, x = sb.MLP(3, (5, 4), 2).double(), randn(n, 3)
    whole = sb.empirical_ntk(net, x)
    assert whole.shape == (n, n, 2, 2)
    torch.testing.assert_close(whole, whole.permute(1, 0, 3, 2))
    torch.testing.assert_close(whole, sb.empirical_ntk(net, x, x.clone()))
    torch.testing.assert_close(whole[-1:, :1], brute_force(net, x[-1:], x[:1]))


def test_kernel_in_single_precision_is_that_in_double() -> None:
    """Four layers of 256 and 256 inputs: within 1e-6 of the largest entry."""
    net, x = sb.MLP(32, (256,) * 4, generator=torch.Generator().manual_seed(0)), randn(256, 32).float()
    single = sb.empirical_ntk(net, x)
    double = sb.empirical_ntk(net.double(), x.double())
    assert single.dtype == torch.float32
    assert float((single - double).abs().max() / double.abs().max()) < 1e-6


def test_module_is_left_as_it_was() -> None:
    net, x = sb.MLP(3, (5,)), torch.randn(4, 3)
    before = [p.clone() for p in net.parameters()]
    sb.empirical_ntk(net, x)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))
    assert all(p.grad is None for p in net.parameters())
    assert all(not m._forward_hooks for m in net.modules())
    with torch.no_grad():  # works where gradients are off
        assert sb.empirical_ntk(net, x).shape == (4, 4)
    with pytest.raises(RuntimeError):
        sb.empirical_ntk(net, torch.randn(4, 2))
    assert all(not m._forward_hooks for m in net.modules())


def test_rows_that_influence_each_other_are_refused() -> None:
    for module in (
        nn.Sequential(nn.Linear(3, 40), nn.Dropout(0.5), nn.Linear(40, 1)),
        nn.Sequential(nn.Linear(3, 4), nn.Softmax(0), nn.Linear(4, 1)),
    ):
        with pytest.raises(ValueError, match="influence each other"):
            sb.empirical_ntk(module, torch.randn(8, 3))
    quiet = nn.Sequential(nn.Linear(3, 40), nn.Dropout(0.5), nn.Linear(40, 1)).eval()
    assert sb.empirical_ntk(quiet, torch.randn(8, 3)).shape == (8, 8)


def test_a_module_without_parameters_has_no_kernel() -> None:
    for kernel in (sb.empirical_ntk, sb.jacobian_ntk):
        with pytest.raises(ValueError, match="no parameter that is trained"):
            kernel(nn.ReLU(), torch.ones(2, 1))


# ---- networks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parametrization", "variance"), [("standard", 1.0), ("standard", 2.0), ("ntk", 1.0), ("ntk", 2.0)]
)
def test_layers_start_with_the_variance_that_they_should(parametrization: str, variance: float) -> None:
    layer = sb.Dense(
        50, 400, parametrization=parametrization, weight_variance=variance, generator=torch.Generator().manual_seed(0)
    )
    expected = variance / 50 if parametrization == "standard" else 1.0
    assert layer.weight.var().item() == pytest.approx(expected, rel=0.05)
    assert layer.bias.abs().max().item() == 0
    out = layer(torch.ones(50))
    assert out.var().item() == pytest.approx(variance, rel=0.25)


def test_networks_of_one_seed_are_alike_and_of_two_are_not() -> None:
    nets = [sb.MLP(2, (8, 8), 3, generator=torch.Generator().manual_seed(k)) for k in (0, 0, 1)]
    weights = [torch.cat([p.flatten() for p in net.parameters()]) for net in nets]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert [type(m).__name__ for m in nets[0]] == ["Dense", "ReLU", "Dense", "ReLU", "Dense"]
    import copy

    assert torch.equal(copy.deepcopy(nets[0])(torch.ones(1, 2)), nets[0](torch.ones(1, 2)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sb.Dense(2, 2, parametrization="mean-field"), "'standard' or 'ntk'"),
        (lambda: sb.Dense(2, 2, weight_variance=0.0), "must be positive"),
        (lambda: sb.MLP(2, ()), "hidden must hold"),
        (lambda: sb.MLP(2, 64), "parameter hidden=64"),  # type: ignore[arg-type]
    ],
)
def test_bad_networks_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# ---- in closed form ------------------------------------------------------------------------------------------------


def test_moments_by_hand() -> None:
    """Equal, opposite and independent variables; a variable that is zero."""
    one = torch.ones((), dtype=torch.float64)
    for cross, expected in ((2.0, (1.0, 0.5)), (-2.0, (0.0, 0.0)), (0.0, (1 / math.pi, 0.25))):
        found = sb.arc_cosine(cross * one, 2 * one, 2 * one)
        assert [float(m) for m in found] == pytest.approx(expected, abs=1e-7)
    assert [float(m) for m in sb.arc_cosine(0 * one, 0 * one, one)] == [0, 0]
    grown = sb.arc_cosine(3 * 0.5 * one, 9 * one, one)  # u three times as large
    plain = sb.arc_cosine(0.5 * one, one, one)
    assert float(grown[0]) == pytest.approx(3 * float(plain[0]))
    assert float(grown[1]) == pytest.approx(float(plain[1]))


def test_moments_by_monte_carlo() -> None:
    u, v = randn(2, 400_000)
    v = 0.6 * u + 0.8 * v  # covariance 0.6
    one = torch.ones((), dtype=torch.float64)
    first, slope = sb.arc_cosine(0.6 * one, one, one)
    product, both = u.relu() * v.relu(), ((u > 0) & (v > 0)).double()
    for estimate, exact in ((product, first), (both, slope)):
        error = estimate.std() / math.sqrt(len(estimate))
        assert abs(estimate.mean() - exact) < 4 * error


def test_two_layers_by_hand() -> None:
    """One hidden layer, orthogonal unit vectors in the plane, standard: n E + 1 + P (x·x' + 1), Σ = x·x'/2."""
    x = torch.eye(2, dtype=torch.float64)
    kernel = sb.relu_ntk(x, hidden=(10,))
    same = 10 * 0.5 / 2 + 1 + 0.5 * (1 + 1)
    apart = 10 * 0.5 / (2 * math.pi) + 1 + 0.25 * (0 + 1)
    torch.testing.assert_close(kernel, torch.tensor([[same, apart], [apart, same]], dtype=torch.float64))
    plain = sb.relu_ntk(x, hidden=(10,), bias=False)
    torch.testing.assert_close(plain[0, 1].item(), 10 * 0.5 / (2 * math.pi))


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": (400, 300, 500)},
        {"hidden": (400,), "bias": False},
        {"hidden": (400, 400), "parametrization": "ntk", "weight_variance": 2.0},
        {"hidden": (400, 400), "weight_variance": 0.5},
        {"hidden": (400, 400), "parametrization": "ntk", "bias": False, "weight_variance": 0.5},
    ],
)
def test_closed_form_is_the_mean_over_wide_networks(options: dict[str, Any]) -> None:
    """Within four standard errors of 60 networks, and the bias of finite width, a percent or two."""
    x, other = randn(3, 4), randn(2, 4, seed=1)
    exact = sb.relu_ntk(x, other, **options)
    nets = (sb.MLP(4, generator=torch.Generator().manual_seed(k), **options).double() for k in range(60))
    found = torch.stack([sb.empirical_ntk(net, x, other) for net in nets])
    error = 4 * found.std(0) / math.sqrt(len(found)) + 0.02 * exact.abs()
    assert ((found.mean(0) - exact).abs() < error).all()


def test_empirical_kernel_converges_like_one_over_the_root_of_the_width() -> None:
    x = randn(3, 2)
    exact = sb.relu_ntk(x, hidden=(1, 1), parametrization="ntk")
    errors = []
    for width in (64, 1024):
        nets = (
            sb.MLP(2, (width,) * 2, parametrization="ntk", generator=torch.Generator().manual_seed(k)).double()
            for k in range(20)
        )
        errors.append(float(torch.stack([sb.empirical_ntk(n, x) - exact for n in nets]).square().mean().sqrt()))
    assert math.log(errors[1] / errors[0]) / math.log(16) == pytest.approx(-0.5, abs=0.15)


def test_standard_kernel_grows_with_the_width_and_the_other_does_not() -> None:
    x = randn(4, 2)
    ratio = sb.relu_ntk(x, hidden=(10_000,) * 2) / sb.relu_ntk(x, hidden=(100,) * 2)
    assert ((ratio > 50) & (ratio < 100)).all()
    same = [sb.relu_ntk(x, hidden=(width,) * 2, parametrization="ntk") for width in (100, 10_000)]
    torch.testing.assert_close(*same)


def test_bias_free_kernel_cannot_learn_odd_harmonics() -> None:
    """On eight points of the circle it has rank six: the third harmonic is out of reach, the second is not."""
    angle = 2 * math.pi * torch.arange(8, dtype=torch.float64) / 8
    x = torch.stack((torch.cos(angle), torch.sin(angle)), 1)
    kernel = sb.relu_ntk(x, hidden=(1,), parametrization="ntk", bias=False)
    assert torch.linalg.matrix_rank(kernel, rtol=1e-8).item() == 6
    dynamics = [sb.KernelDynamics(kernel, torch.cos(j * angle)).flow(1e6) for j in (2, 3)]
    torch.testing.assert_close(dynamics[0], torch.cos(2 * angle), atol=1e-6, rtol=0)
    assert dynamics[1].abs().max() < 1e-4


def test_eigenvalues_of_the_paper_at_its_width() -> None:
    """η = 1e-5 × 50,000 steps leaves e^(−λ/2): at p = 0 the same for all harmonics."""
    x = torch.arange(32, dtype=torch.float64)[:, None] / 32
    for p, expected in ((0.0, [187.8, 8.301, 8.301, 8.301]), (1.0, [201.6, 41.2, 6.70, 2.14])):
        kernel = sb.relu_ntk(sb.PowerLawFeatures(p, 16, normalize=True).double()(x))
        found = torch.fft.fft(kernel[0]).real[[0, 1, 5, 15]]
        assert found.tolist() == pytest.approx(expected, rel=2e-3)


def test_composed_kernel_is_stationary_only_with_both_cosine_and_sine() -> None:
    x = torch.rand(6, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    module = sb.PowerLawFeatures(1.0, 5).double()
    whole = [sb.relu_ntk(module(x + shift), hidden=(16, 16)) for shift in (0.0, 0.3)]
    assert (whole[0] - whole[1]).abs().max() < 1e-6
    half = [sb.relu_ntk(module(x + shift)[:, :5], hidden=(16, 16)) for shift in (0.0, 0.3)]
    assert (half[0] - half[1]).abs().max() > 0.1


def test_closed_form_in_blocks_precisions_and_with_gradients(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:

    x, other = randn(7, 3).to(device), randn(5, 3, seed=1).to(device)
    whole = sb.relu_ntk(x, other, hidden=(8, 9))
    monkeypatch.setattr(closed_form, "BLOCK", 6)
    torch.testing.assert_close(sb.relu_ntk(x, other, hidden=(8, 9)), whole)
    torch.testing.assert_close(sb.relu_ntk(other, x, hidden=(8, 9)), whole.T)
    single = sb.relu_ntk(x.float(), other.float(), hidden=(8, 9))
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), whole, rtol=1e-4, atol=1e-4)
    assert torch.autograd.gradcheck(lambda a: sb.relu_ntk(a, other, hidden=(8,)), x.clone().requires_grad_())


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: sb.relu_ntk(torch.ones(2, 1), parametrization="mup"), "'standard' or 'ntk'"),
        (lambda: sb.relu_ntk(torch.ones(2, 1), hidden=()), "hidden must hold"),
        (lambda: sb.relu_ntk(torch.ones(2, 1), hidden=64), "parameter hidden=64"),  # type: ignore[arg-type]
        (lambda: sb.relu_ntk(torch.ones(2)), "x has shape"),
        (lambda: sb.relu_ntk(torch.ones(2, 1), torch.ones(2, 2)), "other has shape"),
    ],
)
def test_bad_kernels_are_refused(run: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run()
