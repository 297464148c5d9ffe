"""Nodes, differences and a correlated normal vector: what the checks of this chapter share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)
LEVELS = (NODES + 1) / 2  # of a uniform number
OF_LEVELS = WEIGHTS / 2


def tensor(values: object, device: torch.device) -> Tensor:
    """Return ``values`` in float64 on ``device``."""
    return torch.as_tensor(np.asarray(values, dtype=np.float64), device=device)


def on(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of a quadrature from ``low`` to ``high``."""
    return low + (high - low) * LEVELS, (high - low) * OF_LEVELS


def slope(f: Callable[[float], float], x: float, h: float = 1e-4) -> float:
    """Return the derivative of ``f`` by differences of fourth order."""
    return (f(x - 2 * h) - 8 * f(x - h) + 8 * f(x + h) - f(x + 2 * h)) / (12 * h)


def largest(*differences: object) -> float:
    """Return the largest absolute value in numbers, arrays and tensors."""
    return max(
        float(np.max(np.abs(d.detach().cpu().numpy() if isinstance(d, Tensor) else np.asarray(d)))) for d in differences
    )


class Correlated:
    """A normal vector in the plane, its standardization by conditional distribution functions, and its noise."""

    rho = 0.8

    def __init__(self, device: torch.device) -> None:
        self.scales = tensor([1.3, 0.7], device).requires_grad_()
        self.noise = tensor([[0.4, -1.1], [-0.9, 0.3], [1.6, 0.8]], device)
        self.z = self.explicit().detach()

    def explicit(self) -> Tensor:
        """Return z by the Cholesky factor, (3, 2)."""
        e1, e2 = self.noise.unbind(-1)
        return self.scales * torch.stack((e1, self.rho * e1 + np.sqrt(1 - self.rho**2) * e2), -1)

    def standardize(self, z: Tensor) -> Tensor:
        """Return the levels of z₁, and of z₂ given z₁."""
        y1, y2 = (z / self.scales).unbind(-1)
        levels: Tensor = torch.special.ndtr(torch.stack((y1, (y2 - self.rho * y1) / np.sqrt(1 - self.rho**2)), -1))
        return levels

    def matrix(self) -> Tensor:
        """Return the derivatives of the standardization with respect to z, (3, 2, 2)."""
        z = self.z.clone().requires_grad_()
        rows = [torch.autograd.grad(self.standardize(z)[:, d].sum(), z)[0] for d in range(2)]
        return torch.stack(rows, -2).detach()
