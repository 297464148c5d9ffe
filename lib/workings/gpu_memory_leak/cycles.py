"""Cycles of references through what autograd saved: found, told by name, and broken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from workings.gpu_memory_leak.graph import (
    READABLE,
    Edge,
    ReferenceGraph,
    Vertex,
    complaint,
    describe,
    reference_graph,
    tensors_of,
    versions,
)

TORCH = str(Path(torch.__file__).parent)


@dataclass(frozen=True)
class Cycle:
    """One reference that closes a cycle, and a shortest way round; words and numbers only, so it keeps nothing alive.

    Attributes:
        path: the vertices on the way round, from the tensor back to the tensor.
        saver: the operation that saved the tensor.
        slot: the name under which it did.
        overwriter: the operation that made what the tensor is now.
        versions: the tensor's version when it was saved and now, if torch tells them.
        saver_line: where the saving operation ran, if anomaly detection was on: ``file:line: code``.
        overwriter_line: where the overwriting operation ran, likewise.
        evidence: ``"identity"``, or ``"the error's text"`` where this torch shows no saved tensors.

    """

    path: tuple[str, ...]
    saver: str
    slot: str
    overwriter: str
    versions: tuple[int, int] | None = None
    saver_line: str = ""
    overwriter_line: str = ""
    evidence: str = "identity"

    def __str__(self) -> str:
        if self.slot == "variable":
            return f"a leaf and its gradient hold each other: {' → '.join(self.path)}"
        way = f": {' → '.join(self.path)}" if self.path else ""
        told = [f"{self.overwriter} overwrote what {self.saver} had saved as {self.slot!r}{way}"]
        told += [f"saved by {self.saver_line}"] if self.saver_line else []
        told += [f"overwritten by {self.overwriter_line}"] if self.overwriter_line else []
        told += [f"known from {self.evidence} only"] if self.evidence != "identity" else []
        return "; ".join(told)


def find_cycles(*tensors: Tensor) -> list[Cycle]:
    r"""Find every saved tensor that closes a cycle of references in the autograd graph of ``tensors``.

    Such a cycle (equation gpu_memory_leak:cycle) is invisible to Python's collector, and keeps its members alive after
    all names for them are gone. Reported is each reference that closes one (a slot of saved tensors, or a leaf whose
    gradient has a graph that leads back to it), with a shortest way round. What the library cannot see: tensors saved
    by the operation inside an assignment to a slice (``CopySlices``), which torch does not show.

    Run the forward pass under ``torch.autograd.detect_anomaly()`` to be told the lines as well.

    Args:
        *tensors: where the walk starts; a model's output, say.

    Returns:
        The cycles, in the order in which the walk meets them; empty if there is none.

    Raises:
        TypeError: one of ``tensors`` is no tensor.

    >>> import torch
    >>> x = torch.ones(4, 3, requires_grad=True) * 1
    >>> x /= torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    >>> for cycle in find_cycles(x): print(cycle)  # doctest: +ELLIPSIS
    DivBackward0 overwrote what LinalgVectorNormBackward0 had saved as 'self': tensor (4, 3) → DivBackward0 → ...
    >>> break_cycles(x)
    1

    """
    graph = reference_graph(*tensors)
    found = [_told(graph, edge) for edge in closing(graph)]
    if not READABLE:
        found += [cycle for v in graph.vertices if not isinstance(v, Tensor) for cycle in from_errors(v)]
    return found


def break_cycles(*tensors: Tensor) -> int:
    """Break the cycles of `find_cycles`, so that what they keep is freed; the graph can then not be used any more.

    It detaches, in place, the tensors that close the cycles (of a view its base): a way to free the memory of a
    running session. For a leaf it drops the gradient.

    Args:
        *tensors: where the walk starts.

    Returns:
        How many tensors were detached.

    Raises:
        TypeError: one of ``tensors`` is no tensor.

    """
    count = 0
    while True:  # to detach one may break several, so look again
        graph = reference_graph(*tensors)
        edge = next(closing(graph), None)
        if edge is None:
            return count
        held = graph.vertices[edge.target]
        _release(held)
        count += 1


def _release(held: Tensor) -> None:
    """Detach a saved tensor, or drop the gradient of a leaf."""
    base = _base(held)
    if base.grad_fn is None:
        base.grad = None
        return
    base.detach_()
    if held is not base:  # a view keeps the grad_fn it was last given, unless its base changes and it is asked again
        base.add_(0)
        _ = held.grad_fn


def closing(graph: ReferenceGraph) -> Iterator[Edge]:
    """Yield the references that close cycles: to saved tensors that were overwritten, and to leaves.

    What an operation saves is older than the operation. It is newer only if it was overwritten since; so each cycle
    has such a reference, and the others on its way round need not be told.
    """
    component = graph.components()
    for edge in graph.edges:
        held, saver = graph.vertices[edge.target], graph.vertices[edge.source]
        closes = edge.kind == "variable" or (edge.is_saved and _is_newer(held, saver))
        if closes and component[edge.source] == component[edge.target]:
            yield edge


def _is_newer(held: Tensor, saver: Vertex) -> bool:
    """Return whether a saved tensor was made, as it is now, by the saving operation or after it."""
    maker = _base(held).grad_fn
    return maker is not None and maker._sequence_nr() >= saver._sequence_nr()


def _base(tensor: Tensor) -> Tensor:
    base: Tensor | None = tensor._base if tensor._is_view() else None
    return tensor if base is None else base


def in_cycles(graph: ReferenceGraph) -> set[int]:
    """Return the numbers of the tensors of ``graph`` that lie on a cycle."""
    component, closers = graph.components(), list(closing(graph))
    cyclic = {component[edge.target] for edge in closers}
    return {i for i, _ in tensors_of(graph) if component[i] in cyclic}


def from_errors(node: Vertex) -> list[Cycle]:
    """Return what torch's own error says of a node's saved tensors, for a torch that does not show them.

    That an operation's saved input was overwritten is known so, but not by which operation, nor the way round.
    """
    name = str(node.name())
    return [
        Cycle((), name, slot, "an in-place operation", versions(text), evidence="the error's text")
        for slot in (a.removeprefix("_saved_") for a in dir(node) if a.startswith("_saved_"))
        if (text := complaint(node, slot))
    ]


def _told(graph: ReferenceGraph, edge: Edge) -> Cycle:
    names, saver = graph.names, graph.vertices[edge.source]
    way = graph.path(edge.target, edge.source)
    maker = next(v for v in (graph.vertices[i] for i in way) if not isinstance(v, Tensor))
    slot = edge.kind.removeprefix("saved ")
    text = "" if graph.vertices[edge.target]._is_view() else complaint(saver, slot)
    return Cycle(
        path=(*(names[i] for i in way), names[edge.target]),
        saver=names[edge.source],
        slot=slot,
        overwriter=describe(maker),
        versions=versions(text),
        saver_line=line_of(saver),
        overwriter_line=line_of(maker),
    )


def line_of(node: Vertex) -> str:
    """Return ``file:line: code`` of the user's line that ran a node's operation, if anomaly detection kept it."""
    stack = "".join(node.metadata.get("traceback_", ()))
    frames = re.findall(r'File "([^"]+)", line (\d+), in [^\n]*\n(?: +([^\n]+)\n)?', stack)
    ours = [f"{file}:{line}: {code}" for file, line, code in frames if not file.startswith(TORCH)]
    return ours[-1] if ours else ""
