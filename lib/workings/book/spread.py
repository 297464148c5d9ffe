"""Measure how much a chapter's results vary with the seed: ``python -m workings.book.spread [chapter …]``.

A result's tolerance has to be at least five standard deviations of its spread over at least eight seeds.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from workings.book.notebooks import load, names, records
from workings.book.progress import progress
from workings.book.records import Record, write
from workings.book.run import run

SEEDS = range(1, 9)
LEAST = 5.0  # standard deviations


def measure(chapter: str, seeds: range = SEEDS) -> dict[str, list[float]]:
    """Run ``chapter`` at its default parameters for each seed; return each result's measured values."""
    values: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in progress(seeds, f"spread of {chapter}"):
            executed = run(chapter, {"seed": seed}, Path(folder, f"{seed}.ipynb"))
            for claim in records(executed, "claim"):
                if claim["kind"] == "result":
                    values.setdefault(claim["name"], []).append(float(claim["measured"]))
    return values


def faults(claims: list[dict[str, Any]], spread: Record | None) -> list[str]:
    """Return the result claims whose bounds lie nearer than five standard deviations, or whose spread is missing."""
    found = []
    for claim in claims:
        if claim["kind"] != "result":
            continue
        values = spread.values.get(claim["name"], []) if spread else []
        if len(values) < len(SEEDS):
            found.append(
                f"result {claim['name']!r} has a spread over {len(values)} seeds; at least {len(SEEDS)}: make spread"
            )
            continue
        room, deviation = _room(claim, float(np.mean(values))), float(np.std(values, ddof=1))
        if not room >= LEAST * deviation or deviation == 0:
            found.append(
                f"result {claim['name']!r} leaves {room:.3g}, its spread is {deviation:.3g}: needs {LEAST:g} times that"
            )
    return found


def store(chapter: str) -> str:
    """Measure the spread of ``chapter`` and store it as a record; return what was done, in words."""
    if not any(claim["kind"] == "result" for claim in records(load(chapter), "claim")):
        return f"{chapter} claims no result"
    values = measure(chapter)
    command, code = f"make spread CHAPTER={chapter}", [f"workings.{chapter}"]
    path = write(chapter, "spread", values, code=code, command=command, parameters={}, seeds=list(SEEDS))
    return f"{chapter}: {', '.join(values)} over {len(SEEDS)} seeds in results/{chapter}/{path.name}"


def _room(claim: dict[str, Any], mean: float) -> float:
    """How far a result may move from its mean over seeds before it stops holding."""
    if claim["tolerance"] is not None:
        return float(claim["tolerance"] - abs(mean - claim["equals"]))
    low = -math.inf if claim["low"] is None else claim["low"]
    high = math.inf if claim["high"] is None else claim["high"]
    return float(min(mean - low, high - mean))


def main(arguments: list[str] | None = None) -> int:
    """Measure the named chapters, or all, and store each spread as a record."""
    parser = argparse.ArgumentParser(prog="python -m workings.book.spread", description=__doc__)
    parser.add_argument("chapters", nargs="*", metavar="chapter", help="all if none is named")
    for chapter in parser.parse_args(arguments).chapters or names():
        try:
            print(store(chapter), flush=True)
        except ValueError as error:
            parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
