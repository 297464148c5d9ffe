"""Sutton's experiment as one would write it down in plain Python: loops, lists and floats, nothing shared with ours.

The package is imported where it is needed only, so that planted errors are found in the copy that has them.
"""

from __future__ import annotations

import random
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from workings.temporal_difference import Chain, Sequences

F64 = torch.float64

Walk = tuple[list[int], Any]  # states, and the outcome


def walks(count: int, seed: int, states: int = 5) -> list[Walk]:
    """Draw walks that begin in the middle: the states in order, and the outcome."""
    rng, found = random.Random(seed), []
    for _ in range(count):
        state, path = states // 2, []
        while 0 <= state < states:
            path.append(state)
            state += rng.choice((-1, 1))
        found.append((path, float(state == states)))
    return found


def change(walk: Walk, w: list[Any], lam: Any) -> list[Any]:
    """Return the sum of (P_{t+1} - P_t) Σ_k λ^(t-k) x_k over a walk, by the double sum, with whatever numbers w has."""
    path, z = walk
    found = [0 * one for one in w]
    for t, state in enumerate(path):
        after = w[path[t + 1]] if t + 1 < len(path) else z
        for k in range(t + 1):
            found[path[k]] += (after - w[state]) * lam ** (t - k)
    return found


def supervised(walk: Walk, w: list[Any]) -> list[Any]:
    """Return the sum of (z - P_t) x_t over a walk."""
    path, z = walk
    found = [0 * one for one in w]
    for state in path:
        found[state] += z - w[state]
    return found


def one_pass(training: list[Walk], lam: float, alpha: float, start: float = 0.5, states: int = 5) -> list[float]:
    """Present each walk once, with a trace, changing the weights after each."""
    w = [start] * states
    for path, z in training:
        trace, step = [0.0] * states, [0.0] * states
        for t, state in enumerate(path):
            for i in range(states):
                trace[i] *= lam
            trace[state] += 1.0
            difference = (w[path[t + 1]] if t + 1 < len(path) else z) - w[state]
            for i in range(states):
                step[i] += difference * trace[i]
        w = [one + alpha * s for one, s in zip(w, step, strict=True)]
    return w


def backwards(training: list[Walk], lam: float, alpha: float, start: float = 0.5, states: int = 5) -> list[float]:
    """Work backwards through each walk, changing the weights at every step."""
    w = [start] * states
    for path, z in training:
        target, after = z, z
        for state in reversed(path):
            target = lam * target + (1 - lam) * after
            w[state] += alpha * (target - w[state])
            after = w[state]
    return w


def solve(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """Solve a linear system in exact fractions."""
    n, rows = len(right), [[*row, b] for row, b in zip(matrix, right, strict=True)]
    for i in range(n):
        pivot = next(r for r in range(i, n) if rows[r][i] != 0)
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for r in range(n):
            if r != i:
                rows[r] = [a - rows[r][i] * b for a, b in zip(rows[r], rows[i], strict=True)]
    return [row[n] for row in rows]


def batch(walks: list[Walk], states: int = 5) -> Sequences:
    """Turn plain walks into a batch."""
    from workings.temporal_difference import Sequences

    lengths = torch.tensor([len(path) for path, _ in walks])
    index = torch.nn.utils.rnn.pad_sequence([torch.tensor(path) for path, _ in walks], batch_first=True)
    z = torch.tensor([z for _, z in walks], dtype=F64)
    return Sequences(index, lengths, z, torch.eye(states, dtype=F64))


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def uneven() -> Chain:
    """Three states, three ends, more than one first state, two features, and a state that may stay where it is."""
    from workings.temporal_difference import Chain

    return Chain(
        torch.tensor([[0.2, 0.5, 0.0], [0.1, 0.0, 0.6], [0.3, 0.3, 0.1]], dtype=F64),
        torch.tensor([[0.3, 0.0, 0.0], [0.0, 0.1, 0.2], [0.0, 0.0, 0.3]], dtype=F64),
        torch.tensor([-1.0, 0.5, 2.0], dtype=F64),
        torch.tensor([0.5, 0.2, 0.3], dtype=F64),
        torch.tensor([[1.0, 0.0], [0.5, -1.0], [0.3, 2.0]], dtype=F64),
    )
