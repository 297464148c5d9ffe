"""The book away from the web: on paper, as one file, and kept by a browser without a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any
from zipfile import ZipFile

import pytest
import site_faults as find
import yaml
from extensions import load
from playwright.sync_api import Browser, BrowserContext, Error, Page
from reader import Reader

ROOT = Path(__file__).parents[2]
CHAPTER, OTHER, NEVER_READ = (f"chapters/{name}.html" for name in ("temporal_difference", "neural_ode", "notation"))
ANSWER = "details.sd-dropdown"
STANDS = """async () => {
  await MathJax.startup.promise;
  const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  await drawn();
  await document.fonts.ready;
  await drawn();
}"""


@pytest.fixture(scope="module")
def offline() -> ModuleType:
    return load("offline")


# on paper

A4 = round((210 - 2 * 20) / 25.4 * 96)  # pixels between the margins
SEEN = "e => e.checkVisibility({visibilityProperty: true, opacityProperty: true}) && e.getClientRects().length"
START = "e.outerHTML.slice(0, 100)"
USELESS = "nav, button, input, select, a.headerlink, details.hide > summary, details:not([open]) > summary"
WHOLE = ".wk-card, .wk-explore, .cell_input, div.cell_output:has(img), figure, div.math, .sd-dropdown"
CUT = """all => all.filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth
  && getComputedStyle(e).overflowX !== "visible")
  .map((e) => `${e.scrollWidth} px in ${e.clientWidth}: ${e.outerHTML.slice(0, 100)}`)"""
WRAPPED = """all => all.filter((e) => {
  const lines = e.textContent.trimEnd().split("\\n"), style = getComputedStyle(e);
  const high = e.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
  return high > (lines.length + 0.5) * parseFloat(style.lineHeight) && lines.every((line) => line.length <= 88);
}).map((e) => e.textContent.slice(0, 100))"""
PALE = """all => [...new Set(all.filter((e) => e.getClientRects().length && [...e.childNodes].some(
  (n) => n.nodeType === 3 && n.data.trim())).map((e) => getComputedStyle(e).color))].filter((colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((x) => {
      x /= 255;
      return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
    });
    return 1.05 / (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05) < 4.4;
  })"""


def unprintable(tab: Page) -> dict[str, list[str]]:
    """Return what does not belong on white paper as wide as A4, by kind."""
    tab.set_viewport_size({"width": A4, "height": 900})
    body = tab.locator("article :not(mjx-container *, pre *)")
    shown = f"all => all.filter({SEEN}).map((e) => {START})"
    inverted = f"all => all.filter((e) => getComputedStyle(e).filter !== 'none').map((e) => {START})"
    breakable = f"all => all.filter((e) => getComputedStyle(e).breakInside !== 'avoid').map((e) => {START})"
    return {
        "useless": tab.locator(USELESS).evaluate_all(shown),
        "cut": find.sideways(tab) + body.evaluate_all(CUT) + tab.locator("article pre").evaluate_all(WRAPPED),
        "pale": tab.locator("article :not(mjx-container *)").evaluate_all(PALE) + body.evaluate_all(inverted),
        "breakable": tab.locator(f"article :is({WHOLE})").evaluate_all(breakable),
    }


@pytest.mark.parametrize("page", [CHAPTER, OTHER])
def test_a_chapter_on_paper(site: Path, chromium: Browser, page: str) -> None:
    """A reader of the dark page prints it: what would be wrong is seen on the screen before, and not on paper."""
    reader = Reader(chromium, theme="dark")
    tab = reader.page
    tab.goto((site / page).as_uri())
    tab.evaluate(STANDS)
    assert all(unprintable(tab).values())

    # the browser's own print
    state = f"[document.documentElement.dataset.theme, document.querySelectorAll('{ANSWER}:not([open])').length]"
    before = tab.evaluate(state)
    assert before[0] == "dark"
    assert before[1] >= 3
    tab.evaluate(f"addEventListener('beforeprint', () => {{ window.printed = {state} }})")
    tab.pdf()
    assert tab.evaluate("window.printed") == ["light", 0]
    assert tab.evaluate(state) == before

    # what it prints
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    tab.emulate_media(media="print")
    assert unprintable(tab) == {"useless": [], "cut": [], "pale": [], "breakable": []}
    for part in ("h1", ".wk-claim", ".wk-frame", ".cell_input", ".solution .cell_input", f"{ANSWER} p", "div.math"):
        assert tab.locator(f"article {part}").evaluate_all(f"all => all.some({SEEN})"), f"no {part} on paper"
    assert tab.locator(f"article :is(.solution, {ANSWER}) p").evaluate_all(f"all => all.every({SEEN})")
    assert tab.locator("article details.hide pre").evaluate_all(f"all => !all.some({SEEN})")
    assert reader.faults == []
    reader.close()


# as one file


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_same_book_is_the_same_zip(offline: ModuleType, tmp_path: Path) -> None:
    book = {"index.html": b"<p>one</p>" * 100, "_static/b.js": b"b", "_static/a.css": b"a", ".buildinfo": b"where"}
    for place, order in (("one", sorted(book)), ("two", sorted(book, reverse=True))):
        for number, name in enumerate(order):
            file = tmp_path / place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(book[name])
            os.utime(file, (1e9 + number, 1e9 + number))
            file.chmod(0o600 if place == "one" else 0o644)
        (tmp_path / "from" / place).mkdir(parents=True)
        offline.pack(tmp_path / place, tmp_path / "from" / place / "book-1.zip")
    first, second = (tmp_path / "from" / place / "book-1.zip" for place in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    with ZipFile(first) as archive:
        assert archive.namelist() == ["book-1/_static/a.css", "book-1/_static/b.js", "book-1/index.html"]
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o644}
    assert first.stat().st_size < 1000


def test_the_zip_is_small_and_opens_without_a_server(
    offline: ModuleType, site: Path, chromium: Browser, tmp_path: Path
) -> None:
    zipped = tmp_path / "workings-1.zip"
    offline.pack(site, zipped)
    assert zipped.stat().st_size <= 25_000_000
    with ZipFile(zipped) as archive:
        archive.extractall(tmp_path)
    there = tmp_path / "workings-1"
    assert files(there) == {name: data for name, data in files(site).items() if not Path(name).name.startswith(".")}
    reader = Reader(chromium)
    tab = reader.open(there / CHAPTER)
    assert find.mathematics(tab, there / CHAPTER) + find.images(tab) + reader.faults == []
    reader.close()


def test_the_zip_is_published_beside_the_pages_where_the_links_lead(tmp_path: Path) -> None:
    """It is made before it is put there, so it does not contain itself."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    for name in ("README.md", "index.md"):
        links = re.findall(r"\]\((\S+\.zip)\)", (ROOT / name).read_text(encoding="utf-8"))
        assert links == [config["html"]["baseurl"] + "workings.zip"], name
    steps = yaml.safe_load((ROOT / ".github/workflows/pages.yml").read_text(encoding="utf-8"))["jobs"]["build"]["steps"]
    upload = next(i for i, step in enumerate(steps) if "upload-pages-artifact" in step.get("uses", ""))
    make = tmp_path / "bin/make"
    make.parent.mkdir()
    make.write_text('#!/bin/sh\n[ "$1" = zip ] && mkdir -p _build/html && ls -R _build/html >_build/workings-7.0.zip\n')
    make.chmod(0o755)
    stubbed = os.environ | {"PATH": f"{make.parent}{os.pathsep}{os.environ['PATH']}"}
    for script in (step["run"] for step in steps[:upload] if "run" in step):
        subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=stubbed, check=True)
    published = tmp_path / steps[upload]["with"]["path"]
    assert [file.name for file in published.iterdir()] == ["workings.zip"]
    assert "workings" not in (published / "workings.zip").read_text()


