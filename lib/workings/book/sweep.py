"""Run a chapter over a grid of parameters, on this machine's cores or a cluster's, and make one table of all claims.

``python -m workings.book.sweep chapters/spectral_bias.ipynb --profile quick --grid width=64,128 --grid seed=0:10``

A run is a folder named by the hash of its chapter, code and parameters, and is finished once ``result.json`` has been
renamed into place there. The same command again runs what is missing: what was never run, was stopped, or failed.
"""

from __future__ import annotations

import argparse
import csv
import fcntl
import hashlib
import importlib.util
import io
import itertools
import json
import os
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from workings.book import notebooks
from workings.book.codehash import code_hash, forget, imports
from workings.book.notebooks import MAGIC, code_cells, load, path_of, records
from workings.book.parameters import Parameter
from workings.book.progress import progress
from workings.book.run import assignment, run

try:
    import dask
    from distributed import CancelledError, Client, Future, LocalCluster
except ImportError:
    raise ImportError("sweeps need Dask's distributed: pip install 'workings[book,sweep]'") from None

RANGE = re.compile(r"(-?\d+):(-?\d+)(?::(-?[1-9]\d*))?")
PATIENCE = "30 s"  # for a scheduler's first answer
RESTART = "10 minutes"  # for a worker that starts anew on a busy machine


@dataclass(frozen=True)
class Point:
    """A point of the grid: a chapter, the hash of its code, and a value for every parameter."""

    chapter: str
    code: str
    values: dict[str, Any]

    @property
    def key(self) -> str:
        """The name of the run, in its folder and in Dask."""
        text = json.dumps([self.chapter, self.code, self.values], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def axis(text: str) -> tuple[str, list[Any]]:
    """Return the name and values of one ``--grid``: values with commas between, or ranges of integers as in Python.

    >>> axis("width=64,128"), axis("seed=0:3"), axis("device=cpu,cuda"), axis("size=1,10:30:10")
    (('width', [64, 128]), ('seed', [0, 1, 2]), ('device', ['cpu', 'cuda']), ('size', [1, 10, 20]))
    """
    name, _, given = text.partition("=")
    values: list[Any] = []
    for part in given.split(","):
        if match := RANGE.fullmatch(part):
            values += range(*(int(bound) for bound in match.groups() if bound))
        elif not name or not part or ":" in part:
            raise ValueError(f"--grid {text!r} is no grid; write name=1,2,4 or name=first:end or name=first:end:step")
        else:
            values.append(assignment(f"{name}={part}")[1])
    if not values:
        raise ValueError(f"--grid {text!r} holds no value: a range ends before its end")
    return name, values


def points(chapter: str, profile: str, given: Mapping[str, Any], axes: Sequence[tuple[str, list[Any]]]) -> list[Point]:
    """Return the points of the grid, the last axis fastest; what is on no axis is as ``given`` or in the profile.

    The chapter's stored table of parameters judges every value, so that nothing runs if one of them is not allowed.
    Raises ``ValueError`` that names each fault.
    """
    notebook = load(chapter)
    table = {row["name"]: Parameter(**row) for found in records(notebook, "parameters") for row in found["table"]}
    if not table:
        raise ValueError(f"{chapter} has no table of parameters yet: make refresh CHAPTER={chapter}")
    if not axes:
        raise ValueError(f"a sweep needs a --grid; the parameters of {chapter} are {', '.join(table)}")
    faults = [
        f"parameter {name!r} is set {count} times; write all its values into one --grid"
        for name, count in Counter([*given, *(name for name, _ in axes)]).items()
        if count > 1
    ]
    for name, values in [*((name, [value]) for name, value in given.items()), *axes]:
        if name in table:
            faults += filter(None, map(table[name].refuse, values))
        else:
            faults.append(f"parameter {name!r} is unknown; the parameters of {chapter} are {', '.join(table)}")
    if faults:
        raise ValueError("; ".join(faults))
    code, names = code_of(notebook), [name for name, _ in axes]
    fixed = {name: parameter.profile(profile) for name, parameter in table.items()} | dict(given)
    found: dict[str, Point] = {}
    for chosen in itertools.product(*(values for _, values in axes)):
        settings = fixed | dict(zip(names, chosen, strict=True))
        point = Point(chapter, code, {name: type(table[name].default)(value) for name, value in settings.items()})
        if point.key in found:
            raise ValueError(f"the grid holds {', '.join(f'{name}={point.values[name]}' for name in names)} twice")
        found[point.key] = point
    return list(found.values())


def code_of(notebook: NotebookNode) -> str:
    """Return the hash of a chapter's code cells and of all that they use in this package."""
    cells = "\n".join(MAGIC.sub(r"\1pass", cell.source) for cell in code_cells(notebook))
    return hashlib.sha256((cells + code_hash(imports(cells))).encode()).hexdigest()[:16]


def execute(point: Point) -> dict[str, Any]:
    """Run one point, in a worker; return its claims or its error, its seconds, and its notebook as far as it came."""
    started, error = time.monotonic(), ""
    claims: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "executed.ipynb")
        try:
            _same_code(point)
            executed = run(point.chapter, point.values, output)
            forget()  # what was edited meanwhile may have been run
            _same_code(point)
            claims = claims_of(executed)
        except Exception as raised:  # whatever it is, the other runs go on
            error = said(raised)
        notebook = output.read_text(encoding="utf-8") if output.is_file() else ""
    return {"error": error, "seconds": round(time.monotonic() - started, 2), "claims": claims, "notebook": notebook}


