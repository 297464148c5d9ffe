"""The checks of the built book find what they are for: each fault is planted in a small page."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import site_faults as find
import yaml
from PIL import Image
from reader import Reader, browser, chromium_path

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]
FIGURE = '<div class="cell_output"><img src="{}" alt="a line" {}></div>'


def png(colour: tuple[int, ...]) -> str:
    """Return a small picture of one colour as a data URI."""
    data = io.BytesIO()
    Image.new("RGBA", (4, 4), colour).save(data, format="PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


CLEAR, RED, BLUE = png((0, 0, 0, 0)), png((255, 0, 0, 255)), png((0, 0, 255, 255))


def explorer(*, label: str = "λ", frames: tuple[str, str] = (RED, BLUE), printed: str = CLEAR) -> str:
    """Return an explorer of two frames with a switch, as the chapters' outputs hold it."""
    images = "".join(
        f'<img class="wk-frame" alt="{form} {i}" src="{source}" data-frame="{i}" data-form="{form}" '
        f'data-label="λ = {i}"{"" if form == "right" and i == 0 else " hidden"}>'
        for form, row in (("right", frames), ("printed", (printed, printed)))
        for i, source in enumerate(row)
    )
    return (
        f'<figure class="wk-explore"><div class="wk-frames">{images}</div><div class="wk-controls">'
        f'<label>{label} <input type="range" min="0" max="1" step="1" value="0"></label> <output>λ = 0</output> '
        '<label><input type="checkbox" class="wk-switch"> as printed</label></div></figure>'
    )


STYLE, SCRIPT = (f.as_uri() for f in (ROOT / "_static/book.css", ROOT / "_static/book.js"))
BOOK = f'<link rel="stylesheet" href="{STYLE}"><script src="{SCRIPT}"></script>'
PLAIN = f'<link rel="stylesheet" href="{STYLE}">'


def mathjax() -> str:
    """Return the head that loads MathJax as the book configures it."""
    spec = find_spec("sphinx-mathjax-offline")
    assert spec is not None
    assert spec.origin is not None
    script = Path(spec.origin).parent / "static/mathjax/tex-chtml.js"
    config = json.dumps(CONFIG["mathjax3_config"])
    return f'<script>window.MathJax = {config};</script><script defer src="{script.as_uri()}"></script>'


Plant = Callable[..., tuple[Reader, Path]]


@pytest.fixture(scope="module")
def readers() -> Iterator[dict[int, Reader]]:
    with browser() as chromium:
        yield {width: Reader(chromium, width=width) for width in (1280, 390)}


@pytest.fixture
def plant(readers: dict[int, Reader], tmp_path: Path) -> Plant:
    """Open a page with the given body and head."""

    def open_page(body: str, head: str = "", theme: str = "light", width: int = 1280) -> tuple[Reader, Path]:
        file = tmp_path / "page.html"
        file.write_text(
            f'<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>Planted</title>'
            f"{head}</head><body><main><article class='bd-content'>{body}</article></main></body></html>",
            encoding="utf-8",
        )
        readers[width].open(file)
        return readers[width], file

    return open_page


def matches(faults: list[str], expected: str | None) -> bool:
    """Tell whether the expected fault was found, or none where none was planted."""
    return not faults if expected is None else any(expected in fault for fault in faults)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>still</p>", None),
        ('<script src="https://cdn.example.org/x.js"></script>', "https://cdn.example.org/x.js"),
        ('<img alt="far" src="http://example.org/x.png">', "http://example.org/x.png"),
        ('<script>fetch("https://example.org/data.json").catch(() => 0)</script>', "https://example.org/data.json"),
        ('<script src="nowhere.js"></script>', "nowhere.js"),
        ('<script>console.error("so much for that")</script>', "so much for that"),
        ('<script>throw new Error("stumbled")</script>', "stumbled"),
    ],
)
def test_requests_and_errors_are_noticed(plant: Plant, body: str, expected: str | None) -> None:
    assert matches(plant(body)[0].faults, expected)


FORMULA = (
    r'<p><span class="math">\(x\)</span></p><div class="math">\[\textcolor{blue}{\boldsymbol{y}} = \frac{1}{2}\]</div>'
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (FORMULA, None),
        (FORMULA + r'<span class="math">\(\undefinedmacro{x}\)</span>', "TeX error"),
        (FORMULA + r'<div class="math">\[\frac{1}\]</div>', "TeX error"),
        (FORMULA + '<span class="math">no delimiters</span>', "2 inline formulas in the source, 1 on the page"),
    ],
)
def test_formulas_that_do_not_render_are_found(plant: Plant, body: str, expected: str | None) -> None:
    reader, file = plant(body, mathjax())
    assert matches(find.mathematics(reader.page, file), expected)


