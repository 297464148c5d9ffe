r"""How far to the next edge: the geometric law as a table of integers.

If each of a row of targets is hit independently with probability p, the distance G from one hit to the next has
:math:`P(G > g) = (1-p)^g`. A table of that survival function, in units of :math:`2^{-63}` and cut off where it falls
below a sixteenth, turns a random integer into a gap by comparing alone. Beyond the cut nothing is lost: a Bernoulli
process does not remember, so one moves on by the length of the table, without a hit, and draws again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from workings.typed import Integers, Whole

ONE = 2**63  # probability one
CUT = ONE // 16  # the table ends below this


@dataclass(frozen=True)
class Gaps:
    r"""The law of gaps for one p.

    Attributes:
        survival: :math:`2^{63} P(G > g)` for g = 1, ..., L, decreasing, and a final -1, int64 (L + 1,).
        guide: for each value of the top bits of u, how many entries of ``survival`` surely exceed u, int32.
        shift: u shifted right by this is an index into ``guide``.
        rounds: how many entries may have to be compared beyond the guide; one, where the guide is fine enough.

    """

    survival: Tensor
    guide: Integers
    shift: Whole
    rounds: Whole

    @property
    def longest(self) -> int:
        """L, after which one draws again."""
        return len(self.survival) - 1

    def to(self, device: torch.device | str) -> Gaps:
        """Return the tables on another device."""
        return Gaps(self.survival.to(device), self.guide.to(device), self.shift, self.rounds)

    def count(self, u: Tensor) -> Tensor:
        r"""Return how many entries of the table exceed u: g for a gap of g + 1, L if one has to draw again.

        Args:
            u: uniform integers from 0 to :math:`2^{63} - 1`, int64, of one dimension.

        Returns:
            Counts from 0 to L, int32, of that shape.

        """
        g = self.guide.index_select(0, u >> self.shift)
        for _ in range(self.rounds):
            g += u < self.survival.index_select(0, g)
        return g


@lru_cache(maxsize=16)
def gaps(p: float) -> Gaps:
    r"""Tabulate the law of gaps in integers alone, so that it has the same bits everywhere.

    :math:`S_g = S_{g-1} - \lfloor S_{g-1} P / 2^{64} \rceil` with :math:`P = \lfloor 2^{64} p \rceil` and
    :math:`S_0 = 2^{63}` (neuroidal_memory:survival). The chance of a hit that this realises,
    :math:`1 - S_g / S_{g-1}`, differs from p by less than :math:`2^{-59}`.

    Args:
        p: chance of a hit, at least 1e-8 and below 1/2.

    Returns:
        The tables, on the CPU.

    Raises:
        ValueError: for a p out of range.

    >>> table = gaps(0.25)
    >>> [round(s / 2**63, 4) for s in table.survival[:3].tolist()], table.longest
    ([0.75, 0.5625, 0.4219], 10)

    """
    if not 1e-8 <= p <= 0.5:
        raise ValueError(f"p is {p}; the table of gaps is made for 1e-8 ≤ p ≤ 1/2")
    rate, half, left, survival = round(p * 2**64), 2**63, ONE, []
    while left >= CUT:
        left -= (left * rate + half) >> 64
        survival.append(left)
    bits = max(1, int(np.ceil(np.log2(16 / p))))
    found = np.array(survival, dtype=np.int64)
    upper = ((np.arange(1, 2**bits + 1, dtype=np.uint64) << np.uint64(63 - bits)) - np.uint64(1)).astype(np.int64)
    guide = len(found) - np.searchsorted(found[::-1], upper, side="right")  # entries above the bucket's last u
    rounds = int(np.diff(guide[::-1], append=len(found)).max())
    return Gaps(torch.from_numpy(np.append(found, -1)), torch.from_numpy(guide.astype(np.int32)), 63 - bits, rounds)
