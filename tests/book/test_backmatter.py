"""The pages at the back: everything that is stored is listed there, and each line leads to where it is shown."""

from __future__ import annotations

import json
import re
import runpy
from html import unescape
from pathlib import Path

import nbformat
import pytest
import yaml

from workings.book.notebooks import records

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted(path.stem for path in ROOT.glob("chapters/*.ipynb"))


def rows(site: Path, page: str) -> list[list[str]]:
    """The cells of all tables of a page, as HTML."""
    html = (site / f"chapters/{page}.html").read_text(encoding="utf-8")
    return [re.findall("<td>(.*?)</td>", row, re.S) for row in re.findall("<tr>(.*?)</tr>", html, re.S)]


def stored(chapter: str, kind: str) -> list[dict[str, object]]:
    return records(nbformat.read(ROOT / f"chapters/{chapter}.ipynb", as_version=4), kind)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_claim_is_listed_with_its_bound_and_leads_to_its_card(site: Path, chapter: str) -> None:
    claims = stored(chapter, "claim")
    page = (site / f"chapters/{chapter}.html").read_text(encoding="utf-8")
    listed = {row[0].partition('"')[2].partition('"')[0]: row for row in rows(site, "claims") if row}
    assert len(claims) > 10
    for claim in claims:
        row = listed[f"{chapter}.html#claim-{claim['name']}"]
        assert f'id="claim-{claim["name"]}"' in page
        assert unescape(row[2]) == claim["relation"]
        assert unescape(row[3]).startswith(f"{claim['contrast']}: ")
    assert sum(link.startswith(f"{chapter}.html") for link in listed) == len(claims)


def test_a_claim_that_depends_on_chance_has_its_spread(site: Path) -> None:
    values = json.loads((ROOT / "results/temporal_difference/spread.json").read_text())["values"]["figure-3"]
    [row] = [row for row in rows(site, "claims") if row and "temporal_difference.html#claim-figure-3" in row[0]]
    mean = sum(values) / 8
    deviation = (sum((value - mean) ** 2 for value in values) / 7) ** 0.5
    assert row[4] == f"{mean:.3g} ± {deviation:.2g} (8)"


def test_every_recorded_run_is_listed_with_where_it_comes_from(site: Path) -> None:
    listed = [row for row in rows(site, "recorded") if row]
    files = [file for chapter in CHAPTERS for file in sorted((ROOT / "results" / chapter).glob("*.json"))]
    files = [file for file in files if not file.stem.startswith("benchmark-")]
    assert len(listed) == len(files) > 30
    for file, row in zip(files, listed, strict=True):
        record = json.loads(file.read_text(encoding="utf-8"))
        assert f">{file.stem}</a>" in row[0]
        assert all(part in unescape(row[3]) for part in (record["date"], record["device"], record["commit"]))
        assert "unchanged" in row[3]
        page, _, anchor = row[0].partition('"')[2].partition('"')[0].partition("#")
        assert page == f"{file.parent.name}.html"
        assert not anchor or f'id="{anchor}"' in (site / f"chapters/{page}").read_text(encoding="utf-8")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_state_of_a_chapter_is_counted(site: Path, chapter: str) -> None:
    notebook = json.loads((ROOT / f"chapters/{chapter}.ipynb").read_text(encoding="utf-8"))
    state, *runs = [row for row in rows(site, "status") if row and f'"{chapter}.html"' in row[0]]
    checks = sum(len(ledger["rows"]) for ledger in stored(chapter, "ledger"))  # type: ignore[arg-type,misc]
    cells = sum(cell["cell_type"] == "code" for cell in notebook["cells"])
    assert state[1:4] == [str(cells), str(len(stored(chapter, "claim"))), str(checks)]
    assert state[4] == str(len(runpy.run_path(str(ROOT / f"tests/mutants/{chapter}.py"))["MUTANTS"]))
    assert len(runs) == len(yaml.safe_load((ROOT / "chapters/status.yml").read_text(encoding="utf-8"))["runs"])


def test_what_came_of_bad_data_is_counted(site: Path) -> None:
    kinds = json.loads((ROOT / "tests/bad_data/table.json").read_text(encoding="utf-8"))
    listed = {row[0]: [int(cell) for cell in row[1:]] for row in rows(site, "status") if len(row) == 6}
    assert list(listed) == [topic.replace("_", " ") for topic in kinds]
    for topic, functions in kinds.items():
        text = json.dumps(functions)
        ends = [text.count(f'"{end}": ') for end in ("error", "answer", "fault")]
        number, calls, *counts = listed[topic.replace("_", " ")]
        assert (number, calls) == (len(functions), sum(counts))
        commas = [
            sum(part.partition('"')[0].count(",") for part in text.split(f'"{end}": "')[1:])
            for end in ("error", "answer", "fault")
        ]
        assert counts == [end + more for end, more in zip(ends, commas, strict=True)]


def test_runs_under_the_same_circumstances_are_added_up(site: Path) -> None:
    lines = json.loads((ROOT / "tests/repeats.json").read_text(encoding="utf-8"))
    listed = [row for row in rows(site, "status") if len(row) == 5 and row[0].startswith("torch ")]
    assert len(listed) == len({(line["torch"], line["device"], str(line["environment"])) for line in lines})
    assert sum(int(row[2]) for row in listed) == len(lines) > 0
    assert sum(int(row[3]) for row in listed) == sum(line["cells"] for line in lines)
    named = [name for row in listed for name in row[4].split(", ") if name != "none"]
    assert len(named) == sum(len(line["failed"]) for line in lines)
