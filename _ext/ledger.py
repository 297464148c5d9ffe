"""The book's own pages and marks: numbers quoted in prose, the equation ledger, the errata, a ✓ at every equation.

Everything is read from the records that the chapters' outputs carry; nothing is computed when the book is built.

- ``{claim}`name``` is what a claim measured; ``{claim}`name:wrong``` what its wrong form gives; ``|.1f`` sets a format;
- ``{record}`name:quantity|.1f``` is the median over the seeds of a recorded quantity, ``name:quantity:most`` the most;
- ``{published}`key``` is a published value from ``published.yml``, its source in the tooltip;
- the directives ``{ledger}``, ``{errata}`` and ``{benchmarks}`` make the pages of these names.
"""

from __future__ import annotations

import re
import statistics
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import nbformat
import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from workings.book.claims import value_text
from workings.book.notebooks import records
from workings.book.records import Record, read, results_folder

EQUATION = re.compile(
    r'(<div class="math notranslate nohighlight" id="equation-(?P<id>[\w-]+)">\s*<span class="eqno">)'
)


@cache
def stored(path: str, kind: str) -> list[dict[str, Any]]:
    """Return the records of one kind in the notebook at ``path``, or none if it is not a notebook."""
    if not path.endswith(".ipynb"):
        return []
    return records(nbformat.read(path, as_version=4), kind)


class Number(SphinxRole):
    """A number from a record, by the record's name."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the number as text, or a warning naming what is not there."""
        key, _, form = self.text.partition("|")
        name, _, part = key.partition(":")
        try:
            value, tip = self.find(name, part)
            text = format(value, form) if form else value if isinstance(value, str) else f"{value:.3g}"
        except (LookupError, ValueError, TypeError, OSError) as error:
            message = f"{self.name}: {self.text}: {error}"
            return [], [self.inliner.reporter.warning(message, line=self.lineno)]
        return [
            nodes.raw("", f'<data class="wk-number" title="{escape(tip)}">{escape(text)}</data>', format="html")
        ], []

    def find(self, name: str, part: str) -> tuple[Any, str]:
        """Return the value and its tooltip."""
        raise ValueError(f"no number {name!r} {part!r}: {type(self).__name__} reads nothing")


class Claimed(Number):
    """A claim's measured value, or another field of it."""

    def find(self, name: str, part: str) -> tuple[Any, str]:
        """Look the claim up in this page's notebook."""
        found = [c for c in stored(self.env.doc2path(self.env.docname), "claim") if c["name"] == name]
        if not found:
            raise KeyError(f"no claim of this chapter is named {name!r}")
        field = part or "measured"
        return (found[0][field] if "|" in self.text else value_text(found[0], field)), found[0]["says"]


class Recorded(Number):
    """The median over seeds of a recorded quantity, or ``name:quantity:least`` and ``most``.

    ``name:quantity:index`` takes the median of one element of a list.
    """

    def find(self, name: str, part: str) -> tuple[Any, str]:
        """Look the record up among this chapter's results."""
        quantity, _, which = part.partition(":")
        record = read(Path(self.env.docname).name, name)
        column, summary = record.values[quantity], {"least": min, "most": max}.get(which, statistics.median)
        values = [row[int(which)] for row in column] if which and which not in ("least", "most") else column
        return summary(values), f"recorded on {record.date}, {record.device}"


class Published(Number):
    """A published value with its source."""

    def find(self, name: str, part: str) -> tuple[Any, str]:
        """Look the value up in ``published.yml``."""
        path = Path(self.env.srcdir, "chapters", "published.yml")
        entry = yaml.safe_load(path.read_text(encoding="utf-8"))[name]
        return str(entry["value"]), f"{entry['source']}, {entry['where']}"


class Ledger(SphinxDirective):
    """Every equation of every chapter with its checks."""

    def run(self) -> list[nodes.Node]:
        """Return one table a chapter."""
        html = []
        for path in sorted(Path(self.env.srcdir, "chapters").glob("*.ipynb")):
            self.env.note_dependency(str(path))
            for ledger in stored(str(path), "ledger"):
                html += [f'<h2 id="{path.stem}"><a href="{path.stem}.html">{path.stem.replace("_", " ")}</a></h2>']
                html += [_table(path.stem, ledger["rows"])]
        return [nodes.raw("", "\n".join(html), format="html")]


class Errata(SphinxDirective):
    """Every erratum of every chapter, as its claim recorded it."""

    def run(self) -> list[nodes.Node]:
        """Return the errata as a nested document, so that its mathematics is rendered like the book's."""
        lines: list[str] = []
        for path in sorted(Path(self.env.srcdir, "chapters").glob("*.ipynb")):
            self.env.note_dependency(str(path))
            found = [c for c in stored(str(path), "claim") if "erratum" in c]
            if found:
                lines += [f"## {path.stem.replace('_', ' ')}", ""]
            for claim in found:
                lines += _erratum(path.stem, claim)
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def form(tex: str) -> str:
    r"""Write LaTeX as Markdown: words outside of formulas as words, which wrap where a formula would be too wide.

    >>> form(r"a_j \text{ are the coefficients}")
    '$a_j$ are the coefficients'
    >>> form(r"\texttt{echo \$0}")
    '`echo $0`'
    >>> form(r"\mu_{\text{left}}")
    '$\\mu_{\\text{left}}$'
    """
    pieces = re.split(r"(\\text(?:tt)?\{[^{}]*\})", tex)  # formulas at even places, words at odd ones
    if any(formula.count("{") != formula.count("}") for formula in pieces[::2]):
        return f"${tex}$"  # words inside of a formula
    made = []
    for k, piece in enumerate(pieces):
        words = piece.partition("{")[2].removesuffix("}")
        if k % 2 == 0:
            made.append(f"${piece.strip()}$" if piece.strip() else "")
        elif piece.startswith(r"\texttt"):
            made.append("`" + words.replace(r"\$", "$") + "`")
        else:
            made.append(words)
    return "".join(made)


