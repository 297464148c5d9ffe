"""A record is stale when, and only when, code that it ran has changed."""

from __future__ import annotations

import ast
import importlib
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import workings
from workings.book import codehash, output, parameters, recorded, records
from workings.book.codehash import code_hash, reached
from workings.book.records import Record, read, write

FLOW = '''
"""A toy."""
import math
from dataclasses import dataclass
import workings.toy.deep as deep, workings.toy.far as far
from workings.toy.rates import RATES, rate as speed
from .shapes import ball
from workings.toy import tables

METHODS = {}
METHODS["euler"] = 0.5
UNUSED = 7


def experiment(seed, steps=3):
    """Run it."""
    total = 0.0
    for step in range(steps):  # one at a time
        total += speed(step) * helper(seed) + careful(seed)
    return {"total": total * METHODS["euler"] + tables.first() + ball() + deep.down()}


def helper(seed):
    from workings.toy.late import shift

    return seed + 2.5 + shift()


def refuse_negative(seed):
    if seed <= -1:
        raise ValueError(34)


def careful(seed: int) -> float:
    refuse_negative(seed)
    kept = refuse_negative(seed)
    if seed < 0:
        what = unused()
        raise ValueError("seed is negative")
    if seed == 5:
        raise StopIteration
    for step in range(3):
        if step > seed:
            raise ValueError
    if (more := seed + 18) > 30:
        raise ValueError
    if seed > 19:
        raise ValueError
    else:
        more += 21
    return more + Box().more + Box.kept


@dataclass
class Box:
    more: int = 3
    kept: ClassVar[int] = 4


def unused():
    return 11
'''
FILES = {
    "toy/__init__.py": "",
    "toy/flow.py": FLOW,
    "toy/rates.py": "RATES = (1, 2)\nSCALE = 4\ndef rate(step): return SCALE * step\ndef other():\n    return 12\n",
    "toy/shapes.py": "def ball():\n    return 13\n",
    "toy/tables.py": "def first():\n    return 14\n",
    "toy/late.py": "def shift():\n    return 15\n",
    "toy/deep.py": "def down():\n    return 17\n",
    "toy/far.py": "def away():\n    return 16\n",
}
EXPERIMENT = ["workings.toy.flow:experiment"]


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package ``workings.toy`` in a folder of its own, and a folder for its records."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(workings, "__path__", [*workings.__path__, str(tmp_path)])
    monkeypatch.setattr(records, "results_folder", lambda: tmp_path / "results")
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    sys.modules.pop("workings.toy", None)
    importlib.invalidate_caches()
    codehash.forget()


def store(**values: Any) -> Path:
    return write("toy", "curve", values, code=EXPERIMENT, command="make record", parameters={"steps": 3}, seeds=[1, 2])


