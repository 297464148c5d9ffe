"""Reading the chapters: their cells, equations, claims and records, and the faults that a chapter must not have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from workings.book.output import KEY

ROOT = Path(__file__).resolve().parents[3]
CHAPTERS = ROOT / "chapters"
LONGEST_CELL = 12  # lines
MATHS = re.compile(r"^[ \t]*\$\$(?P<body>.+?)\$\$[ \t]*(?:\((?P<label>[^)\s]+)\))?", re.S | re.M)
DIRECTIVE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{math\}(?P<options>(?:\n:\w+:[^\n]*)*)\n(?P<body>.*?)\n(?P=fence)", re.S | re.M
)
NUMBER = re.compile(r"\d+\.\d+|\d\s?(%|×|dB|nats|bits|ms|s\b|MB|GB)")
NOT_PROSE = (
    re.compile(r"^(`{3,}|~{3,}).*?^\1", re.S | re.M),  # fences: code and directives' sources
    re.compile(r"\$\$.+?\$\$", re.S),
    re.compile(r"\$[^$\n]+\$"),
    re.compile(r"\{[\w:+-]+\}`[^`]*`"),  # roles: claims, citations, references
    re.compile(r"`+[^`\n]+`+"),
    re.compile(r"\]\([^)]*\)|<https?://[^>]*>|https?://\S+"),  # a link's target
    re.compile(r"arXiv:\d+\.\d+", re.I),
    re.compile(r"^:\w[\w-]*:.*$", re.M),  # a directive's options
)
HOME = re.compile(r"(/home/|/Users/|/root/|[A-Z]:\\Users\\|/tmp/)")


@dataclass(frozen=True)
class Equation:
    """A displayed equation: its label (empty if none) and its LaTeX."""

    label: str
    tex: str


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
    found = []
    for text in _markdown(notebook):
        text = re.sub(r"^(`{3,})(?!\{math\})[^\n]*\n.*?^\1", "", text, flags=re.S | re.M)
        spans = [(m.start(), Equation(_label(m["options"]), m["body"])) for m in DIRECTIVE.finditer(text)]
        spans += [(m.start(), Equation(m["label"] or "", m["body"])) for m in MATHS.finditer(text)]
        found += [equation for _, equation in sorted(spans, key=lambda pair: pair[0])]
    return found


def squeeze(tex: str) -> str:
    """Return LaTeX without white space: what two printings of one equation have in common."""
    return "".join(tex.split())


def prose(notebook: NotebookNode) -> Iterator[str]:
    """Yield the markdown cells without mathematics, code, links, roles and citations."""
    for text in _markdown(notebook):
        for pattern in NOT_PROSE:
            text = pattern.sub(" ", text)
        yield text


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


def _label(options: str) -> str:
    match = re.search(r":label:\s*(\S+)", options)
    return match[1] if match else ""


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
    if not tagged[0].source.startswith("# parameters"):
        yield "the parameters cell does not begin with '# parameters'"
    table = records(notebook, "parameters")
    if len(table) != 1:
        yield f"{len(table)} calls of begin(...); a chapter has exactly one"
        return
    defaults = {row["name"]: row["default"] for row in table[0]["table"]}
    if table[0]["values"] != defaults:
        yield f"the parameters cell sets {table[0]['values']}, the table's defaults are {defaults}"


def _outputs(notebook: NotebookNode) -> Iterator[str]:
    seen: set[str] = set()
    for i, cell in enumerate(code_cells(notebook), 1):
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"code cell {i} stores an error"
            if HOME.search(str(output)):
                yield f"code cell {i} has an output with a path of somebody's machine: {HOME.search(str(output))[0]}"  # type: ignore[index]
            if any(mime.startswith("image/") for mime in output.get("data", {})):
                figure = output.metadata.get(KEY, {}).get("figure")
                if not figure or not figure["alt"].strip():
                    yield f"code cell {i} has a figure without alt text; use show(figure, alt=...)"
                elif figure["smallest_text"] < 8:
                    yield f"code cell {i} has a figure with text of {figure['smallest_text']} px on a phone"
    for claim in records(notebook, "claim"):
        if claim["name"] in seen:
            yield f"two claims are named {claim['name']!r}"
        if claim["status"] != "holds":
            yield f"claim {claim['name']!r} is stored as {claim['status']}"
        seen.add(claim["name"])
    yield from (f"record {r['name']!r} is stored as stale" for r in records(notebook, "recorded") if r["stale"])


def _cells(notebook: NotebookNode) -> Iterator[str]:
    for i, cell in enumerate(code_cells(notebook), 1):
        lines = len(cell.source.splitlines())
        if lines > LONGEST_CELL:
            yield f"code cell {i} has {lines} lines; at most {LONGEST_CELL}"
    for equation in equations(notebook):
        if not equation.label:
            yield f"an equation without a label: {equation.tex.strip()[:60]}"


def _numbers(notebook: NotebookNode) -> Iterator[str]:
    for text in prose(notebook):
        for match in NUMBER.finditer(text):
            near = " ".join(text[max(0, match.start() - 30) : match.end() + 20].split())
            yield f"a typed number in the prose: …{near}…; quote a claim, a record or a published value"
