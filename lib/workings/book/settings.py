"""Run chapters at settings drawn from their ranges: ``python -m workings.book.settings [chapter …] [--count 20]``.

At whatever its table allows a chapter runs to the end, its identities hold and its results are not claimed.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from workings.book.notebooks import code_cells, load, names, path_of, records
from workings.book.parameters import ANYWHERE, Parameter
from workings.book.progress import progress
from workings.book.records import write
from workings.book.run import run

COUNT = 20
STATUS = {"identity": "holds", "result": "unclaimed"}  # away from the defaults


def table(chapter: str) -> list[Parameter]:
    """Return the table of parameters that ``chapter`` declared when it was last run."""
    (found,) = records(load(chapter), "parameters")
    return [Parameter(**row) for row in found["table"]]


def draw(rows: Sequence[Parameter], number: int) -> dict[str, Any]:
    """Return the setting ``number`` of a table, on the CPU and of about the size of ``quick``.

    Number 0 is a corner: the least of everything, and the largest seed. In the others one value in four is the least
    that is allowed, and the rest lies anywhere up to the value of ``quick`` or twice the least, which is no more than
    the default.
    """
    rng = random.Random(number)
    return {row.name: "cpu" if row.name in ANYWHERE else _value(row, number, rng) for row in rows}


def _value(row: Parameter, number: int, rng: random.Random) -> Any:
    if row.low is None or row.high is None:
        return rng.choice(row.choices or ((False, True) if isinstance(row.default, bool) else (row.default,)))
    if row.name == "seed":
        return rng.randint(int(row.low), int(row.high)) if number else row.high
    if number == 0 or rng.random() < 0.25:
        return row.low
    most = max(row.profile("quick"), min(row.default, 2 * row.low))
    return rng.uniform(row.low, most) if isinstance(row.default, float) else rng.randint(int(row.low), int(most))


def faults(stored: NotebookNode, executed: NotebookNode) -> list[str]:
    """Return what a run away from the defaults must not show, each fault in a line."""
    return list(_faults(stored, executed))


def _faults(stored: NotebookNode, executed: NotebookNode) -> Iterator[str]:
    before, now = ([claim["name"] for claim in records(n, "claim")] for n in (stored, executed))
    if now != before:
        yield f"it states {', '.join(now) or 'nothing'} and not {', '.join(before) or 'nothing'}"
    for claim in records(executed, "claim"):
        if claim["status"] != STATUS[claim["kind"]]:
            yield f"the {claim['kind']} {claim['name']!r} is shown as {claim['status']}"
        if "nan" in (claim["measured"], claim["wrong"]):
            yield f"the {claim['kind']} {claim['name']!r} measures nan"
    for cell in code_cells(executed):
        yield from (f"it writes to stderr: {o.text.strip()}" for o in cell.outputs if o.get("name") == "stderr")


def attempt(chapter: str, setting: dict[str, Any]) -> list[str]:
    """Run ``chapter`` at ``setting`` and return its faults; an error of a cell is one."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return faults(load(chapter), run(chapter, setting, Path(folder, "executed.ipynb")))
        except PapermillExecutionError as error:
            return [f"{error.ename}: {error.evalue}"]


def store(chapter: str, count: int = COUNT) -> str:
    """Run ``chapter`` at ``count`` settings, store what came as a record, and return that in words.

    Times are seconds of a processor.
    """
    columns: dict[str, list[Any]] = {}
    for number in progress(range(count), f"settings of {chapter}"):
        setting, before = draw(table(chapter), number), _seconds()
        found = attempt(chapter, setting)
        row = {**setting, "run.seconds": round(_seconds() - before, 1), "run.faults": "; ".join(found)}
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    command, code = f"make settings CHAPTER={chapter} COUNT={count}", [f"workings.{chapter}"]
    write(chapter, "settings", columns, code=code, command=command, parameters={"count": count}, seeds=columns["seed"])
    failed = sum(map(bool, columns["run.faults"]))
    return f"{chapter}: {count} settings in results/{chapter}/settings.json, {failed} with faults"


def _seconds() -> float:
    """Return the seconds that kernels had of a processor so far: what else the machine does is not in them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(arguments: list[str] | None = None) -> int:
    """Run the named chapters, or all, and store each one's settings as a record."""
    parser = argparse.ArgumentParser(prog="python -m workings.book.settings", description=__doc__)
    parser.add_argument("chapters", nargs="*", metavar="chapter", help="all if none is named")
    parser.add_argument("--count", type=int, default=COUNT, help="settings a chapter")
    options = parser.parse_args(arguments)
    try:
        if options.count < 1:
            raise ValueError(f"--count is {options.count}; at least 1 is needed")
        for chapter in options.chapters:
            path_of(chapter)
    except ValueError as error:
        parser.error(str(error))
    for chapter in options.chapters or names():
        print(store(chapter, options.count), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
