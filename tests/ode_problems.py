"""Initial value problems with known solutions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

ROTATION = ((-0.3, 2.0), (-1.5, 0.1))


@dataclass(frozen=True)
class Problem:
    """``func(t, y)`` from ``start(t0)`` over [t0, t1]; ``exact(t)`` has shape (*t.shape, 2)."""

    name: str
    func: Callable[[Tensor, Tensor], Tensor]
    exact: Callable[[Tensor], Tensor]
    t0: float
    t1: float
    reversible: bool = True

    def times(self, n: int, like: Tensor, backward: bool = False) -> Tensor:
        ends = (self.t1, self.t0) if backward else (self.t0, self.t1)
        return torch.linspace(*ends, n, dtype=like.dtype, device=like.device)

    def __str__(self) -> str:
        return self.name


def _columns(*values: Tensor) -> Tensor:
    return torch.stack(values, -1)


def _linear_exact(t: Tensor) -> Tensor:
    y0 = t.new_tensor([1.0, -0.5])
    return torch.matrix_exp(t.new_tensor(ROTATION) * (t - 0.2)[..., None, None]) @ y0


def _logistic_exact(t: Tensor) -> Tensor:
    return _columns(1 / (1 + 9 * torch.exp(-t)), 1 / (1 - 0.5 * torch.exp(-t)))


def _forced_exact(t: Tensor) -> Tensor:
    return _columns(2 * torch.exp(torch.sin(2 * t) / 2), -torch.exp(t**2 / 2))


def _stiff_exact(t: Tensor) -> Tensor:
    return _columns(torch.cos(t) + 0.5 * torch.exp(-30 * t), torch.sin(t) - torch.exp(-30 * t))


def _stiff(t: Tensor, y: Tensor) -> Tensor:
    return -30 * (y - _columns(torch.cos(t), torch.sin(t))) + _columns(-torch.sin(t), torch.cos(t))


LINEAR = Problem("linear", lambda t, y: y @ y.new_tensor(ROTATION).T, _linear_exact, 0.2, 1.7)
LOGISTIC = Problem("logistic", lambda t, y: y * (1 - y), _logistic_exact, 0.0, 3.0)
FORCED = Problem("forced", lambda t, y: y * _columns(torch.cos(2 * t), t), _forced_exact, 0.0, 1.5)
STIFF = Problem("stiff", _stiff, _stiff_exact, 0.0, 1.0, reversible=False)
PROBLEMS = (LINEAR, LOGISTIC, FORCED, STIFF)


class Swing(torch.nn.Module):
    """A nonlinear, time dependent field of the plane with three parameters: what no sign or order error survives."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.theta = torch.nn.Parameter(torch.tensor([0.7, -0.4, 0.5], dtype=dtype))

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        p, q, r = self.theta
        x, y = z[..., 0], z[..., 1]
        return _columns(p * torch.sin(y) + q * x * torch.cos(t), r * x * t + q * y**2 - 0.3 * y + p * t)


def slope(sizes: list[float], errors: list[float]) -> float:
    """Return the slope of log(error) against log(size), by least squares."""
    x = torch.tensor([math.log(s) for s in sizes], dtype=torch.float64)
    y = torch.tensor([math.log(e) for e in errors], dtype=torch.float64)
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / (x * x).sum())
