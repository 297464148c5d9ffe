"""The book's face: what a page says of itself to those who link to it; and its mark, its card and its cover's pictures.

``python _ext/face.py`` draws the files of `drawn` and the card anew. Their colours are those of the figures.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from textwrap import shorten
from typing import Any

import parts
from docutils import nodes
from markupsafe import Markup
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
CARD = "_static/card.png"
CARD_LINE = "AI, physics and the brain: every equation checked by code"
CARD_ALT = "Workings: noise becomes a checkerboard along curved ways."
ON_PAGES = ("blue", "orange", "green")

# The mark: a W whose second half is a check mark, in a box of 48.
PEN, CHECK = ((3, 14), (11, 39), (19, 21)), ((19, 21), (27, 39), (45, 7))

# The cover: points that a flow carries from noise, on the left, to data, a unit of time to the right.
POINTS, DRAWN = 480, 64  # how many points; of how many the way is seen
STEPS, EVERY = 40, 4  # of the solver; each how-many-th is kept
TIME = 16.0  # units of space that a unit of time is wide
SCALE, LEFT, TOP = 40, 3.6, 4.7  # pixels in a unit of space; where the picture ends, left of the noise and above it
WIDTH, HEIGHT = round(SCALE * (LEFT + TIME + TOP)), round(SCALE * 2 * TOP)
COVER_ALT = "A round cloud of points on the left; on the right the same points on the dark squares of a checkerboard."

# An inline formula and the punctuation that touches it, between which a browser would break the line.
FORMULA = r'<span class="math [^>]*>[^<]*</span>'
TOUCHING = re.compile(rf"[(\[“]+{FORMULA}[.,;:?!)\]’”]*|{FORMULA}[.,;:?!)\]’”]+")


def in_the_dark(colour: str) -> str:
    """Return what ``invert(1) hue-rotate(180deg)`` makes of a colour: how the dark theme shows the figures."""
    r, g, b = (1 - int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    turned = (
        -0.574 * r + 1.430 * g + 0.144 * b,
        0.426 * r + 0.430 * g + 0.144 * b,
        0.426 * r + 1.430 * g - 0.856 * b,
    )
    return "#" + "".join(f"{round(255 * min(max(c, 0), 1)):02x}" for c in turned)


def palette(theme: str) -> dict[str, str]:
    """Return the book's colours by name, as the figures have them in a theme."""
    from workings.book.figures import COLOURS

    return {name: in_the_dark(colour) if theme == "dark" else colour for name, colour in COLOURS.items()}


def palette_css() -> str:
    """Return the style that gives the pages the figures' colours."""
    rules = [
        f'html[data-theme="{theme}"] {{ '
        + " ".join(f"--wk-{name}: {colour};" for name, colour in palette(theme).items() if name in ON_PAGES)
        + " }\n"
        for theme in ("light", "dark")
    ]
    return "/* The figures' colours, written by python _ext/face.py. */\n" + "".join(rules)


def _path(points: tuple[tuple[int, int], ...], more: str) -> str:
    return f'<path d="M{" ".join(f"{x} {y}" for x, y in points)}" {more}/>'


def mark(pen: str, check: str, width: int, style: str = "") -> str:
    """Return the mark as SVG; ``pen`` and ``check`` say how its halves are coloured."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48" fill="none" '
        f'stroke-linecap="round" stroke-linejoin="round" stroke-width="{width}">\n'
        f"{style}{_path(PEN, pen)}{_path(CHECK, check)}\n</svg>\n"
    )


def logo(theme: str) -> str:
    """Return the mark in the colours of a theme."""
    colours = palette(theme)
    return mark(f'stroke="{colours["black"]}"', f'stroke="{colours["blue"]}"', 4)


def favicon() -> str:
    """Return the mark with thicker strokes, in the colours of the reader's system."""
    rules = [
        f".pen{{stroke:{colours['black']}}}.check{{stroke:{colours['blue']}}}"
        for colours in map(palette, ("light", "dark"))
    ]
    style = f"<style>{rules[0]}@media (prefers-color-scheme:dark){{{rules[1]}}}</style>\n"
    return mark('class="pen"', 'class="check"', 5, style)


