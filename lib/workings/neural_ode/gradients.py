r"""Two gradients of a solution that need no tape: of the computed steps, exactly, and of the equation, in reverse time.

Throughout :math:`a(t) = +\partial L / \partial z(t)`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from workings.neural_ode.field import Field, rms
from workings.neural_ode.solver import Dense, Plan, RungeKutta, Step, adaptive_steps, fixed_steps, solve

Norm = Callable[[tuple[Tensor, ...]], Any]


@dataclass
class Stats:
    """What a solve cost; pass one as ``stats=`` to `odeint`, which resets and fills it.

    Attributes:
        evaluations: calls of ``func`` on the way forward.
        accepted: accepted steps.
        rejected: rejected steps.
        backward_evaluations: calls of ``func`` for the gradient, each followed by one vector-Jacobian product (for
            ``gradient="backprop"`` none, since the tape holds them, except one for each time that needs a gradient).
        backward_accepted: steps of the gradient's pass.
        backward_rejected: its rejected steps (``"adjoint"`` only).
        reconstruction_error: for ``"adjoint"`` the largest mismatch, relative to the state's size, between the state as
            integrated back and as it was on the way forward; where it is not small the gradient is wrong.

    """

    evaluations: int = 0
    accepted: int = 0
    rejected: int = 0
    backward_evaluations: int = 0
    backward_accepted: int = 0
    backward_rejected: int = 0
    reconstruction_error: float = 0.0

    def reset(self) -> None:
        """Set every count to zero."""
        self.__init__()  # type: ignore[misc]


def parameters_of(func: Any, output: Tensor, begun: int) -> list[Tensor]:
    """Return the tensors that ``func`` depends on and that require a gradient.

    They are a module's parameters and every leaf that the graph of ``output`` reaches, so that a tensor which a plain
    function closes over is found too.

    Args:
        func: the user's function.
        output: what it returned with gradients enabled, for a state that requires none.
        begun: `sequence_number` just before that call.

    Raises:
        ValueError: when it depends on a tensor that was computed, with a graph, outside ``func``.

    """
    found: dict[int, Tensor] = {
        id(p): p for p in (func.parameters() if isinstance(func, nn.Module) else ()) if p.requires_grad
    }
    if output.requires_grad and output.grad_fn is None:
        found[id(output)] = output
    pending = [output.grad_fn] if output.grad_fn is not None else []
    seen = set(pending)
    while pending:
        node = pending.pop()
        if hasattr(node, "variable"):
            found[id(node.variable)] = node.variable
            continue
        if node._sequence_nr() < begun:
            raise ValueError(
                f"func depends on a tensor computed outside it (by {node.name()}), whose gradient would be lost: "
                "give that tensor in adjoint_params, with every other one that needs a gradient"
            )
        fresh = [n for n, _ in node.next_functions if n is not None and n not in seen]
        seen.update(fresh)
        pending.extend(fresh)
    return list(found.values())


def sequence_number() -> int:
    """Return autograd's count of the operations recorded so far in this thread."""
    with torch.enable_grad():
        node = torch.zeros((), requires_grad=True).neg().grad_fn
    return int(node._sequence_nr())  # type: ignore[union-attr]


class Pullback:
    """Vector-Jacobian products of a field with respect to its state and its parameters.

    Args:
        field: the field.
        params: its parameters.

    """

    def __init__(self, field: Field, params: Sequence[Tensor]) -> None:
        self.field, self.params = field, list(params)

    def __call__(self, t: float, y: Tensor, cotangent: Tensor) -> tuple[Tensor, Sequence[Tensor | None]]:
        """Return the product with respect to the state, (N,), and to each parameter, None where it has no part."""
        with torch.enable_grad():
            z = y.detach().requires_grad_()
            slope = self.field(t, z)
        if not slope.requires_grad:
            return torch.zeros_like(y), [None] * len(self.params)
        by_state, *by_params = torch.autograd.grad(slope, (z, *self.params), cotangent, allow_unused=True)
        return torch.zeros_like(y) if by_state is None else by_state, by_params


def add_to(sums: list[Tensor], terms: Sequence[Tensor | None]) -> None:
    """Add the terms that are not None to ``sums`` in place."""
    pairs = [(s, term) for s, term in zip(sums, terms, strict=True) if term is not None]
    if pairs:
        torch._foreach_add_([s for s, _ in pairs], [term for _, term in pairs])


@dataclass
class Problem:
    """What a gradient needs beside tensors: the field, the times, how to step each way, and where to count."""

    field: Field
    times: list[float]
    plan: Plan
    params: list[Tensor]
    stats: Stats
    slope: Tensor | None = None
    reverse_plan: Plan | None = None
    norm: Norm | None = None


