"""Show library code in a chapter from the source itself, so that the page cannot differ from what runs."""

from __future__ import annotations

import inspect
import io
import textwrap
import tokenize
from collections.abc import Callable
from typing import Any

from IPython.display import Code, display


def show_source(obj: Callable[..., Any] | type, first: str | None = None, last: str | None = None) -> None:
    """Display the source of ``obj`` without docstrings, from the line that holds ``first`` to the one with ``last``.

    Raises ``ValueError`` when a marker is not found, so a changed source shows itself.
    """
    lines = without_docstrings(textwrap.dedent(inspect.getsource(obj))).splitlines()
    start = _find(lines, first, 0) if first else 0
    stop = _find(lines, last, start) if last else len(lines) - 1
    display(Code(textwrap.dedent("\n".join(lines[start : stop + 1])), language="python"))


def without_docstrings(source: str) -> str:
    """Return ``source`` without the strings that stand alone as statements, and without the blank lines they leave."""
    lines, at_start = source.splitlines(keepends=True), True
    drop: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.STRING and at_start:
            drop |= set(range(token.start[0] - 1, token.end[0]))
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            at_start = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    return "".join(line for i, line in enumerate(lines) if i not in drop)


def _find(lines: list[str], text: str, start: int) -> int:
    for i in range(start, len(lines)):
        if text in lines[i]:
            return i
    raise ValueError(f"{text!r} does not occur in the source that is to be shown")
