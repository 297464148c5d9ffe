"""Does a series of memory readings grow? A line through its second half, with an uncertainty that owns up to drift."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workings.typed import Count, NonNegative

FEWEST = 8  # calls from which a growth is fitted
SIGMAS = 3.0  # how far from zero a growth has to be to be believed
MOST = 0.9  # correlation of neighbouring readings that is believed
RISES = 3  # on how many calls of the second half a leak has to show


@dataclass(frozen=True)
class Growth:
    """How much a series grows a call.

    Attributes:
        rate: the slope of the line.
        error: its standard error.
        grows: whether it grows for good: by more than three standard errors, in both quarters of the series' second
            half, and to a new height on at least three calls of it. What levels off does not.

    """

    rate: float
    error: float
    grows: bool


def fit_growth(values: Sequence[float]) -> Growth:
    r"""Fit a line to the second half of ``values``, one reading a call, by least squares.

    The first half is left to warming up: allocator, optimizer state, caches. Slope and standard error are equations
    gpu_memory_leak:slope and gpu_memory_leak:error of the chapter, the latter with the residuals' lag-one correlation
    :math:`\rho` in it (gpu_memory_leak:lag; residuals of a line through few points show too little of it, which is
    mended): readings of memory hang together, and if one forgot it the error would come out too small.

    Args:
        values: the readings, at least eight.

    Returns:
        The growth in units of ``values`` a call.

    Raises:
        ValueError: too few readings.

    >>> fit_growth([float(n) for n in range(20)])
    Growth(rate=1.0, error=0.0, grows=True)
    >>> fit_growth([5.0] * 20).grows
    False

    """
    if len(values) < FEWEST:
        raise ValueError(f"values has {len(values)} readings; a growth needs at least {FEWEST}")
    y = np.asarray(values, dtype=np.float64)[len(values) // 2 :]
    rate, error = line(y)
    half = len(y) // 2
    both = min(line(y[:half])[0], line(y[half:])[0]) > 0
    top = np.maximum.accumulate(y)
    grows = both and rate > SIGMAS * error and int((np.diff(top) > 0).sum()) >= RISES
    return Growth(rate, error, bool(grows))


def line(y: np.ndarray) -> tuple[float, float]:
    """Return the slope of the least-squares line through ``y`` at 0, 1, 2, ..., and its standard error.

    Equations gpu_memory_leak:slope and gpu_memory_leak:error of the chapter.
    """
    t = np.arange(len(y)) - (len(y) - 1) / 2
    centred = y - y.mean()
    rate = float(t @ centred / (t @ t))
    e = centred - rate * t
    square = float(e @ e)
    if len(y) < 4 or square <= 1e-24 * float(y @ y):  # an exact line, up to rounding
        return rate, 0.0
    m = len(y)
    rho = min(max((float(e[1:] @ e[:-1]) / square + 2 / m) / (1 - 4 / m), 0.0), MOST) if m > 4 else 0.0
    return rate, math.sqrt(square / ((len(y) - 2) * (t @ t)) * (1 + rho) / (1 - rho))


def smallest_leak(noise: NonNegative, calls: Count) -> float:
    r"""Return the growth a call that can be told from none, for independent noise of a standard deviation.

    Equation gpu_memory_leak:smallest of the chapter: three standard errors of a slope through the second half.

    Args:
        noise: standard deviation of a reading, in bytes, say.
        calls: how many calls are watched.

    Returns:
        The growth in the same unit, a call.

    >>> smallest_leak(1e6, 50) > 10 * smallest_leak(1e5, 50) - 1
    True

    """
    m = calls - calls // 2
    return SIGMAS * noise * math.sqrt(12 / (m * (m * m - 1)))
