"""SplitMix64 on signed integers: random numbers that need no state, the same bits on every device.

Steele, Lea and Flood (2014), `Fast splittable pseudorandom number generators`. The numbers are those of unsigned
64-bit arithmetic; torch has only signed integers, which wrap in the same way, and shifts that copy the sign, which are
masked here.
"""

from __future__ import annotations

from torch import Tensor

from workings.typed import Integers


def signed(word: int) -> int:
    """Return the 64-bit word as the signed integer with the same bits."""
    word &= 2**64 - 1
    return word - 2**64 if word >= 2**63 else word


GAMMA = signed(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd
ROUNDS = ((30, signed(0xBF58476D1CE4E5B9)), (27, signed(0x94D049BB133111EB)), (31, 1))  # shift, multiplier


def mix(z: Integers) -> Tensor:
    """Scramble 64-bit words in place, one to one: the output function of SplitMix64.

    Args:
        z: words, int64; it is overwritten.

    Returns:
        ``z`` itself.

    >>> import torch
    >>> mix(torch.tensor([1234567]) + GAMMA).item()  # the first output for the seed 1234567
    6457827717110365317

    """
    for shift, multiplier in ROUNDS:
        z ^= (z >> shift).bitwise_and_(2 ** (64 - shift) - 1)
        if multiplier != 1:
            z *= multiplier
    return z


def outputs(seed: Tensor, index: Tensor) -> Tensor:
    """Return output number ``index`` (from 0) of the SplitMix64 that begins at ``seed``.

    Args:
        seed: 64-bit words, int64.
        index: which outputs, int64, broadcast against ``seed``.

    Returns:
        64-bit words of the broadcast shape.

    >>> import torch
    >>> outputs(torch.tensor(1234567), torch.arange(2)).tolist()
    [6457827717110365317, 3203168211198807973]

    """
    return mix(seed + (index + 1) * GAMMA)
