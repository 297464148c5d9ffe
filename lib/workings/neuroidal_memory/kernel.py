"""The walk along the gaps as one compiled loop, where numba is installed: the same edges as in plain torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec

from torch import Tensor

from workings.neuroidal_memory.gaps import Gaps

AT_ONCE = 32  # random numbers of a row that are drawn together; those beyond the end of a block are left


def available() -> bool:
    """Return whether numba is installed."""
    return find_spec("numba") is not None


@lru_cache(maxsize=1)
def compiled() -> Callable[..., None]:
    """Compile the loop."""
    import numba as nb
    import numpy as np

    gamma, one = np.uint64(0x9E3779B97F4A7C15), np.uint64(1)
    first, second = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
    s30, s27, s31 = np.uint64(30), np.uint64(27), np.uint64(31)

    @nb.njit(boundscheck=False)
    def walk(keys, own, survival, guide, shift, rounds, counts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        size, longest, gaps = counts.shape[0], survival.shape[0] - 1, np.empty(AT_ONCE, np.int64)
        for row in range(keys.shape[0]):
            state, position, self = keys[row], np.int64(-1), own[row]
            while position < size:
                for c in range(AT_ONCE):  # loops that a processor runs several turns of at a time
                    z = state + gamma * np.uint64(c + 1)
                    z = (z ^ (z >> s30)) * first
                    z = (z ^ (z >> s27)) * second
                    gaps[c] = np.int64((z ^ (z >> s31)) >> one)
                for c in range(AT_ONCE):
                    u = gaps[c]
                    g = np.int64(guide[u >> shift])
                    for _ in range(rounds):
                        g += np.int64(u < survival[g])
                    gaps[c] = g
                state += gamma * np.uint64(AT_ONCE)
                for c in range(AT_ONCE):
                    position += min(gaps[c] + 1, longest)
                    if position >= size:
                        break
                    if gaps[c] < longest and position != self:
                        counts[position] += 1

    return walk


def count(keys: Tensor, own: Tensor, gaps: Gaps, counts: Tensor) -> None:
    """Walk all rows of a block and add to its counters.

    Args:
        keys: one for each row, int64 on the CPU.
        own: where in the block the row's own neuron lies, or a negative number, int64.
        gaps: the law of gaps.
        counts: one for each neuron of the block, added to.

    """
    import numpy as np

    compiled()(
        keys.numpy().view(np.uint64), own.numpy(), gaps.survival.numpy(), gaps.guide.numpy(), gaps.shift, gaps.rounds,
        counts.numpy(),
    )  # fmt: skip
