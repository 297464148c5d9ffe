"""The methods themselves: orders, dense output, step control, peers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchdiffeq
from ode_problems import FORCED, LINEAR, LOGISTIC, Problem, Swing, slope
from scipy.integrate import RK23, RK45, solve_ivp
from torch import Tensor

from workings.neural_ode import METHODS, Stats, Tableau, odeint
from workings.neural_ode.adjoint import block_norm
from workings.neural_ode.field import Layout
from workings.neural_ode.solver import Plan, RungeKutta, adaptive_steps, first_step

ADAPTIVE = ("bosh3", "dopri5", "tsit5")


def f64(values: Any, device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=device)


# ---- the tableaux ----


def trees(tableau: Tableau, b: np.ndarray) -> list[tuple[int, float, float]]:
    """(order, what it has, what is exact) for each rooted tree up to order 5."""
    s = tableau.stages
    A = np.array([[float(v) for v in row] + [0.0] * (s - len(row)) for row in tableau.a])
    c = np.array([float(v) for v in tableau.c])
    return [
        (1, b.sum(), 1.0),
        (2, b @ c, 1 / 2),
        (3, b @ c**2, 1 / 3),
        (3, b @ A @ c, 1 / 6),
        (4, b @ c**3, 1 / 4),
        (4, b @ (c * (A @ c)), 1 / 8),
        (4, b @ A @ c**2, 1 / 12),
        (4, b @ A @ A @ c, 1 / 24),
        (5, b @ c**4, 1 / 5),
        (5, b @ (c**2 * (A @ c)), 1 / 10),
        (5, b @ (A @ c) ** 2, 1 / 20),
        (5, b @ (c * (A @ c**2)), 1 / 15),
        (5, b @ (c * (A @ A @ c)), 1 / 30),
        (5, b @ A @ c**3, 1 / 20),
        (5, b @ A @ (c * (A @ c)), 1 / 40),
        (5, b @ A @ A @ c**2, 1 / 60),
        (5, b @ A @ A @ A @ c, 1 / 120),
    ]


@pytest.mark.parametrize("name", METHODS)
def test_order_conditions_hold_up_to_the_order_and_not_beyond(name: str) -> None:
    tableau = METHODS[name]
    conditions = trees(tableau, np.array([float(v) for v in tableau.b]))
    assert all(abs(has - exact) < 5e-15 for order, has, exact in conditions if order <= tableau.order)
    assert tableau.order == 5 or any(abs(has - exact) > 1e-3 for k, has, exact in conditions if k == tableau.order + 1)
    sums = [sum(float(v) for v in row) for row in tableau.a]
    assert sums == pytest.approx([float(v) for v in tableau.c], abs=1e-14)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_embedded_weights_are_one_order_lower(name: str) -> None:
    tableau = METHODS[name]
    lower = np.array([float(v) for v in tableau.b]) - np.array([float(v) for v in tableau.b_error])
    conditions = trees(tableau, lower)
    assert all(abs(has - exact) < 5e-15 for order, has, exact in conditions if order < tableau.order)
    assert any(abs(has - exact) > 1e-5 for order, has, exact in conditions if order == tableau.order)


@pytest.mark.parametrize(("name", "theirs"), [("bosh3", RK23), ("dopri5", RK45)])
def test_tableau_is_scipys(name: str, theirs: Any) -> None:
    tableau = METHODS[name]
    s = tableau.stages
    A = np.array([[float(v) for v in row] + [0.0] * (s - len(row)) for row in tableau.a])
    np.testing.assert_allclose(A[:-1, : theirs.A.shape[1]], theirs.A, atol=1e-15)
    np.testing.assert_allclose([float(v) for v in tableau.b[:-1]], theirs.B, atol=1e-15)
    np.testing.assert_allclose([float(v) for v in tableau.b_error], -theirs.E, atol=1e-15)
    np.testing.assert_allclose([[float(v) for v in row] for row in tableau.dense], theirs.P, atol=1e-13)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_dense_output_meets_both_ends_and_their_slopes(name: str) -> None:
    tableau, h = METHODS[name], 1e-7
    s = tableau.stages
    first, last = np.eye(s)[0], np.eye(s)[-1]
    w = {theta: np.array(tableau.weights(theta)) for theta in (0.0, h, 1 - h, 1 - 1e-12, 1.0)}
    np.testing.assert_allclose(w[0.0], np.zeros(s), atol=0)
    np.testing.assert_allclose(w[1 - 1e-12], w[1.0], atol=1e-10)
    np.testing.assert_allclose(w[h] / h, first, atol=1e-5)
    np.testing.assert_allclose((w[1.0] - w[1 - h]) / h, last, atol=1e-5)


def test_rk4_is_the_classical_method(device: torch.device) -> None:
    """One step of y' = t y from 1 over h = 1, by hand."""
    y = odeint(lambda t, y: t * y, f64([1.0], device), f64([0.0, 1.0], device), method="rk4")
    k1, k2 = 0.0, 0.5 * 1.0
    k3 = 0.5 * (1 + k2 / 2)
    k4 = 1.0 * (1 + k3)
    assert y[-1].item() == pytest.approx(1 + (k1 + 2 * k2 + 2 * k3 + k4) / 6, abs=1e-15)


