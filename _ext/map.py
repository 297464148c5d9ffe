"""The map on the cover: the chapters in their order, and a line between two where one leads to the other in its text.

The directive ``{map}`` reads the chapters, so that the map shows what they say and nothing else.
"""

from __future__ import annotations

import json
import re
from html import escape
from itertools import chain
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

SHORT = {"neural_ode": "Neural ODEs", "gpu_memory_leak": "A memory leak"}  # else the title up to its colon
LINK, TARGET = re.compile(r"\]\(([\w-]+)\)"), re.compile(r"^\(([\w-]+)\)=$", re.M)
WIDTH, ROW, GAP, START = 356, 28, 8, 206  # pixels: the whole, a chapter's line, between parts, where lines begin
REACH = 15  # pixels that a line goes to the right for each chapter it passes
Links = dict[str, set[str]]


class Map(SphinxDirective):
    """The map as SVG."""

    def run(self) -> list[nodes.Node]:
        """Return the picture; the page is made anew when a chapter changes."""
        root = Path(self.env.srcdir)
        parts = chapters_of(root)
        texts = {chapter: cells(root, chapter) for chapter in chain(*parts)}
        for chapter in texts:
            self.env.note_dependency(str(root / f"chapters/{chapter}.ipynb"))
        return [nodes.raw("", draw(parts, texts), format="html")]


def chapters_of(root: Path) -> list[list[str]]:
    """Return the chapters of each part, in order."""
    parts = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    found = [[Path(page["file"]).stem for page in part["chapters"]] for part in parts]
    return [part for part in found if (root / f"chapters/{part[0]}.ipynb").exists()]


def cells(root: Path, chapter: str) -> list[str]:
    """Return a chapter's text, a string for each cell."""
    notebook = json.loads((root / f"chapters/{chapter}.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]


def links(texts: dict[str, list[str]]) -> Links:
    """Return to which chapters each one leads, by their names or by a target in them."""
    homes = {target: name for name, text in texts.items() for cell in text for target in (name, *TARGET.findall(cell))}
    found = {name: {to for cell in text for to in LINK.findall(cell)} for name, text in texts.items()}
    return {name: {homes[to] for to in leads if to in homes} for name, leads in found.items()}


def draw(parts: list[list[str]], texts: dict[str, list[str]]) -> str:
    """Return the picture: names that are links, an arc for each two chapters, and what lights up under the pointer."""
    order = list(texts)
    heights = {c: ROW * (order.index(c) + 0.5) + GAP * i for i, part in enumerate(parts) for c in part}
    leads = links(texts)
    pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :] if b in leads[a] or a in leads[b]]
    names = {c: SHORT.get(c) or texts[c][0].splitlines()[0].lstrip("# ").partition(":")[0] for c in order}
    label = f"Which chapters lead to which. {'; '.join(f'{names[a]} and {names[b]}' for a, b in pairs)}."
    lit = ",".join(f".wk-map .to-{c}:is(:hover,:focus-visible)~.of-{c}" for c in order)
    height = ROW * len(order) + GAP * (len(parts) - 1)
    return (
        f'<svg class="wk-map" viewBox="0 0 {WIDTH} {height}" role="group" aria-label="{escape(label)}">'
        f"<style>{lit}{{stroke:var(--wk-orange);stroke-width:2.5}}</style>\n"
        + "".join(_name(c, names[c], heights[c]) for c in order)
        + "".join(_arc(a, b, names, heights, order.index(b) - order.index(a)) for a, b in pairs)
        + "</svg>"
    )


def _name(chapter: str, name: str, height: float) -> str:
    return (
        f'<a class="to-{chapter}" href="chapters/{chapter}.html"><text y="{height + 5:g}">{escape(name)}</text></a>'
        f'<circle cx="{START}" cy="{height:g}" r="3"/>\n'
    )


def _arc(a: str, b: str, names: dict[str, str], heights: dict[str, float], passed: int) -> str:
    left = START + 6
    right = left + REACH * passed * 4 / 3  # the curve reaches three quarters of the way to its middle points
    top, bottom = f"{heights[a]:g}", f"{heights[b]:g}"
    return (
        f'<path class="of-{a} of-{b}" d="M{left} {top}C{right:g} {top} {right:g} {bottom} {left} {bottom}">'
        f"<title>{escape(names[a])} and {escape(names[b])}</title></path>\n"
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("map", Map)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
