"""A check fails for a wrong equation, and the built pages show what the checks and claims measured."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from extensions import load
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workings import checks
from workings.book import check, claim, erratum, ledger, output, parameters, verifies
from workings.book.check import main
from workings.book.ledger import Check, checks_of, disagreements, run_checks
from workings.book.markdown import Equation

EXT = Path(__file__).resolve().parents[2] / "_ext"
CPU = torch.device("cpu")
TOY = """
from workings.book.ledger import verifies

WRONG = {"doubled": {"factor": 2.0}, "as printed": {"factor": 1.0}}

@verifies("toy:half", tex=r"h = b / 2", tolerance=1e-9, wrong=WRONG)
def half(device, factor=0.5):
    return 4.0 * factor - FOUR_HALVED

@verifies("toy:half", tex=r"h = b/2", tolerance=1e-9, wrong={"doubled": {"factor": 2.0}}, kind="definition")
def half_again(device, factor=0.5):
    return 8.0 * factor - 4.0

@verifies("toy:sum", tex="s = a + b", tolerance=0.5, wrong={"less": {"sign": -1.0}})
def total(device, sign=1.0):
    return 3.25 - (1.0 + sign * 2.0)

FOUR_HALVED = 2.0
"""
PRINTED = [Equation("toy:half", " h = b / 2 "), Equation("toy:sum", "s =\na + b")]


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The checks of a chapter ``toy``, which hold."""
    path = tmp_path / "toy.py"
    path.write_text(TOY, encoding="utf-8")
    monkeypatch.setattr(checks, "__path__", [str(tmp_path)])
    monkeypatch.setattr(ledger, "_registry", {})
    forget()
    yield path
    forget()


def forget() -> None:
    sys.modules.pop("workings.checks.toy", None)
    importlib.invalidate_caches()


def break_it(path: Path) -> None:
    path.write_text(TOY.replace("FOUR_HALVED = 2.0", "FOUR_HALVED = 2.0 + 1e-6"), encoding="utf-8")


def a_check(tolerance: float = 0.125, **values: float) -> Check:
    """Make a check with the given residuals of the equation and of its wrong forms."""
    wrong = {name: {"form": name} for name in values if name != "right"}
    return Check("toy:x", "x", "result", tolerance, lambda device, form="right": values[form], wrong)


@pytest.mark.parametrize(
    "good",
    [
        a_check(right=0.125, flipped=0.375),
        a_check(right=-0.125, flipped=-0.375, other=5.0),
        a_check(right=0.0, flipped=float("inf")),
        a_check(tolerance=0.0, right=0.0, flipped=1e-300),
    ],
)
def test_a_check_that_holds_and_rejects_has_no_fault(good: Check) -> None:
    assert good.run(CPU)["faults"] == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (a_check(right=0.126, flipped=5.0), "residual 0.126 exceeds 0.125"),
        (a_check(right=-0.126, flipped=5.0), "residual 0.126 exceeds 0.125"),
        (a_check(right=float("nan"), flipped=5.0), "residual nan exceeds 0.125"),
        (
            a_check(right=0.0, flipped=5.0, other=0.374),
            r"wrong form \(other\) has residual 0.374, less than three times",
        ),
        (a_check(right=0.0, flipped=float("nan")), r"wrong form \(flipped\) has residual nan"),
        (a_check(tolerance=0.0, right=0.0, flipped=0.0), r"wrong form \(flipped\) has residual 0"),
    ],
)
def test_a_check_that_is_wrong_or_toothless_has_a_fault(bad: Check, why: str) -> None:
    (fault,) = bad.run(CPU)["faults"]
    assert re.search(why, fault)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"label": "half"}, "label 'half' has no chapter"),
        ({"kind": "theorem"}, "kind is 'theorem'; a check is one of result, definition, derivation"),
        ({"wrong": {}}, "names no wrong form"),
    ],
)
def test_a_check_that_says_too_little_is_refused(arguments: dict[str, Any], why: str) -> None:
    given: dict[str, Any] = {
        "label": "toy:x",
        "tex": "x",
        "tolerance": 0.1,
        "wrong": {"flipped": {"sign": -1}},
    } | arguments
    with pytest.raises(ValueError, match=why):
        verifies(given.pop("label"), **given)


def test_two_modules_cannot_register_one_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_registry", {})

    def residual(device: torch.device) -> float:
        return 0.0

    def another(device: torch.device) -> float:
        return 0.0

    another.__name__, another.__module__ = "residual", "elsewhere"
    register = verifies("toy:x", tex="x", tolerance=0.1, wrong={"flipped": {}})
    register(register(residual))
    with pytest.raises(ValueError, match="'toy:x' has a check named 'residual' already"):
        register(another)


