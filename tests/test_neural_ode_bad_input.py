"""What is refused, and that the message names the argument, what came, and what would do. Nothing hangs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from workings.neural_ode import ContinuousFlow, MLPField, SolverError, odeint, odeint_adjoint, trace_noise

T = torch.tensor([0.0, 1.0], dtype=torch.float64)
Y = torch.tensor([1.0, 2.0], dtype=torch.float64)


def decay(t: Tensor, y: Any) -> Any:
    return -y


BAD_ARGUMENTS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"t": torch.tensor([0.0, 2.0, 1.0])}, ValueError, r"t must be strictly increasing .*got 2 followed by 1"),
    ({"t": torch.tensor([0.0, 1.0, 1.0])}, ValueError, r"t must be strictly .*got 1 followed by 1"),
    ({"t": torch.tensor([1.0, 1.0])}, ValueError, r"t must be strictly"),
    ({"t": torch.tensor([1.0, 0.5, 0.7])}, ValueError, r"t must be strictly .*got 0.5 followed by 0.7"),
    ({"t": torch.tensor([0.0])}, ValueError, r"t must be one-dimensional with at least two times; got shape \(1,\)"),
    ({"t": torch.zeros(2, 2)}, ValueError, r"t must be one-dimensional .*got shape \(2, 2\)"),
    ({"t": torch.tensor(1.0)}, ValueError, r"t must be one-dimensional .*got shape \(\)"),
    ({"t": torch.tensor([0, 1])}, TypeError, r"t must be floating .*got torch.int64"),
    ({"t": [0.0, 1.0]}, TypeError, r"parameter t="),
    ({"t": torch.tensor([0.0, float("nan")])}, ValueError, r"t must be finite; got 0, nan"),
    ({"t": torch.tensor([0.0, float("inf")])}, ValueError, r"t must be finite; got 0, inf"),
    ({"t": torch.zeros(2, device="meta")}, ValueError, r"t is on meta but y0 is on cpu: move it with t.to"),
    ({"y0": torch.tensor([1, 2])}, TypeError, r"y0 must be real and floating .*got torch.int64"),
    ({"y0": torch.zeros(2, dtype=torch.complex64)}, TypeError, r"y0 must be real and floating .*got torch.complex64"),
    ({"y0": 1.0}, TypeError, r"parameter y0=1.0"),
    ({"y0": (Y, 1.0)}, TypeError, r"y0 must be a tensor or a tuple of tensors; got float"),
    (
        {"y0": (Y, Y.float())},
        ValueError,
        r"parts of y0 must share one dtype and device; got torch.float64",
    ),
    ({"y0": torch.zeros(0, 3)}, ValueError, r"y0 is empty: shape \(0, 3\)"),
    ({"y0": ()}, ValueError, r"y0 is empty"),
    ({"y0": torch.tensor([1.0, float("nan")])}, ValueError, r"y0 contains NaN or infinity"),
    (
        {"method": "dopri8"},
        ValueError,
        r"must be one of euler, midpoint, rk4, bosh3, dopri5, tsit5; got 'dopri8'",
    ),
    ({"gradient": "magic"}, ValueError, r"gradient must be one of backprop, discrete, adjoint; got 'magic'"),
    ({"func": None}, TypeError, r"parameter func="),
    ({"stats": {}}, TypeError, r"stats must be a Stats; got dict"),
    ({"y0": torch.eye(2).to_sparse()}, TypeError, r"y0 must be dense; got a tensor of layout torch.sparse_coo"),
    ({"method": ["dopri5"]}, ValueError, r"parameter method="),
    ({"options": 3}, TypeError, r"parameter options=3"),
    ({"options": {"step_size": "0.1"}}, ValueError, r"step_size'\] must be a positive, finite number; got '0.1'"),
    ({"options": {"max_num_steps": True}}, ValueError, r"max_num_steps'\] must be a positive integer; got True"),
    (
        {"adjoint_options": "seminorm", "gradient": "adjoint"},
        TypeError,
        r"parameter adjoint_options='seminorm'",
    ),
    ({"adjoint_params": 3, "gradient": "discrete"}, TypeError, r"parameter adjoint_params=3"),
    ({"event_fn": decay}, ValueError, r"event_fn is not supported"),
    ({"rtol": -1e-3}, ValueError, r"rtol must be finite and not negative; got -0.001"),
    ({"atol": float("nan")}, ValueError, r"atol must be finite and not negative; got nan"),
    ({"atol": 0}, ValueError, r"atol must be positive: where the state passes 0"),
    ({"rtol": torch.tensor(1e-3)}, TypeError, r"parameter rtol="),
    ({"options": {"stepsize": 1}}, ValueError, r"options knows step_size, first_step, max_num_steps; got stepsize"),
    ({"options": {"norm": 1}}, ValueError, r"options knows .*; got norm"),
    ({"options": {"step_size": 0.0}}, ValueError, r"options\['step_size'\] must be a positive, finite number; got 0"),
    ({"options": {"first_step": -1.0}}, ValueError, r"\['first_step'\] must be a positive, finite number; got -1"),
    ({"options": {"max_num_steps": 0}}, ValueError, r"options\['max_num_steps'\] must be a positive integer; got 0"),
    ({"options": {"max_num_steps": 1.5}}, ValueError, r"max_num_steps'\] must be a positive integer; got 1.5"),
    ({"options": {"first_step": 0.1}, "method": "rk4"}, ValueError, r"first_step'\] is for adaptive steps; rk4 takes"),
    ({"adjoint_rtol": 1e-3}, ValueError, r"adjoint_rtol is for gradient='adjoint'; got gradient='backprop'"),
    ({"adjoint_options": {}, "gradient": "discrete"}, ValueError, r"adjoint_options is for gradient='adjoint'; got"),
    ({"adjoint_params": ()}, ValueError, r"adjoint_params is for gradient='discrete' or 'adjoint'"),
    ({"adjoint_params": [1.0], "gradient": "discrete"}, TypeError, r"adjoint_params must hold tensors; got float"),
    ({"adjoint_method": "x", "gradient": "adjoint"}, ValueError, r"adjoint_method must be one of euler, .*; got 'x'"),
    ({"adjoint_atol": -1.0, "gradient": "adjoint"}, ValueError, r"adjoint_atol must be finite and not negative"),
    (
        {"adjoint_options": {"norm": 3}, "gradient": "adjoint"},
        ValueError,
        r"must be 'seminorm' or a function; got 3",
    ),
    ({"adjoint_options": {"x": 3}, "gradient": "adjoint"}, ValueError, r"adjoint_options knows .*, norm; got x"),
]


@pytest.mark.parametrize(("bad", "error", "message"), BAD_ARGUMENTS)
def test_bad_argument(bad: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {"func": decay, "y0": Y, "t": T, **bad}
    with pytest.raises(error, match=message):
        odeint(**arguments)


BAD_FIELDS = [
    (lambda t, y: y[:1], ValueError, r"func must return shape \(2,\), as y0 has it; got \(1,\)"),
    (lambda t, y: y.float(), TypeError, r"func must return torch.float64 on cpu, as y0 is; got a tensor .*float32"),
    (lambda t, y: (y,), TypeError, r"func must return, like y0, shape \(2,\); got a tuple of 1"),
    (lambda t, y: 1.0, TypeError, r"func must return, like y0, shape \(2,\); got float"),
    (lambda t, y: None, TypeError, r"func must return, like y0, shape \(2,\); got NoneType"),
]


@pytest.mark.parametrize("gradient", ["backprop", "discrete", "adjoint"])
@pytest.mark.parametrize(("func", "error", "message"), BAD_FIELDS)
def test_bad_field(func: Any, error: type[Exception], message: str, gradient: str) -> None:
    with pytest.raises(error, match=message):
        odeint(func, Y, T, gradient=gradient)


@pytest.mark.parametrize("returned", ["tensor", "short", "shape"])
def test_bad_field_of_a_tuple(returned: str) -> None:
    func = {"tensor": lambda t, y: y[0], "short": lambda t, y: y[:1], "shape": lambda t, y: (y[0], y[0][:1])}[returned]
    message = {
        "tensor": r"like y0, a tuple of shapes \[\(2,\), \(2,\)\]; got a tensor of shape \(2,\)",
        "short": r"got a tuple of 1",
        "shape": r"func must return shape \(2,\), as y0 has it; got \(1,\)",
    }[returned]
    with pytest.raises((TypeError, ValueError), match=message):
        odeint(func, (Y, Y), T)


def test_numbers_of_numpy_and_options_of_none_are_taken() -> None:
    options = {"max_num_steps": np.int64(100), "step_size": None}
    y = odeint(decay, Y, T, rtol=np.float32(1e-6), options=options)  # type: ignore[arg-type]
    assert y[-1].tolist() == pytest.approx((Y * math.exp(-1)).tolist(), abs=1e-5)


def test_tolerances_that_the_precision_cannot_hold_are_named() -> None:
    with pytest.raises(SolverError, match=r"rtol=0 and atol=1e-46 are too small, or too large, for torch.float32"):
        odeint(decay, Y.float(), T, rtol=0.0, atol=1e-46)


# ---- a solution that cannot be carried on ----


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("method", ["euler", "rk4", "dopri5", "tsit5", "bosh3"])
def test_field_that_is_not_finite_from_some_time_on(method: str, value: float) -> None:
    """It says at which time: within a step of the first bad one, which lies at 0.6."""

    def func(t: Tensor, y: Tensor) -> Tensor:
        return torch.where(t >= 0.6, value, -y)

    options = {} if method not in ("euler", "rk4") else {"step_size": 1 / 64}
    with pytest.raises(SolverError, match="func returned NaN or infinity at t=") as caught:
        odeint(func, Y, T, method=method, options=options)
    time = float(str(caught.value).split("t=")[1].split(",")[0])
    assert 0.6 <= time <= (0.6 + 1 / 64 if options else 0.6 + 1e-12)


def test_field_that_is_not_finite_at_the_start() -> None:
    with pytest.raises(SolverError, match="func returned NaN or infinity at t=0, the start"):
        odeint(lambda t, y: y / 0, Y, T)
    with pytest.raises(SolverError, match="func returned NaN or infinity at t=0, in a step"):
        odeint(lambda t, y: y / 0, Y, T, options={"first_step": 0.1})


def test_overflow_in_a_trial_step_is_overcome() -> None:
    """A first step that is far too long overflows; a shorter one does not."""
    y = odeint(lambda t, y: -torch.exp(y**2), Y, T, rtol=1e-6, atol=1e-6, options={"first_step": 1.0})
    assert y.isfinite().all()


@pytest.mark.parametrize("method", ["bosh3", "dopri5", "tsit5"])
def test_step_underflow_at_a_singularity(method: str) -> None:
    """y' = y² from 1 blows up at t = 1."""
    y0, t = torch.ones(1, dtype=torch.float64), torch.tensor([0.0, 2.0], dtype=torch.float64)
    with pytest.raises(SolverError, match=r"(step size underflow|func returned NaN or infinity) at t=(0\.999|1\.00)"):
        odeint(lambda t, y: y**2, y0, t, rtol=1e-4, atol=1e-4, method=method)


