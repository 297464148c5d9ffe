"""The build is strict: a small book with the real configuration passes; each planted fault is named and fails it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
from extensions import load
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[2]
SHARED = ["_config.yml", "_static", "_templates", "_ext", "chapters/references.bib"]
FAULTS = {
    "{eq}`nowhere:at-all`": "nowhere:at-all",
    "{cite}`nobody1900`": "nobody1900",
    "{numref}`no-figure`": "no-figure",
    "[a page](missing.md)": "missing.md",
    "{claim}`no-claim`": "no-claim",
    "![a picture](missing.png)": "missing.png",
    "{py:func}`workings.nothing`": "workings.nothing",
}


def build(folder: Path, body: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Build a book of a cover with ``body``, a notebook and every reference, as ``make book`` builds the real one."""
    for name in SHARED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
    (folder / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters: [{file: chapters/run}, {file: all}]\n")
    (folder / "index.md").write_text(f"# Cover\n\n## Words\n\n{body}\n", encoding="utf-8")
    (folder / "all.md").write_text("# All\n\n```{bibliography}\n:all:\n```\n", encoding="utf-8")
    nbformat.write(notebook(), folder / "chapters/run.ipynb")
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", "-q", "-W", "-n", "--keep-going", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    return done, folder / "_build/html"


def notebook() -> Any:
    """Return a notebook whose stored output no run would give, and an explorer's output in both its forms."""
    stored = new_output("stream", name="stdout", text="stored, not run\n")
    both = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/html": "<p>frames</p>"}
    display = new_output("display_data", data={**both, "text/plain": "explorer"})
    cells = [
        new_markdown_cell("# Run\n\n$$ a = b $$ (run:one)\n\nSee {eq}`run:one` and {cite}`chen2018`."),
        new_code_cell("raise SystemExit('this must not run')", outputs=[stored], execution_count=1),
        new_code_cell("explore()", outputs=[display], execution_count=2),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def test_a_sound_book_builds_without_warnings_and_without_running_anything(tmp_path: Path) -> None:
    """Every entry of the bibliography is formatted too, though no chapter may cite it yet."""
    done, html = build(tmp_path, "See {cite}`chen2018` and [the notebook](chapters/run.ipynb).")
    assert (done.returncode, done.stderr) == (0, "")
    page = (html / "chapters/run.html").read_text(encoding="utf-8")
    assert "stored, not run" in page
    assert "<p>frames</p>" in page
    assert "widget-view" not in page
    assert "fontawesome.js" not in page
    for name in ("tex-chtml.js", "input/tex/extensions/boldsymbol.js", "output/chtml/fonts/woff-v2"):
        assert (html / "_static/mathjax" / name).exists()


def test_each_fault_is_named_and_fails_the_build(tmp_path: Path) -> None:
    done, _ = build(tmp_path, "\n\n".join(FAULTS))
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert done.returncode != 0
    assert {fault for fault, name in FAULTS.items() if not any(name in line for line in warnings)} == set()
    assert len(warnings) == len(FAULTS)


@pytest.fixture
def offline() -> ModuleType:
    return load("offline")


@pytest.mark.parametrize("count", [0, 2])
def test_a_theme_whose_icon_script_has_moved_is_noticed(offline: ModuleType, count: int) -> None:
    """Cutting nothing out would make every page heavy again, silently."""
    script = '<script defer src="_static/scripts/fontawesome.js?digest=1"></script>'
    assert offline.without_icon_script(f"<head>{script}</head>") == "<head></head>"
    with pytest.raises(ValueError, match=f"{count} times"):
        offline.without_icon_script(f"<head>{script * count}</head>")


def test_without_its_mathematics_the_build_says_what_to_install(
    offline: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "find_spec", lambda name: None)
    app = type("App", (), {"builder": type("Builder", (), {"format": "html"})})()
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        offline.copy_mathjax(app, None)
