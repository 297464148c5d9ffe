"""Kernels, tangent kernels and the dynamics of training, against autograd, closed forms and explicit loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from torch import Tensor, nn

from workings.spectral_bias import (
    MLP,
    Dense,
    KernelDynamics,
    PowerLawFeatures,
    arc_cosine,
    descend,
    empirical_ntk,
    fit,
    gaussian_kernel,
    jacobian_ntk,
    kernel_regression,
    regression_weights,
    relu_ntk,
)
from workings.spectral_bias.dynamics import filtered


def draw(*shape: int, seed: int = 0, device: torch.device | None = None) -> Tensor:
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x if device is None else x.to(device)


def circle(n: int, device: torch.device) -> Tensor:
    angle = 2 * math.pi * torch.arange(n, dtype=torch.float64, device=device) / n
    return torch.stack((torch.cos(angle), torch.sin(angle)), -1)


# ---- kernel regression ----


def test_regression_passes_through_the_labels_and_is_linear_in_them(device: torch.device) -> None:
    x, test, y = draw(7, 2, device=device), draw(4, 2, seed=1, device=device), draw(7, 3, seed=2, device=device)
    kernel, cross = gaussian_kernel(x), gaussian_kernel(test, x)
    torch.testing.assert_close(kernel_regression(kernel, kernel, y), y, atol=1e-8, rtol=0)
    expected = cross.cpu().numpy() @ np.linalg.inv(kernel.cpu().numpy()) @ y.cpu().numpy()
    np.testing.assert_allclose(kernel_regression(kernel, cross, y).cpu().numpy(), expected, atol=1e-8)
    shifted = cross.cpu().numpy() @ np.linalg.inv(kernel.cpu().numpy() + 0.3 * np.eye(7)) @ y.cpu().numpy()
    np.testing.assert_allclose(kernel_regression(kernel, cross, y, ridge=0.3).cpu().numpy(), shifted, atol=1e-10)


def test_weights_are_no_weighted_mean() -> None:
    """Some are negative and they do not sum to one (audit 06.C2)."""
    x = torch.tensor([[0.0], [0.4], [1.0]], dtype=torch.float64)
    weights = regression_weights(gaussian_kernel(x, width=0.5), gaussian_kernel(torch.tensor([[0.2]]).double(), x, 0.5))
    assert weights.shape == (1, 3)
    assert weights.min().item() < -0.01
    assert abs(weights.sum().item() - 1) > 0.01


def test_gaussian_kernel_by_hand() -> None:
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    assert gaussian_kernel(x, width=5.0)[0, 1].item() == pytest.approx(math.exp(-0.5))
    assert gaussian_kernel(x, x[:1]).shape == (2, 1)


def test_a_singular_kernel_is_refused() -> None:
    x = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    with pytest.raises(ValueError, match=r"not positive definite.*larger ridge"):
        kernel_regression(x @ x.T, x @ x.T, torch.ones(3).double())
    assert kernel_regression(x @ x.T, x @ x.T, torch.ones(3).double(), ridge=0.1).shape == (3,)


# ---- closed form ----


def test_moments_of_the_relu_by_monte_carlo() -> None:
    """Within 4 standard errors, for correlated normals of different variance."""
    n, s, t, rho = 1_000_000, 1.7, 0.6, -0.4
    e = draw(2, n)
    u, v = math.sqrt(s) * e[0], math.sqrt(t) * (rho * e[0] + math.sqrt(1 - rho**2) * e[1])
    first, second = arc_cosine(*(torch.tensor(m).double() for m in (rho * math.sqrt(s * t), s, t)))
    for samples, moment in ((u.clamp(min=0) * v.clamp(min=0), first), (((u > 0) & (v > 0)).double(), second)):
        assert abs(samples.mean().item() - moment.item()) < 4 * samples.std().item() / 1000
    zero = [m.item() for m in arc_cosine(*(torch.tensor(m).double() for m in (0.0, 0.0, 1.0)))]
    assert zero == [0.0, 0.0]
    ends = [m.item() for m in arc_cosine(*(torch.tensor(m).double() for m in (1.5, 1.5, 1.5)))]
    assert ends == pytest.approx([0.75, 0.5])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_wide_networks_have_the_closed_form_kernel(parametrization: str, bias: bool, device: torch.device) -> None:
    """The mean over networks drawn, relative to the largest entry; four times the width halves the deviation."""
    x = draw(5, 3, device=device)
    off = []
    for width in (128, 2048):
        exact = relu_ntk(x, hidden=(width,) * 2, parametrization=parametrization, bias=bias, weight_variance=1.6)
        kernels = [
            empirical_ntk(
                MLP(3, (width,) * 2, 1, bias, parametrization, 1.6, torch.Generator().manual_seed(k))
                .double()
                .to(device),
                x,
            )
            for k in range(4)
        ]
        off.append(torch.stack([(k - exact).abs().max() / exact.max() for k in kernels]).mean().item())
    assert off[1] < 0.06
    assert off[1] < off[0] / 2


def test_standard_kernel_grows_with_the_width_and_the_other_does_not() -> None:
    x = draw(4, 2)
    standard = [relu_ntk(x, hidden=(w,) * 2)[0, 0].item() for w in (1000, 2000)]
    assert standard[1] / standard[0] == pytest.approx(2, rel=0.01)
    ntk = [relu_ntk(x, hidden=(w,) * 2, parametrization="ntk") for w in (1000, 2000)]
    assert torch.equal(ntk[0], ntk[1])


def test_two_layers_without_bias_cannot_see_odd_harmonics(device: torch.device) -> None:
    """Rank 6 of 8 on the circle (audit 06.E1): frequency 3 is never learned."""
    x = circle(8, device)
    kernel = relu_ntk(x, hidden=(64,), parametrization="ntk", bias=False)
    assert torch.linalg.matrix_rank(kernel, rtol=1e-10).item() == 6
    third = torch.cos(3 * 2 * math.pi * torch.arange(8, dtype=torch.float64, device=device) / 8)
    assert KernelDynamics(kernel, third).flow(1e6).abs().max().item() < 1e-6
    assert torch.linalg.matrix_rank(relu_ntk(x, hidden=(64,), parametrization="ntk"), rtol=1e-10).item() > 6


def test_kernel_on_features_is_stationary_and_has_the_known_eigenvalues(device: torch.device) -> None:
    """Width 1024, three hidden layers, 32 of 256 points: p = 0 flat at 8.30, p = 1 41.2, 6.70, 2.14 (facts d.2)."""
    x = torch.arange(32, dtype=torch.float64, device=device)[:, None] / 32
    for p, expected in ((0.0, [8.301, 8.301, 8.301]), (1.0, [41.2, 6.70, 2.14]), (math.inf, [65.2, 2.32, 0.44])):
        gamma = PowerLawFeatures(p, 16, normalize=True).double().to(device)
        kernel = relu_ntk(gamma(x))
        spectrum = torch.fft.fft(kernel[0]).real
        assert [spectrum[j].item() for j in (1, 5, 15)] == pytest.approx(expected, rel=0.01)
        torch.testing.assert_close(kernel, relu_ntk(gamma(x + 0.37)), atol=1e-7 * float(kernel.max()), rtol=0)
    raw = [relu_ntk(v, hidden=(64,)) for v in (x, x + 0.37)]
    assert (raw[0] - raw[1]).abs().max() > 0.1


def test_rows_in_blocks_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from workings.spectral_bias import closed_form

    x, other = draw(9, 2), draw(5, 2, seed=1)
    whole = relu_ntk(x, other)
    assert whole.shape == (9, 5)
    monkeypatch.setattr(closed_form, "BLOCK", 7)
    torch.testing.assert_close(relu_ntk(x, other), whole, atol=1e-9, rtol=1e-12)
    torch.testing.assert_close(relu_ntk(x, x).T, relu_ntk(x), atol=1e-9, rtol=1e-12)


# ---- empirical kernels ----


def by_hand(net: nn.Module, x: Tensor) -> Tensor:
    """Every gradient of every output by autograd: (n, n) or (n, n, c, c)."""
    trained = [p for p in net.parameters() if p.requires_grad]
    rows = [
        torch.cat([g.flatten() for g in torch.autograd.grad(f, trained, retain_graph=True)])
        for one in x
        for f in net(one[None]).flatten()
    ]
    jacobian = torch.stack(rows).unflatten(0, (len(x), -1))
    kernel = torch.einsum("nap,mbp->nmab", jacobian, jacobian)
    return kernel[:, :, 0, 0] if kernel.shape[-1] == 1 else kernel


def networks() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    frozen = MLP(3, (6, 5))
    frozen[0].weight.requires_grad_(False)
    return {
        "standard": MLP(3, (6, 5)),
        "ntk": MLP(3, (6, 5), parametrization="ntk"),
        "no bias": MLP(3, (6, 5), bias=False),
        "three outputs": MLP(3, (6, 5), 3),
        "frozen": frozen,
        "torch": nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)),
        "in place": nn.Sequential(nn.Linear(3, 5), nn.ReLU(inplace=True), nn.Linear(5, 1)),
        "layer norm": nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.Linear(5, 1)),
    }


@pytest.mark.parametrize("name", networks())
def test_empirical_kernel_is_that_of_the_gradients(name: str, device: torch.device) -> None:
    net, x = networks()[name].double().to(device), draw(6, 3, device=device)
    expected = by_hand(net, x)
    for kernel in (empirical_ntk(net, x), jacobian_ntk(net, x)):
        torch.testing.assert_close(kernel, expected, atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(empirical_ntk(net, x, x[:2]), expected[:, :2], atol=1e-12, rtol=1e-10)
    single = empirical_ntk(net.float(), x.float()).double()
    assert (single - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_a_layer_used_twice_goes_the_long_way(device: torch.device) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.out = nn.Linear(3, 3), nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(torch.tanh(self.inner(torch.tanh(self.inner(x)))))  # type: ignore[no-any-return]

    net, x = Twice().double().to(device), draw(4, 3, device=device)
    torch.testing.assert_close(empirical_ntk(net, x), by_hand(net, x), atol=1e-12, rtol=1e-10)


def test_rows_in_parts_are_the_whole_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    from workings.spectral_bias import empirical

    net, x = MLP(3, (6, 5), 2).double(), draw(7, 3)
    whole = empirical_ntk(net, x)
    monkeypatch.setattr(empirical, "ROWS", 3)
    torch.testing.assert_close(empirical_ntk(net, x), whole, atol=1e-13, rtol=1e-12)


def test_rows_that_influence_each_other_are_refused() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    for p in net[1].parameters():
        p.requires_grad_(False)
    net = nn.Sequential(net[0], nn.Softmax(0), net[2])
    with pytest.raises(ValueError, match=r"rows of a batch influence each other.*module.eval\(\)"):
        empirical_ntk(net, torch.randn(5, 3))


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_weight_normalization_and_outputs_without_a_layer_go_right(device: torch.device) -> None:
    """Weights that are made of others are no linear layer's own; a layer that an output does not see adds nothing."""
    normed = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), nn.Tanh(), nn.Linear(4, 1))
    x = draw(5, 3, device=device)
    net = normed.double().to(device)
    torch.testing.assert_close(empirical_ntk(net, x), by_hand(net, x), atol=1e-12, rtol=1e-10)

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(3, 1), nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat((self.one(x), self.other(x)), -1)

    both = Two().double().to(device)
    kernel = empirical_ntk(both, x)
    torch.testing.assert_close(kernel, jacobian_ntk(both, x), atol=1e-12, rtol=1e-10)
    assert kernel[:, :, 0, 1].abs().max().item() == 0


