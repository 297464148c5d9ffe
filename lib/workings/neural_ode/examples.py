"""Small systems for looking at gradients: a pendulum observed several times, a decay with a known gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workings.neural_ode.flows import MLPField
from workings.neural_ode.gradients import Stats
from workings.neural_ode.odeint import odeint

TIGHT: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-12}


class Pendulum(nn.Module):
    """A damped pendulum: state (..., 2) = (angle in rad, its velocity in rad/s); parameters stiffness and damping."""

    def __init__(self, stiffness: float = 4.0, damping: float = 0.4) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([stiffness, damping], dtype=torch.float64))

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """Return dz/dt (..., 2)."""
        angle, speed = z[..., 0], z[..., 1]
        return torch.stack((speed, -self.theta[0] * torch.sin(angle) - self.theta[1] * speed), -1)


class Scale(nn.Module):
    """f(t, z) = α z: its flow over [0, 1] multiplies by e^α, so a standard normal becomes one of deviation e^α."""

    def __init__(self, alpha: float = 0.5) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(alpha, dtype=torch.float64))

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """Return dz/dt, shaped like ``z``."""
        return self.alpha * z


def angle_cost(z: Tensor) -> Tensor:
    """Return half the squared angle of a state (..., 2), summed: the loss of one observation."""
    return 0.5 * (z[..., 0] ** 2).sum()


def adjoint_path(
    field: nn.Module, start: Tensor, times: Sequence[float], points: int = 40, replace: bool = False
) -> tuple[Tensor, Tensor]:
    """Follow a(t) = dL/dz(t) from the last observation back to the first time, for the loss `angle_cost`.

    Args:
        field: f(t, z).
        start: the state at ``times[0]``, shape (2,).
        times: the first time, then the observation times, increasing.
        points: how many points to keep in each interval.
        replace: set a to the new slope at an observation instead of adding it (wrong).

    Returns:
        Times (n,), decreasing, and a at those times (n, 2); first the last time just after it, where a is 0.

    """
    t = torch.tensor(times, dtype=start.dtype, device=start.device)
    states = odeint(field, start, t, **TIGHT).detach()
    a = torch.zeros_like(start)
    grids, paths = [t[-1:]], [a[None]]
    for i in range(len(times) - 1, 0, -1):
        seen = states[i].requires_grad_()
        (slope,) = torch.autograd.grad(angle_cost(seen), seen)
        a = slope if replace else a + slope
        grid = torch.linspace(times[i], times[i - 1], points, dtype=start.dtype, device=start.device)

        def reverse(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                z = state[0].detach().requires_grad_()
                velocity = field(t, z)
            return velocity.detach(), -torch.autograd.grad(velocity, z, state[1])[0]

        with torch.no_grad():
            _, back = odeint(reverse, (states[i], a), grid, rtol=1e-8, atol=1e-10)
        a = back[-1]
        grids.append(grid)
        paths.append(back)
    return torch.cat(grids), torch.cat(paths)


def pushed(field: nn.Module, start: Tensor, times: Sequence[float], when: float, push: float = 1e-5) -> Tensor:
    """Measure dL/dz(when) (2,) by pushing the state there and solving on: central differences of `angle_cost`'s sum."""
    first = torch.tensor([times[0], when], dtype=start.dtype, device=start.device)
    here = odeint(field, start, first, **TIGHT)[-1].detach() if when > times[0] else start
    later = torch.tensor([when, *(t for t in times[1:] if t > when)], dtype=start.dtype, device=start.device)
    units = push * torch.eye(len(start), dtype=start.dtype, device=start.device)
    with torch.no_grad():
        paths: Tensor = odeint(field, torch.cat((here + units, here - units)), later, **TIGHT)  # one solve for all
    ahead, behind = (torch.stack([angle_cost(z) for z in half]) for half in paths[1:].transpose(0, 1).chunk(2))
    return ((ahead - behind) / (2 * push)).cpu()


