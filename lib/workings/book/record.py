"""Run the recorded experiments of a chapter: ``python -m workings.book.record CHAPTER [--profile full] [--only NAME]``.

A chapter's experiments are functions of a seed in ``workings.<chapter>.experiments``, listed in its ``RECORDED``: a
mapping from a record's name to its function, its seeds, and its arguments in each profile.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import workings
from workings.book.codehash import code_hash
from workings.book.progress import progress
from workings.book.records import write


def experiments(chapter: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the experiments of ``chapter``. Raises ``ValueError`` naming the chapters that have some."""
    known = sorted(path.parent.name for folder in workings.__path__ for path in Path(folder).glob("*/experiments.py"))
    if chapter not in known:
        raise ValueError(f"chapter {chapter!r} has no experiments to record; those that have are {', '.join(known)}")
    return importlib.import_module(f"workings.{chapter}.experiments").RECORDED  # type: ignore[no-any-return]


def record(chapter: str, name: str, profile: str, device: str) -> str:
    """Run one experiment for all its seeds, write its record, and return the path in words."""
    experiment = experiments(chapter)[name]
    function, arguments = experiment["run"], experiment["profiles"][profile]
    code = [f"{function.__module__}:{function.__name__}"]
    code_hash(code)  # reads the sources once: the record is of what ran, not of what is there when it ends
    rows = [function(seed, device=torch.device(device), **arguments) for seed in progress(experiment["seeds"], name)]
    values = {key: [row[key] for row in rows] for key in rows[0]}
    command = f"make record CHAPTER={chapter}" + (f" PROFILE={profile}" if profile != "default" else "")
    stored = name if profile == "default" else f"{name}-{profile}"
    write(
        chapter, stored, values, code=code, command=command, parameters=arguments, profile=profile,
        seeds=list(experiment["seeds"]), device=device,
    )  # fmt: skip
    return f"results/{chapter}/{stored}.json"


def main(arguments: list[str] | None = None) -> int:
    """Record a chapter's experiments, one file each; a finished one is kept if a later one fails."""
    parser = argparse.ArgumentParser(prog="python -m workings.book.record", description=__doc__)
    parser.add_argument("chapter")
    parser.add_argument("--profile", default="default", choices=("quick", "default", "full"))
    parser.add_argument("--only", default="", help="the name of one experiment")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    try:
        known = experiments(options.chapter)
    except ValueError as error:
        parser.error(str(error))
    if options.only and options.only not in known:
        parser.error(f"no experiment {options.only!r}; there are {', '.join(known)}")
    chosen = [name for name in known if name == (options.only or name) and options.profile in known[name]["profiles"]]
    if not chosen:
        parser.error(f"no experiment of {options.only or options.chapter} has a profile {options.profile!r}")
    for name in chosen:
        print(record(options.chapter, name, options.profile, options.device), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
