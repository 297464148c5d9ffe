"""Two small populations, their responses, and posteriors from SciPy's probabilities."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from workings.population_codes import PoissonCode, gaussian

CELLS = np.arange(-24.0, 25.0, 6.0)  # few enough for the sum of the tuning curves to depend on the stimulus
GRID = np.linspace(-15, 15, 13)
WIDTH, GAIN = 2.0, 3.0
WIDE = np.arange(-120.0, 121.0, 4.0)  # beyond the grid by many widths
R1, R2 = np.array([0.0, 0, 1, 0, 3, 2, 1, 0, 0]), np.array([0.0, 1, 0, 1, 2, 4, 0, 1, 0])


def tensor(values: object, device: torch.device) -> Tensor:
    """Return ``values`` in float64 on ``device``."""
    return torch.tensor(np.asarray(values, dtype=np.float64), device=device)


def largest(*differences: object) -> float:
    """Return the largest absolute value in numbers, arrays and tensors."""
    return max(
        float(np.max(np.abs(d.detach().cpu().numpy() if isinstance(d, Tensor) else np.asarray(d)))) for d in differences
    )


def rates(s: np.ndarray, cells: np.ndarray = CELLS, width: float = WIDTH) -> np.ndarray:
    """Return bells at stimuli, (S, N)."""
    found: np.ndarray = np.exp(-((np.asarray(s)[:, None] - cells) ** 2) / (2 * width**2))
    return found


def code(device: torch.device, cells: np.ndarray = CELLS, width: float = WIDTH, fano: float = 1.0) -> PoissonCode:
    """Return the same population from the library."""
    return PoissonCode(gaussian(tensor(cells, device), width), fano)


def normalised(log_p: np.ndarray) -> np.ndarray:
    """Return probabilities, by a sum in the open."""
    p = np.exp(log_p - log_p.max())
    found: np.ndarray = p / p.sum()
    return found


def scipy_posterior(r: np.ndarray, gain: float = GAIN, cells: np.ndarray = CELLS, width: float = WIDTH) -> np.ndarray:
    """Return the posterior under a flat prior from the Poisson probability of each count."""
    return normalised(stats.poisson.logpmf(r, gain * rates(GRID, cells, width)).sum(1))


def drawn(seed: int, gain: float, s: float = 2.0, cells: np.ndarray = WIDE, width: float = 8.0) -> np.ndarray:
    """Draw a response by NumPy."""
    found: np.ndarray = np.random.default_rng(seed).poisson(gain * rates(np.array([s]), cells, width)[0]).astype(float)
    return found


def slope(function: object, s: float, h: float = 1e-5) -> np.ndarray:
    """Return a central difference."""
    found: np.ndarray = (function(np.array([s + h]))[0] - function(np.array([s - h]))[0]) / (2 * h)  # type: ignore[operator]
    return found


SQRT2PI = math.sqrt(2 * math.pi)