# kept by the browser


def test_the_worker_is_another_one_as_soon_as_a_file_is(offline: ModuleType, tmp_path: Path) -> None:
    def worker() -> str:
        offline.add_worker(tmp_path)
        return str((tmp_path / "worker.js").read_text(encoding="utf-8"))

    page = tmp_path / "chapters/page.html"
    page.parent.mkdir()
    page.write_text("one")
    first = worker()
    assert "@BUILD@" not in first
    assert worker() == first
    os.utime(page, (1e9, 1e9))
    assert worker() == first
    page.write_text("two")
    assert (second := worker()) != first
    page.rename(tmp_path / "page.html")
    assert worker() not in (first, second)


class Host(ThreadingHTTPServer):
    """A web host for a folder, which can be cut off."""

    daemon_threads = True
    is_cut = False

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Answer, directory=str(folder)))
        self.book = f"http://127.0.0.1:{self.server_port}/workings/"
        Thread(target=self.serve_forever, daemon=True).start()

    def cut(self, context: BrowserContext, is_cut: bool = True) -> None:
        """Cut the network, at both its ends."""
        self.is_cut = is_cut
        context.set_offline(is_cut)


class Answer(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Host)
        if self.server.is_cut:
            self.close_connection = True
        else:
            super().do_GET()

    def log_message(self, *words: Any) -> None:
        """Say nothing."""


@pytest.fixture
def host(site: Path, tmp_path: Path) -> Iterator[Host]:
    """A host of the book, which lies in a folder there, as on GitHub Pages, beside other things."""
    shutil.copytree(site, tmp_path / "workings")
    (tmp_path / "other.txt").write_text("not the book's")
    with Host(tmp_path) as started:
        yield started
        started.shutdown()


UNTIL = """async (seconds) => {
  const end = performance.now() + 1000 * seconds;
  while (!(await (CONDITION)())) {
    if (performance.now() > end) throw new Error(`in vain`);
    await new Promise((done) => setTimeout(done, 50));
  }
}"""
KEPT = """async () => {
  if (!navigator.serviceWorker.controller) return false;
  const loaded = [location.href, ...performance.getEntriesByType("resource").map((entry) => entry.name)];
  const kept = (name) => caches.match(name.replace(/[/]$/, "/index.html"));
  for (const name of loaded) if (name.startsWith(ROOT) && !(await kept(name))) return false;
  return true;
}"""
STORE = """async () => Object.fromEntries(await Promise.all((await caches.keys()).map(async (name) =>
  [name, (await (await caches.open(name)).keys()).map((request) => request.url)])))"""


