"""Random numbers, gaps and binomial laws once more, in plain Python: unbounded integers and fractions."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from math import comb

WORD = 2**64


def splitmix(seed: int, index: int) -> int:
    """Return output ``index`` of the SplitMix64 that starts at ``seed``, an unsigned word."""
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) % WORD
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORD
    return z ^ (z >> 31)


def exactly(n: int, p: Fraction, k: int) -> Fraction:
    """Return the chance of k hits in n tries."""
    return comb(n, k) * p**k * (1 - p) ** (n - k) if 0 <= k <= n else Fraction(0)


def tail(n: int, p: Fraction, k: int) -> Fraction:
    """Return the chance of k hits or more in n tries, term by term."""
    return sum((exactly(n, p, i) for i in range(max(k, 0), n + 1)), Fraction(0))


def patterns(tries: int, p: Fraction) -> Iterator[tuple[tuple[int, ...], Fraction]]:
    """Yield every pattern of hits with its probability."""
    for hits in product((0, 1), repeat=tries):
        yield hits, p ** sum(hits) * (1 - p) ** (tries - sum(hits))
