"""What to learn: random signals with a power-law spectrum, photographs and pages, a phantom and its projections."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from workings.spectral_bias.threefry import jax_normal
from workings.typed import Count, Floats, Whole

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "china.jpg", "flower.jpg")
PAGES = ("page", "text")


def power_law_signal(
    n: Count = 256, alpha: float = 1.0, band: int = 64, generator: torch.Generator | None = None
) -> Tensor:
    r"""Draw a signal on n points of [0, 1) whose spectrum falls like :math:`(1 + f)^{-\alpha}` and ends at ``band``.

    The real part of :math:`\sum_{f < \text{band}} (1 + f)^{-\alpha} z_f\, e^{2\pi i f x}` with complex normal z,
    scaled to [−½, ½]: the target of the paper's figure 3, where α is 1.

    Args:
        n: how many points.
        alpha: α.
        band: the first frequency that is left out; at most n / 2.
        generator: a CPU generator; torch's default if None.

    Returns:
        The signal (n,), float64.

    Raises:
        ValueError: for a band outside 2 … n / 2.

    >>> signal = power_law_signal(64, band=8)
    >>> signal.min().item(), signal.max().item()
    (-0.5, 0.5)

    """
    return _signal(torch.randn(n, 2, generator=generator, dtype=torch.float64), alpha, band)


def released_signal() -> Tensor:
    """Return the signal that the paper's released notebook draws, 256 points, float64: of α = 1, from JAX's key 0.

    >>> [round(float(value), 4) for value in released_signal()[::64]]
    [0.4784, 0.0776, 0.2563, -0.2821]

    """
    return _signal(torch.from_numpy(jax_normal(0, (256, 2))).double(), 1.0, 64)


def _signal(normal: Tensor, alpha: float, band: int) -> Tensor:
    n = len(normal)
    if not 2 <= band <= n / 2:
        raise ValueError(f"band must be from 2 to n / 2 = {n / 2:g}; got {band}")
    frequency = torch.arange(n, dtype=torch.float64)
    decay = torch.where(frequency < band, (1 + frequency) ** -alpha, torch.zeros(()))
    signal = torch.fft.ifft(torch.view_as_complex(normal) * decay).real
    low, high = signal.min(), signal.max()
    scaled: Tensor = (signal - low) / (high - low) - 0.5
    return scaled


def picture(name: str, size: Whole = 128, left: Whole = 0) -> Tensor:
    """Return a picture from scikit-image or scikit-learn, (size, size, c), with values in [0, 1].

    Photographs (`PHOTOGRAPHS`, three colours) are cut to their central square and reduced by averaging. Of the scanned
    `PAGES` (one grey) a square is cut out as it is, so that letters stay letters.

    Args:
        name: one of `PHOTOGRAPHS` and `PAGES`.
        size: pixels a side.
        left: for a page, the first column of the square.

    Returns:
        The picture, float32.

    Raises:
        ValueError: for another name, or a square that is not inside the picture.
        ModuleNotFoundError: without the package that has it, naming what to install.

    """
    if name in PHOTOGRAPHS:
        return _reduced(_load(name), size)
    if name not in PAGES:
        raise ValueError(f"there is no picture {name!r}; there are {', '.join(PHOTOGRAPHS + PAGES)}")
    page = _load(name)
    top = (page.shape[0] - size) // 2
    if top < 0 or not 0 <= left <= page.shape[1] - size:
        raise ValueError(f"{name} is {page.shape[0]} by {page.shape[1]}; no square of {size} at column {left} is in it")
    return page[top : top + size, left : left + size, None]


def _load(name: str) -> Tensor:
    """Return an image with values in [0, 1], from the package that ships it."""
    package, function = ("sklearn.datasets", "load_sample_image") if "." in name else ("skimage.data", name)
    try:
        module: Any = import_module(package)
    except ModuleNotFoundError as error:
        wheel = "scikit-learn" if "." in name else "scikit-image"
        raise ModuleNotFoundError(f"the picture {name!r} comes with {wheel}: pip install {wheel} ({error})") from error
    image = getattr(module, function)(name) if "." in name else getattr(module, function)()
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / (255 if np.asarray(image).dtype == np.uint8 else 1))


def _reduced(image: Tensor, size: int) -> Tensor:
    """Cut the central square of (h, w, c) and average it down to (size, size, c)."""
    side = min(image.shape[:2])
    if size > side:
        raise ValueError(f"size must be at most {side}, the shorter side of the picture; got {size}")
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = image[top : top + side, left : left + side].permute(2, 0, 1)[None]
    return torch.nn.functional.interpolate(square, (size, size), mode="area")[0].permute(1, 2, 0)


def phantom(size: Whole = 64) -> Tensor:
    """Return the Shepp–Logan phantom of scikit-image, (size, size), with values in [0, 1], reduced by averaging.

    Raises ``ValueError`` for a size above 400, ``ModuleNotFoundError`` without scikit-image.
    """
    return _reduced(_load("shepp_logan_phantom")[..., None], size)[..., 0]


def pixels(size: Count, first: Whole = 0, step: Count = 1) -> Tensor:
    """Return the coordinates in [0, 1)² of every ``step``-th pixel along both axes, row by row, (k, 2).

    The paper trains on the pixels 0, 2, 4, … and tests on 1, 3, 5, … along both axes.

    Args:
        size: pixels a side.
        first: the first pixel along both axes.
        step: from one pixel to the next.

    Returns:
        Coordinates (row, column), pixel i at i / size; float32.

    >>> pixels(4, first=1, step=2).tolist()
    [[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.75, 0.75]]

    """
    along = torch.arange(first, size, step) / size
    return torch.cartesian_prod(along, along)


def projections(image: Floats, angles: Tensor) -> Tensor:
    """Return parallel-beam projections: the image turned by each angle and averaged along its columns.

    Linear in the image, and differentiable.

    Args:
        image: (s, s).
        angles: in radians, (k,).

    Returns:
        Line means, (k, s).

    Raises:
        ValueError: for an image that is not square.

    >>> projections(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([0.0, math.pi / 2])).tolist()
    [[2.0, 3.0], [1.5, 3.5]]

    """
    if image.dim() != 2 or image.shape[0] != image.shape[1]:
        raise ValueError(f"image has shape {tuple(image.shape)}; it must be square, (s, s)")
    cosine, sine, zero = torch.cos(angles), torch.sin(angles), torch.zeros_like(angles)
    turn = torch.stack((cosine, -sine, zero, sine, cosine, zero), -1).view(-1, 2, 3).to(image)
    grid = affine_grid(turn, [len(angles), 1, *image.shape], align_corners=False)
    turned = grid_sample(image.expand(len(angles), 1, *image.shape), grid, align_corners=False)
    return turned[:, 0].mean(1)


def psnr(estimate: Tensor, truth: Tensor) -> float:
    r"""Return the peak signal-to-noise ratio, :math:`-10 \log_{10}` of the mean squared error, for values in [0, 1].

    Args:
        estimate: what is judged, of any shape.
        truth: what it should be, of the same shape.

    Returns:
        Decibels; infinity where the two are equal.

    Raises:
        ValueError: for different shapes.

    >>> round(psnr(torch.zeros(4), torch.full((4,), 0.1)), 4)
    20.0

    """
    if estimate.shape != truth.shape:
        raise ValueError(f"estimate has shape {tuple(estimate.shape)}, truth has {tuple(truth.shape)}")
    error = float((estimate - truth).double().square().mean())
    return -10 * math.log10(error) if error else math.inf