def claims_of(notebook: NotebookNode) -> dict[str, dict[str, float]]:
    """Return what each claim measured, and what the wrong form gave."""
    forms = ("measured", "wrong")
    return {claim["name"]: {form: float(claim[form]) for form in forms} for claim in records(notebook, "claim")}


def said(error: Exception) -> str:
    """Return an error in a line, that of a cell as the cell raised it."""
    if isinstance(error, PapermillExecutionError):
        return f"{error.ename}: {error.evalue}"
    return f"{type(error).__name__}: {error}"


def _same_code(point: Point) -> None:
    """Raise ``ValueError`` unless this worker has the code that the sweep was started with."""
    code, here = code_of(load(point.chapter)), f"{notebooks.ROOT} on {socket.gethostname()}"
    if code != point.code:
        raise ValueError(f"the code of {point.chapter} in {here} is {code}, not {point.code} as the sweep began")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other sweeps out of ``folder``, made where it is missing, and see that it can be written.

    The lock is the kernel's and ends with its process, however that ends. What a killed owner wrote into it stays: on
    the same machine the next sweep takes over; whether another machine's still runs it cannot know, and asks.

    Raises ``ValueError`` that names the owner, or says why the folder cannot be written.
    """
    path, here = folder / "lock", socket.gethostname()
    with ExitStack() as opened:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = opened.enter_context(path.open("a+", encoding="utf-8"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (owner := path.read_text(encoding="utf-8")) and not owner.endswith(f" on {here}"):
                raise ValueError(f"{folder} was left locked by {owner}; if that runs no longer, delete {path}")
            lock.truncate(0)
            lock.write(f"process {os.getpid()}, begun {time.strftime('%Y-%m-%d %H:%M:%S')}, on {here}")
            lock.flush()
        except BlockingIOError:
            owner = path.read_text(encoding="utf-8") or "a process that has just begun"
            raise ValueError(f"another sweep is at work in {folder}: {owner}") from None
        except OSError as error:
            raise ValueError(f"the runs cannot be kept in {folder}: {error}") from None
        try:
            yield
        finally:
            lock.truncate(0)


def finished(folder: Path, point: Point) -> dict[str, Any] | None:
    """Return what a finished run of ``point`` measured, or None."""
    try:
        return dict(json.loads((folder / point.key / "result.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def store(folder: Path, point: Point, outcome: Mapping[str, Any]) -> None:
    """Store the notebook of a run and, if it did not fail, its result, which finishes it."""
    place = folder / point.key
    place.mkdir(exist_ok=True)
    if outcome["notebook"]:
        (place / "executed.ipynb").write_text(outcome["notebook"], encoding="utf-8")
    if not outcome["error"]:
        result = {"chapter": point.chapter, "code": point.code, "parameters": point.values, **outcome}
        del result["notebook"]
        _write(place / "result.json", json.dumps(result, indent=1) + "\n")


def _write(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def sweep(
    wanted: Sequence[Point], folder: Path, scheduler: str | None = None, workers: int | None = None
) -> list[dict[str, Any]]:
    """Run what is not finished yet of ``wanted``, store each run in ``folder``, and return the table's rows.

    Args:
        wanted: the points, all of one chapter.
        folder: where the runs are kept; the lock on it must be held.
        scheduler: the address of Dask's scheduler; without it, one is started here with its workers.
        workers: how many workers to start here, each a process with one thread; as many as there are cores if None.

    """
    outcomes = {point.key: found for point in wanted if (found := finished(folder, point))}
    missing = {point.key: point for point in wanted if point.key not in outcomes}
    if missing:
        with _client(scheduler, workers) as client:
            bar, ended = progress(range(len(missing)), f"sweep of {wanted[0].chapter}"), _ended(client, missing)
            for _, (key, outcome) in zip(bar, ended, strict=True):
                store(folder, missing[key], outcome)
                outcomes[key] = outcome
    return [_row(point, outcomes[point.key]) for point in wanted]


def _ended(client: Client, points: Mapping[str, Point]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the key and outcome of each run as it ends; as many are under way as the workers have threads.

    Not one more: Dask gives the runs of a worker that dies to another one, but counts the death against every run
    that the worker held, also those that only waited there. Raises ``ConnectionError`` when the scheduler is gone.
    """
    waiting = list(points)[::-1]
    held: dict[str, Future[Any]] = {}
    ended: SimpleQueue[Future[Any]] = SimpleQueue()
    while waiting or held:
        threads = sum(client.nthreads().values())
        while waiting and len(held) < max(threads, 1):
            key = waiting.pop()
            held[key] = client.submit(execute, points[key], key=key)
            held[key].add_done_callback(ended.put)
        with suppress(Empty):  # and then look whether there are more workers
            key = str(ended.get(timeout=1).key)
            yield key, _outcome(held.pop(key))


