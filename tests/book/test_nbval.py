"""nbval with the book's own settings: a changed verdict fails, what may differ between machines passes."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from workings.book import notebooks
from workings.book.refresh import clean, execute

SETTINGS = Path(__file__).resolve().parents[1] / "nbval.cfg"
CLAIM = 'claim("{}", 2.0004, says="Half of four.", equals=2.0, atol=1e-3, wrong=4.0)'
EXPLORE = 'explore(draw, "{}", [1.0, 2.0], alt=lambda height: f"A line that rises to {{height}}.")'
SHOW = 'figure = draw(1.0)\nshow(figure, alt="{}")'
PLANTS: dict[str, tuple[str, str, str, str, bool]] = {
    # name of the cell → its source, MIME type, what is stored, what is planted, whether nbval passes it
    "same": (CLAIM, "text/plain", "Half", "Half", True),
    "digits": (CLAIM, "text/html", '<data class="measured">2.000', '<data class="measured">1.999', True),
    "verdict": (CLAIM, "text/plain", "✓ Half", "not claimed at these parameters: Half", False),
    "statement": (CLAIM, "text/plain", "Half of four", "Half of five", False),
    "tolerance": (CLAIM, "text/html", "within 0.001", "within 0.002", False),
    "mark": (CLAIM, "text/html", '<span class="wk-mark">✓', '<span class="wk-mark">–', False),
    "frames": (EXPLORE, "text/html", ";base64,iVBOR", ";base64,jWCPS", True),
    "values": (EXPLORE, "text/html", "values = 2", "values = 3", False),
    "picture": (SHOW, "image/png", "iVBOR", "jWCPS", True),
    "description": (SHOW, "text/plain", "figure: description", "figure: nothing", False),
    "printed": ('print("{}")', "", "printed", "reprinted", False),
}


def plant(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.id in PLANTS:
            _, mime, old, new, _ = PLANTS[cell.id]
            output = cell.outputs[0]
            place, key = (output.data, mime) if mime else (output, "text")
            assert old in place[key], f"{cell.id}: {old!r} is not in {place[key][:300]!r}"
            place[key] = place[key].replace(old, new)


def run(path: Path) -> dict[str, bool]:
    """Return which cells of the notebook at ``path`` nbval passes, by their ids."""
    report = path.with_suffix(".xml")
    options = ["-q", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env", f"--junitxml={report}"]
    command = [sys.executable, "-m", "pytest", *options, "--nbval-sanitize-with", str(SETTINGS), path.name]
    subprocess.run(command, cwd=path.parent, capture_output=True)
    ids = [cell.id for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    cases = ElementTree.parse(report).getroot().iter("testcase")
    return {
        name: case.find("failure") is None and case.find("error") is None for name, case in zip(ids, cases, strict=True)
    }


def executed() -> NotebookNode:
    """Run the toy chapter with one cell for each thing that is planted, in a clean kernel."""
    notebook = nbformat.read(Path(__file__).with_name("toy.ipynb"), as_version=4)
    title, set_up, parameters, begin, *_, explorer, _ = notebook.cells
    names = new_code_cell("from workings.book import claim, explore, show", id="names")
    cells = [new_code_cell(source.format(name), id=name) for name, (source, *_) in PLANTS.items()]
    notebook.cells = [title, set_up, parameters, begin, explorer, names, *cells]
    return clean(execute(notebook))


def test_what_says_something_is_compared_and_what_may_differ_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebooks, "CHAPTERS", tmp_path)
    monkeypatch.setenv("WORKINGS_QUIET", "1")
    notebook = executed()
    plant(notebook)
    nbformat.write(notebook, tmp_path / "toy.ipynb")
    passed = run(tmp_path / "toy.ipynb")
    assert {name: passed[name] for name in PLANTS} == {name: passes for name, (*_, passes) in PLANTS.items()}
    assert all(passed[name] for name in ("setup", "parameters", "begin", "explorer", "names"))
