"""Who holds whom: tensors, the nodes of their autograd graph, and the strong references between them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

MODIFIED = "modified by an inplace operation"  # what torch's error says of an overwritten saved tensor
READABLE = hasattr(getattr(torch._C._autograd, "SavedTensor", None), "data")  # whether this torch shows what was saved
Vertex = Any  # a tensor, or a node of the autograd graph, which has no public type


@dataclass(frozen=True)
class Edge:
    """One strong reference between vertices, by their numbers; ``kind`` says which field of the source it is."""

    source: int
    target: int
    kind: str

    @property
    def is_saved(self) -> bool:
        """Whether an operation saved the target for its derivative."""
        return self.kind.startswith("saved ")


@dataclass
class ReferenceGraph:
    """What can be reached from some tensors by strong references that Python's collector does not see.

    Attributes:
        vertices: tensors and nodes, in the order in which they were found; held here, so drop the graph after use.
        edges: the references.

    """

    vertices: list[Vertex] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The vertices in words: a tensor by its shape, a node by its name."""
        return [describe(v) for v in self.vertices]

    def after(self) -> list[list[Edge]]:
        """Return the edges that leave each vertex."""
        leaving: list[list[Edge]] = [[] for _ in self.vertices]
        for edge in self.edges:
            leaving[edge.source].append(edge)
        return leaving

    def components(self) -> list[int]:
        """Return the number of each vertex's strongly connected component: two share one if each reaches the other.

        Tarjan's algorithm without recursion, since a graph can be deeper than Python's stack.
        """
        after, count = self.after(), len(self.vertices)
        order, low, found = [-1] * count, [0] * count, [-1] * count
        stack: list[int] = []
        clock = components = 0
        for root in range(count):
            work = [(root, 0)] if order[root] < 0 else []
            while work:
                v, i = work.pop()
                if i == 0:
                    order[v] = low[v] = clock
                    clock += 1
                    stack.append(v)
                else:  # back from a child
                    low[v] = min(low[v], low[after[v][i - 1].target])
                for j in range(i, len(after[v])):
                    w = after[v][j].target
                    if order[w] < 0:
                        work += [(v, j + 1), (w, 0)]
                        break
                    if found[w] < 0:
                        low[v] = min(low[v], order[w])
                else:
                    if low[v] == order[v]:
                        while True:
                            w = stack.pop()
                            found[w] = components
                            if w == v:
                                break
                        components += 1
        return found

    def path(self, start: int, end: int) -> list[int]:
        """Return the vertices of a shortest path, both ends included, or nothing if there is none."""
        after, back, todo = self.after(), {start: start}, [start]
        for v in todo:
            if v == end:
                break
            for edge in after[v]:
                if edge.target not in back:
                    back[edge.target] = v
                    todo.append(edge.target)
        else:
            return []
        path = [end]
        while path[-1] != start:
            path.append(back[path[-1]])
        return path[::-1]

    def reachable(self, starts: Iterable[int]) -> set[int]:
        """Return all vertices that can be reached from ``starts``, these included."""
        after, todo = self.after(), list(starts)
        seen = set(todo)
        for v in todo:
            new = {edge.target for edge in after[v]} - seen
            seen |= new
            todo += new
        return seen


def reference_graph(*tensors: Tensor) -> ReferenceGraph:
    """Walk the strong references from ``tensors`` through the autograd graph, without changing it.

    A tensor holds the node that made it (``grad_fn``); a node holds the nodes of its inputs (``next``) and what it
    saved; a view holds its base; a leaf holds its gradient, and the node that accumulates it holds the leaf. A saved
    tensor is read without torch's version check, so it is compared as an object: what was saved as an *output* is
    another object than the output, and closes no cycle. Of a view only its base is followed: to ask a view for its
    ``grad_fn`` after the base was overwritten would make a new one.

    Args:
        *tensors: where to start.

    Returns:
        The graph; the tensors come first in it.

    Raises:
        TypeError: one of them is no tensor.

    >>> import torch
    >>> x = torch.ones(2, requires_grad=True) * 1
    >>> y = x.sin()
    >>> reference_graph(y).names[:3]
    ['tensor (2,)', 'SinBackward0', 'MulBackward0']

    """
    for one in tensors:
        if not isinstance(one, Tensor):
            raise TypeError(f"a tensor is needed to start from; got {type(one).__name__}")
    graph, number = ReferenceGraph(), {}
    for one in tensors:
        if id(one) not in number:
            number[id(one)] = len(graph.vertices)
            graph.vertices.append(one)
    for source, vertex in enumerate(graph.vertices):  # grows as we go
        for kind, held in references(vertex):
            if id(held) not in number:
                number[id(held)] = len(graph.vertices)
                graph.vertices.append(held)
            graph.edges.append(Edge(source, number[id(held)], kind))
    return graph


def references(vertex: Vertex) -> Iterator[tuple[str, Vertex]]:
    """Yield what a tensor or a node holds in C++, with the name of the reference."""
    if isinstance(vertex, Tensor):
        if vertex._is_view():
            yield "view of", vertex._base
        elif vertex.grad_fn is not None:
            yield "grad_fn", vertex.grad_fn
        elif vertex.grad is not None:
            yield "grad", vertex.grad
        return
    for inner, _ in vertex.next_functions:
        if inner is not None:
            yield "next", inner
    if hasattr(vertex, "variable"):  # the accumulator of a leaf's gradient
        yield "variable", vertex.variable
    for name in dir(vertex):
        if name.startswith("_raw_saved_"):
            for held in _raw(vertex, name):
                yield f"saved {name.removeprefix('_raw_saved_')}", held


def _raw(node: Vertex, name: str) -> list[Tensor]:
    """Return the tensors in a slot of saved ones; none once a backward pass has released them."""
    try:
        slot = getattr(node, name)
    except RuntimeError:  # released
        return []
    packed = [one.data for one in (slot if isinstance(slot, tuple | list) else [slot]) if hasattr(one, "data")]
    return [t for p in packed for t in (p if isinstance(p, tuple | list) else [p]) if isinstance(t, Tensor)]


def complaint(node: Vertex, slot: str) -> str:
    """Return what torch says when it is asked for what a node saved in ``slot`` and that was overwritten since.

    This is the only evidence where a torch does not show what was saved. It does not say *which* tensor it is. If the
    tensor is a view, the answer gives the view a new ``grad_fn``, so do not ask where nothing must change.
    """
    try:
        getattr(node, f"_saved_{slot}", None)
    except RuntimeError as error:
        if MODIFIED in str(error):
            return str(error).partition(" Hint:")[0]
    return ""


def versions(text: str) -> tuple[int, int] | None:
    """Return the version at which a tensor was saved and that which it has now, from torch's error.

    >>> versions("... is at version 1; expected version 0 instead.")
    (0, 1)
    """
    found = re.search(r"is at version (\d+); expected version (\d+)", text)
    return (int(found[2]), int(found[1])) if found else None


def describe(vertex: Vertex) -> str:
    """Return a tensor's shape, or a node's name, in words."""
    if isinstance(vertex, Tensor):
        return f"{'leaf' if _is_leaf(vertex) else 'tensor'} {tuple(vertex.shape)}"
    return str(vertex.name()).rpartition(":")[2]


def _is_leaf(tensor: Tensor) -> bool:
    return not tensor._is_view() and tensor.grad_fn is None


def tensors_of(graph: ReferenceGraph) -> list[tuple[int, Tensor]]:
    """Return the tensors of a graph with their numbers."""
    return [(i, v) for i, v in enumerate(graph.vertices) if isinstance(v, torch.Tensor)]
