"""Sphinx extensions of the book's, for tests: they lie beside the package, not in it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[2] / "_ext"
sys.path.append(str(FOLDER))  # as in Sphinx: they import one another


def load(name: str) -> ModuleType:
    """Load an extension by its name."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
