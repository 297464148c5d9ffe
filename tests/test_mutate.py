"""The mutation tool on a toy package: it must tell a kill from a survivor, and from a set-up that tests nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

HERE = Path(__file__).parent

TOY = '''\
"""A toy: doubles 2 things."""

def double(x: int) -> int:
    """Return 2 x."""
    if x > 1000:
        raise ValueError(f"x must be at most {1000}, not {x}")
    return 2 * x

def half_until_one(x: float) -> float:
    while x > 1:
        x = x / 2
    return x
'''
TESTS = """
from toy.numbers import double, half_until_one

def test_double():
    assert double(3) == 6

def test_half():
    assert half_until_one(8) == 1
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A project with a package ``toy``; its tests miss the bound of ``double``."""
    for folder in ("lib/toy", "tests/mutants"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "lib/toy/__init__.py").touch()
    (tmp_path / "lib/toy/numbers.py").write_text(TOY)
    (tmp_path / "tests/test_numbers.py").write_text(TESTS)
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\npythonpath = []\n")
    return tmp_path


def mutate(toy: Path, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run the tool on ``toy`` in a Python of its own, since it forks."""
    run = (
        "import sys, pathlib, mutate as m; sys.exit(m.main(sys.argv[2:], m.Project(pathlib.Path(sys.argv[1]), 'toy')))"
    )
    environment = os.environ | {"PYTHONPATH": f"{HERE}:{path}", "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    command = [sys.executable, "-c", run, str(toy), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def by_hand(
    toy: Path, *mutants: tuple[str, str], limit: float = 60, path: str = ""
) -> subprocess.CompletedProcess[str]:
    """Write a table of (find, replace) and run it."""
    rows = [("numbers.py", find, replace, f"why {i}") for i, (find, replace) in enumerate(mutants)]
    (toy / "tests/mutants/numbers.py").write_text(f"MUTANTS = {rows!r}\n")
    return mutate(toy, "hand", "--limit", str(limit), path=path)


def test_a_killed_mutant_and_a_survivor(toy: Path) -> None:
    done = by_hand(toy, ("2 * x", "3 * x"), ("x > 1000", "x > 2000"))
    assert done.returncode == 1, done.stderr
    assert "1 of 2 mutants killed\n" in done.stdout
    assert "numbers.py:7 why 0  by test_numbers.py::test_double" in done.stdout
    assert "survivor 1: numbers.py:5 why 1\n  -     if x > 1000:\n  +     if x > 2000:\n" in done.stdout
    assert done.stdout.endswith("1 survived in all\n  numbers.py:5 why 1\n")  # the end of a long log says who


KILLER = "tests/test_numbers.py::test_double"


def test_who_killed_a_mutant_is_tried_first_the_next_time(toy: Path) -> None:
    """Before another that kills the mutant as well, whichever of the two is quicker."""
    notes = toy / "tests/mutants/killers.json"
    (toy / "tests/test_numbers.py").write_text(
        TESTS.replace("def test_half", "def test_six(): assert double(3) == 6\n\ndef test_half")
    )
    by_hand(toy, ("2 * x", "3 * x"))
    [killer] = json.loads(notes.read_text())["numbers"].values()
    other = {"double": "six", "six": "double"}[killer.rpartition("_")[2]]
    notes.write_text(notes.read_text().replace(killer, f"tests/test_numbers.py::test_{other}"))
    done = by_hand(toy, ("2 * x", "3 * x"))
    assert f"why 0  by test_numbers.py::test_{other}\n" in done.stdout
    assert f"::test_{other}" in notes.read_text()


