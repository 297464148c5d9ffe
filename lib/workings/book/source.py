"""Show library code in a chapter from the source itself, so that the page cannot differ from what runs."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any, TypeGuard

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
    """Return ``source`` without the strings that stand alone as statements, and the blank line after each."""
    lines = source.splitlines(keepends=True)
    drop: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if is_docstring(node):
            end = node.end_lineno or node.lineno
            drop |= set(range(node.lineno - 1, end + (end < len(lines) and not lines[end].strip())))
    return "".join(line for i, line in enumerate(lines) if i not in drop)


def is_docstring(node: Any) -> TypeGuard[ast.Expr]:
    """Return whether ``node`` is a statement that is nothing but a string."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _find(lines: list[str], text: str, start: int) -> int:
    for i in range(start, len(lines)):
        if text in lines[i]:
            return i
    raise ValueError(f"{text!r} does not occur in the source that is to be shown")