def edit(toy: Path, file: str, old: str, new: str) -> None:
    path = toy / "toy" / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {file}"
    path.write_text(text.replace(old, new), encoding="utf-8")
    forget()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("flow.py", "steps=3", "steps=4"),
        ("flow.py", "total = 0.0", "total = 0.1"),
        ("flow.py", "seed == 5", "seed == 6"),  # this error ends a loop somewhere, perhaps
        ("flow.py", "step > seed", "step > seed + 1"),  # not at the function's head
        ("flow.py", "more: int = 3", "more: int = 4"),
        ("flow.py", "kept = refuse_negative(seed)", "kept = 3"),
        ("flow.py", "raise ValueError(34)", "return 34"),  # its value is kept by one of those that call it
        ("flow.py", "kept: ClassVar[int] = 4", "kept: int = 4"),
        ("flow.py", "seed + 18", "seed + 19"),  # a condition that does something
        ("flow.py", "seed > 19", "seed > 20"),  # decides on what comes else
        ("flow.py", 'raise ValueError("seed is negative")', "seed = 0"),
        ("flow.py", "seed + 2.5", "seed - 2.5"),
        ("flow.py", '"total": total', '"to tal": total'),
        ("flow.py", '    return {"total"', '        return {"total"'),  # into the loop: only the layout differs
        ("flow.py", "import RATES, rate as speed", "import other as speed"),
        ("flow.py", 'METHODS["euler"] = 0.5', 'METHODS["euler"] = 0.25'),
        ("flow.py", "\n\ndef helper", "\n\n@staticmethod\ndef helper"),
        ("flow.py", "UNUSED = 7", "if METHODS:\n    METHODS.clear()"),
        ("rates.py", "SCALE = 4", "SCALE = 5"),
        ("rates.py", "SCALE * step", "SCALE + step"),
        ("shapes.py", "13", "130"),
        ("tables.py", "14", "140"),
        ("late.py", "15", "150"),
        ("deep.py", "17", "170"),
        ("flow.py", "def experiment", "def experiment_of_old"),
    ],
)
def test_code_that_was_run_and_changed_makes_a_record_stale(toy: Path, file: str, old: str, new: str) -> None:
    store(total=[1.0, 2.0])
    assert not read("toy", "curve").is_stale
    edit(toy, file, old, new)
    assert read("toy", "curve").is_stale


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("flow.py", "seed: int) -> float", "seed: complex) -> complex"),
        ("flow.py", "more: int = 3", "more: float = 3"),
        ("flow.py", "    refuse_negative(seed)\n    kept", "    kept"),
        ("flow.py", "    if seed < 0:\n", "    if seed < -1:\n"),
        ("flow.py", "    if seed < 0:\n        what = unused()\n", "    if seed < 0:\n"),
        ("flow.py", 'raise ValueError("seed is negative")', 'raise TypeError(f"it is {unused()}")'),
        ("flow.py", "# one at a time", "# step by step"),
        ("flow.py", '"""Run it."""', '"""Run the experiment."""'),
        ("flow.py", '    """Run it."""\n', ""),
        ("flow.py", '"""A toy."""', '"""Another toy."""'),
        ("flow.py", "def experiment(seed, steps=3)", "def experiment(\n    seed,\n    steps=3,\n)"),
        ("flow.py", "UNUSED = 7", "UNUSED = 8"),
        ("flow.py", "return 11", "return 110"),
        ("flow.py", "import math\n", "import cmath\n"),
        ("rates.py", "return 12", "return 120"),
        ("rates.py", "RATES = (1, 2)", "RATES = (1, 3)"),
        ("far.py", "16", "160"),
    ],
)
def test_what_cannot_move_a_number_leaves_a_record_fresh(toy: Path, file: str, old: str, new: str) -> None:
    store(total=[1.0, 2.0])
    edit(toy, file, old, new)
    assert not read("toy", "curve").is_stale


def test_nothing_that_is_recorded_goes_on_after_a_refusal() -> None:
    """So what only refuses cannot move a number, and need not count."""
    package = Path(codehash.__file__).parents[1]
    caught = {
        (file.relative_to(package).as_posix(), handler.type and ast.unparse(handler.type))
        for file in package.rglob("*.py")
        if file.parent.name != "book" and "checks" not in file.parts
        for handler in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(handler, ast.ExceptHandler)
    }
    refusals = {(file, error) for file, error in caught if re.search("Exception|Value|Type|Argument|None", str(error))}
    commands = {("mac_setup.py", "ValueError"), ("gpu_memory_leak/__main__.py", "ValueError")}  # they print it and end
    assert refusals - commands == {("mac_setup.py", "BaseException")}  # tidies up, and raises it again


def test_a_whole_module_counts_with_all_that_it_defines(toy: Path) -> None:
    before = code_hash(["workings.toy.rates"])
    edit(toy, "rates.py", "return 12", "return 120")
    assert code_hash(["workings.toy.rates"]) != before


def test_what_is_reached_is_named(toy: Path) -> None:
    modules = {module for module, _ in reached(EXPERIMENT)}
    assert modules == {f"workings.toy.{name}" for name in ("flow", "rates", "shapes", "tables", "late", "deep")}


