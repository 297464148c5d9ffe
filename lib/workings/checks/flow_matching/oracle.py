"""Two weighted points on the line, whose marginal path SciPy and NumPy know: the oracle of this chapter's checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.stats import norm
from torch import Tensor

from workings.flow_matching import ConditionalOT, EmpiricalMarginal, GaussianPath, Linear, VarianceExploding
from workings.flow_matching import VariancePreserving as Preserving

# neither the usual schedule, whose relative slope is constant, nor sigma_min = 0: both would hide errors
EXPLODING, PRESERVING, OT = VarianceExploding(Linear(0.1, 2.0)), Preserving(0.5, 4.0), ConditionalOT(0.1)
ALL: tuple[GaussianPath, ...] = (EXPLODING, PRESERVING, OT)
POINTS, WEIGHTS = np.array([-1.2, 0.9]), np.array([0.35, 0.65])


def tensor(values: object, device: torch.device) -> Tensor:
    """Return ``values`` in float64 on ``device``."""
    return torch.as_tensor(np.asarray(values, dtype=np.float64), device=device)


def marginal(path: GaussianPath, device: torch.device) -> EmpiricalMarginal:
    """Return the library's marginal path of the two points."""
    return EmpiricalMarginal(path, tensor(POINTS[:, None], device), tensor(WEIGHTS, device))


def scales(path: GaussianPath, t: float) -> tuple[float, float, float, float]:
    """Return α, σ and their derivatives at ``t``, the latter by fourth-order differences."""

    def at(function: Callable[[Tensor], Tensor], time: float) -> float:
        return float(function(torch.tensor(time, dtype=torch.float64)))

    def slope(function: Callable[[Tensor], Tensor], h: float = 1e-4) -> float:
        f = [at(function, t + k * h) for k in (-2, -1, 1, 2)]
        return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)

    return at(path.alpha, t), at(path.sigma, t), slope(path.alpha), slope(path.sigma)


def density(path: GaussianPath, t: float, x: np.ndarray, weights: Sequence[float] | np.ndarray = WEIGHTS) -> np.ndarray:
    """Return the marginal density at points (n,)."""
    alpha, sigma, _, _ = scales(path, t)
    parts = [w * norm.pdf(x, alpha * point, sigma) for w, point in zip(weights, POINTS, strict=True)]
    return np.asarray(sum(parts))


def distribution(path: GaussianPath, t: float, x: np.ndarray) -> np.ndarray:
    """Return the marginal distribution function at points (n,)."""
    alpha, sigma, _, _ = scales(path, t)
    return np.asarray(
        sum(w * norm.cdf(x, alpha * point, sigma) for w, point in zip(WEIGHTS, POINTS, strict=True)),
    )


def conditional_velocity(path: GaussianPath, t: float, x: np.ndarray, x1: float) -> np.ndarray:
    """Return u_t(x | x₁) at points (n,)."""
    alpha, sigma, d_alpha, d_sigma = scales(path, t)
    return np.asarray(d_sigma / sigma * (x - alpha * x1) + d_alpha * x1)


def gap(a: Tensor | np.ndarray | float, b: Tensor | np.ndarray | float) -> float:
    """Largest absolute difference."""
    left, right = (x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x) for x in (a, b))
    return float(np.max(np.abs(left - right)))