def test_step_underflow_message() -> None:
    """A jump cannot be met by any step: where it is, how small the step was, what to try."""
    noise = torch.Generator().manual_seed(0)

    def func(t: Tensor, y: Tensor) -> Tensor:
        return -y + (t > 0.5) * torch.randn(2, dtype=torch.float64, generator=noise) * 1e9

    pattern = r"step size underflow at t=0\.[45]\d+: a step of \d\.?\d*e-1\d .*rtol=1e-07, atol=1e-09.*try looser"
    with pytest.raises(SolverError, match=pattern):
        odeint(func, Y, T)


def test_step_limit() -> None:
    pattern = r"max_num_steps=20 met at t=\S+, \d+\.\d% of the way from 0 to 1, .*raise options\['max_num_steps'\]"
    with pytest.raises(SolverError, match=pattern):
        odeint(lambda t, y: -3000 * y, Y, T, options={"max_num_steps": 20})
    with pytest.raises(SolverError, match=r"steps of 1e-09 from t=0 to 1 are 1000000000, more than .*=65536"):
        odeint(decay, Y, T, method="euler", options={"step_size": 1e-9})
    odeint(decay, Y, T, method="euler", options={"step_size": 0.05, "max_num_steps": 20})
    with pytest.raises(SolverError, match=r"are 21, more than max_num_steps=20"):
        odeint(decay, Y, T, method="euler", options={"step_size": 1 / 21, "max_num_steps": 20})
    halves = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    with pytest.raises(SolverError, match=r"are 22, more than max_num_steps=20"):  # eleven in each
        odeint(decay, Y, halves, method="euler", options={"step_size": 1 / 22, "max_num_steps": 20})
    with pytest.raises(SolverError, match=r"more than max_num_steps=65536"):
        odeint(decay, Y, T, method="euler", options={"step_size": 1e-320})
    t = torch.linspace(0, 1, 70_000, dtype=torch.float64)  # a step for each output is what was asked for
    assert len(odeint(decay, Y, t, method="euler")) == 70_000


