"""What moved: re-run the chapters whose modules changed and compare their claims with the stored ones.

``python -m workings.book.moved [--since main] [chapter …]``
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from nbformat import NotebookNode

from workings.book.ledger import checks_of
from workings.book.notebooks import ROOT, equations, load, names, records, squeeze
from workings.book.records import read
from workings.book.refresh import execute


def changed(since: str) -> list[str]:
    """Return the chapters whose module, checks or notebook differ from commit ``since``; all, if shared code does."""
    command = [
        "git",
        "-C",
        str(ROOT),
        "diff",
        "--name-only",
        since,
        "--",
        "lib",
        "chapters",
        "constraints.txt",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"SINCE={since!r}: {done.stderr.strip().splitlines()[0]}")
    files = done.stdout.split()
    if any(f.startswith("lib/workings/book/") or f == "constraints.txt" for f in files):
        return names()
    return [c for c in names() if any(f"/{c}/" in f or f.rpartition("/")[2].partition(".")[0] == c for f in files)]


def compare(stored: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> list[tuple[str, Any, Any, float]]:
    """Return (claim, stored, now, change as a fraction of the tolerance), the largest change first.

    A bound has no tolerance: its change is measured against the stored distance to the bound. A claim on one side only
    counts as infinitely far.
    """
    before, after = {c["name"]: c for c in stored}, {c["name"]: c for c in now}
    rows = []
    for name in before | after:
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            rows.append((name, old and old["measured"], new and new["measured"], float("inf")))
        else:
            rows.append((name, old["measured"], new["measured"], _fraction(old, new)))
    return sorted(rows, key=lambda row: -row[3])


def _fraction(old: dict[str, Any], new: dict[str, Any]) -> float:
    change = abs(float(new["measured"]) - float(old["measured"]))
    room = old["tolerance"] or min(
        abs(float(old["measured"]) - bound) for bound in (old["low"], old["high"], old["equals"]) if bound is not None
    )
    return change / room if room else (0.0 if change == 0 else float("inf"))


def report(chapter: str) -> list[str]:
    """Re-run a chapter; return the lines of its report."""
    stored = load(chapter)
    lines = [f"{chapter}: claim, stored, now, change as a fraction of the tolerance"]
    try:
        now = records(execute(load(chapter)), "claim")
    except Exception as error:  # a claim that broke ends the run: that is the report
        return [*lines, f"  the run stopped: {str(error).strip().splitlines()[-1]}"]
    for name, before, after, fraction in compare(records(stored, "claim"), now):
        lines.append(f"  {name:40s} {_text(before):>12s} {_text(after):>12s} {fraction:10.2e}")
    stale = [r["name"] for r in records(stored, "recorded") if read(chapter, r["name"]).is_stale]
    return lines + [f"  stale record: {name}" for name in stale] + _equations(chapter, stored)


def _equations(chapter: str, notebook: NotebookNode) -> list[str]:
    checked = {(c.label, squeeze(c.tex)) for c in checks_of(chapter)}
    return [
        f"  equation and check differ: {e.label}"
        for e in equations(notebook)
        if (e.label, squeeze(e.tex)) not in checked
    ]


def _text(value: Any) -> str:
    return "—" if value is None else f"{float(value):.4g}"


def main(arguments: list[str] | None = None) -> int:
    """Print what moved."""
    parser = argparse.ArgumentParser(prog="python -m workings.book.moved", description=__doc__)
    parser.add_argument("chapters", nargs="*", metavar="chapter")
    parser.add_argument("--since", default="main", help="the commit to compare with (main)")
    options = parser.parse_args(arguments)
    try:
        chosen = options.chapters or changed(options.since)
    except ValueError as error:
        parser.error(str(error))
    for chapter in chosen:
        print("\n".join(report(chapter)))
    if not chosen:
        print(f"no chapter's module has changed since {options.since}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