class DiscreteAdjoint(torch.autograd.Function):
    r"""The exact gradient of the computed solution, keeping the state and the slopes of each accepted step.

    A step :math:`y_1 = y + h\sum_i b_i k_i` with :math:`k_i = f(t + c_i h, Y_i)` is differentiated backwards:

    .. math::
        \bar k_i = h b_i \bar y_1 + h \sum_{j>i} a_{ji} \bar Y_j, \qquad
        \bar Y_i = \bar k_i \,\partial f/\partial z, \qquad \bar y = \bar y_1 + \sum_i \bar Y_i .

    Step lengths count as constants.
    """

    @staticmethod
    def forward(ctx: Any, problem: Problem, y0: Tensor, *params: Tensor) -> Tensor:
        """Solve."""
        kept: list[tuple[Step, Dense]] = []

        def keep(step: Step, dense: Dense) -> None:
            kept.append((step._replace(K=step.K.clone()), dense))

        solution = solve(problem.field, y0, problem.times, problem.plan, problem.slope, keep=keep)
        ctx.problem = problem
        ctx.steps = [(step.t, step.h, dense) for step, dense in kept]
        # through autograd, so that hooks see them, a second pass is refused, and so is a parameter changed since
        ctx.save_for_backward(*(s.y for s, _ in kept), *(s.K for s, _ in kept), *params)
        return solution

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Differentiate."""
        problem, n = ctx.problem, len(ctx.steps)
        saved = ctx.saved_tensors
        before = problem.field.calls
        y_grad, sums = _reverse_steps(problem, ctx.steps, saved[:n], saved[n : 2 * n], grads[0])
        problem.stats.backward_evaluations += problem.field.calls - before
        problem.stats.backward_accepted += n
        return None, y_grad, *sums


def _reverse_steps(
    problem: Problem,
    steps: list[tuple[float, float, Dense]],
    ys: Sequence[Tensor],
    Ks: Sequence[Tensor],
    grad: Tensor,
) -> tuple[Tensor, list[Tensor]]:
    """Carry the gradient of the outputs, (T, N), back through all steps, to the first state and the parameters."""
    tableau = problem.plan.tableau
    pull, sums = Pullback(problem.field, problem.params), [torch.zeros_like(p) for p in problem.params]
    method = RungeKutta(tableau, grad[0], tape=True)
    y_bar, carried = torch.zeros_like(grad[0]), None
    for n in reversed(range(len(steps))):
        t, h, dense = steps[n]
        A, b = method.rows[:-2] * h, method.rows[-2] * h
        K_bar = torch.outer(b, y_bar)
        needed = [v != 0 for v in tableau.b]
        if dense.weights:
            outputs = grad[dense.first : dense.first + len(dense.weights)]
            K_bar.addmm_((b.new_tensor(dense.weights) * h).T, outputs)
            y_bar = y_bar + outputs.sum(0)
            needed = [need or any(w[i] != 0 for w in dense.weights) for i, need in enumerate(needed)]
        if carried is not None:  # the last slope was the first of the step after
            K_bar[-1] += carried
            needed[-1] = True
        stop = 1 if tableau.first_same_as_last and n > 0 else 0
        for i in reversed(range(stop, tableau.stages)):
            if not needed[i] and not any(row[i] for row in tableau.a[i + 1 :]):
                continue
            point = torch.addmv(ys[n], Ks[n][:i].T, A[i, :i]) if i else ys[n]
            point_bar, terms = pull(t + method.nodes[i] * h, point, K_bar[i])
            add_to(sums, terms)
            y_bar = y_bar + point_bar
            if i:
                K_bar[:i].addr_(A[i, :i], point_bar)
        carried = K_bar[0] if stop else None
    return y_bar + grad[0], sums


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
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Differentiate."""
        solution = ctx.saved_tensors[0]
        y_grad, sums = reverse_solve(ctx.problem, solution, grads[0])
        return None, y_grad, *sums


class Augmented:
    r"""The field of the reverse solve, on one vector :math:`[z, a, g]`, in which :math:`l` is a running loss (or 0).

    .. math::
        \dot z = f, \qquad \dot a = -a\, f_z - l_z, \qquad \dot g = -(a\, f_\theta + l_\theta).

    One vector-Jacobian product of :math:`(f, l)` with :math:`(a, 1)` gives both right-hand sides.

    Args:
        field: the field f.
        params: the parameters.
        running: l as a function of a Python float and a flat state; None for 0.

    """

    def __init__(
        self,
        field: Field,
        params: Sequence[Tensor],
        running: Callable[[float, Tensor], Tensor] | None = None,
    ) -> None:
        self.field, self.params, self.running = field, list(params), running

    def __call__(self, t: float, state: Tensor) -> Tensor:
        """Return the slope of :math:`[z, a, g]`."""
        n = sum(self.field.layout.sizes)
        with torch.enable_grad():
            z = state[:n].detach().requires_grad_()
            slope = self.field(t, z)
            outputs, cotangents = [slope], [state[n : 2 * n]]
            if self.running is not None:
                outputs.append(self.running(t, z))
                cotangents.append(state.new_ones(()))
        kept = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if o.requires_grad]
        inputs = [z, *self.params]
        products: Sequence[Tensor | None] = [None] * len(inputs)
        if kept:
            products = torch.autograd.grad([o for o, _ in kept], inputs, [c for _, c in kept], allow_unused=True)
        flat = [torch.zeros_like(x) if p is None else -p for x, p in zip(inputs, products, strict=True)]
        return torch.cat([slope.detach(), *(p.reshape(-1).to(state.dtype) for p in flat)])


