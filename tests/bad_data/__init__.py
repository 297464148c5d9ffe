"""Bad data for every public function: valid calls, one module a topic, and what becomes of them when spoiled.

``PYTHONPATH=tests python -m bad_data`` prints how many cells there are of each sort; with ``--write`` it writes the
table (``table.json``), and takes faults that are mended off the list of those known (``known.json``).
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import inspect
import json
import pkgutil
import re
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

import workings
from bad_data.faults import is_data, rebuilt, spoiled
from bad_data.rules import GENERAL, Rule, Trial, leaves

HERE = Path(__file__).parent
TABLE, KNOWN = HERE / "table.json", HERE / "known.json"
HOMES = [str(Path(str(package.__file__)).parent) for package in (workings, torch.distributions)]
MEANT = (*HOMES, "<@beartype(workings.")  # errors from here, also from the file that is named where types are checked
MACHINERY = ("faults", "rules", "__main__")
TOPICS = sorted(m.name for m in pkgutil.iter_modules([str(HERE)]) if m.name not in MACHINERY)
SECONDS = 1.0  # of processor time, after which a call counts as endless; valid ones take milliseconds
NEVER_DATA = {"generator", "device", "each"}  # left at their defaults
FAULTS = ("unclear", "unproved", "endless")  # an error that is no clear one, an answer that no rule proves, none at all
Cells = dict[str, dict[str, dict[str, str]]]  # function, argument, kind of bad data
Folded = dict[str, dict[str, str]]  # argument, what came, of which kinds


class Case:
    """A valid call of a public function, by keywords, that is quick; of what it changes, it gets a copy each time.

    Args:
        call: what is called, if it is not the public name itself: a method of an object, or what shows what was made.
        **args: the valid arguments.

    """

    def __init__(self, call: Callable[..., Any] | None = None, /, **args: Any) -> None:
        self.call, self.args = call, args
        self.hinted: dict[str, set[str]] = {}
        self.rules: dict[tuple[str, str], Rule] = {}
        self.omitted: set[str] = set()

    def hints(self, **words: str) -> Case:
        """Say of arguments what `spoiled` should know."""
        self.hinted |= {name: set(text.split()) for name, text in words.items()}
        return self

    def rule(self, name: str, kinds: str, rule: Rule) -> Case:
        """Say by which rule an answer to a spoiled argument is right, where no general one says it."""
        self.rules |= {(name, kind): rule for kind in kinds.split(",")}
        return self

    def omit(self, names: str) -> Case:
        """Name the parameters that are left at their defaults, being no data or another function's."""
        self.omitted = set(names.split())
        return self

    def run(self, public: Callable[..., Any], **spoiled: Any) -> Any:
        """Call with some arguments replaced."""
        torch.default_generator.manual_seed(0)  # the others, of devices, are slow to seed
        return (self.call or public)(**copy.deepcopy(self.args | spoiled))


class Endless(BaseException):
    """A call that does not end. No ``except Exception`` in the library may swallow it."""


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Raise `Endless` after some seconds of processor time."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Endless

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread: for numbers as few as here, more of them cost a hundred times as much."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def module_of(topic: str) -> Any:
    """Return the module with a topic's cases."""
    return importlib.import_module(f"bad_data.{topic}")


def public(topic: str, name: str) -> Any:
    """Return what a case is of: a function, a class, or ``Class.method``."""
    found = importlib.import_module(f"workings.{topic}")
    for part in name.split("."):
        found = getattr(found, part)
    return found


def parameters(function: Any) -> list[inspect.Parameter]:
    """Return the parameters that a caller gives."""
    return [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]


def is_clear(error: BaseException, name: str) -> bool:
    """Tell whether an error is a clear one: meant by who raised it, of the right type, with the argument's name.

    It is meant when this package raises it, or torch's distributions, whose constraints ours have. A name of one letter
    has to stand where a name can: "a" is also an article, and "n" a part of a shape.
    """
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    if not frame.f_code.co_filename.startswith(MEANT):
        return False
    if not isinstance(error, ValueError | TypeError) and not type(error).__module__.startswith("workings."):
        return False
    if len(name) > 1:
        return re.search(rf"(?i)(?<![\w.]){name}(?!\w)", str(error)) is not None
    before, after = r"(^|\b(and|or|for|unless|of|parameter) |[,:;(] ?)", r"( (is|has|must|and|or|holds|\()|=|,)"
    return re.search(f"(?i){before}{name}{after}", str(error)) is not None


