"""A reader's browser: it opens the book's files with the network cut and remembers what went wrong meanwhile."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, Route, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
OTHER_HOST = re.compile(r"^(https?|wss?|ftp):")


def chromium_path(own: str) -> str:
    """Return the Chromium to use: WORKINGS_CHROMIUM, else Debian's, else playwright's ``own``.

    Without one the tests are skipped, but under CI they fail: there nobody would see that they never ran.
    """
    named = os.environ.get("WORKINGS_CHROMIUM")
    places = [named] if named else ["/usr/bin/chromium", own]
    for place in places:
        if Path(place).is_file():
            return place
    say = f"no browser at {' or '.join(places)}: apt-get install chromium, or playwright install chromium"
    if os.environ.get("CI"):
        pytest.fail(say)
    pytest.skip(say)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start one browser for all pages."""
    with sync_playwright() as play:
        path = chromium_path(play.chromium.executable_path)
        chromium = play.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


class Reader:
    """One window, one page after another, over ``file://`` and without a network."""

    def __init__(self, chromium: Browser, *, width: int = 1280, theme: str = "light", script: bool = True) -> None:
        self.context = chromium.new_context(viewport={"width": width, "height": 900}, java_script_enabled=script)
        self.context.set_offline(True)
        self.context.route(OTHER_HOST, _refuse)
        self.page: Page = self.context.new_page()
        self.page.on("request", self._request)
        self.page.on("requestfailed", lambda request: self._note(f"not loaded: {request.url[:200]}"))
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self._note(f"page error: {error}"))
        self.loaded: set[Path] = set()
        self.faults: list[str] = []
        self.dress(theme)

    def open(self, file: Path, query: str = "") -> Page:
        """Open a page, wait until its mathematics stands, and unfold all that is folded."""
        self.loaded, self.faults = set(), []
        self.page.goto(file.as_uri() + query, wait_until="load")
        self.page.evaluate(READY)
        return self.page

    def dress(self, theme: str, width: int | None = None) -> None:
        """Change the theme as a reader's system does, and the window's width."""
        self.page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
        if width is not None:
            self.page.set_viewport_size({"width": width, "height": 900})

    def close(self) -> None:
        """Close the window."""
        self.context.close()

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme == "file":
            self.loaded.add(Path(unquote(parts.path)))
        elif parts.scheme not in ("data", "blob", "about"):
            self._note(f"asks another host: {request.url[:200]}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note(f"console: {message.text[:300]}")

    def _note(self, fault: str) -> None:
        self.faults.append(fault)


def _refuse(route: Route) -> None:
    with suppress(Error):  # the page may have gone on meanwhile
        route.abort()


READY = """async () => {
  if (window.MathJax?.startup?.promise) await MathJax.startup.promise;
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  for (const button of document.querySelectorAll("button.toggle-button.toggle-button-hidden")) button.click();
  const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  await drawn();  // only then does the browser know which fonts it needs
  await document.fonts.ready;
  await drawn();
}"""
