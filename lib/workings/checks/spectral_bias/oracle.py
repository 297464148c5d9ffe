"""Points, a kernel with a known spectrum, and a model whose tangent kernel never changes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

RNG = np.random.default_rng(0)
X, TEST = RNG.uniform(size=(6, 2)), RNG.uniform(size=(4, 2))
Y = np.sin(5 * X[:, 0]) - X[:, 1]


def tensor(values: object, device: torch.device) -> Tensor:
    """Return ``values`` in float64 on ``device``."""
    return torch.as_tensor(np.asarray(values, dtype=np.float64), device=device)


def largest(*differences: object) -> float:
    """Return the largest absolute value in numbers, arrays and tensors."""
    return max(
        float(np.max(np.abs(d.detach().cpu().numpy() if isinstance(d, Tensor) else np.asarray(d)))) for d in differences
    )


def gaussian(x: np.ndarray, other: np.ndarray, width: float = 0.5) -> np.ndarray:
    """Return the Gaussian kernel, entry by entry."""
    found: np.ndarray = np.array([[np.exp(-np.sum((a - b) ** 2) / (2 * width**2)) for b in other] for a in x])
    return found


class Linear:
    """The model f(x) = w · φ(x) of a few cosines: its gradient in w is φ(x) whatever w is."""

    def __init__(self, start: float = 0.3) -> None:
        self.of_x, self.of_test = (np.cos(points @ np.arange(1.0, 9.0).reshape(2, 4)) for points in (X, TEST))
        self.w = start * np.arange(1.0, 5.0)

    @property
    def kernel(self) -> np.ndarray:
        """Return the tangent kernel between the points."""
        kernel: np.ndarray = self.of_x @ self.of_x.T
        return kernel

    @property
    def cross(self) -> np.ndarray:
        """Return the tangent kernel between test points and points."""
        cross: np.ndarray = self.of_test @ self.of_x.T
        return cross

    def descend(self, steps: int, rate: float) -> None:
        """Take steps of gradient descent on half the sum of squares."""
        for _ in range(steps):
            self.w = self.w - rate * self.of_x.T @ (self.of_x @ self.w - Y)