def wait(tab: Page, condition: str) -> None:
    """Wait for a condition that is a promise, which playwright takes for true at once."""
    tab.evaluate(UNTIL.replace("CONDITION", condition.replace('"', "'")), 20)


def read(tab: Page, address: str, host: Host) -> int:
    """Read a page online until it is kept, and return how high it is."""
    tab.goto(address)
    tab.evaluate(STANDS)
    wait(tab, KEPT.replace("ROOT", repr(host.book)))
    return height(tab)


def height(tab: Page) -> int:
    """Return what changes when a style, a font, a figure or a formula is not there."""
    tab.evaluate(STANDS)
    return int(tab.evaluate("document.documentElement.scrollHeight"))


def store(tab: Page) -> dict[str, list[str]]:
    return dict(tab.evaluate(STORE))


def test_without_the_worker_a_cut_network_is_one(host: Host, chromium: Browser) -> None:
    context = chromium.new_context(service_workers="block")
    tab = context.new_page()
    tab.goto(host.book)
    for is_cut in (True, False):  # by the browser, then by the host
        context.set_offline(is_cut)
        host.is_cut = not is_cut
        with pytest.raises(Error, match="ERR_"):
            tab.reload()
    context.close()


def test_what_was_read_stays_readable_without_a_network(host: Host, site: Path, chromium: Browser) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    tab, errors = context.new_page(), []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    first = read(tab, host.book, host)
    chapter = read(tab, host.book + CHAPTER, host)

    # what is not the book's, and a download from it
    tab.evaluate("url => fetch(url, {mode: 'no-cors'})", host.book.replace("127.0.0.1", "localhost") + "index.html")
    tab.evaluate("fetch('/other.txt')")
    with tab.expect_download():
        tab.evaluate(f"location = '{host.book}_sources/{Path(CHAPTER).with_suffix('.ipynb')}'")
    (kept,) = store(tab).values()
    assert {host.book + "index.html", host.book + CHAPTER} <= set(kept)
    assert [url for url in kept if not url.startswith(host.book) or url.endswith(".ipynb")] == []

    host.cut(context)
    tab.reload()
    assert height(tab) == chapter
    assert find.mathematics(tab, site / CHAPTER) + find.images(tab) + find.icons(tab) == []
    assert tab.locator("article mjx-container").count() > 50
    assert tab.locator("article .wk-frame:visible").count() == 1
    for address in ("", "index.html?from=elsewhere#chapters"):
        tab.goto(host.book + address)
        assert height(tab) == first
    assert errors == []

    answer = tab.goto(host.book + NEVER_READ)
    assert answer is not None
    assert answer.status == 503
    assert "not been read" in tab.inner_text("body")
    assert tab.locator("li a").count() == 2
    with tab.expect_navigation():
        tab.get_by_role("link", name=re.compile("^Temporal differences")).click()
    assert height(tab) == chapter

    host.cut(context, False)
    tab.goto(host.book + NEVER_READ)
    assert tab.locator("article h1").count() == 1
    context.close()


def test_a_new_build_replaces_what_was_kept(host: Host, offline: ModuleType, tmp_path: Path, chromium: Browser) -> None:
    context = chromium.new_context(reduced_motion="reduce")
    tab = context.new_page()
    read(tab, host.book + CHAPTER, host)
    read(tab, host.book, host)
    (old,) = store(tab)
    tab.evaluate("caches.open('of another book')")

    # the style changes, and with it its address on the pages; so do a word of the chapter, and its figures' names
    book = tmp_path / "workings"
    style, page = book / "_static/book.css", book / CHAPTER
    renewed = style.read_text(encoding="utf-8") + "article h1 { outline: 7px solid }"
    style.write_text(renewed, encoding="utf-8")
    for file in (page, book / "index.html"):
        text = re.sub(r"book\.css\?v=\w+", "book.css?v=new", file.read_text(encoding="utf-8"))
        text = re.sub(r"(_images/)(\w+\.png)", r"\1new\2", text).replace("<h1>", "<h1>New: ")
        file.write_text(text, encoding="utf-8")
    for picture in (book / "_images").glob("*.png"):
        picture.rename(picture.with_name("new" + picture.name))
    offline.add_worker(book)
    tab.goto(host.book)
    assert "New: " in tab.inner_text("article h1")  # the network comes first
    wait(tab, f"async () => !(await caches.keys()).includes({old!r})")
    assert len(store(tab)) == 2
    assert "of another book" in store(tab)
    assert not [url for urls in store(tab).values() for url in urls if url.endswith("book.css?v=old")]

    host.cut(context)
    tab.goto(host.book + CHAPTER)  # not read since
    tab.evaluate(STANDS)
    assert "New: " in tab.inner_text("article h1")
    assert tab.evaluate("getComputedStyle(document.querySelector('article h1')).outlineWidth") == "7px"
    assert find.mathematics(tab, page) + find.images(tab) == []
    assert tab.locator("article img[src*='_images/new']").count() > 0
    context.close()