# ---- observed orders ----


@pytest.mark.parametrize(
    ("method", "steps"),
    [
        ("euler", (128, 256, 512)),
        ("midpoint", (64, 128, 256)),
        ("bosh3", (32, 64, 128)),
        ("rk4", (32, 64, 128)),
        ("dopri5", (16, 32, 64)),
        ("tsit5", (32, 64, 128)),
    ],
)
@pytest.mark.parametrize("problem", [LINEAR, FORCED], ids=str)
def test_order_of_convergence(method: str, steps: tuple[int, ...], problem: Problem, device: torch.device) -> None:
    t = problem.times(2, f64(0.0, device))
    sizes = [(problem.t1 - problem.t0) / n for n in steps]
    errors = []
    for size in sizes:
        y = odeint(problem.func, problem.exact(t[0]), t, method=method, options={"step_size": size})
        errors.append((y[-1] - problem.exact(t[-1])).abs().max().item())
    # tsit5's leading error terms nearly cancel on the scalar problem, and the next order still shows
    more = 0.25 if (method, problem) == ("tsit5", FORCED) else 0.0
    assert slope(sizes, errors) == pytest.approx(METHODS[method].order + more, abs=0.15)


@pytest.mark.parametrize("problem", [LINEAR, LOGISTIC], ids=str)
@pytest.mark.parametrize(("method", "order"), [("bosh3", 3), ("dopri5", 4), ("tsit5", 4)])
def test_order_of_dense_output(method: str, order: int, problem: Problem, device: torch.device) -> None:
    """Inside one step of length h the interpolant of order q errs by O(h^(q+1))."""
    sizes, errors = [0.05, 0.025, 0.0125], []
    for h in sizes:
        t = f64([0.3, 0.3 + 0.31 * h, 0.3 + 0.62 * h, 0.3 + 0.9 * h, 0.3 + h], device)
        stats = Stats()
        options = {"first_step": h}
        y = odeint(
            problem.func, problem.exact(t[0]), t, rtol=1.0, atol=1.0, method=method, options=options, stats=stats
        )
        assert stats.accepted == 1
        errors.append((y[1:-1] - problem.exact(t[1:-1])).abs().max().item())
    assert slope(sizes, errors) == pytest.approx(order + 1, abs=0.15)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_error_is_proportional_to_tolerance(method: str, device: torch.device) -> None:
    tolerances = [10.0**-k for k in ((4, 5, 6, 7) if method == "bosh3" else (4, 6, 8, 10))]
    t = LINEAR.times(2, f64(0.0, device))
    errors = []
    for tolerance in tolerances:
        t = f64([0.2, 6.2], device)
        y = odeint(LINEAR.func, LINEAR.exact(t[0]), t, rtol=tolerance, atol=tolerance, method=method)
        errors.append((y[-1] - LINEAR.exact(t[-1])).abs().max().item())
    assert 0.8 < slope(tolerances, errors) < 1.2
    assert all(error < 30 * tolerance for error, tolerance in zip(errors, tolerances, strict=True))


# ---- step control and counting ----


def counting(func: Callable[[Tensor, Tensor], Tensor]) -> tuple[Callable[[Tensor, Tensor], Tensor], list[float]]:
    times: list[float] = []

    def counted(t: Tensor, y: Tensor) -> Tensor:
        times.append(t.item())
        return func(t, y)

    return counted, times


@pytest.mark.parametrize(("method", "each"), [("euler", 1), ("midpoint", 2), ("rk4", 4), ("bosh3", 3), ("dopri5", 6)])
def test_fixed_steps_and_their_evaluations(method: str, each: int, device: torch.device) -> None:
    """An interval of 1 in steps of at most 0.3 is four of 0.25, one of 0.2 is one; last slopes serve as first ones."""
    func, times = counting(FORCED.func)
    stats = Stats(rejected=7)
    t = f64([0.0, 1.0, 1.2], device)
    odeint(func, FORCED.exact(t[0]), t, method=method, options={"step_size": 0.3}, stats=stats)
    reused = METHODS[method].first_same_as_last
    assert (stats.accepted, stats.rejected) == (5, 0)
    assert stats.evaluations == len(times) == 5 * each + reused
    assert {0.0, 0.25, 0.5, 0.75, 1.0} <= {round(v, 12) for v in times}


