"""Watch a step of training: what each call leaves behind, whether it grows, which tensors stay, and who holds them."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from workings.gpu_memory_leak.blocks import Block, Blocks
from workings.gpu_memory_leak.cycles import closing, find_cycles, in_cycles
from workings.gpu_memory_leak.graph import ReferenceGraph, reference_graph
from workings.gpu_memory_leak.growth import FEWEST, Growth, fit_growth
from workings.gpu_memory_leak.holders import holder

COARSE = 1e6  # bytes a call below which resident memory is no witness
STATM = Path("/proc/self/statm")


@dataclass(frozen=True)
class Stays:
    """Tensors that stay, alike in all but the call that made them.

    Attributes:
        count: how many.
        bytes: their bytes in all.
        operation: what makes them.
        shape: of each.
        dtype: of each.
        line: the user's line that makes them.
        why: who holds them, in words.

    """

    count: int
    bytes: int
    operation: str
    shape: tuple[int, ...]
    dtype: str
    line: str
    why: str

    def __str__(self) -> str:
        where = f", made at {self.line}" if self.line else ""
        what = f"{self.count} × {size(self.bytes / self.count)} {self.dtype} {self.shape} by {self.operation}{where}"
        return f"{what}\n    {self.why}"


@dataclass(frozen=True)
class Report:
    """What was found out about the watched calls.

    Attributes:
        calls: how many were watched.
        live: number of tensors' blocks, made in these calls, that were alive after each call.
        bytes: their bytes.
        outlived: bytes, after each call, of those alive for a tenth of the calls or longer.
        tensors: the growth of their number.
        memory: the growth of their bytes; of ``outlived``.
        swelling: the growth of all live bytes, if they never fall: of a tensor that larger ones replace, call by call.
        allocated: the growth of what CUDA's allocator has handed out; None without CUDA.
        resident: the growth of the process's resident memory; None where the system does not tell.
        garbage: bytes that only Python's collector freed, at the end.
        stays: which tensors stay, the largest first.

    """

    calls: int
    live: list[int]
    bytes: list[int]
    outlived: list[int]
    tensors: Growth
    memory: Growth
    swelling: Growth
    allocated: Growth | None
    resident: Growth | None
    garbage: int
    stays: list[Stays]

    @property
    def is_leaking(self) -> bool:
        """Whether tensors that the calls made stay for good, more with each call."""
        return self.tensors.grows and self.memory.grows

    @property
    def elsewhere(self) -> str:
        """The witness that sees memory grow by what no tensor explains, or nothing."""
        if self._unexplained(self.allocated, 0.0):
            return "CUDA's allocator"
        if self._unexplained(self.resident, COARSE):
            return "resident memory"
        return ""

    @property
    def verdict(self) -> str:
        """``leaking: 2.02 MiB a call``, or ``steady``, or where else memory grows."""
        if self.is_leaking:
            return f"leaking: {size(self.memory.rate)} a call"
        if self.swelling.grows:
            return f"growing: {size(self.swelling.rate)} a call, in a tensor that is replaced by larger ones"
        if self.elsewhere:
            witness = self.allocated if self.elsewhere.startswith("CUDA") else self.resident
            return f"growing: {size(witness.rate)} a call by {self.elsewhere}, and not in tensors" if witness else ""
        return "steady"

    def _unexplained(self, witness: Growth | None, least: float) -> bool:
        return witness is not None and witness.grows and witness.rate > least and not self.is_leaking

    def __str__(self) -> str:
        told = [self.verdict]
        told += [f"{self.calls} calls; {_rate(self.memory)}, {self.tensors.rate:.3g} tensors a call"]
        for name, growth in (("CUDA's allocator", self.allocated), ("resident memory", self.resident)):
            told += [f"{name}: {_rate(growth)}"] if growth else []
        told += [f"freed by Python's collector only: {size(self.garbage)}"] if self.garbage else []
        told += [str(one) for one in self.stays] if self.is_leaking else []
        return "\n".join(told)


class Watch:
    """Watches calls; made by `watch`."""

    def __init__(self, step: Callable[..., Any] | None, enabled: bool) -> None:
        self.step, self.enabled = step, enabled
        self.blocks = Blocks()
        self.live: list[int] = []
        self.bytes: list[int] = []
        self.allocated: list[float] = []
        self.resident: list[float] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step, watched; return what it returns."""
        if self.step is None:
            raise TypeError("watch() was given no step to call; use it as a context manager, or give it one")
        if not self.enabled:
            return self.step(*args, **kwargs)
        with self:
            return self.step(*args, **kwargs)

    def __enter__(self) -> Watch:
        if self.enabled:
            self.blocks.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.enabled:
            return
        self.blocks.__exit__(kind, error, trace)
        live, total = self.blocks.count()
        self.live.append(live)
        self.bytes.append(total)
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            self.allocated.append(float(torch.cuda.memory_allocated()))
        self.resident.append(resident_bytes())

    def survivors(self) -> list[Tensor]:
        """Return the tensors that were made in watched calls and are alive; drop the list, since it holds them."""
        there = [one() for block in self.blocks.known.values() for one in block.tensors]
        return [x for x in there if x is not None]

    def report(self) -> Report:
        """Collect Python's garbage, and say what the watched calls have left behind.

        Raises ``ValueError`` if fewer than eight calls were watched.
        """
        calls = len(self.live)
        if calls < FEWEST:
            raise ValueError(f"{calls} calls were watched; a report needs at least {FEWEST}")
        gc.collect()
        garbage = self.blocks.sweep()
        counts, sizes = self.blocks.outlived(max(1, calls // 10))
        tensors, memory, whole = fit_growth(counts), fit_growth(sizes), self.blocks.outlived(0)[1]
        falls = any(a > b for a, b in pairwise(whole[calls // 2 :]))
        swelling = replace(fit_growth(whole), grows=False) if falls else fit_growth(whole)
        stays = _stays(list(self.blocks.known.values()), calls) if tensors.grows and memory.grows else []
        return Report(
            calls, list(self.live), list(self.bytes), sizes, tensors, memory, swelling,
            fit_growth(self.allocated) if len(self.allocated) == calls else None,
            fit_growth(self.resident) if all(self.resident) else None,
            garbage, stays,
        )  # fmt: skip


def watch(step: Callable[..., Any] | None = None, *, enabled: bool = True) -> Watch:
    """Watch a step of training for memory that it leaves behind.

    The watch counts the tensors that torch's operations make in a watched call, and asks later which of them are still
    alive, by weak references that neither keep a tensor nor need a name for it. What counts as growth is what is a
    tenth of all calls old, so that what is merely in use does not. Memory as the CUDA allocator and the operating
    system see it is measured too, as a second witness: of what torch's operations did not make.

    Args:
        step: what to watch; call the watch instead of it. Without, use the watch as a context manager around each step.
        enabled: if not, the step runs as if it were not watched, at the cost of one call.

    Returns:
        The watch; its ``report()`` says *leaking* or *steady*.

    >>> import torch
    >>> log, weight = [], torch.ones(1000, requires_grad=True)
    >>> def step():
    ...     loss = (weight * 2).square().sum()
    ...     log.append(loss)  # keeps the loss, and the graph with it
    >>> watched = watch(step)
    >>> for _ in range(20): watched()
    >>> watched.report().verdict
    'leaking: 3.91 KiB a call'

    """
    return Watch(step, enabled)


def resident_bytes() -> float:
    """Return the resident memory of this process in bytes, 0 where the system does not tell."""
    if not STATM.is_file():
        return 0.0
    return float(STATM.read_text().split()[1]) * 4096


def size(number: float) -> str:
    """Write a number of bytes for people.

    >>> size(2101248)
    '2.00 MiB'
    """
    for unit in ("B", "KiB", "MiB"):
        if abs(number) < 1024 or unit == "MiB":
            return f"{number:.0f} B" if unit == "B" else f"{number:.2f} {unit}"
        number /= 1024
    return ""


def _rate(growth: Growth) -> str:
    return f"{size(growth.rate)} ± {size(growth.error)} a call"


def _stays(blocks: list[Block], calls: int) -> list[Stays]:
    """Group what is still alive by what made it, leave out what stopped growing, and say of each who holds it."""
    groups: dict[Any, list[Block]] = {}
    for block in blocks:
        groups.setdefault(block.kind, []).append(block)
    late = {kind: [b for b in group if b.born >= calls // 2] for kind, group in groups.items()}
    kept = [group for kind, group in groups.items() if len(late[kind]) >= 2]
    kept.sort(key=lambda group: -sum(b.bytes for b in group))
    # one of each, from about the same call: the last but a few, which may still be in use
    ones = [group[-1 - len(group) // 5] for group in kept]
    tensors = [next((t for r in b.tensors if (t := r()) is not None), None) for b in ones]
    reasons = _reasons(tensors)
    return [
        Stays(len(g), sum(b.bytes for b in g), b.operation, b.shape, b.dtype, b.line, why)
        for g, b, why in zip(kept, ones, reasons, strict=True)
    ]


def _reasons(tensors: list[Tensor | None]) -> list[str]:
    """Say who holds each tensor: a cycle, the graph of another tensor, or a name in Python."""
    there = [t for t in tensors if t is not None]
    graph = reference_graph(*there) if there else ReferenceGraph()
    number = {id(t): i for i, t in enumerate(graph.vertices[: len(there)])}
    cyclic = in_cycles(graph)
    trapped = graph.reachable(e.target for e in closing(graph))
    direct: dict[int, str] = {}
    told = []
    for tensor in tensors:
        if tensor is None:
            told.append("no tensor in Python stands for it")
            continue
        i = number[id(tensor)]
        if i in cyclic:
            told.append(f"in a cycle that Python cannot see: {'; '.join(map(str, find_cycles(tensor)[:1]))}")
        elif i in trapped:
            told.append("saved for the backward pass of that cycle")
        else:
            direct[i] = holder(tensor, ignore=[tensors, there, graph.vertices, graph, sys._getframe()])
            told.append(f"held by {direct[i]}" if direct[i] else "")
    return [text or _through(i, graph, direct, t) for i, (text, t) in enumerate(zip(told, tensors, strict=True))]


def _through(i: int, graph: ReferenceGraph, direct: dict[int, str], tensor: Tensor | None) -> str:
    """Say through whose graph a tensor without a name is held."""
    me = next((n for n, v in enumerate(graph.vertices) if v is tensor), -1)
    for other, name in direct.items():
        if name and me in graph.reachable([other]):
            return f"saved for the backward pass of the tensor held by {name}"
    return "no name in Python holds it, and no cycle that torch shows"
