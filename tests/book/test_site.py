"""The built book as a reader meets it: in a browser with the network cut, light and dark, wide and narrow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import site_faults as find
import yaml
from playwright.sync_api import Browser
from reader import Reader

ROOT = Path(__file__).parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = [entry["file"] for part in TOC["parts"] for entry in part["chapters"]]
NOTEBOOKS = [name for name in CHAPTERS if (ROOT / f"{name}.ipynb").exists()]
PAGES = [TOC["root"], *CHAPTERS, "search", "genindex"]


@pytest.fixture(scope="session")
def visits() -> dict[str, set[Path]]:
    """What each page loaded, for the weights."""
    return {}


def test_the_book_has_these_pages_and_no_others(site: Path) -> None:
    assert {str(file.relative_to(site).with_suffix("")) for file in find.pages(site)} == set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_reads_well(site: Path, chromium: Browser, visits: dict[str, set[Path]], page: str) -> None:
    """Loaded light and wide, and dark and narrow; each then changed to the other theme."""
    file = site / f"{page}.html"
    faults: dict[str, list[str]] = {"as built": find.opaque_figures(file)}
    for width, first, second in ((1280, "light", "dark"), (390, "dark", "light")):
        reader = Reader(chromium, width=width, theme=first)
        tab = reader.open(file)
        faults[f"{width} px"] = find.mathematics(tab, file) + find.images(tab) + find.icons(tab) + find.sideways(tab)
        faults[f"{width} px"] += find.cut(tab) + find.explorers(tab)
        for theme in (first, second):
            reader.dress(theme)
            tab.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
            faults[f"{width} px, {theme}"] = find.faint(tab) + (find.light_boxes(tab) if theme == "dark" else [])
        faults[f"{width} px"] += find.accessibility(tab) + reader.faults
        visits[page] = reader.loaded
        reader.close()
    lines = [f"{where}: {fault}" for where, found in faults.items() for fault in found]
    assert not lines, "\n".join(lines)


def test_the_pages_are_light(site: Path, chromium: Browser, visits: dict[str, set[Path]]) -> None:
    for page in set(PAGES) - set(visits):
        reader = Reader(chromium)
        reader.open(site / f"{page}.html")
        visits[page] = reader.loaded
        reader.close()
    assert find.heavy(visits) == []


def test_every_link_leads_somewhere(site: Path) -> None:
    assert find.dead_links(site) == []


def test_search_finds_what_is_there_and_only_that(site: Path, chromium: Browser) -> None:
    reader, found = Reader(chromium), {}
    for word in ("adjoint", "xylophone"):
        tab = reader.open(site / "search.html", f"?q={word}")
        tab.get_by_text(re.compile("Search finished|did not match any documents")).wait_for()
        found[word] = tab.locator("#search-results li a").evaluate_all("all => all.map(a => a.href)")
        assert reader.faults == []
    reader.close()
    assert any("chapters/neural_ode.html" in link for link in found["adjoint"])
    assert found["xylophone"] == []


def test_without_javascript_each_explorer_shows_its_first_frame(site: Path, chromium: Browser) -> None:
    reader = Reader(chromium, script=False)
    for page in CHAPTERS:
        reader.page.goto((site / f"{page}.html").as_uri())
        for figure in reader.page.locator(".wk-explore").all():
            assert figure.locator("img:visible").evaluate_all("all => all.map(e => e.dataset.frame)") == ["0"]
    reader.close()


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_a_chapter_shows_what_chapters_have(site: Path, page: str) -> None:
    """So that no check above passes for want of anything to look at; and the published outputs hold and are fresh."""
    html = find.soup(site / f"{page}.html")
    for part in (".wk-claim", ".wk-explore .wk-switch", ".cell_output img[alt]", "details"):
        assert html.select(part), f"no {part}"
    assert {str(card["data-status"]) for card in html.select("[data-status]")} <= {"holds", "fresh"}
    numbered = html.select("div.math .eqno")
    assert numbered
    assert [number for number in numbered if not number.select("a.wk-check")] == []


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_a_chapter_opens_on_colab(site: Path, page: str) -> None:
    """The button leads to the copy on the branch that holds stamped copies, in the repository of ``_config.yml``."""
    repository = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    there = repository["url"].removeprefix("https://github.com/")
    links = {str(a["href"]) for a in find.soup(site / f"{page}.html").select("a[href*='colab.research']")}
    assert links == {f"https://colab.research.google.com/github/{there}/blob/colab/{page}.ipynb"}
