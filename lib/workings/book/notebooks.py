"""Reading the chapters: their cells, equations, claims and records, and the faults that a chapter must not have."""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from workings.book import markdown
from workings.book.figures import SMALLEST
from workings.book.markdown import Equation
from workings.book.output import KEY

ROOT = Path(__file__).resolve().parents[3]
CHAPTERS = ROOT / "chapters"
LONGEST_CELL, LONGEST_LINE = 12, 88  # lines; characters, which is what a page of 1280 px shows
NUMBER = re.compile(r"\d+\.\d+|\d\s?(%|×|dB|nats|bits|ms|s\b|MB|GB)")
HOME = re.compile(rf"{re.escape(str(ROOT))}|/(home|root|tmp|Users)/|[A-Z]:\\Users\\")
IMAGE = re.compile(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+")
MAGIC = re.compile(r"^(\s*)[%!].*$", re.M)
PARAMETER = re.compile(r"\w+ = (?P<value>[^#]+?)\s+# \S.*")
PROPORTIONS = {
    "words": (2500, 5000),
    "code cells": (20, 40),
    "definitions": (0, 5),
    "bytes": (0, 2**20 - 1),
    "bytes of explorers' frames": (0, 400_000),
    "prompts 'Before you run this'": (3, math.inf),
    "exercises": (1, math.inf),
}


def names() -> list[str]:
    """Return the chapters' names in alphabetical order."""
    return sorted(path.stem for path in CHAPTERS.glob("*.ipynb"))


def path_of(chapter: str) -> Path:
    """Return a chapter's path. Raises ``ValueError`` naming the chapters there are."""
    path = CHAPTERS / f"{chapter}.ipynb"
    if not path.is_file():
        raise ValueError(f"there is no chapter {chapter!r}; the chapters are {', '.join(names())}")
    return path


def load(chapter: str) -> NotebookNode:
    """Read a chapter."""
    notebook: NotebookNode = nbformat.read(path_of(chapter), as_version=4)
    return notebook


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def records(notebook: NotebookNode, kind: str) -> list[dict[str, Any]]:
    """Return the records of one ``kind`` (claim, recorded, figure, explorer, ledger, parameters) in order."""
    found = (
        output.metadata.get(KEY, {}).get(kind)
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "display_data"
    )
    return [dict(record) for record in found if record]


def equations(notebook: NotebookNode) -> list[Equation]:
    """Return the displayed equations of the markdown cells, in order."""
    return [equation for text in _markdown(notebook) for equation in markdown.equations(text)]


def faults(notebook: NotebookNode) -> list[str]:
    """Return what a chapter must not have: each fault in a line."""
    return [
        *_execution(notebook),
        *_parameters(notebook),
        *_outputs(notebook),
        *_cells(notebook),
        *_numbers(notebook),
    ]


def _markdown(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def _execution(notebook: NotebookNode) -> Iterator[str]:
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}, not 1 to {len(counts)}: nbval would compare nothing; run make refresh"
    compared = sum(bool(cell.outputs) for cell in code_cells(notebook))
    if compared < len(counts) / 3:
        yield f"only {compared} of {len(counts)} code cells have outputs to compare"


def _parameters(notebook: NotebookNode) -> Iterator[str]:
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        yield f"{len(tagged)} cells are tagged 'parameters'; papermill needs exactly one"
        return
    yield from _parameters_cell(tagged[0].source)
    tables = records(notebook, "parameters")
    if len(tables) != 1:
        yield f"{len(tables)} calls of begin(...); a chapter has exactly one"
        return
    defaults = {row["name"]: row["default"] for row in tables[0]["table"]}
    if tables[0]["values"] != defaults:
        yield f"the parameters cell sets {tables[0]['values']}, the table's defaults are {defaults}"


def _parameters_cell(source: str) -> Iterator[str]:
    first, *lines = source.splitlines() or [""]
    if not first.startswith("# parameters"):
        yield "the parameters cell does not begin with '# parameters'"
    for line in filter(str.strip, lines):
        match = PARAMETER.fullmatch(line)
        try:  # papermill injects its values after this cell: what is derived in it would stay as it was
            ast.literal_eval(match["value"] if match else line)
        except (ValueError, SyntaxError):
            match = None
        if not match:
            yield f"in the parameters cell: {line!r}; a line is: name = literal  # type: meaning"


def _outputs(notebook: NotebookNode) -> Iterator[str]:
    for i, cell in enumerate(code_cells(notebook), 1):
        for output in cell.outputs:
            yield from (f"code cell {i} {fault}" for fault in _output(output))
        if len(cell.outputs) > 1 and any(
            output.get("metadata", {}).get(KEY, {}).get("figure") for output in cell.outputs
        ):
            yield f"code cell {i} shows a figure and something else, which the book would put under the same caption"
    claims = records(notebook, "claim")
    for claim in claims:
        if claim["status"] != "holds":
            yield f"claim {claim['name']!r} is stored as {claim['status']}"
    counts = Counter(claim["name"] for claim in claims)
    yield from (f"{count} claims are named {name!r}" for name, count in counts.items() if count > 1)
    yield from (f"record {r['name']!r} is stored as stale" for r in records(notebook, "recorded") if r["stale"])


def _output(output: NotebookNode) -> Iterator[str]:
    if output.output_type == "error":
        yield "stores an error"
    if output.get("name") == "stderr":
        yield f"writes to stderr: {output.text.strip()[:60]}"
    data = output.get("data", {})
    for path in filter(None, map(HOME.search, _strings({**output, "data": _no_images(data)}))):
        yield f"has an output with a path of somebody's machine: {path[0]}"
    if any(mime.startswith("image/") for mime in data):
        figure = output.metadata.get(KEY, {}).get("figure")
        if not figure or not figure["alt"].strip():
            yield "has a figure without alt text; use show(figure, alt=...)"
        elif figure["smallest_text"] is not None and figure["smallest_text"] < SMALLEST:
            yield f"has a figure with text of {figure['smallest_text']} px on a phone; at least {SMALLEST:g}"


def _no_images(data: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs that a path can stand in: in an encoded image, the letters of one are chance."""
    words = {mime: value for mime, value in data.items() if not mime.startswith("image/")}
    return {mime: IMAGE.sub("", value) if isinstance(value, str) else value for mime, value in words.items()}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _cells(notebook: NotebookNode) -> Iterator[str]:
    for i, cell in enumerate(code_cells(notebook), 1):
        lines = len(cell.source.splitlines())
        if lines > LONGEST_CELL:
            yield f"code cell {i} has {lines} lines; at most {LONGEST_CELL}"
        longest = max(map(len, cell.source.splitlines()), default=0)
        if longest > LONGEST_LINE and not cell.source.startswith("# set-up"):
            yield f"code cell {i} has a line of {longest} characters; at most {LONGEST_LINE}"
    found = equations(notebook)
    yield from (f"an equation without a label: {e.tex.strip()[:60]}" for e in found if not e.label)
    counts = Counter(e.label for e in found if e.label)
    yield from (f"{count} equations are labelled {label!r}" for label, count in counts.items() if count > 1)


def _numbers(notebook: NotebookNode) -> Iterator[str]:
    for text in map(markdown.prose, _markdown(notebook)):
        for match in NUMBER.finditer(text):
            near = " ".join(text[max(0, match.start() - 30) : match.end() + 20].split())
            yield f"a typed number in the prose: …{near}…; quote a claim, a record or a published value"


def proportions(notebook: NotebookNode) -> list[str]:
    """Return which measures of a whole chapter are out of bounds, each in a line."""
    text = "\n".join(_markdown(notebook))
    trees = [ast.parse(MAGIC.sub(r"\1pass", cell.source)) for cell in code_cells(notebook)]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    measures = {
        "words": len(re.findall(r"\w+", markdown.prose(text))),
        "code cells": len(trees),
        "definitions": sum(isinstance(node, kinds) for tree in trees for node in ast.walk(tree)),
        "bytes": len(nbformat.writes(notebook).encode()),
        "bytes of explorers' frames": sum(explorer["bytes"] for explorer in records(notebook, "explorer")),
        "prompts 'Before you run this'": text.count("Before you run this"),
        "exercises": len(re.findall(r"\{exercise(-start)?\}", text)),
    }
    return [
        f"{measures[what]} {what}; {low} to {high if high < math.inf else 'any number'} are allowed"
        for what, (low, high) in PROPORTIONS.items()
        if not low <= measures[what] <= high
    ]
