"""The two ways to make the environment agree: pip (pyproject.toml, constraints.txt) and conda (environment.yml)."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    pytest.skip("the pinned environment needs Python 3.11", allow_module_level=True)

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
CONDA: list[Any] = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]


def pins(text: str) -> dict[str, str]:
    """Return the version that each line of a constraints file fixes."""
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def unmet(requirements: list[str], pinned: dict[str, str]) -> list[str]:
    """Return the requirements without a pin, or whose pin they refuse."""
    faults = []
    for line in requirements:
        need = Requirement(line)
        version = pinned.get(canonicalize_name(need.name))
        if version is None or not need.specifier.contains(version, prereleases=True):
            faults.append(f"{line}: pinned {version}")
    return faults


def test_every_requirement_is_pinned_to_a_version_that_it_allows() -> None:
    requirements = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
    assert unmet(requirements, pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))) == []


def test_a_missing_and_a_refused_pin_are_found() -> None:
    pinned = pins("# sizes==1.0\nsizes==1.4.0\nOther_Name==2.0")
    assert unmet(["sizes>=1.4", "other-name", "sizes"], pinned) == []
    assert unmet(["sizes>=1.5", "size"], pinned) == ["sizes>=1.5: pinned 1.4.0", "size: pinned None"]


def test_conda_installs_what_pip_does() -> None:
    """All extras, from the same pins, on a Python that pyproject.toml and the pins allow."""
    (pip,) = [entry["pip"] for entry in CONDA if isinstance(entry, dict)]
    assert pip[:-1] == ["-c constraints.txt"]
    editable = re.fullmatch(r"-e \.\[([\w,]+)\]", pip[-1])
    assert editable is not None
    assert sorted(editable[1].split(",")) == sorted(EXTRAS)


def test_conda_asks_for_a_python_that_the_book_runs_on() -> None:
    python = next(SpecifierSet(entry.removeprefix("python")) for entry in CONDA if str(entry).startswith("python"))
    least = re.search(r"v >= \((\d+), (\d+)\)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert least is not None
    major, minor = map(int, least.groups())
    assert f"{major}.{minor}" in python
    assert f"{major}.{minor - 1}" not in python
    assert f"{major}.{minor}" in SpecifierSet(PROJECT["requires-python"])