def test_adaptive_evaluations_are_counted_and_stay_inside(device: torch.device) -> None:
    func, times = counting(FORCED.func)
    stats, t = Stats(), FORCED.times(20, f64(0.0, device))
    odeint(func, FORCED.exact(t[0]), t, stats=stats)
    assert stats.evaluations == len(times) == 2 + 6 * (stats.accepted + stats.rejected)
    assert min(times) == 0.0
    assert max(times) == FORCED.t1


@pytest.mark.parametrize(("rtol", "atol"), [(1e-6, 1e-300), (0.0, 1e-6)], ids=["relative", "absolute"])
def test_tolerances_are_relative_and_absolute(rtol: float, atol: float, device: torch.device) -> None:
    """A linear equation in other units: rtol alone takes the same steps; atol alone does once it is in those units."""
    t, found = f64([0.2, 6.2], device), []
    for unit, scaled in ((1.0, 1.0), (2.0**20, 1.0 if rtol else 2.0**20), (2.0**20, 1.0)):
        stats = Stats()
        y = odeint(LINEAR.func, unit * LINEAR.exact(t[0]), t, rtol=rtol, atol=atol * scaled, stats=stats)
        found.append((y[-1] / unit, stats.accepted))
    torch.testing.assert_close(found[1][0], found[0][0], atol=1e-12, rtol=1e-12)
    assert found[1][1] == found[0][1]
    assert (found[2][1] == found[0][1]) if rtol else (found[2][1] > 5 * found[0][1])


def test_more_output_times_cost_nothing(device: torch.device) -> None:
    few, many = Stats(), Stats()
    for n, stats in ((2, few), (200, many)):
        t = FORCED.times(n, f64(0.0, device))
        y = odeint(FORCED.func, FORCED.exact(t[0]), t, rtol=1e-8, atol=1e-8, stats=stats)
        assert (y - FORCED.exact(t)).abs().max().item() < 3e-7
    assert few == many


def test_first_step_is_taken_and_rejected_steps_are_repeated(device: torch.device) -> None:
    func, times = counting(FORCED.func)
    stats, t = Stats(), FORCED.times(2, f64(0.0, device))
    y = odeint(func, FORCED.exact(t[0]), t, options={"first_step": 1.2}, stats=stats)
    assert times[1] == pytest.approx(1.2 / 5)
    assert stats.rejected > 0
    assert times[7] == pytest.approx(1.2 / 25)  # shrunk by five
    assert (y[-1] - FORCED.exact(t[-1])).abs().max().item() < 1e-6


def test_solution_without_tape_is_the_one_with(device: torch.device) -> None:
    t = FORCED.times(7, f64(0.0, device))
    for method in METHODS:
        taped = odeint(FORCED.func, FORCED.exact(t[0]), t, method=method)
        with torch.no_grad():
            untaped = odeint(FORCED.func, FORCED.exact(t[0]), t, method=method)
        torch.testing.assert_close(untaped, taped, atol=1e-14, rtol=1e-14)


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_a_field_that_reuses_its_output_is_safe(method: str, recorded: bool, device: torch.device) -> None:
    """A field may write into one tensor again and again, also where gradients would be recorded if it needed any."""
    out = torch.empty(2, dtype=torch.float64, device=device)

    def in_place(t: Tensor, y: Tensor) -> Tensor:
        return out.copy_(FORCED.func(t, y))

    t = FORCED.times(3, f64(0.0, device))
    with torch.set_grad_enabled(recorded):
        a = odeint(in_place, FORCED.exact(t[0]), t, method=method, rtol=1e-4, atol=1e-4)
        b = odeint(FORCED.func, FORCED.exact(t[0]), t, method=method, rtol=1e-4, atol=1e-4)
    assert torch.equal(a, b)


@pytest.mark.parametrize("gradient", ["backprop", "discrete", "adjoint"])
def test_a_field_that_changes_its_state_in_place_is_refused(gradient: str, device: torch.device) -> None:
    y0 = f64([1.0, 2.0], device)
    with pytest.raises(
        (ValueError, RuntimeError), match=r"state that it is given in place|used in an in-place operation"
    ):
        odeint(lambda t, y: y.mul_(-1.0), y0, f64([0.0, 1.0], device), gradient=gradient)


