"""Distributions with gradients to their parameters, and the derivatives behind them: valid calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical

from bad_data import Case
from workings import implicit_reparameterization as ir


def t(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


ONE, TWO, AT = t(1.3, 2.1, 0.8), t(0.7, 1.6, 2.4), t(0.2, 0.5, 0.7)
LAWS: dict[str, tuple[Any, dict[str, Tensor], str]] = {  # class, parameters, of which these may not be negative
    "Beta": (ir.Beta, {"concentration1": ONE, "concentration0": TWO}, "concentration1 concentration0"),
    "Dirichlet": (ir.Dirichlet, {"concentration": torch.stack((ONE, TWO))}, "concentration"),
    "Gamma": (ir.Gamma, {"concentration": ONE, "rate": TWO}, "concentration rate"),
    "Normal": (ir.Normal, {"loc": ONE, "scale": TWO}, "scale"),
    "Rice": (ir.Rice, {"nu": ONE, "sigma": TWO}, "nu sigma"),
    "StudentT": (ir.StudentT, {"df": 3 * ONE, "loc": ONE, "scale": TWO}, "df scale"),
    "TruncatedNormal": (ir.TruncatedNormal, {"loc": ONE, "scale": TWO, "low": -ONE, "high": 2 * ONE}, "scale"),
    "VonMises": (ir.VonMises, {"loc": ONE / 2, "concentration": TWO}, "concentration"),
}


def sampled(law: Any) -> Callable[..., Any]:
    """Return samples with their slopes in all parameters, and the mean."""

    def make(**parameters: Any) -> Any:
        made = law(**{name: _tracked(value) for name, value in parameters.items()})
        return made.rsample((2,)), made.mean

    return make


def _tracked(value: Any) -> Any:
    return value.clone().requires_grad_() if isinstance(value, Tensor) and value.is_floating_point() else value


def of_law(name: str) -> dict[str, Case]:
    """Return the cases of a distribution: itself, and its methods."""
    law, parameters, positive = LAWS[name]
    made, cases = law(**parameters), {}
    hints = dict.fromkeys(parameters, "-shape")  # any shapes that broadcast make a batch
    hints |= dict.fromkeys(positive.split(), "sign free" if name == "Dirichlet" else "sign -shape")
    cases[name] = Case(sampled(law), **parameters).omit("validate_args").hints(**hints)
    for method in ("log_prob", "cdf", "icdf"):
        if method in vars(law):
            cases[f"{name}.{method}"] = Case(getattr(made, method), value=AT)
    cases[f"{name}.rsample"] = Case(made.rsample, sample_shape=(2, 2)).hints(sample_shape="sign -empty")
    return cases


def mixture() -> Any:
    return ir.MixtureSameFamily(Categorical(logits=ONE), ir.Normal(ONE, TWO))


CASES = {
    **{name: case for law in LAWS for name, case in of_law(law).items()},
    "Rice.expand": Case(lambda batch_shape: ir.Rice(ONE, TWO).expand(batch_shape).nu, batch_shape=(2, 3)).hints(
        batch_shape="sign -empty"
    ).omit("_instance"),
    "TruncatedNormal.expand": Case(
        lambda batch_shape: ir.TruncatedNormal(ONE, TWO).expand(batch_shape).loc, batch_shape=(2, 3)
    ).hints(batch_shape="sign -empty").omit("_instance"),
    "MixtureSameFamily.expand": Case(
        lambda batch_shape: mixture().expand(batch_shape).mean, batch_shape=(2, 3)
    ).hints(batch_shape="sign -empty").omit("_instance"),
    "MixtureSameFamily.rsample": Case(mixture().rsample, sample_shape=(2, 2)).hints(sample_shape="sign -empty"),
    "MixtureSameFamily.standardize": Case(mixture().standardize, z=AT).hints(z="free"),
    "Implicit.sample": Case(ir.Normal(ONE, TWO).sample, sample_shape=(2, 2)).hints(sample_shape="sign -empty"),
    "bessel_gap": Case(w=ONE).hints(w="sign free"),
    "beta_gradient": Case(a=ONE, b=TWO, z=AT, rest=1 - AT).hints(a="sign", b="sign", z="sign", rest="sign"),
    "gamma_gradient": Case(alpha=ONE, z=TWO, log_z=TWO.log()).hints(alpha="sign", z="sign"),
    "implicit": Case(z=AT, standardized=ONE, slope=TWO).hints(slope="sign"),
    "marcum_q": Case(a=ONE, b=TWO, complement=False).hints(a="sign", b="sign"),
    "moved": Case(lambda value: ir.moved(value, (_tracked(ONE), lambda: TWO)), value=AT).omit("partials"),
    "student_gradient": Case(df=3 * ONE, t=AT).hints(df="sign"),
    "von_mises_gradient": Case(kappa=ONE, theta=AT).hints(kappa="sign"),
}  # fmt: skip
NO_DATA = {
    "Implicit": "abstract",
    "Implicit.rsample": "abstract",
    "MixtureSameFamily": "distributions, which check their own",
}
