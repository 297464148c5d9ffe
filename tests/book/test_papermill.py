"""A run with other parameters really uses them, and stops at those that it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
import yaml
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from workings.book import notebooks, run
from workings.book.notebooks import faults, load, records

TABLE = [{"name": name, "default": value, "quick": None, "full": None} for name, value in (("seed", 0), ("size", 4))]


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A book of one chapter, of which only the table of parameters is stored."""
    folder = tmp_path / "chapters"
    folder.mkdir()
    notebook = nbformat.read(Path(__file__).with_name("toy.ipynb"), as_version=4)
    record = {"workings": {"parameters": {"values": {"seed": 0, "size": 4}, "table": TABLE}}}
    notebook.cells[3].outputs = [nbformat.v4.new_output("display_data", metadata=record)]
    nbformat.write(notebook, folder / "toy.ipynb")
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "CHAPTERS", folder)
    monkeypatch.setenv("WORKINGS_QUIET", "")
    return folder / "toy.ipynb"


def change(path: Path, cell: int, **fields: Any) -> None:
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[cell].update(fields)
    nbformat.write(notebook, path)


def used(notebook: NotebookNode) -> Any:
    return records(notebook, "parameters")[0]["values"]


def test_a_run_uses_what_was_set_and_leaves_the_chapter_alone(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = toy.read_bytes()
    assert run.main(["toy", "size=64", "seed=5"]) == 0
    assert capsys.readouterr().out == "the executed chapter: runs/toy-default.ipynb\n"
    executed = nbformat.read(tmp_path / "runs" / "toy-default.ipynb", as_version=4)
    injected = next(cell for cell in executed.cells if "injected-parameters" in cell.metadata.get("tags", []))
    assert injected.source.startswith("# Parameters\n")
    assert used(executed) == {"seed": 5, "size": 64}
    assert executed.cells[-1].outputs[-1].data["text/plain"] == "64"
    status = {claim["name"]: claim["status"] for claim in records(executed, "claim")}
    assert status == {"half": "holds", "mean": "unclaimed"}
    assert toy.read_bytes() == before


def test_a_profile_is_read_and_can_be_changed(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = toy.parent / "profiles" / "toy"
    folder.mkdir(parents=True)
    (folder / "full.yml").write_text(yaml.safe_dump({"seed": 0, "size": 8}), encoding="utf-8")
    runs: list[Any] = []
    monkeypatch.setattr(run, "run", lambda *given: runs.append(given))
    run.main(["toy", "--profile", "full"])
    run.main(["toy", "--profile", "full", "seed=2"])
    assert [given[1] for given in runs] == [{"seed": 0, "size": 8}, {"seed": 2, "size": 8}]


def test_papermill_itself_is_stopped_by_an_unknown_parameter(toy: Path) -> None:
    """Without `run`, as on the command line: papermill would go on with a warning."""
    with pytest.raises(
        PapermillExecutionError, match="parameter 'sise' is unknown; the parameters of toy are seed, size"
    ):
        papermill.execute_notebook(toy, None, {"sise": 3}, progress_bar=False)


@pytest.mark.parametrize(
    ("value", "why"),
    [("size=65", "parameter 'size' is 65; allowed: int from 1 to 64"), ("size=big", "'size' is 'big' (str)")],
)
def test_a_value_that_is_not_allowed_stops_the_run(
    toy: Path, value: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["toy", value]) == 1
    error = capsys.readouterr().err
    assert "toy stopped; as far as it came it is in runs/toy-default.ipynb" in error
    assert why in error


def test_a_run_that_ignores_what_was_set_is_an_error(toy: Path) -> None:
    change(toy, 2, metadata={})
    with pytest.raises(ValueError, match=r"did not use {'size': 5}; is its parameters cell tagged 'parameters'"):
        run.run("toy", {"size": 5}, toy.parents[1] / "runs" / "x.ipynb")
    assert "0 cells are tagged 'parameters'; papermill needs exactly one" in faults(load("toy"))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["toys"], "there is no chapter 'toys'; the chapters are toy"),
        (["toy", "--profile", "fast"], "there is no profile 'fast' of 'toy'; there are default, quick and full"),
        (["toy", "sise=3"], "parameter 'sise' is unknown; the parameters of toy are seed, size"),
        (["toy", "size"], "'size' sets nothing; write name=value"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_runs(
    toy: Path, arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run.main(arguments)
    assert why in capsys.readouterr().err
    assert not (toy.parents[1] / "runs").exists()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x=3", 3),
        ("x=1e-3", 1e-3),
        ("x=-2.5", -2.5),
        ("x=True", True),
        ("x=cpu", "cpu"),
        ("x='3'", "3"),
        ("x=a=b", "a=b"),
    ],
)
def test_a_value_is_a_literal_or_a_word(text: str, value: Any) -> None:
    name, got = run.assignment(text)
    assert (name, got, type(got)) == ("x", value, type(value))
