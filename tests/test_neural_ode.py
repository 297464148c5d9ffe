"""Gradients and solutions of `odeint` against closed forms and independent solvers: the fast, discriminating tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from ode_problems import LINEAR, PROBLEMS, Problem, Swing
from scipy.integrate import solve_ivp
from torch import Tensor

from workings.neural_ode import METHODS, Stats, loss_gradient, odeint, odeint_adjoint, trajectory_loss

GRADIENTS = ("backprop", "discrete", "adjoint")
ADAPTIVE = ("bosh3", "dopri5", "tsit5")
TIGHT: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-12}
FORWARD, BACKWARD = (0.2, 0.6, 1.1, 1.7), (1.7, 1.1, 0.6, 0.2)


def f64(values: Any, device: torch.device, grad: bool = False) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=device, requires_grad=grad)


# ---- the three losses, in one objective, against finite differences of another solver ----


def running(t: Tensor, z: Tensor) -> Tensor:
    return (z[..., 0] ** 2 * t + torch.sin(z[..., 1])).sum()


def terminal(z: Tensor) -> Tensor:
    return z[..., 1].pow(2).sum() + 0.5 * z[..., 0].sum()


def observed(i: int, z: Tensor) -> Tensor:
    return (i + 1) * (z[..., 0] * z[..., 1]).sum() + torch.cos(z[..., 0]).sum() / (i + 1)


LOSSES: dict[str, dict[str, Any]] = {
    "terminal": {"terminal": terminal},
    "running": {"running": running},
    "observed": {"observed": observed},
    "together": {"terminal": terminal, "running": running, "observed": observed},
}


def by_scipy(losses: dict[str, Any], x: np.ndarray, n_times: int) -> float:
    """The loss as a function of all numbers (state, parameters, times), solved by scipy's DOP853."""
    field, times = Swing(), x[5:]
    with torch.no_grad():
        field.theta.copy_(torch.tensor(x[2:5]))

    def rhs(t: float, s: np.ndarray) -> np.ndarray:
        time, z = torch.tensor(t, dtype=torch.float64), torch.tensor(s[:2])
        with torch.no_grad():
            rate = losses["running"](time, z).item() if "running" in losses else 0.0
            return np.append(field(time, z).numpy(), rate)

    state, total = np.array([x[0], x[1], 0.0]), 0.0
    states = [state]
    for a, b in pairwise(times):
        state = solve_ivp(rhs, (a, b), state, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
        states.append(state)
    for i, s in enumerate(states):
        total += losses["observed"](i, torch.tensor(s[:2])).item() if "observed" in losses else 0.0
    total += losses["terminal"](torch.tensor(states[-1][:2])).item() if "terminal" in losses else 0.0
    return total + float(states[-1][2])


@pytest.fixture(scope="module")
def finite_differences() -> Callable[[str, tuple[float, ...]], tuple[float, np.ndarray]]:
    """The loss by scipy and its gradient by central differences, computed once for each loss and direction."""
    known: dict[Any, tuple[float, np.ndarray]] = {}

    def lookup(name: str, times: tuple[float, ...]) -> tuple[float, np.ndarray]:
        if (name, times) not in known:
            x, h = np.array([0.8, -0.3, 0.7, -0.4, 0.5, *times]), 1e-5
            shifts = np.eye(len(x)) * h
            value = [(by_scipy(LOSSES[name], x + s, 4), by_scipy(LOSSES[name], x - s, 4)) for s in shifts]
            known[name, times] = by_scipy(LOSSES[name], x, 4), np.array([(p - m) / (2 * h) for p, m in value])
        return known[name, times]

    return lookup


CASES = [("together", FORWARD), ("together", BACKWARD), *((n, FORWARD) for n in ("terminal", "running", "observed"))]


@pytest.mark.parametrize(("name", "times"), CASES)
def test_written_out_adjoint_of_each_loss(
    name: str, times: tuple[float, ...], finite_differences: Any, device: torch.device
) -> None:
    field = Swing().to(device)
    g = loss_gradient(field, f64([0.8, -0.3], device), f64(times, device), **LOSSES[name], **TIGHT)
    value, reference = finite_differences(name, times)
    measured = torch.cat([g.y0, *g.params, g.times]).cpu().numpy()
    assert g.loss.item() == pytest.approx(value, abs=1e-9)
    np.testing.assert_allclose(measured, reference, atol=2e-8, rtol=1e-8)


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("times", [FORWARD, BACKWARD], ids=["forward", "backward"])
def test_gradient_of_losses_by_autograd(
    times: tuple[float, ...], gradient: str, finite_differences: Any, device: torch.device
) -> None:
    field, y0, t = Swing().to(device), f64([0.8, -0.3], device, grad=True), f64(times, device, grad=True)
    loss = trajectory_loss(field, y0, t, **LOSSES["together"], gradient=gradient, **TIGHT)
    measured = torch.cat(torch.autograd.grad(loss, (y0, field.theta, t))).cpu().numpy()
    value, reference = finite_differences("together", times)
    assert loss.item() == pytest.approx(value, abs=1e-9)
    np.testing.assert_allclose(measured, reference, atol=2e-8, rtol=1e-8)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_only_times_require_gradients(gradient: str, device: torch.device) -> None:
    """z' = z²t from 1 at t0: z(t) = 1 / (1 - (t² - t0²)/2); nothing else requires a gradient."""
    t = f64([0.5, 1.0, 1.2], device, grad=True)
    z = odeint(lambda t, z: z**2 * t, f64([1.0], device), t, gradient=gradient, **TIGHT)
    exact = [1 / (1 - (b**2 - 0.25) / 2) for b in (1.0, 1.2)]
    by_t = torch.autograd.grad(z[1, 0] + 3 * z[2, 0], t)[0]
    by_end = [exact[0] ** 2 * 1.0, 3 * exact[1] ** 2 * 1.2]
    by_start = -0.5 * (exact[0] ** 2 + 3 * exact[1] ** 2)
    torch.testing.assert_close(by_t.cpu(), torch.tensor([by_start, *by_end], dtype=torch.float64), atol=1e-7, rtol=0)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_gradient_to_a_first_output_is_direct(gradient: str, device: torch.device) -> None:
    """A loss on the first row only: y0 gets it, the parameters and the times get exactly nothing."""
    field, y0, t = Swing().to(device), f64([0.8, -0.3], device, grad=True), f64([0.0, 0.5], device, grad=True)
    z = odeint(field, y0, t, gradient=gradient)
    by_y0, by_theta, by_t = torch.autograd.grad((z[0] * f64([2.0, 3.0], device)).sum(), (y0, field.theta, t))
    assert by_y0.tolist() == [2.0, 3.0]
    assert by_theta.tolist() == [0.0, 0.0, 0.0]
    assert by_t.tolist() == [0.0, 0.0]


# ---- solutions ----


DIRECTIONS = [(p, b) for p in PROBLEMS for b in (False, True) if p.reversible or not b]


@pytest.mark.parametrize(("problem", "backward"), DIRECTIONS, ids=lambda v: "backward" if v is True else str(v))
@pytest.mark.parametrize("method", METHODS)
def test_solution(method: str, problem: Problem, backward: bool, device: torch.device) -> None:
    size = (problem.t1 - problem.t0) / {"euler": 2000, "midpoint": 1000}.get(method, 400)
    options = {} if method in ADAPTIVE else {"step_size": size}
    bound = {"euler": 1e-2, "midpoint": 1e-4, "rk4": 3e-7}.get(method, 1e-6)
    t = problem.times(5, f64(0.0, device), backward)
    start, exact = problem.exact(t[0]), problem.exact(t)
    with torch.no_grad():
        y = odeint(problem.func, start, t, rtol=1e-8, atol=1e-9, method=method, options=options)
    assert torch.equal(y[0], start)
    assert ((y - exact).abs() / (1 + exact.abs())).max().item() < bound


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 3)])
def test_batch_shapes_and_dtypes(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    y0 = torch.randn((*shape, 2), generator=generator, dtype=torch.float64).to(device, dtype)
    t = torch.tensor([0.0, 0.7, 1.0], dtype=dtype, device=device)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-9
    y = odeint(LINEAR.func, y0, t, rtol=tolerance, atol=tolerance)
    flow = torch.matrix_exp(t.double()[:, None, None] * y0.new_tensor([[-0.3, 2.0], [-1.5, 0.1]]).double())
    exact = torch.einsum("tij,...j->t...i", flow, y0.double())
    assert y.shape == (3, *shape, 2)
    assert y.dtype == dtype
    assert (y.double() - exact).abs().max().item() < 20 * tolerance


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_tuple_state(gradient: str, device: torch.device) -> None:
    """(x, v) as a tuple of different shapes solves and differentiates as the same numbers in one tensor do."""
    k = f64([1.0, 4.0], device, grad=True)
    x0, e0, t = (
        f64([[1.0, 0.5], [0.2, -0.3]], device, grad=True),
        f64(0.3, device, grad=True),
        f64([0.0, 0.4, 1.0], device),
    )

    def func(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, e = state
        return torch.stack([x[1] * e, -k * x[0]]), (x**2).sum() * t - e

    x, e = odeint(func, (x0, e0), t, gradient=gradient, **TIGHT)
    assert x.shape == (3, 2, 2)
    assert e.shape == (3,)

    def flat(t: Tensor, y: Tensor) -> Tensor:
        dx, de = func(t, (y[:4].view(2, 2), y[4]))
        return torch.cat([dx.reshape(-1), de.reshape(1)])

    y = odeint(flat, torch.cat([x0.reshape(-1), e0.reshape(1)]), t, **TIGHT)
    torch.testing.assert_close(torch.cat([x.reshape(3, 4), e[:, None]], 1), y, atol=1e-12, rtol=0)
    measured = torch.autograd.grad((x[1:] ** 3).sum() + e[1] * e[2], (x0, e0, k))
    expected = torch.autograd.grad((y[1:, :4] ** 3).sum() + y[1, 4] * y[2, 4], (x0, e0, k))
    for a, b in zip(measured, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-7, rtol=1e-7)


# ---- how the three gradients relate ----


def both_gradients(method: str, step: float | None, device: torch.device, **kwargs: Any) -> list[list[Tensor]]:
    results = []
    for gradient in ("backprop", "discrete"):
        field, y0 = Swing().to(device), f64([[0.8, -0.3], [0.1, 0.4]], device, grad=True)
        options = {} if step is None else {"step_size": step}
        z = odeint(field, y0, f64(FORWARD, device), method=method, options=options, gradient=gradient, **kwargs)
        weights = torch.linspace(-1, 1, z.numel(), dtype=z.dtype, device=device).view(z.shape)
        results.append([z.detach(), *torch.autograd.grad((weights * z**2).sum(), (y0, field.theta))])
    return results


@pytest.mark.parametrize("method", METHODS)
def test_discrete_gradient_is_backpropagation_through_equal_steps(method: str, device: torch.device) -> None:
    """Large steps, so that a gradient of the equation instead of the steps would differ in the second digit."""
    for a, b in zip(*both_gradients(method, 0.25, device), strict=True):
        torch.testing.assert_close(a, b, atol=3e-14, rtol=1e-13)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_discrete_gradient_is_backpropagation_through_adaptive_steps(method: str, device: torch.device) -> None:
    """Loose tolerances: outputs lie inside steps, so the dense output is differentiated too."""
    for a, b in zip(*both_gradients(method, None, device, rtol=1e-3, atol=1e-3), strict=True):
        torch.testing.assert_close(a, b, atol=3e-14, rtol=1e-13)


def test_adjoint_differs_from_the_computed_steps_by_their_error(device: torch.device) -> None:
    """Euler: the continuous adjoint's gradient departs from the discrete one in proportion to the step."""

    def difference(n: int) -> float:
        grads = []
        for gradient in ("discrete", "adjoint"):
            field, t = Swing().to(device), f64([0.0, 1.0], device)
            options = {"step_size": 1 / n}
            z = odeint(field, f64([0.8, -0.3], device), t, method="euler", options=options, gradient=gradient)
            grads.append(torch.autograd.grad(z[-1].pow(2).sum(), field.theta)[0])
        return float((grads[0] - grads[1]).norm() / grads[0].norm())

    differences = [difference(n) for n in (16, 32, 64, 128)]
    assert differences[0] > 1e-3
    assert all(a / b == pytest.approx(2, abs=0.25) for a, b in pairwise(differences))


@pytest.mark.parametrize(("rate", "wrong"), [(10.0, False), (25.0, True)])
def test_continuous_adjoint_fails_where_the_state_cannot_be_rebuilt(
    rate: float, wrong: bool, device: torch.device
) -> None:
    """∫z² on z' = -λz: the discrete gradient holds for every λ, the continuous one breaks down, and says so."""
    exact = (2 * rate * math.exp(-2 * rate) - (1 - math.exp(-2 * rate))) / (2 * rate**2)
    errors = {}
    for gradient in ("discrete", "adjoint"):
        k, stats = f64(rate, device, grad=True), Stats()

        def decay(t: Tensor, z: Tensor, k: Tensor = k) -> Tensor:
            return -k * z

        loss = trajectory_loss(
            decay,
            f64([1.0], device),
            f64([0.0, 1.0], device),
            running=lambda t, z: (z**2).sum(),
            gradient=gradient,
            rtol=1e-6,
            atol=1e-9,
            stats=stats,
        )
        if wrong and gradient == "adjoint":
            with pytest.warns(RuntimeWarning, match=r"integrated the state back to a relative error of .*discrete"):
                loss.backward()
            assert stats.reconstruction_error > 0.1
        else:
            loss.backward()
            assert stats.reconstruction_error < 0.1
        assert k.grad is not None
        errors[gradient] = abs(k.grad.item() / exact - 1)
    assert errors["discrete"] < 1e-4
    assert (errors["adjoint"] > 1) if wrong else (errors["adjoint"] < 1e-3)


def test_odeint_adjoint_is_the_adjoint_gradient(device: torch.device) -> None:
    field, y0, t = Swing().to(device), f64([0.8, -0.3], device), f64(FORWARD, device)
    grads = []
    for z in (odeint_adjoint(field, y0, t), odeint(field, y0, t, gradient="adjoint"), odeint(field, y0, t)):
        grads.append(torch.autograd.grad(z[-1].sum(), field.theta)[0])
    assert torch.equal(grads[0], grads[1])
    assert not torch.equal(grads[0], grads[2])
