"""Run a chapter with other parameters: ``python -m workings.book.run CHAPTER [--profile full] [name=value …]``.

The executed notebook goes to ``runs/``; the chapter itself is not touched.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import papermill
import yaml
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from workings.book import notebooks
from workings.book.notebooks import load, path_of, records
from workings.book.progress import QUIET
from workings.book.refresh import plain, profiles


def run(chapter: str, parameters: Mapping[str, Any], output: Path) -> NotebookNode:
    """Run ``chapter`` through papermill with ``parameters`` into ``output`` and return the executed notebook.

    Raises ``ValueError`` before anything runs for an unknown parameter, and after it if the run did not use the values.
    """
    known = profiles(load(chapter))["quick"]
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ValueError(f"parameter {unknown[0]!r} is unknown; the parameters of {chapter} are {', '.join(known)}")
    os.environ[QUIET] = "1"
    output.parent.mkdir(parents=True, exist_ok=True)
    executed: NotebookNode = papermill.execute_notebook(
        path_of(chapter), output, dict(parameters), progress_bar=False, cwd=notebooks.CHAPTERS, kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # each kernel warns that it talks to this machine without encryption
    )  # fmt: skip
    used = records(executed, "parameters")[0]["values"]
    ignored = {name: value for name, value in parameters.items() if used[name] != value}
    if ignored:
        raise ValueError(f"the run of {chapter} did not use {ignored}; is its parameters cell tagged 'parameters'?")
    return executed


def profile(chapter: str, name: str) -> dict[str, Any]:
    """Return the values of profile ``quick`` or ``full`` of a chapter; those of ``default`` are none."""
    if name == "default":
        return {}
    path = path_of(chapter).parent / "profiles" / chapter / f"{name}.yml"
    if not path.is_file():
        raise ValueError(f"there is no profile {name!r} of {chapter!r}; there are default, quick and full")
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def assignment(text: str) -> tuple[str, Any]:
    """Return the name and value of ``name=value``; a value that is no Python literal is a word.

    >>> assignment("rtol=1e-3"), assignment("device=cpu")
    (('rtol', 0.001), ('device', 'cpu'))
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} sets nothing; write name=value")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def main(arguments: list[str] | None = None) -> int:
    """Run a chapter and say where the executed notebook is."""
    parser = argparse.ArgumentParser(prog="python -m workings.book.run", description=__doc__)
    parser.add_argument("chapter")
    parser.add_argument("--profile", default="default", help="quick, default or full")
    parser.add_argument("set", nargs="*", metavar="name=value", help="parameters, as in Python")
    options = parser.parse_intermixed_args(arguments)
    output = Path("runs", f"{options.chapter}-{options.profile}.ipynb")
    try:
        path_of(options.chapter)
        given = profile(options.chapter, options.profile) | dict(map(assignment, options.set))
        run(options.chapter, given, notebooks.ROOT / output)
    except ValueError as error:
        parser.error(str(error))
    except PapermillExecutionError as error:
        print(f"{options.chapter} stopped; as far as it came it is in {output}\n{plain(error)}", file=sys.stderr)
        return 1
    print(f"the executed chapter: {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
