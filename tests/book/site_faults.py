"""What can be wrong with a page: each function returns a list of faults, empty when there is none."""

from __future__ import annotations

import base64
import gzip
import io
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup, Tag
from PIL import Image
from playwright.sync_api import Locator, Page

TEXT = {".html", ".js", ".css", ".svg", ".json", ".txt", ".map", ".inv"}  # what a static host compresses
SCRIPT = Path(__file__).with_name("faults.js").read_text(encoding="utf-8")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@cache
def soup(file: Path) -> BeautifulSoup:
    """Parse a page as it was built."""
    return BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")


@cache
def anchors(file: Path) -> frozenset[str]:
    """Return what a link can lead to in a page."""
    return frozenset(str(tag["id"]) for tag in soup(file).select("[id]"))


def pages(site: Path) -> list[Path]:
    """Return the book's pages; in ``_static`` the theme keeps templates of the same suffix."""
    return sorted(file for file in site.rglob("*.html") if "_static" not in file.parts)


def ask(page: Page, call: str) -> list[str]:
    """Call a function of ``faults.js`` in the page."""
    return list(page.evaluate(f"({SCRIPT}).{call}"))


def mathematics(page: Page, file: Path) -> list[str]:
    """Every formula of the source is rendered, none twice, none as an error."""
    inline, display = (len(soup(file).select(f"{tag}.math")) for tag in ("span", "div"))
    return ask(page, f"mathematics({inline}, {display})")


def accessibility(page: Page) -> list[str]:
    """No violation of WCAG 2.2, levels A and AA, that axe can see.

    Code loses its colours first: its thousands of words would take axe most of its time, and ``faint`` looks at them.
    Of the package's modules, which are all set alike, two are looked at.
    """
    page.evaluate("for (const code of document.querySelectorAll('pre')) code.textContent = code.textContent")
    page.evaluate(
        "for (const module of [...document.querySelectorAll('section:has(> dl.py)')].slice(2)) module.remove()"
    )
    only = {"type": "tag", "values": WCAG}
    result = Axe().run(page, options={"resultTypes": ["violations"], "runOnly": only, "preload": False})
    return [
        f"{rule['id']}: {node['html'][:160]}: {node['failureSummary'].splitlines()[-1].strip()[:200]}"
        for rule in result.response["violations"]
        for node in rule["nodes"]
    ]


def sideways(page: Page) -> list[str]:
    """Nothing sticks out of the window, unless something around it scrolls."""
    return ask(page, "sideways()")


def cut(page: Page) -> list[str]:
    """Every displayed formula is seen whole: one that scrolls looks like another formula."""
    return ask(page, "cut()")


def light_boxes(page: Page) -> list[str]:
    """In the dark no output stands in a light box, except where its colours must stay."""
    return ask(page, "lightBoxes()")


def faint(page: Page) -> list[str]:
    """Text stands out 4.5 to 1 from what is behind it (3 to 1 if large), formulas too, which axe passes over."""
    return ask(page, "faint()")


def images(page: Page) -> list[str]:
    """Every picture decodes, and every one in the text says what is seen."""
    return ask(page, "images()")


def icons(page: Page) -> list[str]:
    """Every icon is drawn, and every control that is only an icon has a name."""
    return ask(page, "icons()")


def explorers(page: Page) -> list[str]:
    """Each slider moves by mouse and keyboard and changes the picture; each switch shows the other form."""
    faults: list[str] = []
    for figure in page.locator(".wk-explore").all():
        faults += _explorer(page, figure)
    return faults


