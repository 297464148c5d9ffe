"""Solving an initial value problem, with gradients: `odeint` and `odeint_adjoint`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from workings.neural_ode.adjoint import ContinuousAdjoint
from workings.neural_ode.field import Field, Layout, State, parts_of
from workings.neural_ode.gradients import (
    DiscreteAdjoint,
    Norm,
    OutputTimes,
    Problem,
    StartTime,
    Stats,
)
from workings.neural_ode.parameters import parameters_of, refuse_dependent
from workings.neural_ode.solver import Plan, solve
from workings.neural_ode.tableaus import METHODS

GRADIENTS = ("backprop", "discrete", "adjoint")
Options = Mapping[str, Any]
OPTIONS = ("step_size", "first_step", "max_num_steps")


def odeint(
    func: Callable[[Tensor, Any], Any],
    y0: State,
    t: Tensor,
    *,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    method: str | None = "dopri5",
    options: Options | None = None,
    event_fn: Any = None,
    gradient: str = "backprop",
    adjoint_params: Iterable[Tensor] | None = None,
    adjoint_rtol: float | None = None,
    adjoint_atol: float | None = None,
    adjoint_method: str | None = None,
    adjoint_options: Options | None = None,
    stats: Stats | None = None,
) -> Any:
    r"""Solve an initial value problem and make the solution differentiable.

    .. math:: \dot z = f(t, z), \qquad z(t_0) = y_0 .

    Args:
        func: ``func(t, y)`` returns the slope, shaped like ``y``; ``t`` is a 0-dim tensor of ``y0``'s dtype and device.
            A module or any callable; tensors that a plain function closes over get their gradients too.
        y0: the state at ``t[0]``, a floating tensor of any shape, or a tuple of such.
        t: the output times, shape (T,), T ≥ 2, strictly increasing or strictly decreasing.
        rtol: relative tolerance of a step, for adaptive steps.
        atol: absolute tolerance of a step, positive.
        method: "dopri5", "tsit5" or "bosh3" (adaptive), "rk4" (the classical one), "midpoint" or "euler".
        options: ``step_size``: take equal steps no longer than this in each interval of ``t`` (any method; the last
            three take one step an interval without it; torchdiffeq lays its grid from ``t[0]`` instead and
            interpolates). ``first_step``: the first adaptive step. ``max_num_steps``: how many steps may be tried
            (65536).
        event_fn: not supported.
        gradient: "backprop" records every operation of the solver; "discrete" gives the same gradient from the states
            and slopes of the accepted steps; "adjoint" solves the adjoint equation in reverse time, keeping the
            outputs only, and is as inexact as that solve. The last two call ``func`` again in the backward pass, and
            warn where it returns something else then. In all three the lengths of steps count as constants, and
            the gradient to ``t`` is that of the equation, :math:`\pm f` at each time. Second derivatives are possible
            with "backprop", but not with respect to ``t``.
        adjoint_params: the tensors to differentiate with respect to, for "discrete" and "adjoint". By default a
            module's parameters and every leaf that the first call of ``func`` reaches: name them here if ``func``
            reaches more in branches that it takes later.
        adjoint_rtol: relative tolerance of "adjoint"'s reverse solve; by default ``rtol``; the next three likewise.
        adjoint_atol: its absolute tolerance; by default ``atol``.
        adjoint_method: its method; by default ``method``.
        adjoint_options: its options; by default ``options``. Also ``norm``: "seminorm", which leaves the parameters'
            integral out of the error control, or a function of the scaled errors (t, z, a, \*params).
        stats: is reset and filled with what the solve cost.

    Returns:
        The solution, shape (T, \*y0.shape), or a tuple of such; its first row is ``y0``.

    Raises:
        TypeError: for a ``y0``, a ``t`` or a result of ``func`` of the wrong kind.
        ValueError: for arguments that are out of range or contradict each other.
        SolverError: when the solution cannot be carried on; it says at which time and why.

    >>> rate = torch.tensor(-2.0, dtype=torch.float64, requires_grad=True)
    >>> y0, t = torch.ones(1, dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    >>> y = odeint(lambda t, y: rate * y, y0, t, gradient="discrete")
    >>> round(y[-1].item(), 6), round(torch.autograd.grad(y[-1].sum(), rate)[0].item(), 6)
    (0.135335, 0.135335)

    """
    if event_fn is not None:
        raise ValueError("event_fn is not supported: solve to a fixed end and find the event in the outputs")
    if gradient not in GRADIENTS:
        raise ValueError(f"gradient must be one of {', '.join(GRADIENTS)}; got {gradient!r}")
    if stats is not None and not isinstance(stats, Stats):
        raise TypeError(f"stats must be a Stats; got {type(stats).__name__}")
    layout = Layout(y0)
    times = output_times(t, layout)
    plan = plan_steps("", rtol, atol, method, options)
    reverse, norm = None, None
    if gradient == "adjoint":
        reverse, norm = _reverse_plan(plan, options, adjoint_rtol, adjoint_atol, adjoint_method, adjoint_options)
    else:
        _refuse_unused(gradient, adjoint_rtol, adjoint_atol, adjoint_method, adjoint_options)
    if gradient == "backprop" and adjoint_params is not None:
        raise ValueError(
            "adjoint_params is for gradient='discrete' or 'adjoint': backprop reaches every tensor by itself"
        )
    stats = Stats() if stats is None else stats
    stats.reset()
    start = layout.pack(parts_of(y0))
    if not start.isfinite().all():
        raise ValueError("y0 contains NaN or infinity")
    problem = Problem(Field(func, layout), times, plan, [], stats, reverse_plan=reverse, norm=norm)
    try:
        solution = _solve(problem, start, t, gradient, adjoint_params)
    finally:
        stats.evaluations, stats.accepted, stats.rejected = problem.field.calls, plan.accepted, plan.rejected
    return layout.state(layout.parts(solution))


def odeint_adjoint(func: Callable[[Tensor, Any], Any], y0: State, t: Tensor, **kwargs: Any) -> Any:
    """Solve as `odeint` does with ``gradient="adjoint"``, and with the same other arguments.

    >>> y0, t = torch.ones(1, dtype=torch.float64, requires_grad=True), torch.tensor([0.0, 1.0])
    >>> y = odeint_adjoint(lambda t, y: -y, y0, t)
    >>> round(torch.autograd.grad(y[-1].sum(), y0)[0].item(), 6)
    0.367879
    """
    return odeint(func, y0, t, gradient="adjoint", **kwargs)


def _solve(
    problem: Problem, start: Tensor, t: Tensor, gradient: str, adjoint_params: Iterable[Tensor] | None
) -> Tensor:
    field, times, plan = problem.field, problem.times, problem.plan
    if not torch.is_grad_enabled():
        return solve(field, start, times, plan)
    if forward_ad.unpack_dual(t).tangent is not None:
        raise ValueError("t has no forward-mode derivative (jvp): use reverse mode, or scale time inside func")
    if t.requires_grad:
        start = StartTime.apply(start, t, problem)
    if gradient == "backprop":
        solution = solve(field, start, times, plan, tape=True)
    else:
        solution = _solve_without_tape(problem, start, gradient, adjoint_params)
    if t.requires_grad:
        solution = OutputTimes.apply(solution, t, problem)
    return solution


def _solve_without_tape(
    problem: Problem, start: Tensor, gradient: str, adjoint_params: Iterable[Tensor] | None
) -> Tensor:
    if adjoint_params is None:
        problem.params, problem.awaited, slope = parameters_of(
            problem.field.func, start, lambda state: problem.field(problem.times[0], state)
        )
        _refuse_forward_mode(gradient, start, slope)
        problem.slope = slope.detach()
    else:
        problem.params = [p for p in tensors("adjoint_params", adjoint_params) if p.requires_grad]
        _refuse_forward_mode(gradient, start, *problem.params)
    for p in problem.params:
        _refuse_parameter(gradient, p)
    if not (start.requires_grad or problem.params):
        with torch.no_grad():
            return solve(problem.field, start, problem.times, problem.plan, problem.slope)
    function = DiscreteAdjoint if gradient == "discrete" else ContinuousAdjoint
    return function.apply(problem, start, *problem.params)  # type: ignore[no-any-return]


def _refuse_forward_mode(gradient: str, *tensors: Tensor) -> None:
    if any(forward_ad.unpack_dual(x).tangent is not None for x in tensors):
        raise ValueError(f"gradient={gradient!r} has no forward-mode derivative (jvp): use gradient='backprop'")


def _refuse_parameter(gradient: str, p: Tensor) -> None:
    """Raise for a parameter whose gradient a backward pass without a tape would get wrong in silence."""
    if p.is_complex() and gradient == "adjoint":
        raise TypeError(f"gradient='adjoint' needs real parameters; got {p.dtype}: use gradient='discrete'")
    if p._backward_hooks or (p.retains_grad and not p.is_leaf):
        raise ValueError(
            f"a parameter of shape {tuple(p.shape)} has a hook (or retains its gradient), which gradient={gradient!r} "
            "would run at each evaluation: remove it, use register_post_accumulate_grad_hook, or gradient='backprop'"
        )


def tensors(name: str, given: Any) -> list[Tensor]:
    """Return the tensors of an argument, each once; refuse one that is computed from another.

    Raises:
        TypeError: when it holds something else.
        ValueError: when the gradient of one of them would flow through another.

    """
    found = [given] if isinstance(given, Tensor) else list({id(p): p for p in given}.values())
    for p in found:
        if not isinstance(p, Tensor):
            raise TypeError(f"{name} must hold tensors; got {type(p).__name__}")
    refuse_dependent(name, found)
    return found


def output_times(t: Tensor, layout: Layout) -> list[float]:
    """Return the output times as floats, or raise naming what is wrong with them."""
    if not t.is_floating_point():
        raise TypeError(f"t must be floating (float32 or float64); got {t.dtype}")
    if t.dim() != 1 or len(t) < 2:
        raise ValueError(f"t must be one-dimensional with at least two times; got shape {tuple(t.shape)}")
    if t.device != layout.device:
        raise ValueError(f"t is on {t.device} but y0 is on {layout.device}: move it with t.to(y0.device)")
    times = t.detach().double().tolist()
    if not all(math.isfinite(value) for value in times):
        raise ValueError(f"t must be finite; got {_some(times)}")
    sign = times[1] - times[0]
    for a, b in pairwise(times):
        if not (b - a) * sign > 0:
            raise ValueError(f"t must be strictly increasing or strictly decreasing; got {a:g} followed by {b:g}")
    return list(times)


def _some(times: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in times[:8]) + (", …" if len(times) > 8 else "")


def plan_steps(prefix: str, rtol: float, atol: float, method: str | None, options: Options | None) -> Plan:
    """Check what says how to step; ``prefix`` is put before the arguments' names in messages."""
    for name, value in ((f"{prefix}rtol", rtol), (f"{prefix}atol", atol)):
        if not _is_number(value):
            raise TypeError(f"{name} must be a number; got {type(value).__name__}")
        if not 0 <= float(value) < math.inf:
            raise ValueError(f"{name} must be finite and not negative; got {value}")
    if atol == 0:
        raise ValueError(f"{prefix}atol must be positive: where the state passes 0 no step would satisfy rtol alone")
    method = "dopri5" if method is None else method
    if method not in METHODS:
        raise ValueError(f"{prefix}method must be one of {', '.join(METHODS)}; got {method!r}")
    options = {name: value for name, value in (options or {}).items() if value is not None}
    known = (*OPTIONS, "norm") if prefix else OPTIONS
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ValueError(f"{prefix}options knows {', '.join(known)}; got {', '.join(unknown)}")
    for name in ("step_size", "first_step"):
        value = options.get(name, 1.0)
        if not _is_number(value) or not 0 < float(value) < math.inf:
            raise ValueError(f"{prefix}options[{name!r}] must be a positive, finite number; got {value!r}")
    limit = options.get("max_num_steps", 1)
    if not _is_number(limit) or not isinstance(limit, Integral) or int(limit) < 1:
        raise ValueError(f"{prefix}options['max_num_steps'] must be a positive integer; got {limit!r}")
    plan = Plan(METHODS[method], float(rtol), float(atol), **options)
    if plan.fixed and plan.first_step is not None:
        raise ValueError(f"{prefix}options['first_step'] is for adaptive steps; {method} takes fixed ones here")
    return plan


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _reverse_plan(
    plan: Plan,
    options: Options | None,
    rtol: float | None,
    atol: float | None,
    method: str | None,
    reverse_options: Options | None,
) -> tuple[Plan, Norm | str | None]:
    chosen = dict((options or {}) if reverse_options is None else reverse_options)
    norm = chosen.pop("norm", None)
    if norm not in (None, "seminorm") and not callable(norm):
        raise ValueError(f"adjoint_options['norm'] must be 'seminorm' or a function; got {norm!r}")
    return plan_steps(
        "adjoint_",
        plan.rtol if rtol is None else rtol,
        plan.atol if atol is None else atol,
        plan.tableau.name if method is None else method,
        chosen,
    ), norm


def _refuse_unused(gradient: str, *given: object) -> None:
    names = ("adjoint_rtol", "adjoint_atol", "adjoint_method", "adjoint_options")
    for name, value in zip(names, given, strict=True):
        if value is not None:
            raise ValueError(f"{name} is for gradient='adjoint'; got gradient={gradient!r}")
