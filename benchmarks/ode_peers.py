"""The contenders of ``bench_neural_ode``: the same problem put to this package, to torchdiffeq and to torchode.

Every solver is called as ``solve(field, y0, t, tolerance)`` and returns the states at ``t``, first axis time. The
tolerance is both the relative and the absolute one, in the solve and in its adjoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torchdiffeq
import torchode
from torch import Tensor, nn

from workings.neural_ode import odeint

Solver = Callable[["Counted", Tensor, Tensor, float], Any]


class Counted(nn.Module):
    """The vector field (t, y) ↦ net(y); it counts its evaluations."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net: Any = net
        self.tally = [0]  # in a list, since setting an attribute of a module takes longer than a small matrix product

    def forward(self, t: Tensor, y: Tensor) -> Any:
        self.tally[0] += 1
        return self.net(y)

    @property
    def calls(self) -> int:
        """How often the field was evaluated so far."""
        return self.tally[0]


class CountedFlow(Counted):
    """The vector field (t, y) ↦ net(t, y) of a flow, with the closed form of its trace."""

    def forward(self, t: Tensor, y: Tensor) -> Any:
        self.tally[0] += 1
        return self.net(t, y)

    def divergence(self, t: Tensor, y: Tensor) -> Any:
        self.tally[0] += 1
        return self.net.divergence(t, y)


def tanh_field(width: int, dtype: torch.dtype, *, seed: int = 0) -> Counted:
    """A field 2 → width → width → 2 whose weights are tripled, so that a solve takes 40 evaluations and more."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 2))
    with torch.no_grad():
        for layer in net:
            if isinstance(layer, nn.Linear):
                layer.weight *= 3
    return Counted(net.to(dtype))


def ours(field: nn.Module, y0: Tensor, t: Tensor, tolerance: float, *, method: str = "dopri5", **how: Any) -> Any:
    """Solve with this package."""
    return odeint(field, y0, t, rtol=tolerance, atol=tolerance, method=method, **how)


def diffeq(field: nn.Module, y0: Tensor, t: Tensor, tolerance: float, *, method: str = "dopri5", **options: Any) -> Any:
    """Solve with torchdiffeq, differentiated through its steps."""
    return torchdiffeq.odeint(field, y0, t, rtol=tolerance, atol=tolerance, method=method, options=options or None)


def diffeq_adjoint(field: nn.Module, y0: Tensor, t: Tensor, tolerance: float, **adjoint_options: Any) -> Any:
    """Solve with torchdiffeq's continuous adjoint."""
    return torchdiffeq.odeint_adjoint(
        field, y0, t, rtol=tolerance, atol=tolerance, method="dopri5", adjoint_options=adjoint_options or None
    )


def torchode_dopri5(field: nn.Module, y0: Tensor, t: Tensor, tolerance: float) -> Tensor:
    """Solve with torchode, which gives each sample of the batch its own steps; differentiated through them."""
    term = torchode.ODETerm(field, with_stats=False)
    controller = torchode.IntegralController(atol=tolerance, rtol=tolerance, term=term)
    solver = torchode.AutoDiffAdjoint(torchode.Dopri5(term=term), controller)
    times = t.expand(len(y0), len(t))
    only_ends = len(t) == 2  # then it need not interpolate
    problem = torchode.InitialValueProblem(y0, times[:, 0], times[:, -1], None if only_ends else times)
    states = solver.solve(problem, term).ys
    return torch.stack((y0, states[:, -1])) if only_ends else states.transpose(0, 1)


FORWARD: dict[str, Solver] = {
    "workings dopri5": ours,
    "workings tsit5": partial(ours, method="tsit5"),
    "torchdiffeq dopri5": diffeq,
    "torchode dopri5": torchode_dopri5,
}
GRADIENT: dict[str, Solver] = {
    "workings backprop": partial(ours, gradient="backprop"),
    "workings discrete": partial(ours, gradient="discrete"),
    "workings adjoint": partial(ours, gradient="adjoint"),
    "workings adjoint, seminorm": partial(ours, gradient="adjoint", adjoint_options={"norm": "seminorm"}),
    "torchdiffeq backprop": diffeq,
    "torchdiffeq adjoint": diffeq_adjoint,
    "torchdiffeq adjoint, seminorm": partial(diffeq_adjoint, norm="seminorm"),
    "torchode backprop": torchode_dopri5,
}
LINEAR: dict[str, Solver] = {
    "workings dopri5": ours,
    "workings tsit5": partial(ours, method="tsit5"),
    "workings rk4": partial(ours, method="rk4", options={"step_size": 0.02}),
    "torchdiffeq dopri5": diffeq,
    "torchdiffeq rk4": partial(diffeq, method="rk4", step_size=0.02),
    "torchode dopri5": torchode_dopri5,
}


# ---- continuous normalizing flows ----------------------------------------------------------------------------------


def autograd_trace(f: Tensor, z: Tensor) -> Tensor:
    """tr ∂f/∂z by one reverse pass for each dimension, as torchdiffeq's own example computes it."""
    rows = [torch.autograd.grad(f[:, i].sum(), z, create_graph=True)[0][:, i] for i in range(z.shape[1])]
    return torch.stack(rows).sum(0)


def hutchinson_trace(f: Tensor, z: Tensor, noise: Tensor) -> Tensor:
    """εᵀ ∂f/∂z ε, an unbiased estimate of the trace."""
    return (torch.autograd.grad(f, z, noise, create_graph=True)[0] * noise).sum(1)


class Augmented(nn.Module):
    """d(z, c)/dt = (f, tr ∂f/∂z), the trace by autograd; ``noise`` asks for Hutchinson's estimate."""

    def __init__(self, field: nn.Module, noise: Tensor | None = None) -> None:
        super().__init__()
        self.field, self.noise = field, noise

    def forward(self, t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            z = state[0].requires_grad_(True)
            f = self.field(t, z)
            trace = autograd_trace(f, z) if self.noise is None else hutchinson_trace(f, z, self.noise)
        return f, trace


def diffeq_log_prob(
    field: nn.Module, x: Tensor, tolerance: float, *, adjoint: bool, noise: Tensor | None = None
) -> Any:
    """log p(x) of the flow from a standard normal at t = 0 to the data at t = 1, with torchdiffeq."""
    solve = torchdiffeq.odeint_adjoint if adjoint else torchdiffeq.odeint
    times = x.new_tensor([1.0, 0.0])
    start = (x, x.new_zeros(len(x)))
    z, c = solve(Augmented(field, noise), start, times, rtol=tolerance, atol=tolerance, method="dopri5")
    return c[-1] - z[-1].square().sum(1) / 2 - x.shape[1] / 2 * math.log(2 * math.pi)
