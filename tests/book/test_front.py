"""The map on the cover, the glossary and the package's page say what is there: all of it, and no more."""

from __future__ import annotations

import importlib
import re
from html import unescape
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHAPTERS = [
    Path(page["file"]).stem
    for part in yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    for page in part["chapters"]
    if (ROOT / (page["file"] + ".ipynb")).exists()
]

OF_THE_BOOK = {  # words of the glossary that the pages about the book use as they stand
    "claim", "identity", "result", "recorded result", "witness", "erratum", "explorer", "profile", "spread",
    "planted error",
}  # fmt: skip


def article(site: Path, page: str) -> str:
    """A page's own text, as HTML."""
    html = (site / f"{page}.html").read_text(encoding="utf-8")
    return html.partition("<article")[2].partition("</article>")[0]


def letters(text: str) -> str:
    """A text without marks and spaces, which pages set otherwise than docstrings."""
    return re.sub("[^A-Za-z]", "", text)


def test_the_map_joins_the_chapters_that_lead_to_one_another(site: Path) -> None:
    """As the built pages have it, whatever the map reads."""
    leads = {
        tuple(sorted((chapter, to)))
        for chapter in CHAPTERS
        for to in re.findall(r'<a class="reference internal" href="(\w+)\.html', article(site, f"chapters/{chapter}"))
        if to in CHAPTERS and to != chapter
    }
    arcs = re.findall(r'<path class="of-(\w+) of-(\w+)"', article(site, "index"))
    assert len(arcs) == len(set(arcs)) > len(CHAPTERS)
    assert {tuple(sorted(arc)) for arc in arcs} == leads
    assert {chapter for arc in arcs for chapter in arc} == set(CHAPTERS), "a chapter stands alone"


def test_the_map_has_the_chapters_in_their_order_and_each_line_says_whom_it_joins(site: Path) -> None:
    page = article(site, "index")
    places = re.findall(r'<a class="to-(\w+)" href="chapters/(\w+)\.html"><text y="([\d.]+)">([^<]+)<', page)
    assert [place[0] for place in places] == [place[1] for place in places] == CHAPTERS
    heights = [float(place[2]) - 5 for place in places]
    assert heights == sorted(heights)
    at = {chapter: (height, name) for (chapter, _, _, name), height in zip(places, heights, strict=True)}
    arc = r'<path class="of-(\w+) of-(\w+)" d="M\d+ ([\d.]+)C[\d. ]+ ([\d.]+)"><title>([^<]+)</title>'
    arcs = re.findall(arc, page)
    assert len(arcs) == page.count('<path class="of-')
    for a, b, top, bottom, title in arcs:
        assert (float(top), float(bottom), title) == (at[a][0], at[b][0], f"{at[a][1]} and {at[b][1]}")


@pytest.mark.parametrize("topic", CHAPTERS)
def test_the_package_has_a_page_with_all_its_public_names(site: Path, topic: str) -> None:
    page, module = article(site, "chapters/api"), importlib.import_module(f"workings.{topic}")
    assert f'href="{topic}.html"' in page
    for name in (name for name in module.__all__ if callable(getattr(module, name))):
        entry = page.partition(f'id="workings.{topic}.{name}"')[2].partition("</dt>")
        said = letters(unescape(re.sub(r"<[^>]+>", "", entry[2].partition("<dd>")[2])))
        documented = (getattr(module, name).__doc__ or "").strip().partition("\n")[0].partition(":math:")[0]
        assert letters(documented), name
        assert said.startswith(letters(documented)), name
        assert "&lt;" not in entry[0], f"{name}'s signature shows an object that is no Python"
    assert "<ol" not in page  # "n." is a symbol and a full stop, not the fourteenth of a list


def test_the_glossary_is_in_order_and_every_word_of_it_is_used() -> None:
    text = (ROOT / "chapters/glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^(\S.*)\n  \S.*\]\(\w+\)$", text.partition("{glossary}\n")[2], re.M)
    assert len(words) == text.count("\n  ") > 50
    plain = [word.lower().replace("é", "e").replace("–", "") for word in words]
    assert plain == sorted(plain)
    pages = [(ROOT / f"chapters/{name}.ipynb").read_text(encoding="utf-8") for name in CHAPTERS]
    terms = [term for page in (*pages, text) for term in re.findall("{term}`([^`]+)`", page)]
    asked = {(re.findall("<(.+)>", term) or [term])[0].lower() for term in terms}
    assert {word for word in words if word.lower() not in asked} <= OF_THE_BOOK