def reverse_solve(
    problem: Problem,
    solution: Tensor,
    jumps: Tensor,
    running: Callable[[float, Tensor], Tensor] | None = None,
) -> tuple[Tensor, list[Tensor]]:
    r"""Integrate `Augmented` once from the last time to the first.

    The start value is :math:`a(t_N) = \partial L/\partial z(t_N)`. At each :math:`t_i` on the way the part of the loss
    that looks there is added, :math:`a(t_i^-) = a(t_i^+) + \partial L/\partial z(t_i)`, and z is set to what the
    forward solve found there. The step length is carried from one interval to the next.

    Args:
        problem: field, times, parameters, and how to step back.
        solution: the forward solution, shape (T, N).
        jumps: :math:`\partial L/\partial z(t_i)`, shape (T, N).
        running: l as a function of a Python float and a flat state; None for 0.

    Returns:
        :math:`a(t_0)`, shape (N,), with the jump at :math:`t_0` added, and for each parameter
        :math:`\int (a f_\theta + l_\theta)\,dt`.

    """
    stats, params = problem.stats, problem.params
    plan = replace(problem.reverse_plan or problem.plan, accepted=0, rejected=0)  # a second pass starts afresh
    n, before = solution.shape[1], problem.field.calls
    augmented = Augmented(problem.field, params, running)
    a, g = jumps[-1], jumps.new_zeros(sum(p.numel() for p in params))
    plan.norm = block_norm([n, *(p.numel() for p in params)], problem.norm)
    method = RungeKutta(plan.tableau, torch.cat([solution[0], a, g]))
    steps = fixed_steps if plan.fixed else adaptive_steps
    for i in range(len(problem.times) - 1, 0, -1):
        state = torch.cat([solution[i], a, g])
        for step in steps(method, augmented, state, None, [problem.times[i], problem.times[i - 1]], plan):
            state = step.y1
        mismatch = rms(state[:n] - solution[i - 1]) / max(rms(solution[i - 1]), plan.atol, 1e-300)
        stats.reconstruction_error = max(stats.reconstruction_error, mismatch)
        a, g = state[n : 2 * n] + jumps[i - 1], state[2 * n :]
    stats.backward_evaluations += problem.field.calls - before
    stats.backward_accepted += plan.accepted
    stats.backward_rejected += plan.rejected
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


def block_norm(sizes: list[int], norm: Norm | None) -> Callable[[Tensor], float]:
    """Return the norm of the scaled error of ``[z, a, g]``: the largest over its blocks, unless ``norm`` is given.

    Args:
        sizes: the size of the state and of each parameter.
        norm: a function of the blocks (t, z, a, *parameters) as in torchdiffeq, where t is a 0-dim zero.

    """
    n, sizes = sizes[0], [sizes[0], sizes[0], *sizes[1:]]

    def default(error: Tensor) -> float:
        blocks = [error[:n], error[n : 2 * n]] + ([error[2 * n :]] if len(sizes) > 2 else [])
        return math.nan if not error.isfinite().all() else max(rms(block) for block in blocks)

    if norm is None:
        return default
    return lambda error: float(norm((error.new_zeros(()), *error.split(sizes))))


def seminorm(blocks: tuple[Tensor, ...]) -> float:
    """Return the norm of z and a alone: the parameters' integral needs no error control (Kidger et al., 2021)."""
    return max(rms(blocks[1]), rms(blocks[2]))


class StartTime(torch.autograd.Function):
    r"""The identity on the first state, through which :math:`\partial L/\partial t_0 = -a(t_0) f(t_0, z_0)` flows."""

    @staticmethod
    def forward(ctx: Any, y0: Tensor, t: Tensor, problem: Problem) -> Tensor:
        """Solve."""
        ctx.problem, ctx.time_dtype = problem, t.dtype
        ctx.save_for_backward(y0)
        return y0.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Differentiate."""
        problem = ctx.problem
        problem.stats.backward_evaluations += 1
        t_grad = grads[0].new_zeros(len(problem.times), dtype=ctx.time_dtype)
        t_grad[0] = -torch.dot(grads[0], problem.field(problem.times[0], ctx.saved_tensors[0]))
        return grads[0], t_grad, None


class OutputTimes(torch.autograd.Function):
    r"""The identity on the outputs, through which :math:`(\partial L/\partial z(t_i)) f(t_i, z_i)` flows to each time.

    At :math:`t_0` it cancels the part of `StartTime` that comes from the first output, which is always ``y0``.
    """

    @staticmethod
    def forward(ctx: Any, solution: Tensor, t: Tensor, problem: Problem) -> Tensor:
        """Solve."""
        ctx.problem, ctx.time_dtype = problem, t.dtype
        ctx.save_for_backward(solution)
        return solution.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Differentiate."""
        problem = ctx.problem
        problem.stats.backward_evaluations += len(problem.times)
        rows = zip(grads[0], problem.times, ctx.saved_tensors[0], strict=True)
        t_grad = torch.stack([torch.dot(g, problem.field(t, z)) for g, t, z in rows])
        return grads[0], t_grad.to(ctx.time_dtype), None
