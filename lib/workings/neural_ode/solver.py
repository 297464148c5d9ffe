"""Runge–Kutta steps on a flat vector: stages, step control, dense output.

Without a graph to build, the slopes of a step lie in one contiguous buffer ``K`` of shape (stages, N), so that a
stage point is one matrix-vector product; steps are controlled in Python floats with one synchronization each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from workings.neural_ode.field import rms
from workings.neural_ode.tableaus import Tableau

SAFETY, SHRINK, GROW = 0.9, 0.2, 10.0


VectorField = Callable[[float, Tensor], Tensor]


class SolverError(RuntimeError):
    """The solution cannot be carried on: the step underflows, the step limit is met, or a slope is not finite."""


@dataclass
class Plan:
    """How to step: the method, its tolerances and limits; it counts the steps taken.

    Args:
        tableau: the method.
        rtol: relative tolerance.
        atol: absolute tolerance.
        step_size: the longest step when steps are fixed; None for adaptive steps, or one step an interval.
        first_step: the length of the first adaptive step; None to estimate it, and afterwards the next proposal.
        max_num_steps: how many steps may be tried.
        norm: from the scaled error, shape (N,), to a number that accepts a step when at most 1.

    """

    tableau: Tableau
    rtol: float
    atol: float
    step_size: float | None = None
    first_step: float | None = None
    max_num_steps: int = 2**16
    norm: Callable[[Tensor], float] = rms
    accepted: int = 0
    rejected: int = 0

    @property
    def fixed(self) -> bool:
        """Whether steps are of prescribed length."""
        return self.step_size is not None or not self.tableau.adaptive


class Step(NamedTuple):
    """An accepted step from ``y`` at ``t`` over ``h`` to ``y1`` at ``end``, with its slopes ``K``, (stages, N)."""

    t: float
    end: float
    h: float
    y: Tensor
    K: Tensor
    y1: Tensor


class RungeKutta:
    """The arithmetic of one method on vectors.

    Args:
        tableau: the method.
        like: a vector of the state's size, dtype and device.
        tape: whether autograd must see the arithmetic; then nothing is reused or written in place.

    """

    def __init__(self, tableau: Tableau, like: Tensor, tape: bool = False) -> None:
        self.tableau, self.tape = tableau, tape
        s = tableau.stages
        rows = [*tableau.a, tableau.b, tableau.b_error]
        table = [[float(v) for v in row] + [0.0] * (s - len(row)) for row in rows]
        self.rows = torch.tensor(table, dtype=like.dtype, device=like.device)
        self.nodes = [float(c) for c in tableau.c]
        self.first = like  # the first slope; without a tape it lies in K
        if not tape:
            self.K = like.new_empty(s, like.numel())
            self.scaled = torch.empty_like(self.rows)
            self.slots = list(self.K)
            self.heads = [self.K[:i].T for i in range(s + 1)]
            self.parts = [self.scaled[i, :i] for i in range(s + 1)]

    def begin(self, slope: Tensor) -> Tensor:
        """Take ``slope`` as the first one of the next step; return it as kept, safe from what wrote it."""
        self.first = _own(slope) if self.tape else self.slots[0].copy_(slope)
        return self.first

    def stages(self, field: VectorField, t: float, h: float, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the slopes, shape (stages, N), and the new state, (N,)."""
        if self.tape:
            return self._taped(field, t, h, y)
        torch.mul(self.rows, h, out=self.scaled)
        s, y1 = self.tableau.stages, y
        for i in range(1, s):
            y1 = torch.addmv(y, self.heads[i], self.parts[i])
            self.slots[i].copy_(field(t + self.nodes[i] * h, y1))
        if not self.tableau.first_same_as_last:
            y1 = torch.addmv(y, self.heads[s], self.parts[s])
        return self.K, y1

    def _taped(self, field: VectorField, t: float, h: float, y: Tensor) -> tuple[Tensor, Tensor]:
        scaled, slopes, y1 = self.rows * h, [self.first], y
        for i in range(1, self.tableau.stages):
            y1 = torch.addmv(y, torch.stack(slopes).T, scaled[i, :i])
            slopes.append(_own(field(t + self.nodes[i] * h, y1)))
        K = torch.stack(slopes)
        if not self.tableau.first_same_as_last:
            y1 = torch.addmv(y, K.T, scaled[-2])
        return K, y1

    def error(self, K: Tensor, h: float) -> Tensor:
        r"""Return the estimated error of the step, :math:`h \sum_i (b_i - \hat b_i) k_i`, shape (N,)."""
        return torch.mv(K.detach().T, self.rows[-1]).mul_(h)

    def outputs(self, step: Step, weights: list[list[float]]) -> Tensor:
        """Return the solution inside a step, shape (m, N), for m rows of weights from `Tableau.weights`."""
        scaled = torch.tensor(weights, dtype=step.y.dtype, device=step.y.device) * step.h
        return torch.addmm(step.y, scaled, step.K)


