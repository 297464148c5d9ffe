"""Where a Python source can be mutated, and into what: operators on its syntax tree.

Annotations, docstrings and error messages are left out: no test should depend on them.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
_PAIRS = [("min", "max"), ("minimum", "maximum"), ("amin", "amax"), ("argmin", "argmax"), ("any", "all")]
OPPOSITES = dict(_PAIRS) | {b: a for a, b in _PAIRS}
# swapping their arguments changes nothing, or breaks every call alike
NOT_SWAPPED = {*OPPOSITES, "isinstance", "issubclass", "hasattr", "getattr", "cast", "hypot", "isclose", "gcd", "lcm"}


@dataclass(frozen=True)
class Site:
    """A place in the source, and what may stand there instead."""

    kind: str
    node: ast.expr | ast.stmt
    variants: tuple[str, ...]


def find_sites(source: bytes) -> list[Site]:
    """Every site of a source file, in its order."""
    visitor = _Sites()
    visitor.visit(ast.parse(source))
    return visitor.found


class _Sites(ast.NodeVisitor):
    """Collects ``found``, in the order of the source; leaves out annotations, docstrings and error messages."""

    def __init__(self) -> None:
        self.found: list[Site] = []
        self._stored: list[list[str]] = [[]]  # names that the enclosing functions assign, with repetitions

    def _add(self, kind: str, node: ast.expr | ast.stmt, *variants: ast.AST | str) -> None:
        written = [v if isinstance(v, str) else ast.unparse(v) for v in variants]
        written = [v if isinstance(node, ast.stmt) else f"({v})" for v in written if v != ast.unparse(node)]
        if written:
            self.found.append(Site(kind, node, tuple(written)))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        names = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        self._stored.append(names + [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)])
        for child in (*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body):
            self.visit(child)
        self._stored.pop()

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Text for people (and Python 3.11 gives no positions inside)."""

    def visit_Raise(self, node: ast.Raise) -> None:
        self._add("dropped statement", node, "pass")

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return
        # without the only assignment of a name, any use of it fails: that would test nothing
        names = [
            n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        ]
        if all(self._stored[-1].count(name) > 1 for name in names):
            self._add("dropped statement", node, "pass")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self._add("dropped statement", node, "pass")
        self.generic_visit(node)

    def visit_Continue(self, node: ast.Continue) -> None:
        self._add("dropped statement", node, "pass")

    def visit_Break(self, node: ast.Break) -> None:
        self._add("dropped statement", node, "pass")

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._add("dropped statement", node, "pass")
        if other := ARITHMETIC.get(type(node.op)):
            self._add("arithmetic", node, ast.AugAssign(node.target, other(), node.value))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        is_text = any(isinstance(side, ast.JoinedStr) or _constant(side, str) for side in (node.left, node.right))
        if isinstance(node.op, ast.MatMult):
            self._add("arithmetic", node, ast.BinOp(node.right, node.op, node.left))
        elif (other := ARITHMETIC.get(type(node.op))) and not is_text:
            self._add("arithmetic", node, ast.BinOp(node.left, other(), node.right))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self._add("condition", node, ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.USub | ast.Not):
            self._add("unary", node, node.operand)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for i, op in enumerate(node.ops):
            swaps = [[*node.ops[:i], other(), *node.ops[i + 1 :]] for other in COMPARISONS[type(op)]]
            self._add("comparison", node, *(ast.Compare(node.left, ops, node.comparators) for ops in swaps))
        self.generic_visit(node)

    def visit_If(self, node: ast.If | ast.While | ast.IfExp) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        # the negation of a comparison is among the comparisons, that of "not x" among the unary operators
        if not isinstance(node.test, ast.Compare | ast.UnaryOp):
            self._add("condition", node.test, ast.UnaryOp(ast.Not(), node.test))
        self.generic_visit(node)

    visit_While = visit_IfExp = visit_If  # noqa: N815

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._add("constant", node, repr(not value))
        elif isinstance(value, int | float):
            self._add("constant", node, *(repr(v) for v in (value + 1, value - 1, 2 * value)))

    def visit_Call(self, node: ast.Call) -> None:
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in OPPOSITES:
            self._add("min/max", node.func, _renamed(node.func, OPPOSITES[name]))
        if name not in NOT_SWAPPED and not any(isinstance(a, ast.Starred) for a in node.args):
            for i in range(len(node.args) - 1):
                args = [*node.args[:i], node.args[i + 1], node.args[i], *node.args[i + 2 :]]
                self._add("swapped arguments", node, ast.Call(node.func, args, node.keywords))
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        bounds = [b for p in parts for b in ((p.lower, p.upper) if isinstance(p, ast.Slice) else (p,)) if b is not None]
        for bound in bounds:  # constants are shifted as constants; a longer name is a key more often than an index
            if isinstance(bound, ast.BinOp) or (isinstance(bound, ast.Name) and len(bound.id) == 1):
                self._add("index", bound, *(ast.BinOp(bound, op, ast.Constant(1)) for op in (ast.Add(), ast.Sub())))
        self.generic_visit(node)


def _constant(node: ast.expr, of: type) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, of)


def _renamed(func: ast.expr, name: str) -> ast.expr:
    if isinstance(func, ast.Attribute):
        return ast.Attribute(func.value, name, ast.Load())
    return ast.Name(name, ast.Load())
