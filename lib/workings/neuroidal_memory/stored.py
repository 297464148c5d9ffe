"""A graph that is stored, row by row, for sizes where that is possible: the same operations from a list of edges."""

from __future__ import annotations

import torch
from torch import Tensor

from workings.neuroidal_memory.graph import RandomGraph, sources
from workings.typed import Integers, Whole


class StoredGraph:
    """Compressed rows: all targets of neuron 0, then those of neuron 1, and so on.

    Args:
        graph: the graph to store; it may have 2³⁰ edges at most.

    Raises:
        ValueError: for a larger one.

    >>> graph = RandomGraph(1000, 10, seed=1)
    >>> stored, firing = StoredGraph(graph), torch.arange(100)
    >>> bool((stored.inputs(firing) == graph.inputs(firing)).all())
    True

    """

    def __init__(self, graph: RandomGraph) -> None:
        if graph.n * graph.d > 2**30:
            raise ValueError(f"{graph} has about {graph.n * graph.d:.2g} edges; at most 2^30 are stored")
        self.n, self.device = graph.n, graph.device
        pieces = [graph.edges(some) for some in torch.arange(graph.n, device=self.device).split(4096)]
        self.targets = torch.cat([targets.to(torch.int32) for _, targets in pieces])
        degrees = torch.bincount(torch.cat([rows for rows, _ in pieces]), minlength=self.n)
        self.offsets = torch.cat((degrees.new_zeros(1), degrees.cumsum(0)))

    def edges(self, neurons: Tensor) -> tuple[Tensor, Tensor]:
        """Return all edges out of a set of neurons, as sources and targets, as `RandomGraph.edges` does."""
        rows = sources(neurons, self.n, self.device)
        degrees = self.offsets[rows + 1] - self.offsets[rows]
        before = degrees.cumsum(0) - degrees
        start = (self.offsets[rows] - before).repeat_interleave(degrees)
        index = start + torch.arange(len(start), device=self.device)
        return rows.repeat_interleave(degrees), self.targets[index].long()

    def inputs(self, neurons: Tensor) -> Tensor:
        """Return how many edges each of the n neurons gets from a set, (n,)."""
        return torch.bincount(self.edges(neurons)[1], minlength=self.n)

    def inputs_to(self, neurons: Tensor, targets: Integers) -> Tensor:
        """Return how many edges each of ``targets`` gets from a set, (m,)."""
        return self.inputs(neurons)[targets]

    def fires(self, neurons: Tensor, k: Whole) -> Tensor:
        """Return which neurons get at least k edges from a set, in order."""
        return torch.nonzero(self.inputs(neurons) >= k)[:, 0]
