"""A nonlinear, time-dependent system twice: for the library in torch, and in NumPy as the oracle.

The oracle is solved by SciPy's DOP853 and differentiated by central differences.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, sin, tanh
from typing import Any

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

THETA, START = (0.9, 1.3, 0.7), (0.8, -0.5)
T0, T1 = 0.2, 1.7
TIGHT: dict[str, Any] = {"rtol": 1e-8, "atol": 1e-10}


class Swirl(torch.nn.Module):
    """A nonlinear, time-dependent field in the plane with three parameters."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.theta = torch.nn.Parameter(torch.tensor(THETA, dtype=torch.float64, device=device))

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """Return the velocity (..., 2) at time ``t`` and state ``z`` (..., 2)."""
        return velocity(t, z, self.theta)


def velocity(t: Tensor, z: Tensor, theta: Tensor) -> Tensor:
    """Return the field as a function of its parameters (3,) too."""
    x, y = z[..., 0], z[..., 1]
    return torch.stack((-theta[0] * y + torch.sin(theta[2] * t), theta[1] * torch.tanh(x) * torch.cos(y)), -1)


def numpy_velocity(t: float, z: np.ndarray, theta: np.ndarray) -> list[float]:
    """Return the field in NumPy."""
    return [-theta[0] * z[1] + sin(theta[2] * t), theta[1] * tanh(z[0]) * cos(z[1])]


def oracle_path(theta: np.ndarray, start: np.ndarray, t0: float, t1: float) -> Callable[[float], np.ndarray]:
    """Return the oracle's solution as a function of time."""
    path = solve_ivp(
        numpy_velocity, (t0, t1), start, method="DOP853", args=(theta,), rtol=1e-12, atol=1e-13, dense_output=True
    )
    return lambda t: np.asarray(path.sol(t))


def end_of(theta: np.ndarray, start: np.ndarray, t0: float = T0, t1: float = T1) -> np.ndarray:
    """Return the oracle's state (2,) at ``t1``."""
    return oracle_path(theta, start, t0, t1)(t1)


def differences(function: Callable[[np.ndarray], float], at: tuple[float, ...], step: float = 1e-4) -> np.ndarray:
    """Fourth-order central differences of a scalar function."""
    gradient = []
    for unit in np.eye(len(at)):
        f = [function(np.asarray(at) + k * step * unit) for k in (-2, -1, 1, 2)]
        gradient.append((f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step))
    return np.asarray(gradient)


def terminal(z: np.ndarray) -> float:
    """Return a loss of the final state."""
    return float(z[0] * z[1] + cos(z[1]))


def terminal_torch(z: Tensor) -> Tensor:
    """Return the same in torch."""
    return z[0] * z[1] + torch.cos(z[1])


def tensor(values: object, device: torch.device) -> Tensor:
    """Return ``values`` in float64 on ``device``."""
    return torch.as_tensor(np.asarray(values, dtype=np.float64), device=device)


def gap(a: Tensor | np.ndarray | float, b: Tensor | np.ndarray | float) -> float:
    """Largest absolute difference."""
    left, right = (x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x) for x in (a, b))
    return float(np.max(np.abs(left - right)))


def slopes(function: Callable[..., Tensor], *at: Tensor) -> tuple[Tensor, ...]:
    """Return the gradient of a scalar function of tensors, with respect to each of them."""
    leaves = [x.detach().requires_grad_() for x in at]
    with torch.enable_grad():
        value = function(*leaves)
    return torch.autograd.grad(value, leaves)


def jacobians(t: Tensor, z: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """∂f/∂z (2, 2) and ∂f/∂θ (2, 3), by hand."""
    (x, y), zero = z, torch.zeros_like(z[0])
    tanh_x = torch.tanh(x)
    by_z = (zero, -theta[0], theta[1] * (1 - tanh_x**2) * torch.cos(y), -theta[1] * tanh_x * torch.sin(y))
    by_theta = (-y, zero, t * torch.cos(theta[2] * t), zero, tanh_x * torch.cos(y), zero)
    return torch.stack(by_z).view(2, 2), torch.stack(by_theta).view(2, 3)


def times(device: torch.device, *times: float) -> Tensor:
    """Return the two times, or those given, in float64."""
    return torch.tensor(times or (T0, T1), dtype=torch.float64, device=device)
