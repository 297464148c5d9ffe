"""JAX's random numbers without JAX: enough of them to draw the very signal that the paper's notebook draws.

Threefry-2x32 with 20 rounds (Salmon et al., SC'11), as ``jax.random`` uses it by default.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erfinv

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry(key: tuple[int, int], left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Encrypt pairs of 32-bit counters under a key of two 32-bit words.

    Args:
        key: two words below 2³².
        left: the first word of each counter, uint32.
        right: the second, of the same shape.

    Returns:
        Two arrays of words, uint32.

    >>> [hex(int(word[0])) for word in threefry((0, 0), *np.zeros((2, 1), np.uint32))]
    ['0x6b200159', '0x99ba4efe']

    """
    first, second = (np.uint32(word) for word in key)
    words = (first, second, first ^ second ^ np.uint32(0x1BD11BDA))
    x, y = left + words[0], right + words[1]
    for block in range(5):
        for turn in ROTATIONS[block % 2]:
            x = x + y
            y = (y << np.uint32(turn) | y >> np.uint32(32 - turn)) ^ x
        x, y = x + words[(block + 1) % 3], y + words[(block + 2) % 3] + np.uint32(block + 1)
    return x, y


def jax_normal(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return ``jax.random.normal(jax.random.PRNGKey(seed), shape)``, float32, for an even number of entries.

    Args:
        seed: below 2³².
        shape: of the result.

    Returns:
        Normal numbers of this shape; they agree with JAX's to rounding.

    Raises:
        ValueError: for an odd number of entries, or a seed out of range.

    >>> [round(float(value), 4) for value in jax_normal(0, (10,))[:3]]
    [-0.3721, 0.2642, -0.1825]

    """
    size = int(np.prod(shape))
    if size % 2 or not 0 <= seed < 2**32:
        raise ValueError(f"the number of entries must be even and the seed a word of 32 bits; got {size} and {seed}")
    counters = np.arange(size, dtype=np.uint32)
    bits = np.concatenate(threefry((0, seed), counters[: size // 2], counters[size // 2 :]))
    unit = (bits >> np.uint32(9) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)  # in [0, 1)
    low = np.nextafter(np.float32(-1), np.float32(0))
    uniform = np.maximum(low, unit * (np.float32(1) - low) + low)
    return np.asarray(np.float32(np.sqrt(2)) * erfinv(uniform), dtype=np.float32).reshape(shape)
