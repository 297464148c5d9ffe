"""Differential equations, losses on their solutions, and flows: valid calls."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bad_data import Case
from bad_data.rules import as_if, reshaped, unused
from workings import neural_ode as no


def values(*numbers: Any) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


T, Y, NOISE = values(0.0, 0.2, 0.5), values(1.0, 2.0, -0.5), values(1.0, -1.0, 1.0)
X = values([0.3, -0.2, 1.0], [0.1, 0.7, -0.4])
LOOSE: dict[str, Any] = {"rtol": 1e-3, "atol": 1e-3}
OF_STEPS = {"rtol": "sign", "atol": "sign"}
HALF = torch.tensor(0.5, dtype=torch.float64)


def decay(t: Tensor, y: Tensor) -> Tensor:
    return -y


def total(y: Tensor) -> Tensor:
    return y.square().sum()


def field() -> Any:
    torch.manual_seed(0)
    return no.MLPField(3, (2,)).double()


def solve(**given: Any) -> Any:
    return no.odeint(decay, **given)


def of_loss(**given: Any) -> Any:
    found = no.loss_gradient(decay, terminal=total, **given)
    return found.loss, found.y0, found.times


def flow(**options: Any) -> Any:
    given: dict[str, Any] = {"dim": 3, "method": "bosh3", **LOOSE} | options
    return no.ContinuousFlow(field(), **given)


SOLVED = {"y0": Y, "t": T, **LOOSE, "method": "rk4"}
CASES = {
    "ContinuousFlow": Case(
        lambda **made: flow(**made).log_prob(X), dim=3, trace="closed", t0=0.0, t1=1.0, noise="rademacher",
        gradient="discrete", **LOOSE, method="bosh3",
    ).omit("field options").hints(dim="sign", **OF_STEPS),
    "ContinuousFlow.log_prob": Case(flow().log_prob, x=X).omit("stats"),
    "ContinuousFlow.sample": Case(flow().sample, shape=(2,)).hints(shape="sign -empty -number"),
    "MLPField": Case(dim=3, hidden=(2, 2)).hints(dim="sign", hidden="sign"),
    "MLPField.forward": Case(field().forward, t=HALF, z=X),
    "MLPField.divergence": Case(field().divergence, t=HALF, z=X),
    "Tableau.weights": Case(no.METHODS["dopri5"].weights, theta=0.5),
    "exact_divergence": Case(field=decay, t=HALF, z=X).hints(t="-empty", z="free"),
    "hutchinson_divergence": Case(field=decay, t=HALF, z=Y, noise=NOISE).hints(t="-empty"),
    "loss_gradient": Case(of_loss, **SOLVED).omit("func terminal running observed params options stats").hints(
        y0="free coupled", t="free coupled", **OF_STEPS
    ),
    "odeint": Case(solve, **SOLVED, gradient="backprop").omit(
        "func options event_fn adjoint_params adjoint_rtol adjoint_atol adjoint_method adjoint_options stats"
    ).hints(y0="free coupled", t="free coupled", **OF_STEPS),
    "odeint_adjoint": Case(lambda y0, t: no.odeint_adjoint(decay, y0, t, method="rk4"), y0=Y, t=T).omit(
        "func kwargs"
    ).hints(y0="free coupled", t="free coupled"),
    "standard_normal_log_prob": Case(z=X).hints(z="free"),
    "trace_noise": Case(kind="rademacher", like=X).hints(like="free -shape -empty -nan -inf -huge -complex"),
    "trajectory_loss": Case(
        lambda y0, t: no.trajectory_loss(decay, y0, t, terminal=total, method="rk4"), y0=Y, t=T
    ).omit("func terminal running observed kwargs").hints(y0="free coupled", t="free coupled"),
}  # fmt: skip
NO_DATA = {"SolverError": "an error", "Tableau": "a method of the catalogue"}
for _name in ("odeint", "odeint_adjoint", "loss_gradient", "trajectory_loss"):
    CASES[_name].rule("y0", "shape", reshaped)
for _name in ("odeint", "loss_gradient", "ContinuousFlow"):
    CASES[_name].rule("method", "none", as_if("dopri5"))
for _name in ("MLPField.forward", "MLPField.divergence", "exact_divergence", "hutchinson_divergence"):
    CASES[_name].rule("t", "shape", unused)
