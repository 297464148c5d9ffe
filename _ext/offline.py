"""What the built pages need to work without a network, light and accessible: mathematics, icons, roles, a worker.

``python _ext/offline.py`` packs the built book into one file to read offline.
"""

from __future__ import annotations

import re
import shutil
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from docutils import nodes
from markupsafe import Markup
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
WORKER = "worker.js"
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


def contents(html: Path) -> list[Path]:
    """Return the files of a built book, always in the same order; not what the build left for itself."""
    return sorted(file for file in html.rglob("*") if file.is_file() and not file.name.startswith("."))


def add_worker(html: Path) -> None:
    """Put the worker at the root of a finished book, since it can serve nothing above itself.

    It gets a hash of the whole book, and so is another one as soon as any file is: browsers then renew what they kept.
    """
    there, build = html / WORKER, sha256()
    for file in contents(html):
        if file != there:
            build.update(f"{file.relative_to(html).as_posix()}\0{sha256(file.read_bytes()).hexdigest()}\n".encode())
    text = (ROOT / "_templates" / WORKER).read_text(encoding="utf-8")
    there.write_text(text.replace("@BUILD@", build.hexdigest()[:16]), encoding="utf-8")


def finish(app: Sphinx, error: Exception | None) -> None:
    """Add the worker when all else is there."""
    if not error and app.builder.format == "html":
        add_worker(Path(app.outdir))


def pack(html: Path, there: Path) -> None:
    """Write a built book as one zip: the same bytes whenever the book is the same."""
    with ZipFile(there, "w") as archive:
        for file in contents(html):
            entry = ZipInfo(f"{there.stem}/{file.relative_to(html).as_posix()}")  # dated 1980, as it says nothing else
            entry.compress_type, entry.create_system, entry.external_attr = ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(entry, file.read_bytes(), compresslevel=9)


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
    app.connect("build-finished", finish, priority=999)  # after all that others add
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    from workings import __version__

    book = ROOT / f"_build/workings-{__version__}.zip"
    pack(ROOT / "_build/html", book)
    print(f"The book as one file: {book.relative_to(ROOT)}, {book.stat().st_size / 1e6:.1f} MB")
