"""Re-run chapters in a clean kernel and write them back, the same to the byte when nothing has changed.

``python -m workings.book.refresh [chapter …]``
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from workings.book import notebooks
from workings.book.colab import set_up_cell
from workings.book.explore import WIDGET
from workings.book.notebooks import code_cells, load, names, path_of, records
from workings.book.output import KEY
from workings.book.progress import QUIET

TIMEOUT = 900  # seconds a cell


def execute(notebook: NotebookNode) -> NotebookNode:
    """Run ``notebook`` from the top in a kernel of its own, quietly.

    Raises ``CellExecutionError`` at the first cell that fails; what ran until then is in ``notebook``.
    """
    os.environ[QUIET] = "1"
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    folder = {"metadata": {"path": str(notebooks.CHAPTERS)}}
    # streams come in pieces that depend on the machine's load: joined, they are the same every time
    client = NotebookClient(notebook, timeout=TIMEOUT, record_timing=False, coalesce_streams=True, resources=folder)
    return client.execute()


def plain(error: Exception) -> str:
    """Return what an error of a cell says, without the terminal's colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip()


def clean(notebook: NotebookNode) -> NotebookNode:
    """Take out what differs from run to run, and put alt texts and captions where the book reads them."""
    language = {"name": "python"}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.from_dict({"kernelspec": kernel, "language_info": language})
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            _clean_outputs(cell)
    return notebook


def _clean_outputs(cell: NotebookNode) -> None:
    for output in cell.outputs:
        if output.get("execution_count"):
            output.execution_count = cell.execution_count
        view = output.get("data", {}).get(WIDGET)
        if view:
            view["model_id"] = "live"
        figure = output.get("metadata", {}).get(KEY, {}).get("figure")
        if figure:
            cell.metadata["mystnb"] = _as_myst(figure)


def _as_myst(figure: dict[str, Any]) -> dict[str, Any]:
    image = {"alt": figure["alt"]} | ({"classes": "wk-asis"} if figure["as_is"] else {})
    named = {key: figure[key] for key in ("name", "caption") if figure[key]}
    return {"image": image} | ({"figure": named} if figure["caption"] else {})


def profiles(notebook: NotebookNode) -> dict[str, dict[str, Any]]:
    """Return the profiles ``quick`` and ``full`` from the notebook's table of parameters.

    Raises ``ValueError`` for a notebook that was not run, or calls no ``begin(...)``.
    """
    found = records(notebook, "parameters")
    if not found:
        raise ValueError("the notebook has no table of parameters: does it call begin(...)?")
    table = found[0]["table"]
    return {
        kind: {row["name"]: row["default"] if row[kind] is None else row[kind] for row in table}
        for kind in ("quick", "full")
    }


def refresh(chapter: str) -> None:
    """Run a chapter and write it and its profiles back; on failure nothing is written.

    Raises ``ValueError`` for a chapter that there is not, or one without set-up cell or parameters, and
    ``CellExecutionError`` when a cell fails.
    """
    path, notebook = path_of(chapter), load(chapter)
    first = code_cells(notebook)[0]
    if not first.source.startswith("# set-up"):
        raise ValueError(f"the first code cell of {chapter!r} does not begin with '# set-up'")
    first.source = set_up_cell(first.source)
    notebook = clean(execute(notebook))
    written = {path: re.sub(r"\n*\Z", "\n", nbformat.writes(notebook, version=4))}
    for kind, values in profiles(notebook).items():
        written[path.parent / "profiles" / chapter / f"{kind}.yml"] = yaml.safe_dump(values, sort_keys=False)
    for target, text in written.items():
        _write(target, text)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def main(arguments: list[str] | None = None) -> int:
    """Refresh the named chapters, or all; return 1 at the first that fails."""
    parser = argparse.ArgumentParser(prog="python -m workings.book.refresh", description=__doc__)
    parser.add_argument("chapters", nargs="*", metavar="chapter", help="all if none is named")
    for chapter in parser.parse_args(arguments).chapters or names():
        print(f"refreshing {chapter} …", flush=True)
        try:
            refresh(chapter)
        except ValueError as error:
            parser.error(str(error))
        except CellExecutionError as error:
            print(f"{chapter} is as it was: a cell failed\n{plain(error)}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
