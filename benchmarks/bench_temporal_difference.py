"""Sutton's random walk at all λ and α: `workings.temporal_difference` beside good plain Python.

    python benchmarks/bench_temporal_difference.py [--quick] [--write]

Both get the same walks, and give the errors of all training sets at eleven λ and thirteen rates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import sqrt

import numpy as np
import timing
import torch
from timing import Row, Tables, interleaved, peak_growth

from workings.temporal_difference import Sequences, affine_form, one_pass, random_walk, rms_error

LAMS = [i / 10 for i in range(11)]
RATES = [i / 20 for i in range(13)]
VALUES = [k / 6 for k in range(1, 6)]
Walks = list[list[tuple[list[int], float]]]


def batched(walks: Sequences) -> torch.Tensor:
    """Return the errors by two batched operations, (11, sets, 13)."""
    lams, rates = torch.tensor(LAMS, dtype=torch.float64), torch.tensor(RATES, dtype=torch.float64)
    values = torch.tensor(VALUES, dtype=torch.float64)
    return rms_error(one_pass(*affine_form(walks, lams), rates, 0.5), values)


def plain(walks: Walks) -> list[list[list[float]]]:
    """Return the same by loops as fast as they get: local names, unrolled states, no objects in the innermost loop."""
    found = []
    for lam in LAMS:
        rows = []
        for training in walks:
            row = []
            for alpha in RATES:
                w = [0.5] * 5
                for path, z in training:
                    e0 = e1 = e2 = e3 = e4 = 0.0
                    c0 = c1 = c2 = c3 = c4 = 0.0
                    p = w[path[0]]
                    for i, state in enumerate(path, 1):
                        e0 *= lam
                        e1 *= lam
                        e2 *= lam
                        e3 *= lam
                        e4 *= lam
                        if state == 2:
                            e2 += 1.0
                        elif state == 1:
                            e1 += 1.0
                        elif state == 3:
                            e3 += 1.0
                        elif state == 0:
                            e0 += 1.0
                        else:
                            e4 += 1.0
                        after = w[path[i]] if i < len(path) else z
                        d = after - p
                        p = after
                        if d:
                            c0 += d * e0
                            c1 += d * e1
                            c2 += d * e2
                            c3 += d * e3
                            c4 += d * e4
                    w = [w[0] + alpha * c0, w[1] + alpha * c1, w[2] + alpha * c2, w[3] + alpha * c3, w[4] + alpha * c4]
                row.append(sqrt(sum((a - b) ** 2 for a, b in zip(w, VALUES, strict=True)) / 5))
            rows.append(row)
        found.append(rows)
    return found


def grid(sets: int, count: int, rounds: int) -> Iterator[Row]:
    """Time the whole grid for so many training sets of so many walks."""
    walks = random_walk().sample(sets, count, generator=torch.Generator().manual_seed(0))
    index, lengths, z = walks.index.tolist(), walks.lengths.tolist(), walks.z.tolist()
    lists = [
        [(path[:m], outcome) for path, m, outcome in zip(*one, strict=True)]
        for one in zip(index, lengths, z, strict=True)
    ]
    contenders: dict[str, Callable[[], object]] = {
        "workings": partial(batched, walks), "plain Python": partial(plain, lists)
    }  # fmt: skip
    gap = float(np.abs(batched(walks).numpy() - np.array(plain(lists))).max())
    seconds = interleaved(contenders, rounds)
    for name, time in seconds.items():
        yield {
            "problem": f"{sets} × {count} walks, 11 λ, 13 α", "contender": name, "ms": 1e3 * time,
            "times workings": time / seconds["workings"], "MB": peak_growth(contenders[name]), "error": gap,
        }  # fmt: skip


def run(quick: bool) -> Tables:
    """Measure everything; ``quick`` uses toy sizes, to see that it runs. Returns the rows of each table."""
    torch.set_num_threads(1)
    return {"grid": list(grid(*((3, 2, 1) if quick else (100, 10, 5))))}


def store(tables: Tables) -> None:
    """Write the tables as records of the chapter."""
    timing.store("temporal_difference", ("affine_form", "one_pass", "rms_error"), tables)


if __name__ == "__main__":
    timing.command(__doc__, run, store)