def decay_gradient(rate: float, gradient: str, loss: str = "running", device: torch.device | None = None) -> float:
    """Return dL/dλ at λ = ``rate`` for ż = −λz, z(0) = 1 on [0, 1], as ``odeint`` computes it at rtol 1e-6, atol 1e-9.

    Args:
        rate: λ.
        gradient: ``"backprop"``, ``"discrete"`` or ``"adjoint"``.
        loss: ``"running"``, L = ∫z² dt, or ``"terminal"``, L = z(1).
        device: where to solve.

    Raises:
        ValueError: another ``loss``.

    """
    if loss not in ("running", "terminal"):
        raise ValueError(f"loss is {loss!r}; it can be 'running' or 'terminal'")
    decay = torch.tensor(rate, dtype=torch.float64, device=device, requires_grad=True)
    one = torch.ones(1, dtype=torch.float64, device=device)
    times = torch.tensor([0.0, 1.0], dtype=torch.float64, device=device)

    def field(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return -decay * state[0], state[0] ** 2

    z, cost = odeint(field, (one, 0 * one), times, rtol=1e-6, atol=1e-9, gradient=gradient)
    value = (cost if loss == "running" else z)[-1].sum()
    return float(torch.autograd.grad(value, decay)[0])


def decay_truth(rate: float, loss: str = "running") -> float:
    """Return the exact dL/dλ: of (1 − e^{−2λ})/2λ for the running loss, of e^{−λ} for the terminal one.

    >>> round(decay_truth(1.0), 6), round(decay_truth(1.0, "terminal"), 6)
    (-0.296997, -0.367879)
    """
    if loss == "terminal":
        return -math.exp(-rate)
    return math.exp(-2 * rate) / rate - (1 - math.exp(-2 * rate)) / (2 * rate**2)


def reconstruction(
    rate: float, points: int = 120, device: torch.device | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solve ż = −λz from 1 over [0, 1] at rtol 1e-6, atol 1e-9, and then back from its end.

    Returns:
        Times, the forward solution and the backward one at those times, each (points,).

    """
    t = torch.linspace(0, 1, points, dtype=torch.float64, device=device)
    one = torch.ones(1, dtype=torch.float64, device=device)
    forward = odeint(lambda t, z: -rate * z, one, t, rtol=1e-6, atol=1e-9)
    back = odeint(lambda t, z: -rate * z, forward[-1], t.flip(0), rtol=1e-6, atol=1e-9).flip(0)
    return t.cpu().numpy(), forward[:, 0].cpu().numpy(), back[:, 0].cpu().numpy()


def toy_field(stiffness: float = 1.0, width: int = 64) -> MLPField:
    """Return a fixed random field on the plane (float64), its weights multiplied by ``stiffness``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        field = MLPField(2, hidden=(width, width)).double()
    with torch.no_grad():
        for parameter in field.parameters():
            parameter.mul_(stiffness)
    return field


def gradient_at_tolerances(field: nn.Module, tolerances: Sequence[float]) -> list[dict[str, float]]:
    """Solve ``field`` (on the plane, float64) for a fixed batch with L = Σ z(1)², at each rtol = atol = tolerance.

    Returns:
        For each tolerance: ``error``, the continuous adjoint's relative error in the parameters; ``forward``,
        ``adjoint``, ``seminorm`` and ``discrete``, evaluations of the field in the forward and each backward pass.

    """
    parameters = tuple(field.parameters())
    start = torch.randn(16, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(11)).to(parameters[0])
    times = torch.tensor([0.0, 1.0]).to(parameters[0])

    def solve(tolerance: float, gradient: str, options: dict[str, str] | None = None) -> tuple[Tensor, Stats]:
        stats = Stats()
        end = odeint(
            field, start, times, rtol=tolerance, atol=tolerance, gradient=gradient, adjoint_options=options, stats=stats
        )[-1]
        slopes = torch.autograd.grad((end**2).sum(), parameters)
        return nn.utils.parameters_to_vector(slopes), stats

    def row(tolerance: float) -> dict[str, float]:
        ours, stats = solve(tolerance, "adjoint")
        return {
            "error": float((ours - exact).norm() / exact.norm()),
            "forward": stats.evaluations,
            "adjoint": stats.backward_evaluations,
            "seminorm": solve(tolerance, "adjoint", {"norm": "seminorm"})[1].backward_evaluations,
            "discrete": solve(tolerance, "discrete")[1].backward_evaluations,
        }

    exact, _ = solve(1e-12, "discrete")
    return [row(tolerance) for tolerance in tolerances]


def numbers_kept(field: nn.Module, start: Tensor, steps: int, gradient: str) -> int:
    """Count the numbers that a solve by ``steps`` steps of rk4 over [0, 1] keeps for its backward pass.

    Counted are the distinct tensors that autograd saves; the parameters, which are there anyway, are not.
    """
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    times = torch.tensor([0.0, 1.0], dtype=start.dtype, device=start.device)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        solution = odeint(field, start, times, method="rk4", options={"step_size": 1 / steps}, gradient=gradient)
    own = {p.untyped_storage().data_ptr() for p in field.parameters()}
    count = sum(
        tensor.untyped_storage().size() // tensor.element_size() for at, tensor in kept.items() if at not in own
    )
    del solution  # it holds the graph, and with it the tensors, until they are counted
    return count
