"""The package stands alone: what it imports, what it says of itself, and that its wheel works elsewhere."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import workings
from workings.book import notebooks

if sys.version_info >= (3, 11):
    import tomllib

ROOT = Path(__file__).resolve().parents[1]
LIB = ROOT / "lib" / "workings"
MODULES = sorted(module.name for module in pkgutil.walk_packages(workings.__path__, "workings."))
SHARED, TYPED = ("workings.book", "workings.checks"), "workings.typed"
TOPICS = [name for name in MODULES if name.count(".") == 1 and name not in (*SHARED, TYPED)]
REQUIRED = {"torch", "numpy", "scipy", "beartype"}
NOT_FOR_READERS = ("docutils", "nbclient", "nbformat", "papermill", "sklearn", "sphinx", "sympy", "tqdm", "yaml")


def python(code: str, *options: str, executable: Path | str = sys.executable, cwd: Path = ROOT) -> str:
    """Run ``code`` in a process of its own and return what it prints."""
    done = subprocess.run([str(executable), *options, "-c", code], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def is_in(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def imports(module: str, top_level: bool = False) -> Iterator[str]:
    """Yield what ``module`` imports, anywhere in it or only when it is imported itself."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    package = module if spec.submodule_search_locations is not None else module.rpartition(".")[0]
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{source}.{alias.name}" for alias in node.names)


def test_there_are_topics_to_test() -> None:
    assert "workings.neural_ode" in TOPICS


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = json.loads(python("import json, sys, workings; print(json.dumps(sorted(sys.modules)))"))
    assert "workings" in loaded
    assert {name.partition(".")[0] for name in loaded} & {*REQUIRED, "matplotlib", "IPython"} == set()
    assert not any(is_in(name, *SHARED) for name in loaded)


@pytest.mark.parametrize("module", MODULES)
def test_dependencies_point_one_way(module: str) -> None:
    used = {name for name in imports(module) if is_in(name, "workings")}
    if is_in(module, "workings.book"):
        assert {name for name in used if is_in(name, *TOPICS)} == set()
    elif not is_in(module, "workings.checks"):
        assert {name for name in used if is_in(name, *SHARED)} == set()


@pytest.mark.parametrize("module", [name for name in MODULES if not is_in(name, *SHARED)])
def test_a_topic_needs_only_what_the_package_requires(module: str) -> None:
    roots = {name.partition(".")[0] for name in imports(module, top_level=True)}
    assert roots <= {*sys.stdlib_module_names, *REQUIRED, "workings"}


def test_no_topic_loads_what_shows_it() -> None:
    code = f"import sys, {', '.join(TOPICS)}; print([m for m in sys.modules if m.startswith('workings.book')])"
    assert python(code) == "[]"


def test_a_chapter_needs_nothing_that_only_makes_the_book() -> None:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({NOT_FOR_READERS!r}))"
    assert python(f"{blocked}; import workings.book; print('imported')") == "imported"


def public(topic: str) -> list[Any]:
    """Return what a topic offers: the functions and classes of its ``__all__``."""
    module = importlib.import_module(topic)
    found = [getattr(module, name) for name in module.__all__]
    return [one for one in found if inspect.isfunction(one) or inspect.isclass(one)]


PUBLIC = [one for topic in TOPICS for one in public(topic)]


@pytest.mark.parametrize("one", PUBLIC, ids=lambda one: f"{one.__module__}.{one.__name__}")
def test_what_is_public_says_what_it_does(one: Any) -> None:
    text = inspect.getdoc(one) or ""
    assert re.match(r"[A-Z][^\n]*(\n[^\n]+)*?\.", text), f"{one.__name__}: no first sentence"
    if inspect.isfunction(one) and not refers(text):
        names = list(inspect.signature(one).parameters)
        silent = [name for name in names if not mentions(text, name)]
        assert len(names) == 1 or silent == [], f"{one.__name__}: Args says nothing of {silent}"
        assert re.search(r"^Returns?\b", text, re.M) or returns_nothing(one), f"{one.__name__}: what does it return?"


