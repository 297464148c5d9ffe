"""What moved: re-run the chapters whose modules changed and compare their claims with the stored ones.

``python -m workings.book.moved [--since main] [chapter …]``
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbclient.exceptions import CellExecutionError

from workings.book import notebooks
from workings.book.codehash import reached
from workings.book.ledger import disagreements
from workings.book.notebooks import equations, load, names, path_of, records
from workings.book.records import read
from workings.book.refresh import execute, plain


def changed(since: str) -> list[str]:
    """Return the chapters of which something differs from commit ``since``; all, if what they share does."""
    watched = ["lib", "chapters", "results", "constraints.txt"]
    command = ["git", "-C", str(notebooks.ROOT), "diff", "--name-only", since, "--", *watched]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"SINCE={since!r}: {done.stderr.strip().splitlines()[0]}")
    files = [Path(line) for line in done.stdout.splitlines()]
    if any(f.is_relative_to("lib/workings/book") or f.name == "constraints.txt" for f in files):
        return names()
    return [chapter for chapter in names() if any(_concerns(chapter, f) for f in files)]


def _concerns(chapter: str, file: Path) -> bool:
    """Whether ``file`` is the chapter's notebook, record or profile, or code that its module or checks use."""
    if file.is_relative_to("lib"):
        used = {module for module, _ in reached([f"workings.{chapter}", f"workings.checks.{chapter}"])}
        return ".".join(file.relative_to("lib").with_suffix("").parts).removesuffix(".__init__") in used
    return file.stem == chapter or chapter in file.parts


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
    if old["measured"] == new["measured"]:
        return 0.0
    before, after = float(old["measured"]), float(new["measured"])
    bounds = [abs(before - bound) for bound in (old["low"], old["high"]) if bound is not None]
    room = old["tolerance"] if old["tolerance"] is not None else min(bounds)
    fraction = abs(after - before) / room if room else math.inf
    return math.inf if math.isnan(fraction) else fraction


def report(chapter: str) -> list[str]:
    """Re-run a chapter; return the lines of its report. Raises ``ValueError`` for a chapter that there is not."""
    stored, now = load(chapter), load(chapter)
    lines = [f"{chapter}: claim, stored, now, change as a fraction of the tolerance"]
    try:
        execute(now)
    except CellExecutionError as error:  # a claim that broke ends the run: what comes after it was not reached
        lines.append(f"  the run stopped: {plain(error).splitlines()[-1]}")
    for name, before, after, fraction in compare(records(stored, "claim"), records(now, "claim")):
        lines.append(f"  {name:40s} {_text(before):>12s} {_text(after):>12s} {fraction:10.2e}")
    stale = [r["name"] for r in records(stored, "recorded") if read(chapter, r["name"]).is_stale]
    return (
        lines
        + [f"  stale record: {name}" for name in stale]
        + [f"  {difference}" for difference in disagreements(chapter, equations(stored))]
    )


def _text(value: Any) -> str:
    return "—" if value is None else f"{float(value):.4g}"


def main(arguments: list[str] | None = None) -> int:
    """Print what moved."""
    parser = argparse.ArgumentParser(prog="python -m workings.book.moved", description=__doc__)
    parser.add_argument("chapters", nargs="*", metavar="chapter")
    parser.add_argument("--since", default="main", help="the commit to compare with (main)")
    options = parser.parse_args(arguments)
    try:
        for chapter in options.chapters:
            path_of(chapter)
        chosen = options.chapters or changed(options.since)
    except ValueError as error:
        parser.error(str(error))
    for chapter in chosen:
        print("\n".join(report(chapter)), flush=True)
    if not chosen:
        print(f"no chapter's module has changed since {options.since}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
