"""Paths, marginals, couplings, losses and sampling: valid calls."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bad_data import Case
from bad_data.rules import as_if, gives, reshaped, unused
from workings import flow_matching as fm


def line(low: float, high: float, *shape: int) -> Tensor:
    return torch.linspace(low, high, torch.Size(shape).numel(), dtype=torch.float64).reshape(shape)


PATH = fm.ConditionalOT(0.1)
T, X0, X1 = line(0.2, 0.7, 3), line(-1, 1.2, 3, 2), line(0.3, 2.1, 3, 2).flip(0)
WEIGHTS = line(0.2, 0.5, 3)
MARGINAL = fm.EmpiricalMarginal(PATH, X1, WEIGHTS)
WAY = torch.stack((X0, X0 + 0.3 * X1, X0 + X1.square()))
PLAN = fm.entropic_plan(X0, X1, 2.0)
PATHS = {
    "ConditionalOT": PATH,
    "VarianceExploding": fm.VarianceExploding(),
    "VariancePreserving": fm.VariancePreserving(),
}
SCHEDULES: dict[str, Any] = {"Geometric": fm.Geometric, "Linear": fm.Linear}


def net() -> Any:
    torch.manual_seed(0)
    return fm.VelocityMLP(2, (3,)).double()


def still(t: Tensor, x: Tensor) -> Tensor:
    return -x


def each_of(path: fm.GaussianPath) -> Any:
    return path.alpha(T), path.sigma(T), path.d_alpha(T), path.d_sigma(T)


def fitted(steps: Any, batch: Any, lr: Any) -> Any:
    def draw(n: int, generator: Any) -> Tensor:
        return fm.checkerboard(n, generator).double()

    return fm.fit(net(), PATH, draw, steps, batch=batch, lr=lr)


def points(function: Any) -> Case:
    return Case(function, n=3).hints(n="sign")


CASES = {
    "ConditionalOT": Case(lambda sigma_min: each_of(fm.ConditionalOT(sigma_min)), sigma_min=0.1).hints(
        sigma_min="sign"
    ),
    "VariancePreserving": Case(
        lambda **ends: each_of(fm.VariancePreserving(**ends)), beta_min=0.1, beta_max=20.0
    ).hints(beta_min="sign", beta_max="sign"),
    **{
        f"{name}.{method}": Case(getattr(path, method), t=T).hints(t="free -negative")
        for name, path in PATHS.items() for method in ("alpha", "sigma", "d_alpha", "d_sigma")
    },
    **{
        name: Case(lambda low, high, schedule=schedule: schedule(low, high)(T), low=0.1, high=5.0).hints(
            low="sign", high="sign"
        )
        for name, schedule in SCHEDULES.items()
    },
    **{f"{name}.__call__": Case(schedule().__call__, s=T).hints(s="free") for name, schedule in SCHEDULES.items()},
    **{f"{name}.slope": Case(schedule().slope, s=T).hints(s="free") for name, schedule in SCHEDULES.items()},
    "GaussianPath.mean": Case(PATH.mean, t=T, x1=X1).hints(t="sign", x1="free").rule("x1", "shape", reshaped),
    "GaussianPath.flow": Case(PATH.flow, t=T, x0=X0, x1=X1).hints(t="sign"),
    "GaussianPath.velocity": Case(PATH.velocity, t=T, x=X0, x1=X1).hints(t="sign"),
    "GaussianPath.sample": Case(PATH.sample, t=T, x0=X0, x1=X1).hints(t="sign"),
    "GaussianPath.times": Case(PATH.times, n=3, like=X0).hints(
        n="sign", like="free -shape -empty -nan -inf -huge -complex -bool"
    ),
    "EmpiricalMarginal": Case(
        lambda **made: fm.EmpiricalMarginal(PATH, **made).log_prob(T, X0), data=X1, weights=WEIGHTS, block=64
    ).omit("path").hints(data="coupled", weights="sign coupled", block="sign"),
    **{
        f"EmpiricalMarginal.{method}": Case(getattr(MARGINAL, method), t=T, x=X0).hints(t="sign")
        for method in ("log_prob", "denoised", "velocity", "score", "posterior")
    },
    "VelocityMLP": Case(dim=2, hidden=(3,), frequencies=2).hints(dim="sign", hidden="sign", frequencies="sign"),
    "VelocityMLP.forward": Case(net().forward, t=T, x=X0).hints(t="-negative"),
    "checkerboard": points(fm.checkerboard),
    "conditional_loss": Case(field=still, path=PATH, x1=X1, x0=X0, t=T).hints(
        x1="coupled", x0="coupled", t="sign coupled"
    ),
    "convert": Case(path=PATH, t=T, x=X0, value=X1, source="velocity", target="data").hints(t="sign"),
    "eight_gaussians": points(fm.eight_gaussians),
    "entropic_plan": Case(x0=X0, x1=X1, epsilon=2.0, tolerance=1e-6, max_iterations=200).hints(
        x0="coupled", x1="coupled", epsilon="sign", tolerance="sign", max_iterations="sign -huge"
    ),
    "fit": Case(fitted, steps=2, batch=3, lr=0.01).omit("field path draw pairing").hints(
        steps="sign -huge", batch="sign", lr="sign"
    ),
    "generate": Case(
        lambda **given: fm.generate(still, **given), x0=X0, steps=2, method="euler", rtol=1e-3, atol=1e-3,
        trajectory=True,
    ).omit("field path stats").hints(x0="free", steps="sign -huge", rtol="sign", atol="sign").rule(
        "x0", "shape", reshaped
    ).rule("method", "empty", as_if("midpoint")),
    "log_prob": Case(
        lambda **given: fm.log_prob(still, **given), x=X0, trace="exact", rtol=1e-3, atol=1e-3, method="rk4"
    ).omit("field path options stats").hints(x="free", rtol="sign", atol="sign").rule(
        "method", "none", as_if("dopri5")
    ),
    "marginal_loss": Case(field=still, marginal=MARGINAL, t=T, x=X0).hints(t="sign coupled", x="coupled"),
    "on_checkerboard": Case(x=X0).hints(x="free"),
    "optimal_pairing": Case(x0=X0, x1=X1),
    "sample_pairs": Case(plan=PLAN, n=3).hints(plan="sign free", n="sign"),
    "squared_distances": Case(x0=X0, x1=X1).hints(x0="coupled", x1="coupled"),
    "straightness": Case(x=WAY).hints(x="free"),
    "two_moons": points(fm.two_moons),
}  # fmt: skip
NO_DATA = {
    "GaussianPath": "abstract",
    **{f"GaussianPath.{method}": "abstract" for method in ("alpha", "sigma", "d_alpha", "d_sigma")},
    "NoiseSchedule": "a protocol",
    "NoiseSchedule.__call__": "a protocol",
    "NoiseSchedule.slope": "a protocol",
    "VarianceExploding": "a schedule",
    "digits": "a switch",
    "mnist": "a switch",
}
CASES["straightness"].rule("x", "shape", reshaped)
CASES["sample_pairs"].rule("plan", "shape", unused)
CASES["on_checkerboard"].rule("x", "nan", gives(fm.on_checkerboard(X0) & torch.tensor([False, True, True])))  # on none