def test_unstable_fixed_steps_overflow() -> None:
    t = torch.linspace(0, 1, 5, dtype=torch.float64)
    with pytest.raises(SolverError, match=r"where the state is 1\.\d+e\+\d+ at most|overflowed between t=0.25 and 0.5"):
        odeint(lambda t, y: -y * 1e6, Y, t, method="euler", options={"step_size": 0.01})


def test_reverse_solve_refuses_a_gradient_that_is_not_finite() -> None:
    y0 = Y.clone().requires_grad_()
    y = odeint_adjoint(decay, y0, T)
    with pytest.raises(SolverError, match=r"gradient of the loss .* contains NaN or infinity"):
        (y[-1] * float("nan")).sum().backward()


def test_reverse_solve_that_overflows() -> None:
    """Euler steps of 1.9/λ shrink the state on the way forward and blow it up on the way back."""
    y0, t = Y.clone().requires_grad_(), torch.tensor([0.0, 1.9], dtype=torch.float64)
    y = odeint_adjoint(lambda t, y: -1000 * y, y0, t, method="euler", options={"step_size": 0.0019})
    with pytest.raises(SolverError, match=r"reverse solve overflowed between t=1.9 and 0: .*gradient='discrete'"):
        y.sum().backward()


# ---- flows ----


def test_bad_flows() -> None:
    field = MLPField(2)
    with pytest.raises(ValueError, match=r"hidden must hold one or two widths, .*; got \(8, 8, 8\)"):
        MLPField(2, hidden=(8, 8, 8))
    with pytest.raises(ValueError, match=r"parameter hidden=8"):
        MLPField(2, 8)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"parameter x="):
        ContinuousFlow(field, 2).log_prob([[1.0, 2.0]])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"trace must be one of closed, exact, hutchinson; got 'none'"):
        ContinuousFlow(field, 2, trace="none")
    with pytest.raises(ValueError, match=r"noise must be one of rademacher, gaussian; got 'x'"):
        ContinuousFlow(field, 2, noise="x")
    with pytest.raises(ValueError, match=r"trace='closed' needs a field with a method divergence"):
        ContinuousFlow(decay, 2)
    with pytest.raises(ValueError, match=r"x must have shape \(\.\.\., 2\); got \(4, 3\)"):
        ContinuousFlow(field, 2).log_prob(torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"noise must be one of rademacher, gaussian; got 'x'"):
        trace_noise("x", Y)
