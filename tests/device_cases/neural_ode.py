"""Differential equations on a device."""

from __future__ import annotations

from typing import Any

import torch

from device_cases import On, slopes
from workings import neural_ode as no


def times(on: On, *ends: float) -> torch.Tensor:
    return on.values(ends or (0.0, 0.2, 0.5)).requires_grad_()


def solutions(on: On) -> Any:
    """Every method with every gradient: solution, and gradients to start, times and parameters."""
    field, found = on.module(no.MLPField(2, (4,))), []
    for method, tableau in no.METHODS.items():
        for gradient in ("backprop", "adjoint", "discrete"):
            y, t = on(3, 2).requires_grad_(), times(on)
            options = None if tableau.adaptive else {"step_size": 0.25}
            z = no.odeint(field, y, t, method=method, gradient=gradient, options=options, rtol=1e-4, atol=1e-4)
            found.append((z, slopes(z.square(), y, t, *field.parameters())))
    return found


def several_parts(on: On) -> Any:
    def field(t: Any, state: Any) -> Any:
        return -state[0], state[0].sum() * torch.ones_like(state[1]) * t

    return no.odeint(field, (on(3, 2), on(4)), times(on)), no.odeint_adjoint(
        on.module(no.MLPField(2, (4,))), on(2), times(on)
    )


def losses(on: On) -> Any:
    field, y, t = on.module(no.MLPField(2, (4,))), on(2), times(on)
    parts: dict[str, Any] = {
        "terminal": lambda z: z.square().sum(), "running": lambda t, z: (t * z).sum(), "observed": lambda i, z: i * z[0]
    }  # fmt: skip
    found = no.loss_gradient(field, y, t, **parts)
    return found.loss, found.y0, found.times, found.params, no.trajectory_loss(field, y, t, **parts)


def flows(on: On) -> Any:
    field, x, found = on.module(no.MLPField(2, (4,))), on(5, 2), []
    for trace in ("closed", "exact", "hutchinson"):
        flow = no.ContinuousFlow(field, 2, trace)
        log_p = flow.log_prob(x, generator=on.cpu)
        found.append((log_p, slopes(log_p, *field.parameters()), flow.sample(4, generator=on.cpu)))
    return found


def divergences(on: On) -> Any:
    field, x, t = on.module(no.MLPField(2, (4,))), on(5, 2), on.values(0.3)
    noise = [no.trace_noise(kind, x, on.cpu) for kind in ("rademacher", "gaussian")]
    return noise, field.divergence(t, x), no.exact_divergence(field, t, x), [
        no.hutchinson_divergence(field, t, x, one) for one in noise
    ]  # fmt: skip


CASES = {
    "odeint METHODS": solutions,
    "odeint_adjoint": several_parts,
    "LossGradient loss_gradient trajectory_loss": losses,
    "ContinuousFlow": flows,
    "MLPField exact_divergence hutchinson_divergence trace_noise": divergences,
    "standard_normal_log_prob": lambda on: no.standard_normal_log_prob(on(5, 2)),
}
CPU_ONLY = {"SolverError", "Stats", "Tableau"}  # hold no tensors
