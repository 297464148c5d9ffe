"""Who is freed and who is not: counting simulated by hand, cycles and versions in torch's own objects."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import Tensor

from workings.book.ledger import verifies
from workings.gpu_memory_leak import OPERATIONS, Activations, ReferenceGraph, break_cycles, judge, reference_graph
from workings.gpu_memory_leak.blocks import Blocks
from workings.gpu_memory_leak.graph import Edge
from workings.gpu_memory_leak.normalize import normalize_


def activation(device: torch.device) -> Tensor:
    """Return a tensor that is no leaf."""
    return torch.tensor([[3.0, 4.0], [1.0, 2.0]], dtype=torch.float64, device=device, requires_grad=True) * 1


@verifies(
    "gpu_memory_leak:left",
    tex=r"\Delta M = 4\,(B d + B d + B)",
    tolerance=0,
    wrong={"without the copy": {"copies": 1}, "without the lengths": {"lengths": False}},
)
def left_behind(device: torch.device, copies: int = 2, lengths: bool = True) -> float:
    """Count the bytes that a call of the printed line leaves behind, for two shapes."""
    off = 0.0
    for rows, d in ((6, 5), (16, 3)):
        found = judge(OPERATIONS[0], Activations(device, rows, d), calls=3)
        off = max(off, abs(found.bytes - 4 * (copies * rows * d + rows * lengths)))
    return off


@verifies(
    "gpu_memory_leak:counting",
    tex=r"\text{left by counting} = \mathrm{reach}(C) \setminus \mathrm{reach}(R)",
    tolerance=0,
    wrong={"the cycles alone": {"reach": False}, "with what has names": {"named": True}},
)
def counting(device: torch.device, reach: bool = True, named: bool = False) -> float:
    """Free what has no reference left, again and again, in random graphs; compare with cycles and what they reach."""
    rng, off = random.Random(0), 0
    for _ in range(60):
        count = rng.randrange(2, 9)
        edges = [(a, b) for a in range(count) for b in range(count) if rng.random() < 0.18]
        roots = {v for v in range(count) if rng.random() < 0.2}
        alive = set(range(count))
        while dead := {v for v in alive if v not in roots and not any(b == v and a in alive for a, b in edges)}:
            alive -= dead
        graph = ReferenceGraph([torch.ones(1, device=device)] * count, [Edge(a, b, "next") for a, b in edges])
        component = graph.components()
        cyclic = {a for a, b in edges if component[a] == component[b]}
        kept = graph.reachable(cyclic) if reach else cyclic
        garbage = alive - graph.reachable(roots)
        off += len(garbage ^ (kept if named else kept - graph.reachable(roots)))
    return float(off)


@verifies(
    "gpu_memory_leak:cycle",
    tex=r"x \to \mathtt{Div} \to \mathtt{Norm} \to x",
    tolerance=0,
    wrong={"out of place": {"apart": True}, "with the norm of a copy": {"statement": 24}},
)
def cycle(device: torch.device, apart: bool = False, statement: int = 0) -> float:
    """Follow the three references in torch's own objects; count those that are missing."""
    x = OPERATIONS[statement].run(activation(device), apart)
    graph = reference_graph(x)
    there = {(edge.kind, id(graph.vertices[edge.source]), id(graph.vertices[edge.target])) for edge in graph.edges}
    division = x.grad_fn
    norm = next(v for v in graph.vertices if "NormBackward" in type(v).__name__)
    wanted = (("grad_fn", x, division), ("next", division, norm), ("saved self", norm, x))
    missing = sum((kind, id(a), id(b)) not in there for kind, a, b in wanted)
    break_cycles(x)
    return float(missing)


@verifies(
    "gpu_memory_leak:version",
    tex=r"v \leftarrow v + 1, \qquad \text{raise if } v \neq v_{\text{saved}}",
    tolerance=0,
    wrong={"counting assignments too": {"assigned": 1}, "raised whatever was saved": {"careless": True}},
)
def version(device: torch.device, assigned: int = 0, careless: bool = False) -> float:
    """Overwrite a tensor a number of times, and see how often torch counts and whether it raises."""
    off = 0
    for statement, times in ((0, 1), (17, 1), (18, 3), (9, 1), (13, 1)):
        x = activation(device)
        start = x._version
        for _ in range(times):
            x = OPERATIONS[statement].run(x)
        x_again = x  # a name more is no version more
        off += abs(x_again._version - start - times - assigned)
        found = judge(OPERATIONS[statement], Activations(device, 3, 2), calls=2)
        saved_and_changed = any(c.versions is not None and c.versions[0] != c.versions[1] for c in found.cycles)
        off += found.raises != (True if careless else saved_and_changed)
        break_cycles(x)
    return float(off)


@verifies(
    "gpu_memory_leak:halved",
    tex=r"4 B\,(2 d + 1) \;\longrightarrow\; 4 B\,(d + 1)",
    tolerance=0,
    wrong={"with the gradient from the input": {"saves": 2}, "for the form out of place": {"apart": True}},
)
def halved(device: torch.device, saves: int = 1, apart: bool = False) -> float:
    """Count the bytes that are alive between forward and backward pass."""
    off = 0.0
    for rows, d in ((6, 5), (16, 3)):
        activations = Activations(device, rows, d)
        ours = alive_bytes(activations, lambda x: OPERATIONS[0].run(x, apart=True) if apart else normalize_(x))
        theirs = alive_bytes(activations, lambda x: OPERATIONS[0].run(x, apart=True))
        off = max(off, abs(ours - 4 * rows * (saves * d + 1)), abs(theirs - 4 * rows * (2 * d + 1)))
    return off


def alive_bytes(activations: Activations, normalized: Callable[[Tensor], Tensor]) -> int:
    """Return the bytes that a normalized activation and its graph keep alive."""
    blocks = Blocks()
    with blocks:
        y = normalized(activations())
    count = blocks.count()[1]
    del y
    return count
