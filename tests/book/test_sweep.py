"""A sweep runs what is missing and nothing else, whatever dies meanwhile; its scheduler and workers are processes."""

from __future__ import annotations

import csv
import importlib
import json
import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pyarrow.parquet
import pytest
from distributed import CancelledError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import workings
from workings.book import Parameter, codehash, notebooks, run, sweep
from workings.book.sweep import axis, locked, main, points

TABLE = [
    Parameter("seed", 0, "seed of every draw", 0, 99),
    Parameter("size", 1.0, "how large", 0, 64, quick=0.5, full=8.0),
    Parameter("mode", "work", "what it does", choices=("work", "fail", "wait", "kill")),
]
SET = """# parameters
seed = 0  # int: seed of every draw
size = 1.0  # float: how large
mode = "work"  # str: what it does"""
BEGIN = """import os
from pathlib import Path
from time import sleep
from IPython.display import display
from workings.toy import half

def publish(**record):
    display({"text/plain": ""}, raw=True, metadata={"workings": record})

publish(parameters={"values": {"seed": seed, "size": size, "mode": mode}})
here = Path(os.environ["TOY"])"""
RUN = """with (here / "log").open("a") as log:
    log.write(f"{mode} {seed} {size} {os.getppid()}\\n")
if mode == "fail" and seed == 1:
    raise ValueError("no such luck")
if mode == "kill" and seed == 1:
    os.kill(os.getppid(), 9)
while mode == "wait" and not (here / "go").exists():
    sleep(0.05)
publish(claim={"name": "half", "measured": half(size), "wrong": 8})
publish(claim={"name": "far", "measured": "inf", "wrong": -1.5})"""
TOY = "def half(size):\n    return size / 2\n"


class Cluster:
    """A scheduler and its workers, each a process of its own that takes ``workings`` from a copy."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self.environment = os.environ | {"PYTHONPATH": str(folder / "lib"), "TOY": str(folder), "WORKINGS_QUIET": "1"}
        self.processes: list[subprocess.Popen[bytes]] = []

    def begin(self) -> None:
        # none of them outlives a test run that is killed
        self.start("scheduler", "--port", "0", "--host", "127.0.0.1", "--idle-timeout", "300 s")
        self.workers = [self.worker(), self.worker()]
        wait(lambda: self.file.exists() and self.file.read_text().endswith("}"))
        self.address = json.loads(self.file.read_text())["address"]

    def start(self, kind: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", kind, "--scheduler-file", str(self.file), "--no-dashboard", *options]
        self.processes.append(subprocess.Popen(command, env=self.environment, stderr=subprocess.DEVNULL))
        return self.processes[-1]

    def worker(self) -> subprocess.Popen[bytes]:
        options = ["--no-nanny", "--nthreads", "1", "--local-directory", str(self.folder), "--death-timeout", "60 s"]
        return self.start("worker", *options)

    def log(self) -> list[list[str]]:
        """The mode, seed, size and parent of each kernel that began."""
        path = self.folder / "log"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a sweep as from the command line."""
        command = [sys.executable, "-m", "workings.book.sweep", *arguments]
        variables = self.environment | environment
        return subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True, timeout=300)


def wait(until: Callable[[], Any], most: float = 180) -> None:
    began = time.monotonic()
    while not until():
        assert time.monotonic() - began < most, "it does not come"
        time.sleep(0.02)


def stored(table: list[Parameter]) -> Any:
    record = {"workings": {"parameters": {"table": [asdict(row) for row in table]}}}
    return new_output("display_data", metadata=record)


