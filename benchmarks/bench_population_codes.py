"""Posteriors of many responses: `workings.population_codes` beside a loop over trials in good NumPy.

    python benchmarks/bench_population_codes.py [--quick] [--write]

Both get the same spike counts and the same tuning curves, and give mean and variance of every posterior. A second table
runs the network of integrate-and-fire neurons for all trials together, and one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import timing
import torch
from timing import Row, Tables, interleaved, peak_growth

from workings.population_codes import Layer, PoissonCode, gaussian, moments, pooling, posterior, spike_trains

Moments = tuple[np.ndarray, np.ndarray]


def batched(code: PoissonCode, r: torch.Tensor, grid: torch.Tensor) -> Moments:
    """Return the moments of all posteriors by one product of matrices."""
    mean, variance = moments(posterior(code, r, grid, 3.0), grid)
    return mean.numpy(), variance.numpy()


def looped(log_f: np.ndarray, r: np.ndarray, grid: np.ndarray) -> Moments:
    """Return the same trial by trial, with what does not depend on the trial computed once."""
    total = 3.0 * np.exp(log_f).sum(1)
    mean, variance = np.empty(len(r)), np.empty(len(r))
    for k, counts in enumerate(r):
        log_p = log_f @ counts - total
        p = np.exp(log_p - log_p.max())
        p /= p.sum()
        mean[k] = p @ grid
        variance[k] = p @ (grid - mean[k]) ** 2
    return mean, variance


def rows(problem: str, contenders: dict[str, Callable[[], object]], rounds: int, gap: float) -> Iterator[Row]:
    """Time the contenders side by side."""
    seconds = interleaved(contenders, rounds)
    for name, time in seconds.items():
        yield {
            "problem": problem, "contender": name, "ms": 1e3 * time, "times workings": time / seconds["workings"],
            "MB": peak_growth(contenders[name]), "error": gap,
        }  # fmt: skip


def decoding(trials: int, rounds: int) -> Iterator[Row]:
    """Decode so many responses of a hundred neurons on a grid of 161 stimuli."""
    cells, grid = torch.arange(-150.0, 151.0, 3.0).double(), torch.arange(-40.0, 40.5, 0.5).double()
    code = PoissonCode(gaussian(cells, 20.0))
    r = code.sample(torch.zeros(trials).double(), 3.0, torch.Generator().manual_seed(0))
    log_f, counts, stimuli = code.tuning(grid).numpy(), r.numpy(), grid.numpy()
    contenders: dict[str, Callable[[], object]] = {
        "workings": partial(batched, code, r, grid), "NumPy, trial by trial": partial(looped, log_f, counts, stimuli)
    }  # fmt: skip
    pairs = zip(batched(code, r, grid), looped(log_f, counts, stimuli), strict=True)
    gap = max(float(np.abs(a - b).max()) for a, b in pairs)
    yield from rows(f"{trials} responses of 101 cells", contenders, rounds, gap)


def fire(layer: Layer, spikes: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Run the layer in NumPy, trial by trial, (trials, N)."""
    leak, decay = np.exp(-layer.step / layer.tau), np.exp(-layer.step / layer.synapse)
    weights, found = layer.weights.numpy(), np.zeros_like(start)
    for k in range(len(start)):
        v, current, rest = start[k].copy(), np.zeros_like(start[k]), np.zeros_like(start[k])
        arriving = spikes[:, k] @ weights  # all steps of the trial in one product
        for now in arriving:
            current = decay * current + now
            v = np.where(rest > 0, 0.0, leak * v + (1 - leak) * (layer.bias + current))
            fires = v >= 1
            found[k] += fires
            v[fires] = 0.0
            rest = np.where(fires, layer.refractory, np.maximum(rest - layer.step, 0.0))
    return found


def network(trials: int, rounds: int) -> Iterator[Row]:
    """Run 41 integrate-and-fire neurons for half a second in each trial."""
    draw, cells = torch.Generator().manual_seed(0), torch.linspace(-80, 80, 41).double()
    weights = 12.0 * pooling(cells, cells, 8.0)
    layer = Layer(torch.cat((weights, weights)), 0.9)
    counts = PoissonCode(gaussian(torch.cat((cells, cells)), 20.0)).sample(torch.zeros(trials).double(), 10.0, draw)
    spikes, start = spike_trains(counts, 500, draw), torch.rand(trials, 41, generator=draw, dtype=torch.float64)
    contenders: dict[str, Callable[[], object]] = {
        "workings": partial(layer.run, spikes, start),
        "NumPy, trial by trial": partial(fire, layer, spikes.numpy(), start.numpy()),
    }
    gap = float(np.abs(layer.run(spikes, start).numpy() - fire(layer, spikes.numpy(), start.numpy())).max())
    yield from rows(f"{trials} trials of 500 steps, 41 neurons", contenders, rounds, gap)


def run(quick: bool) -> Tables:
    """Measure everything; ``quick`` uses toy sizes, to see that it runs. Returns the rows of each table."""
    torch.set_num_threads(1)
    return {
        "decoding": list(decoding(*((50, 1) if quick else (10_000, 5)))),
        "network": list(network(*((3, 1) if quick else (200, 3)))),
    }


def store(tables: Tables) -> None:
    """Write the tables as records of the chapter."""
    timing.store("population_codes", ("posterior", "moments", "Layer", "pooling", "spike_trains"), tables)


if __name__ == "__main__":
    timing.command(__doc__, run, store)
