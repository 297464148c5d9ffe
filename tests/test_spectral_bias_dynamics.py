"""Training seen from the outputs: against matrix exponentials, step-by-step descent, and networks that are trained."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from torch import Tensor, nn

from workings import spectral_bias as sb
from workings.spectral_bias.dynamics import filtered


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


PHI, OTHER, Y, F0, F0_OTHER = randn(6, 4), randn(3, 4, seed=1), randn(6, seed=2), randn(6, seed=3), randn(3, seed=4)
KERNEL, CROSS = PHI @ PHI.T, OTHER @ PHI.T  # rank four of six


@pytest.mark.parametrize("loss", sb.LOSSES)
def test_descent_is_that_of_a_linear_model_for_every_loss(loss: str) -> None:
    """Run by autograd on the loss itself, with the outputs that the model has at the start."""
    theta = randn(4, seed=5).requires_grad_()
    start, other, rate = (PHI @ theta).detach(), (OTHER @ theta).detach(), 0.03
    dynamics = sb.KernelDynamics(KERNEL, Y, start, loss)
    losses = {
        "half-sum": lambda e: e.square().sum() / 2, "sum": lambda e: e.square().sum(),
        "half-mean": lambda e: e.square().mean() / 2, "mean": lambda e: e.square().mean(),
    }  # fmt: skip
    for step in range(40):
        if step in (0, 1, 7, 39):
            torch.testing.assert_close(dynamics.descent(step, rate), (PHI @ theta).detach(), atol=1e-9, rtol=1e-9)
            torch.testing.assert_close(
                dynamics.descent(step, rate, CROSS, other), (OTHER @ theta).detach(), atol=1e-9, rtol=1e-9
            )
        (slope,) = torch.autograd.grad(losses[loss](PHI @ theta - Y), theta)
        theta = (theta - rate * slope).detach().requires_grad_()


@pytest.mark.parametrize(("loss", "pace"), [("half-sum", 1), ("sum", 2), ("half-mean", 1 / 6), ("mean", 1 / 3)])
def test_flow_is_the_matrix_exponential(loss: str, pace: float) -> None:
    dynamics = sb.KernelDynamics(KERNEL, Y, F0, loss)
    for t in (0.0, 0.3, 2.0):
        expected = Y.numpy() + expm(-pace * t * KERNEL.numpy()) @ (F0 - Y).numpy()
        np.testing.assert_allclose(dynamics.flow(t), expected, atol=1e-10)


def test_flow_elsewhere_is_the_integral_of_its_rate() -> None:
    """f_t(x) − f₀(x) = −∫ K_* (f_s − y) ds, by a fine sum."""
    dynamics = sb.KernelDynamics(KERNEL, Y, F0)
    s = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000 * 0.8
    integral = (dynamics.flow(s) - Y).mean(0) * 0.8
    torch.testing.assert_close(dynamics.flow(0.8, CROSS, F0_OTHER), F0_OTHER - CROSS @ integral, atol=1e-7, rtol=0)


def test_small_steps_are_the_flow_and_large_ones_are_not() -> None:
    dynamics = sb.KernelDynamics(KERNEL, Y, F0)
    top = float(dynamics.eigenvalues[-1])
    near = dynamics.descent(10_000, 1e-5) - dynamics.flow(0.1)
    assert near.abs().max() < 1e-4
    assert (dynamics.descent(20, 1.0 / top) - dynamics.flow(20 / top)).abs().max() > 1e-3
    assert dynamics.descent(200, 2.1 / top).abs().max() > 1e6  # beyond 2 / λ it grows
    assert dynamics.descent(200, 1.9 / top).abs().max() < 10


def test_each_eigenvector_decays_at_its_own_rate() -> None:
    dynamics = sb.KernelDynamics(KERNEL, Y)
    times = torch.linspace(0, 1, 5, dtype=torch.float64)
    errors = (dynamics.flow(times) - Y) @ dynamics.eigenvectors
    slopes = -(errors[1:] / errors[:1]).abs().log() / times[1:, None]
    torch.testing.assert_close(slopes[:, 2:], dynamics.eigenvalues[2:].expand(4, 4), rtol=0.01, atol=1e-9)
    assert dynamics.eigenvalues.diff().min() >= 0
    torch.testing.assert_close(
        dynamics.eigenvectors @ torch.diag(dynamics.eigenvalues) @ dynamics.eigenvectors.T, KERNEL
    )


def test_without_an_inverse_the_limit_is_time_itself() -> None:
    """Along the null space of K a prediction elsewhere moves in proportion to time."""
    kernel, cross = torch.diag(torch.tensor([0.0, 3.0]).double()), torch.tensor([[2.0, 0.0]]).double()
    dynamics = sb.KernelDynamics(kernel, torch.tensor([1.0, 1.0]).double())
    assert dynamics.flow(0.25, cross).item() == pytest.approx(0.5)
    assert dynamics.descent(5, 0.05, cross).item() == pytest.approx(0.5)
    assert dynamics.flow(1e9)[0].item() == pytest.approx(0)


@pytest.mark.parametrize("exponent", range(-30, 1))
def test_gain_of_descent_is_exact_however_slow_a_component_is(exponent: int) -> None:
    """Over ten million steps: (1 − (1 − ηλ)ᵏ) / λ, by mpmath."""
    mpmath = pytest.importorskip("mpmath")
    value, steps, rate = 10.0**exponent, 10**7, 0.3
    dynamics = sb.KernelDynamics(torch.tensor([[value]]).double(), torch.ones(1).double())
    with mpmath.workdps(60):
        exact = (1 - (1 - mpmath.mpf(rate) * mpmath.mpf(value)) ** steps) / mpmath.mpf(value)
    found = dynamics.descent(steps, rate, torch.ones(1, 1).double()).item()
    assert found == pytest.approx(float(exact), rel=1e-6)


@pytest.mark.parametrize("exponent", range(-30, 3))
def test_filter_is_smooth_through_small_eigenvalues(exponent: int) -> None:
    """Below λt = 1e-8 it is t, off by λt/2 at most; above, all digits are there."""
    value, t = torch.tensor(10.0**exponent, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)
    expected = -math.expm1(-value.item() * 2) / value.item()
    assert filtered(value, t).item() == pytest.approx(expected, rel=6e-9 if value * t < 1e-8 else 1e-14)


def test_filter_of_nothing_is_the_time() -> None:
    found = filtered(torch.tensor([0.0, 1e-320], dtype=torch.float64), torch.tensor(3.0, dtype=torch.float64))
    assert found.tolist() == [3.0, 3.0]


def test_times_may_have_any_shape_and_labels_either_precision(device: torch.device) -> None:
    dynamics = sb.KernelDynamics(KERNEL.float().to(device), Y.float().to(device))
    assert dynamics.flow(torch.rand(2, 3)).shape == (2, 3, 6)
    assert dynamics.flow(torch.rand(2, 3), CROSS.to(device)).shape == (2, 3, 3)
    found = dynamics.flow(torch.tensor([0.1, 0.4]))
    torch.testing.assert_close(found[1], dynamics.flow(0.4))
    assert found.dtype == torch.float64
    assert found.device.type == device.type


def test_start_is_where_training_starts() -> None:
    dynamics = sb.KernelDynamics(KERNEL, Y, F0)
    torch.testing.assert_close(dynamics.flow(0.0), F0)
    torch.testing.assert_close(dynamics.flow(0.0, CROSS, F0_OTHER), F0_OTHER)
    torch.testing.assert_close(dynamics.flow(0.0, CROSS), torch.zeros(3).double())
    torch.testing.assert_close(sb.KernelDynamics(KERNEL, Y).flow(0.0), torch.zeros(6).double())


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: sb.KernelDynamics(KERNEL[:3], Y), "square"),
        (lambda: sb.KernelDynamics(KERNEL, Y[:4]), "y has shape"),
        (lambda: sb.KernelDynamics(KERNEL, Y, F0[:4]), "start has shape"),
        (lambda: sb.KernelDynamics(KERNEL, Y, loss="huber"), "loss is 'huber'; it can be half-sum"),
        (lambda: sb.KernelDynamics(randn(6, 6), Y), "not symmetric"),
        (lambda: sb.KernelDynamics(KERNEL - 5 * torch.eye(6), Y), "none may be negative"),
        (lambda: sb.KernelDynamics(KERNEL, Y).flow(-0.1), "time must be finite"),
        (lambda: sb.KernelDynamics(KERNEL, Y).flow(math.inf), "time must be finite"),
        (lambda: sb.KernelDynamics(KERNEL, Y).descent(-1, 0.1), "steps must not be negative"),
        (lambda: sb.KernelDynamics(KERNEL, Y).descent(1, 0.0), "rate must be positive"),
        (lambda: sb.KernelDynamics(KERNEL, Y).flow(0.1, CROSS[:, :5]), r"\(m, 6\)"),
        (lambda: sb.KernelDynamics(KERNEL, Y).flow(0.1, CROSS, F0), "cross is for 3 points"),
        (lambda: sb.KernelDynamics(KERNEL, Y).flow(0.1, start=F0), "start goes with cross"),
    ],
)
def test_bad_dynamics_are_refused(run: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run()


# ---- training ------------------------------------------------------------------------------------------------------


def test_wide_network_is_trained_as_predicted() -> None:
    """A hidden layer of 20,000 in the NTK scaling: predicted within 2 %; without f₀, or at another pace, far off."""
    x = torch.linspace(0, 1, 6)[:, None] * torch.tensor([[1.0, -0.5]]) + torch.tensor([[0.2, 0.9]])
    y, rate, steps = torch.sin(5 * x[:, 0]), 0.05, 15
    net = sb.MLP(2, (20_000,), parametrization="ntk", generator=torch.Generator().manual_seed(0))
    kernel = sb.relu_ntk(x.double(), hidden=(1,), parametrization="ntk")
    start, end = sb.descend(net, x, y, rate=rate, steps=steps, every=steps)

    def off(outputs: Tensor) -> float:
        return float((outputs - end).norm() / (end - start).norm())

    assert off(sb.KernelDynamics(kernel, y, start).descent(steps, rate)) < 0.02
    assert off(sb.KernelDynamics(kernel, y).descent(steps, rate)) > 0.06
    assert off(sb.KernelDynamics(kernel, y, start, "sum").descent(steps, rate)) > 0.06
    assert off(sb.KernelDynamics(kernel, y, start, "half-mean").descent(steps, rate)) > 0.06


def test_descent_by_hand_and_what_it_keeps() -> None:
    """f = w x from w = 0: one step of rate 0.1 on x = 2, y = 3 adds 0.1 · 2 · 3."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    kept = sb.descend(
        net, torch.tensor([[2.0]]), torch.tensor([3.0]), rate=0.1, steps=5, watch=torch.tensor([[1.0], [2.0]]), every=2
    )
    assert kept.shape == (3, 2)
    assert kept[0].tolist() == [0, 0]
    weights = [0.0]
    for _ in range(5):
        weights.append(weights[-1] + 0.1 * 2 * (3 - 2 * weights[-1]))
    assert kept[1:, 0].tolist() == pytest.approx([weights[2], weights[4]])
    assert net.weight.item() == pytest.approx(weights[5])
    assert not kept.requires_grad


