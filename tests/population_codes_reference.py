"""Population codes in loops, with SciPy's distributions: slow, plain, independent of the library."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

CELLS = np.arange(-60.0, 61.0, 6.0)
GRID = np.linspace(-20, 20, 41)
WIDTH = 12.0


def bell(s: float, preferred: float, width: float = WIDTH) -> float:
    return math.exp(-((s - preferred) ** 2) / (2 * width**2))


def normalised(log_p: list[float]) -> np.ndarray:
    most = max(log_p)
    p = np.array([math.exp(one - most) for one in log_p])
    found: np.ndarray = p / p.sum()
    return found


def poisson_posterior(r: np.ndarray, gain: float, prior: np.ndarray | None = None, width: float = WIDTH) -> np.ndarray:
    """Every neuron's Poisson probability mass, by SciPy."""
    log_p = []
    for k, s in enumerate(GRID):
        log_p.append(float(stats.poisson.logpmf(r, [gain * bell(s, c, width) for c in CELLS]).sum()))
        if prior is not None:
            log_p[-1] += math.log(prior[k])
    return normalised(log_p)


def gaussian_posterior(r: np.ndarray, gain: float, noise: np.ndarray) -> np.ndarray:
    """The multivariate normal density, by SciPy."""
    means = [[gain * bell(s, c) for c in CELLS] for s in GRID]
    return normalised([float(stats.multivariate_normal.logpdf(r, mean, gain * noise)) for mean in means])


def unknown_gain_posterior(r: np.ndarray) -> np.ndarray:
    """The gain averaged out numerically, alike on a logarithmic scale."""
    gains = np.exp(np.linspace(-12, 12, 4001))
    found = []
    for s in GRID:
        rates = np.array([bell(s, c) for c in CELLS])
        log_p = stats.poisson.logpmf(r[None], gains[:, None] * rates[None]).sum(1)
        found.append(float(np.logaddexp.reduce(log_p)))
    return normalised(found)


def shared_posterior(r1: np.ndarray, r2: np.ndarray, gain: float, share: float) -> np.ndarray:
    """A double loop over neurons and over what they may have in common."""

    def pmf(k: int, mean: float) -> float:
        return math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1))

    log_p = []
    for s in GRID:
        total = 0.0
        for n1, n2, c in zip(r1.astype(int), r2.astype(int), CELLS, strict=True):
            rate = gain * bell(s, c)
            own, common = (1 - share) * rate, share * rate
            total += math.log(sum(pmf(k, common) * pmf(n1 - k, own) * pmf(n2 - k, own) for k in range(min(n1, n2) + 1)))
        log_p.append(total)
    return normalised(log_p)