def test_the_rows_of_a_chapter_are_its_checks_in_order(toy: Path) -> None:
    rows = run_checks("toy", CPU)
    assert [(row["label"], row["check"], row["kind"], row["residual"], row["faults"]) for row in rows] == [
        ("toy:half", "half", "result", 0.0, []),
        ("toy:half", "half_again", "definition", 0.0, []),
        ("toy:sum", "total", "result", 0.25, []),
    ]
    assert rows[0]["wrong"] == {"doubled": 6.0, "as printed": 2.0}


def test_equations_that_agree_with_their_checks_are_let_be(toy: Path) -> None:
    assert disagreements("toy", PRINTED) == []


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ([*PRINTED, Equation("toy:new", "c = d")], ["equation 'toy:new' has no check"]),
        (PRINTED[:1], ["check 'total' is of 'toy:sum', which the chapter does not display"]),
        ([PRINTED[0], Equation("toy:sum", "s = a - b")], ["'toy:sum' prints 's = a - b', its check has 's = a + b'"]),
        (
            [Equation("toy:half", "h = b / 3"), PRINTED[1]],
            [f"'toy:half' prints 'h = b / 3', its check has '{tex}'" for tex in ("h = b / 2", "h = b/2")],
        ),
    ],
)  # fmt: skip
def test_an_equation_that_differs_from_its_check_is_found(toy: Path, printed: list[Equation], found: list[str]) -> None:
    assert disagreements("toy", printed) == found


def test_a_chapter_without_checks_is_named_with_those_that_have_some(toy: Path) -> None:
    with pytest.raises(ValueError, match="chapter 'toys' has no checks; those that have are toy"):
        checks_of("toys")


