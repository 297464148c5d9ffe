"""Run the chapters again, under other circumstances if wanted, and keep what came in ``tests/repeats.json``.

    python tests/repeat.py [CHAPTER…] [--hash-seed N] [--threads N] [--locale NAME] [--zone NAME] [--no-home]

Every run of every chapter by nbval is a line there; the book's page on its state adds them up. ``--no-home`` makes the
home a folder in which nobody can write.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "tests" / "repeats.json"
NO_HOME = "/proc"  # not even root can make a file in it
OPTIONS = (
    "-q", "--tb=line", "-p", "no:cacheprovider", "-o", "filterwarnings=default", "--nbval", "--nbval-current-env",
    "--nbval-cell-timeout", "600", "--nbval-sanitize-with", str(ROOT / "tests" / "nbval.cfg"),
)  # fmt: skip


def circumstances(
    hash_seed: int | None, threads: int | None, language: str | None, zone: str | None, no_home: bool
) -> dict[str, str]:
    """Return the environment variables that differ from the caller's."""
    asked = {
        "PYTHONHASHSEED": hash_seed,
        "OMP_NUM_THREADS": threads,
        "LC_ALL": language,
        "TZ": zone,
        "HOME": NO_HOME if no_home else None,
    }
    return {name: str(value) for name, value in asked.items() if value is not None}


def again(notebook: Path, environment: Mapping[str, str]) -> tuple[int, list[str]]:
    """Run a notebook against its stored outputs; return how many cells there were, and the names of those that failed.

    Raises ``RuntimeError`` where nbval could not run: that is no flake.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", *OPTIONS, f"--junitxml={report}", str(notebook)]
        own = {"JUPYTER_RUNTIME_DIR": folder, "IPYTHONDIR": folder}  # a kernel starts only where it can write
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **own, **environment}, cwd=ROOT
        )
        cases = list(ElementTree.parse(report).getroot().iter("testcase")) if report.exists() else []
    if done.returncode not in (0, 1) or any(case.find("error") is not None for case in cases):
        raise RuntimeError(f"nbval could not run {notebook}\n{done.stdout}{done.stderr}")
    return len(cases), [case.get("name", "") for case in cases if case.find("failure") is not None]


def keep(file: Path, line: Mapping[str, Any]) -> None:
    """Add a line to a list of lines; what is there stays."""
    lines = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    fresh = file.with_suffix(".new")
    text = ",\n ".join(json.dumps(entry, sort_keys=True) for entry in [*lines, line])
    fresh.write_text(f"[{text}]\n", encoding="utf-8")
    fresh.replace(file)


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return 1 if a cell failed."""
    parser = argparse.ArgumentParser(
        prog="python tests/repeat.py", description="Run the chapters again; keep what came."
    )
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER")
    parser.add_argument("--hash-seed", type=int, metavar="N")
    parser.add_argument("--threads", type=int, metavar="N")
    parser.add_argument("--locale", metavar="NAME", help="tr_TR.UTF-8, say")
    parser.add_argument("--zone", metavar="NAME", help="Asia/Kathmandu, say")
    parser.add_argument("--no-home", action="store_true", help="a home in which nobody can write")
    a = parser.parse_args(arguments)
    chapters = a.chapters or sorted(path.stem for path in (ROOT / "chapters").glob("*.ipynb"))
    if missing := [name for name in chapters if not (ROOT / f"chapters/{name}.ipynb").exists()]:
        parser.error(f"there is no chapter {missing[0]!r}")
    environment, red = circumstances(a.hash_seed, a.threads, a.locale, a.zone, a.no_home), False
    for chapter in chapters:
        cells, failed = again(ROOT / f"chapters/{chapter}.ipynb", environment)
        print(f"{chapter}: {cells - len(failed)} of {cells} cells as stored {' '.join(failed)}".rstrip(), flush=True)
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
        line = {"chapter": chapter, "cells": cells, "failed": failed, "date": date.today().isoformat()}
        keep(KEPT, line | {"torch": torch.__version__, "device": device, "environment": environment})
        red = red or bool(failed)
    return int(red)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