def ways() -> Any:
    """Return where points are at equally spaced times on their way from noise to data, shape (times, points, 2).

    The field is exact, as in the chapter on flow matching: nothing is trained.
    """
    import torch

    from workings.flow_matching import ConditionalOT, EmpiricalMarginal, checkerboard, generate

    data = checkerboard(2000, torch.Generator().manual_seed(1)).double()
    known = EmpiricalMarginal(ConditionalOT(sigma_min=0.05), data)
    noise = torch.randn(POINTS, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return generate(known.velocity, noise, known.path, steps=STEPS, trajectory=True)[::EVERY]


def on_picture() -> Any:
    """Return the ways in pixels of the cover, whole ones, shape (points, times, 2): time runs to the right."""
    import torch

    x, y = ways().transpose(0, 1).unbind(-1)
    time = torch.linspace(0, TIME, x.shape[1], dtype=x.dtype)
    return (SCALE * torch.stack((x + time + LEFT, TOP - y), -1)).round().int().numpy()


def squares() -> list[tuple[float, float, float]]:
    """Return left, top and side of each square of the board, in pixels of the cover."""
    from workings.flow_matching.data import CELL

    dark = [(i, j) for i in range(-2, 2) for j in range(-2, 2) if (i + j) % 2 == 0]
    return [
        (round(SCALE * (LEFT + TIME + CELL * i), 1), round(SCALE * (TOP - CELL * (j + 1)), 1), round(SCALE * CELL, 1))
        for i, j in dark
    ]


def cover() -> str:
    """Return the cover's picture as SVG: a line for each way, its ends marked. ``book.js`` makes the points move."""
    colours = palette("light")
    board = "".join(f"M{x} {y}h{side}v{side}h-{side}z" for x, y, side in squares())
    dots = "".join(
        f'<marker id="wk-{end}" viewBox="-3 -3 6 6" markerWidth="6" markerHeight="6" markerUnits="userSpaceOnUse">'
        f'<circle r="3" fill="{colours[name]}"/></marker>'
        for end, name in (("noise", "blue"), ("data", "orange"))
    )
    lines = [f'<polyline points="{" ".join(f"{x},{y}" for x, y in way)}"/>\n' for way in on_picture().tolist()]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{COVER_ALT}">\n'
        f'<defs>{dots}</defs>\n<path d="{board}" fill="{colours["grey"]}" fill-opacity=".15"/>\n'
        '<g fill="none" marker-start="url(#wk-noise)" marker-end="url(#wk-data)">\n'
        f'<g stroke="{colours["grey"]}" stroke-opacity=".5">\n{"".join(lines[:DRAWN])}</g>\n'
        f"{''.join(lines[DRAWN:])}</g>\n</svg>\n"
    )


def drawn() -> dict[str, str]:
    """Return the text of each file drawn here, by its path."""
    return {
        "_static/palette.css": palette_css(),
        "_static/favicon.svg": favicon(),
        "_static/logo-light.svg": logo("light"),
        "_static/logo-dark.svg": logo("dark"),
        "_templates/cover.svg": cover(),
        "_templates/parts.html": parts.page(),
    }


def draw_card(file: Path) -> None:
    """Draw the card that other sites show beside a link: the mark, the title, a line, and the cover's picture."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    from workings.book.figures import png

    colours, points = palette("light"), on_picture()
    figure = Figure(figsize=(12, 6.3), facecolor="white")
    head = figure.add_axes((0, 0, 1, 1), xlim=(0, 1200), ylim=(630, 0))
    for stroke, name in ((PEN, "black"), (CHECK, "blue")):
        xy = [(76 + 2 * x, 48 + 2 * y) for x, y in stroke]
        head.plot(*zip(*xy, strict=True), color=colours[name], linewidth=7, solid_capstyle="round")
    head.text(192, 126, "Workings", fontsize=52, color=colours["black"])
    head.text(80, 196, CARD_LINE, fontsize=24, color="0.3")
    picture = figure.add_axes((0.07, 0.03, 0.86, 0.61), xlim=(0, WIDTH), ylim=(HEIGHT, 0), aspect="equal")
    for x, y, side in squares():
        picture.add_patch(Rectangle((x, y), side, side, color="0.93", linewidth=0))
    picture.plot(*points[:DRAWN].T, color="0.7", linewidth=0.7)
    for end, name in ((0, "blue"), (-1, "orange")):
        picture.plot(*points[:, end].T, ".", color=colours[name], markersize=6, markeredgewidth=0, clip_on=False)
    for axes in (head, picture):
        axes.axis("off")
    file.write_bytes(png(figure, dpi=100))


def describe(app: Sphinx, doctree: nodes.document | None) -> str:
    """Return what a page is about: its question if it asks one in bold, else its first words, else the book's."""
    for tree in filter(None, (doctree, app.env.get_doctree(app.config.root_doc))):
        paragraphs = [p for p in tree.findall(nodes.paragraph) if isinstance(p.parent, nodes.section)]
        questions = [p for p in paragraphs if any(s.astext() == p.astext() for s in p.findall(nodes.strong))]
        for paragraph in questions + paragraphs:
            return shorten(paragraph.astext(), 200, placeholder="…")
    return ""


def introduce(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Say in a page's head what another site shows beside a link to it."""
    about = describe(app, doctree)
    tags = {
        "description": about,
        "og:type": "website",
        "og:site_name": app.config.html_title,
        "og:title": Markup(context.get("title", app.config.html_title)).striptags(),
        "og:description": about,
        "og:url": context["pageurl"],
        "og:image": app.config.html_baseurl + CARD,
        "og:image:alt": CARD_ALT,
        "twitter:card": "summary_large_image",
    }
    lines = (
        f'<meta {"property" if name.startswith("og:") else "name"}="{name}" content="{escape(text)}"/>'
        for name, text in tags.items()
    )
    context["metatags"] = "\n".join((context.get("metatags", ""), *lines))


def hold(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Keep a formula and its punctuation on one line."""
    if "body" in context:
        context["body"] = TOUCHING.sub(r'<span class="wk-hold">\g<0></span>', context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the build."""
    app.connect("html-page-context", introduce)
    app.connect("html-page-context", hold)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    for name, text in drawn().items():
        (ROOT / name).write_text(text, encoding="utf-8")
    draw_card(ROOT / CARD)