@pytest.mark.parametrize("method", ["dopri5", "rk4"])
def test_a_clock_that_shows_large_numbers(method: str, device: torch.device) -> None:
    """Steps have the length that the times can tell, so that seconds since 1970 solve as well as seconds do."""
    found = []
    for origin in (0.0, 1.7e9):
        t = f64([origin, origin + 2.0], device)
        options = {"step_size": 1e-3} if method == "rk4" else {}

        def turn(t: Tensor, y: Tensor) -> Tensor:
            return 100 * torch.stack((y[1], -y[0]))

        y = odeint(turn, f64([1.0, 0.0], device), t, rtol=1e-9, atol=1e-9, method=method, options=options)
        found.append(y[-1])
    exact = f64([math.cos(200.0), -math.sin(200.0)], device)
    assert (found[0] - exact).norm() < (2e-3 if method == "rk4" else 1e-6)
    torch.testing.assert_close(found[1], found[0], atol=1e-7, rtol=0)


def test_a_clock_that_is_too_coarse_for_the_first_step(device: torch.device) -> None:
    t = f64([1e12, 1e12 + 1.0], device)
    y = odeint(lambda t, y: -y, f64([1.0], device), t, rtol=1e-6, atol=1e-6)
    assert y[-1].item() == pytest.approx(math.exp(-1), abs=1e-5)


@pytest.mark.parametrize("times", [(0.0, 1.0), (1.0, 0.0)])
def test_the_first_step_is_probed_inside_the_interval(times: tuple[float, float], device: torch.device) -> None:
    func, seen = counting(FORCED.func)
    t = f64(times, device)
    odeint(func, FORCED.exact(t[0]), t)
    assert min(seen) >= 0.0
    assert max(seen) <= 1.0


def test_fixed_steps_are_no_more_than_needed(device: torch.device) -> None:
    """An interval of ten steps, but for rounding, takes ten."""
    stats = Stats()
    t = f64([0.0, 1.0], device)
    odeint(FORCED.func, FORCED.exact(t[0]), t, options={"step_size": 0.1 - 1e-15}, stats=stats)
    assert stats.accepted == 10


def test_a_step_cut_short_by_the_end_does_not_shorten_the_next(device: torch.device) -> None:
    """Two intervals, one plan, as in the reverse solve: the proposal of before the cut is carried on."""
    plan = Plan(METHODS["dopri5"], rtol=1e-6, atol=1e-6, first_step=0.4)
    y, steps = f64([1.0], device), []
    for interval in ([0.0, 0.41], [0.41, 2.0]):
        method = RungeKutta(plan.tableau, y)
        for step in adaptive_steps(method, Linear(-1e-3), y, None, interval, plan):
            y = step.y1
            steps.append(step.h)
    assert steps[-1] > 1.0


def test_zero_field_and_constant_field(device: torch.device) -> None:
    t = f64([0.0, 5.0, 100.0], device)
    for rate in (0.0, 2.0):

        def constant(t: Tensor, y: Tensor, rate: float = rate) -> Tensor:
            return torch.full_like(y, rate)

        y = odeint(constant, f64([0.0, 1.0], device), t)
        torch.testing.assert_close(y, torch.stack([rate * t, 1 + rate * t], 1), atol=1e-11, rtol=1e-12)


def test_float32_is_not_float64(device: torch.device) -> None:
    """Times reach func in the state's precision, and what it returns is asked for in that precision."""
    seen = []

    def func(t: Tensor, y: Tensor) -> Tensor:
        seen.append((t.dtype, t.dim(), t.device.type))
        return -y

    t = f64([0.0, 1.0], device)
    y = odeint(func, torch.ones(3, device=device), t, rtol=1e-5, atol=1e-6)
    assert y.dtype == torch.float32
    assert set(seen) == {(torch.float32, 0, device.type)}
    assert (y[-1] - math.exp(-1)).abs().max().item() < 2e-5


# ---- peers ----


def test_agreement_with_torchdiffeq(device: torch.device) -> None:
    """The same call gives the same solution and gradients, forward and backward in time."""
    field = Swing().to(device)
    for times in ((0.2, 0.9, 1.7), (1.7, 0.9, 0.2)):
        found = []
        for solver in (odeint, torchdiffeq.odeint):
            y0, t = f64([[0.8, -0.3], [0.2, 0.5]], device).requires_grad_(), f64(times, device).requires_grad_()
            y = solver(field, y0, t, rtol=1e-9, atol=1e-11, method="dopri5")
            loss = (y[1:] ** 2 * f64([1.0, -2.0], device)).sum()
            found.append([y.detach(), *torch.autograd.grad(loss, (y0, t, field.theta))])
        for ours, theirs in zip(*found, strict=True):
            torch.testing.assert_close(ours, theirs, atol=2e-7, rtol=2e-7)


