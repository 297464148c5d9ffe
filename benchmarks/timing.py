"""Honest comparisons: contenders interleaved in one process, medians, memory as the operating system sees it."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

Row = dict[str, Any]
Tables = dict[str, list[Row]]


def interleaved(
    contenders: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] | None = None
) -> dict[str, float]:
    """Return the median seconds of each contender over ``rounds`` rounds A B C A B C, after one round of warming up.

    What disturbs the machine for a while so disturbs all alike. As in ``timeit``, garbage is collected between the
    rounds and not during them. ``clock`` is `time.perf_counter`, or may be `time.process_time` where all contenders
    keep to one thread: it does not run while others have the processor.
    """
    now = clock or perf_counter
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for name in [name for _ in range(rounds + 1) for name in contenders]:
        gc.collect()
        gc.disable()
        try:
            start = now()
            contenders[name]()
            times[name].append(now() - start)
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


def store(chapter: str, names: Sequence[str], tables: Tables, peers: Sequence[str] = ()) -> None:
    """Write each table as a record of ``chapter``, column by column; ``names`` are what it times of its package."""
    from workings.book import records

    code, command = [f"workings.{chapter}:{name}" for name in names], f"make bench CHAPTER={chapter} WRITE=1"
    for title, rows in tables.items():
        columns = {key: [row.get(key, "") for row in rows] for row in rows for key in row}
        name, parameters = f"benchmark-{title.replace(' ', '-')}", {"threads": 1}
        path = records.write(chapter, name, columns, code=code, command=command, parameters=parameters, peers=peers)
        print(path)


def command(description: str | None, run: Callable[[bool], Tables], store: Callable[[Tables], None]) -> None:
    """Run a benchmark from the command line: print its tables, and store them if asked."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="toy sizes: does it run?")
    parser.add_argument("--write", action="store_true", help="store the tables as the chapter's record")
    options = parser.parse_args()
    tables = run(options.quick)
    for title, rows in tables.items():
        print(table(title, rows))
    if options.write:
        store(tables)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _pad(cell: str, width: int, column: int) -> str:
    """Names stand at the left, numbers at the right."""
    return cell.ljust(width) if column < 2 else cell.rjust(width)
