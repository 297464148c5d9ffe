"""Runs of chapters are kept: what failed is named, what was there stays, and a run that could not start is no flake."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
import repeat
from nbformat.v4 import new_code_cell, new_notebook, new_output


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A book of one chapter that prints what the environment says, and a cell that does not hold."""
    (tmp_path / "chapters").mkdir()
    said = {"import os; print(os.environ.get('TZ'))": "Asia/Kathmandu\n", "print(1 + 1)": "2\n"}
    cells = [
        new_code_cell(source, outputs=[new_output("stream", text=text)], execution_count=1)
        for source, text in said.items()
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), tmp_path / "chapters/clock.ipynb")
    monkeypatch.setattr(repeat, "ROOT", tmp_path)
    monkeypatch.setattr(repeat, "KEPT", tmp_path / "repeats.json")
    return tmp_path


def test_runs_are_added_up_under_their_circumstances(book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert repeat.main(["clock", "--zone", "Asia/Kathmandu"]) == 0
    assert repeat.main(["--zone", "UTC", "--threads", "1"]) == 1
    good, bad = json.loads((book / "repeats.json").read_text())
    assert (good["chapter"], good["cells"], good["failed"]) == ("clock", 2, [])
    assert good["environment"] == {"TZ": "Asia/Kathmandu"}
    assert bad["environment"] == {"TZ": "UTC", "OMP_NUM_THREADS": "1"}
    [failed] = bad["failed"]
    assert "0" in failed
    assert "clock: 1 of 2 cells as stored" in capsys.readouterr().out


def test_what_could_not_run_is_not_kept(book: Path) -> None:
    (book / "chapters/clock.ipynb").write_text("no notebook")
    with pytest.raises(RuntimeError, match="nbval could not run"):
        repeat.main([])
    assert not (book / "repeats.json").exists()


def test_a_chapter_that_there_is_not_is_named(book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        repeat.main(["clocks"])
    assert "there is no chapter 'clocks'" in capsys.readouterr().err


def test_nobody_can_write_in_the_home_that_is_none() -> None:
    assert repeat.circumstances(None, None, None, None, no_home=True) == {"HOME": repeat.NO_HOME}
    with pytest.raises(OSError, match=repeat.NO_HOME):
        Path(repeat.NO_HOME, "file").touch()
