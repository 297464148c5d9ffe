"""A hash of the code that a result ran: a function's source and all that it uses in this package, nothing else.

Comments, docstrings and white space do not count: they cannot move a number.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from workings.book.source import without_docstrings

PACKAGE = "workings"


def code_hash(names: Iterable[str]) -> str:
    """Return the hash of ``module:name`` (or a whole ``module``) for each of ``names``, with what they use.

    Raises ``ValueError`` for a name that the module does not define.
    """
    todo = [tuple(name.partition(":")[::2]) for name in names]
    parts: dict[tuple[str, str], str] = {}
    while todo:
        module, name = todo.pop()
        if (module, name) in parts:
            continue
        if not name:
            todo += [(module, defined) for defined in _definitions(module)]
            parts[module, name] = ""
            continue
        node = _definitions(module).get(name)
        if node is None:
            raise ValueError(f"{module!r} defines no {name!r}")
        imported = isinstance(node, ast.ImportFrom | ast.Import)
        parts[module, name] = "" if imported else _bare(ast.get_source_segment(_source(module), node) or "")
        todo += _imported(module, node, name) if imported else _used(module, node)
    text = "\n".join(f"{m}:{n}:{source}" for (m, n), source in sorted(parts.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _source(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"there is no module {module!r}")
    return Path(spec.origin).read_text(encoding="utf-8")


@cache
def _definitions(module: str) -> dict[str, ast.stmt]:
    """Top-level names of ``module`` and the statements that define them."""
    return {name: node for node in ast.parse(_source(module)).body for name in _defines(node)}


def _defines(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.ImportFrom | ast.Import):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)


def _used(module: str, node: ast.stmt) -> list[tuple[str, str]]:
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return [(module, name) for name in names & _definitions(module).keys()]


def _imported(module: str, node: ast.stmt, name: str) -> list[tuple[str, str]]:
    """Where an imported name comes from, if from this package."""
    if isinstance(node, ast.Import):
        return [(a.name, "") for a in node.names if a.name.startswith(PACKAGE + ".")]
    if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(PACKAGE):
        return []
    source, original = node.module or "", next(a.name for a in node.names if name in (a.asname, a.name))
    if importlib.util.find_spec(f"{source}.{original}") if _is_package(source) else None:
        return [(f"{source}.{original}", "")]
    return [(source, original)]


def _is_package(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.submodule_search_locations is not None


def _bare(source: str) -> str:
    """``source`` without docstrings, comments and white space."""
    source = without_docstrings(source)
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return "".join("".join(lines).split())
