"""A plain network for velocities in a few dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from workings.typed import Whole


class VelocityMLP(nn.Module):
    r"""A velocity field :math:`v(t, x)`: SiLU layers on the state with time appended to it.

    Args:
        dim: the dimension d of a state.
        hidden: the widths of the hidden layers.
        frequencies: how many sines and cosines of time to append beside time itself, of 1, 2, … cycles on [0, 1].

    Raises:
        ValueError: without a hidden layer, or for a negative ``frequencies``.

    """

    def __init__(self, dim: Whole, hidden: Sequence[int] = (256, 256, 256), frequencies: int = 0) -> None:
        super().__init__()
        if not hidden:
            raise ValueError(f"hidden must hold the widths of hidden layers, as (256, 256) does; got {hidden!r}")
        if frequencies < 0:
            raise ValueError(f"frequencies must not be negative; got {frequencies}")
        sizes = (dim + 1 + 2 * frequencies, *hidden)
        layers = [layer for m, n in pairwise(sizes) for layer in (nn.Linear(m, n), nn.SiLU())]
        self.net = nn.Sequential(*layers, nn.Linear(hidden[-1], dim))
        self.cycles: Tensor
        self.register_buffer("cycles", 2 * torch.pi * torch.arange(1, frequencies + 1), persistent=False)

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        """Return v(t, x), shape (..., d), for states (..., d) and times 0-dim or (...)."""
        t = t.expand(x.shape[:-1])[..., None]
        phase = t * self.cycles
        v: Tensor = self.net(torch.cat((x, t, torch.sin(phase), torch.cos(phase)), -1))
        return v
