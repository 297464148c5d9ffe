"""Honest comparisons: contenders interleaved in one process, medians, memory as the operating system sees it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

Row = dict[str, Any]


def interleaved(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each contender over ``rounds`` rounds A B C A B C, after one round of warming up.

    What disturbs the machine for a while so disturbs all alike. As in ``timeit``, garbage is collected between the
    rounds and not during them.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for name in [name for _ in range(rounds + 1) for name in contenders]:
        gc.collect()
        gc.disable()
        try:
            start = perf_counter()
            contenders[name]()
            times[name].append(perf_counter() - start)
        finally:
            gc.enable()
    return {name: median(seconds[1:]) for name, seconds in times.items()}


def peak_growth(run: Callable[[], object]) -> float:
    """Return by how many MB (10⁶ bytes) the resident memory of this process rises above its start during ``run``.

    Linux only. ``MALLOC_MMAP_THRESHOLD_=65536`` should be set when the process starts: else the allocator's own
    reserves hide what is really held.
    """
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = _status("VmRSS")
    run()
    return (_status("VmHWM") - before) * 1024 / 1e6


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def table(title: str, rows: Sequence[Row]) -> str:
    """Write ``rows`` as text, one column for each key."""
    columns = list(dict.fromkeys(key for row in sorted(rows, key=len, reverse=True) for key in row))
    cells = [columns, *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(_pad(cell, w, i) for i, (cell, w) in enumerate(zip(row, widths, strict=True))) for row in cells]
    return "\n".join([title, *lines, ""])


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _pad(cell: str, width: int, column: int) -> str:
    """Names stand at the left, numbers at the right."""
    return cell.ljust(width) if column < 2 else cell.rjust(width)
