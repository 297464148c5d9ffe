"""Every chapter stops, before anything runs, at what its table of parameters does not allow."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

import matplotlib as mpl
import pytest
import torch
from papermill.translators import PythonTranslator

from workings.book import begin, parameters
from workings.book.notebooks import MAGIC, code_cells, load, names
from workings.book.parameters import NO_RUN, Parameter, current
from workings.book.settings import table

COUNT = 20  # settings with two faults, a chapter
KINDS: dict[str, Callable[[Any, random.Random], Any]] = {
    "just below": lambda row, rng: row.low - 1,
    "far below": lambda row, rng: row.low - rng.randrange(2, 10**12),
    "just above": lambda row, rng: row.high + 1,
    "far above": lambda row, rng: row.high + rng.randrange(2, 10**12),
    "the value as a word": lambda row, rng: str(row.default),
    "the value as a float": lambda row, rng: float(row.default),
    "a fraction": lambda row, rng: row.low + rng.random(),
    "a bool": lambda row, rng: rng.choice((True, False)),
    "None": lambda row, rng: None,
    "nan": lambda row, rng: float("nan"),
    "infinite": lambda row, rng: rng.choice((-1, 1)) * float("inf"),
    "a list": lambda row, rng: rng.choice(([], [row.default], [row.default, row.default])),
    "no choice": lambda row, rng: rng.choice(("CPU", "cuda:0", "gpu", "mps", "", " cpu", "aut", "one of 'auto'")),
    "a number": lambda row, rng: rng.choice((0, 1, -1)),
}
OF_CHOICES = {"no choice", "a number", "a bool", "None", "nan", "infinite", "a list"}
OF_INTEGERS = set(KINDS) - {"no choice", "a number"}


class BegunError(Exception):
    """The call of ``begin`` came back."""


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the run, the filters of warnings and the style of figures as they were."""
    monkeypatch.setattr(parameters, "_current", NO_RUN)
    with warnings.catch_warnings(), mpl.rc_context():
        yield


@cache
def opening(chapter: str) -> tuple[dict[str, Any], str, str]:
    """Run a notebook up to its parameters; return its names, and the cells of its parameters and of ``begin``."""
    cells = [MAGIC.sub(r"\1pass", cell.source) for cell in code_cells(load(chapter))]
    first = next(i for i, source in enumerate(cells) if source.startswith("# parameters"))
    namespace: dict[str, Any] = {}
    for source in cells[:first]:
        exec(source, namespace)
    return namespace, cells[first], cells[first + 1]


def enter(chapter: str, given: Mapping[str, Any], without: str = "", **more: Any) -> None:
    """Run the cells of parameters and of ``begin`` as they stand, with papermill's cell of what is ``given`` between.

    ``without`` is a parameter whose line is deleted; ``more`` goes over the notebook's names.
    """
    imported, own, last = opening(chapter)
    own = "\n".join(line for line in own.splitlines() if not line.startswith(f"{without} ="))
    cells = [own, PythonTranslator.codify(given)]
    namespace = imported | {"In": ["", *cells]} | more
    for source in [*cells, last]:
        exec(source, namespace)


def begun(*given: Any) -> None:
    begin(*given)
    raise BegunError  # what follows in that cell may need gigabytes, at the largest values


@cache
def declared(chapter: str) -> list[Parameter]:
    """The table with which the notebook calls ``begin``."""

    def tell(*given: Any) -> None:
        raise BegunError(given[2])

    with pytest.raises(BegunError) as found:
        enter(chapter, {}, begin=tell)
    return list(found.value.args[0])


def allowed(row: Parameter) -> str:
    if row.choices:
        return "; allowed: one of " + ", ".join(f"'{choice}'" for choice in row.choices)
    return f"; allowed: int from {row.low} to {row.high}"


def refused(chapter: str, given: Mapping[str, Any], *says: tuple[str, ...], without: str = "") -> None:
    """Require that the notebook stops, and says of each faulty parameter, and of none else, what ``says`` holds."""
    what = f"{chapter} at {dict(given)}" + (f" without {without}" if without else "")
    try:
        enter(chapter, given, without)
    except ValueError as error:
        message = str(error)
    else:
        pytest.fail(f"nothing stops {what}")
    found = message.removeprefix("parameter ").split("; parameter ")
    assert len(found) == len(says), f"{what}: {message}"
    for words in says:
        (named,) = [fault for fault in found if fault.startswith(f"{words[0]} ")]
        assert all(word in named for word in words), f"{what}: {message}"
    assert current() is NO_RUN, f"{what} begins a run"


def spoilt(row: Parameter, kind: str, rng: random.Random) -> tuple[Any, tuple[str, ...]]:
    """A value that is not allowed, and what must be said of it."""
    value = KINDS[kind](row, rng)
    of_type = () if type(value) is type(row.default) else (f" ({type(value).__name__})",)
    return value, (repr(row.name), f"is {value!r}", *of_type, allowed(row))


def misspelt(name: str, rng: random.Random) -> str:
    i = rng.randrange(len(name))
    return rng.choice((name.upper(), name[:i] + name[i] + name[i:], f"{name}_", f"my_{name}"))


def unknown(rows: list[Parameter], name: str) -> tuple[str, ...]:
    return repr(name), "is unknown", f"are {', '.join(row.name for row in rows)}"


def kinds(row: Parameter) -> list[str]:
    return sorted(OF_CHOICES if row.choices else OF_INTEGERS)


@pytest.mark.parametrize("chapter", names())
def test_every_fault_of_every_parameter_stops_the_chapter(chapter: str) -> None:
    rng, rows = random.Random(chapter), declared(chapter)
    assert {type(row.default) for row in rows} <= {int, str}, "a type for which KINDS has no faults"
    for row in rows:
        for kind in kinds(row):
            value, says = spoilt(row, kind, rng)
            refused(chapter, {row.name: value}, says)
        refused(chapter, {}, (repr(row.name), "is missing", allowed(row)), without=row.name)
        name = misspelt(row.name, rng)
        refused(chapter, {name: row.default}, unknown(rows, name))


@pytest.mark.parametrize("chapter", names())
def test_of_two_faults_both_are_named(chapter: str) -> None:
    rng, rows = random.Random(f"two of {chapter}"), declared(chapter)
    for number in range(COUNT):
        one, two = rng.sample(rows, 2)
        value, says = spoilt(one, rng.choice(kinds(one)), rng)
        if number % 3 == 0:
            other, says_too = spoilt(two, rng.choice(kinds(two)), rng)
            refused(chapter, {one.name: value, two.name: other}, says, says_too)
        elif number % 3 == 1:
            refused(chapter, {one.name: value}, says, (repr(two.name), "is missing", allowed(two)), without=two.name)
        else:
            name = misspelt(two.name, rng)
            refused(chapter, {name: two.default, one.name: value}, says, unknown(rows, name))


@pytest.mark.parametrize("chapter", names())
def test_the_ends_of_every_range_and_every_choice_are_let_through(
    chapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for row in declared(chapter):
        for value in row.choices or (row.low, row.default, row.profile("quick"), row.profile("full"), row.high):
            monkeypatch.setattr(parameters, "_current", NO_RUN)
            with pytest.raises(BegunError):
                enter(chapter, {row.name: value}, begin=begun)
            assert (current().chapter, current().values[row.name]) == (chapter, value)


@pytest.mark.parametrize("chapter", names())
def test_the_chapter_stored_the_table_that_it_declares(chapter: str) -> None:
    assert [asdict(row) for row in table(chapter)] == json.loads(json.dumps([asdict(row) for row in declared(chapter)]))
