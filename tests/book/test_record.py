"""An experiment is recorded with all its seeds, or not at all."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import workings
from workings.book import codehash, record, records
from workings.book.records import read

EXPERIMENTS = """
def line(seed, device, slope=1.0):
    return {"ends": [seed, slope * seed], "device": str(device)}


def breaks(seed, device):
    return {"value": 1.0 / (seed - 2)}


RECORDED = {
    "line": {"run": line, "seeds": range(3), "profiles": {"default": {}, "full": {"slope": 2.0}}},
    "breaks": {"run": breaks, "seeds": range(3), "profiles": {"default": {}}},
}
"""


@pytest.fixture(autouse=True)
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the records of a chapter ``toy`` with two experiments, of which one fails at its third seed."""
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "toy" / "experiments.py").write_text(EXPERIMENTS, encoding="utf-8")
    monkeypatch.setattr(workings, "__path__", [str(tmp_path)])
    monkeypatch.setattr(records, "results_folder", lambda: tmp_path / "results")
    monkeypatch.setenv("WORKINGS_QUIET", "1")
    forget()
    yield tmp_path / "results" / "toy"
    forget()


def forget() -> None:
    for name in ("workings.toy", "workings.toy.experiments"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    codehash.forget()


def test_an_experiment_is_run_for_each_seed_and_recorded(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert record.main(["toy", "--only", "line", "--device", "cpu"]) == 0
    assert capsys.readouterr().out == "results/toy/line.json\n"
    stored = read("toy", "line")
    assert stored.values == {"ends": [[0, 0.0], [1, 1.0], [2, 2.0]], "device": ["cpu"] * 3}
    assert (stored.seeds, stored.profile, stored.parameters) == ([0, 1, 2], "default", {})
    assert (stored.command, stored.code) == ("make record CHAPTER=toy", ["workings.toy.experiments:line"])
    assert not stored.is_stale


def test_another_profile_is_a_record_of_its_own(toy: Path) -> None:
    assert record.main(["toy", "--profile", "full", "--device", "cpu"]) == 0
    assert [path.name for path in toy.iterdir()] == ["line-full.json"]
    stored = read("toy", "line-full")
    assert stored.values["ends"] == [[0, 0.0], [1, 2.0], [2, 4.0]]
    assert (stored.profile, stored.parameters) == ("full", {"slope": 2.0})
    assert stored.command == "make record CHAPTER=toy PROFILE=full"


def test_an_experiment_that_fails_leaves_no_record_and_the_finished_ones_stay(toy: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        record.main(["toy", "--device", "cpu"])
    assert [path.name for path in toy.iterdir()] == ["line.json"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["toys"], "chapter 'toys' has no experiments to record; those that have are toy"),
        (["toy", "--only", "curve"], "no experiment 'curve'; there are line, breaks"),
        (["toy", "--profile", "quick"], "no experiment of toy has a profile 'quick'"),
        (["toy", "--only", "breaks", "--profile", "full"], "no experiment of breaks has a profile 'full'"),
        (["toy", "--profile", "fast"], "invalid choice: 'fast'"),
    ],
)
def test_what_cannot_be_recorded_is_refused(
    toy: Path, arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        record.main(arguments)
    assert why in capsys.readouterr().err
    assert not toy.exists()