def outcome(case: Case, function: Any, name: str, kind: str, bad: Any, valid: list[Any]) -> str:
    """Return "error" or "answer", or what is wrong: an error is "unclear", an answer "unproved", a call "endless"."""
    value = case.args[name]
    coupled = isinstance(value, int | float) or "coupled" in case.hinted.get(name, ())

    def run(value: Any) -> Any:
        return case.run(function, **{name: value})

    def run_item(item: Any) -> Any:
        return run(rebuilt(value, item))

    try:
        with limited():
            found = leaves(run(copy.deepcopy(bad)))
    except Endless:
        return "endless"
    except Exception as error:
        return "error" if is_clear(error, name) else "unclear"
    rule = case.rules.get((name, kind)) or GENERAL.get(kind.removeprefix("item "))
    try:
        with limited():
            trial = Trial(value, bad, run, valid, found, coupled)
            if kind.startswith("item "):
                trial = Trial(value[0], bad[0], run_item, valid, found, coupled)
            right = rule is not None and rule(trial)
    except (Exception, Endless):  # the rule's own calls are refused: nothing is proved
        right = False
    return "answer" if right else "unproved"


@lru_cache
def cells(topic: str) -> Cells:
    """Return what becomes of every kind of bad data for every argument of a topic's public functions."""
    table: Cells = {}
    with one_thread(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for function, case in module_of(topic).CASES.items():
            of = public(topic, function)
            valid = leaves(case.run(of))
            table[function] = {}
            defaults = {p.name: p.default for p in parameters(of)}
            for name, value in case.args.items():
                hints = case.hinted.get(name, set()) | ({"optional"} if defaults.get(name, 0) is None else set())
                if is_data(value) and "object" not in hints:
                    table[function][name] = {
                        kind: outcome(case, of, name, kind, bad, valid) for kind, bad in spoiled(value, hints)
                    }
    return table


def folded(arguments: dict[str, dict[str, str]]) -> Folded:
    """Return, for each argument, the kinds of bad data by what came of them."""
    found: Folded = {}
    for name, kinds in arguments.items():
        by: dict[str, list[str]] = {}
        for kind, came in kinds.items():
            by.setdefault(came, []).append(kind)
        found[name] = {came: ", ".join(sorted(by[came])) for came in sorted(by)}
    return found


def table_of(topic: str) -> dict[str, Folded]:
    """Return a topic's table: of each function's arguments, which kinds give an error, an answer, a fault."""
    return {
        function: folded({
            name: {kind: "fault" if came in FAULTS else came for kind, came in kinds.items()}
            for name, kinds in arguments.items()
        })
        for function, arguments in cells(topic).items()
    }  # fmt: skip


def faults_of(topic: str) -> dict[str, Folded]:
    """Return a topic's faults, of each function that has some."""
    found = {
        function: folded({
            name: {kind: came for kind, came in kinds.items() if came in FAULTS} for name, kinds in arguments.items()
        })
        for function, arguments in cells(topic).items()
    }  # fmt: skip
    found = {f: {name: by for name, by in arguments.items() if by} for f, arguments in found.items()}
    return {f: arguments for f, arguments in found.items() if arguments}


def still(known: dict[str, Folded], now: dict[str, Folded]) -> dict[str, Folded]:
    """Return a topic's known faults that are still there: never more than were known."""
    left: dict[str, Folded] = {}
    for function, arguments in known.items():
        for name, by in arguments.items():
            for came, kinds in by.items():
                there = now.get(function, {}).get(name, {}).get(came, "").split(", ")
                if kept := ", ".join(kind for kind in kinds.split(", ") if kind in there):
                    left.setdefault(function, {}).setdefault(name, {})[came] = kept
    return left


def counted(found: Cells) -> dict[str, int]:
    """Return how many functions, arguments and cells there are, and how many cells of each sort."""
    every = [came for arguments in found.values() for kinds in arguments.values() for came in kinds.values()]
    number = Counter(every)
    sizes = {"functions": len(found), "arguments": sum(map(len, found.values())), "cells": len(every)}
    return sizes | {came: number[came] for came in ("error", "answer", *FAULTS)}


def written(tables: Mapping[str, Any]) -> str:
    """Return tables as JSON, with a line for each function."""
    lines = ["{"]
    for i, (topic, table) in enumerate(sorted(tables.items())):
        rows = [f" {json.dumps(name)}: {json.dumps(row, ensure_ascii=False)}" for name, row in sorted(table.items())]
        lines += [f"{json.dumps(topic)}: {{", ",\n".join(rows), "}," if i < len(tables) - 1 else "}"]
    return "\n".join([*lines, "}", ""])


def read(path: Path) -> dict[str, Any]:
    """Return a table that was written."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
