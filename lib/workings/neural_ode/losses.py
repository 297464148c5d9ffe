r"""Three kinds of loss on a trajectory, as a value to differentiate and as a gradient written out.

.. math:: L = L_T(z(t_N)) + \int_{t_0}^{t_N} l(t, z)\,dt + \sum_i L_i(z(t_i))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workings.neural_ode.adjoint import reverse_solve
from workings.neural_ode.field import Field, Layout
from workings.neural_ode.gradients import Problem, Stats
from workings.neural_ode.odeint import odeint, output_times, plan_steps, tensors
from workings.neural_ode.parameters import parameters_of

Terminal = Callable[[Tensor], Tensor]
Running = Callable[[Tensor, Tensor], Tensor]
Observed = Callable[[int, Tensor], Tensor]


@dataclass(frozen=True)
class LossGradient:
    """A loss and its gradients.

    Attributes:
        loss: the value, shape ().
        y0: with respect to the first state, shaped like it.
        params: with respect to each parameter, in the order in which they were given or found.
        times: with respect to each time, shape (T,).

    """

    loss: Tensor
    y0: Tensor
    params: tuple[Tensor, ...]
    times: Tensor


class _System(nn.Module):
    """A field and its losses: one module, so that the parameters of all of them are found."""

    def __init__(
        self,
        func: Callable[[Tensor, Tensor], Tensor],
        terminal: Terminal | None,
        running: Running | None,
        observed: Observed | None,
    ) -> None:
        super().__init__()
        if terminal is None and running is None and observed is None:
            raise ValueError("a loss needs at least one of terminal, running and observed; got none")
        self.func, self.terminal, self.running, self.observed = func, terminal, running, observed

    def forward(self, t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the slope of (z, ∫l)."""
        return self.func(t, state[0]), self.along(t, state[0])

    def along(self, t: Tensor, z: Tensor) -> Tensor:
        """Return the running loss l, or 0."""
        return z.new_zeros(()) if self.running is None else _scalar("running", self.running(t, z), z)

    def at_end(self, z: Tensor) -> Tensor:
        """Return the terminal loss of a trajectory ``z``, (T, *shape), or 0."""
        return z.new_zeros(()) if self.terminal is None else _scalar("terminal", self.terminal(z[-1]), z)

    def at_times(self, z: Tensor) -> Tensor:
        """Return the sum of the losses of a trajectory's observations, or 0."""
        observed, total = self.observed, z.new_zeros(())
        for i in range(len(z) if observed is not None else 0):
            total = total + _scalar("observed", observed(i, z[i]), z)  # type: ignore[misc]
        return total

    def parameters_at(self, t: Tensor, z: Tensor) -> list[Tensor]:
        """Return what the field and the losses depend on, found at the first time ``t`` and along a trajectory."""

        def evaluate(z: Tensor) -> Tensor:
            slope, rate = self(t, (z[0], z[0]))
            return torch.cat([slope.flatten(), torch.stack([rate, self.at_end(z), self.at_times(z)])])

        with torch.enable_grad():
            return parameters_of(self, z, evaluate, "params")[0]

    def solve(self, y0: Tensor, t: Tensor, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Return the trajectory, (T, *shape), and the integral of the running loss, ()."""
        if self.running is None:
            return odeint(self.func, y0, t, **kwargs), y0.new_zeros(())
        z, integral = odeint(self, (y0, y0.new_zeros(())), t, **kwargs)
        return z, integral[-1]


def trajectory_loss(
    func: Callable[[Tensor, Tensor], Tensor],
    y0: Tensor,
    t: Tensor,
    *,
    terminal: Terminal | None = None,
    running: Running | None = None,
    observed: Observed | None = None,
    **kwargs: Any,
) -> Tensor:
    r"""Return the loss of the trajectory from ``y0``, differentiable as the ``gradient=`` of `odeint` says.

    .. math:: L = L_T(z(t_N)) + \int_{t_0}^{t_N} l(t, z)\,dt + \sum_{i=0}^{N} L_i(z(t_i))

    Args:
        func: the field, ``func(t, z)``.
        y0: the first state, any shape.
        t: the times, shape (T,) with T = N + 1.
        terminal: :math:`L_T`, from the last state to a 0-dim tensor.
        running: :math:`l`, from a 0-dim time and the state to a 0-dim tensor; its integral is solved for beside z.
        observed: :math:`L_i`, from the index i and the state at ``t[i]`` to a 0-dim tensor; for ``t[0]`` too.
        **kwargs: for `odeint`.

    Raises:
        ValueError: without any of the three, or when one of them returns something else than a 0-dim tensor.

    >>> y0, t = torch.ones(1, dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    >>> round(trajectory_loss(lambda t, z: -3 * z, y0, t, running=lambda t, z: (z**2).sum()).item(), 6)
    0.166254

    """
    system = _System(func, terminal, running, observed)
    z, integral = system.solve(y0, t, **kwargs)
    return integral + system.at_end(z) + system.at_times(z)


def loss_gradient(
    func: Callable[[Tensor, Tensor], Tensor],
    y0: Tensor,
    t: Tensor,
    *,
    terminal: Terminal | None = None,
    running: Running | None = None,
    observed: Observed | None = None,
    params: Iterable[Tensor] | None = None,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    method: str = "dopri5",
    options: Mapping[str, Any] | None = None,
    stats: Stats | None = None,
) -> LossGradient:
    r"""Return the loss and its gradients by the adjoint equations, written out with :math:`a = +dL/dz`.

    .. math::
        a(t_N) = \frac{\partial L_T}{\partial z(t_N)}, \qquad
        \dot a = -a f_z - l_z, \qquad
        a(t_i^-) = a(t_i^+) + \frac{\partial L_i}{\partial z(t_i)}, \qquad
        \frac{dL}{d\theta} = \frac{\partial L}{\partial\theta} + \int_{t_0}^{t_N} (l_\theta + a f_\theta)\,dt .

    The gradients to times are :math:`dL/dt_i = (\partial L_i/\partial z) f(t_i, z_i)`, for the last one with
    :math:`L_T` and plus :math:`l(t_N, z_N)`, and :math:`dL/dt_0 = -a(t_0^+) f(t_0, z_0) - l(t_0, z_0)`.

    Args:
        func: the field, ``func(t, z)``.
        y0: the first state, any shape.
        t: the times, shape (T,) with T = N + 1.
        terminal: :math:`L_T`, as in `trajectory_loss`.
        running: :math:`l`.
        observed: :math:`L_i`.
        params: the parameters, one tensor or several; by default those of ``func`` and of the losses, as in `odeint`.
        rtol: relative tolerance of both solves.
        atol: absolute tolerance of both solves.
        method: their method, as in `odeint`.
        options: their options.
        stats: is reset and filled.

    Raises:
        ValueError: as `trajectory_loss`.

    >>> rate = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    >>> y0, t = torch.ones(1, dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    >>> g = loss_gradient(lambda t, z: rate * z, y0, t, running=lambda t, z: (z**2).sum() / 2)
    >>> round(g.loss.item(), 6), round(g.params[0].item(), 6)
    (0.859141, 1.0)

    """
    if torch.is_inference_mode_enabled():
        raise RuntimeError("loss_gradient differentiates, which torch.inference_mode forbids: use torch.no_grad")
    stats = Stats() if stats is None else stats
    system, layout = _System(func, terminal, running, observed), Layout(y0)
    plan = plan_steps("", rtol, atol, method, options)
    with torch.no_grad():
        z, integral = system.solve(y0, t, rtol=rtol, atol=atol, method=method, options=options, stats=stats)
    times = output_times(t, layout)
    theta = system.parameters_at(layout.time(times[0]), z) if params is None else tensors("params", params)
    problem = Problem(Field(func, layout), times, plan, theta, stats)

    # terminal: a(t_N) = ∂L_T/∂z(t_N)
    loss, start, theta_start = _differentiate(system.at_end, z, theta)
    # observed: a(t_i⁻) = a(t_i⁺) + ∂L_i/∂z(t_i)
    seen, jumps, theta_seen = _differentiate(system.at_times, z, theta)
    # running: ȧ = −a f_z − l_z
    source = None if running is None else system.along

    path, given = z.reshape(len(z), -1), (start + jumps).reshape(len(z), -1)
    a, theta_path = reverse_solve(problem, path, given, source)
    return LossGradient(
        loss=loss + seen + integral,
        y0=a.view(y0.shape),
        params=tuple(p + q + r for p, q, r in zip(theta_start, theta_seen, theta_path, strict=True)),
        times=_to_times(problem, path, given, a, source),
    )


def _differentiate(
    loss: Callable[[Tensor], Tensor], z: Tensor, theta: list[Tensor]
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return a loss, and its direct gradients with respect to the trajectory and to the parameters."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        value = loss(z)
    if not value.requires_grad:
        return value, torch.zeros_like(z), [torch.zeros_like(p) for p in theta]
    by_z, *by_theta = torch.autograd.grad(value, (z, *theta), allow_unused=True, materialize_grads=True)
    return value.detach(), by_z, by_theta


@torch.no_grad()
def _to_times(problem: Problem, z: Tensor, given: Tensor, a: Tensor, source: Running | None) -> Tensor:
    """Return the gradient to times: at each dL/dz(t_i) f, at the ends also the running loss that is won or lost."""
    slopes = torch.stack([problem.field(t, row) for t, row in zip(problem.times, z, strict=True)])
    by_time = (given * slopes).sum(1)
    by_time[0] -= torch.dot(a, slopes[0])  # what a(t_0) has from t_0 itself cancels: z(t_0) = y0 at any t_0
    if source is not None:
        layout = problem.field.layout
        ends = [source(layout.time(problem.times[i]), layout.parts(z[i])[0]) for i in (0, -1)]
        by_time[0] -= ends[0]
        by_time[-1] += ends[1]
    return by_time


def _scalar(name: str, loss: Any, z: Tensor) -> Tensor:
    if not isinstance(loss, Tensor) or loss.dim():
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"{name} must return a 0-dim tensor (sum or average over the batch); got {got}")
    if loss.dtype != z.dtype:
        raise ValueError(f"{name} must return {z.dtype}, as y0 is; got {loss.dtype}")
    return loss
