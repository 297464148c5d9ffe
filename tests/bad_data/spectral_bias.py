"""Kernels, features, networks and their training: valid calls."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bad_data import Case
from bad_data.rules import reshaped, unused
from workings import spectral_bias as sb


def line(low: float, high: float, *shape: int) -> Tensor:
    return torch.linspace(low, high, torch.Size(shape).numel(), dtype=torch.float64).reshape(shape)


X, OTHER, Y = line(0.05, 0.9, 4, 2), line(0.2, 0.7, 3, 2), torch.tensor([0.3, -0.2, 0.5, 0.1], dtype=torch.float64)
KERNEL, CROSS = sb.gaussian_kernel(X, width=0.3), sb.gaussian_kernel(OTHER, X, width=0.3)
IMAGE, ANGLES = line(0.1, 0.8, 4, 4), line(0.2, 1.2, 3)
FREQUENCIES, AMPLITUDES = line(1, 3, 3, 2), line(0.5, 1, 3)
DYNAMICS = sb.KernelDynamics(KERNEL, Y)
FEATURES = sb.FourierFeatures(FREQUENCIES, AMPLITUDES)


def net(inputs: int = 2) -> Any:
    torch.manual_seed(0)
    return sb.MLP(inputs, (3,)).double()


def dense() -> Any:
    torch.manual_seed(0)
    return sb.Dense(2, 3).double()


def descended(**given: Any) -> Any:
    return sb.descend(net(), **given)


def fitted(steps: Any, lr: Any) -> Any:
    made = net()
    return sb.fit(made, lambda: made(X).square().mean(), steps, lr=lr)


def of_features(made: nn.Module, points: Tensor = X) -> Any:
    return made.double()(points)


SIZES = {"in_features": "sign", "out_features": "sign", "weight_variance": "sign"}
CASES = {
    "BasicFeatures": Case(lambda dim: of_features(sb.BasicFeatures(dim)), dim=2).hints(dim="sign"),
    "Dense": Case(in_features=2, out_features=3, bias=True, parametrization="ntk", weight_variance=1.0).hints(**SIZES),
    "Dense.forward": Case(dense().forward, input=X),
    "FourierFeatures": Case(
        lambda **made: sb.FourierFeatures(**made)(X), frequencies=FREQUENCIES, amplitudes=AMPLITUDES,
        normalize=False,
    ).hints(amplitudes="sign"),
    "FourierFeatures.forward": Case(FEATURES.forward, v=X),
    "FourierFeatures.induced_kernel": Case(FEATURES.induced_kernel, difference=X),
    "GaussianFeatures": Case(dim=2, sigma=2.0, m=3).hints(dim="sign", sigma="sign", m="sign"),
    "KernelDynamics": Case(
        lambda **made: sb.KernelDynamics(**made).flow(0.5), kernel=KERNEL, y=Y, start=Y / 2, loss="mean"
    ).hints(kernel="coupled", y="coupled", start="coupled"),
    "KernelDynamics.flow": Case(DYNAMICS.flow, time=0.5, cross=CROSS, start=Y[:3]).hints(
        time="sign", cross="coupled", start="coupled"
    ),
    "KernelDynamics.descent": Case(DYNAMICS.descent, steps=3, rate=0.1, cross=CROSS, start=Y[:3]).hints(
        steps="sign", rate="sign", cross="coupled", start="coupled"
    ),
    "MLP": Case(
        in_features=2, hidden=(3,), out_features=1, bias=True, parametrization="standard", weight_variance=1.0
    ).hints(**SIZES, hidden="sign"),
    "PositionalEncoding": Case(dim=2, sigma=4.0, m=3, definition="paper").hints(dim="sign", sigma="sign", m="sign"),
    "PowerLawFeatures": Case(
        lambda **made: of_features(sb.PowerLawFeatures(**made), X[:, :1]), p=1.5, m=3, normalize=False
    ).hints(p="sign", m="sign"),
    "arc_cosine": Case(cross=line(0.1, 0.4, 3), square=line(1, 2, 3), other=line(1.5, 2, 3)).hints(
        square="sign", other="sign"
    ),
    "descend": Case(descended, x=X, y=Y, rate=0.01, steps=2, watch=OTHER, every=1).omit("net").hints(
        rate="sign", steps="sign -huge", every="sign"
    ),
    "empirical_ntk": Case(module=net(), x=X, other=OTHER),
    "fit": Case(fitted, steps=2, lr=0.01).omit("net loss").hints(steps="sign -huge", lr="sign"),
    "gaussian_kernel": Case(x=X, other=OTHER, width=0.5).hints(width="sign"),
    "jacobian_ntk": Case(module=net(), x=X, other=OTHER),
    "kernel_regression": Case(kernel=KERNEL, cross=CROSS, y=Y, ridge=0.1).hints(
        kernel="coupled", cross="coupled", y="coupled", ridge="sign"
    ),
    "phantom": Case(size=8).hints(size="sign"),
    "picture": Case(name="text", size=8, left=3).hints(size="sign", left="sign"),
    "pixels": Case(size=4, first=1, step=2).hints(size="sign", first="sign", step="sign"),
    "power_law_signal": Case(n=16, alpha=1.0, band=4).hints(n="sign", band="sign"),
    "projections": Case(image=IMAGE, angles=ANGLES).hints(angles="free"),
    "psnr": Case(estimate=IMAGE, truth=IMAGE.flip(0)),
    "regression_weights": Case(kernel=KERNEL, cross=CROSS, ridge=0.1).hints(
        kernel="coupled", cross="coupled", ridge="sign"
    ),
    "released_signal": Case(),
    "relu_ntk": Case(
        x=X, other=OTHER, hidden=(3, 3), parametrization="standard", bias=True, weight_variance=1.0
    ).hints(hidden="sign", weight_variance="sign"),
}  # fmt: skip
NO_DATA = {"MLP.__getitem__": "any index of a list"}
CASES["kernel_regression"].rule("y", "shape", reshaped)
CASES["projections"].rule("angles", "shape", unused)
