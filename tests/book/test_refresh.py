"""A refreshed chapter is the same to the byte when nothing has changed, and as it was when a cell fails."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

import workings
from workings.book import notebooks, refresh
from workings.book.colab import set_up_cell
from workings.book.notebooks import faults, load, path_of, records

REFRESH = refresh.refresh


def book_at(root: Path) -> Path:
    """Make a book of one chapter; return the chapter's path."""
    (root / "chapters").mkdir()
    (root / "_config.yml").write_text("repository:\n  url: https://example.org/toy\n", encoding="utf-8")
    return Path(shutil.copy(Path(__file__).with_name("toy.ipynb"), root / "chapters"))


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A book whose one chapter was refreshed."""
    root = tmp_path_factory.mktemp("book")
    book_at(root)
    with pytest.MonkeyPatch.context() as patch:
        enter(root, patch)
        REFRESH("toy")
        yield root


def enter(root: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(notebooks, "ROOT", root)
    patch.setattr(notebooks, "CHAPTERS", root / "chapters")
    patch.setenv("WORKINGS_QUIET", "")


@pytest.fixture
def unrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A chapter that was never run, in a book of its own."""
    enter(tmp_path, monkeypatch)
    return book_at(tmp_path)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def edit(path: Path, cell: int, source: str) -> None:
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[cell].source = source
    nbformat.write(notebook, path)


def output_of(notebook: NotebookNode, cell: str) -> NotebookNode:
    (found,) = (one for one in notebook.cells if one.id == cell)
    return found.outputs[0]  # type: ignore[no-any-return]


def test_a_refreshed_chapter_has_no_fault(refreshed: Path) -> None:
    assert faults(load("toy")) == []


def test_a_second_refresh_changes_no_byte(refreshed: Path) -> None:
    before = contents(refreshed)
    assert sorted(before) == [
        "_config.yml", "chapters/profiles/toy/full.yml", "chapters/profiles/toy/quick.yml", "chapters/toy.ipynb",
    ]  # fmt: skip
    REFRESH("toy")
    assert contents(refreshed) == before


def test_the_outputs_are_those_of_the_run(refreshed: Path) -> None:
    notebook = load("toy")
    assert [claim["name"] for claim in records(notebook, "claim")] == ["half", "mean"]
    assert output_of(notebook, "printed").text == "one\ntwo\n"
    assert [cell.execution_count for cell in notebooks.code_cells(notebook)] == list(range(1, 8))
    assert notebook.cells[-1].outputs[-1].execution_count == 7
    assert set(output_of(notebook, "explorer").data) == {
        "text/plain", "text/html", "application/vnd.jupyter.widget-view+json",
    }  # fmt: skip


def test_nothing_that_differs_from_run_to_run_is_kept(refreshed: Path) -> None:
    notebook = load("toy")
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert {key for cell in notebook.cells for key in cell.metadata} == {"tags", "mystnb"}
    view = output_of(notebook, "explorer").data["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == "live"


def test_alt_text_and_caption_stand_where_the_book_reads_them(refreshed: Path) -> None:
    (cell,) = (one for one in load("toy").cells if one.id == "figure")
    assert cell.metadata.mystnb == {
        "image": {"alt": "A line that rises."}, "figure": {"name": "rise", "caption": "Rising."},
    }  # fmt: skip


def test_the_set_up_cell_names_the_repository_and_the_title_stays(refreshed: Path) -> None:
    notebook = load("toy")
    assert notebook.cells[0].source.startswith("# Toy")
    assert notebook.cells[1].source == set_up_cell()
    assert f'"workings @ git+https://example.org/toy@v{workings.__version__}"' in notebook.cells[1].source


def test_the_profiles_are_written_from_the_table(refreshed: Path) -> None:
    folder = refreshed / "chapters" / "profiles" / "toy"
    written = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in folder.iterdir()}
    assert written == {"quick": {"seed": 0, "size": 2}, "full": {"seed": 0, "size": 8}}
    assert refresh.profiles(load("toy")) == written


def test_a_failing_cell_leaves_everything_as_it_was(unrun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(unrun, 4, "raise RuntimeError('planted')")
    before = contents(unrun.parents[1])
    assert refresh.main(["toy"]) == 1
    assert contents(unrun.parents[1]) == before
    error = capsys.readouterr().err
    assert "toy is as it was: a cell failed" in error
    assert "RuntimeError: planted" in error


def test_what_ran_before_a_failing_cell_can_be_read_and_nothing_old_with_it(refreshed: Path) -> None:
    notebook = load("toy")
    notebook.cells[4].source = "raise RuntimeError('planted')"
    with pytest.raises(CellExecutionError, match="planted"):
        refresh.execute(notebook)
    assert len(records(notebook, "parameters")) == 1
    assert records(notebook, "figure") == []


def test_a_chapter_that_calls_no_begin_is_refused_and_left(unrun: Path) -> None:
    for cell in range(3, 8):
        edit(unrun, cell, "1")
    before = contents(unrun.parents[1])
    with pytest.raises(ValueError, match=r"no table of parameters: does it call begin"):
        REFRESH("toy")
    assert contents(unrun.parents[1]) == before


def test_a_chapter_without_set_up_cell_is_refused_before_it_runs(unrun: Path) -> None:
    edit(unrun, 1, "x = 1")
    with pytest.raises(ValueError, match="the first code cell of 'toy' does not begin with '# set-up'"):
        REFRESH("toy")


def test_an_unknown_chapter_is_refused_with_those_that_there_are(
    unrun: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        refresh.main(["toys"])
    assert "there is no chapter 'toys'; the chapters are toy" in capsys.readouterr().err


def test_all_chapters_are_refreshed_if_none_is_named(unrun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(unrun, unrun.with_name("another.ipynb"))
    done: list[str] = []
    monkeypatch.setattr(refresh, "refresh", done.append)
    assert refresh.main([]) == 0
    assert done == ["another", "toy"]
    assert path_of("another").is_file()
