"""What a chapter shows of the library is the library's own source."""

from __future__ import annotations

from typing import Any

import pytest

from workings.book import show_source
from workings.book import source as module
from workings.book.source import without_docstrings


def example(x: float) -> float:
    """Return twice the square.

    This is left out.
    """
    square = x * x  # this is kept
    label = """a string
    that is used"""
    return 2 * square + len(label)


class Example:
    """Left out."""

    value = 1
    """Left out as well."""

    def method(self) -> str:
        """Leave this out."""
        return "kept"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(module, "display", lambda code: texts.append(code.data))
    return texts


def test_a_function_is_shown_without_its_docstring(shown: list[str]) -> None:
    show_source(example)
    assert shown == [
        "def example(x: float) -> float:\n    square = x * x  # this is kept\n"
        '    label = """a string\n    that is used"""\n    return 2 * square + len(label)'
    ]


def test_a_class_is_shown_without_any_docstring(shown: list[str]) -> None:
    show_source(Example)
    assert "eft out" not in shown[0]
    assert "eave this out" not in shown[0]
    assert 'return "kept"' in shown[0]


def test_lines_are_chosen_by_what_they_hold(shown: list[str]) -> None:
    show_source(example, "square =", "square =")
    assert shown == ["square = x * x  # this is kept"]
    show_source(example, last="square =")
    assert shown[1].splitlines()[0] == "def example(x: float) -> float:"
    assert shown[1].splitlines()[-1].strip() == "square = x * x  # this is kept"


@pytest.mark.parametrize("markers", [("cube",), (None, "cube"), ("return", "square =")])
def test_a_marker_that_is_not_there_is_an_error(markers: tuple[Any, ...], shown: list[str]) -> None:
    with pytest.raises(ValueError, match=f"'{markers[-1]}' does not occur in the source"):
        show_source(example, *markers)
    assert shown == []


def test_a_statement_that_begins_with_a_string_is_kept() -> None:
    source = 'def f() -> str:\n    "doc"\n    "a".join([])\n    return "x"\n'
    assert without_docstrings(source) == 'def f() -> str:\n    "a".join([])\n    return "x"\n'