@pytest.mark.parametrize("stale", ["test_half", "test_that_is_gone"])
def test_who_does_not_kill_any_more_saves_nobody(toy: Path, stale: str) -> None:
    notes = toy / "tests/mutants/killers.json"
    toy.joinpath("tests/mutants").mkdir(exist_ok=True)
    notes.write_text(json.dumps({"numbers": {"numbers.py why 0": KILLER.replace("test_double", stale)}, "other": {}}))
    done = by_hand(toy, ("2 * x", "3 * x"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "why 0  by test_numbers.py::test_double\n1 of 1 mutants killed\n" in done.stdout
    assert json.loads(notes.read_text()) == {"numbers": {"numbers.py why 0": KILLER}, "other": {}}


def test_a_killer_that_is_red_alone_stops_it(toy: Path) -> None:
    """It needs a test before it, and would seem to kill every mutant."""
    tests = "import toy\n\ndef test_before():\n    toy.ready = True\n\ndef test_after():\n    assert toy.ready\n"
    (toy / "tests/test_numbers.py").write_text(tests)
    killers = {"numbers": {"numbers.py why 0": "tests/test_numbers.py::test_after"}}
    (toy / "tests/mutants/killers.json").write_text(json.dumps(killers))
    done = by_hand(toy, ("2 * x", "3 * x"))
    assert done.returncode == 1
    assert "the unmutated package is not green" in done.stderr


def test_a_mutant_that_waits_for_ever_is_stopped_as_well(toy: Path) -> None:
    done = by_hand(toy, ("x = x / 2", "import time; time.sleep(600)"), limit=1)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 1 mutants killed (1 time limit)" in done.stdout


def test_all_killed_is_success(toy: Path) -> None:
    done = by_hand(toy, ("2 * x", "3 * x"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("1 of 1 mutants killed\n0 survived in all\n")


def test_a_mutant_that_never_ends_or_starts_counts_as_killed_but_is_told_apart(toy: Path) -> None:
    done = by_hand(toy, ("x = x / 2", "x = x / 1"), ("def double", "def treble"), limit=1)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 2 mutants killed (1 killed at import, 1 time limit)" in done.stdout


@pytest.mark.parametrize(
    ("find", "replace", "message"),
    [
        ("3 * x", "2 * x", "'3 * x' occurs 0 times in numbers.py; it must occur once"),
        ("1000", "2000", "'1000' occurs 2 times in numbers.py"),
        ("2 * x", "2 * x", "is replaced by itself"),
        ("2 * x", "2 * ", "is not Python"),
    ],
)
def test_a_table_that_would_test_nothing_is_refused(toy: Path, find: str, replace: str, message: str) -> None:
    done = by_hand(toy, (find, replace))
    assert done.returncode == 1
    assert message in done.stderr
    assert "killed" not in done.stdout


def test_a_red_baseline_stops(toy: Path) -> None:
    (toy / "tests/test_numbers.py").write_text(TESTS.replace("== 6", "== 7"))
    done = by_hand(toy, ("2 * x", "3 * x"))
    assert done.returncode == 1
    assert "the unmutated package is not green" in done.stderr
    assert "assert 6 == 7" in done.stderr  # what pytest said
    assert "killed" not in done.stdout


def test_tests_that_depend_on_their_order_stop_it(toy: Path) -> None:
    slow_first = """
        import time
        ready = []
        def test_slow():
            time.sleep(0.2)
            ready.append(1)
        def test_quick():
            assert ready
    """
    (toy / "tests/test_numbers.py").write_text("from toy.numbers import double\n" + dedent(slow_first))
    done = by_hand(toy, ("2 * x", "3 * x"))
    assert done.returncode == 1
    assert "green in" in done.stdout  # in the file's own order
    assert "the unmutated package is not green" in done.stderr  # quickest first


def test_tests_that_import_another_copy_stop_it(toy: Path) -> None:
    insert = f"import sys\nsys.path.insert(0, {str(toy / 'lib')!r})\n"
    (toy / "tests/test_numbers.py").write_text(insert + TESTS)
    done = by_hand(toy, ("2 * x", "3 * x"))
    assert done.returncode == 1
    assert "another copy of the package" in done.stderr


def test_a_package_on_the_path_already_is_not_the_one_tested(toy: Path) -> None:
    done = by_hand(toy, ("2 * x", "3 * x"), path=str(toy / "lib"))
    assert "1 of 1 mutants killed\n" in done.stdout


def test_a_module_without_tests_or_a_table_is_named(toy: Path) -> None:
    assert "there is no tests/mutants/letters.py" in mutate(toy, "hand", "letters").stderr
    assert "there is no module 'letters'" in mutate(toy, "sample", "letters").stderr
    (toy / "tests/test_numbers.py").unlink()
    assert "there is no tests/test_numbers*.py" in mutate(toy, "sample", "numbers", "--count", "5").stderr


def test_a_sample_is_seeded_and_one_mutant_can_be_replayed(toy: Path) -> None:
    first = mutate(toy, "sample", "numbers", "--count", "6", "--limit", "1")
    assert (first.returncode, first.stderr) == (0, "")
    line = next(line for line in first.stdout.splitlines() if line.startswith("   4  "))
    replayed = mutate(toy, "sample", "numbers", "--count", "5", "--only", "4", "--limit", "1")
    assert line.split(" s ")[1] in replayed.stdout
    assert " of 6 mutants killed" in first.stdout
    assert " of 1 mutants killed" in replayed.stdout
    assert "asks for more" in mutate(toy, "sample", "numbers", "--count", "600").stderr


def test_the_score_of_a_sample_is_kept_with_the_reasons_that_somebody_wrote(toy: Path) -> None:
    notes = toy / "tests/mutants/samples.json"
    run = mutate(toy, "sample", "numbers", "--count", "6", "--limit", "1")
    kept = json.loads(notes.read_text())["numbers"]
    survivors = run.stdout.count("\nsurvivor ")
    assert f"{6 - survivors} of 6 mutants killed" in run.stdout
    assert (kept["seed"], kept["count"], kept["killed"]) == (0, 6, 6 - survivors)
    assert len(kept["survivors"]) == survivors > 0
    one = next(iter(kept["survivors"]))
    kept["survivors"] = {one: "equivalent, since", "numbers.py gone: x": "of old"}
    notes.write_text(json.dumps({"numbers": kept, "other": {}}))
    mutate(toy, "sample", "numbers", "--count", "6", "--limit", "1")
    again = json.loads(notes.read_text())
    assert again["numbers"]["survivors"][one] == "equivalent, since"
    assert "numbers.py gone: x" not in again["numbers"]["survivors"]
    assert again["other"] == {}
    mutate(toy, "sample", "numbers", "--count", "6", "--only", "2", "--limit", "1")
    assert json.loads(notes.read_text()) == again


# ---- the operators ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sites() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutation_sites", HERE / "mutation_sites.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["mutation_sites"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("y = a + b", {"(a - b)"}),
        ("y = a * b", {"(a / b)"}),
        ("y = a @ b", {"(b @ a)"}),
        ("y -= b", {"y += b", "pass"}),
        ("y = a < b", {"(a <= b)", "(a >= b)"}),
        ("y = a < b <= c", {"(a <= b <= c)", "(a >= b <= c)", "(a < b < c)", "(a < b > c)"}),
        ("y = -a", {"(a)"}),
        ("y = 3", {"(4)", "(2)", "(6)"}),
        ("y = 0", {"(1)", "(-1)"}),
        ("y = True", {"(False)"}),
        ("y = f(a, b, c)", {"(f(b, a, c))", "(f(a, c, b))"}),
        ("y = f(*a, b)", set()),
        ("y = max(a, b)", {"(min)"}),
        ("y = x.min()", {"(x.max)"}),
        ("y = x[i:]", {"(i + 1)", "(i - 1)"}),
        ("y = x[key]", set()),
        ("y = a if ready else b", {"(not ready)"}),
        ("y = a and b", {"(a or b)"}),
        ("f()", {"pass"}),
        ("y.a = b", {"pass"}),
        ("y = a", set()),
        ("def f(y):\n    y = a", {"pass"}),
        ("def f():\n    y = a", set()),
        ("def f(y):\n    y, z = a", set()),
        ("def f(y):\n    y, z.x = a", {"pass"}),
        ("def f():\n    while not a:\n        break", {"(a)", "pass"}),
        ("def f(x: Literal[1] = 2) -> Literal[3]:\n    y: Literal[4] = 5", {"(3)", "(1)", "(4)", "(6)", "(10)"}),
        ('def f():\n    "2 + 2"\n    raise ValueError("2", 2 + 2)', {"pass"}),
        ('y = f"{a + b}"', set()),
        ('y = a + "text"', set()),
    ],
)
def test_what_an_operator_makes_of_a_source(sites: ModuleType, source: str, expected: set[str]) -> None:
    assert {v for site in sites.find_sites(source.encode()) for v in site.variants} == expected
