"""Watch a function of any script for a memory leak: ``python -m workings.gpu_memory_leak script.py:step --calls 30``.

The function is called without arguments, again and again. Prints whether it leaks, what stays and who holds it; the
exit status is 1 if memory grows, 0 if it does not, 2 if there is no such function.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workings.gpu_memory_leak.growth import FEWEST
from workings.gpu_memory_leak.watch import watch


def load(target: str) -> Callable[[], Any]:
    """Return the function named by ``script.py:function`` or ``package.module:function``.

    Raises ``ValueError`` that says what is missing.
    """
    place, colon, name = target.rpartition(":")
    if not colon:
        raise ValueError(f"{target!r} names no function; write script.py:function or package.module:function")
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise ValueError(f"there is no file {place!r}")
        spec = importlib.util.spec_from_file_location(Path(place).stem, place)
        if spec is None or spec.loader is None:
            raise ValueError(f"{place!r} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        sys.path.insert(0, str(Path(place).resolve().parent))
        spec.loader.exec_module(module)
    else:
        sys.path.insert(0, "")
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise ValueError(f"there is no module {place!r}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise ValueError(f"{place!r} has no function {name!r}")
    return function  # type: ignore[no-any-return]


def main(arguments: list[str] | None = None) -> int:
    """Watch the function that the command line names, and print the report."""
    parser = argparse.ArgumentParser(prog="python -m workings.gpu_memory_leak", description=__doc__)
    parser.add_argument("target", metavar="script.py:function", help="a function that takes no arguments")
    parser.add_argument("--calls", type=int, default=30, help="how often it is called (30)")
    options = parser.parse_args(arguments)
    if options.calls < FEWEST:
        parser.error(f"--calls is {options.calls}; at least {FEWEST} are needed")
    try:
        step = watch(load(options.target))
    except ValueError as error:
        parser.error(str(error))
    for _ in range(options.calls):
        step()
    report = step.report()
    print(report)
    return 0 if report.verdict == "steady" else 1


if __name__ == "__main__":
    sys.exit(main())
