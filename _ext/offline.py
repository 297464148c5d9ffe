"""What the built pages need to work without a network, light and accessible: mathematics, icons, roles."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from markupsafe import Markup
from sphinx.application import Sphinx

# of MathJax only what the pages load: the program, its fonts, the extensions that it fetches on demand
MATHJAX = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions")
# docutils' role for a citation is deprecated, an empty cell is no header
MEND = (('role="doc-biblioentry"', 'role="listitem"'), ("<th></th>", "<td></td>"))
ICON_SCRIPT = re.compile(r'<script[^>]*src="[^"]*fontawesome\.js[^"]*"[^>]*></script>')


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy MathJax out of its package into the finished book."""
    spec = find_spec("sphinx-mathjax-offline")
    if error or app.builder.format != "html":
        return
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the book's mathematics needs sphinx-mathjax-offline: pip install 'workings[book]'")
    source = Path(spec.origin).parent / "static" / "mathjax"
    for name in MATHJAX:
        there = Path(app.outdir, "_static", "mathjax", name)
        there.parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, there, dirs_exist_ok=True)
        else:
            shutil.copy2(source / name, there)


def without_icon_script(html: str) -> Markup:
    """Cut the theme's icon script out of a page's head.

    Raises ``ValueError`` if it is not there: then the theme has changed, and the pages may be heavy again.
    """
    light, count = ICON_SCRIPT.subn("", html)
    if count != 1:
        raise ValueError(f"the theme's head names fontawesome.js {count} times; the book cuts out one")
    return Markup(light)


def prepare(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Mend the page's body, and give the layout the function that lightens its head."""
    context["without_icon_script"] = without_icon_script
    if "body" in context:
        for old, new in MEND:
            context["body"] = context["body"].replace(old, new)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the build."""
    app.connect("html-page-context", prepare)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
