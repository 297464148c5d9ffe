"""What others rely on to use, cite and change the book: citation, licences, and the guide for contributors."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import workings
from workings.book import notebooks

if sys.version_info >= (3, 11):
    import tomllib
else:
    pytest.skip("tomllib came with Python 3.11", allow_module_level=True)

ROOT = Path(__file__).parents[1]
BSD, CC_BY = "BSD-3-Clause", "CC-BY-4.0"
NAMES = {
    BSD: r"BSD[ -]3[ -]Clause",
    CC_BY: r"CC[ -]BY[ -]4\.0|Creative Commons\s+Attribution 4\.0",
    "another": r"\bMIT\b|Apache|GPL|BSD[ -]2|CC[ -]BY[ -]\w+|CC[ -]?0|(Non-?Commercial|Share-?Alike|NoDerivat)",
}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def licences(text: str) -> set[str]:
    """Return the licences that a text names, by their SPDX identifiers; any third one is ``another``."""
    known = {name for name in (BSD, CC_BY) if re.search(NAMES[name], text)}
    rest = re.sub(f"{NAMES[BSD]}|{NAMES[CC_BY]}", "", text)
    return known | ({"another"} if re.search(NAMES["another"], rest) else set())


def section(text: str, title: str) -> str:
    """Return what stands below a heading of a Markdown file, up to the next of its level."""
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return str(found)


def broken_links(text: str) -> list[str]:
    """Return the links of a Markdown file to files or headings that are not there."""
    faults = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, heading = link.partition("#")
        if re.match(r"\w+:", link):
            continue
        there = (ROOT / name).exists()
        if not there or (heading and not re.search(rf"^#+ {heading.replace('-', ' ')}$", read(name), re.M | re.I)):
            faults.append(link)
    return faults


def unknown_targets(text: str) -> list[str]:
    """Return the targets of make in a Markdown file that the Makefile does not have."""
    known = set(re.findall(r"^([a-z]+):", read("Makefile"), re.M))
    return [target for target in re.findall(r"(?:`|^)make (\w+)", text, re.M) if target not in known]


CITATION: dict[str, Any] = yaml.safe_load(read("CITATION.cff"))
PROJECT: dict[str, Any] = tomllib.loads(read("pyproject.toml"))["project"]


def test_the_citation_is_of_this_version_and_place() -> None:
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["version"] == workings.__version__
    assert CITATION["repository-code"] == yaml.safe_load(read("_config.yml"))["repository"]["url"]
    assert CITATION["title"].startswith("Workings")
    assert {"authors", "message", "title"} <= set(CITATION)  # what the format requires beside its version


def test_the_same_people_are_named_everywhere() -> None:
    (author,) = CITATION["authors"]
    for name in ("LICENSE", "LICENSE-TEXT"):
        assert f"Copyright (c) 2026, {author['name']}\n" in read(name)


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ("CITATION.cff", {BSD, CC_BY}),
        ("LICENSE", {BSD}),
        ("LICENSE-TEXT", {BSD, CC_BY}),
        ("README.md", {BSD, CC_BY}),
        ("CONTRIBUTING.md", {BSD, CC_BY}),
        ("pyproject.toml", {BSD}),
    ],
)
def test_licences_agree(where: str, named: set[str]) -> None:
    """The package is code alone; text and figures stay in the repository."""
    if where == "CITATION.cff":
        text = " ".join(CITATION["license"])
    elif where == "pyproject.toml":
        text = PROJECT["license"]
    else:
        text = section(read(where), "Licences") if where.endswith(".md") else read(where)
    assert licences(text) == named


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_each_licence_leads_to_its_text(name: str) -> None:
    links = dict(re.findall(r"\[([^\]]+)\]\((LICENSE[\w-]*)\)", section(read(name), "Licences")))
    assert {target: licences(shown) for shown, target in links.items()} == {"LICENSE": {BSD}, "LICENSE-TEXT": {CC_BY}}


def test_the_licence_of_the_text_says_which_code_binds_and_what_it_covers() -> None:
    text = read("LICENSE-TEXT")
    assert text.startswith("Creative Commons Attribution 4.0 International\n")
    assert f"SPDX-License-Identifier: {CC_BY}\n" in text
    assert "https://creativecommons.org/licenses/by/4.0/legalcode\n" in text
    back = [path.stem for path in notebooks.CHAPTERS.glob("*.md")]
    assert [name for name in (*back, "index.md", "chapters/") if name not in text] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("BSD 3-Clause License", {BSD}),
        ("under CC BY 4.0", {CC_BY}),
        ("Creative\nCommons\nAttribution 4.0", set()),
        ("the Creative Commons\nAttribution 4.0 International License", {CC_BY}),
        ("BSD-3-Clause AND CC-BY-4.0", {BSD, CC_BY}),
        ("MIT licence.", {"another"}),
        ("BSD-2-Clause", {"another"}),
        ("CC-BY-SA-4.0 or BSD-3-Clause", {"another", BSD}),
        ("CC BY-NC 4.0", {"another"}),
        ("permitted, limited", set()),
    ],
)
def test_licences_are_told_apart(text: str, found: set[str]) -> None:
    assert licences(text) == found


def test_the_guide_for_contributors_leads_somewhere() -> None:
    guide = read("CONTRIBUTING.md")
    assert broken_links(guide) == []
    assert unknown_targets(guide) == []


def test_links_and_targets_that_lead_nowhere_are_found() -> None:
    text = "[a](LICENSE) [b](NOTHING) [c](README.md#adding-a-chapter) [d](README.md#nothing) [e](https://x.org)"
    assert broken_links(text) == ["NOTHING", "README.md#nothing"]
    assert unknown_targets("`make test`, make do with\nmake book  # and\n`make nothing`") == ["nothing"]


def test_a_section_ends_at_the_next() -> None:
    assert section("# A\n## B\nb\n### c\n## D\nd\n", "B") == "b\n### c\n"
    assert section("# A\n## B\nb\n## D\nd\n", "D") == "d\n"
    with pytest.raises(ValueError, match="not enough"):
        section("# A\n### B\nb\n", "B")


def test_the_check_that_the_guide_shows_is_the_one_in_the_code() -> None:
    (shown,) = re.findall(r"^```python\n(.*?)\) -> float", read("CONTRIBUTING.md"), re.M | re.S)
    assert shown in read("lib/workings/checks/neural_ode/losses.py")
