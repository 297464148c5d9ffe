"""Colab without Colab: the set-up cell in an environment that has its libraries but not the book's tools."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from workings.book import notebooks, ready
from workings.book.colab import main, set_up_cell, stamp
from workings.book.run import profile

ROOT = Path(__file__).parents[2]
# what a hosted runtime has, and what pip builds the package with where there is no index to ask
HOSTED = (
    "pip", "ipykernel", "ipywidgets", "matplotlib", "torch", "numpy", "scipy", "scikit-learn", "scikit-image",
    "mlxtend", "hatchling",
    # what set-up cells would fetch from the index
    "beartype", "sacrebleu", "babel", "Django", "wagtail", "nitime",
)  # fmt: skip
OTHER = "2.98.0+cu999"  # a version of torch that is neither here nor in the constraints
TOOLS = ("jupyter-book", "nbclient", "nbval", "papermill", "sphinx", "tqdm", "workings")


def closure(names: tuple[str, ...]) -> set[str]:
    """Return the installed distributions that ``names`` need, and they themselves."""
    found: set[str] = set()
    wanted = list(names)
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name in found:
            continue
        found.add(name)
        needs = map(Requirement, importlib.metadata.requires(name) or [])
        wanted += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def borrow(name: str, packages: Path) -> None:
    """Link a distribution's files, as they are here, into ``packages``."""
    distribution = importlib.metadata.distribution(name)
    tops = {file.parts[0] for file in distribution.files or [] if ".." not in file.parts} - {"__pycache__"}
    for top in tops:
        (packages / top).symlink_to(str(distribution.locate_file(top)))


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for Colab's environment; its ``torch`` says that it is of another version."""
    there = tmp_path_factory.mktemp("hosted")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", there], check=True)
    (packages,) = there.glob("lib/python*/site-packages")
    for name in closure(HOSTED):
        borrow(name, packages)
    (ours,) = packages.glob("torch-*.dist-info")
    shutil.copytree(ours, packages / f"torch-{OTHER}.dist-info")
    ours.unlink()
    metadata = packages / f"torch-{OTHER}.dist-info" / "METADATA"
    text = metadata.read_text(encoding="utf-8")
    metadata.write_text(re.sub(r"^Version: .*$", f"Version: {OTHER}", text, count=1, flags=re.M), encoding="utf-8")
    (packages / "google" / "colab").mkdir(parents=True)
    (packages / "google" / "colab" / "__init__.py").touch()
    return there