def toy() -> Any:
    cells = [
        new_markdown_cell("# Toy"),
        new_code_cell("# set-up", metadata={}),
        new_code_cell(SET, metadata={"tags": ["parameters"]}),
        new_code_cell(BEGIN, outputs=[stored(TABLE)]),
        new_code_cell(RUN),
    ]
    return new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A book of one chapter, and a scheduler with two workers that have it."""
    folder = tmp_path_factory.mktemp("sweep")
    package = Path(importlib.import_module("workings").__file__ or "").parent
    shutil.copytree(package, folder / "lib" / "workings")
    (folder / "lib" / "workings" / "toy.py").write_text(TOY)
    (folder / "chapters").mkdir()
    nbformat.write(toy(), folder / "chapters" / "toy.ipynb")
    started = Cluster(folder)
    try:
        started.begin()
        yield started
    finally:
        for process in started.processes[::-1]:
            process.kill()
            process.wait()


@pytest.fixture
def book(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """The cluster, with its book as that of this process too, and nothing run yet."""
    monkeypatch.setattr(notebooks, "ROOT", cluster.folder)
    monkeypatch.setattr(notebooks, "CHAPTERS", cluster.folder / "chapters")
    monkeypatch.setattr(workings, "__path__", [*workings.__path__, str(cluster.folder / "lib" / "workings")])
    monkeypatch.setenv("WORKINGS_QUIET", "1")
    for name in ("log", "go"):
        (cluster.folder / name).unlink(missing_ok=True)
    codehash.forget()
    yield cluster
    (cluster.folder / "lib" / "workings" / "toy.py").write_text(TOY)
    nbformat.write(toy(), cluster.folder / "chapters" / "toy.ipynb")
    codehash.forget()


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def keys(*grid: str, profile: str = "default", **given: Any) -> list[str]:
    return [point.key for point in points("toy", profile, given, [axis(text) for text in grid])]


# ---- runs ----------------------------------------------------------------------------------------------------------


def test_a_grid_is_run_by_the_workers_and_becomes_a_table(
    book: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []

    def progress(items: Any, what: str) -> Any:
        shown.append((what, len(items)))
        return items

    monkeypatch.setattr(sweep, "progress", progress)
    grid = ["size=2.5", "--grid", "seed=3:5"]
    assert main(["toy", *grid, "--scheduler", book.address, "--folder", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/table.csv: 2 runs, 0 of them there before, 0 failed\n"
    assert shown == [("sweep of toy", 2)]
    table = rows(tmp_path)
    seen = [tuple(row[name] for name in ("seed", "size", "mode", "claim.half", "wrong.half")) for row in table]
    assert seen == [("3", "2.5", "work", "1.25", "8.0"), ("4", "2.5", "work", "1.25", "8.0")]
    assert [(row["run.error"], row["claim.far"], row["wrong.far"]) for row in table] == [("", "inf", "-1.5")] * 2
    assert [row["run.key"] for row in table] == keys("seed=3:5", size=2.5)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {row["run.key"] for row in table}
    assert {int(parent) for *_, parent in book.log()} <= {worker.pid for worker in book.workers}
    parquet = pyarrow.parquet.read_table(tmp_path / "table.parquet").to_pylist()
    assert list(parquet[0]) == list(table[0])
    assert [(row["seed"], row["size"], row["claim.half"]) for row in parquet] == [(3, 2.5, 1.25), (4, 2.5, 1.25)]


def test_only_what_is_missing_is_run_and_a_half_written_run_is_missing(book: Cluster, tmp_path: Path) -> None:
    arguments = ["toy", "--scheduler", book.address, "--folder", str(tmp_path)]
    assert main([*arguments, "--grid", "seed=0"]) == 0
    _, left, torn = keys("seed=0:3")
    for key in (left, torn):
        (tmp_path / key).mkdir()
        (tmp_path / key / "executed.ipynb").write_text("{")
    (tmp_path / left / "result.unfinished").write_text('{"error": "", "seconds": 1, "claims": {}}')
    (tmp_path / torn / "result.json").write_text('{"error": "", "seco')
    assert main([*arguments, "--grid", "seed=0:3"]) == 0
    assert sorted(seed for _, seed, *_ in book.log()) == ["0", "1", "2"]
    assert [row["claim.half"] for row in rows(tmp_path)] == ["0.5"] * 3
    result = json.loads((tmp_path / torn / "result.json").read_text())
    assert (result["chapter"], result["parameters"]) == ("toy", {"seed": 2, "size": 1.0, "mode": "work"})
    executed = nbformat.read(tmp_path / torn / "executed.ipynb", as_version=4)
    assert "seed = 2" in executed.cells[3].source
    # all there: no scheduler is asked any more
    assert main(["toy", "--scheduler", "tcp://127.0.0.1:1", "--folder", str(tmp_path), "--grid", "seed=1:3"]) == 0
    assert [row["seed"] for row in rows(tmp_path)] == ["1", "2"]


def test_a_run_that_fails_is_a_row_with_its_error_and_is_tried_again(
    book: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["toy", "mode=fail", "--grid", "seed=1:3", "--scheduler", book.address, "--folder", str(tmp_path)]
    assert main(arguments) == 1
    assert "2 runs, 0 of them there before, 1 failed" in capsys.readouterr().out
    seen = [(row["run.error"], row["claim.half"]) for row in rows(tmp_path)]
    assert seen == [("ValueError: no such luck", ""), ("", "0.5")]
    failed = tmp_path / keys("seed=1", mode="fail")[0]
    assert [path.name for path in failed.iterdir()] == ["executed.ipynb"]
    assert "no such luck" in (failed / "executed.ipynb").read_text()
    assert main(arguments) == 1
    assert sorted(seed for _, seed, *_ in book.log()) == ["1", "1", "2"]


def test_a_run_whose_worker_is_killed_is_run_by_another(book: Cluster, tmp_path: Path) -> None:
    arguments = ["toy", "mode=wait", "--grid", "seed=0:2", "--scheduler", book.address, "--folder", str(tmp_path)]
    with ThreadPoolExecutor() as pool:
        done = pool.submit(main, arguments)
        wait(lambda: len(book.log()) == 2)
        (_, seed, _, parent), _ = book.log()
        (victim,) = (worker for worker in book.workers if worker.pid == int(parent))
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        (book.folder / "go").touch()
        assert done.result(timeout=180) == 0
    assert [(row["seed"], row["run.error"], row["claim.half"]) for row in rows(tmp_path)] == [
        ("0", "", "0.5"), ("1", "", "0.5"),
    ]  # fmt: skip
    assert len(book.log()) == 3
    again = [parent for _, other, _, parent in book.log() if other == seed]
    assert len(set(again)) == 2


def test_a_run_that_kills_its_workers_fails_alone_here_too(book: Cluster, tmp_path: Path) -> None:
    """On a cluster of its own, as from the command line; the dead worker's place is taken by a new one."""
    done = book.command(
        "chapters/toy.ipynb", "mode=kill", "--grid", "seed=1,0,2", "--workers", "1", "--folder", str(tmp_path),
        # the second: a worker that died is given up before it can be back, as on a busy machine
        DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0", DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT="1 ms",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stdout == f"{tmp_path}/table.csv: 3 runs, 0 of them there before, 1 failed\n"
    failed, *others = rows(tmp_path)
    assert "KilledWorker" in failed["run.error"]
    assert [(row["run.error"], row["claim.half"]) for row in others] == [("", "0.5")] * 2
    assert not list((tmp_path / failed["run.key"]).iterdir())
    assert [seed for _, seed, *_ in book.log()] == ["1", "0", "2"]
    killed, *survived = [parent for *_, parent in book.log()]
    assert killed not in survived
    assert "it/s" not in done.stderr
    assert "Kernel is running" not in done.stderr
    assert "Port 8787" not in done.stderr


def test_code_that_is_edited_meanwhile_is_no_run_of_the_sweep(book: Cluster, tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        arguments = ["toy", "mode=wait", "--grid", "seed=0", "--scheduler", book.address, "--folder", str(tmp_path)]
        done = pool.submit(main, arguments)
        wait(book.log)
        (book.folder / "lib" / "workings" / "toy.py").write_text(TOY.replace("/ 2", "/ 3"))
        (book.folder / "go").touch()
        assert done.result(timeout=180) == 1
    (row,) = rows(tmp_path)
    assert re.match(r"ValueError: the code of toy in .* is \w{16}, not \w{16} as the sweep began", row["run.error"])
    assert not list(tmp_path.glob("*/result.json"))


# ---- before anything runs ------------------------------------------------------------------------------------------


@pytest.fixture
def nothing_runs(book: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    def fail(*given: Any, **more: Any) -> AbstractContextManager[None]:
        pytest.fail("something was started")

    monkeypatch.setattr(sweep, "sweep", fail)
    monkeypatch.setattr(sweep, "_client", fail)
    return book


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["toys", "--grid", "seed=1"], "there is no chapter 'toys'; the chapters are toy"),
        (["other/toy.ipynb", "--grid", "seed=1"], "'other/toy.ipynb' is no chapter of this book"),
        (["toy"], "a sweep needs a --grid; the parameters of toy are seed, size, mode"),
        (["toy", "--grid", "sise=1,2"], "parameter 'sise' is unknown; the parameters of toy are seed, size, mode"),
        (["toy", "sise=1", "--grid", "seed=1"], "parameter 'sise' is unknown"),
        (["toy", "--grid", "seed=98:102"], "parameter 'seed' is 100; allowed: int from 0 to 99"),
        (["toy", "--grid", "seed=1,2.5"], "parameter 'seed' is 2.5 (float); allowed: int from 0 to 99"),
        (["toy", "--grid", "seed=[1]"], "parameter 'seed' is [1] (list)"),
        (["toy", "--grid", "mode=work,play"], "parameter 'mode' is 'play'; allowed: one of 'work', 'fail'"),
        (["toy", "size=65", "--grid", "seed=1"], "parameter 'size' is 65.0; allowed: float from 0 to 64"),
        (["toy", "size=1", "--grid", "size=1,2"], "parameter 'size' is set 2 times"),
        (["toy", "--grid", "seed=1", "--grid", "seed=2"], "parameter 'seed' is set 2 times"),
        (["toy", "--grid", "size=1,2,1.0"], "the grid holds size=1.0 twice"),
        (["toy", "--grid", "seed=0:3,2"], "the grid holds seed=2 twice"),
        (["toy", "--grid", "seed=5:5"], "--grid 'seed=5:5' holds no value"),
        (["toy", "--grid", "seed="], "--grid 'seed=' is no grid; write name=1,2,4"),
        (["toy", "--grid", "seed"], "--grid 'seed' is no grid"),
        (["toy", "--grid", "seed=1,,2"], "--grid 'seed=1,,2' is no grid"),
        (["toy", "--grid", "=1,2"], "--grid '=1,2' is no grid"),
        (["toy", "--grid", "size=0:1:0.5"], "--grid 'size=0:1:0.5' is no grid"),
        (["toy", "--grid", "seed=0:4:0"], "--grid 'seed=0:4:0' is no grid"),
        (["toy", "size", "--grid", "seed=1"], "'size' sets nothing; write name=value"),
        (["toy", "--grid", "seed=1", "--workers", "0"], "--workers is 0; at least 1 is needed"),
        (["toy", "--grid", "seed=1", "--workers", "2", "--scheduler", "tcp://a:1"], "has workers of its own"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(
    nothing_runs: Cluster, tmp_path: Path, arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runs"
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "--folder", str(folder)])
    assert why in capsys.readouterr().err
    assert not folder.exists()


def test_a_chapter_that_was_never_run_says_so(nothing_runs: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    nbformat.write(new_notebook(cells=[new_code_cell(SET)]), nothing_runs.folder / "chapters" / "toy.ipynb")
    with pytest.raises(SystemExit, match="2"):
        main(["toy", "--grid", "seed=1"])
    assert "toy has no table of parameters yet: make refresh CHAPTER=toy" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["file/runs", "/proc/runs"])
def test_a_folder_that_cannot_be_written_is_said_before_anything_starts(
    nothing_runs: Cluster, tmp_path: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="2"):
        main(["toy", "--grid", "seed=1", "--folder", str(tmp_path / where)])
    assert f"the runs cannot be kept in {tmp_path / where}: " in capsys.readouterr().err


def test_a_scheduler_that_is_not_there_is_named(
    book: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "PATIENCE", "0.2 s")
    with pytest.raises(SystemExit, match="2"):
        main(["toy", "--grid", "seed=1", "--scheduler", "tcp://127.0.0.1:1", "--folder", str(tmp_path)])
    assert "no scheduler answers at tcp://127.0.0.1:1" in capsys.readouterr().err


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "workings.book.sweep")
    with pytest.raises(ImportError, match=r"pip install 'workings\[book,sweep\]'"):
        runpy.run_module("workings.book.sweep")


# ---- the lock ------------------------------------------------------------------------------------------------------


HOLD = "import sys, time, pathlib, workings.book.sweep as s\nwith s.locked(pathlib.Path(sys.argv[1])):\n"
HOLD += "    print(flush=True)\n    time.sleep(60)\n"


def test_a_second_sweep_is_refused_by_name_and_a_dead_one_keeps_nobody_out(
    nothing_runs: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    with owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        for _ in range(2):  # being refused does not take the lock away
            with pytest.raises(SystemExit, match="2"):
                main(["toy", "--grid", "seed=1", "--folder", str(tmp_path)])
            error = capsys.readouterr().err
            assert f"another sweep is at work in {tmp_path}: process {owner.pid}, begun 2" in error
            assert f"on {socket.gethostname()}" in error
        owner.kill()
    assert f"process {owner.pid}" in (tmp_path / "lock").read_text()
    with locked(tmp_path):
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()}, ")


def test_a_lock_of_another_machine_is_left_for_a_person_to_delete(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("process 1, begun yesterday, on another")
    for _ in range(2):
        with (
            pytest.raises(ValueError, match=r"left locked by process 1, begun yesterday, on another; .* delete .*lock"),
            locked(tmp_path),
        ):
            pytest.fail("it was taken")
    (tmp_path / "lock").unlink()
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, ZeroDivisionError])
def test_the_lock_is_open_again_however_a_sweep_ends(error: type[BaseException] | None, tmp_path: Path) -> None:
    with pytest.raises(error) if error else nullcontext(), locked(tmp_path):
        if error:
            raise error
    assert (tmp_path / "lock").read_text() == ""
    with locked(tmp_path):
        pass


