"""The page of the package: what Sphinx's autodoc makes of the docstrings, in the book's manner."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

UNWRITABLE = re.compile(r"<factory>|<function [\w.]*<lambda>( at 0x[0-9a-f]+)?>")  # defaults of dataclasses
LETTER = re.compile(r"^(:\w+ [\w*]+:)\s+([A-Za-z])\.", re.M)  # an argument that is a symbol: napoleon sees a list
PARAMETERS = re.compile(r'(?<=<span class="sig-paren">\(</span>)\s*<dl>(.*?)</dl>\s*(?=<span class="sig-paren">)', re.S)


def skip(app: Sphinx, what: str, name: str, member: Any, left_out: bool, options: dict[str, Any]) -> bool | None:
    """Leave out the fields of a named tuple, which its docstring explains; None leaves the rest to autodoc."""
    return True if type(member).__name__ == "_tuplegetter" else None


def write_out(
    app: Sphinx, what: str, name: str, item: Any, options: dict[str, Any], signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Write a default that is no Python as dots, since else no type in the signature would be a link."""
    return signature and UNWRITABLE.sub("...", signature), returned


def spell(app: Sphinx, what: str, name: str, item: Any, options: dict[str, Any], lines: list[str]) -> None:
    """Keep a letter with a full stop from becoming an enumerated list."""
    lines[:] = LETTER.sub(r"\1 \2\.", "\n".join(lines)).split("\n")


def list_parameters(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Put each parameter into a line of its own without the list that Sphinx makes, which has no terms."""
    if "body" in context:
        context["body"] = PARAMETERS.sub(lambda found: found[1].replace("dd>", "span>").strip(), context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to autodoc."""
    app.setup_extension("sphinx.ext.napoleon")
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-signature", write_out)
    app.connect("autodoc-process-docstring", spell, priority=900)  # after napoleon
    app.connect("html-page-context", list_parameters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