@pytest.fixture(scope="module")
def commit(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The address of a repository with the package as it lies here, and its one commit."""
    there = tmp_path_factory.mktemp("repository")
    for name in ("lib", "results"):
        shutil.copytree(ROOT / name, there / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, there)
    git = ["git", "-C", str(there), "-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "all"]):
        subprocess.run([*git, *arguments], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    # with a host: without one, pip takes the address for a path
    return f"file://localhost{there}", head.stdout.strip()


@pytest.fixture
def kernel(hosted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a kernel in the hosted environment, which loads ``google.colab`` before the first cell."""
    folder = tmp_path / "jupyter" / "kernels" / "hosted"
    folder.mkdir(parents=True)
    start = ["-c", "import google.colab, numpy; from ipykernel.kernelapp import launch_new_instance as l; l()"]
    command = [str(hosted / "bin" / "python"), *start, "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "hosted", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    # as on Colab, less the index: what is installed comes from the repository alone
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")
    return "hosted"


def execute(notebook: NotebookNode, kernel: str, folder: Path) -> NotebookNode:
    where = {"metadata": {"path": str(folder)}}
    return NotebookClient(notebook, timeout=600, kernel_name=kernel, resources=where).execute()


def versions(hosted: Path) -> dict[str, str]:
    """Return what is installed in an environment."""
    code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    done = subprocess.run([hosted / "bin" / "python", "-c", code], check=True, capture_output=True, text=True)
    return {canonicalize_name(name): version for name, version in json.loads(done.stdout).items()}


def source(hosted: Path) -> dict[str, str]:
    """Return where the package in an environment was installed from."""
    (file,) = hosted.glob("lib/python*/site-packages/workings-*.dist-info/direct_url.json")
    found = json.loads(file.read_text(encoding="utf-8"))
    return {"url": found["url"], "commit": found["vcs_info"]["commit_id"]}


@pytest.fixture
def fresh(hosted: Path) -> Iterator[Path]:
    """The hosted environment without the package, before and after."""
    yield hosted
    for path in hosted.glob("lib/python*/site-packages/workings*"):
        shutil.rmtree(path)


@pytest.mark.parametrize("chapter", notebooks.names())
def test_a_chapter_runs_from_an_empty_runtime_to_its_last_cell(
    chapter: str, fresh: Path, commit: tuple[str, str], kernel: str, tmp_path: Path
) -> None:
    before = versions(fresh)
    assert before["torch"] == OTHER
    assert {canonicalize_name(name) for name in TOOLS} & set(before) == set()
    stamp(tmp_path, commit[1], commit[0])
    notebook = nbformat.read(tmp_path / "chapters" / f"{chapter}.ipynb", as_version=4)
    (at,) = (i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    chosen = "\n".join(f"{name} = {value!r}" for name, value in profile(chapter, "quick").items())
    notebook.cells.insert(at + 1, new_code_cell(chosen))

    executed = execute(notebook, kernel, tmp_path)

    cells = notebooks.code_cells(executed)
    assert all(cell.execution_count for cell in cells)
    assert cells[0].outputs[-1].text.startswith(f"workings {importlib.metadata.version('workings')}, torch ")
    assert source(fresh) == {"url": commit[0], "commit": commit[1]}
    assert {name: version for name, version in versions(fresh).items() if name != "workings"} == before


def test_without_the_package_a_notebook_elsewhere_says_what_to_install(
    fresh: Path, kernel: str, tmp_path: Path
) -> None:
    forget = "import sys; del sys.modules['google.colab']\n"
    cell = new_code_cell(forget + set_up_cell())
    with pytest.raises(CellExecutionError, match=r'pip install "workings\[book\] @ git\+https://'):
        execute(new_notebook(cells=[cell]), kernel, tmp_path)


def test_a_chapter_keeps_the_packages_it_names() -> None:
    cell = set_up_cell().replace("ready()", 'ready("nitime>=0.11", "mlxtend")')
    again = set_up_cell(cell, "a" * 40, "https://example.org/other")
    assert '    ready("nitime>=0.11", "mlxtend")\n' in again
    assert again.count(f"git+https://example.org/other@{'a' * 40}") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--commit", "main", "--to", "{here}"], "--commit is 'main'; give the whole hash, 40 hexadecimal digits"),
        (["--commit", "b" * 40, "--to", "{there}"], "File exists"),
        (["--to", "{here}"], "--commit"),
    ],
)
def test_what_cannot_be_stamped_is_said(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there" / "chapters").mkdir(parents=True)
    folders = {"here": str(tmp_path / "here"), "there": str(tmp_path / "there")}
    with pytest.raises(SystemExit, match="2"):
        main([argument.format(**folders) for argument in arguments])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "here").exists()
    assert list((tmp_path / "there" / "chapters").iterdir()) == []


def test_stamping_writes_every_chapter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--commit", "c" * 40, "--to", str(tmp_path / "new")]) == 0
    made = capsys.readouterr().out.split()
    assert [Path(path).stem for path in made] == notebooks.names()
    for path in made:
        text = Path(path).read_text(encoding="utf-8")
        assert text.count("c" * 40) == 2
        assert not re.search(r"@v\d", text)


# ---- data packages and versions ----


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which pip installs, and nowhere else, with one package that asks for another."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "wk_data-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("wk_data.py", "")
        info = "wk_data-1.0.dist-info"
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: wk-data\nVersion: 1.0\nRequires-Dist: numpy<1\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def call_ready(hosted: Path, *packages: str) -> subprocess.CompletedProcess[str]:
    """Call `ready` in the hosted environment, on the package of this checkout."""
    (packages_folder,) = hosted.glob("lib/python*/site-packages")
    info = packages_folder / "workings-0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: workings\nVersion: 0\nRequires-Dist: torch>=2.2\n")
    here = f"import sys; sys.path.append({str(ROOT / 'lib')!r})"
    code = f"{here}; from workings.book.ready import ready; ready(*{packages!r})"
    return subprocess.run([hosted / "bin" / "python", "-c", code], capture_output=True, text=True)


@pytest.mark.usefixtures("wheels")
def test_a_missing_data_package_is_installed_and_nothing_with_it(fresh: Path) -> None:
    before = versions(fresh)
    try:
        done = call_ready(fresh, "wk-data>=1", "numpy")
        assert done.returncode == 0, done.stderr
        after = versions(fresh)
        assert {name: version for name, version in after.items() if before.get(name) != version} == {
            "wk-data": "1.0", "workings": "0",
        }  # fmt: skip
    finally:
        for path in fresh.glob("lib/python*/site-packages/wk_data*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.usefixtures("wheels")
def test_a_data_package_that_there_is_not_is_named(fresh: Path) -> None:
    done = call_ready(fresh, "wk-data>=2")
    assert done.returncode == 1
    assert "could not install wk-data>=2, which this chapter needs" in done.stderr


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        (["torch>=99"], r"torch>=99 is needed, \S+ is here"),
        (["no-such-package"], "no-such-package is missing"),
    ],
)
def test_a_runtime_too_old_is_refused(needs: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: [*needs, "mlxtend>=99; extra == 'book'"])
    with pytest.raises(RuntimeError, match=f"this runtime will not do: {message}. Choose a newer one"):
        ready.ready()


def test_a_runtime_that_will_do_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    ready.ready()
    assert re.fullmatch(r"workings \S+, torch \S+ on .+, Python 3\.\d+\n", capsys.readouterr().out)
