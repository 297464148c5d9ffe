"""Each fault that a chapter must not have is found in a chapter that has it, and in no other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workings.book import markdown, notebooks
from workings.book.markdown import Equation
from workings.book.notebooks import equations, faults, proportions

TABLE = [{"name": "steps", "default": 3, "quick": None, "full": 30}]
FIGURE = {"alt": "A line.", "caption": "", "name": "", "as_is": False, "smallest_text": 8.2}
CLAIM = {"name": "half", "status": "holds"}


def shown(record: dict[str, Any], **data: str) -> NotebookNode:
    output: NotebookNode = new_output(
        "display_data", data={"text/plain": "shown", **data}, metadata={"workings": record}
    )
    return output


def cell(source: str, *outputs: NotebookNode, count: int, tags: list[str] | None = None) -> NotebookNode:
    made: NotebookNode = new_code_cell(
        source, outputs=list(outputs), execution_count=count, metadata={"tags": tags} if tags else {}
    )
    return made


@pytest.fixture
def chapter() -> Any:
    """A chapter without fault."""
    return new_notebook(
        cells=[
            new_markdown_cell("# Toy\n\nIt halves.\n\n$$a = b / 2$$ (toy:half)"),
            cell("# set-up: acts on Colab only", count=1),
            cell("# parameters\nsteps = 3  # int: steps", count=2, tags=["parameters"]),
            cell("begin()", shown({"parameters": {"values": {"steps": 3}, "table": TABLE}}), count=3),
            cell("claim()", shown({"claim": CLAIM}, **{"text/html": "<b>✓</b>"}), count=4),
            cell("show()", shown({"figure": FIGURE}, **{"image/png": "iVBOR/home/x"}), count=5),
        ]
    )


def test_a_good_chapter_has_no_fault(chapter: NotebookNode) -> None:
    assert faults(chapter) == []


def add(text: str) -> Callable[[NotebookNode], None]:
    return lambda chapter: chapter.cells.append(new_markdown_cell(text))


def output(**fields: Any) -> Callable[[NotebookNode], None]:
    """Give the claim's cell a further output."""
    return lambda chapter: chapter.cells[4].outputs.append(nbformat.from_dict(fields))


def html(text: str) -> Callable[[NotebookNode], None]:
    return output(output_type="display_data", data={"text/html": text}, metadata={})


def change(cell: int, **fields: Any) -> Callable[[NotebookNode], None]:
    return lambda chapter: chapter.cells[cell].update(fields)


def record(cell: int, kind: str, **fields: Any) -> Callable[[NotebookNode], None]:
    return lambda chapter: chapter.cells[cell].outputs[0].metadata["workings"][kind].update(fields)


def swap(chapter: NotebookNode) -> None:
    chapter.cells[4], chapter.cells[5] = chapter.cells[5], chapter.cells[4]


def strip(chapter: NotebookNode) -> None:
    for one in chapter.cells[1:]:
        one.execution_count = None


def empty(chapter: NotebookNode) -> None:
    for i in range(6, 16):
        chapter.cells.append(cell("pass", count=i))


def tag_two(chapter: NotebookNode) -> None:
    chapter.cells[1].metadata["tags"] = ["parameters"]


def crowded_figure(chapter: NotebookNode) -> None:
    chapter.cells[-1].outputs.append(shown({"claim": CLAIM | {"name": "other"}}))


def bare_figure(chapter: NotebookNode) -> None:
    del chapter.cells[5].outputs[0].metadata["workings"]


def claim_twice(chapter: NotebookNode) -> None:
    chapter.cells[4].outputs.append(copy.deepcopy(chapter.cells[4].outputs[0]))


