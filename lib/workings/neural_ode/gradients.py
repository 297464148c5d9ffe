"""The exact gradient of a computed solution without a tape, and the gradient to times for every kind of solve."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

import torch
from torch import Tensor

from workings.neural_ode.field import Field, rms
from workings.neural_ode.solver import Dense, Plan, RungeKutta, Step, solve

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


class Pullback:
    r"""Vector-Jacobian products of a field, with respect to its state and its parameters.

    Args:
        field: the field f.
        params: its parameters.
        running: a running loss l of a 0-dim time and the state, differentiated along with f; None for 0.
        awaited: indices of parameters that f used on the way forward, to be seen again here.

    """

    def __init__(
        self,
        field: Field,
        params: Sequence[Tensor],
        running: Callable[[Tensor, Any], Tensor] | None = None,
        awaited: Iterable[int] = (),
    ) -> None:
        self.field, self.params, self.running, self.awaited = field, list(params), running, set(awaited)

    def __call__(self, t: float, y: Tensor, a: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        r"""Return f, (N,), :math:`a f_z + l_z`, (N,), and :math:`a f_\theta + l_\theta`, shaped like each θ."""
        layout = self.field.layout
        with torch.enable_grad():
            # leaves in the shape of the state: one vector, cut up, would cost more nodes than a small network has
            z = tuple(part.detach().requires_grad_() for part in layout.parts(y))
            slopes = self.field.slopes(t, z)
            pairs = list(zip(slopes, layout.parts(a), strict=True))
            if self.running is not None:
                pairs.append((self.running(layout.time(t), layout.state(z)), y.new_ones(())))
        outputs, inputs = [(o, c) for o, c in pairs if o.requires_grad], (*z, *self.params)
        found: Sequence[Tensor | None] = [None] * len(inputs)
        if outputs:
            found = torch.autograd.grad([o for o, _ in outputs], inputs, [c for _, c in outputs], allow_unused=True)
        if self.awaited:
            self.awaited -= {i for i, g in enumerate(found[len(z) :]) if g is not None}
        grads = [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]
        return layout.pack(slopes).detach(), layout.pack(grads[: len(z)]), grads[len(z) :]

    def end(self) -> None:
        """Warn when a parameter that f used on the way forward was not seen once."""
        if self.awaited:
            shapes = ", ".join(str(tuple(self.params[i].shape)) for i in sorted(self.awaited))
            distrust(f"func no longer uses {len(self.awaited)} of the parameters that it used in the solve ({shapes})")


def distrust(what: str) -> None:
    """Warn that the evaluations of the backward pass are not those of the solve."""
    warnings.warn(
        f"{what}: it draws random numbers, or something that it uses was changed or replaced between the solve and the "
        "backward pass. The gradient cannot be trusted; use gradient='backprop'",
        RuntimeWarning,
        stacklevel=2,
    )


def refuse_graph(what: str) -> None:
    """Raise when a graph of the backward pass is asked for, which would lack what that pass does."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            f"{what} has first derivatives only, and create_graph=True asks for more: "
            "take gradient='backprop', and times that require no gradient"
        )