def test_slow_directions_keep_their_digits_in_many_steps() -> None:
    """1 - (1 - ηλ)^k for ηλ = 1e-12 and few steps, where the difference would be rounding."""
    kernel = torch.diag(torch.tensor([1e-12, 1.0], dtype=torch.float64))
    dynamics = KernelDynamics(kernel, torch.ones(2).double())
    cross = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    assert dynamics.descent(10**7, 0.1, cross).item() == pytest.approx(1e6 * (1 - 5e-7), rel=1e-9)


def test_nothing_that_is_trained_has_no_kernel() -> None:
    net = nn.Linear(2, 1).requires_grad_(False)
    for kernel in (empirical_ntk, jacobian_ntk):
        with pytest.raises(ValueError, match="no parameter that is trained"):
            kernel(net, torch.ones(2, 2))


# ---- dynamics ----


class Cosines(nn.Module):
    """A model that is linear in its parameters: its kernel never changes."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.w = nn.Parameter(draw(4, 1, seed=3, device=device))
        self.b = draw(2, 4, seed=4, device=device)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cos(x @ self.b) @ self.w


@pytest.mark.parametrize(("loss", "factor"), [("half-sum", 1.0), ("sum", 2.0), ("half-mean", 1 / 6), ("mean", 1 / 3)])
def test_descent_is_that_of_a_linear_model(loss: str, factor: float, device: torch.device) -> None:
    """Forty steps at training and at test points; the loss ½ Σ with the rate times the pace of each loss."""
    x, test, y = draw(6, 2, device=device), draw(3, 2, seed=1, device=device), draw(6, seed=2, device=device)
    model = Cosines(device)
    f0, g0 = (model(v)[:, 0].detach() for v in (x, test))
    kernel, cross = jacobian_ntk(model, x), jacobian_ntk(model, test, x)
    path = descend(model, x, y, rate=0.03 * factor, steps=40, watch=torch.cat((x, test)), every=20)
    assert path.shape == (3, 9)
    dynamics = KernelDynamics(kernel, y, f0, loss)
    assert dynamics.pace == pytest.approx(factor)
    torch.testing.assert_close(dynamics.descent(40, 0.03), path[-1, :6], atol=1e-11, rtol=1e-10)
    torch.testing.assert_close(dynamics.descent(40, 0.03, cross, g0), path[-1, 6:], atol=1e-11, rtol=1e-10)
    torch.testing.assert_close(path[0], torch.cat((f0, g0)), atol=0, rtol=0)


def test_flow_is_the_limit_of_small_steps_and_the_matrix_exponential(device: torch.device) -> None:
    x, y, f0 = draw(6, 2, device=device), draw(6, seed=2, device=device), draw(6, seed=5, device=device)
    kernel = gaussian_kernel(x) + 0.1 * torch.eye(6, device=device)
    dynamics = KernelDynamics(kernel, y, f0)
    expected = y.cpu().numpy() + expm(-0.8 * kernel.cpu().numpy()) @ (f0 - y).cpu().numpy()
    np.testing.assert_allclose(dynamics.flow(0.8).cpu().numpy(), expected, atol=1e-10)
    for n, near in ((200, 1e-2), (20_000, 1e-4)):
        assert (dynamics.descent(n, 0.8 / n) - dynamics.flow(0.8)).abs().max() < near
    many = dynamics.flow(torch.tensor([0.0, 0.8], device=device))
    torch.testing.assert_close(many[0], f0)
    torch.testing.assert_close(many[1], dynamics.flow(0.8))
    assert dynamics.flow(torch.tensor([[0.1], [0.2]]).to(device), kernel[:2]).shape == (2, 1, 2)


def test_directions_the_kernel_does_not_see_stay(device: torch.device) -> None:
    """λ = 0 has φ = t, not 0/0; the start there is kept for ever."""
    kernel = torch.diag(torch.tensor([0.0, 1.0, 1e-12], dtype=torch.float64, device=device))
    y, f0 = torch.ones(3, dtype=torch.float64, device=device), draw(3, device=device) * 0
    f0[0] = 0.3
    dynamics = KernelDynamics(kernel, y, f0)
    end = dynamics.flow(40.0)
    assert end.tolist() == pytest.approx([0.3, 1.0, 4e-11], abs=1e-12)
    cross = torch.tensor([[0.5, 0.0, 0.0]], dtype=torch.float64, device=device)
    assert dynamics.flow(40.0, cross).item() == pytest.approx(0.5 * 40 * 0.7)
    assert dynamics.descent(10, 0.1, cross).item() == pytest.approx(0.5 * 1.0 * 0.7)
    t = torch.tensor(3.0, dtype=torch.float64)
    values = torch.tensor([0.0, 1e-10, 1e-7, 2.0], dtype=torch.float64)
    exact = [3.0, 3.0, -math.expm1(-3e-7) / 1e-7, (1 - math.exp(-6)) / 2]
    assert filtered(values, t).tolist() == pytest.approx(exact, rel=2e-9)
    assert filtered(values, t)[2].item() == pytest.approx(exact[2], rel=1e-14)


def test_steps_that_are_too_large_grow() -> None:
    """Stable up to ηλ = 2 (audit 06.E3b)."""
    kernel, y = torch.diag(torch.tensor([1.0, 4.0])), torch.ones(2)
    errors = [(KernelDynamics(kernel, y).descent(20, rate) - 1).abs().tolist() for rate in (0.475, 0.525)]
    assert errors[0][1] == pytest.approx(0.9**20)
    assert errors[1][1] == pytest.approx(1.1**20)
    assert errors[0][0] == pytest.approx(0.525**20)


def test_a_wide_network_follows_its_kernel_from_where_it_starts(device: torch.device) -> None:
    """Width 4096: within 3 % of the labels' size; without f₀, or at twice the rate, off by several times as much."""
    x, y = circle(8, device), draw(8, seed=7, device=device)
    net = MLP(2, (4096,), parametrization="ntk", generator=torch.Generator().manual_seed(0)).double().to(device)
    kernel, f0 = empirical_ntk(net, x), net(x)[:, 0].detach()
    path = descend(net, x, y, rate=0.02, steps=60, every=60)
    size = y.norm()
    deviation = {
        "right": KernelDynamics(kernel, y, f0).descent(60, 0.02),
        "without the start": KernelDynamics(kernel, y).descent(60, 0.02),
        "twice": KernelDynamics(kernel, y, f0, "sum").descent(60, 0.02),
    }
    off = {name: ((f - path[-1]).norm() / size).item() for name, f in deviation.items()}
    assert off["right"] < 0.03
    assert off["without the start"] > 3 * off["right"]
    assert off["twice"] > 3 * off["right"]