def test_a_page_that_shows_no_formula_at_all_is_found(plant: Plant) -> None:
    reader, file = plant(FORMULA)
    assert len(find.mathematics(reader.page, file)) == 2


@pytest.mark.parametrize(("terms", "expected"), [(5, None), (40, "a formula of")])
def test_formulas_that_are_cut_are_found(plant: Plant, terms: int, expected: str | None) -> None:
    body = r'<div class="math" id="equation-sum">\[' + "+".join("x" * terms) + r"\]</div>"
    found = find.cut(plant(body, BOOK + mathjax(), width=390)[0].page)
    assert matches(found, expected)
    assert all(fault.endswith(": equation-sum") for fault in found)


WIDE = "<table><tr>" + "<td>column</td>" * 30 + "</tr></table>"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f'<div class="wk-scroll">{WIDE}</div>', None),
        (WIDE, "px"),
        (f"<style>body {{ overflow-x: hidden }}</style>{WIDE}", "reaches"),
    ],
)
def test_what_pushes_the_page_sideways_is_found(plant: Plant, body: str, expected: str | None) -> None:
    assert matches(find.sideways(plant(body, BOOK, width=390)[0].page), expected)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f'<h1>Good</h1><div class="wk-scroll">{WIDE}</div>{explorer()}', None),
        ('<input type="range" min="0" max="3">', "label"),
        ('<details><summary>More</summary><input type="checkbox"></details>', "label"),
        (f'<div style="overflow-x: auto">{WIDE}</div>', "scrollable-region-focusable"),
        ('<p style="color: #999">faint words</p>', "color-contrast"),
    ],
)
def test_what_bars_a_reader_is_found(plant: Plant, body: str, expected: str | None) -> None:
    assert matches(find.accessibility(plant(body, BOOK, width=390)[0].page), expected)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            '<p style="color: #767676">on the edge</p><h2 style="font-size: 24px; color: #949494">large</h2>',
            None,
        ),
        ('<p style="color: #777">faint words</p>', "4.48 to 1"),
        ('<p style="color: rgba(0, 0, 0, 0.4)">faint words</p>', "to 1"),
        ('<div style="background: rgba(0, 0, 0, 0.7)"><p>dark words</p></div>', "to 1"),
        ('<mjx-container style="color: red"></mjx-container>', "4.00 to 1"),
    ],
)
def test_faint_text_and_formulas_are_found(plant: Plant, body: str, expected: str | None) -> None:
    assert matches(find.faint(plant(body)[0].page), expected)


@pytest.mark.parametrize(
    ("body", "head", "expected"),
    [
        (FIGURE.format(CLEAR, "") + FIGURE.format(RED, 'class="wk-asis"') + explorer(), BOOK, None),
        (FIGURE.format(CLEAR, ""), "", "black ink"),
        ('<div class="cell_output"><div class="text_html" style="background: #eee">white</div></div>', "", "light box"),
        ('<div class="wk-card" style="background: #fff">white</div>', BOOK, "light box"),
    ],
)
def test_light_boxes_in_the_dark_are_found(plant: Plant, body: str, head: str, expected: str | None) -> None:
    assert matches(find.light_boxes(plant(body, head, theme="dark")[0].page), expected)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f'<img src="{RED}" alt="a red square">', None),
        ('<img src="data:image/png;base64,AAAA" alt="nothing">', "does not decode"),
        (f'<img src="{RED}">', "no alt text"),
        (f'<img src="{RED}" alt=" ">', "no alt text"),
        (f'<img src="{RED}" hidden alt="">', "no alt text"),
    ],
)
def test_pictures_that_say_nothing_are_found(plant: Plant, body: str, expected: str | None) -> None:
    assert matches(find.images(plant(body)[0].page), expected)


ICON = '<style>.fas::before {{ content: "{}"; font-family: {} }}</style><button {}><i class="fas fa-bars"></i></button>'
FONT = find_spec("pydata_sphinx_theme")


