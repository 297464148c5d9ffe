"""Re-run chapters in a clean kernel and write them back, the same to the byte when nothing has changed.

``python -m workings.book.refresh [chapter …]``
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbclient import NotebookClient
from nbformat import NotebookNode

import workings
from workings.book.explore import WIDGET
from workings.book.notebooks import CHAPTERS, ROOT, load, names, path_of, records
from workings.book.output import KEY
from workings.book.progress import QUIET

TIMEOUT = 900  # seconds a cell
SET_UP = """# set-up: acts on Colab only
import sys

if "google.colab" in sys.modules:
    %pip install --quiet --no-deps "workings @ git+{url}@v{version}"
"""


def set_up_cell() -> str:
    """Return the source of a chapter's first cell, from the one file that knows the repository's address."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return SET_UP.format(url=config["repository"]["url"], version=workings.__version__).rstrip()


def execute(notebook: NotebookNode) -> NotebookNode:
    """Run ``notebook`` from the top in a kernel of its own, quietly. Raises on the first cell that fails."""
    os.environ[QUIET] = "1"
    client = NotebookClient(
        notebook, timeout=TIMEOUT, record_timing=False, resources={"metadata": {"path": str(CHAPTERS)}}
    )
    return client.execute()


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
    """Return the profiles ``quick`` and ``full`` from the notebook's table of parameters."""
    table = records(notebook, "parameters")[0]["table"]
    return {
        kind: {row["name"]: row["default"] if row[kind] is None else row[kind] for row in table}
        for kind in ("quick", "full")
    }


def refresh(chapter: str) -> None:
    """Run a chapter and write it and its profiles back; on failure nothing is written."""
    notebook = load(chapter)
    notebook.cells[0].source = set_up_cell()
    notebook = clean(execute(notebook))
    text = nbformat.writes(notebook, version=4)
    _write(path_of(chapter), re.sub(r"\n*\Z", "\n", text))
    for kind, values in profiles(notebook).items():
        path = CHAPTERS / "profiles" / chapter / f"{kind}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, yaml.safe_dump(values, sort_keys=False))


def _write(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def main(arguments: list[str]) -> int:
    """Refresh the named chapters, or all."""
    for chapter in arguments or names():
        print(f"refreshing {chapter} …", flush=True)
        refresh(chapter)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
