"""What takes longer than a page: the paper's one-dimensional experiment, wide networks, pictures, a phantom.

Each experiment is a function of a seed that returns its measured quantities; ``RECORDED`` lists them with the seeds and
arguments of each profile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workings.spectral_bias.closed_form import relu_ntk
from workings.spectral_bias.data import (
    PAGES,
    phantom,
    picture,
    pixels,
    power_law_signal,
    projections,
    psnr,
    released_signal,
)
from workings.spectral_bias.dynamics import KernelDynamics
from workings.spectral_bias.empirical import empirical_ntk
from workings.spectral_bias.features import BasicFeatures, GaussianFeatures, PositionalEncoding, PowerLawFeatures
from workings.spectral_bias.networks import MLP
from workings.spectral_bias.training import descend, fit

# ---- on the line ----

FREQUENCIES = (1, 5, 15)  # whose errors are followed
TIME = 0.5  # learning rate times steps, of the loss ½ Σ (f - y)²


class Line:
    """The paper's setting: every eighth of 256 points on [0, 1) is known.

    Args:
        p: the power of the features' amplitudes; "none" feeds the coordinate less ½.
        signal: what is to be learned, (256,).
        device: where everything is.

    """

    def __init__(self, p: float | str, signal: Tensor, device: torch.device) -> None:
        grid = torch.arange(len(signal), dtype=torch.float64)[:, None] / len(signal)
        maps = PowerLawFeatures(float(p), 16, normalize=True).double() if p != "none" else lambda v: v - 0.5
        self.features, self.y = maps(grid).to(device), signal.to(device)
        self.known = torch.zeros(len(signal), dtype=torch.bool)
        self.known[::8] = True

    def kernel(self, width: int) -> Tensor:
        """Return the closed-form kernel of a network of three such hidden layers, (256, 32)."""
        return relu_ntk(self.features, self.features[self.known], hidden=(width,) * 3)

    def errors(self, f: Tensor) -> dict[str, float]:
        """Return the mean squared error at the known points and at the others."""
        square = (f - self.y).square()
        return {"train": float(square[self.known].mean()), "test": float(square[~self.known].mean())}

    def spectrum(self, f: Tensor) -> list[float]:
        """Return the error at the known points at each of `FREQUENCIES`, relative to n."""
        error = torch.fft.fft((f - self.y)[self.known]).abs() / int(self.known.sum())
        return [float(error[j]) for j in FREQUENCIES]

    def dynamics(self, kernel: Tensor, start: Tensor, loss: str = "half-sum") -> KernelDynamics:
        """Return the dynamics of a kernel (256, 32) from outputs at all points."""
        return KernelDynamics(kernel[self.known], self.y[self.known], start[self.known], loss)


def line_network(line: Line, width: int, seed: int) -> MLP:
    """Return a network of three hidden layers with weights of a seed, float32."""
    net = MLP(line.features.shape[1], (width,) * 3, generator=torch.Generator().manual_seed(seed))
    return net.to(line.y.device)


def train_line(
    line: Line, net: MLP, steps: int, every: int, each: Callable[[Iterable[int]], Iterable[int]] = iter
) -> Tensor:
    """Train by gradient descent up to `TIME`; return the outputs at all points along the way, float64."""
    x, y = line.features.float(), line.y.float()
    known = line.known.to(x.device)
    path = descend(
        net, x[known], y[known], rate=TIME / steps, steps=steps, watch=x, every=every, each=each
    )  # fmt: skip
    return path.double()


def curves(
    seed: int, device: torch.device, powers: list[float | str], width: int, steps: int, every: int
) -> dict[str, Any]:
    """Train on the paper's own target; return errors of the network, of the theory, and of the restarted theory.

    The theory starts from the network's first outputs and knows nothing else of it. The restarted one starts, at every
    time k, from the *current* outputs, and moves them on for the whole time at the pace of a mean over the points.

    """
    found: dict[str, Any] = {}
    for p in powers:
        line = Line(p, released_signal(), device)
        path, kernel = train_line(line, line_network(line, width, seed), steps, every), line.kernel(width)
        times = torch.linspace(0, TIME, len(path), dtype=torch.float64)
        dynamics = line.dynamics(kernel, path[0])
        theory = [dynamics.flow(float(t), kernel, path[0]) for t in times]
        again = [
            line.dynamics(kernel, f, "half-mean").flow(float(t), kernel, f) for f, t in zip(path, times, strict=True)
        ]
        for name, outputs in (("network", path), ("theory", theory), ("restarted", again)):
            errors = [line.errors(f) for f in outputs]
            found |= {f"{p}_{name}_{part}": [e[part] for e in errors] for part in ("train", "test")}
            found[f"{p}_{name}_spectrum"] = [value for f in outputs for value in line.spectrum(f)]
    return found


def widths(seed: int, device: torch.device, sizes: list[int], steps: list[int], p: float) -> dict[str, Any]:
    """Return how far trained outputs are from the closed-form prediction, and from that of the network's own kernel.

    The time is that of width 1024: as the kernel grows with the width, the rate falls with it. Narrow networks need
    smaller steps, since their kernels scatter. Deviations are relative to the root mean square of the signal.

    """
    found: dict[str, list[float]] = {"closed_form": [], "own_kernel": []}
    line = Line(p, released_signal(), device)
    x, y, known = line.features.float(), line.y.float(), line.known.to(device)
    for width, number in zip(sizes, steps, strict=True):
        net, rate = line_network(line, width, seed), TIME * 1024 / width / number
        own = empirical_ntk(net, x, x[known]).double()
        path = descend(net, x[known], y[known], rate=rate, steps=number, watch=x, every=number).double()
        for name, kernel in (("closed_form", line.kernel(width)), ("own_kernel", own)):
            told = line.dynamics(kernel, path[0]).descent(number, rate, kernel, path[0])
            found[name].append(float((path[-1] - told).norm() / line.y.norm()))
    return found


def powers(seed: int, device: torch.device, alphas: list[float], ps: list[float], width: int) -> dict[str, Any]:
    """Return the test error that the closed form predicts for each p at `TIME`, for signals of each α."""
    found: dict[str, list[float]] = {}
    for alpha in alphas:
        signal = power_law_signal(256, alpha, generator=torch.Generator().manual_seed(seed))
        for p in ps:
            line = Line(p, signal, device)
            kernel = line.kernel(width)
            end = line.dynamics(kernel, torch.zeros_like(line.y)).flow(TIME, kernel)
            found.setdefault(f"alpha_{alpha:g}", []).append(line.errors(end)["test"])
    return found


# ---- pictures ----

MAPPINGS = ("none", "basic", "positional", "gaussian")


def mapping(name: str, scale: float, seed: int, m: int = 256) -> nn.Module | None:
    """Return one of `MAPPINGS` of the plane; ``scale`` is log₂ σ of the positional one, σ of the Gaussian one."""
    if name == "none":
        return None
    if name == "basic":
        return BasicFeatures(2)
    if name == "positional":
        return PositionalEncoding(2, 2.0**scale, m // 2, "code")
    return GaussianFeatures(2, scale, m, torch.Generator().manual_seed(seed))


class Painter(nn.Module):
    """A network from places in the unit square to colours between 0 and 1.

    Args:
        features: the map of the places, or None.
        width: of three hidden layers.
        channels: colours.
        seed: of the weights.

    """

    def __init__(self, features: nn.Module | None, width: int, channels: int, seed: int) -> None:
        super().__init__()
        self.features = features
        inputs = 2 if features is None else int(features.out_features)  # type: ignore[arg-type]
        generator = torch.Generator().manual_seed(1000 + seed)
        self.net = MLP(inputs, (width,) * 3, channels, weight_variance=2.0, generator=generator)

    def forward(self, v: Tensor) -> Tensor:
        """Return colours (..., channels) at places (..., 2)."""
        return torch.sigmoid(self.net(v if self.features is None else self.features(v)))


def paint(
    image: Tensor, name: str, scale: float, seed: int, steps: int, width: int = 256,
    each: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Painter:  # fmt: skip
    """Train on every other pixel along both axes of an image (s, s, c); return the network."""
    painter = Painter(mapping(name, scale, seed), width, image.shape[-1], seed).to(image.device)
    places, colours = pixels(len(image), 0, 2).to(image), image[::2, ::2].reshape(-1, image.shape[-1])
    fit(painter, lambda: (painter(places) - colours).square().mean() / 2, steps, each=each)
    return painter


@torch.no_grad()
def held_out(painter: Painter, image: Tensor) -> dict[str, float]:
    """Return the PSNR at the pixels of training and at those between them along both axes."""
    found = {}
    for part, first in (("train", 0), ("test", 1)):
        truth = image[first::2, first::2].reshape(-1, image.shape[-1])
        found[part] = psnr(painter(pixels(len(image), first, 2).to(image)), truth)
    return found


def load(name: str, size: int, device: torch.device) -> Tensor:
    """Return a picture; "text@40" is the square of the page "text" from column 40."""
    page, _, left = name.partition("@")
    return picture(page, size, int(left or 0)).to(device)


def pictures(
    seed: int,
    device: torch.device,
    names: list[str],
    size: int,
    steps: int,
    width: int,
    positional: float,
    gaussian: float,
) -> dict[str, Any]:
    """Return the PSNR on held-out pixels of each mapping, for every picture."""
    found: dict[str, list[float]] = {}
    for name in names:
        image = load(name, size, device)
        kind = "text" if name.partition("@")[0] in PAGES else "natural"
        for how, scale in (("none", 0.0), ("basic", 0.0), ("positional", positional), ("gaussian", gaussian)):
            quality = held_out(paint(image, how, scale, seed, steps, width), image)["test"]
            found.setdefault(f"{kind}_{how}", []).append(quality)
    return found


def scales(
    seed: int, device: torch.device, names: list[str], values: list[float], size: int, steps: int, width: int
) -> dict[str, Any]:
    """Return the PSNR of the Gaussian mapping at each scale, on pixels of training and held out."""
    found: dict[str, list[float]] = {}
    for k, name in enumerate(names):
        image = load(name, size, device)
        for sigma in values:
            for part, value in held_out(paint(image, "gaussian", sigma, seed, steps, width), image).items():
                found.setdefault(f"{('natural', 'text')[k]}_{part}", []).append(value)
    return found


def stripes(size: int, angle: float, generator: torch.Generator | None = None) -> Tensor:
    """Return a picture of waves along two directions, the axes turned by ``angle``; (size, size, 1)."""
    v = pixels(size).double()
    axes = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    frequency = 2 + 10 * torch.rand(2, 6, generator=generator, dtype=torch.float64)
    phase = 2 * math.pi * torch.rand(2, 6, generator=generator, dtype=torch.float64)
    along = (v @ axes.T)[..., None]  # (n, 2, 1)
    waves = torch.sin(2 * math.pi * frequency * along + phase).sum((1, 2))
    return (0.5 + waves / 24).float().view(size, size, 1)


def axes(
    seed: int,
    device: torch.device,
    angles: list[float],
    size: int,
    steps: int,
    width: int,
    positional: float,
    gaussian: float,
) -> dict[str, Any]:
    """Return the PSNR of both mappings on waves along the axes, and on the same turned."""
    found: dict[str, list[float]] = {}
    for angle in angles:
        image = stripes(size, math.radians(angle), torch.Generator().manual_seed(seed)).to(device)
        for how, scale in (("positional", positional), ("gaussian", gaussian)):
            found.setdefault(how, []).append(held_out(paint(image, how, scale, seed, steps, width), image)["test"])
    return found


def tomography(
    seed: int,
    device: torch.device,
    size: int,
    shots: int,
    steps: int,
    lr: float,
    width: int,
    positional: float,
    gaussian: float,
) -> dict[str, Any]:
    """Return the PSNR of the phantom from so many projections, for each mapping."""
    image, angles = phantom(size).to(device), torch.arange(shots, device=device) * math.pi / shots
    seen, places = projections(image, angles), pixels(size).to(image)
    found = {}
    for how, scale in (("none", 0.0), ("basic", 0.0), ("positional", positional), ("gaussian", gaussian)):
        painter = Painter(mapping(how, scale, seed), width, 1, seed).to(device)

        def misfit(painter: Painter = painter) -> Tensor:
            return (projections(painter(places).view(size, size), angles) - seen).square().mean() / 2

        fit(painter, misfit, steps, lr=lr)
        with torch.no_grad():
            found[how] = psnr(painter(places).view(size, size), image)
    return found


def back_projection(size: int, shots: int) -> float:
    """Return the PSNR of the phantom from so many projections by filtered back projection, by scikit-image.

    With its own projections; an odd size, as its centre is half a pixel off otherwise.

    """
    from skimage.transform import iradon, radon

    image, degrees = phantom(size), np.arange(shots) * 180 / shots
    slices = radon(image.numpy().astype(np.float64), degrees, circle=True)
    return psnr(torch.from_numpy(iradon(slices, degrees, circle=True, filter_name="ramp")), image.double())


PHOTOS = ["astronaut", "chelsea", "rocket", "flower.jpg"]
TEXTS = ["text@20", "text@180", "page@250"]
RECORDED: dict[str, dict[str, Any]] = {
    "curves": {
        "run": curves,
        "seeds": range(4),
        "profiles": {
            "quick": {"powers": [0, "none"], "width": 8, "steps": 4, "every": 2},
            "default": {"powers": [0, 1, "inf", "none"], "width": 1024, "steps": 500, "every": 25},
            "full": {"powers": [0, 0.5, 1, 1.5, 2, "inf", "none"], "width": 1024, "steps": 50_000, "every": 1000},
        },
    },
    "widths": {
        "run": widths,
        "seeds": range(4),
        "profiles": {
            "quick": {"sizes": [64, 128], "steps": [500, 500], "p": 1.0},
            "default": {
                "sizes": [16, 32, 64, 128, 256, 512, 1024, 2048, 4096],
                "steps": [4000, 2000, 1000, 500, 200, 200, 200, 100, 100], "p": 1.0,
            },
        },
    },
    "powers": {
        "run": powers,
        "seeds": range(50),
        "profiles": {
            "quick": {"alphas": [1.0], "ps": [0.0, 1.0], "width": 8},
            "default": {
                "alphas": [0.5, 1.0, 1.5, 2.0], "ps": [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0],
                "width": 1024,
            },
        },
    },
    "pictures": {
        "run": pictures,
        "seeds": range(1),
        "profiles": {
            "quick": {"names": ["text@20"], "size": 16, "steps": 2, "width": 8, "positional": 4.0, "gaussian": 4.0},
            "default": {
                "names": PHOTOS + TEXTS, "size": 96, "steps": 200, "width": 256, "positional": 4.0, "gaussian": 4.0,
            },
            "full": {
                "names": ["astronaut", "rocket"], "size": 400, "steps": 2000, "width": 256, "positional": 6.0,
                "gaussian": 10.0,
            },
        },
    },
    "scales": {
        "run": scales,
        "seeds": range(1),
        "profiles": {
            "quick": {"names": ["coffee", "page@20"], "values": [4.0], "size": 16, "steps": 2, "width": 8},
            "default": {
                "names": ["coffee", "text@100"], "values": [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0], "size": 96,
                "steps": 200, "width": 256,
            },
        },
    },
    "axes": {
        "run": axes,
        "seeds": range(5),
        "profiles": {
            "quick": {"angles": [0.0, 45.0], "size": 16, "steps": 2, "width": 8, "positional": 4.0, "gaussian": 4.0},
            "default": {
                "angles": [0.0, 45.0], "size": 64, "steps": 200, "width": 256, "positional": 4.0, "gaussian": 4.0,
            },
        },
    },
    "tomography": {
        "run": tomography,
        "seeds": range(3),
        "profiles": {
            "quick": {"size": 17, "shots": 4, "steps": 2, "lr": 5e-3, "width": 8, "positional": 3.0, "gaussian": 4.0},
            "default": {
                "size": 65, "shots": 20, "steps": 600, "lr": 2e-3, "width": 128, "positional": 3.0, "gaussian": 3.0,
            },
            "full": {
                "size": 399, "shots": 20, "steps": 1000, "lr": 1e-3, "width": 256, "positional": 5.0, "gaussian": 4.0,
            },
        },
    },
}  # fmt: skip