@pytest.mark.parametrize(
    ("sign", "family", "name", "expected"),
    [
        ("≡", "Drawn", 'title="Menu"', None),
        ("≡", "Drawn", "", "no name"),
        ("", "Drawn", 'title="Menu"', "no icon"),
        ("≡", "Missing", 'title="Menu"', "no font"),
    ],
)
def test_icons_that_are_not_drawn_are_found(
    plant: Plant, sign: str, family: str, name: str, expected: str | None
) -> None:
    assert FONT is not None
    assert FONT.origin is not None
    fonts = Path(FONT.origin).parent / "theme/pydata_sphinx_theme/static/vendor/fontawesome/webfonts"
    face = f"@font-face {{ font-family: Drawn; src: url({(fonts / 'fa-solid-900.woff2').as_uri()}) }}"
    reader, _ = plant(f"<style>{face}</style>" + ICON.format(sign, family, name))
    assert matches(find.icons(reader.page), expected)


def mistaken(right: str, wrong: str) -> str:
    """Return the book's style and its script with a mistake in it."""
    script = (ROOT / "_static/book.js").read_text(encoding="utf-8")
    assert script.count(right) == 1
    return f"{PLAIN}<script>{script.replace(right, wrong)}</script>"


@pytest.mark.parametrize(
    ("body", "head", "expected"),
    [
        (explorer(), BOOK, None),
        (explorer(), PLAIN, "after End: shows"),
        (explorer(), mistaken('"printed" : "right"', '"right" : "right"'), "after the switch: shows"),
        (explorer(), mistaken('querySelector("output").value', 'querySelector("output").title'), "says"),
        (explorer(), mistaken('setAttribute("aria-valuetext"', 'setAttribute("title"'), "says"),
        (
            explorer(),
            f"{BOOK}<style>[type=range] {{ pointer-events: none }}</style>",
            "after a click at the left end: shows",
        ),
        (explorer(frames=(RED, RED)), BOOK, "the first picture and the last are the same"),
        (explorer(printed=BLUE), BOOK, "the switch does not change the picture"),
        (explorer().replace('data-label="λ = 1"', ""), BOOK, "says"),
        (explorer().replace(" hidden", ""), PLAIN, "after Home: shows"),
    ],
)
def test_explorers_that_do_not_explore_are_found(plant: Plant, body: str, head: str, expected: str | None) -> None:
    assert matches(find.explorers(plant(body, head)[0].page), expected)


@pytest.mark.parametrize(
    ("body", "count"),
    [(FIGURE.format(CLEAR, ""), 0), (FIGURE.format(RED, ""), 1), (FIGURE.format(RED, 'class="wk-asis"'), 0)],
)
def test_opaque_figures_are_found(plant: Plant, body: str, count: int) -> None:
    assert len(find.opaque_figures(plant(body)[1])) == count


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ('<a href="page.html#here">', None),
        ('<a href="#here">', None),
        ('<a href="https://example.org/">', None),
        ('<link rel="canonical" href="https://example.org/page.html">', None),
        ('<a href="missing.html">', "missing.html"),
        ('<a href="page.html#gone">', "gone"),
        ('<a href="#gone">', "gone"),
        ('<img src="missing.png" alt="gone">', "missing.png"),
        ('<script src="https://example.org/x.js">', "another host"),
        ('<link rel="stylesheet" href="//example.org/x.css">', "another host"),
    ],
)
def test_dead_links_are_found(tmp_path: Path, tag: str, expected: str | None) -> None:
    (tmp_path / "page.html").write_text(f'<p id="here">{tag}', encoding="utf-8")
    assert matches(find.dead_links(tmp_path), expected)


def test_weights_count_text_compressed_and_the_rest_as_it_is(tmp_path: Path) -> None:
    text, picture, chapter = tmp_path / "a.js", tmp_path / "a.png", tmp_path / "b.png"
    text.write_bytes(b"0" * 5_000_000)
    picture.write_bytes(b"0" * 1_990_000)
    chapter.write_bytes(os.urandom(800_001))
    assert find.heavy({"one": {text, picture}, "two": {text, picture}}) == []
    assert find.heavy({"one": {picture, chapter}, "two": {picture, chapter}}) == [
        "one: first visit 2.79 MB, at most 2.0",
        "two: first visit 2.79 MB, at most 2.0",
    ]
    assert find.heavy({"one": {text}, "two": {text, chapter}}) == ["two: further page 0.80 MB, at most 0.8"]


def test_without_a_browser_the_tests_skip_but_fail_where_nobody_would_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKINGS_CHROMIUM", "/nowhere/chromium")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="/nowhere/chromium"):
        chromium_path(sys.executable)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        chromium_path(sys.executable)
    monkeypatch.setenv("WORKINGS_CHROMIUM", sys.executable)
    assert chromium_path("/nowhere") == sys.executable
