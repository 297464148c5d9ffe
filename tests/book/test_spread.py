"""A result claimed more narrowly than its seeds allow is found."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from workings.book import spread
from workings.book.spread import faults, measure

VALUES = [1.0, 1.1, 0.9, 1.0, 1.1, 0.9, 1.0, 1.0]
DEVIATION = float(np.std(VALUES, ddof=1))


def stored_spread(**values: list[float]) -> Any:
    return SimpleNamespace(values=values)


def result(**bounds: float | None) -> dict[str, Any]:
    return {"name": "loss", "kind": "result", "equals": None, "tolerance": None, "low": None, "high": None} | bounds


@pytest.mark.parametrize(
    ("just_enough", "too_little"),
    [
        (result(high=1 + 5.01 * DEVIATION), result(high=1 + 4.99 * DEVIATION)),
        (result(low=1 - 5.01 * DEVIATION), result(low=1 - 4.99 * DEVIATION)),
        (result(low=-9.0, high=1 + 5.01 * DEVIATION), result(low=1 - 4.99 * DEVIATION, high=9.0)),
        (result(equals=1.0, tolerance=5.01 * DEVIATION), result(equals=1.0, tolerance=4.99 * DEVIATION)),
        (result(equals=0.9, tolerance=0.1 + 5.01 * DEVIATION), result(equals=0.9, tolerance=5.01 * DEVIATION)),
        (result(high=9.0), result(high=0.5)),
    ],
)
def test_five_standard_deviations_are_enough_and_less_is_not(
    just_enough: dict[str, Any], too_little: dict[str, Any]
) -> None:
    assert faults([just_enough], stored_spread(loss=VALUES)) == []
    (fault,) = faults([too_little], stored_spread(loss=VALUES))
    assert "result 'loss' leaves" in fault
    assert "needs 5 times that" in fault


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        (None, "over 0 seeds; at least 8"),
        (stored_spread(other=VALUES), "over 0 seeds; at least 8"),
        (stored_spread(loss=VALUES[:7]), "over 7 seeds; at least 8"),
        (stored_spread(loss=[1.0] * 8), "its spread is 0"),
    ],
)
def test_a_spread_that_is_missing_short_or_none_is_found(stored: Any, found: str) -> None:
    (fault,) = faults([result(high=9.0)], stored)
    assert found in fault


def test_an_identity_needs_no_spread() -> None:
    assert faults([result(high=9.0) | {"kind": "identity"}], None) == []


def executed(seed: int) -> Any:
    claims = [result() | {"measured": seed / 8}, result() | {"name": "exact", "kind": "identity", "measured": 0.0}]
    outputs = [new_output("display_data", metadata={"workings": {"claim": claim}}) for claim in claims]
    return new_notebook(cells=[new_code_cell("", outputs=outputs)])


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The parameters of the runs that were made of a chapter ``toy``."""
    made: list[Any] = []

    def run(chapter: str, parameters: dict[str, Any], path: Path) -> Any:
        made.append((chapter, parameters, path.name))
        return executed(parameters["seed"])

    monkeypatch.setattr(spread, "run", run)
    monkeypatch.setattr(spread, "load", lambda _: executed(0))
    monkeypatch.setenv("WORKINGS_QUIET", "1")
    return made


def test_each_seed_is_run_once_and_only_results_are_measured(runs: list[Any]) -> None:
    assert measure("toy") == {"loss": [seed / 8 for seed in range(1, 9)]}
    assert runs == [("toy", {"seed": seed}, f"{seed}.ipynb") for seed in range(1, 9)]


def test_the_spread_is_stored_as_a_record(
    runs: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored: list[Any] = []

    def write(*given: Any, **more: Any) -> Path:
        stored.append((given, more))
        return Path("spread.json")

    monkeypatch.setattr(spread, "write", write)
    assert spread.main(["toy"]) == 0
    ((given, more),) = stored
    assert given == ("toy", "spread", {"loss": [seed / 8 for seed in range(1, 9)]})
    assert (more["seeds"], more["code"], more["command"]) == (
        list(range(1, 9)), ["workings.toy"], "make spread CHAPTER=toy",
    )  # fmt: skip
    assert capsys.readouterr().out == "toy: loss over 8 seeds in results/toy/spread.json\n"


def test_a_chapter_without_results_is_not_run(runs: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "load", lambda _: new_notebook())
    assert spread.store("toy") == "toy claims no result"
    assert runs == []


def test_an_unknown_chapter_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        spread.main(["no_chapter"])
    assert "there is no chapter 'no_chapter'; the chapters are" in capsys.readouterr().err