def _erratum(chapter: str, claim: dict[str, Any]) -> list[str]:
    erratum = claim["erratum"]
    corrected, printed = ("is off by", "by ") if claim["is_deviation"] else ("gives", "")
    return [
        f"**{erratum['where']}** {claim['says']}",
        "",
        f"Printed: {form(erratum['printed'])}",
        "",
        f"Corrected: {form(erratum['corrected'])}",
        "",
        f"{erratum['reading']} "
        f"The corrected form {corrected} {value_text(claim)}, the printed one {printed}{value_text(claim, 'wrong')} "
        f"([the claim]({chapter}.ipynb)).",
        "",
    ]


class Benchmarks(SphinxDirective):
    """Every recorded table of times, with where it comes from."""

    def run(self) -> list[nodes.Node]:
        """Return a section a chapter."""
        lines: list[str] = []
        for folder in sorted(results_folder().iterdir()):
            paths = sorted(folder.glob("benchmark-*.json"))
            lines += [f"## {folder.name.replace('_', ' ')}", ""] if paths else []
            for path in paths:
                self.env.note_dependency(str(path))
                lines += _benchmark(read(folder.name, path.stem))
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _benchmark(record: Record) -> list[str]:
    columns = list(record.values)
    rows = [columns, ["---"] * len(columns), *map(list, zip(*record.values.values(), strict=True))]
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    stale = " **Its code has changed since.**" if record.is_stale else ""
    machine = f"{escape(record.device)}; {versions}; commit {record.commit}"
    return [
        f"### {record.name.removeprefix('benchmark-').replace('-', ' ').capitalize()}",
        "",
        f"Recorded on {record.date}: {machine}. `{record.command}`{stale}",
        "",
        *("| " + " | ".join(map(_cell, row)) + " |" for row in rows),
        "",
    ]


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "–" if value in ("", None) else escape(str(value))


def _table(chapter: str, rows: list[dict[str, Any]]) -> str:
    body = ""
    for row in rows:
        name = row["label"].partition(":")[2]
        wrong = "; ".join(f"{escape(what)}: {value:.2g}" for what, value in row["wrong"].items())
        body += (
            f'<tr id="{chapter}-{name}-{row["check"]}">'
            f'<td><a href="{chapter}.html#{_anchor(row["label"])}">{name}</a></td>'
            f"<td>{row['kind']}</td><td>{row['residual']:.1e}</td><td>{row['tolerance']:g}</td><td>{wrong}</td></tr>"
        )
    head = "<tr><th>equation</th><th>kind</th><th>residual</th><th>allowed</th><th>residual of wrong forms</th></tr>"
    return f'<div class="wk-scroll"><table class="wk-ledger"><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _anchor(label: str) -> str:
    return f"equation-{nodes.make_id(label)}"


def mark(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Put a ✓ beside the number of each equation that has checks, with what they measured as its tooltip."""
    if doctree is None or "body" not in context:
        return
    rows = [row for ledger in stored(str(app.env.doc2path(page)), "ledger") for row in ledger["rows"]]
    tips: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        tips.setdefault(nodes.make_id(row["label"]), []).append(row)

    def add(match: re.Match[str]) -> str:
        return match[1] + (_check_mark(Path(page).name, tips[match["id"]]) if match["id"] in tips else "")

    context["body"] = EQUATION.sub(add, context["body"])


def _check_mark(chapter: str, rows: list[dict[str, Any]]) -> str:
    count = f"{len(rows)} check" + ("s" if len(rows) > 1 else "")
    wrong = "; ".join(f"{what}: {value:.2g}" for row in rows for what, value in row["wrong"].items())
    tip = escape(f"{count}, residual at most {max(row['residual'] for row in rows):.1e}; {wrong}")
    anchor = f"{chapter}-{rows[0]['label'].partition(':')[2]}-{rows[0]['check']}"
    return f'<a class="wk-check" href="equations.html#{anchor}" title="{tip}" aria-label="Checked: {tip}">✓</a>'


def setup(app: Sphinx) -> dict[str, bool]:
    """Register roles, directives and marks."""
    app.add_role("claim", Claimed())
    app.add_role("record", Recorded())
    app.add_role("published", Published())
    app.add_directive("ledger", Ledger)
    app.add_directive("errata", Errata)
    app.add_directive("benchmarks", Benchmarks)
    app.connect("html-page-context", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
