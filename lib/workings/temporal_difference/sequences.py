"""Sequences of observations that end with an outcome, of different lengths, in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sequences:
    r"""A batch of sequences :math:`x_1, \dots, x_m, z`, each of its own length m.

    Observations are kept as rows of a table, so that a walk among five states is a list of small integers.

    Args:
        index: which row is observed when, (..., T); beyond the end of a sequence it may be any row.
        lengths: m, from 1 to T, (...).
        z: the outcomes, (...).
        table: the observations, (n, d).

    Raises:
        ValueError: for shapes that do not fit, a length out of range, or an index that is no row.

    >>> walks = Sequences.of([torch.eye(2), torch.eye(2)[:1]], [1.0, 0.0])  # two steps, then one
    >>> walks.lengths.tolist(), walks.visits().tolist()
    ([2, 1], [[1, 1], [1, 0]])
    >>> walks.x[1].tolist()  # zero beyond the end
    [[1.0, 0.0], [0.0, 0.0]]

    """

    index: Tensor
    lengths: Tensor
    z: Tensor
    table: Tensor

    def __post_init__(self) -> None:
        shape, longest = self.index.shape[:-1], self.index.shape[-1] if self.index.dim() else 0
        if self.table.dim() != 2:
            raise ValueError(f"table has shape {tuple(self.table.shape)}; it must be (rows, features)")
        if self.lengths.shape != shape or self.z.shape != shape:
            raise ValueError(
                f"index has shape {tuple(self.index.shape)}, so lengths and z must have shape {tuple(shape)}; "
                f"got {tuple(self.lengths.shape)} and {tuple(self.z.shape)}"
            )
        if self.lengths.numel() and not 1 <= int(self.lengths.min()) <= int(self.lengths.max()) <= longest:
            raise ValueError(
                f"lengths run from {int(self.lengths.min())} to {int(self.lengths.max())}; "
                f"for {longest} columns they must lie in 1 to {longest}"
            )
        if self.index.numel() and not 0 <= int(self.index.min()) <= int(self.index.max()) < len(self.table):
            raise ValueError(
                f"index runs from {int(self.index.min())} to {int(self.index.max())}; "
                f"the table has rows 0 to {len(self.table) - 1}"
            )

    @classmethod
    def of(cls, observations: Sequence[Tensor], outcomes: Sequence[float]) -> Sequences:
        """Make a batch from a list of sequences (m, d) and their outcomes. Equal observations share a row.

        Raises ``ValueError`` for no sequences, an empty one, another number of outcomes, or other widths.
        """
        if not len(observations) or len(observations) != len(outcomes):
            raise ValueError(f"got {len(observations)} sequences and {len(outcomes)} outcomes; give one for each")
        shapes = [tuple(x.shape) for x in observations]
        if any(len(s) != 2 or s[0] < 1 or s[1] != shapes[0][-1] for s in shapes):
            raise ValueError(f"observations have shapes {shapes}; each must be (m, d) with m ≥ 1 and one d for all")
        table, rows = torch.unique(torch.cat(list(observations)), dim=0, return_inverse=True)
        table, rows = table.flip(0), len(table) - 1 - rows  # so that unit vectors stay in their order
        lengths = torch.tensor([s[0] for s in shapes], device=rows.device)
        index = torch.nn.utils.rnn.pad_sequence(list(rows.split(lengths.tolist())), batch_first=True)
        return cls(index, lengths, torch.as_tensor(outcomes, dtype=table.dtype, device=table.device), table)

    def __getitem__(self, key: Any) -> Sequences:
        """Return some of the batch, as one indexes its leading dimensions."""
        return replace(self, index=self.index[key], lengths=self.lengths[key], z=self.z[key])

    @property
    def shape(self) -> torch.Size:
        """The batch shape."""
        return self.lengths.shape

    @property
    def mask(self) -> Tensor:
        """Where there is an observation, (..., T)."""
        return torch.arange(self.index.shape[-1], device=self.index.device) < self.lengths[..., None]

    @property
    def x(self) -> Tensor:
        """The observations, zero beyond each end, (..., T, d)."""
        return self.table[self.index] * self.mask[..., None]

    def visits(self) -> Tensor:
        """Return how often each row of the table is observed in each sequence, (..., n)."""
        found = torch.zeros(*self.shape, len(self.table), dtype=torch.long, device=self.index.device)
        return found.scatter_add_(-1, self.index, self.mask.long())

    def with_outcomes(self, z: Tensor | float) -> Sequences:
        """Return the same observations with other outcomes, which broadcast."""
        return replace(self, z=torch.as_tensor(z, dtype=self.z.dtype, device=self.z.device).expand(self.shape))

    def to(self, device: torch.device | str) -> Sequences:
        """Return the batch on another device."""
        return Sequences(*(part.to(device) for part in (self.index, self.lengths, self.z, self.table)))
