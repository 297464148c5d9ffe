"""Real spikes: two recordings of auditory receptors of a locust, and what can be asked of ten seconds each.

The recordings ship with nitime under the BSD licence: a tone, its loudness modulated at random up to 200 Hz, and the
times at which a receptor cell fired.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from workings.typed import Count, Floats, NonNegative, Positive, Whole

SAMPLING = 5e-5  # seconds between samples of the stimulus


def recording(number: int) -> tuple[Tensor, Tensor]:
    """Return one of the two recordings that ship with nitime.

    Args:
        number: 1 or 2.

    Returns:
        The times of spikes in seconds (n,), and the loudness of the stimulus in decibels, up to a constant, every 50
        microseconds (T,). Both float64.

    Raises:
        ValueError: for another number.
        ModuleNotFoundError: without nitime.

    """
    if number not in (1, 2):
        raise ValueError(f"number is {number}; there are recordings 1 and 2")
    found = importlib.util.find_spec("nitime")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("the recordings come with nitime: pip install --no-deps nitime")
    folder = Path(found.origin).parent / "data"
    times = np.loadtxt(folder / f"grasshopper_spike_times{number}.txt") * 1e-6
    volts = np.loadtxt(folder / f"grasshopper_stimulus{number}.txt", usecols=1)
    return torch.from_numpy(times), torch.from_numpy(20 * np.log10(volts))


def bin_spikes(times: Tensor, width: float, duration: Positive) -> Tensor:
    """Count spikes in windows that follow each other.

    Args:
        times: seconds (..., n), from 0 on; what comes after ``duration`` is left out.
        width: of a window, in seconds; what is left over at the end is left out.
        duration: of the recording, in seconds.

    Returns:
        Counts (..., windows), float64.

    >>> bin_spikes(torch.tensor([0.1, 0.2, 0.9]), 0.5, 1.0).tolist()
    [2.0, 1.0]

    """
    windows = int(duration / width + 1e-9)
    if windows < 1:
        raise ValueError(f"width is {width} s, the recording lasts {duration} s: not one whole window")
    index = (times / width + 1e-9).clamp(max=windows).long()  # the last bin is for what is left out
    counts = torch.zeros(*times.shape[:-1], windows + 1, dtype=torch.float64, device=times.device)
    return counts.scatter_add(-1, index, torch.ones_like(counts[..., :1]).expand(index.shape))[..., :-1]


def fano_factor(counts: Floats) -> Tensor:
    r"""Return variance over mean (population_codes:fano-factor).

    Args:
        counts: (..., n), of which n - 1 are free.

    Returns:
        The Fano factor (...).

    >>> fano_factor(torch.tensor([1.0, 3.0])).item()
    1.0

    """
    return counts.var(-1) / counts.mean(-1)


def smoothed_rate(times: Tensor, width: NonNegative, step: Positive, duration: Positive) -> Tensor:
    """Return the rate of spikes in each step, smoothed by a bell; at the ends, by the part of it that lies within.

    Args:
        times: of spikes, seconds (n,).
        width: the bell's standard deviation in seconds.
        step: of the grid, in seconds.
        duration: of the recording, in seconds.

    Returns:
        Spikes per second, (T,).

    """
    reach = round(4 * width / step)
    counts = bin_spikes(times, step, duration)
    bell = torch.exp(-((torch.arange(-reach, reach + 1).to(counts) * step / width) ** 2) / 2)
    both = torch.stack((counts, torch.ones_like(counts)))[:, None]  # (2, 1, T)
    smooth = torch.nn.functional.conv1d(both, bell[None, None], padding=reach)[:, 0]
    return smooth[0] / smooth[1] / step


def surrogate(
    rate: Floats, step: Positive, refractory: NonNegative, count: Count, generator: torch.Generator | None = None
) -> Tensor:
    r"""Draw spike trains with a given rate from a Poisson process that rests after each spike.

    Its hazard where it does not rest is :math:`\lambda = r / (1 - r\,\tau_r)`, which makes up for what the rest costs
    (population_codes:hazard), exactly where the rate is constant. Between rests the integral of the hazard from one
    spike to the next is exponentially distributed; so there are no steps in which to miss anything.

    Args:
        rate: r, spikes per second in each step (T,).
        step: in seconds.
        refractory: :math:`\tau_r`, in seconds.
        count: how many trains.
        generator: draws on its device; torch's default on the CPU if None.

    Returns:
        Times of spikes in seconds, in order, (count, K), with infinity after a train's last spike.

    Raises:
        ValueError: for a rate of more than one spike in each rest.

    """
    if not float(rate.max()) * refractory < 1:
        most = f"{float(rate.max()):.3g}/s"
        raise ValueError(f"rate reaches {most}; with rests of {refractory} s it stays below their inverse")
    home = torch.device("cpu") if generator is None else generator.device
    hazard = (rate / (1 - rate * refractory)).to(home)
    total = torch.cat((hazard.new_zeros(1), (hazard * step).cumsum(0)))  # at the edges of steps
    now, trains = hazard.new_zeros(count), []
    while bool((now < len(rate) * step).any()):
        place = (now / step).clamp(max=len(rate) - 1)
        at = place.long()
        passed = total[at] + (place - at) * step * hazard[at]
        due = passed - torch.rand(count, dtype=hazard.dtype, generator=generator, device=home).log()
        at = torch.searchsorted(total, due).clamp(1, len(rate)) - 1
        when = torch.where(due < total[-1], (at + (due - total[at]) / (hazard[at] * step)) * step, torch.inf)
        when = torch.where(now < len(rate) * step, when, torch.inf)
        trains.append(when)
        now = when + refractory
    return torch.stack(trains, 1).to(rate.device)


def reconstruct(spikes: Floats, stimulus: Floats, lags: Whole, folds: Whole, ridge: Positive = 1.0) -> Tensor:
    r"""Estimate a stimulus from the spikes around it by a linear filter; each part by a filter from the other parts.

    :math:`\hat s_t = w_0 + \sum_{k=-L}^{L} w_k n_{t+k}` (population_codes:reconstruct).

    Args:
        spikes: counts n in each step, (T,).
        stimulus: s in each step, (T,).
        lags: L, steps before and after.
        folds: parts of equal length; what is left over at the end belongs to the last.
        ridge: penalty of the squared weights.

    Returns:
        The estimate (T,), each element from a filter that was fitted without its part and without the 2 L steps before
        and after it, whose spikes are partly the same.

    """
    if spikes.shape != stimulus.shape:
        raise ValueError(f"spikes has shape {tuple(spikes.shape)}, stimulus {tuple(stimulus.shape)}; they must agree")
    steps = len(spikes)
    around = torch.nn.functional.pad(spikes, (lags, lags)).unfold(0, 2 * lags + 1, 1)  # (T, 2 L + 1)
    penalty = ridge * torch.eye(2 * lags + 1).to(spikes)
    part = (torch.arange(steps, device=spikes.device) * folds // steps).clamp(max=folds - 1)
    estimate = torch.empty_like(stimulus)
    for k in range(folds):
        held = part == k
        near = torch.nn.functional.max_pool1d(held.double()[None, None], 4 * lags + 1, 1, 2 * lags)[0, 0] > 0
        x, y = around[~near], stimulus[~near]
        centre, level = x.mean(0), y.mean()
        w = torch.linalg.solve((x - centre).mT @ (x - centre) + penalty, (x - centre).mT @ (y - level))
        estimate[held] = level + (around[held] - centre) @ w
    return estimate


def explained(estimate: Tensor, stimulus: Floats) -> Tensor:
    """Return the share of the stimulus' variance that an estimate accounts for; negative if the mean would do better.

    Args:
        estimate: (..., T).
        stimulus: (..., T).

    Returns:
        One minus squared error over variance, (...).

    """
    return 1 - (estimate - stimulus).square().mean(-1) / stimulus.var(-1, correction=0)
