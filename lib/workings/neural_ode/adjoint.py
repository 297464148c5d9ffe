r"""The continuous adjoint: one augmented solve in reverse time, with :math:`a(t) = +\partial L / \partial z(t)`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from workings.neural_ode.field import Layout, rms
from workings.neural_ode.gradients import Norm, Problem, Pullback, refuse_graph
from workings.neural_ode.solver import RungeKutta, SolverError, adaptive_steps, fixed_steps, solve


class ContinuousAdjoint(torch.autograd.Function):
    """The gradient by `reverse_solve`, keeping the solution at the output times only."""

    @staticmethod
    def forward(ctx: Any, problem: Problem, y0: Tensor, *params: Tensor) -> Tensor:
        """Solve."""
        solution = solve(problem.field, y0, problem.times, problem.plan, problem.slope)
        ctx.problem = problem
        ctx.save_for_backward(solution, *params)
        return solution

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Differentiate."""
        refuse_graph("gradient='adjoint'")
        solution = ctx.saved_tensors[0]
        y_grad, sums = reverse_solve(ctx.problem, solution, grads[0])
        return None, y_grad, *sums


class Augmented:
    r"""The field of the reverse solve, on one vector :math:`[z, a, g]`, in which :math:`l` is a running loss (or 0).

    .. math::
        \dot z = f, \qquad \dot a = -a\, f_z - l_z, \qquad \dot g = -(a\, f_\theta + l_\theta).

    Args:
        pull: products of (f, l) with (a, 1), which give both right-hand sides at once.

    """

    def __init__(self, pull: Pullback) -> None:
        self.pull, self.n = pull, sum(pull.field.layout.sizes)

    def __call__(self, t: float, state: Tensor) -> Tensor:
        """Return the slope of :math:`[z, a, g]`."""
        z, a = state[: self.n], state[self.n : 2 * self.n]
        f, a_fz, a_ftheta = self.pull(t, z, a)  # with a running loss, l_z and l_θ are in the last two
        terms = [term.reshape(-1).to(a.dtype) for term in a_ftheta]
        return torch.cat([f, *torch._foreach_neg([a_fz, *terms])])


def reverse_solve(
    problem: Problem,
    solution: Tensor,
    jumps: Tensor,
    running: Callable[[Tensor, Any], Tensor] | None = None,
) -> tuple[Tensor, list[Tensor]]:
    r"""Integrate `Augmented` once from the last time to the first.

    The start value is :math:`a(t_N) = \partial L/\partial z(t_N)`. At each :math:`t_i` on the way the part of the loss
    that looks there is added, :math:`a(t_i^-) = a(t_i^+) + \partial L/\partial z(t_i)`, and z is set to what the
    forward solve found there. The step length is carried from one interval to the next.

    Args:
        problem: field, times, parameters, and how to step back.
        solution: the forward solution, shape (T, N).
        jumps: :math:`\partial L/\partial z(t_i)`, shape (T, N).
        running: l, of a 0-dim time and the state; None for 0.

    Returns:
        :math:`a(t_0)`, shape (N,), with the jump at :math:`t_0` added, and for each parameter
        :math:`\int (a f_\theta + l_\theta)\,dt`.

    """
    if not jumps.isfinite().all():
        raise SolverError("the gradient of the loss with respect to the solution contains NaN or infinity")
    stats, params = problem.stats, problem.params
    plan = replace(problem.reverse_plan or problem.plan, accepted=0, rejected=0)  # a second pass starts afresh
    n, before = solution.shape[1], problem.field.calls
    pull = Pullback(problem.field, params, running, problem.awaited)
    augmented, layout = Augmented(pull), problem.field.layout
    a, g = jumps[-1], jumps.new_zeros(sum(p.numel() for p in params))
    plan.norm = block_norm(layout, [p.shape for p in params], problem.norm)
    method = RungeKutta(plan.tableau, torch.cat([solution[0], a, g]))
    steps = fixed_steps if plan.fixed else adaptive_steps
    for i in range(len(problem.times) - 1, 0, -1):
        state = torch.cat([solution[i], a, g])
        for step in steps(method, augmented, state, None, [problem.times[i], problem.times[i - 1]], plan):
            state = step.y1
        if not state.isfinite().all():
            raise SolverError(
                f"the reverse solve overflowed between t={problem.times[i]:g} and {problem.times[i - 1]:g}: "
                "the equation is unstable in reverse; use gradient='discrete'"
            )
        ends, rebuilt = layout.parts(solution[i - 1 : i + 1]), layout.parts(state[:n])
        mismatches = [
            rms(z - end[0]) / max(rms(end[0]), rms(end[1]), plan.atol) for z, end in zip(rebuilt, ends, strict=True)
        ]
        stats.reconstruction_error = max(stats.reconstruction_error, *mismatches)
        a, g = state[n : 2 * n] + jumps[i - 1], state[2 * n :]
    stats.backward_evaluations += problem.field.calls - before
    stats.backward_accepted += plan.accepted
    stats.backward_rejected += plan.rejected
    pull.end()
    _warn_of_mismatch(stats.reconstruction_error)
    parts = g.split([p.numel() for p in params]) if params else ()
    return a, [part.view(p.shape).to(p.dtype) for part, p in zip(parts, params, strict=True)]


def _warn_of_mismatch(error: float) -> None:
    if not error <= 0.1:
        warnings.warn(
            f"the continuous adjoint integrated the state back to a relative error of {error:.2g}, so its gradient "
            "cannot be trusted: the equation is unstable in reverse. Use gradient='discrete', or more output times",
            RuntimeWarning,
            stacklevel=2,
        )


def block_norm(layout: Layout, shapes: list[torch.Size], norm: Norm | str | None) -> Callable[[Tensor], float]:
    """Return the norm of the scaled error of ``[z, a, g]``: the largest over its blocks, unless ``norm`` is given.

    Args:
        layout: of the state, and so of its adjoint.
        shapes: of the parameters.
        norm: "seminorm" leaves out g, since the parameters' integral needs no error control (Kidger et al., 2021); or a
            function of the blocks (t, *z, *a, *parameters) in their shapes as in torchdiffeq, where t is a 0-dim zero
            and z is one tensor, or as many as the state has.

    """
    n = sum(layout.sizes)

    def ours(error: Tensor) -> float:
        error = error[: 2 * n] if norm == "seminorm" else error
        blocks = (error[:n], error[n : 2 * n], error[2 * n :])
        return max(rms(block) for block in blocks) if error.isfinite().all() else math.nan

    def given(error: Tensor) -> float:
        integrals = error[2 * n :].split([shape.numel() for shape in shapes])
        blocks = [part for half in (error[:n], error[n : 2 * n]) for part in layout.parts(half)]
        blocks += [g.view(shape) for g, shape in zip(integrals, shapes, strict=True)]
        return float(norm((error.new_zeros(()), *blocks)))  # type: ignore[operator, misc]

    return given if callable(norm) else ours
