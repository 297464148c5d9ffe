"""What can be wrong with a valid argument, by its type: each kind of fault and the value that has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

HUGE = (1e10, 1e20, 1e30)  # where one number says nothing, the law that three of them follow does
Spoiled = tuple[str, Any]


def is_data(value: Any) -> bool:
    """Tell data from what it goes with: functions, networks, generators, switches, the library's own objects."""
    return isinstance(value, Tensor | np.ndarray | str | Path | list | tuple | int | float) and not isinstance(
        value, bool
    )


def spoiled(value: Any, hints: set[str]) -> Iterator[Spoiled]:
    """Yield the kinds of faults that make sense for ``value``, and ``value`` with each.

    Hints: "sign" (it may not be negative), "free" (no dimension has to match another argument's), "text" (any words
    will do), "optional" (None is valid), "coupled" (one entry may reach all that comes out), "object" (no data
    here), and "-kind" for a kind that is none here ("-item-kind" for
    one of a sequence's items).
    """
    for kind, bad in _kinds(value, hints):
        if f"-{kind.replace(' ', '-')}" not in hints and not (kind == "none" and "optional" in hints):
            yield kind, bad


def _kinds(value: Any, hints: set[str]) -> Iterator[Spoiled]:
    yield "none", None
    if isinstance(value, str):
        yield "number", 3
        yield "empty", ""
        if "text" not in hints:
            yield "unknown", "no such word"
        return
    if isinstance(value, Path):
        yield "number", 3
        yield "missing", value / "nowhere" / "else"
        return
    yield "text", "three"
    if isinstance(value, np.ndarray):
        yield from ((kind, bad.numpy()) for kind, bad in _of_tensor(torch.from_numpy(value), hints))
    elif isinstance(value, Tensor):
        yield from _of_tensor(value, hints)
    elif isinstance(value, list | tuple):
        yield from _of_sequence(value, hints)
    elif isinstance(value, int):
        yield from _of_integer(value, hints)
    else:
        yield from _of_number(value, hints)


def _of_tensor(x: Tensor, hints: set[str]) -> Iterator[Spoiled]:
    yield "shape", x[..., None]
    if x.dim() and "free" not in hints:
        yield "short", x[..., :-1]
    yield "empty", x[:0] if x.dim() else x.new_zeros(0)
    if x.dtype == torch.bool:
        yield "integers", x.long()
        return
    yield "complex", torch.complex(x.double(), torch.full_like(x, 0.5, dtype=torch.float64))
    yield "bool", x > 0
    if "sign" in hints:
        yield "negative", replaced(x, -1)
    if x.is_floating_point():
        yield "integers", x.round().long()
        yield "nan", replaced(x, torch.nan)
        yield "inf", replaced(x, torch.inf)
        yield "huge", replaced(x, HUGE[-1])
    else:
        yield "floats", x.double() + 0.5
        yield "huge", replaced(x, torch.iinfo(x.dtype).max)


def _of_sequence(values: Any, hints: set[str]) -> Iterator[Spoiled]:
    yield "number", 3
    yield "empty", values[:0]
    if not len(values) or isinstance(values[0], bool):
        return
    inner = [("none", None)] if isinstance(values[0], str) else list(_kinds(values[0], hints - {"optional"}))
    yield from ((f"item {kind}", rebuilt(values, bad)) for kind, bad in inner)


def rebuilt(values: Any, first: Any) -> Any:
    """Return a sequence of the same type with another first item."""
    made = getattr(values, "_make", type(values))
    return made((first, *values[1:]))


def _of_integer(value: int, hints: set[str]) -> Iterator[Spoiled]:
    yield "complex", value + 0.5j
    yield "fraction", value + 0.5
    yield "nan", float("nan")
    yield "huge", 10**30
    if "sign" in hints:
        yield "negative", -1


def _of_number(value: float, hints: set[str]) -> Iterator[Spoiled]:
    yield "complex", value + 0.5j
    yield "nan", float("nan")
    yield "inf", float("inf")
    yield "huge", HUGE[-1]
    if "sign" in hints:
        yield "negative", -1.0


def replaced(x: Any, value: float) -> Any:
    """Return a number, or a tensor or an array with its first entry replaced."""
    if isinstance(x, np.ndarray):
        return replaced(torch.from_numpy(x), value).numpy()
    if not isinstance(x, Tensor):
        return value
    x = x.clone(memory_format=torch.contiguous_format)
    x.view(-1)[0] = value
    return x


def moved(x: Any) -> Iterator[Any]:
    """Yield x with its first entry at other, finite places, some of which may be valid."""
    first = float(x.reshape(-1)[0] if isinstance(x, Tensor | np.ndarray) else x)
    for value in (0.9 * first, first + 0.01, first + 1, first - 1, -10 * first - 10):
        yield replaced(x, value)
