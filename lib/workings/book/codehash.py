"""A hash of the code that a result ran: a function's source and all that it uses in this package, nothing else.

What cannot move a number does not count: comments, docstrings, layout, types, and the checks in a function's body that
do nothing but refuse, themselves or by calling what is named ``refuse_…``: a result that came out was refused by none.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from workings.book.source import is_docstring

PACKAGE, TYPED = "workings", "workings.typed"  # the latter refuses arguments of a wrong type
Definition = tuple[str, str]  # a module and a name that it defines; no name stands for the whole module


def code_hash(names: Iterable[str]) -> str:
    """Return the hash of ``module:name`` (or a whole ``module``) for each of ``names``, with what they use.

    Raises ``ValueError`` for a module that there is not, or a name that it does not define.
    """
    parts = reached(names)
    text = "\n".join(f"{module}:{name}:{parts[module, name]}" for module, name in sorted(parts))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def reached(names: Iterable[str]) -> dict[Definition, str]:
    """Return all that ``names`` use in this package, each with its code in a form that every Python writes alike."""
    todo: list[Definition] = [(name.partition(":")[0], name.partition(":")[2]) for name in names]
    parts: dict[Definition, str] = {}
    while todo:
        if (definition := todo.pop()) not in parts:
            parts[definition], used = _part(*definition)
            todo += used
    return parts


def imports(code: str) -> list[str]:
    """Return what ``code``, a notebook's say, imports from this package, as `code_hash` takes it.

    >>> imports("import torch, workings.mac_setup; from workings import neural_ode; from workings.book import claim")
    ['workings.mac_setup:', 'workings.neural_ode:', 'workings.book:claim']
    """
    nodes = list(ast.walk(ast.parse(code)))
    names = [f"{a.name}:" for n in nodes if isinstance(n, ast.Import) for a in n.names if _is_ours(a.name)]
    found = (n for n in nodes if isinstance(n, ast.ImportFrom) and _is_ours(n.module or ""))
    return names + [":".join(_origin(n.module or "", a.name)) for n in found for a in n.names]


def forget() -> None:
    """Forget the sources read so far, which may have been edited since."""
    _source.cache_clear()
    _definitions.cache_clear()
    _part.cache_clear()


def _is_import(node: ast.AST) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


@cache
def _source(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"there is no module {module!r}")
    return Path(spec.origin).read_text(encoding="utf-8")


@cache
def _definitions(module: str) -> dict[str, list[ast.stmt]]:
    """Top-level names of ``module`` and the statements that define or change them."""
    found: dict[str, list[ast.stmt]] = {}
    for node in _Counting().visit(ast.parse(_source(module))).body:
        for name in set(_defines(node)):
            found.setdefault(name, []).append(node)
    return found


@cache
def _part(module: str, name: str) -> tuple[str, list[Definition]]:
    """Return the code of a name, and what it uses in this package."""
    statements = _definitions(module)
    if not name:
        return "", [(module, defined) for defined in statements]
    if name not in statements:
        raise ValueError(f"{module!r} defines no {name!r}")
    # where a name is imported from does not count, only what it is
    code = "".join(str(_bare(s)) for s in statements[name] if not _is_import(s))
    return code, [used for s in statements[name] for used in _used(module, s, name)]


def _defines(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.ImportFrom | ast.Import):
        yield from (_bound(alias) for alias in node.names)
    elif isinstance(node, ast.Assign):
        yield from (n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    else:  # a loop, a condition, a bare call: whatever is named in it may be changed by it
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                yield inner.id
            elif inner is not node and isinstance(inner, ast.FunctionDef | ast.ClassDef | ast.ImportFrom | ast.Import):
                yield from _defines(inner)


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _used(module: str, node: ast.stmt, name: str) -> Iterator[Definition]:
    """Yield what a statement uses in this package; of an import, only what ``name`` stands for."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and inner.id in _definitions(module):
            yield module, inner.id
        elif isinstance(inner, ast.Import):
            names = [a.name for a in inner.names if inner is not node or _bound(a) == name]
            yield from ((used, "") for used in names if _is_ours(used))
        elif isinstance(inner, ast.ImportFrom):
            source = _absolute(module, inner)
            if _is_ours(source):
                wanted = (a.name for a in inner.names if inner is not node or _bound(a) == name)
                yield from (_origin(source, original) for original in wanted)


def _is_ours(module: str) -> bool:
    return module == PACKAGE or module.startswith(PACKAGE + ".")


def _absolute(module: str, node: ast.ImportFrom) -> str:
    package = module if _is_package(module) else module.rpartition(".")[0]
    return importlib.util.resolve_name("." * node.level + (node.module or ""), package)


def _origin(source: str, name: str) -> Definition:
    """Return where ``from source import name`` leads: to a module, or to a name in one."""
    if name not in _definitions(source) and _is_package(source) and importlib.util.find_spec(f"{source}.{name}"):
        return f"{source}.{name}", ""
    return source, name


def _is_package(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.submodule_search_locations is not None


class _Counting(ast.NodeTransformer):
    """Leave only what can move a number."""

    def visit_Module(self, node: ast.Module) -> ast.Module:
        node.body = [statement for statement in node.body if not _is_typed(statement)]
        self.generic_visit(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.body = [statement for statement in node.body if not _is_refusal(statement)]
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        if not {"ClassVar", "InitVar", "KW_ONLY"} & {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}:
            node.annotation = ast.Constant(...)  # of a dataclass's field
        self.generic_visit(node)
        return node


def _is_refusal(node: ast.stmt) -> bool:
    """Tell whether all that a statement can do is to raise ``TypeError`` or ``ValueError``."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
        return node.value.func.id.startswith("refuse_")
    if not isinstance(node, ast.If) or node.orelse:
        return False
    *before, last = node.body
    if not isinstance(last, ast.Raise) or not all(isinstance(statement, ast.Assign) for statement in before):
        return False
    error = last.exc.func if isinstance(last.exc, ast.Call) else last.exc
    return (
        isinstance(error, ast.Name)
        and error.id in ("TypeError", "ValueError")
        and not any(isinstance(inner, ast.NamedExpr) for inner in ast.walk(node.test))
    )


def _is_typed(node: ast.stmt) -> bool:
    """Tell whether a statement imports or calls what checks a module's types."""
    if isinstance(node, ast.ImportFrom):
        return node.module == TYPED
    called = node.value.func if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
    return isinstance(called, ast.Name) and called.id == "check_types"


def _bare(node: Any) -> Any:
    """Return the syntax tree as nested tuples, without docstrings and empty fields, which Pythons write differently."""
    if isinstance(node, ast.AST):
        fields = ((key, value) for key, value in ast.iter_fields(node) if value is not None and value != [])
        return type(node).__name__, *((key, _bare(value)) for key, value in fields if key != "kind")
    if isinstance(node, list):
        return [_bare(item) for item in node if not is_docstring(item)]
    return repr(node)
