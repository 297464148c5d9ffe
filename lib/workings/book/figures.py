"""Figures that stay legible: black ink on nothing, colours for everybody, text of at least 8 px on a phone."""

from __future__ import annotations

import io
import math
from typing import Any

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from workings.book.output import publish

# Okabe and Ito's palette less its yellow and sky blue: 3:1 on white and, with lightness inverted, on black
COLOURS = {
    "blue": "#0072b2",
    "orange": "#d55e00",
    "green": "#00855f",
    "purple": "#b0578d",
    "black": "#000000",
    "grey": "#767676",
}
PHONE = 356  # CSS pixels that a figure gets on a screen 390 wide
SMALLEST = 8.0  # CSS pixels
DPI = 144


def style() -> None:
    """Set the book's figure style: 6 inches wide at most, 10 pt text, transparent ground."""
    plt.rcParams.update(
        {
            "figure.figsize": (6.0, 3.4),
            "figure.constrained_layout.use": True,
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.labelsize": 10,
            "xtick.labelsize": 10,
            "ytick.labelsize": 10,
            "legend.fontsize": 10,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=list(COLOURS.values())),
            "lines.linewidth": 1.8,
            "image.cmap": "cividis",
        }
    )


def show(figure: Figure, *, alt: str, caption: str = "", name: str = "", as_is: bool = False) -> None:
    """Show a figure with a description of what is seen in it.

    ``make refresh`` copies ``alt``, ``caption`` and ``name`` to where the book reads them. ``as_is`` keeps the colours
    in the dark theme: for photographs and heat maps. Raises ``ValueError`` for an empty ``alt``, or for text too small
    on a phone.
    """
    if not alt.strip():
        raise ValueError("alt is empty: say in a sentence what is seen in the figure")
    picture, size = png(figure), smallest_text(figure, drawn=True)
    if size < SMALLEST:
        raise ValueError(
            f"the figure's smallest text is {size:.1f} px on a screen 390 px wide; at least {SMALLEST:g} is needed: "
            "make the figure at most 6 inches wide at 10 pt, or stack its panels"
        )
    record = {
        "alt": alt,
        "caption": caption,
        "name": name,
        "as_is": as_is,
        "smallest_text": round(size, 1) if math.isfinite(size) else None,
    }
    publish(f"figure: {alt}", record={"figure": record}, more={"image/png": picture})
    plt.close(figure)


def smallest_text(figure: Figure, *, drawn: bool = False) -> float:
    """Return the height, in CSS pixels on a phone, of the smallest text in ``figure`` (infinite if it has none).

    Tick labels are only there once a figure is ``drawn``; it is laid out here if it was not.
    """
    scale = min(1.0, PHONE / (figure.get_figwidth() * 96)) * 96 / 72
    if not drawn:
        figure.draw_without_rendering()
    texts = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_visible() and t.get_text().strip()]
    return min((float(t.get_fontsize()) * scale for t in texts), default=math.inf)


def png(figure: Figure, colours: int = 64, dpi: int = DPI) -> bytes:
    """Render ``figure`` as a PNG with a palette: a third of the weight, and no version or date in it."""
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=dpi)
    image = Image.open(raw).convert("RGBA").quantize(colours, method=Image.Quantize.FASTOCTREE)
    small = io.BytesIO()
    image.save(small, format="PNG", optimize=True)
    return small.getvalue()


def size_of(figure: Figure) -> dict[str, Any]:
    """Return the CSS width and height of ``figure`` in pixels."""
    return {"width": round(figure.get_figwidth() * 96), "height": round(figure.get_figheight() * 96)}