def test_check_yourself_passes_and_says_what_it_ran(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    first, half, *_, last = capsys.readouterr().out.splitlines()
    assert f"torch {torch.__version__}, cpu" in first
    assert re.fullmatch(r"toy:half +residual  0\.0e\+00  wrong form ≥  2\.0e\+00  ✓", half)
    assert last.startswith("0 of 3 checks failed")


def test_check_yourself_finds_a_broken_equation(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    break_it(toy)
    assert main(["toy"]) == 1
    out = capsys.readouterr().out
    assert "✗ residual 1e-06 exceeds 1e-09" in out
    assert "1 of 3 checks failed" in out


def test_check_yourself_does_not_pass_without_checks(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toy.write_text("", encoding="utf-8")
    assert main([]) == 1
    assert "0 of 0 checks failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["toys"], "no chapter toys; there are toy"),
        (["--device", "tpu"], "invalid choice: 'tpu'"),
        (["--device", "cuda"], "this torch sees no CUDA device"),
    ],
)
def test_check_yourself_refuses_what_there_is_not(
    toy: Path, arguments: list[str], why: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert why in capsys.readouterr().err


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The outputs that a notebook of chapter ``toy`` would store."""
    shown: list[Any] = []
    monkeypatch.setattr(output, "get_ipython", object)
    monkeypatch.setattr(
        output, "display", lambda data, raw, metadata: shown.append(new_output("display_data", data, metadata=metadata))
    )
    monkeypatch.setattr(parameters, "_current", parameters.Run("toy", {}, CPU, is_default=True))
    return shown


def test_the_last_cell_of_a_chapter_stops_at_a_broken_equation(toy: Path, page: list[Any]) -> None:
    break_it(toy)
    with pytest.raises(AssertionError, match=r"toy:half \(half\): residual 1e-06 exceeds 1e-09$"):
        check()
    toy.write_text("", encoding="utf-8")
    forget()
    ledger._registry.clear()
    with pytest.raises(AssertionError, match="chapter 'toy' has no checks to run"):
        check()
    assert page == []


def test_the_last_cell_of_a_chapter_shows_and_stores_its_checks(toy: Path, page: list[Any]) -> None:
    check()
    (shown,) = page
    assert shown.data["text/plain"] == "✓ 2 equations hold here (3 checks); every wrong form is rejected"
    row = '<td>sum</td><td><data class="measured">2.5e-01</data></td><td>0.5</td><td>less: <data class="measured">4.2<'
    assert row in shown.data["text/html"]
    assert shown.metadata["workings"] == {"ledger": {"chapter": "toy", "rows": run_checks("toy", CPU)}}


INDEX = """# Index

```{toctree}
chapters/toy
chapters/equations
chapters/errata
chapters/benchmarks
```
"""
TEXT = """# Toy

$$h = b / 2$$ (toy:half)

$$u = v$$ (toy:unchecked)

Plain {claim}`half` wrong {claim}`half:wrong` form {claim}`half|.1f` both {claim}`half:wrong|.2f` far {claim}`far:wrong`
median {record}`curve:total|.1f` most {record}`curve:total:most|.1f` element {record}`curve:path:1`
printed {published}`smith`
"""
BAD = (
    "{claim}`nope`", "{claim}`half:nope`", "{claim}`half|.zz`", "{claim}`half:low|.1f`", "{record}`nope:total`",
    "{record}`curve:nope`", "{record}`curve:path:9`", "{published}`nope`",
)  # fmt: skip
CONF = """
import sys
from pathlib import Path

sys.path.insert(0, {ext!r})
from workings.book import records

records.results_folder = lambda: Path({root!r}, "results")
project = "Toy"
extensions = ["myst_nb", "sphinx.ext.mathjax", "ledger"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
html_theme = "basic"
exclude_patterns = ["_build"]
"""
RECORD = {
    "chapter": "toy", "name": "curve", "command": "make record", "profile": "default", "parameters": {},
    "seeds": [1, 2, 3], "values": {"total": [5.0, 1.0, 2.0], "path": [[0, 7], [0, 9], [0, 8]]}, "code": [], "hash": "",
    "commit": "c", "device": "a <card>", "driver": "none", "versions": {}, "date": "2026-01-02",
}  # fmt: skip


@pytest.fixture
def source(toy: Path, page: list[Any], tmp_path: Path) -> Path:
    """The source of a book of one chapter with its ledger and errata."""
    claim("half", 2.0004, says="Half of four.", equals=2.0, atol=1e-3, wrong=4.0)
    claim("far", 2.0, says="It is near.", below=3.0, wrong=float("inf"))
    erratum(
        "slip", 2.0, says="It is a half.", wrong=4.0, equals=2.0, atol=0.1,
        where="Equation 3.", printed="h = 2 b", corrected="h = b / 2", reading="Right if b is a half.",
    )  # fmt: skip
    erratum(
        "ends", [0.0, 1.05], says="It ends at one.", wrong=[0.0, 4.0], equals=[0.0, 1.0], atol=0.1,
        where="Equation 4.", printed="e = 4", corrected="e = 1", reading="Never right.",
    )  # fmt: skip
    check()
    root = tmp_path / "book"
    (root / "chapters").mkdir(parents=True)
    (root / "results" / "toy").mkdir(parents=True)
    cells = [new_markdown_cell(TEXT), new_code_cell("1", outputs=page, execution_count=1)]
    nbformat.write(
        new_notebook(cells=cells, metadata={"language_info": {"name": "python"}}), root / "chapters" / "toy.ipynb"
    )
    table = {"contender": ["bare", "ours"], "ms": [1.5, 12.3456], "error": ["", 2e-7]}
    benchmark = RECORD | {"name": "benchmark-many-times", "values": table, "versions": {"torch": "2"}}
    files = {
        "conf.py": CONF.format(ext=str(EXT), root=str(root)),
        "index.md": INDEX,
        "results/toy/curve.json": json.dumps(RECORD),
        "chapters/equations.md": "# Equations\n\n```{ledger}\n```\n",
        "results/toy/benchmark-many-times.json": json.dumps(benchmark),
        "chapters/benchmarks.md": "# Benchmarks\n\n```{benchmarks}\n```\n",
        "chapters/errata.md": "# Errata\n\n```{errata}\n```\n",
        "chapters/published.yml": "smith:\n  value: 40 %\n  source: Smith & Sons\n  where: table 2\n",
    }
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    return root


def build(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "--keep-going", str(root), str(root / "_build")]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_built_book_shows_numbers_marks_ledger_and_errata(source: Path) -> None:
    done = build(source)
    assert (done.returncode, done.stderr) == (0, "")
    chapter, equations, errata, benchmarks = (
        (source / "_build" / "chapters" / f"{name}.html").read_text(encoding="utf-8")
        for name in ("toy", "equations", "errata", "benchmarks")
    )
    the_numbers_are_quoted(chapter)
    the_marks_stand_at_checked_equations(chapter, equations)
    the_ledger_lists_every_check(equations, chapter)
    the_errata_show_both_forms(errata)
    the_tables_of_times_are_shown_with_where_they_come_from(benchmarks)


def the_numbers_are_quoted(chapter: str) -> None:
    found = re.findall(r'(\w+) <data class="wk-number" title="([^"]*)">([^<]*)</data>', chapter)
    assert [(word, number) for word, _, number in found] == [
        ("Plain", "2.000"), ("wrong", "4.000"), ("form", "2.0"), ("both", "4.00"), ("far", "inf"),
        ("median", "2.0"), ("most", "5.0"), ("element", "8"), ("printed", "40 %"),
    ]  # fmt: skip
    assert [unescape(tip) for _, tip, _ in found[-3:]] == ["recorded on 2026-01-02, a <card>"] * 2 + [
        "Smith & Sons, table 2"
    ]
    assert found[0][1] == "Half of four."


def the_marks_stand_at_checked_equations(chapter: str, equations: str) -> None:
    marks = re.findall(r'id="equation-([\w-]+)">\s*<span class="eqno">(<a class="wk-check".*?</a>)?\(', chapter)
    assert [(name, bool(mark)) for name, mark in marks] == [("toy-half", True), ("toy-unchecked", False)]
    mark = marks[0][1]
    assert "2 checks, residual at most 0.0e+00; as printed: 2; doubled: 6; doubled: 12" in unescape(mark)
    (anchor,) = re.findall(r'href="equations.html#([\w-]+)"', mark)
    assert f'id="{anchor}"' in equations


def the_ledger_lists_every_check(equations: str, chapter: str) -> None:
    rows = re.findall(r'<tr id="([\w-]+)">(.*?)</tr>', equations)
    assert [name for name, _ in rows] == ["toy-half-half", "toy-half-half_again", "toy-sum-total"]
    assert "<td>definition</td><td>0.0e+00</td><td>1e-09</td><td>doubled: 12</td>" in rows[1][1]
    for anchor in re.findall(r'href="toy.html#([\w-]+)"', rows[0][1]):
        assert f'id="{anchor}"' in chapter


def the_errata_show_both_forms(errata: str) -> None:
    assert re.search(r"<strong>Equation 3\.</strong> It is a half\.", errata)
    assert re.findall(r'<span class="math[^"]*">\\\((.*?)\\\)</span>', errata) == [
        "h = 2 b",
        "h = b / 2",
        "e = 4",
        "e = 1",
    ]
    assert "Right if b is a half. The corrected form gives 2.0, the printed one 4.0" in errata
    assert "Never right. The corrected form is off by 0.05, the printed one by 3 (" in errata
    assert 'href="toy.html"' in errata


def the_tables_of_times_are_shown_with_where_they_come_from(benchmarks: str) -> None:
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", benchmarks, re.S)
    assert [re.findall(r"<p>(.*?)</p>", row) for row in rows] == [
        ["contender", "ms", "error"], ["bare", "1.5", "–"], ["ours", "12.3", "2e-07"],
    ]  # fmt: skip
    assert "<h2>toy<" in benchmarks
    assert "<h3>Many times<" in benchmarks
    text = unescape(re.sub("<[^>]+>", "", benchmarks))
    assert "Recorded on 2026-01-02: a <card>; torch 2; commit c." in text
    assert "Its code has changed since." in text


def test_a_number_that_there_is_not_turns_the_build_red(source: Path) -> None:
    (source / "index.md").write_text(INDEX.replace("chapters/toy\n", "chapters/toy\nchapters/bad\n"), encoding="utf-8")
    notebook = nbformat.read(source / "chapters" / "toy.ipynb", as_version=4)
    notebook.cells[0].source = "# Bad\n\n" + "\n\n".join(BAD)
    nbformat.write(notebook, source / "chapters" / "bad.ipynb")
    (source / "results" / "bad").symlink_to(source / "results" / "toy")
    done = build(source)
    assert done.returncode == 1
    for role in BAD:
        name, key = re.fullmatch(r"\{(\w+)\}`(.*)`", role).groups()  # type: ignore[union-attr]
        assert f"{name}: {key}: " in done.stderr
    assert len(re.findall("^.*WARNING", done.stderr, re.M)) == len(BAD)


@pytest.mark.parametrize(
    ("tex", "markdown"),
    [
        (r"a_j \text{ are the coefficients}", "$a_j$ are the coefficients"),
        (r"\text{avoid what was saved}", "avoid what was saved"),
        (r"\texttt{echo \$0}", "`echo $0`"),
        (r"x_1 \text{ to } x_{j-1}", "$x_1$ to $x_{j-1}$"),
        (r"\mu_{\text{left}} + 1", r"$\mu_{\text{left}} + 1$"),
        (r"\log \mu", r"$\log \mu$"),
    ],
)
def test_words_of_an_erratum_wrap(tex: str, markdown: str) -> None:
    assert load("ledger").form(tex) == markdown