def test_a_scheduler_that_goes_is_no_fault_of_the_runs() -> None:
    def result() -> None:
        raise CancelledError

    future: Any = SimpleNamespace(result=result)
    with pytest.raises(OSError, match="the scheduler is gone"):
        sweep._outcome(future)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [(KeyboardInterrupt(), 130, "stopped"), (OSError("the disk is full"), 1, "stopped: the disk is full")],
)
def test_a_sweep_that_is_stopped_says_how_it_goes_on(
    book: Cluster, tmp_path: Path, error: BaseException, status: int, said: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def stop(*given: Any) -> None:
        raise error

    monkeypatch.setattr(sweep, "sweep", stop)
    assert main(["toy", "--grid", "seed=1", "--folder", str(tmp_path)]) == status
    assert f"{said}; the same command goes on with what {tmp_path} lacks" in capsys.readouterr().err


# ---- the grid and the hash -------------------------------------------------------------------------------------------


def test_the_grid_is_every_combination_and_the_rest_comes_from_what_was_set_and_the_profile(book: Cluster) -> None:
    made = points("toy", "quick", {"mode": "wait"}, [axis("seed=3:7:2"), axis("size=1,2")])
    assert [tuple(point.values.values()) for point in made] == [
        (3, 1.0, "wait"), (3, 2.0, "wait"), (5, 1.0, "wait"), (5, 2.0, "wait"),
    ]  # fmt: skip
    sizes = [points("toy", profile, {}, [axis("seed=0")])[0].values["size"] for profile in ("quick", "default", "full")]
    assert sizes == [0.5, 1.0, 8.0]
    assert {type(point.values["size"]) for point in made} == {float}
    downwards = points("toy", "default", {}, [axis("seed=2:-1:-1")])
    assert [point.values["seed"] for point in downwards] == [2, 1, 0]


def test_the_hash_is_of_chapter_code_and_parameters(book: Cluster) -> None:
    (plain,) = keys("seed=0")
    same = [keys("size=1"), keys("size=1.0"), keys("mode=work"), keys("seed=0", size=1)]
    assert same == [[plain]] * 4
    others = [*keys("seed=1"), *keys("size=2"), *keys("seed=0", mode="wait"), *keys("seed=0", profile="quick")]
    others += keys("seed=0", profile="full")
    assert len({plain, *others}) == 6
    shutil.copy(book.folder / "chapters" / "toy.ipynb", book.folder / "chapters" / "twin.ipynb")
    (twin,) = points("twin", "default", {}, [axis("seed=0")])
    (book.folder / "chapters" / "twin.ipynb").unlink()
    assert twin.key != plain


@pytest.mark.parametrize(
    ("cell", "field", "value", "changes"),
    [
        (0, "source", "# Another toy", False),
        (4, "outputs", [new_output("stream", text="other")], False),
        (4, "source", RUN + "\nseed += 0", True),
        (1, "source", "%pip list\nfrom workings.book import claim", True),
    ],
)
def test_a_cell_counts_by_its_code(book: Cluster, cell: int, field: str, value: Any, changes: bool) -> None:
    before, path = keys("seed=0"), book.folder / "chapters" / "toy.ipynb"
    notebook = toy()
    notebook.cells[cell][field] = value
    nbformat.write(notebook, path)
    assert (keys("seed=0") != before) == changes


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        (TOY.replace("/ 2", "/ 3"), True),
        ('"""Halves."""\n\n' + TOY + "\n\ndef other():\n    return 3\n", False),
    ],
)
def test_what_the_chapter_uses_counts_and_nothing_else(book: Cluster, source: str, changes: bool) -> None:
    before = keys("seed=0")
    (book.folder / "lib" / "workings" / "toy.py").write_text(source)
    codehash.forget()
    assert (keys("seed=0") != before) == changes


@pytest.mark.parametrize("chapter", notebooks.names())
def test_every_chapter_can_be_swept(chapter: str) -> None:
    for profile in ("quick", "default", "full"):
        made = points(chapter, profile, {}, [axis("seed=0:3")])
        assert [point.values["seed"] for point in made] == [0, 1, 2]
        if profile != "default":
            assert made[0].values == run.profile(chapter, profile) | {"seed": 0}
    claims = sweep.claims_of(notebooks.load(chapter))
    assert len(claims) == len(notebooks.records(notebooks.load(chapter), "claim")) > 0
    assert {type(value) for claim in claims.values() for value in claim.values()} == {float}
