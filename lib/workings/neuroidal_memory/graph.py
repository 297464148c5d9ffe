"""A random directed graph that is never stored: the list of each neuron grows again from its key whenever it fires."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from workings.neuroidal_memory import kernel
from workings.neuroidal_memory.gaps import gaps
from workings.neuroidal_memory.splitmix import outputs
from workings.typed import Integers, Whole

LEAST_BLOCK = 2**18  # targets walked at a time: counters of one block stay in the processor's cache
LAST = 2**63 - 1


def sources(neurons: Tensor, n: int, device: torch.device) -> Tensor:
    """Return a set of neurons in order, each once.

    Args:
        neurons: numbers from 0 to n - 1, of an integer type.
        n: how many neurons there are.
        device: where the set is to be.

    Returns:
        The set, int64, of one dimension.

    Raises:
        TypeError: for what are no integers.
        ValueError: for neurons that are not there.

    """
    if neurons.dtype.is_floating_point or neurons.dtype == torch.bool:
        raise TypeError(f"neurons are numbered by integers; got {neurons.dtype}")
    found: Tensor = neurons.to(device, torch.int64).reshape(-1).unique()
    if found.numel() and not 0 <= int(found[0]) <= int(found[-1]) < n:
        raise ValueError(f"neurons run from {int(found[0])} to {int(found[-1])}; there are 0 to {n - 1}")
    return found


class RandomGraph:
    r"""G(n, d/n): every ordered pair of different neurons has an edge with probability p = d/n, independently.

    The targets are cut into blocks, and neuron i reaches into block b by a walk of geometric gaps
    (neuroidal_memory:gap) whose random numbers are those of SplitMix64 with a key made of the seed, i and b. A
    Bernoulli process has no memory, so that starting afresh at each block changes nothing. All is integers: a seed
    gives the same graph on every device, with numba and without.

    Args:
        n: neurons.
        d: mean number of edges out of a neuron; p = d/n lies between 1e-8 and 1/2.
        seed: names the graph.
        device: where neurons fire.
        fused: whether to walk by a loop that numba compiles, on the CPU; None for where numba is installed.

    Raises:
        ValueError: for n, d, a seed or a device that do not fit.
        ImportError: for ``fused=True`` without numba.

    >>> graph = RandomGraph(1000, 4, seed=1)
    >>> graph.targets(7).tolist()
    [216, 484, 509, 689, 940]
    >>> graph.fires(torch.arange(500), 7).tolist()  # neurons with seven inputs or more from the first half
    [2, 266, 338, 619, 665, 867, 929, 944]

    """

    def __init__(
        self, n: int, d: float, seed: int = 0, device: torch.device | str = "cpu", fused: bool | None = None
    ) -> None:
        if n < 2 or not 1e-8 <= d / n <= 0.5:
            raise ValueError(f"n is {n} and d is {d}; n must be at least 2, and d/n lie between 1e-8 and 1/2")
        self.n, self.d, self.p, self.seed, self.device = n, d, d / n, seed, torch.device(device)
        if fused and self.device.type != "cpu":
            raise ValueError(f"the compiled loop runs on the CPU, not on {self.device}; leave fused out")
        if fused and not kernel.available():
            raise ImportError('fused=True needs numba: pip install "workings[fast]"')
        self.fused = self.device.type == "cpu" and kernel.available() if fused is None else fused
        self.block = max(LEAST_BLOCK, 1 << math.ceil(math.log2(100 / self.p)))
        self.blocks = -(-n // self.block)
        self.gaps = gaps(self.p).to(self.device)
        self.chunk = 2**24 if self.device.type == "cuda" else 2**16  # random numbers at a time
        self._first = outputs(torch.tensor(seed), torch.tensor(0)).to(self.device)

    def __repr__(self) -> str:
        return f"RandomGraph(n={self.n}, d={self.d:g}, seed={self.seed})"

    def _size(self, block: int) -> int:
        return min(self.block, self.n - block * self.block)

    def _keys(self, firing: Tensor, block: int) -> Tensor:
        return outputs(self._first, firing * self.blocks + block)

    def _walks(self, firing: Tensor, block: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield rows, their positions in the block from 1 on (rows, k), and whether there is an edge (rows, k).

        Rows that have not come to the end of the block in k steps go on in a later piece.
        """
        size = self._size(block)
        mean = self.p * size * 16 / 15  # a sixteenth of all numbers are no edge
        for chunk in firing.split(max(1, int(self.chunk / (mean + 3 * mean**0.5 + 4)))):
            rows, keys, steps = chunk, self._keys(chunk, block), int(mean + 3 * mean**0.5) + 4
            start, drawn = torch.zeros_like(rows), 0
            while rows.numel():
                index = torch.arange(drawn, drawn + steps, device=self.device)
                u = outputs(keys[:, None], index).bitwise_right_shift_(1).bitwise_and_(LAST)
                g = self.gaps.count(u.view(-1)).view(u.shape)
                edge = g < self.gaps.longest
                position = torch.cumsum(g.add_(1).clamp_(max=self.gaps.longest), 1, dtype=torch.int64)
                position += start[:, None]
                yield rows, position, edge
                on = position[:, -1] < size
                rows, keys, start, drawn = rows[on], keys[on], position[on, -1], drawn + steps
                steps = int(mean**0.5) + 4

    def _count(self, firing: Tensor, block: int) -> Tensor:
        """Return how many edges each neuron of a block gets from a set; no source has two edges to one target."""
        short = self.device.type == "cpu" and len(firing) < 2**15
        size, dtype = self._size(block), torch.int16 if short else torch.int32
        if self.fused:
            counts = torch.zeros(size, dtype=dtype)
            kernel.count(self._keys(firing, block), firing - block * self.block, self.gaps, counts)
            return counts
        counts = torch.zeros(size + 2, dtype=dtype, device=self.device)  # of positions 0 (none) to beyond the end
        for rows, position, edge in self._walks(firing, block):
            own = rows - (block * self.block - 1)
            inside = (own > 0) & (own <= size)
            edge[inside] &= position[inside] != own[inside, None]
            counts.scatter_add_(0, position.clamp_(max=size + 1).view(-1), edge.to(dtype).view(-1))
        return counts[1:-1]

    def edges(self, neurons: Tensor) -> tuple[Tensor, Tensor]:
        """Return all edges out of a set of neurons, as sources and targets, sorted by source and then by target.

        Args:
            neurons: the set, int64.

        Returns:
            Two tensors of one length, int64.

        """
        found_from, found_to = [], []
        firing = sources(neurons, self.n, self.device)
        for block in range(self.blocks):
            first = block * self.block - 1
            for rows, position, edge in self._walks(firing, block):
                edge &= (position <= self._size(block)) & (position + first != rows[:, None])
                found_from.append(rows[:, None].expand_as(position)[edge])
                found_to.append(position[edge] + first)
        if not found_from:
            return firing, firing.clone()
        rows, targets = torch.cat(found_from), torch.cat(found_to)
        order = torch.argsort(targets)
        order = order[torch.argsort(rows[order], stable=True)]
        return rows[order], targets[order]

    def targets(self, neuron: Whole) -> Tensor:
        """Return the neurons that one neuron reaches, in order, int64."""
        return self.edges(torch.tensor([neuron]))[1]

    def inputs(self, neurons: Tensor) -> Tensor:
        """Return how many edges each of the n neurons gets from a set.

        Args:
            neurons: the set that fires, int64.

        Returns:
            Counts (n,), int16 or int32.

        """
        firing = sources(neurons, self.n, self.device)
        return torch.cat([self._count(firing, block) for block in range(self.blocks)])

    def fires(self, neurons: Tensor, k: int) -> Tensor:
        """Return which neurons get at least k edges from a set; of counters, only one block's are ever held.

        Args:
            neurons: the set that fires, int64.
            k: how many edges it takes, at least 1.

        Returns:
            Neurons in order, int64.

        Raises:
            ValueError: for a k below 1.

        """
        if k < 1:
            raise ValueError(f"k is {k}; it takes at least one edge to fire a neuron")
        firing = sources(neurons, self.n, self.device)
        return torch.cat([
            torch.nonzero(self._count(firing, block) >= k)[:, 0] + block * self.block for block in range(self.blocks)
        ])  # fmt: skip

    def inputs_to(self, neurons: Tensor, targets: Integers) -> Tensor:
        """Return how many edges each of ``targets`` gets from a set.

        Args:
            neurons: the set that fires, int64.
            targets: neurons, int64, (m,).

        Returns:
            Counts (m,), int64.

        """
        firing, targets = sources(neurons, self.n, self.device), targets.to(self.device)
        found = torch.zeros(len(targets), dtype=torch.int64, device=self.device)
        where = targets // self.block
        for block in where.unique().tolist():
            here = where == block
            found[here] = self._count(firing, block)[targets[here] - block * self.block].long()
        return found
