"""The references near a tensor as a picture: operations on the left, tensors on the right, the cycle marked."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from workings.gpu_memory_leak.cycles import closing
from workings.gpu_memory_leak.graph import ReferenceGraph, reference_graph

STOP = "AddmmBackward0"  # the layer that made the tensor: what lies behind it is older


@dataclass(frozen=True)
class Picture:
    """Labels at places, and arrows between them; words and numbers only.

    Attributes:
        labels: the operations' names, and the tensors' shapes; ``x`` is the tensor itself.
        places: of each label, (x, y): operations at x = 0, tensors at x = 1.
        arrows: from label, to label, and whether the arrow lies on the cycle.

    """

    labels: list[str]
    places: list[tuple[float, float]]
    arrows: list[tuple[int, int, bool]]


def picture(x: Tensor) -> Picture:
    """Lay out what ``x`` holds, back to the layer that made it.

    Args:
        x: a tensor, such as an activation after a statement was run on it.

    Returns:
        The picture; of several cycles the first is marked.

    Raises:
        TypeError: ``x`` is no tensor.

    >>> import torch
    >>> x = torch.nn.Linear(2, 2)(torch.ones(3, 2))
    >>> drawn = picture(x.exp())
    >>> drawn.labels
    ['x', 'Exp', 'Addmm', '3×2']

    """
    graph = reference_graph(x)
    cycle = _around(graph)
    near = _near(graph)
    labels = ["x" if i == 0 else _label(graph.vertices[i], name) for i, name in enumerate(graph.names)]
    rows = {True: 0, False: 0}
    places = {}
    for i in near:
        is_tensor = isinstance(graph.vertices[i], Tensor)
        places[i] = (float(is_tensor), -float(rows[is_tensor]))
        rows[is_tensor] += 1
    number = {i: n for n, i in enumerate(near)}
    arrows = {(e.source, e.target) for e in graph.edges if e.source in number and e.target in number}
    return Picture(
        [labels[i] for i in near],
        [places[i] for i in near],
        sorted((number[a], number[b], (a, b) in cycle) for a, b in arrows if graph.names[a] != STOP),
    )


def _around(graph: ReferenceGraph) -> set[tuple[int, int]]:
    """Return the references of the first cycle."""
    for edge in closing(graph):
        way = [*graph.path(edge.target, edge.source), edge.target]
        return set(pairwise(way))
    return set()


def _near(graph: ReferenceGraph) -> list[int]:
    """Return the vertices up to the layer, in the order in which they are met."""
    after, found = graph.after(), [0]
    for i in found:
        if graph.names[i] != STOP:
            found += [t for t in dict.fromkeys(edge.target for edge in after[i]) if t not in found]
    return found


def _label(vertex: object, name: str) -> str:
    if isinstance(vertex, Tensor):
        return "×".join(map(str, vertex.shape)) or "number"
    return name.partition("Backward")[0].removeprefix("Linalg")
