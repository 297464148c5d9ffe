"""One way to put something on the page: text that never varies, HTML that may, and a record behind both."""

from __future__ import annotations

from html import escape
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.display import display

KEY = "workings"  # where records live in an output's metadata


def publish(
    text: str,
    html: str | None = None,
    record: dict[str, Any] | None = None,
    more: dict[str, Any] | None = None,
) -> None:
    """Display ``text`` (what nbval compares), ``html`` (what a reader sees) ``record`` (what tools read).

    ``more`` holds further MIME types.

    Outside a notebook the text is printed.
    """
    if get_ipython() is None:
        print(text)
        return
    bundle = {"text/plain": text, **({"text/html": html} if html else {}), **(more or {})}
    display(bundle, raw=True, metadata={KEY: record} if record else {})


def measured(text: str) -> str:
    """Mark digits that may differ in their last place between machines; nbval passes over the element's inside."""
    return f'<data class="measured">{escape(text)}</data>'
