"""Fourier feature maps and the kernels that they induce."""

from __future__ import annotations

import numpy as np
import torch
from scipy import integrate, stats

from workings.book.ledger import verifies
from workings.checks.spectral_bias.oracle import X, largest, tensor
from workings.spectral_bias import (
    FourierFeatures,
    GaussianFeatures,
    PositionalEncoding,
    PowerLawFeatures,
    relu_ntk,
)

B, A = np.array([[1.0, 0.0], [2.0, -1.0], [0.0, 3.0]]), np.array([1.0, 2.0, 0.5])


def map_of(device: torch.device) -> FourierFeatures:
    """Return a map of three frequencies in the plane, float64."""
    return FourierFeatures(tensor(B, device), tensor(A, device))


@verifies(
    "spectral_bias:features",
    tex=r"\gamma(v) = \bigl[a_j \cos(2\pi b_j \cdot v),\,a_j \sin(2\pi b_j \cdot v)\bigr]_{j=1}^m",
    tolerance=1e-10,
    wrong={"without the 2π": {"turn": 1.0}, "with cosines only": {"sines": False}},
    kind="definition",
)
def features(device: torch.device, turn: float = 2 * np.pi, sines: bool = True) -> float:
    """Complex exponentials, real and imaginary parts, against the library's module."""
    waves = A * np.exp(1j * turn * X @ B.T)
    ours = map_of(device)(tensor(X, device)).cpu().numpy()
    return largest(ours - np.concatenate((waves.real, waves.imag if sines else waves.real), 1))


@verifies(
    "spectral_bias:induced",
    tex=r"\gamma(v) \cdot \gamma(v') = \sum_{j=1}^m a_j^2\,\cos\bigl(2\pi\,b_j \cdot (v - v')\bigr)",
    tolerance=1e-10,
    wrong={"with a for a²": {"power": 1}, "of the sum of the points": {"sign": 1.0}},
)
def induced(device: torch.device, power: int = 2, sign: float = -1.0) -> float:
    """Inner products of the library's features, one pair after the other; and its kernel."""
    gamma = map_of(device)
    images = gamma(tensor(X, device)).cpu().numpy()
    gram = np.array([[np.dot(p, q) for q in images] for p in images])
    difference = X[:, None] + sign * X[None]
    printed = np.cos(2 * np.pi * difference @ B.T) @ A**power
    ours = gamma.induced_kernel(tensor(X[:, None] - X[None], device)).cpu().numpy()
    return largest(printed - gram, ours - gram)


@verifies(
    "spectral_bias:circulant",
    tex=r"\lambda_j = \sum_{k=0}^{n-1} \Theta(x_0, x_k)\,e^{-2\pi \mathrm{i}\,jk/n}",
    tolerance=1e-8,
    wrong={"on coordinates as they are": {"mapped": False}, "of features with cosines only": {"sines": False}},
)
def circulant(device: torch.device, mapped: bool = True, sines: bool = True) -> float:
    """Take the eigenvalues of the kernel on an even grid from the whole matrix and from its first row."""
    grid = tensor(np.arange(16)[:, None] / 16, device)
    gamma = PowerLawFeatures(1.0, 6).double().to(device)(grid)
    kernel = relu_ntk((gamma if sines else gamma[:, :6]) if mapped else grid - 0.5, hidden=(64, 64))
    whole = np.linalg.eigvalsh(kernel.cpu().numpy())
    row = np.sort(np.fft.fft(kernel[0].cpu().numpy()).real)
    return largest(whole - row) / float(whole.max())


@verifies(
    "spectral_bias:power-law",
    tex=r"b_j = j, \qquad a_j = j^{-p}, \qquad j = 1, \dots, m",
    tolerance=1e-6,
    wrong={"counted from zero": {"first": 0}, "with the power upside down": {"sign": 1.0}},
    kind="definition",
)
def power_law(device: torch.device, first: int = 1, sign: float = -1.0) -> float:
    """Transform the library's induced kernel on a grid: a² / 2 at ± j."""
    gamma = PowerLawFeatures(1.5, 6).double().to(device)
    grid = tensor(np.arange(32)[:, None] / 32, device)
    spectrum = np.fft.fft(gamma.induced_kernel(grid).cpu().numpy()).real[:8] / 32
    expected = np.zeros(8)
    j = np.arange(first, first + 6)
    expected[j] = np.where(j > 0, np.maximum(j, 1.0) ** (sign * 1.5), 1.0) ** 2 / np.where(j > 0, 2, 1)
    return largest(spectrum - expected)


@verifies(
    "spectral_bias:positional",
    tex=r"b_j = \sigma^{j/m}, \qquad j = 0, \dots, m - 1",
    tolerance=1e-5,
    wrong={"up to σ itself": {"shift": 1}, "evenly spaced": {"even": True}},
    kind="definition",
)
def positional(device: torch.device, shift: int = 0, even: bool = False) -> float:
    """For σ = 16 and four frequencies: octaves from 1 to 8 along each axis, and none off the axes."""
    ours = PositionalEncoding(2, 16.0, 4).frequencies.cpu().numpy()
    along = np.linspace(1, 8, 4) if even else 16.0 ** ((np.arange(4) + shift) / 4)
    expected = np.concatenate([np.outer(along, axis) for axis in np.eye(2)])
    return largest(np.sort(ours, 0) - np.sort(expected, 0), ours[:, 0] * ours[:, 1])


@verifies(
    "spectral_bias:released",
    tex=r"b_j = \sigma^{j/(m-1)} - 1, \qquad j = 0, \dots, m - 1",
    tolerance=1e-5,
    wrong={"as the paper's text has it": {"released": False}},
    kind="definition",
)
def released(device: torch.device, released: bool = True) -> float:
    """For σ = 8 and four frequencies: 0, 1, 3, 7."""
    ours = PositionalEncoding(1, 8.0, 4, "code").frequencies[:, 0].cpu().numpy()
    return largest(ours - (np.array([0.0, 1.0, 3.0, 7.0]) if released else 8.0 ** (np.arange(4) / 4)))


@verifies(
    "spectral_bias:gaussian",
    tex=r"""\begin{aligned}
    b &\sim \mathcal{N}(0, \sigma^2 I), \\
    \mathbb{E} \cos(2\pi\,b \cdot \Delta) &= e^{-2\pi^2 \sigma^2 \|\Delta\|^2}
    \end{aligned}""",
    tolerance=0.02,
    wrong={"without the 2π": {"turn": 1.0}, "with σ for σ²": {"power": 1}},
)
def gaussian(device: torch.device, turn: float = 2 * np.pi, power: int = 2) -> float:
    """Integrate over the frequency along Δ, and average over twenty thousand that the library draws."""
    sigma, delta, residual = 3.0, np.array([0.06, -0.05]), 0.0
    length = float(np.hypot(*delta))
    exact = integrate.quad(lambda b: np.cos(2 * np.pi * b * length) * stats.norm.pdf(b, scale=sigma), -30, 30)[0]
    printed = np.exp(-(turn**2) / 2 * sigma**power * length**2)
    residual = abs(printed - exact)
    drawn = GaussianFeatures(2, sigma, 20_000, torch.Generator().manual_seed(0)).double().to(device)
    return float(max(residual, abs(drawn.induced_kernel(tensor(delta, device)).item() / 20_000 - exact)))