@dataclass
class Problem:
    """What a gradient needs beside tensors: the field, the times, how to step each way, and where to count."""

    field: Field
    times: list[float]
    plan: Plan
    params: list[Tensor]
    stats: Stats
    awaited: set[int] = dataclass_field(default_factory=set)
    slope: Tensor | None = None
    reverse_plan: Plan | None = None
    norm: Norm | str | None = None


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
            # the last slope enters no later stage
            kept.append((step._replace(K=step.K[:-1].clone()), dense))

        solution = solve(problem.field, y0, problem.times, problem.plan, problem.slope, keep=keep)
        ctx.problem = problem
        ctx.steps = [(step.t, step.h, dense) for step, dense in kept]
        # through autograd, so that hooks see them, a second pass is refused, and so is a parameter changed since
        ctx.save_for_backward(*(s.y for s, _ in kept), *(s.K for s, _ in kept), *params)
        return solution

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Differentiate."""
        refuse_graph("gradient='discrete'")
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
    s, fsal = tableau.stages, tableau.first_same_as_last
    pull = Pullback(problem.field, problem.params, awaited=problem.awaited)
    sums = [torch.zeros_like(p) for p in problem.params]
    table = RungeKutta(tableau, grad[0], tape=True).rows
    bars = grad.new_zeros(s + 1, grad.shape[1])  # row 0 is ȳ, row 1 + i is k̄_i
    scaled = torch.ones(len(table), s + 1, dtype=grad.dtype, device=grad.device)  # [1, h a_i0, h a_i1, …]
    rows, heads, parts = list(bars), [bars[: 1 + i] for i in range(s)], [scaled[i, : 1 + i] for i in range(s)]
    carried: Tensor | None = None
    for n in reversed(range(len(steps))):
        t, h, dense = steps[n]
        torch.mul(table, h, out=scaled[:, 1:])
        torch.outer(scaled[s, 1:], rows[0], out=bars[1:])
        used = _seed(bars, dense, h, grad)
        if carried is not None:  # the last slope was also the first of the step after
            rows[s] += carried
            used[-1] = True
        points = torch.addmm(ys[n], scaled[:s, 1:s], Ks[n])
        stop = 1 if fsal and n > 0 else 0
        for i in reversed(range(stop, s)):
            if used[i] or tableau.b[i] != 0 or any(row[i] for row in tableau.a[i + 1 :]):
                slope, point_bar, terms = pull(t + float(tableau.c[i]) * h, points[i], rows[1 + i])
                if sums:
                    torch._foreach_add_(sums, terms)
                heads[i].addr_(parts[i], point_bar)
        carried = rows[1].clone() if stop else None
    pull.end()
    if len(Ks[0]):  # the last slope of a step is not kept
        _compare(slope, Ks[0][0], ys[0], steps[0][1])
    return rows[0] + grad[0], sums


def _compare(again: Tensor, before: Tensor, y: Tensor, h: float) -> None:
    """Warn when the first slope of the solve, evaluated again, is another, by more than rounding may explain."""
    difference, slack = abs(h) * rms(again - before), 1e3 * torch.finfo(y.dtype).eps
    if not difference <= slack * (rms(y) + abs(h) * rms(before)):
        distrust(f"func evaluated again at the start differs by {difference / (abs(h) * max(rms(before), 1e-300)):.2g}")


def _seed(bars: Tensor, dense: Dense, h: float, grad: Tensor) -> list[bool]:
    """Add the gradients of the outputs inside a step to ``bars``; return which slopes those outputs use."""
    if dense.weights:
        outputs = grad[dense.first : dense.first + len(dense.weights)]
        bars[1:].addmm_(grad.new_tensor(dense.weights).T, outputs, alpha=h)
        bars[0] += outputs.sum(0)
    return [any(w[i] != 0 for w in dense.weights) for i in range(len(bars) - 1)]


class StartTime(torch.autograd.Function):
    r"""The identity on the first state, through which :math:`\partial L/\partial t_0 = -a(t_0) f(t_0, z_0)` flows."""

    @staticmethod
    def forward(ctx: Any, y0: Tensor, t: Tensor, problem: Problem) -> Tensor:
        """Solve."""
        ctx.problem, ctx.time_dtype = problem, t.dtype
        ctx.save_for_backward(y0)
        return y0.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Differentiate."""
        refuse_graph("a gradient to t")
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
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Differentiate."""
        refuse_graph("a gradient to t")
        problem = ctx.problem
        problem.stats.backward_evaluations += len(problem.times)
        rows = zip(grads[0], problem.times, ctx.saved_tensors[0], strict=True)
        t_grad = torch.stack([torch.dot(g, problem.field(t, z)) for g, t, z in rows])
        return grads[0], t_grad.to(ctx.time_dtype), None
