"""Kernels, features and training on a device."""

from __future__ import annotations

from typing import Any

from device_cases import On, trained
from workings import spectral_bias as sb


def features(on: On) -> Any:
    v, found = on.uniform(5, 2), []
    for gamma in (
        sb.BasicFeatures(2), sb.PositionalEncoding(2, 4.0, 3), sb.GaussianFeatures(2, 3.0, 4, on.cpu),
        sb.FourierFeatures(on(4, 2).cpu(), on.uniform(4).cpu()),
    ):  # fmt: skip
        gamma = on.module(gamma)
        found.append((gamma(v), gamma.induced_kernel(v - v.flip(0))))
    return found, on.module(sb.PowerLawFeatures(1.5, 6, normalize=True))(v[:, :1])


def networks(on: On) -> Any:
    x, found = on(6, 2), []
    for options in ({}, {"parametrization": "ntk"}, {"bias": False}):
        net = on.module(sb.MLP(2, (8, 8), **options))
        found.append((net(x), sb.empirical_ntk(net, x), sb.empirical_ntk(net, x, x[:2]), sb.jacobian_ntk(net, x)))
    return found, on.module(sb.Dense(2, 3))(x)


def regression(on: On) -> Any:
    x, other, y = on(6, 2), on(3, 2), on(6)
    kernel, cross = sb.gaussian_kernel(x), sb.gaussian_kernel(other, x)
    return kernel, cross, sb.regression_weights(kernel, cross), sb.kernel_regression(kernel, cross, y, 0.1)


def dynamics(on: On) -> Any:
    x, other, y = on(6, 2), on(3, 2), on(6)
    told = sb.KernelDynamics(sb.gaussian_kernel(x), y, on(6), loss="mean")
    cross = sb.gaussian_kernel(other, x)
    return told.flow(1.5), told.flow(on.uniform(4), cross, on(3)), told.descent(7, 0.1, cross)


def closed_form(on: On) -> Any:
    x, other = on(6, 2), on(3, 2)
    cross, square = x @ x.T, x.square().sum(1)
    return (
        sb.relu_ntk(x),
        sb.relu_ntk(x, other, hidden=(8, 8), parametrization="standard"),
        sb.arc_cosine(cross, square[:, None], square[None]),
    )


def learning(on: On) -> Any:
    x, y, net = on(6, 2), on(6), on.module(sb.MLP(2, (8,)))
    way = sb.descend(net, x, y, rate=0.01, steps=4, watch=on(3, 2), every=2)
    return way, sb.fit(net, lambda: (net(x)[:, 0] - y).square().mean(), 3), trained(net)


def pictures(on: On) -> Any:
    image = on.uniform(8, 8)
    return sb.projections(image, on(3)), sb.psnr(image, image.T)


CASES = {
    "BasicFeatures FourierFeatures GaussianFeatures PositionalEncoding PowerLawFeatures": features,
    "Dense MLP empirical_ntk jacobian_ntk": networks,
    "gaussian_kernel kernel_regression regression_weights": regression,
    "KernelDynamics LOSSES": dynamics,
    "arc_cosine relu_ntk": closed_form,
    "descend fit": learning,
    "projections psnr": pictures,
}
# what is drawn or loaded, and moved by who wants it elsewhere
CPU_ONLY = {"PAGES", "PHOTOGRAPHS", "phantom", "picture", "pixels", "power_law_signal", "released_signal"}
