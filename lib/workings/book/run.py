"""Run a chapter with other parameters: ``python -m workings.book.run CHAPTER [--profile full] [name=value …]``.

The executed notebook goes to ``runs/``; the chapter itself is not touched.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import papermill
import yaml
from nbformat import NotebookNode

from workings.book.notebooks import CHAPTERS, ROOT, load, path_of, records
from workings.book.progress import QUIET


def run(chapter: str, parameters: Mapping[str, Any], output: Path) -> NotebookNode:
    """Run ``chapter`` through papermill with ``parameters`` into ``output`` and return the executed notebook.

    Raises ``ValueError`` before anything runs for an unknown parameter, and after it if the run did not use the values.
    """
    known = [row["name"] for row in records(load(chapter), "parameters")[0]["table"]]
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ValueError(f"parameter {unknown[0]!r} is unknown; the parameters of {chapter} are {', '.join(known)}")
    os.environ[QUIET] = "1"
    output.parent.mkdir(parents=True, exist_ok=True)
    executed: NotebookNode = papermill.execute_notebook(
        path_of(chapter), output, dict(parameters), progress_bar=False, cwd=CHAPTERS, kernel_name="python3"
    )
    used = records(executed, "parameters")[0]["values"]
    ignored = {name: value for name, value in parameters.items() if used[name] != value}
    if ignored:
        raise ValueError(f"the run of {chapter} did not use {ignored}; is its parameters cell tagged 'parameters'?")
    return executed


def profile(chapter: str, name: str) -> dict[str, Any]:
    """Return the values of profile ``quick`` or ``full`` of a chapter; those of ``default`` are none."""
    if name == "default":
        return {}
    path = CHAPTERS / "profiles" / chapter / f"{name}.yml"
    if not path.is_file():
        raise ValueError(f"there is no profile {name!r} of {chapter!r}; there are default, quick and full")
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def main(arguments: list[str] | None = None) -> int:
    """Run a chapter and say where the executed notebook is."""
    parser = argparse.ArgumentParser(prog="python -m workings.book.run", description=__doc__)
    parser.add_argument("chapter")
    parser.add_argument("--profile", default="default", help="quick, default or full")
    parser.add_argument("set", nargs="*", metavar="name=value", help="parameters, in YAML")
    options = parser.parse_args(arguments)
    try:
        pairs = dict(pair.split("=", 1) for pair in options.set)
        given = {name: yaml.safe_load(value) for name, value in pairs.items()}
        output = ROOT / "runs" / f"{options.chapter}-{options.profile}.ipynb"
        run(options.chapter, profile(options.chapter, options.profile) | given, output)
    except ValueError as error:
        parser.error(str(error))
    print(f"the executed chapter: {output.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
