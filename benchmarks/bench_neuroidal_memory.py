"""Firing neurons of a graph that is not stored: `workings.neuroidal_memory` beside what is least possible, and peers.

    python benchmarks/bench_neuroidal_memory.py [--quick] [--write]

The limits are the random numbers alone and the increments alone, as many as the walk takes. Peers draw each neuron's
gaps with NumPy's Philox, keyed by neuron, or read rows that were stored, where they fit. Times are those of a
processor, of which each contender uses one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from time import process_time
from typing import Any

import numpy as np
import timing
import torch
from timing import Row, Tables, interleaved, peak_growth

from workings.neuroidal_memory import RandomGraph, StoredGraph, random_item

MOUSE = (16_000_000, 7800.0)


@lru_cache(maxsize=1)
def loops() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Compile the two limits: random numbers that are only summed, increments at places that are given."""
    import numba as nb

    gamma = np.uint64(0x9E3779B97F4A7C15)
    first, second = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
    s30, s27, s31 = np.uint64(30), np.uint64(27), np.uint64(31)

    @nb.njit(boundscheck=False)
    def numbers(count):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        state, total = np.uint64(1), np.uint64(0)
        for _ in range(count):
            state += gamma
            z = (state ^ (state >> s30)) * first
            z = (z ^ (z >> s27)) * second
            total += z ^ (z >> s31)
        return total

    @nb.njit(boundscheck=False)
    def increments(places, counts, times):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        for _ in range(times):
            for i in range(places.shape[0]):
                counts[places[i]] += 1

    numbers(2)
    increments(np.zeros(2, np.int64), np.zeros(2, np.int16), 1)
    return numbers, increments


def philox(graph: RandomGraph, neurons: torch.Tensor) -> np.ndarray:
    """Count inputs with a generator for each neuron, and gaps by NumPy's geometric law."""
    counts = np.zeros(graph.n, np.int16)
    for neuron in neurons.tolist():
        draw = np.random.Generator(np.random.Philox(key=neuron))
        gaps = draw.geometric(graph.p, int(graph.d + 6 * graph.d**0.5))
        places = np.cumsum(gaps) - 1
        counts[places[places < graph.n]] += 1  # no target comes twice
    return counts


def firing(n: int, d: float, r: int, rounds: int) -> Iterator[Row]:
    """Time r neurons that fire on a graph, without a list of edges."""
    numbers, increments = loops()
    graphs = {name: RandomGraph(n, d, seed=1, fused=fused) for name, fused in (("numba", True), ("torch", False))}
    neurons = random_item(n, r, generator=torch.Generator().manual_seed(0))
    edges = int(graphs["numba"].inputs(neurons).sum())
    places = graphs["numba"].edges(neurons[: min(r, 100)])[1].numpy() % graphs["numba"].block
    times = max(1, edges // len(places))
    contenders: dict[str, Callable[[], object]] = {
        "workings, numba": partial(graphs["numba"].fires, neurons, 8),
        "workings, torch": partial(graphs["torch"].fires, neurons, 8),
        "limit: random numbers alone": partial(numbers, edges * 16 // 15),
        "limit: increments alone": partial(increments, places, np.zeros(graphs["numba"].block, np.int16), times),
        "Philox for each neuron": partial(philox, graphs["numba"], neurons),
    }
    seconds = interleaved(contenders, rounds, process_time)
    for name, time in seconds.items():
        yield {
            "problem": f"n = {n:.2g}, d = {d:g}, {r} neurons", "contender": name, "ms": 1e3 * time,
            "ns an edge": 1e9 * time / edges, "times workings": time / seconds["workings, numba"],
            "MB": peak_growth(contenders[name]),
        }  # fmt: skip


def stored(n: int, d: float, r: int, rounds: int) -> Iterator[Row]:
    """Time the same on a graph small enough to store."""
    graph = RandomGraph(n, d, seed=1, fused=True)
    kept = StoredGraph(graph)
    neurons = random_item(n, r, generator=torch.Generator().manual_seed(0))
    edges = int(graph.inputs(neurons).sum())
    contenders: dict[str, Callable[[], object]] = {
        "workings, numba": partial(graph.fires, neurons, 8),
        "workings, torch": partial(RandomGraph(n, d, seed=1, fused=False).fires, neurons, 8),
        "rows that are stored": partial(kept.fires, neurons, 8),
    }
    seconds = interleaved(contenders, rounds, process_time)
    for name, time in seconds.items():
        yield {
            "problem": f"n = {n:.2g}, d = {d:g}, {r} neurons", "contender": name, "ms": 1e3 * time,
            "ns an edge": 1e9 * time / edges, "times workings": time / seconds["workings, numba"],
            "MB held": 4 * len(kept.targets) / 1e6 if name.startswith("rows") else 0.0,
        }  # fmt: skip


def run(quick: bool) -> Tables:
    """Measure everything; ``quick`` uses toy sizes, to see that it runs. Returns the rows of each table."""
    torch.set_num_threads(1)
    if quick:
        return {"firing": list(firing(100_000, 50.0, 20, 1)), "stored": list(stored(2000, 20.0, 50, 1))}
    rows = [row for r, rounds in ((2000, 3), (8000, 1)) for row in firing(*MOUSE, r, rounds)]
    return {"firing": rows, "stored": list(stored(100_000, 512.0, 4200, 5))}


def store(tables: Tables) -> None:
    """Write the tables as records of the chapter."""
    timing.store("neuroidal_memory", ("RandomGraph", "StoredGraph"), tables, peers=("numba",))


if __name__ == "__main__":
    timing.command(__doc__, run, store)
