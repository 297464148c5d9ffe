"""A progress bar is shown where somebody looks, and leaves no trace where outputs are kept."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from workings.book import progress
from workings.book.progress import QUIET

MODULE = sys.modules["workings.book.progress"]


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The descriptions of the bars that were shown."""
    shown: list[str] = []

    def tqdm(items: Iterable[Any], desc: str, leave: bool) -> Iterator[Any]:
        shown.append(desc)
        yield from items

    monkeypatch.setattr("tqdm.auto.tqdm", tqdm)
    monkeypatch.delenv(QUIET, raising=False)
    monkeypatch.setattr(MODULE, "get_ipython", lambda: None)
    return shown


class Terminal:
    """A stream that somebody looks at, or not."""

    def __init__(self, looked_at: bool = True) -> None:
        self.looked_at = looked_at

    def isatty(self) -> bool:
        return self.looked_at

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


def test_a_terminal_shows_a_bar(bars: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(progress([1, 2], "training")) == [1, 2]
    assert bars == ["training"]


def test_a_notebook_shows_a_bar_though_it_is_no_terminal(bars: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal(looked_at=False))
    monkeypatch.setattr(MODULE, "get_ipython", object)
    assert list(progress([1, 2], "training")) == [1, 2]
    assert bars == ["training"]


def test_with_neither_there_is_none(bars: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal(looked_at=False))
    assert list(progress([1, 2], "training")) == [1, 2]
    assert bars == []


@pytest.mark.parametrize("shell", [None, object()])
def test_a_quiet_run_shows_none(bars: list[str], shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(MODULE, "get_ipython", lambda: shell)
    monkeypatch.setenv(QUIET, "1")
    assert list(progress([1, 2], "training")) == [1, 2]
    assert bars == []


def test_without_tqdm_the_work_goes_on(bars: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert list(progress([1, 2], "training")) == [1, 2]


def test_a_real_bar_is_written_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    terminal = Terminal()
    monkeypatch.setattr(terminal, "write", lambda text: written.append(text) or len(text))  # type: ignore[func-returns-value]
    monkeypatch.delenv(QUIET, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress([1, 2], "training")) == [1, 2]
    assert "training" in "".join(written)
