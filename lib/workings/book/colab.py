"""The chapters as Colab opens them: copies whose first cell installs the package at the commit they belong to.

``python -m workings.book.colab --commit SHA --to FOLDER``
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import nbformat
import yaml

import workings
from workings.book import notebooks

SET_UP = """# set-up: on Colab it installs the package, elsewhere it says what is missing
import importlib.util
import sys

if "google.colab" in sys.modules:
    %pip install --quiet --no-deps "workings @ git+{url}@{ref}" "beartype>=0.21"
    from workings.book.ready import ready
    ready({packages})
elif importlib.util.find_spec("workings") is None:
    raise ModuleNotFoundError('pip install "workings[book] @ git+{url}@{ref}"')
"""


def set_up_cell(source: str = "", ref: str = "", url: str = "") -> str:
    """Return the first cell of a chapter.

    Args:
        source: the cell so far; the data packages it names in ``ready(…)`` stay.
        ref: the tag or commit to install; the release's tag if empty.
        url: where from; the one address in ``_config.yml`` if empty.

    """
    config = yaml.safe_load((notebooks.ROOT / "_config.yml").read_text(encoding="utf-8"))
    packages = re.search(r"^ *ready\((.*)\)$", source, re.M)
    return SET_UP.format(
        url=url or config["repository"]["url"],
        ref=ref or f"v{workings.__version__}",
        packages=packages[1] if packages else "",
    ).rstrip()


def stamp(folder: Path, commit: str, url: str = "") -> list[Path]:
    """Write copies of all chapters to ``folder/chapters``, each installing ``commit``; return their paths.

    Raises ``ValueError`` for a commit that is not the whole hash, and ``FileExistsError`` if the copies exist.
    """
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise ValueError(f"--commit is {commit!r}; give the whole hash, 40 hexadecimal digits")
    (folder / "chapters").mkdir(parents=True)
    made = []
    for name in notebooks.names():
        notebook = notebooks.load(name)
        first = notebooks.code_cells(notebook)[0]
        first.source = set_up_cell(first.source, commit, url)
        made.append(folder / "chapters" / f"{name}.ipynb")
        nbformat.write(notebook, made[-1])
    return made


def main(arguments: list[str] | None = None) -> int:
    """Stamp copies of the chapters."""
    parser = argparse.ArgumentParser(prog="python -m workings.book.colab", description=__doc__)
    parser.add_argument("--commit", required=True, help="the commit whose chapters these are, its whole hash")
    parser.add_argument("--to", required=True, type=Path, metavar="FOLDER", help="a folder that has no chapters/ yet")
    options = parser.parse_args(arguments)
    try:
        made = stamp(options.to, options.commit)
    except (ValueError, FileExistsError) as error:
        parser.error(str(error))
    print(*made, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