def stale(chapter: NotebookNode) -> None:
    chapter.cells[4].outputs.append(shown({"recorded": {"name": "curve", "stale": True}}))


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (strip, "execution counts are [None, None, None, None, None], not 1 to 5"),
        (swap, "execution counts are [1, 2, 3, 5, 4], not 1 to 5"),
        (change(5, execution_count=6), "execution counts are [1, 2, 3, 4, 6]"),
        (empty, "only 3 of 15 code cells have outputs"),
        (change(2, metadata={}), "0 cells are tagged 'parameters'"),
        (tag_two, "2 cells are tagged 'parameters'"),
        (change(2, source="steps = 3  # int: steps"), "does not begin with '# parameters'"),
        (change(2, source="# parameters\nsteps = 3"), "'steps = 3'; a line is: name = literal"),
        (
            change(2, source="# parameters\nsteps = 3  # int: steps\nhalf = steps / 2  # float: derived"),
            "'half = steps / 2",
        ),
        (change(3, outputs=[]), "0 calls of begin(...)"),
        (record(3, "parameters", values={"steps": 4}), "the parameters cell sets {'steps': 4}"),
        (output(output_type="error", ename="E", evalue="", traceback=[]), "code cell 4 stores an error"),
        (output(output_type="stream", name="stderr", text="UserWarning: x"), "writes to stderr: UserWarning"),
        (output(output_type="stream", name="stdout", text="see /home/x.py"), "path of somebody's machine: /home/"),
        (html("<a href='/Users/ada/x'>"), "/Users/"),
        (html("C:\\Users\\ada"), "C:\\Users\\"),
        (html(f"in {notebooks.ROOT}/lib"), str(notebooks.ROOT)),
        (output(output_type="stream", name="stdout", text="/tmp/x.py"), "/tmp/"),
        (bare_figure, "code cell 5 has a figure without alt text"),
        (crowded_figure, "code cell 5 shows a figure and something else"),
        (record(5, "figure", alt=" "), "code cell 5 has a figure without alt text"),
        (record(5, "figure", smallest_text=7.9), "code cell 5 has a figure with text of 7.9 px on a phone"),
        (claim_twice, "2 claims are named 'half'"),
        (record(4, "claim", status="unclaimed"), "claim 'half' is stored as unclaimed"),
        (stale, "record 'curve' is stored as stale"),
        (change(1, source="\n".join(["x = 1"] * 13)), "code cell 1 has 13 lines; at most 12"),
        (change(4, source="x" * 89), "code cell 4 has a line of 89 characters; at most 88"),
        (add("$$c = d$$"), "an equation without a label: c = d"),
        (add("$$e = f$$ (toy:half)"), "2 equations are labelled 'toy:half'"),
        (add("It took 3.5 of them."), "a typed number in the prose: …It took 3.5 of them.…"),
    ],
)
def test_a_planted_fault_is_found_and_nothing_else(
    chapter: NotebookNode, plant: Callable[[NotebookNode], None], found: str
) -> None:
    plant(chapter)
    listed = faults(chapter)
    assert len(listed) == 1, listed
    assert found in listed[0]


def test_letters_that_look_like_a_path_inside_an_image_are_none(chapter: NotebookNode) -> None:
    html('<img src="data:image/png;base64,iVBOR/home/x/tmp/y=">')(chapter)
    assert faults(chapter) == []


@pytest.mark.parametrize(
    "text",
    [
        "3.5", "about 12 %", "12%", "2 ×", "2× faster", "30 dB", "4 nats", "4 bits", "90 ms", "in 9 s.", "1 MB", "2GB",
        "**3.5**", "# 3.5", "- 3.5", "| 3.5 |", "> 3.5", "$5$ and 3.5 and $6$", "`a` 3.5 `b`",
        "```{admonition} Note\n:class: tip\nIt is 3.5.\n```", "```{admonition} It is 3.5\n```",
        "````{exercise}\n:label: x\n```{dropdown} Answer\n3.5\n```\n````", ":::{note}\n3.5\n:::",
        "```python\nx = 1\n```\n3.5\n```python\nx = 1\n```", "$$a$$ (toy:a)\n3.5\n$$b$$ (toy:b)",
    ],
)  # fmt: skip
def test_a_number_in_the_prose_is_found(chapter: NotebookNode, text: str) -> None:
    add(text)(chapter)
    assert any("a typed number in the prose" in fault for fault in faults(chapter))


