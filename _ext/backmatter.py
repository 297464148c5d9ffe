"""Pages at the back that are made from what is stored: every claim, every recorded run, the book's own state.

- the directive ``{claims}`` lists every claim with its bound, its wrong form and its spread over seeds;
- ``{recordings}`` lists every recorded run with where it comes from, and links to the chapter that shows it;
- ``{status}`` shows what has been tried where: planted errors, bad data, runs again and on a GPU, versions.
"""

from __future__ import annotations

import json
import platform
import re
import runpy
import statistics
from collections.abc import Sequence
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from ledger import stored
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from workings.book.claims import value_text
from workings.book.records import Record, read, results_folder

SHOWN = ("workings", "torch", "numpy", "scipy", "matplotlib", "jupyter-book", "sphinx", "nbval", "papermill")
BAD = {"error": "a clear error", "answer": "a right answer", "fault": "neither"}
Row = list[str]


class Page(SphinxDirective):
    """A page of tables made of stored results."""

    def chapters(self) -> list[Path]:
        """Return the notebooks by name; the page is made anew when one changes."""
        paths = sorted(Path(self.env.srcdir, "chapters").glob("*.ipynb"))
        for path in paths:
            self.env.note_dependency(str(path))
        return paths

    def run(self) -> list[nodes.Node]:
        """Return the tables as they are."""
        return [nodes.raw("", "\n".join(self.html()), format="html")]

    def html(self) -> list[str]:
        """Return the page's parts."""
        raise NotImplementedError(type(self).__name__)


class Claims(Page):
    """Every claim of every chapter."""

    def html(self) -> list[str]:
        """Return one table a chapter."""
        parts, head = [], ["what is claimed", "measured", "claimed", "otherwise", "seeds"]
        for path in self.chapters():
            rows = [_claim(path.stem, claim) for claim in stored(str(path), "claim")]
            parts += [_heading(path.stem), table(head, rows, "wk-claims")]
        return parts


class Recordings(Page):
    """Every recorded run but the tables of times, which have a page of their own."""

    def html(self) -> list[str]:
        """Return one table a chapter."""
        parts = []
        for path in self.chapters():
            files = sorted((results_folder() / path.stem).glob("*.json"))
            records = [read(path.stem, file.stem) for file in files if not file.stem.startswith("benchmark-")]
            head = ["record", "quantities", "seeds", "on", "made by"]
            shown = {card["name"] for card in stored(str(path), "recorded")}
            rows = [_record(record, record.name in shown) for record in records]
            parts += [_heading(path.stem), table(head, rows)] if rows else []
        return parts


class Status(Page):
    """What has been tried, where and when."""

    def html(self) -> list[str]:
        """Return the tables of versions, chapters and runs."""
        tried = yaml.safe_load(Path(self.env.srcdir, "chapters", "status.yml").read_text(encoding="utf-8"))
        versions = [[name, found] for name in SHOWN if (found := _version(name))]
        head = ["chapter", "cells", "claims", "checks", "planted by hand", "drawn", "killed"]
        rows = [self.chapter(path) for path in self.chapters()]
        bad = json.loads(Path(self.env.srcdir, "tests/bad_data/table.json").read_text(encoding="utf-8"))
        return [
            "<h2>The chapters</h2>",
            table(head, rows),
            "<h2>Bad data</h2>",
            f"<p>{escape(tried['bad data'])}</p>",
            table(["module", "functions", "calls", *BAD.values()], [_bad_data(*topic) for topic in bad.items()]),
            "<h2>Run again</h2>",
            f"<p>{escape(tried['run again'])}</p>",
            table(["under", "chapters", "runs", "cells", "not as stored"], self.repeats()),
            *map(_run, tried["runs"]),
            "<h2>Versions</h2>",
            table(["package", "version"], [["Python", platform.python_version()], *versions]),
        ]

    def repeats(self) -> list[Row]:
        """Add up the runs of chapters under the same circumstances."""
        lines = json.loads(Path(self.env.srcdir, "tests/repeats.json").read_text(encoding="utf-8"))
        alike: dict[str, list[dict[str, Any]]] = {}
        for line in lines:
            names = [f"{name}={value}" for name, value in line["environment"].items()]
            alike.setdefault(", ".join((f"torch {line['torch']} on {line['device']}", *names)), []).append(line)
        return [
            [
                escape(under),
                str(len({line["chapter"] for line in found})),
                str(len(found)),
                str(sum(line["cells"] for line in found)),
                escape(", ".join(f"{line['chapter']}: {name}" for line in found for name in line["failed"])) or "none",
            ]
            for under, found in alike.items()
        ]

    def chapter(self, path: Path) -> Row:
        """Count what a chapter holds, and what its tests were tried on."""
        notebook = json.loads(path.read_text(encoding="utf-8"))
        mutants = Path(self.env.srcdir, "tests", "mutants")
        samples = json.loads((mutants / "samples.json").read_text(encoding="utf-8"))
        by_hand = runpy.run_path(str(mutants / f"{path.stem}.py"))["MUTANTS"]
        checks = sum(len(ledger["rows"]) for ledger in stored(str(path), "ledger"))
        drawn = samples.get(path.stem, {"count": "", "killed": ""})
        cells = sum(cell["cell_type"] == "code" for cell in notebook["cells"])
        counts = (cells, len(stored(str(path), "claim")), checks, len(by_hand))
        return [_link(path.stem), *map(str, counts), str(drawn["count"]), str(drawn["killed"])]