def test_training_by_adam(device: torch.device) -> None:
    net = MLP(1, (16,), generator=torch.Generator().manual_seed(0)).to(device)
    x = torch.linspace(0, 1, 8, device=device)[:, None]
    losses = fit(net, lambda: (net(x) - x).square().mean(), 200, lr=1e-2)
    assert len(losses) == 200
    assert losses[-1] < 0.02 * losses[0]


def test_networks_start_as_they_should() -> None:
    """Standard weights have variance w/n; the others are standard normal and scaled in passing; biases are zero."""
    standard = Dense(400, 300, weight_variance=2.0, generator=torch.Generator().manual_seed(0))
    assert standard.weight.var().item() == pytest.approx(2 / 400, rel=0.02)
    other = Dense(400, 300, parametrization="ntk", weight_variance=2.0, generator=torch.Generator().manual_seed(0))
    assert other.weight.var().item() == pytest.approx(1.0, rel=0.02)
    assert standard.bias.abs().max().item() == other.bias.abs().max().item() == 0.0
    x = torch.randn(3, 400)
    torch.testing.assert_close(standard(x), other(x), atol=1e-5, rtol=1e-4)
    assert [type(m).__name__ for m in MLP(2, (4, 4))] == ["Dense", "ReLU", "Dense", "ReLU", "Dense"]


