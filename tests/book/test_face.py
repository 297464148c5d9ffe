"""The face: what is committed is what the script draws; cover, card, heads and colours do what they should."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import site_faults as find
import yaml
from bs4 import BeautifulSoup
from extensions import load
from PIL import Image
from playwright.sync_api import Browser, Page
from reader import Reader

from workings.book import notebooks
from workings.book.figures import COLOURS

ROOT = Path(__file__).parents[2]
HOME = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["html"]["baseurl"]
POINTS = re.compile(r'(?<=points=")[\d, .-]+')
PLACES = re.compile(r'(?<=points=")[\d, .-]+|(?<=data-frames=")[\d, .|-]+')
THEMES = ("light", "dark")


face = load("face")


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    return dict(face.drawn())


def test_what_is_committed_is_what_the_script_draws(drawn: dict[str, str]) -> None:
    """To the byte, but for the places of points: they are computed, and may differ by a pixel."""
    for name, anew in drawn.items():
        committed = (ROOT / name).read_text(encoding="utf-8")
        assert PLACES.sub("", committed) == PLACES.sub("", anew), name
        pixels = [
            np.array([number for way in PLACES.findall(text) for number in re.split("[ ,|]", way)], dtype=float)
            for text in (committed, anew)
        ]
        assert np.abs(pixels[0] - pixels[1]).max(initial=0) <= 1, name


def places(svg: str) -> np.ndarray:
    return np.array([way.replace(",", " ").split() for way in POINTS.findall(svg)], dtype=float)


def test_the_cover_is_light_and_shows_a_flow_from_noise_to_the_board(drawn: dict[str, str]) -> None:
    assert len(drawn["_templates/cover.svg"]) <= 60_000
    x, y = np.moveaxis(places(drawn["_templates/cover.svg"]).reshape(face.POINTS, -1, 2), -1, 0)
    for place, most in ((x, face.WIDTH), (y, face.HEIGHT)):
        assert 0 <= place.min() < place.max() <= most
    on_board = [
        any(left <= px <= left + side and top <= py <= top + side for left, top, side in face.squares())
        for px, py in zip(x[:, -1], y[:, -1], strict=True)
    ]
    assert np.mean(on_board) > 0.9
    noise = np.stack((x[:, 0] / face.SCALE - face.LEFT, face.TOP - y[:, 0] / face.SCALE))
    assert np.abs(noise.mean(1)).max() < 4 / np.sqrt(face.POINTS)
    assert np.abs(np.cov(noise) - np.eye(2)).max() < 0.2


def test_the_card_has_the_size_that_sites_ask_for_and_is_what_the_script_draws(tmp_path: Path) -> None:
    face.draw_card(tmp_path / "card.png")
    pictures = [Image.open(file).convert("RGBA").convert("RGB") for file in (ROOT / face.CARD, tmp_path / "card.png")]
    assert [picture.size for picture in pictures] == [(1200, 630)] * 2
    assert (ROOT / face.CARD).stat().st_size <= 150_000
    committed, anew = (np.asarray(picture, dtype=float) for picture in pictures)
    assert np.abs(committed - anew).mean() < 1  # of 255; without the points it is 3


def head_faults(html: BeautifulSoup, page: str) -> list[str]:
    """What another site needs to show a link to ``page``, and is not in its head."""
    tags = html.head.select("meta[content]") if html.head else []
    said: dict[str, list[str]] = {}
    for tag in tags:
        said.setdefault(str(tag.get("property") or tag.get("name")), []).append(str(tag["content"]))
    wanted = {
        "og:title": r"\S.*",
        "og:description": r"\S.{20,}",
        "og:image": re.escape(HOME + face.CARD),
        "og:image:alt": r"\S.{20,}",
        "og:url": re.escape(HOME + page),
        "twitter:card": "summary_large_image",
        "description": r"\S.{20,200}",
    }
    return [
        f"{name}: {said.get(name)}"
        for name, pattern in wanted.items()
        if len(said.get(name, [])) != 1 or not re.fullmatch(pattern, said[name][0])
    ]


def test_every_page_says_what_a_link_to_it_shows(site: Path) -> None:
    assert HOME.startswith("https://")
    assert HOME.endswith("/")
    assert (site / face.CARD).is_file()
    faults = {page: head_faults(find.soup(page), page.relative_to(site).as_posix()) for page in find.pages(site)}
    assert faults
    assert {page: found for page, found in faults.items() if found} == {}


@pytest.mark.parametrize("name", ["og:title", "og:description", "og:image", "og:url", "twitter:card", "description"])
def test_a_head_without_a_tag_is_noticed(site: Path, name: str) -> None:
    html = BeautifulSoup((site / "index.html").read_text(encoding="utf-8"), "html.parser")
    tag = html.select_one(f'meta[property="{name}"], meta[name="{name}"]')
    assert tag is not None
    assert head_faults(html, "index.html") == []
    tag["content"] = ""
    assert len(head_faults(html, "index.html")) == 1
    tag.decompose()
    assert head_faults(html, "index.html") == [f"{name}: None"]


def question(name: str) -> str:
    first = notebooks.load(name).cells[0].source
    found = re.search(r"^\*\*(.+)\*\*$", first, re.M)
    assert found, f"{name} asks no question in bold"
    return found[1]


@pytest.mark.parametrize("name", notebooks.names())
def test_the_cover_leads_to_each_chapter_with_its_question(site: Path, name: str) -> None:
    links = find.soup(site / "index.html").select(f'article dt a[href="chapters/{name}.html"]')
    assert len(links) == 1
    answer = links[0].find_parent("dt").find_next_sibling("dd")  # type: ignore[union-attr]
    assert answer is not None
    assert answer.get_text().strip() == question(name)
    head = find.soup(site / f"chapters/{name}.html").select_one('meta[property="og:description"]')
    assert head is not None
    assert head["content"] == question(name)


@pytest.mark.parametrize("name", notebooks.names())
def test_88_characters_of_code_fit_beside_both_side_bars(site: Path, chromium: Browser, name: str) -> None:
    """In folded code and in solutions too, at 1280 px."""
    reader = Reader(chromium)
    page = reader.open(site / f"chapters/{name}.html")
    code = page.locator("div.cell_input pre")
    code.evaluate_all('all => all.forEach(code => code.textContent = "x".repeat(88))')
    assert code.evaluate_all("all => all.map(code => code.clientWidth - code.scrollWidth)") == [0] * code.count()
    assert code.count() > 10
    reader.close()


def colours(page: Page, names: list[str]) -> list[str]:
    """Return CSS variables of a page as the browser understands them: #rrggbb."""
    probe = """names => names.map((name) => {
      const probe = document.body.appendChild(document.createElement("i"));
      probe.style.color = `var(${name})`;
      const [r, g, b] = getComputedStyle(probe).color.match(/[\\d.]+/g).map(Number);
      probe.remove();
      return "#" + [r, g, b].map((c) => c.toString(16).padStart(2, "0")).join("");
    })"""
    return [str(colour) for colour in page.evaluate(probe, names)]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG between two colours."""

    def luminance(colour: str) -> float:
        parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("one", "other", "ratio"), [("#000000", "#ffffff", 21), ("#767676", "#ffffff", 4.54), ("#f0e442", "#ffffff", 1.32)]
)
def test_contrast_is_that_of_the_standard(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.01)
    assert contrast(other, one) == contrast(one, other)


@pytest.mark.parametrize("theme", THEMES)
def test_the_page_has_the_figures_colours_and_they_stand_out(site: Path, chromium: Browser, theme: str) -> None:
    reader = Reader(chromium, theme=theme)
    page = reader.open(site / "index.html")
    palette = face.palette(theme)
    assert colours(page, [f"--wk-{name}" for name in face.ON_PAGES]) == [palette[name] for name in face.ON_PAGES]
    assert colours(page, ["--pst-color-link", "--pst-color-primary"]) == [palette["blue"]] * 2
    ground, box = colours(page, ["--pst-color-background", "--pst-color-surface"])
    reader.close()
    assert {name: colour for name, colour in palette.items() if contrast(colour, ground) < 3} == {}
    assert {name for name in ("blue", "green") if contrast(palette[name], ground) < 4.5} == set()
    assert contrast(palette["blue"], box) >= 4.5


def test_the_dark_palette_is_what_the_dark_theme_makes_of_figures(chromium: Browser) -> None:
    reader = Reader(chromium)
    rule = re.search(r"filter: invert[^;]*", (ROOT / "_static/book.css").read_text(encoding="utf-8"))
    assert rule
    for colour in COLOURS.values():
        style = f"height: 9em; background: {colour}; {rule[0]}"
        reader.page.set_content(f'<div style="{style}"></div>')
        shown = np.asarray(Image.open(io.BytesIO(reader.page.locator("div").screenshot())).convert("RGB"))[20, 20]
        expected = [int(face.in_the_dark(colour)[i : i + 2], 16) for i in (1, 3, 5)]
        assert np.abs(shown.astype(int) - expected).max() <= 2
    reader.close()


STATE = """() => [...document.querySelectorAll(".wk-cover polyline")].map((line) => line.getAttribute("points"))"""


@pytest.fixture
def cover(site: Path, chromium: Browser) -> Iterator[Reader]:
    """The cover, as a reader sees it who has not asked for less motion."""
    reader = Reader(chromium)
    reader.page.emulate_media(reduced_motion="no-preference")
    reader.open(site / "index.html")
    yield reader
    assert reader.faults == []
    reader.close()


def time_is(condition: str) -> str:
    return (
        f"() => {{ const time = document.querySelector('.wk-cover [type=range]').valueAsNumber; return {condition} }}"
    )


def test_the_cover_plays_once_for_less_than_five_seconds_and_plays_again_on_demand(cover: Reader) -> None:
    page, still = cover.page, POINTS.findall((ROOT / "_templates/cover.svg").read_text(encoding="utf-8"))
    page.wait_for_function(time_is("0 < time && time < 1"), timeout=5000)
    assert page.evaluate(STATE) != still
    page.wait_for_function(time_is("time === 1"), timeout=4500)
    page.wait_for_timeout(200)  # the slider rounds: it says 1 a little before the points arrive
    ends = page.evaluate(STATE)
    assert [way.replace(" ", ",").split(",") for way in ends] == [way.replace(" ", ",").split(",") for way in still]
    page.wait_for_timeout(300)
    assert page.evaluate(STATE) == ends
    page.locator(".wk-cover").get_by_role("button", name="Play again").focus()
    page.keyboard.press("Enter")
    page.wait_for_function(time_is("0 < time && time < 0.5"), timeout=2000)
    page.locator(".wk-cover").get_by_role("slider", name="time").focus()
    page.keyboard.press("Home")  # takes hold of the time: it stands still
    page.wait_for_timeout(300)
    starts = [way.partition(" ")[0] for way in still]
    assert page.evaluate(STATE) == [f"{start} {start}" for start in starts]


def test_the_cover_stands_still_for_who_asks_for_less_motion(site: Path, chromium: Browser) -> None:
    reader = Reader(chromium)  # it asks for less motion
    page = reader.open(site / "index.html")
    first = page.evaluate(STATE)
    page.wait_for_timeout(300)
    assert page.evaluate(STATE) == first == POINTS.findall((ROOT / "_templates/cover.svg").read_text(encoding="utf-8"))
    assert page.evaluate(time_is("time === 1"))
    reader.close()


def test_without_a_script_the_cover_is_a_still_that_says_what_it_shows(site: Path, chromium: Browser) -> None:
    reader = Reader(chromium, script=False)
    reader.page.goto((site / "index.html").as_uri())
    picture = reader.page.get_by_role("img", name=face.COVER_ALT)
    assert (picture.bounding_box() or {"height": 0})["height"] > 100
    assert picture.locator("polyline").count() == face.POINTS
    assert reader.page.locator(".wk-cover .wk-controls").count() == 0
    reader.close()


def test_folds_and_controls_are_24_pixels_tall(site: Path, chromium: Browser) -> None:
    reader, touched = Reader(chromium), ".bd-article :is(summary, button, input[type=range])"
    for page in ("index", *(f"chapters/{name}" for name in notebooks.names())):
        reader.page.goto((site / f"{page}.html").as_uri())
        heights = reader.page.locator(f"{touched}:visible").evaluate_all("all => all.map((e) => e.offsetHeight)")
        assert heights, page
        assert min(heights) >= 24, page
    reader.close()


FORMULA = '<span class="math notranslate nohighlight">\\(x\\)</span>'


@pytest.mark.parametrize(
    ("body", "held"),
    [
        (f"a step {FORMULA}, and", f"{FORMULA},"),
        (f"it ends ({FORMULA}).", f"({FORMULA})."),
        (f"“{FORMULA}” is", f"“{FORMULA}”"),
        (f"a step {FORMULA} and", None),
        ("no formula, (none).", None),
    ],
)
def test_a_formula_holds_the_punctuation_that_touches_it(body: str, held: str | None) -> None:
    context = {"body": body}
    face.hold(None, "page", "page.html", context, None)
    assert context["body"] == (body.replace(held, f'<span class="wk-hold">{held}</span>') if held else body)
