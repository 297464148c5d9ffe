"""Spectral bias: kernel regression, neural tangent kernels, the dynamics of training, Fourier feature maps.

>>> import torch
>>> x = torch.arange(8, dtype=torch.float64)[:, None] / 8
>>> features = PowerLawFeatures(1.0, 4, normalize=True).double()
>>> kernel = relu_ntk(features(x))  # of a wide network on these features
>>> dynamics = KernelDynamics(kernel, torch.sin(2 * torch.pi * x[:, 0]))
>>> error = dynamics.flow(0.5) - dynamics.y
>>> bool(error.abs().max() < 1e-3)
True
"""

from workings.spectral_bias.closed_form import arc_cosine, relu_ntk
from workings.spectral_bias.data import (
    PAGES,
    PHOTOGRAPHS,
    phantom,
    picture,
    pixels,
    power_law_signal,
    projections,
    psnr,
    released_signal,
)
from workings.spectral_bias.dynamics import LOSSES, KernelDynamics
from workings.spectral_bias.empirical import empirical_ntk, jacobian_ntk
from workings.spectral_bias.features import (
    BasicFeatures,
    FourierFeatures,
    GaussianFeatures,
    PositionalEncoding,
    PowerLawFeatures,
)
from workings.spectral_bias.kernels import gaussian_kernel, kernel_regression, regression_weights
from workings.spectral_bias.networks import MLP, Dense
from workings.spectral_bias.training import descend, fit
from workings.typed import check_types

__all__ = [
    "LOSSES",
    "MLP",
    "PAGES",
    "PHOTOGRAPHS",
    "BasicFeatures",
    "Dense",
    "FourierFeatures",
    "GaussianFeatures",
    "KernelDynamics",
    "PositionalEncoding",
    "PowerLawFeatures",
    "arc_cosine",
    "descend",
    "empirical_ntk",
    "fit",
    "gaussian_kernel",
    "jacobian_ntk",
    "kernel_regression",
    "phantom",
    "picture",
    "pixels",
    "power_law_signal",
    "projections",
    "psnr",
    "regression_weights",
    "released_signal",
    "relu_ntk",
]

check_types(__name__)
