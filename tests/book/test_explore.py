"""An explorer has values, descriptions and legible frames, and its live form draws what its frames show."""

from __future__ import annotations

import base64
import html.parser
import importlib
from types import SimpleNamespace
from typing import Any

import ipywidgets
import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from workings.book import explore, output, style

EXPLORE = importlib.import_module("workings.book.explore")
VALUES = [0.5, 1.0, 2.0]


class Tags(html.parser.HTMLParser):
    """The start tags of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]


@pytest.fixture(autouse=True)
def page(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a notebook would show, in the book's style."""
    shown: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr(output, "get_ipython", object)
    monkeypatch.setattr(EXPLORE, "get_ipython", object)
    monkeypatch.setattr(output, "display", lambda data, raw, metadata: shown.append((data, metadata["workings"])))
    with mpl.rc_context():
        mpl.use("agg")
        style()
        yield shown
    plt.close("all")


def draw(value: float, printed: bool = False) -> Figure:
    figure, axes = plt.subplots(figsize=(4, 2))
    axes.plot([0, 1], [0, -value if printed else value])
    axes.set_ylim(-3, 3)
    return figure


def alt(value: float) -> str:
    return f'A line that rises to "{value}".'


def test_each_value_is_a_described_frame_behind_a_labelled_slider(page: Any) -> None:
    explore(draw, "height", VALUES, alt=alt)
    data, metadata = page[0]
    tags = Tags(data["text/html"])
    frames = tags.all("img")
    assert [frame["alt"] for frame in frames] == [alt(value) for value in VALUES]
    assert [frame["data-label"] for frame in frames] == ["height = 0.5", "height = 1", "height = 2"]
    assert ["hidden" in frame for frame in frames] == [False, True, True]
    assert len({frame["src"] for frame in frames}) == 3
    assert (frames[0]["width"], frames[0]["height"]) == ("384", "192")
    (slider,) = tags.all("input")
    assert {"type": "range", "min": "0", "max": "2", "aria-valuetext": "height = 0.5"}.items() <= slider.items()
    assert "<label>height <input" in data["text/html"]
    assert data["text/plain"] == "explorer: height, 3 values"
    assert metadata["explorer"] == {
        "name": "height", "values": VALUES, "switch": "", "bytes": len(data["text/html"]),
    }  # fmt: skip


def test_a_switch_adds_the_frames_of_the_other_form(page: Any) -> None:
    explore(draw, "height", VALUES, alt=alt, switch="as printed")
    tags = Tags(page[0][0]["text/html"])
    frames = tags.all("img")
    assert [frame["data-form"] for frame in frames] == ["right"] * 3 + ["printed"] * 3
    assert [frame["data-frame"] for frame in frames] == ["0", "1", "2"] * 2
    assert len({frame["src"] for frame in frames}) == 6
    assert frames[3]["alt"] == alt(0.5) + " With the switch on: as printed."
    assert [tag["type"] for tag in tags.all("input")] == ["range", "checkbox"]


@pytest.mark.parametrize("switch", ["", "as printed"])
def test_the_live_form_draws_what_the_frame_shows(page: Any, switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    boxed: list[Any] = []

    def box(children: list[Any]) -> SimpleNamespace:
        boxed.extend(children)
        return SimpleNamespace(model_id="x")

    monkeypatch.setattr(ipywidgets, "VBox", box)
    explore(draw, "height", VALUES, alt=alt, switch=switch, colours=64, dpi=144)
    data, _ = page[0]
    frames = [base64.b64decode(str(f["src"]).partition(",")[2]) for f in Tags(data["text/html"]).all("img")]
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == "x"
    image, slider, *boxes = boxed
    assert image.value == frames[0]
    slider.index = 2
    assert image.value == frames[2]
    for one in boxes:
        one.value = True
        assert image.value == frames[5]
        slider.index = 1
        assert image.value == frames[4]
        one.value = False
        assert image.value == frames[1]
    assert len(boxes) == bool(switch)


def test_outside_a_notebook_there_is_no_widget(
    page: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "get_ipython", lambda: None)
    monkeypatch.setattr(EXPLORE, "get_ipython", lambda: None)
    explore(draw, "height", VALUES, alt=alt)
    assert capsys.readouterr().out == "explorer: height, 3 values\n"


def test_a_run_at_other_parameters_keeps_three_frames(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for is_default, kept in ((True, [1.0, 2.0, 3.0, 4.0, 5.0]), (False, [1.0, 3.0, 5.0])):
        monkeypatch.setattr(EXPLORE, "current", lambda is_default=is_default: SimpleNamespace(is_default=is_default))
        explore(draw, "slope", [1.0, 2.0, 3.0, 4.0, 5.0], alt=alt)
        frames = Tags(page[-1][0]["text/html"]).all("img")
        assert [frame["alt"] for frame in frames] == [alt(value) for value in kept]
        assert Tags(page[-1][0]["text/html"]).all("input")[0]["max"] == str(len(kept) - 1)


def test_an_explorer_without_values_is_refused(page: Any) -> None:
    with pytest.raises(ValueError, match="values is empty"):
        explore(draw, "height", [], alt=alt)
    assert not page


def test_an_explorer_with_a_value_that_is_not_described_is_refused(page: Any) -> None:
    with pytest.raises(ValueError, match="alt gave an empty description"):
        explore(draw, "height", VALUES, alt=lambda value: "" if value == 2.0 else alt(value))
    assert not page


def test_a_frame_with_text_too_small_is_refused(page: Any) -> None:
    def small(value: float) -> Figure:
        figure = draw(value)
        figure.axes[0].set_title("small", fontsize=5 if value == 2.0 else 10)
        return figure

    with pytest.raises(ValueError, match=r"text of 6\.2 px on a phone in the frame at 2; at least 8"):
        explore(small, "height", VALUES, alt=alt)
    assert not page


def test_the_frames_are_the_same_every_time(page: Any) -> None:
    for _ in range(2):
        explore(draw, "height", VALUES, alt=alt)
    assert page[0][0]["text/html"] == page[1][0]["text/html"]


def test_what_is_written_cannot_break_the_page(page: Any) -> None:
    explore(draw, "a < b", VALUES, alt=lambda _: '<b> & "c"', label=lambda v: f"<{v}>", switch="<i>")
    tags = Tags(page[0][0]["text/html"])
    assert not {"b", "i"} & {name for name, _ in tags.found}
    assert tags.all("img")[0]["alt"] == '<b> & "c"'


def test_photographs_keep_their_colours_in_the_dark(page: Any) -> None:
    for as_is in (False, True):
        explore(draw, "height", VALUES, alt=alt, as_is=as_is)
    classes = [Tags(data["text/html"]).all("figure")[0]["class"] for data, _ in page]
    assert classes == ["wk-explore", "wk-explore wk-asis"]
