"""The real chapters: without fault, of good proportions, every equation checked, every record fresh."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from nbformat import NotebookNode

from workings.book import notebooks, refresh
from workings.book.colab import set_up_cell
from workings.book.ledger import disagreements, run_checks
from workings.book.markdown import prose
from workings.book.notebooks import NUMBER, equations, faults, load, names, proportions, records
from workings.book.records import Record, read, results_folder
from workings.book.run import run
from workings.book.spread import faults as spread_faults

RECORDS = sorted(f"{path.parent.name}/{path.stem}" for path in results_folder().glob("*/*.json"))
PAGES = sorted(path.name for path in notebooks.CHAPTERS.glob("*.md"))


@pytest.fixture(params=names())
def name(request: pytest.FixtureRequest) -> str:
    """Each chapter's name."""
    return str(request.param)


@cache
def rows_of(chapter: str) -> list[dict[str, Any]]:
    return run_checks(chapter, torch.device("cpu"))


@pytest.fixture
def chapter(name: str) -> NotebookNode:
    return load(name)


def test_a_chapter_has_no_fault(chapter: NotebookNode) -> None:
    assert faults(chapter) == []


def test_a_chapter_has_good_proportions(chapter: NotebookNode) -> None:
    assert proportions(chapter) == []


def test_every_equation_has_a_check_of_the_same_latex(name: str, chapter: NotebookNode) -> None:
    assert disagreements(name, equations(chapter)) == []


def test_every_equation_holds_and_its_wrong_forms_do_not(name: str) -> None:
    assert [row for row in rows_of(name) if row["faults"]] == []


def test_a_chapter_stores_the_ledger_of_its_checks(name: str, chapter: NotebookNode) -> None:
    (stored,) = records(chapter, "ledger")
    assert list(map(what_stands, stored["rows"])) == list(map(what_stands, rows_of(name)))


def what_stands(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["label"], row["check"], row["kind"], row["tolerance"], set(row["wrong"])


def test_results_are_claimed_no_more_narrowly_than_their_seeds_allow(name: str, chapter: NotebookNode) -> None:
    has_spread = (results_folder() / name / "spread.json").is_file()
    assert spread_faults(records(chapter, "claim"), read(name, "spread") if has_spread else None) == []


def test_the_profiles_are_those_of_the_table(name: str, chapter: NotebookNode) -> None:
    folder = notebooks.CHAPTERS / "profiles" / name
    stored = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in folder.glob("*.yml")}
    assert stored == refresh.profiles(chapter)


def test_the_set_up_cell_is_the_books(chapter: NotebookNode) -> None:
    first = notebooks.code_cells(chapter)[0].source
    assert first == set_up_cell(first)


def test_the_quick_profile_runs_and_uses_what_is_set(
    name: str, chapter: NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKINGS_QUIET", "1")
    quick = refresh.profiles(chapter)["quick"]
    executed = run(name, quick | {"seed": quick["seed"] + 1}, tmp_path / "quick.ipynb")
    assert records(executed, "parameters")[0]["values"] == quick | {"seed": quick["seed"] + 1}
    assert {c["status"] for c in records(executed, "claim") if c["kind"] == "result"} <= {"unclaimed"}
    assert [c["name"] for c in records(executed, "claim")] == [c["name"] for c in records(chapter, "claim")]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_fresh_and_says_where_it_comes_from(record: str) -> None:
    found: Record = read(*record.split("/"))
    assert f"{found.chapter}/{found.name}" == record
    assert not found.is_stale, f"the code of {record} has changed: {found.command}"
    assert found.command.startswith("make ")
    assert found.code
    assert (results_folder() / f"{record}.json").stat().st_size <= 200_000


@pytest.mark.parametrize("page", PAGES)
def test_no_page_types_a_number_that_was_measured(page: str) -> None:
    text = prose((notebooks.CHAPTERS / page).read_text(encoding="utf-8"))
    assert [match[0] for match in NUMBER.finditer(text)] == []


def test_every_profile_and_result_belongs_to_a_chapter() -> None:
    folders = [*(notebooks.CHAPTERS / "profiles").glob("*/"), *results_folder().glob("*/")]
    assert {folder.name for folder in folders} <= set(names())


def test_where_published_values_come_from_is_said() -> None:
    entries = yaml.safe_load((notebooks.CHAPTERS / "published.yml").read_text(encoding="utf-8")) or {}
    for key, entry in entries.items():
        assert set(entry) == {"value", "source", "where"}, key
        assert all(str(part).strip() for part in entry.values()), key