@pytest.mark.parametrize(
    "text",
    [
        "3 steps", "1990 was", "two of 12 sites", "$3.5$", "a $2\n+ 3.5$ b", "`3.5`", "``a ` 3.5``", "{claim}`x|.1f` 3",
        "{cite:p}`smith2.5`", "[version 3.5](https://x.org/3.5)", "<https://x.org/3.5>", "https://x.org/3.5",
        "arXiv:1806.07366", "![3.5](x3.5.png)", "<!-- 3.5 -->", "```python\n3.5\n```", "~~~\n3.5\n~~~",
        "```{code-block} python\n3.5\n```", "```{math}\n:label: toy:a\n3.5\n```", "$$3.5$$ (toy:a)",
        "````{note}\n```python\n3.5\n```\n````", "```{figure} x3.5.png\n:width: 3.5em\n```",
    ],
)  # fmt: skip
def test_what_is_not_prose_or_no_measure_is_let_be(chapter: NotebookNode, text: str) -> None:
    add(text)(chapter)
    assert faults(chapter) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$$a$$ (toy:a)", [("toy:a", "a")]),
        ("text $$a$$ text", [("", "a")]),
        ("- $$\n  a\n  $$ (toy:a)", [("toy:a", "\n  a\n  ")]),
        ("$$a$$ (toy:a)\n\n$$b$$\n\n$$c$$ (toy:c)", [("toy:a", "a"), ("", "b"), ("toy:c", "c")]),
        ("```{math}\n:label: toy:a\na\n+ b\n```", [("toy:a", "a\n+ b")]),
        ("```{math}\na\n```", [("", "a")]),
        (":::{math}\n:label: toy:a\na\n:::", [("toy:a", "a")]),
        ("\\begin{align}\na\n\\end{align}", [("", "\na\n")]),
        ("$$\\begin{align}a\\end{align}$$ (toy:a)", [("toy:a", "\\begin{align}a\\end{align}")]),
        ("````{note}\n$$a$$\n```{math}\n:label: toy:b\nb\n```\n````", [("", "a"), ("toy:b", "b")]),
        ("```{math}\n:label: toy:a\na\n```\n$$b$$\n```python\nx\n```", [("toy:a", "a"), ("", "b")]),
        ("```python\n$$a$$\n```", []),
        ("`$$a$$` and $a$", []),
    ],
)
def test_every_displayed_equation_is_found_in_order(text: str, found: list[tuple[str, str]]) -> None:
    assert markdown.equations(text) == [Equation(*one) for one in found]


def test_prose_is_what_stands_between_equations_once() -> None:
    text = "one $$a$$ (toy:a) two\n\n```{math}\nb\n```\nthree $$c$$\n:::{note} four\nfive\n:::\nsix"
    assert markdown.prose(text).split() == ["one", "two", "three", "four", "five", "six"]


def test_equations_of_a_chapter_are_those_of_its_markdown(chapter: NotebookNode) -> None:
    chapter.cells[1].source = "s = '$$x$$'"
    assert equations(chapter) == [Equation("toy:half", "a = b / 2")]


@pytest.fixture
def whole() -> Any:
    """A chapter of good proportions."""
    text = "word " * 2500 + "\n\n" + "Before you run this: why?\n\n" * 3 + "```{exercise}\n:label: x\nDo.\n```"
    cells = [cell("%pip x\ndef f():\n    !ls", count=i) for i in range(1, 6)] + [
        cell("1", count=i) for i in range(6, 21)
    ]
    return new_notebook(cells=[new_markdown_cell(text), *cells])


def test_good_proportions_are_let_be(whole: NotebookNode) -> None:
    assert proportions(whole) == []


def many_explorers(chapter: NotebookNode) -> None:
    chapter.cells[1].outputs = [shown({"explorer": {"bytes": 200_001}})] * 2


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (change(0, source="Before you run this " * 3 + "{exercise}"), "words; 2500 to 5000"),
        (add("word " * 2500), "words; 2500 to 5000"),
        (lambda chapter: chapter.cells.pop(), "19 code cells; 20 to 40"),
        (lambda chapter: chapter.cells.extend(cell("1", count=1) for _ in range(21)), "41 code cells"),
        (change(-1, source="class A:\n    pass"), "6 definitions; 0 to 5"),
        (html("x" * 2**20), "bytes; 0 to 1048575"),
        (many_explorers, "400002 bytes of explorers' frames; 0 to 400000"),
        (change(0, source="word " * 2500 + "Before you run this: {exercise}"), "1 prompts 'Before you run this'; 3 to"),
        (change(0, source="word " * 2500 + "Before you run this: " * 3), "0 exercises; 1 to any number"),
    ],
)
def test_bad_proportions_are_found(whole: NotebookNode, plant: Callable[[NotebookNode], None], found: str) -> None:
    plant(whole)
    (listed,) = proportions(whole)
    assert found in listed


def test_a_chapter_that_there_is_not_names_those_that_there_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(notebooks, "CHAPTERS", tmp_path)
    for name in ("b", "a"):
        (tmp_path / f"{name}.ipynb").write_text("{}")
    with pytest.raises(ValueError, match="there is no chapter 'c'; the chapters are a, b"):
        notebooks.load("c")
