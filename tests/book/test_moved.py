"""What moved is reported as a fraction of the tolerance, and only chapters that something concerns are run again."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path
from typing import Any

import pytest
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workings.book import moved, notebooks
from workings.book.moved import changed, compare


def claim(name: str, measured: Any, **bounds: float | None) -> dict[str, Any]:
    return {"name": name, "measured": measured, "equals": None, "tolerance": None, "low": None, "high": None} | bounds


@pytest.mark.parametrize(
    ("before", "after", "bounds", "fraction"),
    [
        (2.0, 2.25, {"equals": 2.0, "tolerance": 0.5}, 0.5),
        (2.0, 1.0, {"equals": 2.0, "tolerance": 0.5}, 2.0),
        (2.0, 2.0, {"equals": 2.0, "tolerance": 0.0}, 0.0),
        (2.0, 2.5, {"equals": 2.0, "tolerance": 0.0}, math.inf),
        (2.0, 2.5, {"high": 4.0}, 0.25),
        (2.0, 2.5, {"low": 1.0}, 0.5),
        (2.0, 2.5, {"low": -2.0, "high": 3.0}, 0.5),
        (4.0, 4.5, {"high": 4.0}, math.inf),
        ("nan", "nan", {"high": 4.0}, 0.0),
        (2.0, "nan", {"high": 4.0}, math.inf),
    ],
)
def test_a_claim_moves_by_a_fraction_of_its_tolerance(
    before: Any, after: Any, bounds: dict[str, float], fraction: float
) -> None:
    assert compare([claim("a", before, **bounds)], [claim("a", after, **bounds)]) == [("a", before, after, fraction)]


def test_what_moved_most_comes_first_and_what_is_on_one_side_before_it() -> None:
    stored = [claim("still", 1.0, high=2.0), claim("little", 1.0, high=2.0), claim("gone", 1.0, high=2.0)]
    now = [claim("far", 5.0, high=9.0), claim("still", 1.0, high=2.0), claim("little", 1.25, high=2.0)]
    assert compare(stored, now) == [
        ("gone", 1.0, None, math.inf), ("far", None, 5.0, math.inf), ("little", 1.0, 1.25, 0.25),
        ("still", 1.0, 1.0, 0.0),
    ]  # fmt: skip


def chapter(*claims: dict[str, Any], stale: bool = False) -> Any:
    shown = [{"claim": one} for one in claims] + ([{"recorded": {"name": "curve", "stale": False}}] if stale else [])
    outputs = [new_output("display_data", metadata={"workings": record}) for record in shown]
    return new_notebook(cells=[new_markdown_cell("$$a = b$$ (toy:a)"), new_code_cell("", outputs=outputs)])


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A chapter ``toy`` whose claim moves by a quarter when it is run again."""
    stored = [chapter(claim("half", 2.0, high=4.0), stale=True) for _ in range(2)]
    monkeypatch.setattr(moved, "load", lambda _: stored.pop())
    monkeypatch.setattr(moved, "execute", lambda now: now.update(chapter(claim("half", 2.5, high=4.0))))
    monkeypatch.setattr(moved, "read", lambda chapter, name: type("Stale", (), {"is_stale": name == "curve"}))
    monkeypatch.setattr(moved, "disagreements", lambda chapter, found: [f"{e.label} has no check" for e in found])
    return monkeypatch


def test_a_report_names_the_claim_the_stale_record_and_the_equation(toy: pytest.MonkeyPatch) -> None:
    head, half, *rest = moved.report("toy")
    assert head == "toy: claim, stored, now, change as a fraction of the tolerance"
    assert half.split() == ["half", "2", "2.5", "2.50e-01"]
    assert rest == ["  stale record: curve", "  toy:a has no check"]


def test_a_run_that_stops_is_reported_with_what_it_reached(toy: pytest.MonkeyPatch) -> None:
    def stop(now: NotebookNode) -> None:
        now.update(chapter())
        raise CellExecutionError("Traceback …\n\x1b[31mClaimError\x1b[39m: claim 'half' does not hold\n\n", "", "")

    toy.setattr(moved, "execute", stop)
    _, stopped, half, *_ = moved.report("toy")
    assert stopped == "  the run stopped: ClaimError: claim 'half' does not hold"
    assert half.split() == ["half", "2", "—", "inf"]


def git(root: Path, *command: str) -> None:
    author = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *author, *command], check=True, capture_output=True)


FILES = (
    "lib/workings/one.py", "lib/workings/two/flow.py", "lib/workings/shared.py", "lib/workings/checks/one.py",
    "lib/workings/book/claims.py", "chapters/one.ipynb", "chapters/two.ipynb", "chapters/notes.md",
    "results/two/curve.json", "constraints.txt", "README.md",
)  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two chapters; ``one`` uses ``shared``, ``two`` is a package."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}\n", encoding="utf-8")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "start")
    reached = {"one": ["one", "shared", "checks.one"], "two": ["two", "two.flow", "checks.two"]}
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "CHAPTERS", tmp_path / "chapters")
    monkeypatch.setattr(
        moved, "reached", lambda names: {(f"workings.{m}", "x"): "" for m in reached[names[0].rpartition(".")[2]]}
    )
    return tmp_path


@pytest.mark.parametrize(
    ("file", "chapters"),
    [
        ("lib/workings/one.py", ["one"]),
        ("lib/workings/two/flow.py", ["two"]),
        ("lib/workings/shared.py", ["one"]),
        ("lib/workings/checks/one.py", ["one"]),
        ("lib/workings/book/claims.py", ["one", "two"]),
        ("constraints.txt", ["one", "two"]),
        ("chapters/two.ipynb", ["two"]),
        ("results/two/curve.json", ["two"]),
        ("chapters/notes.md", []),
        ("README.md", []),
    ],
)
def test_the_chapters_that_a_change_concerns_are_run(checkout: Path, file: str, chapters: list[str]) -> None:
    assert changed("main") == []
    (checkout / file).write_text("{1}\n", encoding="utf-8")
    assert changed("main") == chapters


def test_a_commit_that_there_is_not_is_named(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        moved.main(["--since", "nowhere"])
    assert "SINCE='nowhere': fatal: bad revision" in capsys.readouterr().err


def test_the_named_chapters_are_run_or_those_that_changed(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(moved, "report", lambda chapter: [f"report of {chapter}"])
    assert moved.main([]) == 0
    assert capsys.readouterr().out == "no chapter's module has changed since main\n"
    assert moved.main(["two"]) == 0
    assert capsys.readouterr().out == "report of two\n"
    (checkout / "lib/workings/one.py").write_text("1\n", encoding="utf-8")
    assert moved.main([]) == 0
    assert capsys.readouterr().out == "report of one\n"


def test_an_unknown_chapter_is_refused(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        moved.main(["three"])
    assert "there is no chapter 'three'; the chapters are one, two" in capsys.readouterr().err
