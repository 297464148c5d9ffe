"""The graph once more, in plain Python: unbounded integers, fractions, one neuron and one target at a time."""

from __future__ import annotations

from fractions import Fraction
from math import comb

WORD = 2**64
GAMMA = 0x9E3779B97F4A7C15


def splitmix(seed: int, index: int) -> int:
    """Return output ``index`` of the SplitMix64 that starts at ``seed``, an unsigned word, as Vigna's C has it."""
    z = (seed + (index + 1) * GAMMA) % WORD
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORD
    return z ^ (z >> 31)


def survival(p: float) -> list[int]:
    """Return 2^63 (1-p)^g for g = 1, 2, ... by repeated rounding, until it is below a sixteenth."""
    left, found, rate = 2**63, [], round(Fraction(p) * WORD)
    while left >= 2**59:
        left -= (left * rate + 2**63) // WORD
        found.append(left)
    return found


def targets(seed: int, n: int, d: float, neuron: int, block: int = 2**18) -> list[int]:
    """Walk along the targets of one neuron."""
    table, blocks, found = survival(d / n), -(-n // block), []
    for b in range(blocks):
        key = splitmix(splitmix(seed, 0), neuron * blocks + b)
        here, index = b * block - 1, 0
        while True:
            u = splitmix(key, index) >> 1
            index += 1
            above = sum(u < entry for entry in table)
            here += min(above + 1, len(table))
            if here >= min((b + 1) * block, n):
                break
            if above < len(table) and here != neuron:
                found.append(here)
    return found


def tail(n: int, p: Fraction, k: int) -> Fraction:
    """Return the chance of k hits or more in n tries, by summing the binomial law."""
    return sum((comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1)), Fraction(0))
