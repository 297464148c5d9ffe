"""Settings are drawn from a table's ranges, and every chapter runs at them; what must not happen there is found."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from papermill.exceptions import PapermillExecutionError

from workings.book import settings
from workings.book.notebooks import names
from workings.book.parameters import Parameter
from workings.book.settings import attempt, draw, faults, table

RUNS = int(os.environ.get("WORKINGS_SETTINGS", "1"))  # of each chapter; make settings runs twenty and records them
ROWS = [
    Parameter("seed", 0, "seed of every draw", 0, 2**31 - 1),
    Parameter("device", "auto", "where to run", choices=("auto", "cpu", "cuda")),
    Parameter("method", "euler", "how to step", choices=("euler", "midpoint")),
    Parameter("noisy", True, "whether to add noise"),
    Parameter("title", "a line", "what stands above"),
    Parameter("rate", 4.0, "learning rate", 0.5, 10.0, quick=2.0),
    Parameter("steps", 50, "training steps", 10, 10**6, quick=30),
    Parameter("least", 100, "of which quick is the least", 8, 900, quick=8),
    Parameter("near", 12, "of which the default is near the least", 8, 900, quick=8),
]
DRAWN = [draw(ROWS, number) for number in range(400)]


def drawn(name: str) -> list[Any]:
    return [setting[name] for setting in DRAWN[1:]]


def claim(name: str, kind: str, status: str, **forms: float | str) -> dict[str, Any]:
    return {"claim": {"name": name, "kind": kind, "status": status, "measured": 1.0, "wrong": 3.0, **forms}}


def notebook(*claims: dict[str, Any], **stream: str) -> Any:
    outputs = [new_output("display_data", metadata={"workings": one}) for one in claims]
    return new_notebook(cells=[new_code_cell("", outputs=[*outputs, new_output("stream", **stream)])])


STORED = notebook(claim("exact", "identity", "holds"), claim("loss", "result", "holds"))
GOOD = [claim("exact", "identity", "holds"), claim("loss", "result", "unclaimed")]


def test_every_setting_is_allowed_and_names_every_parameter_in_order() -> None:
    for setting in DRAWN:
        assert list(setting) == [row.name for row in ROWS]
        assert [fault for row in ROWS if (fault := row.refuse(setting[row.name]))] == []


def test_the_first_setting_is_the_least_of_everything_at_the_largest_seed() -> None:
    ranged = {"seed": 2**31 - 1, "rate": 0.5, "steps": 10, "least": 8, "near": 8}
    assert {name: DRAWN[0][name] for name in ranged} == ranged


def test_the_others_reach_all_that_is_about_as_quick_as_quick() -> None:
    assert (min(drawn("steps")), max(drawn("steps"))) == (10, 30)
    assert (min(drawn("least")), max(drawn("least"))) == (8, 16)
    assert (min(drawn("near")), max(drawn("near"))) == (8, 12)
    assert min(drawn("rate")) == 0.5
    assert 1.9 < max(drawn("rate")) <= 2.0
    assert 60 < drawn("rate").count(0.5) < 140
    assert max(drawn("seed")) > 2**30
    assert len(set(drawn("seed"))) == len(drawn("seed"))
    assert {type(value) for value in drawn("rate")} == {float}
    assert {type(value) for value in drawn("steps")} == {int}


def test_every_choice_is_made_and_the_device_is_the_cpu() -> None:
    assert set(drawn("method")) == {"euler", "midpoint"}
    assert set(drawn("noisy")) == {True, False}
    assert set(drawn("title")) == {"a line"}
    assert {setting["device"] for setting in DRAWN} == {"cpu"}


def test_a_setting_is_drawn_again_the_same() -> None:
    assert [draw(ROWS, number) for number in range(400)] == DRAWN


def test_a_good_run_has_no_fault() -> None:
    assert faults(STORED, notebook(*GOOD, name="stdout", text="said")) == []


@pytest.mark.parametrize(
    ("executed", "found"),
    [
        (notebook(GOOD[0]), ["it states exact and not exact, loss"]),
        (notebook(*GOOD[::-1]), ["it states loss, exact and not exact, loss"]),
        (notebook(), ["it states nothing and not exact, loss"]),
        (notebook(GOOD[0], claim("loss", "result", "holds")), ["the result 'loss' is shown as holds"]),
        (notebook(claim("exact", "identity", "unclaimed"), GOOD[1]), ["the identity 'exact' is shown as unclaimed"]),
        (notebook(GOOD[0], claim("loss", "result", "unclaimed", measured="nan")), ["the result 'loss' measures nan"]),
        (notebook(GOOD[0], claim("loss", "result", "unclaimed", wrong="nan")), ["the result 'loss' measures nan"]),
        (notebook(*GOOD, name="stderr", text="divided by zero\n"), ["it writes to stderr: divided by zero"]),
    ],
)
def test_what_a_run_must_not_show_is_found(executed: Any, found: list[str]) -> None:
    assert faults(STORED, executed) == found


def test_an_error_of_a_cell_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(chapter: str, setting: dict[str, Any], path: Path) -> None:
        raise PapermillExecutionError(4, 4, "", "ClaimError", f"{chapter} at {setting}", [])

    monkeypatch.setattr(settings, "load", lambda _: STORED)
    monkeypatch.setattr(settings, "run", stop)
    assert attempt("toy", {"steps": 3}) == ["ClaimError: toy at {'steps': 3}"]


def test_what_came_of_each_setting_is_recorded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored: list[Any] = []

    def write(*given: Any, **more: Any) -> None:
        stored.append((given, more))

    monkeypatch.setattr(settings, "path_of", lambda _: None)
    monkeypatch.setattr(settings, "table", lambda _: ROWS)
    monkeypatch.setattr(settings, "attempt", lambda _, setting: ["it stops", "twice"] if setting["noisy"] else [])
    monkeypatch.setattr(settings, "write", write)
    monkeypatch.setattr(settings, "_seconds", iter((1.0, 1.26, 3.0, 5.0, 5.0, 5.0, 5.0, 6.0, 7.0, 10.0)).__next__)
    monkeypatch.setenv("WORKINGS_QUIET", "1")
    assert settings.main(["toy", "--count", "5"]) == 0
    ((given, more),) = stored
    assert given[:2] == ("toy", "settings")
    for row in ROWS:
        assert given[2][row.name] == [setting[row.name] for setting in DRAWN[:5]]
    noisy = [setting["noisy"] for setting in DRAWN[:5]]
    assert 0 < sum(noisy) < 5
    assert given[2]["run.faults"] == ["it stops; twice" if one else "" for one in noisy]
    assert given[2]["run.seconds"] == [0.3, 2.0, 0.0, 1.0, 3.0]
    assert (more["code"], more["seeds"]) == (["workings.toy"], [setting["seed"] for setting in DRAWN[:5]])
    assert more["command"] == "make settings CHAPTER=toy COUNT=5"
    assert capsys.readouterr().out == f"toy: 5 settings in results/toy/settings.json, {sum(noisy)} with faults\n"


def test_the_seconds_are_those_of_processes_that_ended() -> None:
    before = settings._seconds()
    subprocess.run([sys.executable, "-c", "sum(range(10**6))"], check=True)
    assert settings._seconds() > before


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["no_chapter"], "there is no chapter 'no_chapter'; the chapters are"),
        (["--count", "0"], "--count is 0; at least 1 is needed"),
    ],
)
def test_what_cannot_be_run_is_refused(arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        settings.main(arguments)
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("chapter", names())
@pytest.mark.parametrize("number", range(RUNS))
def test_a_chapter_runs_at_a_setting_that_is_allowed(chapter: str, number: int) -> None:
    setting = draw(table(chapter), number)
    assert attempt(chapter, setting) == [], f"at {setting}"
