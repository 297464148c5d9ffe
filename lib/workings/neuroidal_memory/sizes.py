r"""How large items are that JOIN makes, in closed form, and the size that reproduces itself.

Everything is a tail of binomial laws: a neuron gets an edge from each of N firing ones with probability p,
independently. Sizes need not be whole numbers here, so that one can solve for them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import betainc, betaln, xlog1py, xlogy

from workings.typed import NonNegative, Positive, Whole

Array = NDArray[np.float64]


def tail(N: ArrayLike, p: ArrayLike, k: ArrayLike) -> Array:
    r"""Return :math:`B(N, p, k)`, the chance of k hits or more in N tries (neuroidal_memory:tail).

    As a regularised incomplete beta function, :math:`I_p(k, N - k + 1)`, which a real N suits as well.

    Args:
        N: tries, at least 0, broadcast.
        p: chance of a hit, from 0 to 1.
        k: hits, whole; certain for 0 and below.

    Returns:
        Probabilities of the broadcast shape.

    >>> float(tail(4, 0.5, 3))  # (4 + 1) / 16
    0.3125

    """
    N, p, k = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (N, p, k)))
    possible = np.maximum(N - k + 1, 1e-300)
    return np.where(k <= 0, 1.0, np.where(N - k + 1 <= 0, 0.0, betainc(np.maximum(k, 1), possible, p)))


def exactly(N: ArrayLike, p: ArrayLike, k: ArrayLike) -> Array:
    r"""Return :math:`T(N, p, k)`, the chance of exactly k hits in N tries, computed in logarithms.

    Args:
        N: tries, at least 0, broadcast; a real number will do.
        p: chance of a hit, from 0 to 1.
        k: hits, whole, at least 0.

    Returns:
        Probabilities of the broadcast shape.

    >>> float(exactly(4, 0.5, 2).round(4))
    0.375

    """
    N, p, k = (np.asarray(v, dtype=float) for v in (N, p, k))
    rest = np.maximum(N - k, 0.0)
    logarithm = -betaln(rest + 1, k + 1) - np.log(N + 1) + xlogy(k, p) + xlog1py(rest, -p)
    return np.where(k > N, 0.0, np.exp(logarithm))


def one_step_size(r: ArrayLike, n: NonNegative, p: float, k: ArrayLike, s: ArrayLike | None = None) -> Array:
    r"""Return the expected size of a one-step JOIN of random items (neuroidal_memory:one-step).

    Args:
        r: size of A.
        n: neurons.
        p: chance of an edge.
        k: edges from A and B together that fire a neuron.
        s: size of B; that of A if None.

    Returns:
        Expected sizes.

    >>> float(one_step_size(2134, 1e5, 512 / 1e5, 32).round())  # about as many as an item has
    2132.0

    """
    r = np.asarray(r, dtype=float)
    s = r if s is None else np.asarray(s, dtype=float)
    return n * tail(r + s - r * s / n, p, k)


def two_step_size(r: ArrayLike, n: NonNegative, p: float, k: Whole, shared: bool = True) -> Array:
    r"""Return the expected size of a two-step JOIN: k edges from A, and k from B (neuroidal_memory:two-step).

    Args:
        r: size of both items.
        n: neurons.
        p: chance of an edge.
        k: edges from each that it takes.
        shared: whether A and B are random items, which share :math:`r^2/n` neurons; else they are disjoint.

    Returns:
        Expected sizes.

    >>> [float(two_step_size(2338, 1e5, 512 / 1e5, 16, shared).round()) for shared in (True, False)]
    [2483.0, 2338.0]

    """
    r = np.asarray(r, dtype=float)
    return n * both(r, p, k, r * r / n if shared else 0 * r)


def both(r: ArrayLike, p: float, k: int, common: ArrayLike) -> Array:
    """Return the chance of k edges or more from each of two sets of r, which have ``common`` neurons in common."""
    r, common = np.asarray(r, dtype=float), np.asarray(common, dtype=float)
    found = tail(common, p, k)
    for i in range(k):
        found = found + exactly(common, p, i) * tail(r - common, p, k - i) ** 2
    return found


def replicating_size(size: Callable[[float], float | Array], n: Positive) -> float:
    r"""Return the size r > 0 of items that JOIN reproduces, :math:`\mathbb{E}|C| = r` (neuroidal_memory:fixed-point).

    Args:
        size: expected size of C for items of a size, such as `one_step_size`.
        n: neurons.

    Returns:
        r, below n/2.

    Raises:
        ValueError: where no size reproduces itself: too few edges for the threshold.

    >>> round(replicating_size(lambda r: one_step_size(r, 1e5, 512 / 1e5, 32), 1e5), 1)
    2134.2

    """

    def growth(log_r: float) -> float:
        r = np.exp(log_r)
        return float(np.log(np.maximum(size(r), 1e-300)) - log_r)

    low, high = 0.0, float(np.log(n / 2))
    if growth(high) <= 0 or growth(low) >= 0:
        raise ValueError(
            f"no size of items between 1 and n/2 = {n / 2:g} reproduces itself: from these, JOIN makes items of "
            f"{float(size(1.0)):.3g} and {float(size(n / 2)):.3g}; change the threshold k or the number of edges d"
        )
    return float(np.exp(brentq(growth, low, high, xtol=1e-12)))


def elasticity(size: Callable[[float], float | Array], r: float) -> float:
    r"""Return :math:`\mathrm{d} \log \mathbb{E}|C| / \mathrm{d} \log r`, by what errors of size grow in one JOIN.

    Equation neuroidal_memory:elasticity; by a central difference.

    Args:
        size: expected size of C for items of a size.
        r: where.

    Returns:
        A number.

    >>> round(elasticity(lambda r: one_step_size(r, 1e5, 512 / 1e5, 32), 2134.2), 1)
    11.9

    """
    h = 1e-5
    return float((np.log(size(r * np.exp(h))) - np.log(size(r * np.exp(-h)))) / (2 * h))


def link_yield(r: ArrayLike, n: NonNegative, p: float, k: ArrayLike, fraction: ArrayLike = 1.0) -> Array:
    r"""Return the expected share of E that fires when D does, over a LINK (neuroidal_memory:link).

    Args:
        r: size of D.
        n: neurons.
        p: chance of an edge.
        k: edges that fire a relay, and edges from relays that fire a neuron of E.
        fraction: share of D that fires.

    Returns:
        Shares from 0 to 1.

    >>> link_yield(2338, 1e5, 512 / 1e5, 16, [1.0, 0.5]).round(6).tolist()  # all of D, half of it
    [1.0, 0.0]

    """
    return tail(n, p * tail(np.asarray(fraction) * np.asarray(r, dtype=float), p, k), k)


def conditions(n: Positive, d: float, r: NonNegative, k: Whole) -> dict[str, float]:
    r"""Return the quantities of Valiant's conditions for items of size r, two-step JOIN and LINK at threshold k.

    Args:
        n: neurons.
        d: mean number of edges out of a neuron.
        r: size of items.
        k: threshold.

    Returns:
        ``size``: :math:`\mathbb{E}|C|/r` for disjoint items, to be near 1; ``half``: share of C that fires when half
        of A and all of B do, to be near 0; ``confused``: what JOIN(A, B) and JOIN(A, D) share, in units of r, to be
        below a third; ``link``: share of E that fires, to be near 1; ``half-link``: the same for half of D, near 0.

    >>> {name: round(value, 2) for name, value in conditions(1e5, 512, 2338, 16).items()}
    {'size': 1.0, 'half': 0.0, 'confused': 0.15, 'link': 1.0, 'half-link': 0.0}

    """
    p = d / n
    full, half = tail(r, p, k), tail(r / 2, p, k)
    return {
        "size": float(n * full**2 / r),
        "half": float(half / full),
        "confused": float(n * full**3 / r),
        "link": float(link_yield(r, n, p, k)),
        "half-link": float(link_yield(r, n, p, k, 0.5)),
    }
