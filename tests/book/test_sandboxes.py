"""The chapter that runs shells leaves its reader's home alone, and runs to its end where there is no zsh."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from zsh_judge import need_zsh

from workings.book.notebooks import load, records
from workings.book.run import profile, run
from workings.checks.mac_setup.sandbox import snapshot

OWN = (".ipython", ".jupyter", ".cache", ".config", ".local")  # what a notebook's own tools write


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's home, with start-up files of its own."""
    there = tmp_path / "reader"
    there.mkdir()
    (there / ".zshrc").write_text("plugins=(git)\n", encoding="utf-8")
    (there / ".zprofile").write_text("# mine\n", encoding="utf-8")
    (there / ".gitconfig").write_text("[user]\n\tname = Reader\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(there))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return there


def chapter(folder: Path) -> Any:
    return run("mac_setup", profile("mac_setup", "quick"), folder / "executed.ipynb")


def test_the_chapter_touches_nothing_in_its_readers_home_and_leaves_no_sandbox(home: Path, tmp_path: Path) -> None:
    need_zsh()
    before = snapshot(home)
    executed = chapter(tmp_path)
    after = {path: one for path, one in snapshot(home).items() if Path(path).parts[0] not in OWN}
    assert after == before
    assert not list(tmp_path.glob("workings-*"))
    assert [c["name"] for c in records(executed, "claim")] == [c["name"] for c in records(load("mac_setup"), "claim")]


def test_without_zsh_the_chapter_says_so_and_runs_to_its_end(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here every command has its name on a path of its own, but for zsh."""
    commands = tmp_path / "commands"
    commands.mkdir()
    for folder in reversed(os.environ["PATH"].split(":")):
        for command in Path(folder).glob("*") if Path(folder).is_dir() else ():
            link = commands / command.name
            link.unlink(missing_ok=True)
            link.symlink_to(command)
    for zsh in commands.glob("*zsh*"):
        zsh.unlink()
    monkeypatch.setenv("PATH", str(commands))
    assert shutil.which("zsh") is None
    executed = chapter(tmp_path)
    said = [o.text for cell in executed.cells for o in cell.get("outputs", []) if o.output_type == "stream"]
    assert sum("This machine has no zsh: this cell is left out here." in text for text in said) >= 5
    claims = {c["name"] for c in records(executed, "claim")}
    assert {"nothing-ran", "order", "one-move", "exercise-half"} <= claims
    assert claims < {c["name"] for c in records(load("mac_setup"), "claim")}
    assert records(executed, "ledger")