@pytest.mark.parametrize(("method", "theirs"), [("bosh3", "RK23"), ("dopri5", "RK45")])
def test_agreement_with_scipy(method: str, theirs: str, device: torch.device) -> None:
    """Equal steps prescribed: the same method takes the same step to the last digits."""
    field, h = Swing(), 0.1

    def rhs(t: float, y: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return np.asarray(field(torch.tensor(t, dtype=torch.float64), torch.tensor(y)))

    peer = solve_ivp(rhs, (0.2, 1.2), [0.8, -0.3], method=theirs, rtol=1e3, atol=1e3, first_step=h, max_step=h)
    t = f64(peer.t, device)
    assert len(t) == pytest.approx(11, abs=1)
    with torch.no_grad():
        y = odeint(field.to(device), f64([0.8, -0.3], device), t, method=method, options={"step_size": 1.0})
    np.testing.assert_allclose(y.cpu().numpy(), peer.y.T, atol=1e-13)


def test_tsit5_beats_dopri5_per_evaluation(device: torch.device) -> None:
    """At one tolerance the error is smaller, for about as many evaluations."""
    t, cost, error = f64([0.2, 6.2], device), {}, {}
    for method in ("dopri5", "tsit5"):
        stats = Stats()
        y = odeint(LINEAR.func, LINEAR.exact(t[0]), t, rtol=1e-9, atol=1e-9, method=method, stats=stats)
        cost[method], error[method] = stats.evaluations, (y[-1] - LINEAR.exact(t[-1])).abs().max().item()
    assert cost["tsit5"] < 1.2 * cost["dopri5"]
    assert error["tsit5"] < error["dopri5"]


def test_steps_grow_and_shrink_with_the_solution(device: torch.device) -> None:
    """A narrow bump in time: steps are short there only, and not before it is met."""
    func, times = counting(lambda t, y: 50 * torch.exp(-((t - 5) ** 2) * 200) + 0 * y)
    odeint(func, f64([0.0], device), f64([0.0, 10.0], device), rtol=1e-6, atol=1e-6, options={"first_step": 0.05})
    near = sum(4.5 < v < 5.5 for v in times)
    assert near > 0.5 * len(times)


class Linear:
    """ẏ = rate · y, as the solver sees a field."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, t: float, y: Tensor) -> Tensor:
        return self.rate * y


def test_error_is_scaled_by_the_larger_end_of_a_step(device: torch.device) -> None:
    """What the norm sees is h Σ (b − b̂) k / (atol + rtol max(|y₀|, |y₁|)), in both directions of growth."""
    tableau, y0 = METHODS["dopri5"], f64([1.0, 3.0], device)
    seen: list[Tensor] = []

    def norm(error: Tensor) -> float:
        seen.append(error.clone())
        return 0.5

    for growth in (2.0, -2.0):
        plan = Plan(tableau, rtol=1e-3, atol=1e-5, first_step=0.5, norm=norm)
        step = next(adaptive_steps(RungeKutta(tableau, y0), Linear(growth), y0, None, [0.0, 10.0], plan))
        weights = f64([float(w) for w in tableau.b_error], device)
        ends = torch.maximum(y0.abs(), step.y1.abs())
        torch.testing.assert_close(seen[-1], step.h * (weights @ step.K) / (1e-5 + 1e-3 * ends))


def test_first_step_is_that_of_hairer_and_wanner(device: torch.device) -> None:
    """ẏ = −3y from 2: d₀ = 2/s, d₁ = 6/s, d₂ = 18/s, and the step (0.01/d₂)^(1/5)."""
    plan = Plan(METHODS["dopri5"], rtol=1e-6, atol=1e-9)
    y, scale = f64([2.0], device), 1e-9 + 2e-6
    step = first_step(Linear(-3.0), 0.0, y, -3 * y, 1.0, 10.0, plan)
    assert step == pytest.approx((0.01 * scale / 18) ** (1 / 5), rel=1e-6)


def test_error_of_the_reverse_solve_is_the_largest_over_its_blocks(device: torch.device) -> None:
    norm = block_norm(Layout(f64([0.0, 0.0], device)), [torch.Size([3])], None)
    for z, a, g, largest in ((1.0, 2.0, 0.0, 2.0), (3.0, 2.0, 0.0, 3.0), (1.0, 2.0, 5.0, 5.0)):
        assert norm(f64([z, z, a, a, g, g, g], device)) == pytest.approx(largest, rel=1e-12)