def _outcome(future: Future[Any]) -> dict[str, Any]:
    try:
        return dict(future.result())
    except CancelledError:
        raise ConnectionError("the scheduler is gone") from None
    except Exception as error:  # the run has lost its workers, too often
        return {"error": said(error), "seconds": None, "claims": {}, "notebook": ""}


@contextmanager
def _client(scheduler: str | None, workers: int | None) -> Iterator[Client]:
    with ExitStack() as opened:
        if scheduler is None:
            # else, when a worker that died is not back in 15 s, its place is given up and its runs wait for ever
            opened.enter_context(dask.config.set({"distributed.deploy.lost-worker-timeout": RESTART}))
            any_port = {"dashboard_address": ":0"}
            here = LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None, scheduler_kwargs=any_port
            )
            yield opened.enter_context(Client(opened.enter_context(here)))
            return
        try:
            client = opened.enter_context(Client(scheduler, timeout=PATIENCE))
        except (OSError, ValueError) as error:
            raise ValueError(f"no scheduler answers at {scheduler}: {error}") from None
        yield client


def _row(point: Point, outcome: Mapping[str, Any]) -> dict[str, Any]:
    """One line of the table; dots keep its own columns and the claims' apart from the parameters'."""
    row = {"run.key": point.key, "run.error": outcome["error"], "run.seconds": outcome["seconds"], **point.values}
    for name, claim in outcome["claims"].items():
        row |= {f"claim.{name}": claim["measured"], f"wrong.{name}": claim["wrong"]}
    return row


def write_table(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write ``table.csv`` and, where pyarrow is, ``table.parquet``: one row a run; return the path of the first."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    path = folder / "table.csv"
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    _write(path, text.getvalue())
    if importlib.util.find_spec("pyarrow"):
        import pyarrow.parquet

        whole = {column: [row.get(column) for row in rows] for column in columns}
        pyarrow.parquet.write_table(pyarrow.table(whole), path.with_suffix(".parquet"))
    return path


def _chapter(text: str) -> str:
    """Return the chapter of this book that ``text`` names, by its name or its path."""
    chapter = Path(text).stem
    if text != chapter and Path(text).resolve() != path_of(chapter).resolve():
        raise ValueError(f"{text!r} is no chapter of this book; {chapter} is {path_of(chapter)}")
    path_of(chapter)
    return chapter


def main(arguments: list[str] | None = None) -> int:
    """Sweep a chapter and say where the table is; return 1 if a run failed."""
    parser = argparse.ArgumentParser(prog="python -m workings.book.sweep", description=__doc__)
    parser.add_argument("chapter", help="its name or its notebook")
    parser.add_argument("--grid", action="append", default=[], metavar="NAME=VALUES", help="1,2,4 or first:end[:step]")
    parser.add_argument("--profile", default="default", choices=("quick", "default", "full"))
    parser.add_argument("set", nargs="*", metavar="name=value", help="parameters that stay the same")
    parser.add_argument("--workers", type=int, help="worker processes to start here; else one a core")
    parser.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="a Dask scheduler that has workers of its own")
    parser.add_argument("--folder", type=Path, help="where the runs are kept; else runs/sweep-CHAPTER")
    options = parser.parse_intermixed_args(arguments)
    try:
        chapter = _chapter(options.chapter)
        if options.scheduler and options.workers is not None:
            raise ValueError("--scheduler has workers of its own; --workers is for those started here")
        if options.workers is not None and options.workers < 1:
            raise ValueError(f"--workers is {options.workers}; at least 1 is needed")
        given, axes = dict(map(assignment, options.set)), [axis(text) for text in options.grid]
        wanted = points(chapter, options.profile, given, axes)
    except ValueError as error:
        parser.error(str(error))
    folder = options.folder or notebooks.ROOT / "runs" / f"sweep-{chapter}"
    try:
        with locked(folder):
            before = sum(finished(folder, point) is not None for point in wanted)
            rows = sweep(wanted, folder, options.scheduler, options.workers)
            path = write_table(folder, rows)
    except ValueError as error:
        parser.error(str(error))
    except (OSError, KeyboardInterrupt) as error:
        why = f": {error}" if str(error) else ""
        print(f"stopped{why}; the same command goes on with what {folder} lacks", file=sys.stderr)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    failed = sum(bool(row["run.error"]) for row in rows)
    print(f"{path}: {len(rows)} runs, {before} of them there before, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    # workers import what they run by name, and this module's name is not __main__ there
    from workings.book.sweep import main as by_name

    sys.exit(by_name())