# ---- bad input ----

SQUARE = torch.eye(3)
BAD: dict[str, tuple[Any, str]] = {
    "width": (lambda: gaussian_kernel(SQUARE, width=0.0), "width must be positive; got 0"),
    "kernel": (lambda: kernel_regression(torch.ones(2, 3), SQUARE, torch.ones(3)), r"kernel has shape \(2, 3\)"),
    "cross": (lambda: regression_weights(SQUARE, torch.ones(2, 4)), r"cross has shape \(2, 4\).*3"),
    "ridge": (lambda: regression_weights(SQUARE, SQUARE, -1.0), "ridge must not be negative; got -1"),
    "y": (lambda: kernel_regression(SQUARE, SQUARE, torch.ones(4)), "y has 4 labels.*3 points"),
    "parametrization": (lambda: relu_ntk(SQUARE, parametrization="mean"), "parametrization is 'mean'"),
    "hidden": (lambda: relu_ntk(SQUARE, hidden=()), "hidden must hold the widths"),
    "points": (lambda: relu_ntk(SQUARE, torch.ones(2, 2)), r"other has shape \(2, 2\)"),
    "labels": (lambda: KernelDynamics(SQUARE, torch.ones(2)), r"y has shape \(2,\).*3 points"),
    "start": (lambda: KernelDynamics(SQUARE, torch.ones(3), torch.ones(2)), r"start has shape \(2,\)"),
    "loss": (lambda: KernelDynamics(SQUARE, torch.ones(3), loss="l1"), "loss is 'l1'; it can be half-sum"),
    "asymmetric": (lambda: KernelDynamics(torch.triu(torch.ones(3, 3)), torch.ones(3)), "kernel is not symmetric"),
    "negative": (lambda: KernelDynamics(-SQUARE, torch.ones(3)), "has the eigenvalue -1; none may be negative"),
    "time": (lambda: KernelDynamics(SQUARE, torch.ones(3)).flow(-1.0), "time must be finite and not negative"),
    "steps": (lambda: KernelDynamics(SQUARE, torch.ones(3)).descent(-1, 0.1), "steps must not be negative"),
    "rate": (lambda: KernelDynamics(SQUARE, torch.ones(3)).descent(1, 0.0), "rate must be positive"),
    "far": (lambda: KernelDynamics(SQUARE, torch.ones(3)).flow(1.0, torch.ones(2, 4)), r"cross has shape \(2, 4\)"),
    "first": (lambda: KernelDynamics(SQUARE, torch.ones(3)).flow(1.0, start=torch.ones(3)), "start goes with cross"),
    "both": (
        lambda: KernelDynamics(SQUARE, torch.ones(3)).flow(1.0, SQUARE[:2], torch.ones(3)),
        r"start has shape \(3,\)",
    ),
    "mlp": (lambda: MLP(2, ()), "hidden must hold the widths"),
    "dense": (lambda: Dense(2, 2, parametrization="x"), "parametrization is 'x'"),
    "variance": (lambda: Dense(2, 2, weight_variance=0.0), "weight_variance must be positive"),
    "descend": (
        lambda: descend(nn.Linear(1, 1), torch.ones(3, 1), torch.ones(2), rate=1, steps=1),
        r"y has shape \(2,\)",
    ),
    "every": (
        lambda: descend(nn.Linear(1, 1), torch.ones(3, 1), torch.ones(3), rate=1, steps=0),
        "steps, every and rate",
    ),
    "fit": (lambda: fit(nn.Linear(1, 1), lambda: torch.ones(()), 0), "steps and lr must be positive; got 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()