def test_fit_is_adam() -> None:
    """The first step of Adam has the length of the rate; many bring the loss down."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    losses = sb.fit(net, lambda: (net.weight - 3).square().sum(), 1, lr=0.25)
    assert losses == [9.0]
    assert net.weight.item() == pytest.approx(0.25, rel=1e-4)
    losses = sb.fit(net, lambda: (net.weight - 3).square().sum(), 200, lr=0.1)
    assert len(losses) == 200
    assert losses[-1] < 1e-3


def test_training_can_show_its_progress() -> None:
    seen: list[int] = []

    def each(steps: Any) -> Any:
        for step in steps:
            seen.append(step)
            yield step

    net = nn.Linear(1, 1)
    sb.fit(net, lambda: net.weight.square().sum(), 3, each=each)
    sb.descend(net, torch.ones(1, 1), torch.ones(1), rate=0.1, steps=2, each=each)
    assert seen == [0, 1, 2, 1, 2]


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"rate": 0.0}, {"every": 0}])
def test_bad_training_is_refused(wrong: dict[str, Any]) -> None:
    net = nn.Linear(1, 1)
    with pytest.raises(ValueError, match="must be positive"):
        sb.descend(net, torch.ones(2, 1), torch.ones(2), **{"steps": 1, "rate": 0.1} | wrong)
    with pytest.raises(ValueError, match=r"it must be \(2,\)"):
        sb.descend(net, torch.ones(2, 1), torch.ones(2, 1), rate=0.1, steps=1)
    for steps, lr in ((0, 1e-3), (1, 0.0), (1, math.nan)):
        with pytest.raises(ValueError, match="must be positive"):
            sb.fit(net, lambda: net.weight.sum(), steps, lr=lr)
