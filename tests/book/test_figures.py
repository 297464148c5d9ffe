"""A figure without a description, or with text too small for a phone, is refused."""

from __future__ import annotations

import io
import math
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure
from PIL import Image

from workings.book import figures, output
from workings.book.figures import COLOURS, png, show, smallest_text, style

ALT = "A line that rises."


@pytest.fixture(autouse=True)
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a notebook would show, in the book's style."""
    shown: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr(output, "get_ipython", object)
    monkeypatch.setattr(output, "display", lambda data, raw, metadata: shown.append((data, metadata["workings"])))
    with mpl.rc_context():
        mpl.use("agg")
        style()
        yield shown
    plt.close("all")


def line(width: float = 6.0, size: float | None = None) -> Figure:
    figure, axes = plt.subplots(figsize=(width, 3))
    axes.plot([0, 1], [0, 1])
    axes.set_xlabel("time", fontsize=size)
    return figure


def test_a_figure_goes_out_with_what_is_seen_in_it(page: Any) -> None:
    show(line(), alt=ALT, caption="Rising.", name="rise")
    data, metadata = page[0]
    assert data["text/plain"] == f"figure: {ALT}"
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["figure"] == {
        "alt": ALT, "caption": "Rising.", "name": "rise", "as_is": False, "smallest_text": 8.2,
    }  # fmt: skip
    assert not plt.get_fignums()


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_a_figure_without_alt_text_is_refused(alt: str, page: Any) -> None:
    with pytest.raises(ValueError, match="alt is empty"):
        show(line(), alt=alt)
    assert not page


@pytest.mark.parametrize("figure", [{"width": 6.3}, {"size": 9.6}])
def test_text_below_8_px_on_a_phone_is_refused(figure: dict[str, float], page: Any) -> None:
    with pytest.raises(ValueError, match=r"smallest text is 7\.\d px on a screen 390 px wide; at least 8 is needed"):
        show(line(**figure), alt=ALT)
    assert not page


@pytest.mark.parametrize(
    ("width", "size", "pixels"),
    [(6.0, 10, 10 * 96 / 72 * 356 / 576), (3.0, 10, 10 * 96 / 72), (6.0, 5, 5 * 96 / 72 * 356 / 576)],
)
def test_text_is_measured_as_a_phone_shows_it(width: float, size: float, pixels: float) -> None:
    assert smallest_text(line(width, size)) == pytest.approx(pixels, rel=1e-12)


def test_text_that_is_not_shown_does_not_count(page: Any) -> None:
    figure = line()
    figure.text(0.5, 0.5, "unseen", fontsize=2).set_visible(False)
    figure.text(0.5, 0.5, " ", fontsize=2)
    assert smallest_text(figure) > 8
    empty = plt.figure()
    assert smallest_text(empty) == math.inf
    show(empty, alt="Nothing.")
    assert page[0][1]["figure"]["smallest_text"] is None


def test_a_picture_is_the_same_every_time_light_and_on_nothing() -> None:
    first, again = png(line()), png(line())
    assert first == again
    assert png(line(), colours=4) != first
    picture = Image.open(io.BytesIO(first))
    assert (picture.mode, picture.size, picture.info.keys() & {"Software", "dpi"}) == ("P", (864, 432), set())
    assert picture.convert("RGBA").getchannel("A").getpixel((2, 2)) == 0


def luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("name", figures.COLOURS)
def test_every_colour_stands_out_from_the_page(name: str) -> None:
    assert 1.05 / (luminance(COLOURS[name]) + 0.05) >= 3


def test_an_axis_takes_the_books_colours_in_order() -> None:
    axes = line().axes[0]
    axes.plot([0, 1], [1, 0])
    assert [artist.get_color() for artist in axes.lines] == list(COLOURS.values())[:2]