def table(head: Row, rows: Sequence[Row], kind: str = "") -> str:
    """Return a table that scrolls by itself where it is too wide; cells are HTML."""
    lines = ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    titles = "".join(f"<th>{title}</th>" for title in head)
    return (
        f'<div class="wk-scroll"><table class="wk-ledger {kind}"><thead><tr>{titles}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _heading(chapter: str) -> str:
    return f'<h2 id="{chapter}">{_link(chapter)}</h2>'


def _link(chapter: str, anchor: str = "", text: str = "") -> str:
    words = re.sub("`([^`]*)`", r"<code>\1</code>", escape(text or chapter.replace("_", " ")))
    return f'<a href="{chapter}.html{anchor}">{words}</a>'


def _claim(chapter: str, claim: dict[str, Any]) -> Row:
    otherwise = f"{escape(claim['contrast'])}: {value_text(claim, 'wrong')}" if claim["contrast"] else ""
    return [
        _link(chapter, f"#claim-{claim['name']}", claim["says"]),
        value_text(claim),
        escape(claim["relation"]),
        otherwise,
        _spread(chapter, claim["name"]),
    ]


def _spread(chapter: str, name: str) -> str:
    """Return mean and standard deviation over seeds, where they were measured."""
    if not (results_folder() / chapter / "spread.json").exists():
        return ""
    values = read(chapter, "spread").values.get(name, [])
    return f"{statistics.fmean(values):.3g} ± {statistics.stdev(values):.2g} ({len(values)})" if len(values) > 1 else ""


def _record(record: Record, is_shown: bool) -> Row:
    state = "its code has changed since" if record.is_stale else "its code is unchanged"
    versions = ", ".join(f"{name} {found}" for name, found in record.versions.items())
    driver = "" if record.driver == "none" else f", driver {escape(record.driver)}"
    place = f"{record.date}, {escape(record.device)}{driver}; {escape(versions)}; commit {record.commit}; {state}"
    return [
        _link(record.chapter, f"#record-{record.name}" * is_shown, record.name),
        str(len(record.values)),
        str(len(record.seeds)),
        place,
        f"<code>{escape(record.command)}</code>",
    ]


def _run(run: dict[str, Any]) -> str:
    """Return one run of everything on another machine."""
    rows = [
        [_link(chapter), *(escape(str(run[kind].get(chapter, ""))) for kind in ("cells", "full"))]
        for chapter in run["cells"]
    ]
    return (
        f"<h2>{escape(run['title'])}</h2><p>{escape(run['machine'])}, {run['date']}, commit {run['commit']}. "
        f"{escape(run['summary'])}</p>" + table(["chapter", "cells as stored", "full profile"], rows)
    )


def _bad_data(topic: str, functions: dict[str, dict[str, dict[str, str]]]) -> Row:
    """Count what came of the calls of a module's functions with bad data."""
    found = [arguments for function in functions.values() for arguments in function.values()]
    counts = [sum(len(kinds.get(end, "").split(", ")) for kinds in found if end in kinds) for end in BAD]
    return [topic.replace("_", " "), *map(str, (len(functions), sum(counts), *counts))]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("claims", Claims)
    app.add_directive("recordings", Recordings)
    app.add_directive("status", Status)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