def _own(slope: Tensor) -> Tensor:
    """Return a slope that no later call of ``func`` can overwrite: one that needs a gradient autograd watches over."""
    return slope if slope.requires_grad else slope.clone()


def fixed_steps(
    method: RungeKutta, field: VectorField, y: Tensor, slope: Tensor | None, times: list[float], plan: Plan
) -> Iterator[Step]:
    """Yield equal steps in each interval of ``times``, none longer than ``plan.step_size``."""
    fsal = method.tableau.first_same_as_last
    longest = plan.step_size or math.inf
    counts = [max(1, math.ceil(min(abs(b - a) / longest, 1e18) - 1e-9)) for a, b in pairwise(times)]
    if plan.step_size is not None and sum(counts) > plan.max_num_steps:
        raise SolverError(
            f"steps of {longest:g} from t={times[0]:g} to {times[-1]:g} are {sum(counts)}, more than "
            f"max_num_steps={plan.max_num_steps}: take a larger step_size or raise options['max_num_steps']"
        )
    for begin, stop, n in zip(times, times[1:], counts, strict=False):
        h = (stop - begin) / n
        for j in range(n):
            t, end = begin + j * h, stop if j == n - 1 else begin + (j + 1) * h
            method.begin(field(t, y) if slope is None else slope)
            K, y1 = method.stages(field, t, end - t, y)
            plan.accepted += 1
            yield Step(t, end, end - t, y, K, y1)
            y, slope = y1, K[-1] if fsal else None


def adaptive_steps(
    method: RungeKutta, field: VectorField, y: Tensor, slope: Tensor | None, times: list[float], plan: Plan
) -> Iterator[Step]:
    """Yield accepted steps from ``times[0]`` to ``times[-1]``, the last clipped to end there.

    Elementary control: a step of scaled error r is accepted when r ≤ 1, and the next is 0.9 r^(-1/p) times as long,
    within [0.2, 10] and not longer after a rejection (Hairer, Nørsett & Wanner, section II.4). ``plan.first_step``
    always holds the next proposal, so that a later call carries it on.
    """
    t, stop = times[0], times[-1]
    sign = math.copysign(1.0, stop - t)
    slope = method.begin(field(t, y) if slope is None else slope)
    if plan.first_step is None:
        plan.first_step = first_step(field, t, y, slope, sign, abs(stop - t), plan)
    grow, size, atol = GROW, y.detach().abs(), y.new_tensor(plan.atol)
    while t != stop:
        if plan.accepted + plan.rejected >= plan.max_num_steps:
            raise _out_of_steps(t, times, plan)
        proposed = max(plan.first_step, 4 * math.ulp(t))  # a shorter one would not move t
        last = abs(stop - t) <= 1.01 * proposed
        end = stop if last else t + sign * proposed
        h = end - t  # as far as times can tell: where t is large, not quite what was proposed
        K, y1 = method.stages(field, t, h, y)
        size1 = y1.detach().abs()
        scale = torch.add(atol, torch.maximum(size, size1), alpha=plan.rtol)
        ratio = plan.norm(method.error(K, h).div_(scale))
        factor = SHRINK
        if math.isfinite(ratio):
            factor = min(grow, max(SHRINK, SAFETY * max(ratio, 1e-20) ** (-1 / method.tableau.order)))
        if ratio <= 1.0:
            plan.accepted += 1
            # a step cut short by the end says nothing against the longer one that was proposed
            plan.first_step = max(abs(h) * factor, proposed) if last else abs(h) * factor
            yield Step(t, end, h, y, K, y1)
            t, y, size, grow = end, y1, size1, GROW
            method.begin(K[-1])
        else:
            plan.rejected += 1
            plan.first_step, grow = abs(h) * factor, 1.0
            _check_progress(method, K, t, h, ratio, plan)


def first_step(field: VectorField, t: float, y: Tensor, slope: Tensor, sign: float, span: float, plan: Plan) -> float:
    """Return a first step, at most ``span``, with an error of about the tolerance (Hairer et al., section II.4)."""
    y, slope = y.detach(), slope.detach()
    scale = y.abs().mul_(plan.rtol).add_(plan.atol)
    d0, d1 = plan.norm(y / scale), plan.norm(slope / scale)
    if not math.isfinite(d1):
        if slope.isfinite().all():
            raise SolverError(f"rtol={plan.rtol:g} and atol={plan.atol:g} are too small, or too large, for {y.dtype}")
        raise SolverError(f"func returned NaN or infinity at t={t:g}, the start")
    guess = min(1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1, span)
    with torch.no_grad():
        d2 = plan.norm((field(t + sign * guess, y + sign * guess * slope) - slope) / scale) / guess
    if not math.isfinite(d2):
        return guess
    steep = max(d1, d2)
    step = max(1e-6, guess * 1e-3) if steep <= 1e-15 else (0.01 / steep) ** (1 / plan.tableau.order)
    return min(100 * guess, step, span)


