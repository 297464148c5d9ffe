"""A short sequence, a crooked predictor, a skewed chain, and walks on it drawn and enumerated in plain Python."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from workings.temporal_difference import Chain, Sequences

RNG = np.random.default_rng(0)
X, W, Z = RNG.normal(size=(6, 3)), RNG.normal(size=3), 0.7  # six observations of three features, weights, an outcome
RIGHT = 0.1  # of the skewed walk on three states
Walk = tuple[list[int], float]


def tensor(values: object, device: torch.device) -> Tensor:
    """Return ``values`` in float64 on ``device``."""
    return torch.tensor(np.asarray(values, dtype=np.float64), device=device)


def largest(*differences: object) -> float:
    """Return the largest absolute value in numbers, arrays and tensors."""
    return max(
        float(np.max(np.abs(d.detach().cpu().numpy() if isinstance(d, Tensor) else np.asarray(d)))) for d in differences
    )


class Crooked(nn.Module):
    """A predictor that is not linear in its weights."""

    def __init__(self, w: np.ndarray, device: torch.device) -> None:
        super().__init__()
        self.w = nn.Parameter(tensor(w, device))

    def forward(self, x: Tensor) -> Tensor:
        """Return a tangent hyperbolic and a square of the same projection."""
        return torch.tanh(x @ self.w) + 0.3 * (x @ self.w) ** 2


def crooked(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions and slopes of the crooked predictor at X, by hand."""
    a = X @ w
    return np.tanh(a) + 0.3 * a**2, (1 - np.tanh(a) ** 2 + 0.6 * a)[:, None] * X


def chain(device: torch.device) -> Chain:
    """Return the skewed walk on three states with two features, which may begin in two states."""
    q = np.array([[0.0, RIGHT, 0.0], [1 - RIGHT, 0.0, RIGHT], [0.0, 1 - RIGHT, 0.0]])
    r = np.array([[1 - RIGHT, 0.0], [0.0, 0.0], [0.0, RIGHT]])
    features = [[1.0, 0.0], [0.5, -1.0], [0.3, 2.0]]
    return Chain(*(tensor(v, device) for v in (q, r, [-0.5, 1.0], [0.0, 0.8, 0.2], features)))


def enumerated(longest: int) -> Iterator[tuple[list[int], float, float]]:
    """Yield all walks of the skewed chain up to a length: states, outcome, probability."""
    live = [([1], 0.8), ([2], 0.2)]
    for _ in range(longest):
        grown = []
        for path, weight in live:
            for step, chance in ((-1, 1 - RIGHT), (1, RIGHT)):
                state = path[-1] + step
                if 0 <= state < 3:
                    grown.append(([*path, state], weight * chance))
                else:
                    yield path, (1.0 if state == 3 else -0.5), weight * chance
        live = grown


def walks(count: int, seed: int) -> list[Walk]:
    """Draw walks on five states from the middle, outcome 1 on the right."""
    rng, found = random.Random(seed), []
    for _ in range(count):
        state, path = 2, []
        while 0 <= state < 5:
            path.append(state)
            state += rng.choice((-1, 1))
        found.append((path, float(state == 5)))
    return found


def batch(drawn: list[Walk], device: torch.device) -> Sequences:
    """Turn walks on five states into a batch."""
    eye = torch.eye(5, dtype=torch.float64, device=device)
    index = torch.nn.utils.rnn.pad_sequence([torch.tensor(path) for path, _ in drawn], batch_first=True).to(device)
    lengths = torch.tensor([len(path) for path, _ in drawn], device=device)
    return Sequences(index, lengths, tensor([z for _, z in drawn], device), eye)