@pytest.mark.parametrize(
    ("name", "why"),
    [("workings.toy.flow:nothing", "'workings.toy.flow' defines no 'nothing'"), ("workings.toy.gone", "no module")],
)
def test_code_that_there_is_not_is_named(toy: Path, name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        code_hash([name])


def test_the_hash_is_the_same_on_every_python(toy: Path) -> None:
    """The tuples are written out, so that a field that some Python adds or leaves out shows here."""
    assert reached(["workings.toy.shapes:ball"]) == {
        ("workings.toy.shapes", "ball"): "('FunctionDef', ('name', \"'ball'\"), ('args', ('arguments',)), "
        "('body', [('Return', ('value', ('Constant', ('value', '13'))))]))"
    }


def test_a_record_keeps_values_and_where_they_come_from(toy: Path) -> None:
    path = store(total=np.array([1 / 3, 2.0]), curve=[torch.tensor([0.5, 0.25]), (1, 2)], last=[torch.tensor(1.5), 2])
    assert path == toy / "results" / "toy" / "curve.json"
    record = read("toy", "curve")
    assert (record.chapter, record.name, record.command) == ("toy", "curve", "make record")
    assert record.values == {"total": [0.333333, 2.0], "curve": [[0.5, 0.25], [1, 2]], "last": [1.5, 2]}
    assert (record.seeds, record.parameters, record.profile, record.code) == (
        [1, 2],
        {"steps": 3},
        "default",
        EXPERIMENT,
    )
    assert record.versions["torch"] == torch.__version__
    assert "CPU" in record.device
    assert record.array("curve").shape == (2, 2)
    with pytest.raises(ValueError, match="holds no 'curves'; it holds total, curve, last"):
        record.array("curves")


@pytest.mark.parametrize("value", [math.nan, math.inf, np.array([1.0, math.nan]), {"a": math.nan}, [[1.0], [object()]]])
def test_what_is_no_finite_number_is_refused_and_nothing_is_left(toy: Path, value: Any) -> None:
    store(total=[1.0, 2.0])
    before = (toy / "results" / "toy" / "curve.json").read_bytes()
    with pytest.raises(ValueError, match="record quantity 'total"):
        store(total=[value])
    assert [p.name for p in (toy / "results" / "toy").iterdir()] == ["curve.json"]
    assert (toy / "results" / "toy" / "curve.json").read_bytes() == before


def test_a_record_that_weighs_too_much_is_refused(toy: Path) -> None:
    with pytest.raises(ValueError, match=r"record 'curve' has \d+ bytes; at most 200000"):
        store(total=np.arange(40_000).tolist())
    assert not (toy / "results" / "toy").exists()


def test_a_record_that_there_is_not_names_the_command_that_makes_it(toy: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no record 'curve' of 'toy'; make it with: make record CHAPTER=toy"):
        read("toy", "curve")


def shown(monkeypatch: pytest.MonkeyPatch) -> tuple[Record, dict[str, Any], dict[str, Any]]:
    """Show the record as in a notebook; return it with the output's data and metadata."""
    page: list[Any] = []
    monkeypatch.setattr(output, "get_ipython", object)
    monkeypatch.setattr(output, "display", lambda data, raw, metadata: page.append((data, metadata["workings"])))
    monkeypatch.setattr(parameters, "_current", parameters.Run("toy", {}, torch.device("cpu"), is_default=True))
    return recorded("curve"), *page[0]


def test_a_card_says_where_a_record_comes_from(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(total=[1.0, 2.0])
    record, data, metadata = shown(monkeypatch)
    assert data["text/plain"] == "recorded: curve"
    assert metadata == {"recorded": {"name": "curve", "stale": False}}
    for part in ("make record", "steps = 3", "1, 2", record.commit, record.date, f"torch {torch.__version__}"):
        assert part in data["text/html"]


def test_a_card_of_a_stale_record_says_so(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(total=[1.0, 2.0])
    edit(toy, "late.py", "15", "150")
    _, data, metadata = shown(monkeypatch)
    assert data["text/plain"].startswith("stale: ")
    assert 'data-status="stale"' in data["text/html"]
    assert metadata["recorded"]["stale"] is True


def test_a_record_is_not_shown_before_its_chapter_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "_current", parameters.NO_RUN)
    with pytest.raises(ValueError, match=r"call begin\(\.\.\.\) first"):
        recorded("curve")


def test_the_file_is_plain_json_with_a_last_line(toy: Path) -> None:
    text = store(total=[1.0, 2.0]).read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert json.loads(text)["values"] == {"total": [1.0, 2.0]}


def test_the_commit_is_dirty_when_code_differs_from_it_and_not_for_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    code, result = tmp_path / "lib" / "workings" / "book" / "records.py", tmp_path / "results" / "curve.json"
    monkeypatch.setattr(records, "__file__", str(code))
    for path in (code, result):
        path.parent.mkdir(parents=True)
        path.write_text("1\n", encoding="utf-8")
    assert records._commit() == "unknown"
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "Start")
    clean = git("rev-parse", "--short=12", "HEAD")
    for path, commit in ((result, clean), (code, f"{clean}-dirty")):
        path.write_text("2\n", encoding="utf-8")
        assert records._commit() == commit


def test_versions_of_the_peers_that_are_installed(toy: Path) -> None:
    write(
        "toy", "bench", {"ms": [1.0]}, code=EXPERIMENT, command="make bench", parameters={},
        peers=("pytest", "no-such-peer"),
    )  # fmt: skip
    assert records.read("toy", "bench").versions["pytest"] == pytest.__version__
    assert "no-such-peer" not in records.read("toy", "bench").versions
