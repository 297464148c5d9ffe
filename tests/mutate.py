"""Mutation testing: plant an error in a copy of the package and see whether a chapter's tests turn red.

    python tests/mutate.py hand [CHAPTER…]                  every mutant of tests/mutants/<chapter>.py
    python tests/mutate.py sample MODULE [--count 60] [--seed 0] [--only N]

Heavy libraries are imported once; every mutant is then a fork that puts its own copy of the package first on the path
and runs ``tests/test_<chapter>*.py`` there, quickest test first. Before all of them runs the test that killed a mutant
made by hand the last time, alone: ``tests/mutants/killers.json`` keeps its name. The unmutated package runs in the same
ways before and must be green, since otherwise a broken set-up would "kill" every mutant.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import json
import math
import os
import random
import resource
import runpy
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from mutation_sites import Site, find_sites

if TYPE_CHECKING:
    import pytest

WRONG_COPY = 86  # exit status of a child whose tests imported another copy of the package


# ---- mutants -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """One error: the file (relative to the package), where, the lines before and after, the whole new source."""

    file: str
    line: int
    what: str
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.what}"

    @property
    def key(self) -> str:
        """What names it while lines move."""
        return f"{self.file} {self.what}"


def _mutant(file: str, what: str, source: bytes, start: int, end: int, replacement: bytes) -> Mutant:
    """Replace the bytes ``start:end``; the mutated source must still be Python."""
    mutated = source[:start] + replacement + source[end:]
    first = source.rfind(b"\n", 0, start) + 1
    rest = len(source) - source.find(b"\n", end) if b"\n" in source[end:] else 0
    before, after = source[first : len(source) - rest].decode(), mutated[first : len(mutated) - rest].decode()
    try:
        compile(mutated, file, "exec")
    except SyntaxError as error:
        _stop(f"the mutant of {file} ({what}) is not Python, so that any test would kill it: {error}\n{after}")
    return Mutant(file, source.count(b"\n", 0, start) + 1, what, before, after, mutated.decode())


def sampled(package: Path, module: str, count: int, seed: int) -> list[Mutant]:
    """``count`` mutants of ``module``, each at a site of its own; the first ones do not depend on ``count``."""
    files = sorted((package / module).rglob("*.py")) or [package / f"{module}.py"]
    if not files[0].is_file():
        _stop(f"there is no module {module!r} in {package}")
    sites = [(file, site) for file in files for site in find_sites(file.read_bytes())]
    rng = random.Random(seed)
    rng.shuffle(sites)
    if len(sites) < count:
        _stop(f"module {module!r} has {len(sites)} places to mutate; --count {count} asks for more")
    return [_at(package, file, site, rng.choice(site.variants)) for file, site in sites[:count]]


def _at(package: Path, file: Path, site: Site, variant: str) -> Mutant:
    source, node = file.read_bytes(), site.node
    starts = [0, *(i + 1 for i, byte in enumerate(source) if byte == ord("\n"))]
    start = starts[node.lineno - 1] + node.col_offset  # ast counts columns in bytes
    end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
    return _mutant(file.relative_to(package).as_posix(), site.kind, source, start, end, variant.encode())


def by_hand(package: Path, table: Path) -> list[Mutant]:
    """The mutants of a table ``MUTANTS``: (file, find, replace, why); each ``find`` must occur exactly once."""
    mutants = []
    for file, find, replace, why in runpy.run_path(str(table))["MUTANTS"]:
        source = (package / file).read_bytes()
        if (times := source.count(find.encode())) != 1:
            _stop(f"{table.name}: {find!r} occurs {times} times in {file}; it must occur once")
        if find == replace:
            _stop(f"{table.name}: {find!r} is replaced by itself")
        start = source.index(find.encode())
        mutants.append(_mutant(file, why, source, start, start + len(find.encode()), replace.encode()))
    return mutants


# ---- running -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Project:
    """Where things are: ``root/lib/package`` is mutated, the tests are in ``root/tests``."""

    root: Path
    package: str

    @property
    def source(self) -> Path:
        """The package's folder."""
        return self.root / "lib" / self.package

    def tests(self, chapter: str) -> list[Path]:
        """The test files of a chapter."""
        files = sorted((self.root / "tests").glob(f"test_{chapter}*.py"))
        return files or _stop(f"there is no tests/test_{chapter}*.py")


