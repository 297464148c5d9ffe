"""Growth and its uncertainty: blocks listed by hand, a line fitted by NumPy, slopes of simulated noise."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from workings.book.ledger import verifies
from workings.gpu_memory_leak.blocks import Blocks
from workings.gpu_memory_leak.growth import line, smallest_leak

RNG = np.random.default_rng(0)
SERIES = 3.0 * np.arange(25) + 40 * np.sin(np.arange(25) / 4) + 10 * RNG.normal(size=25)


@verifies(
    "gpu_memory_leak:outlived",
    tex=r"M_n = \sum_b s_b\,\bigl[\,n_b + A \leq n < n'_b\,\bigr]",
    tolerance=0,
    wrong={"whatever their age": {"least": 0}, "with those that have died": {"buried": False}},
)
def outlived(device: torch.device, least: int = 2, buried: bool = True) -> float:
    """Let blocks of known sizes live for known times, and list by hand who is there."""
    lives = [(0, 6, 4), (1, 2, 8), (1, 5, 16), (3, 4, 32), (2, 9, 64)]  # born in, gone after, numbers of four bytes
    blocks, held = Blocks(), dict[int, Tensor]()
    for call in range(8):
        with blocks:
            for i, (born, _, count) in enumerate(lives):
                if born == call:
                    held[i] = torch.ones(count, device=device)
            for i, (_, gone, _) in enumerate(lives):
                if gone == call:
                    del held[i]
        blocks.count()
    printed = [
        sum(4 * count for born, gone, count in lives if born + least <= n and (n < gone or not buried))
        for n in range(8)
    ]
    return float(np.abs(np.array(blocks.outlived(2)[1]) - printed).max())


@verifies(
    "gpu_memory_leak:slope",
    tex=r"\hat\beta = \frac{\sum_n (n - \bar n)\,M_n}{\sum_n (n - \bar n)^2}",
    tolerance=1e-10,
    wrong={"from the first reading to the last": {"ends": True}, "without the mean taken away": {"centred": False}},
)
def slope(device: torch.device, ends: bool = False, centred: bool = True) -> float:
    """Compare the formula, and the library, with NumPy's polynomial fit."""
    n = np.arange(25) - (12.0 if centred else 0.0)
    printed = (SERIES[-1] - SERIES[0]) / 24 if ends else float(n @ SERIES / (n @ n))
    fitted = float(np.polyfit(np.arange(25), SERIES, 1)[0])
    return float(max(abs(printed - fitted), abs(line(SERIES)[0] - fitted)))


def residuals() -> np.ndarray:
    """Return what a line through the series leaves, by NumPy."""
    found: np.ndarray = SERIES - np.polyval(np.polyfit(np.arange(25), SERIES, 1), np.arange(25))
    return found


def correlation(e: np.ndarray, mended: bool = True) -> float:
    """Return the correlation of neighbouring residuals, mended for the line that was taken out."""
    r = float(np.sum(e[1:] * e[:-1]) / np.sum(e * e))
    return (r + 2 / len(e)) / (1 - 4 / len(e)) if mended else r


@verifies(
    "gpu_memory_leak:error",
    tex=r"s^2 = \frac{\sum_n e_n^2}{(m - 2) \sum_n (n - \bar n)^2} \cdot \frac{1 + \rho}{1 - \rho}",
    tolerance=1e-9,
    wrong={"as if readings were independent": {"rho": 0.0}, "divided by m": {"lost": 0}},
    kind="definition",
)
def error(device: torch.device, rho: float | None = None, lost: int = 2) -> float:
    """Compute it from NumPy's residuals; without ρ it is the standard error of the covariance that NumPy gives."""
    e, n = residuals(), np.arange(25) - 12.0
    own = correlation(e) if rho is None else rho
    printed = np.sqrt(e @ e / ((25 - lost) * (n @ n)) * (1 + own) / (1 - own))
    plain = np.sqrt(np.polyfit(np.arange(25), SERIES, 1, cov=True)[1][0, 0])
    independent = np.sqrt(e @ e / ((25 - lost) * (n @ n)))
    return max(abs(float(printed) - line(SERIES)[1]), 0.0 if rho is not None else abs(float(independent - plain)))


@verifies(
    "gpu_memory_leak:lag",
    tex=r"\rho = \frac{r + 2/m}{1 - 4/m}, \qquad r = \frac{\sum_n e_n e_{n+1}}{\sum_n e_n^2}",
    tolerance=0.025,
    wrong={"not mended": {"mended": False}},
)
def lag(device: torch.device, mended: bool = True) -> float:
    """Simulate noise of known correlation, take out a line, and average what the formula gives."""
    rng, off = np.random.default_rng(0), []
    n = np.arange(25) - 12.0
    for true in (0.0, 0.2, 0.3):
        noise = rng.normal(size=(4000, 25))
        noise[:, 0] /= np.sqrt(1 - true**2)
        for i in range(1, 25):
            noise[:, i] += true * noise[:, i - 1]
        centred = noise - noise.mean(1, keepdims=True)
        e = centred - np.outer(centred @ n / (n @ n), n)
        off.append(np.mean([correlation(one, mended) for one in e]) - true)
    return float(np.abs(off).max() if mended else np.abs(off).min())


@verifies(
    "gpu_memory_leak:smallest",
    tex=r"\beta_{\min} = 3 \sigma \sqrt{\frac{12}{m\,(m^2 - 1)}}",
    tolerance=0.05,
    wrong={"shrinking as one over the root of m": {"power": 0.5}, "of the whole run": {"calls": 100}},
)
def smallest(device: torch.device, power: float = 1.5, calls: int = 50) -> float:
    """Take three times the spread of slopes of simulated noise; return the relative difference."""
    rng, m = np.random.default_rng(0), 25
    n = np.arange(m) - (m - 1) / 2
    spread = 3 * float(np.std(rng.normal(size=(40_000, m)) @ n / (n @ n)))
    printed = 3 * np.sqrt(12 / (m * (m * m - 1))) if power == 1.5 else 3 * np.sqrt(12) / m**power
    return max(abs(float(printed) / spread - 1), abs(smallest_leak(1.0, calls) / spread - 1))