def refers(text: str) -> bool:
    """Whether the first sentence says that the function is as another public one."""
    return any(f" as `{other.__name__}` does" in text.partition("\n\n")[0] for other in PUBLIC)


def mentions(text: str, argument: str) -> bool:
    _, _, arguments = text.partition("Args:")
    return bool(re.search(rf"^ +(\w+, )*\*{{0,2}}{argument}(, \w+)*:", arguments, re.M))


def returns_nothing(function: Callable[..., Any]) -> bool:
    return inspect.signature(function).return_annotation in (None, "None")


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_shows_how_it_is_used(topic: str) -> None:
    assert any(">>>" in (inspect.getdoc(one) or "") for one in public(topic))


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_give_what_they_say(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module), report=True).failed == 0


def test_the_examples_in_the_readme_run() -> None:
    examples = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert len(examples) == len(TOPICS)
    code = "\n".join(examples).replace("steps=2000", "steps=20")
    seen = "tuple(samples.shape), bool(nats > 3.6765), all(p.grad is not None for p in linear.parameters())"
    assert python(f"{code}\nprint({seen})") == "(1000, 2) True True"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_docstring_and_a_handy_size(module: str) -> None:
    loaded = importlib.import_module(module)
    assert loaded.__doc__
    alone = module == "workings.mac_setup"  # a fresh Mac downloads this one file
    assert len(inspect.getsource(loaded).splitlines()) <= (850 if alone else 450)


COMMANDS = [
    name
    for name in MODULES
    if is_in(name, "workings.book") and "__main__" in inspect.getsource(importlib.import_module(name))
]


@pytest.mark.parametrize("command", sorted({*COMMANDS} - {"workings.book.colab"}))  # which takes none
def test_a_command_given_a_wrong_chapter_says_which_there_are(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        importlib.import_module(command).main(["no_chapter"])
    error = capsys.readouterr().err
    assert "no_chapter" in error
    chosen = notebooks.names()
    if command == "workings.book.record":  # some chapters have nothing to record
        chosen = [name for name in chosen if f"workings.{name}.experiments" in MODULES]
    for chapter in chosen:
        assert chapter in error
    assert "Traceback" not in error


def test_there_is_a_command_for_each_task() -> None:
    tasks = {command.rpartition(".")[2] for command in COMMANDS}
    assert tasks == {"check", "colab", "moved", "record", "refresh", "run", "settings", "spread", "sweep"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_what_is_required_has_no_upper_pin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {re.split(r"[^\w-]", need)[0] for need in project["dependencies"]} == REQUIRED
    assert not [need for need in project["dependencies"] if re.search(r"<|==|~=", need)]


def test_the_changelog_knows_this_version_or_says_that_it_is_to_come() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## (Unreleased|{re.escape(workings.__version__)})$", text, re.M)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_its_results_and_nothing_else(wheel: Path) -> None:
    names = [Path(name) for name in zipfile.ZipFile(wheel).namelist() if ".dist-info" not in name]
    code = {Path("workings", path.relative_to(LIB)) for path in LIB.rglob("*.py")} | {Path("workings/py.typed")}
    results = {Path("workings", path.relative_to(ROOT)) for path in (ROOT / "results").rglob("*.json")}
    assert set(names) == code | results
    assert len(results) > 0


def test_the_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    there = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install = ["-m", "pip", "--python", str(there), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, *install], check=True)
    packages = Path(python("import sysconfig; print(sysconfig.get_path('purelib'))", executable=there, cwd=tmp_path))
    # the required packages are borrowed from here; a path file adds a folder, not the path files in it
    (packages / "borrowed.pth").write_text(f"{Path(importlib.import_module('torch').__file__ or '').parents[1]}\n")
    code = (
        f"import {', '.join(TOPICS)}; from workings.book import records; "
        "print(workings.__file__, records.results_folder(), len(list(records.results_folder().glob('*/*.json'))))"
    )
    file, folder, count = python(code, "-I", executable=there, cwd=tmp_path).split()
    assert Path(file) == packages / "workings" / "__init__.py"
    assert Path(folder) == packages / "workings" / "results"
    assert int(count) == len(list((ROOT / "results").glob("*/*.json")))