@dataclass
class Outcome:
    """How one run ended: exit status of pytest (None: time limit), the test that failed, what pytest printed."""

    status: int | None
    seconds: float
    failed: str
    output: str
    durations: dict[str, float]

    @property
    def verdict(self) -> str:
        """Survived, killed, or killed in a way worth reporting apart."""
        named = {None: "time limit", 0: "survived", 1: "killed", 2: "killed at import"}
        return named.get(self.status, f"crashed ({self.status})")


class Plugin:
    """Runs quickest tests first, and notes durations and the first failure."""

    def __init__(self, durations: dict[str, float], note: Path) -> None:
        self.known, self.note = durations, note
        self.durations: dict[str, float] = {}
        self.failed = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Sort by the durations of the first run, which kept the files' own order."""
        items.sort(key=lambda item: self.known.get(item.nodeid, 0.0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up set-up, call and tear-down."""
        self.durations[report.nodeid] = self.durations.get(report.nodeid, 0.0) + report.duration
        self.failed = self.failed or (report.nodeid if report.failed else "")

    def pytest_sessionfinish(self) -> None:
        """Leave the notes for the parent."""
        self.note.write_text(json.dumps({"durations": self.durations, "failed": self.failed}))


class Runner:
    """Runs a chapter's tests against copies of the package, several at a time.

    ``killers`` holds tests to try alone before all others, by the mutants' keys.
    """

    def __init__(
        self, project: Project, chapter: str, limit: float | None, killers: Mapping[str, str] | None = None
    ) -> None:
        self.project, self.tests, self.killers = project, project.tests(chapter), dict(killers or {})
        self.asked, self.limit = limit, float("inf")  # the unmutated package may take its time
        self.durations: dict[str, float] = {}
        preload([*project.source.rglob("*.py"), *self.tests], {project.package, "tests"})

    def baseline(self) -> None:
        """Run the unmutated package; stop unless it is green. Sets the order of the tests and the time limit."""
        print(f"unmutated: {' '.join(t.name for t in self.tests)}", flush=True)
        [(_, outcome)] = self.run([None])
        self._must_be_green(outcome)
        self.durations = outcome.durations
        self.limit = self.asked or 10 + 4 * outcome.seconds
        print(
            f"green in {outcome.seconds:.1f} s; at most {self.limit:.0f} s of a processor for each mutant", flush=True
        )

    def mutants(self, mutants: Sequence[Mutant]) -> Iterator[tuple[Mutant, Outcome]]:
        """Yield each mutant with its outcome as they finish.

        The unmutated package runs among them once more, in the mutants' order of tests, after the killers alone: had
        that turned a test red, it would look like a kill.
        """
        for mutant, outcome in self.run([None, *mutants]):
            if mutant is None:
                self._must_be_green(outcome)
            else:
                yield mutant, outcome

    def _must_be_green(self, outcome: Outcome) -> None:
        if outcome.status != 0:
            _stop(f"the unmutated package is not green ({outcome.verdict}), so nothing can be said\n{outcome.output}")

    def run(self, jobs: Iterable[Mutant | None]) -> Iterator[tuple[Mutant | None, Outcome]]:
        """Run the tests for each job, as many at a time as there are processors."""
        running = dict[int, tuple[Mutant | None, Path, float]]()
        waiting = [(job, self._killers(job)) for job in jobs][::-1]
        again = set[int]()
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            try:
                while waiting or running:
                    if waiting and len(running) < (os.cpu_count() or 1):
                        (mutant, first), place = waiting.pop(), Path(tempfile.mkdtemp(dir=folder))
                        pid = self._start(mutant, place, first)
                        running[pid] = (mutant, place, time.monotonic())
                        again |= {pid} if first else set()
                        continue
                    if ended := self._ended(running):
                        mutant, place, _ = running.pop(ended[0])
                        if ended[0] in again and ended[1] in (0, 4, 5):  # not killed, or the tests are gone: all others
                            shutil.rmtree(place)
                            waiting.append((mutant, []))
                        else:
                            yield mutant, _outcome(place, *ended[1:])
            finally:
                for pid in running:
                    _kill(pid)

    def _killers(self, job: Mutant | None) -> list[str]:
        """Return the tests to run before all others: of the unmutated package, those of all mutants."""
        if job is not None:
            return [self.killers[job.key]] if job.key in self.killers else []
        return sorted(set(self.killers.values())) if self.durations else []

    def _start(self, mutant: Mutant | None, place: Path, first: Sequence[str]) -> int:
        copy = place / "lib"
        shutil.copytree(self.project.source, copy / self.project.package, ignore=shutil.ignore_patterns("__pycache__"))
        if mutant is not None:
            (copy / self.project.package / mutant.file).write_text(mutant.source, encoding="utf-8")
        sys.stdout.flush()
        sys.stderr.flush()
        if pid := os.fork():
            return pid
        status = 3
        try:
            status = self._test(copy, place, first or [*map(str, self.tests)])
        finally:
            os._exit(status)

    def _test(self, copy: Path, place: Path, tests: Sequence[str]) -> int:
        """In the child: run pytest with ``copy`` first on the path, in a process group of its own."""
        os.setpgrp()
        if math.isfinite(self.limit):  # of the processor: what else runs on the machine must not look like a kill
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(self.limit), math.ceil(self.limit) + 1))
        output = os.open(place / "output", os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(self.project.root)
        sys.path.insert(0, str(copy))
        os.environ["PYTHONPATH"] = str(copy)  # for tests that start a Python of their own
        importlib.invalidate_caches()
        import pytest

        options = ["-x", "-q", "-p", "no:cacheprovider", f"--rootdir={self.project.root}", f"--basetemp={place}/tmp"]
        status = int(pytest.main([*options, *tests], plugins=[Plugin(self.durations, place / "note")]))
        return status if self._imported_only(copy) else WRONG_COPY

    def _imported_only(self, copy: Path) -> bool:
        name = self.project.package
        loaded = [m for n, m in list(sys.modules.items()) if n == name or n.startswith(name + ".")]
        spec = importlib.util.find_spec(name)  # also right where a mutant's import failed
        origins = [m.__file__ for m in loaded if isinstance(m, ModuleType)] + [spec.origin if spec else None]
        return all(origin is not None and Path(origin).is_relative_to(copy) for origin in origins)

    def _ended(self, running: dict[int, tuple[Mutant | None, Path, float]]) -> tuple[int, int | None, float] | None:
        """The process that ended (killed here when over its time), its exit status, and its seconds."""
        for pid, (_, _, since) in running.items():
            done, status = os.waitpid(pid, os.WNOHANG)
            seconds = time.monotonic() - since
            if done:
                code = os.waitstatus_to_exitcode(status)
                return pid, None if code == -signal.SIGXCPU else code, seconds
            if seconds > 5 * self.limit:  # it waits for something: a busy one has used its processor time up
                _kill(pid)
                return pid, None, seconds
        time.sleep(0.02)
        return None


def preload(files: Iterable[Path], own: set[str]) -> None:
    """Import what ``files`` import from elsewhere, so that each child has it already; run no operation."""
    names = {"pytest"}
    for node in (n for file in files for n in ast.walk(ast.parse(file.read_bytes()))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    for name in sorted(n for n in names if n.partition(".")[0] not in own):
        with suppress(ImportError):
            importlib.import_module(name)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def _outcome(place: Path, status: int | None, seconds: float) -> Outcome:
    output = (place / "output").read_text(errors="replace") if (place / "output").exists() else ""
    if status == WRONG_COPY:
        _stop(f"the tests imported another copy of the package than the mutated one\n{output}")
    if status in (3, 4, 5):  # pytest's own error, its wrong usage, no test collected
        _stop(f"pytest could not run (exit status {status})\n{output}")
    note: dict[str, Any] = json.loads((place / "note").read_text()) if (place / "note").exists() else {}
    shutil.rmtree(place, ignore_errors=True)
    return Outcome(status, seconds, note.get("failed", ""), output, note.get("durations", {}))


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):  # in the moment before it made its own group
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _stop(message: str) -> NoReturn:
    raise SystemExit(f"mutate: {message}")


# ---- the commands --------------------------------------------------------------------------------------------------


def judge(runner: Runner, mutants: Sequence[Mutant], numbers: Sequence[int], show: bool = False) -> list[Mutant]:
    """Run ``mutants``, print each verdict, the score and the survivors; return those.

    The runner's killers are then those of this run.
    """
    numbered = dict(zip(map(id, mutants), numbers, strict=True))
    verdicts: list[tuple[str, Mutant]] = []
    killers: dict[str, str] = {}
    for mutant, outcome in runner.mutants(mutants):
        verdicts.append((outcome.verdict, mutant))
        killers |= {mutant.key: outcome.failed} if outcome.failed else {}
        by = f"  by {outcome.failed.rpartition('/')[2]}" if outcome.failed else ""
        print(f"{numbered[id(mutant)]:4d}  {outcome.verdict:10s} {outcome.seconds:5.1f} s  {mutant}{by}", flush=True)
        if show:
            print(outcome.output)
    survivors = [m for verdict, m in verdicts if verdict == "survived"]
    apart = {v: sum(v == w for w, _ in verdicts) for v, _ in verdicts if v not in ("killed", "survived")}
    noted = f" ({', '.join(f'{n} {v}' for v, n in sorted(apart.items()))})" if apart else ""
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} mutants killed{noted}")
    for m in survivors:
        print(f"survivor {numbered[id(m)]}: {m}\n{_prefixed('-', m.before)}\n{_prefixed('+', m.after)}")
    runner.killers = killers
    return survivors


def _prefixed(mark: str, text: str) -> str:
    return "\n".join(f"  {mark} {line}" for line in text.splitlines())


def hand(project: Project, chapters: Sequence[str], limit: float | None) -> int:
    """Run the hand-made mutants of ``chapters`` (all with a table, if none is named); name all survivors at the end."""
    tables = project.root / "tests" / "mutants"
    notes, survivors = tables / "killers.json", list[Mutant]()
    for chapter in chapters or sorted(p.stem for p in tables.glob("*.py")):
        if not (tables / f"{chapter}.py").is_file():
            _stop(f"there is no tests/mutants/{chapter}.py")
        mutants = by_hand(project.source, tables / f"{chapter}.py")
        known = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else {}
        runner = Runner(project, chapter, limit, known.get(chapter))
        runner.baseline()
        survivors += judge(runner, mutants, range(len(mutants)))
        _write(notes, known | {chapter: runner.killers})
    print(f"{len(survivors)} survived in all", *survivors, sep="\n  ")
    return min(len(survivors), 1)


def _write(path: Path, values: Mapping[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    fresh.replace(path)


def sample(project: Project, module: str, count: int, seed: int, only: int | None, limit: float | None) -> int:
    """Run a seeded sample of mutants of ``module``; survivors are for a person to judge, so they are no failure.

    ``tests/mutants/samples.json`` keeps the score for the book's page on its state, and the survivors with the reasons
    that somebody wrote there.
    """
    mutants = sampled(project.source, module, max(count, 0 if only is None else only + 1), seed)
    numbers = range(len(mutants)) if only is None else [only]
    runner = Runner(project, module, limit)
    runner.baseline()
    survivors = judge(runner, [mutants[n] for n in numbers], numbers, show=only is not None)
    if only is None:
        notes = project.root / "tests" / "mutants" / "samples.json"
        known = json.loads(notes.read_text(encoding="utf-8")) if notes.exists() else {}
        reasons = known.get(module, {}).get("survivors", {})
        left = {m.key + ": " + m.after.strip(): reasons.get(m.key + ": " + m.after.strip(), "") for m in survivors}
        result = {"seed": seed, "count": len(numbers), "killed": len(numbers) - len(survivors), "survivors": left}
        _write(notes, known | {module: result})
    return 0


def main(arguments: Sequence[str], project: Project) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python tests/mutate.py", description="Plant errors; see the tests turn red.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("hand", "sample"):
        command = commands.add_parser(name)
        command.add_argument(
            "--limit", type=float, help="processor seconds for each mutant; else from the unmutated run"
        )
    commands.choices["hand"].add_argument("chapters", nargs="*", metavar="CHAPTER")
    of_sample = commands.choices["sample"]
    of_sample.add_argument("module", metavar="MODULE")
    of_sample.add_argument("--count", type=int, default=60)
    of_sample.add_argument("--seed", type=int, default=0)
    of_sample.add_argument("--only", type=int, metavar="N", help="replay mutant N and show what pytest printed")
    a = parser.parse_args(arguments)
    if a.command == "hand":
        return hand(project, a.chapters, a.limit)
    return sample(project, a.module, a.count, a.seed, a.only, a.limit)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    # before any library starts threads, which a fork would not carry along; no plugin that each child would import anew
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.exit(main(sys.argv[1:], Project(Path(__file__).resolve().parents[1], "workings")))