def _explorer(page: Page, figure: Locator) -> list[str]:
    slider, switch = figure.locator("input[type=range]"), figure.locator(".wk-switch")
    last = int(slider.get_attribute("max") or 0)
    slider.scroll_into_view_if_needed()
    slider.focus()
    faults, pictures = [], {}
    for key, wanted in (("Home", 0), ("ArrowRight", 1), ("ArrowLeft", 0), ("End", last)):
        page.keyboard.press(key)
        faults += _shown(figure, key, wanted, "right")
        pictures[wanted] = figure.locator("img:visible").first.get_attribute("src")
    if pictures[0] == pictures[last]:
        faults.append("the first picture and the last are the same")
    box = slider.bounding_box() or {"x": 0, "y": 0, "width": 0, "height": 0}
    page.mouse.click(box["x"] + 2, box["y"] + box["height"] / 2)
    faults += _shown(figure, "a click at the left end", 0, "right")
    page.mouse.move(box["x"] + 4, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    faults += _shown(figure, "a drag to the right end", last, "right")
    if switch.count():
        switch.focus()
        page.keyboard.press("Space")
        faults += _shown(figure, "the switch", last, "printed")
        if figure.locator("img:visible").first.get_attribute("src") == pictures[last]:
            faults.append("the switch does not change the picture")
        switch.click()
        faults += _shown(figure, "the switch back", last, "right")
    return faults


def _shown(figure: Locator, after: str, frame: int, form: str) -> list[str]:
    """After ``after`` exactly one frame shows, the right one, and slider and output say its label."""
    slider = figure.locator("input[type=range]")
    seen = figure.locator("img:visible").evaluate_all(
        "all => all.map(e => [e.dataset.frame, e.dataset.form, e.dataset.label])"
    )
    if [pair[:2] for pair in seen] != [[str(frame), form]]:
        return [f"after {after}: shows {seen}, not frame {frame} {form}"]
    said = [slider.get_attribute("aria-valuetext"), figure.locator("output").inner_text()]
    return [] if said == [seen[0][2]] * 2 else [f"after {after}: says {said}, not {seen[0][2]!r}"]


def opaque_figures(file: Path) -> list[str]:
    """Figures are ink on nothing, so that they can turn light in the dark."""
    as_is = ".wk-asis, .wk-asis *, .tag_wk-asis *"
    return [
        f"opaque ground, black in the dark: {str(tag['src'])[:80]}"
        for tag in soup(file).select(f".cell_output img:not({as_is})")
        if _opaque(file, str(tag["src"]))
    ]


def _opaque(file: Path, source: str) -> bool:
    inside, data = source.startswith("data:"), source.partition(",")[2]
    picture = Image.open(io.BytesIO(base64.b64decode(data) if inside else (file.parent / unquote(source)).read_bytes()))
    right, bottom = picture.width - 1, picture.height - 1
    alpha = picture.convert("RGBA").getchannel("A")
    return any(alpha.getpixel(corner) for corner in ((0, 0), (right, 0), (0, bottom), (right, bottom)))


def dead_links(site: Path) -> list[str]:
    """Every internal link, image, style and script of every page leads somewhere, fragments too."""
    faults = []
    for file in pages(site):
        for tag in soup(file).select("[href], [src]"):
            fault = _dead(file, tag, str(tag.get("href") or tag.get("src") or ""))
            if fault:
                faults.append(f"{file.relative_to(site)}: {fault}")
    return faults


def _dead(file: Path, tag: Tag, target: str) -> str:
    parts = urlsplit(target)
    if parts.scheme in ("http", "https", "") and parts.netloc:
        is_loaded = tag.name != "a" and "canonical" not in tag.get_attribute_list("rel")
        return f"loads from another host: {target}" if is_loaded else ""
    if parts.scheme:  # mailto, data, javascript
        return "" if parts.scheme in ("mailto", "data") else f"a link of another kind: {target[:80]}"
    there = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if not there.is_file():
        return f"nothing at {target!r}"
    if parts.fragment and there.suffix == ".html" and unquote(parts.fragment) not in anchors(there):
        return f"no {parts.fragment!r} in {there.name}"
    return ""


def weight(files: Iterable[Path]) -> int:
    """Add up bytes as a static host serves them: text compressed, the rest as it is."""
    return sum(len(gzip.compress(f.read_bytes(), 6)) if f.suffix in TEXT else f.stat().st_size for f in files)


def heavy(visits: dict[str, set[Path]], first: int = 2_000_000, further: int = 800_000) -> list[str]:
    """No first visit weighs more than ``first``; no page more than ``further`` beyond what other pages have brought."""
    faults = []
    for name, files in visits.items():
        others = set().union(*(there for other, there in visits.items() if other != name))
        for what, load, bound in (("first visit", files, first), ("further page", files - others, further)):
            if weight(load) > bound:
                faults.append(f"{name}: {what} {weight(load) / 1e6:.2f} MB, at most {bound / 1e6:.1f}")
    return faults
