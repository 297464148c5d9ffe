r"""What becomes of noise: the share of C that fires, as a function of the share f of A and B that does.

An item of which a share f fires is a signal between zero and one, and an operation is a circuit with a transfer curve.
Noise can be kept out of a chain of circuits if the curve is flat where signals rest and steep between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from workings.neuroidal_memory.sizes import Array, exactly, tail
from workings.typed import Count, NonNegative, Whole


def one_step_transfer(f: ArrayLike, N: float, p: float, k: Whole, recall: Whole | None = None) -> Array:
    r"""Return the expected share of C that fires when a share f of A and of B does (neuroidal_memory:transfer).

    A neuron of C has X edges from A and B, at least k; each counts with probability f.

    Args:
        f: shares from 0 to 1.
        N: neurons of A and B together.
        p: chance of an edge.
        k: threshold when C was made.
        recall: threshold now; the same if None.

    Returns:
        Shares, of the shape of f.

    >>> one_step_transfer([0.9, 1.0], 4222.5, 512 / 1e5, 32).round(3)
    array([0.257, 1.   ])

    """
    edges = _edges(N, p, k)
    fires = tail(edges, np.asarray(f, dtype=float)[..., None], k if recall is None else recall)
    return np.asarray((fires * exactly(N, p, edges)).sum(-1) / exactly(N, p, edges).sum())


def two_step_transfer(f: ArrayLike, r: NonNegative, p: NonNegative, k: Whole, common: NonNegative = 0.0) -> Array:
    r"""Return the expected share of a two-step JOIN's C that fires when a share f of A and of B does.

    Args:
        f: shares from 0 to 1.
        r: neurons of A, and of B.
        p: chance of an edge.
        k: edges from each that it takes.
        common: neurons that A and B share; each fires, or does not, for both.

    Returns:
        Shares, of the shape of f.

    >>> two_step_transfer([0.9, 1.0], 2338, 512 / 1e5, 16, common=2338**2 / 1e5).round(3)
    array([0.286, 1.   ])

    """
    f = np.asarray(f, dtype=float)[..., None]
    x = np.arange(int(r * p + 12 * np.sqrt(r * p) + 40))  # edges from neurons that are A's alone, or B's
    own, total, fires = exactly(r - common, p, x), 0.0, 0.0
    for i in range(int(common * p + 12 * np.sqrt(common * p)) + 1):  # edges from neurons of both
        chance, member = exactly(common, p, i), own * (x + i >= k)
        total = total + chance * member.sum() ** 2
        for j in range(i + 1):  # of which j are from neurons that fire
            each = (member * tail(x, f, k - j)).sum(-1)
            fires = fires + chance * exactly(i, f[..., 0], j) * each**2
    return np.asarray(fires / total)


def _edges(N: float, p: float, k: int) -> Array:
    """Return the numbers of edges, from k on, that matter."""
    return np.arange(k, int(max(N * p, k) + 12 * np.sqrt(max(N * p, k)) + 40), dtype=float)


class Margins(NamedTuple):
    """How much noise a circuit forgives.

    Attributes:
        low: by how much an input may rise above a zero and still come out lower than it went in.
        high: by how much an input may fall short of a one; none if this is not positive.
        low_input: the input up to which a signal counts as zero, where the slope becomes one.
        high_input: the input from which on it counts as one, where the slope falls to one again; 1 if it never does.

    """

    low: float
    high: float
    low_input: float
    high_input: float


def noise_margins(curve: Callable[[Array], Array], points: Whole = 2001) -> Margins:
    r"""Return the noise margins of a transfer curve, by the points where its slope is one (neuroidal_memory:margins).

    Args:
        curve: share that comes out, of an array of shares that go in; it rises.
        points: how finely the curve is looked at.

    Returns:
        Both margins, and the inputs that they begin at.

    >>> steep = lambda x: 1 / (1 + np.exp(-20 * (x - 0.5)))
    >>> [round(value, 2) for value in noise_margins(steep)]
    [0.3, 0.3, 0.36, 0.64]

    """
    x = np.linspace(0, 1, points)
    y = curve(x)
    slope, middle = np.diff(y) / np.diff(x), (x[1:] + x[:-1]) / 2
    steep = np.nonzero(slope > 1)[0]
    if not len(steep):
        return Margins(0.0, 0.0, 1.0, 1.0)
    low_input = float(middle[steep[0]])
    high_input = 1.0 if steep[-1] == len(slope) - 1 else float(middle[steep[-1]])
    low, high = float(np.interp(low_input, x, y)), float(np.interp(high_input, x, y))
    if high_input == 1.0:
        return Margins(low_input - low, 0.0, low_input, 1.0)
    return Margins(low_input - low, high - high_input, low_input, high_input)


def hierarchy(
    sizes: ArrayLike, generations: Whole, n: Count, p: NonNegative, k: Whole, generator: np.random.Generator
) -> list[Array]:
    """Let items be joined in pairs at random, the new ones again, and so on; follow their sizes alone.

    Given how many neurons its random parents have together, the size of a new item is binomial
    (neuroidal_memory:one-step); how many that are, is hypergeometric.

    Args:
        sizes: of the items to begin with, whole, (m,).
        generations: how often all items are replaced by JOINs of pairs.
        n: neurons.
        p: chance of an edge.
        k: threshold.
        generator: draws pairs and sizes.

    Returns:
        Sizes (m,) in each generation, the first one included.

    """
    found = [np.asarray(sizes, dtype=float)]
    for _ in range(generations):
        old, m = found[-1].astype(int), len(found[-1])
        first = generator.integers(m, size=m)
        second = (first + generator.integers(1, m, size=m)) % m  # another one
        shared = generator.hypergeometric(old[first], n - old[first], old[second])
        together = old[first] + old[second] - shared
        found.append(generator.binomial(n, tail(together, p, k)).astype(float))
    return found