def _check_progress(method: RungeKutta, K: Tensor, t: float, h: float, ratio: float, plan: Plan) -> None:
    """Raise when after a rejected step there is no use in trying a shorter one."""
    stuck = plan.first_step is None or plan.first_step <= 16 * math.ulp(t)
    if not math.isfinite(ratio):
        # an overflow in a trial step may be cured by a shorter one, but not in the slope at its start
        finite = K.isfinite().all(dim=1).tolist()
        if False in finite and (stuck or not finite[0]):
            where = t + method.nodes[finite.index(False)] * h
            raise SolverError(f"func returned NaN or infinity at t={where:.17g}, in a step of {h:.3g} from t={t:.17g}")
    if stuck:
        raise SolverError(
            f"step size underflow at t={t:.17g}: a step of {h:.3g} still has {ratio:.3g} times the tolerated error "
            f"(rtol={plan.rtol:g}, atol={plan.atol:g}). func may be singular or discontinuous there; "
            "try looser tolerances, float64, or an end before that time"
        )


def _out_of_steps(t: float, times: list[float], plan: Plan) -> SolverError:
    done = (t - times[0]) / (times[-1] - times[0])
    return SolverError(
        f"max_num_steps={plan.max_num_steps} met at t={t:g}, {done:.1%} of the way from {times[0]:g} to "
        f"{times[-1]:g}, with steps of about {plan.first_step:.3g} ({plan.rejected} rejected): try looser tolerances, "
        "raise options['max_num_steps'], or use an implicit solver if the equation is stiff"
    )


class Dense(NamedTuple):
    """The outputs that lie in one step: their weights, (m, stages), and the index of the first."""

    weights: list[list[float]]
    first: int


def solve(
    field: VectorField,
    y0: Tensor,
    times: list[float],
    plan: Plan,
    slope: Tensor | None = None,
    tape: bool = False,
    keep: Callable[[Step, Dense], None] | None = None,
) -> Tensor:
    """Return the solution at ``times``, shape (T, N).

    Args:
        field: the vector field.
        y0: the state at ``times[0]``, shape (N,).
        times: strictly monotonic, at least two.
        plan: how to step.
        slope: the slope at the start, where it is known.
        tape: whether autograd must see the arithmetic.
        keep: called with each accepted step, whose ``K`` is overwritten afterwards.

    Raises:
        SolverError: when the solution cannot be carried on.

    """
    method = RungeKutta(plan.tableau, y0, tape)
    steps = fixed_steps if plan.fixed else adaptive_steps
    sign = math.copysign(1.0, times[-1] - times[0])
    pieces, done = [y0.unsqueeze(0)], 1
    for step in steps(method, field, y0, slope, times, plan):
        first = done
        while done < len(times) and sign * (step.end - times[done]) >= 0:
            done += 1
        weights = [plan.tableau.weights(_fraction(step, t)) for t in times[first:done]]
        if weights:
            pieces.append(method.outputs(step, weights))
        if keep:
            keep(step, Dense(weights, first))
    solution = torch.cat(pieces)
    if plan.fixed and not solution.isfinite().all():
        raise _not_finite(field, solution.detach(), times, plan)
    return solution


def _fraction(step: Step, t: float) -> float:
    return 1.0 if t == step.end else (t - step.t) / step.h


def _not_finite(field: VectorField, solution: Tensor, times: list[float], plan: Plan) -> SolverError:
    """Walk once more through the first interval whose end is not finite, to say where ``func`` is to blame."""
    i = solution.isfinite().all(dim=1).tolist().index(False)

    def checked(t: float, y: Tensor) -> Tensor:
        slope = field(t, y)
        if not slope.isfinite().all():
            raise SolverError(f"func returned NaN or infinity at t={t:.17g}, where the state is {_size(y)}")
        return slope

    with torch.no_grad():
        for _ in fixed_steps(
            RungeKutta(plan.tableau, solution[0]), checked, solution[i - 1], None, times[i - 1 :], plan
        ):
            pass
    return SolverError(f"the solution overflowed between t={times[i - 1]:g} and {times[i]:g}: take a smaller step_size")


def _size(y: Tensor) -> str:
    return f"{float(y.abs().max()):.3g} at most" if y.isfinite().all() else "not finite either"
