"""The equation ledger: every displayed equation has a check that runs it, and that fails for the wrong equation.

Checks live in ``workings.checks.<chapter>``. A check is a function of a device that returns a residual: how far two
independent computations of the same thing are apart. Its keyword arguments describe the equation's form, so that the
wrong form can be run by the same code.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, TypeVar

import torch

from workings.book.markdown import Equation
from workings.book.output import measured, publish
from workings.book.parameters import current

KINDS = ("result", "definition", "derivation")
F = TypeVar("F", bound=Callable[..., float])
_registry: dict[tuple[str, str], Check] = {}


@dataclass(frozen=True)
class Check:
    """One check of one equation."""

    label: str
    tex: str
    kind: str
    tolerance: float
    function: Callable[..., float]
    wrong: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def chapter(self) -> str:
        """The chapter that displays the equation."""
        return self.label.partition(":")[0]

    def run(self, device: torch.device) -> dict[str, Any]:
        """Return the residual of the equation and of each wrong form, and whether the check holds and bites."""
        residual = abs(float(self.function(device)))
        others = {what: abs(float(self.function(device, **form))) for what, form in self.wrong.items()}
        faults = [] if residual <= self.tolerance else [f"residual {residual:.3g} exceeds {self.tolerance:g}"]
        faults += [
            f"the wrong form ({what}) has residual {other:.3g}, less than three times the tolerance {self.tolerance:g}"
            for what, other in others.items()
            if not (other >= 3 * self.tolerance and other > 0)
        ]
        return {
            "label": self.label, "check": self.function.__name__, "kind": self.kind, "residual": residual,
            "tolerance": self.tolerance, "wrong": others, "faults": faults,
        }  # fmt: skip


def verifies(
    label: str, *, tex: str, tolerance: float, wrong: Mapping[str, Mapping[str, Any]], kind: str = "result"
) -> Callable[[F], F]:
    """Register a function as a check of the equation ``label``.

    Args:
        label: the equation's label, ``chapter:name``.
        tex: the LaTeX that it verifies; a test compares it with the chapter's, white space aside.
        tolerance: the largest residual at which the equation holds.
        wrong: description of each wrong form → the keyword arguments that make the function compute it. Each must leave
            a residual of at least three tolerances.
        kind: ``result`` (an independent oracle), ``definition`` (the library computes it), ``derivation`` (one check
            for a chain of steps).

    Raises:
        ValueError: a label without chapter, an unknown kind, no wrong form, or a check registered twice.

    """
    if ":" not in label:
        raise ValueError(f"label {label!r} has no chapter; write 'chapter:name'")
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; a check is one of {', '.join(KINDS)}")
    if not wrong:
        raise ValueError(f"the check of {label!r} names no wrong form: what would it reject?")

    def register(function: F) -> F:
        key = (label, function.__name__)
        known = _registry.get(key)
        if known and known.function.__module__ != function.__module__:
            raise ValueError(f"{label!r} has a check named {function.__name__!r} already")
        _registry[key] = Check(label, tex, kind, tolerance, function, wrong)
        return function

    return register


def checks_of(chapter: str) -> list[Check]:
    """Return the checks of ``chapter``, in the order in which they are written.

    Raises ``ValueError`` for a chapter that has none.
    """
    if chapter not in chapters():
        raise ValueError(f"chapter {chapter!r} has no checks; those that have are {', '.join(chapters())}")
    importlib.import_module(f"workings.checks.{chapter}")
    return [check for check in _registry.values() if check.chapter == chapter]


def chapters() -> list[str]:
    """Return the chapters that have checks."""
    package = importlib.import_module("workings.checks")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def disagreements(chapter: str, equations: Sequence[Equation]) -> list[str]:
    """Return where the equations that ``chapter`` displays and its checks differ, white space aside."""
    printed = {equation.label: equation.tex for equation in equations}
    checks = checks_of(chapter)
    found = [f"equation {label!r} has no check" for label in printed if label not in {c.label for c in checks}]
    for check in checks:
        if check.label not in printed:
            found.append(f"check {check.function.__name__!r} is of {check.label!r}, which the chapter does not display")
        elif _squeeze(check.tex) != _squeeze(printed[check.label]):
            found.append(
                f"{check.label!r} prints {printed[check.label].strip()!r}, its check has {check.tex.strip()!r}"
            )
    return found


def _squeeze(tex: str) -> str:
    return "".join(tex.split())


def run_checks(chapter: str, device: torch.device) -> list[dict[str, Any]]:
    """Run every check of ``chapter`` and return one row a check."""
    return [check.run(device) for check in checks_of(chapter)]


def check(chapter: str = "") -> None:
    """Check the equations of ``chapter`` (the current one if not given) on this machine, and show the table.

    Raises ``AssertionError`` naming each equation that does not hold here.
    """
    chapter = chapter or current().chapter
    rows = run_checks(chapter, current().device)
    if not rows:
        raise AssertionError(f"chapter {chapter!r} has no checks to run")
    faults = [f"{row['label']} ({row['check']}): {fault}" for row in rows for fault in row["faults"]]
    if faults:
        raise AssertionError("; ".join(faults))
    equations = len({row["label"] for row in rows})
    text = f"✓ {equations} equations hold here ({len(rows)} checks); every wrong form is rejected"
    publish(text, _table(rows), {"ledger": {"chapter": chapter, "rows": rows}})


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    body = "".join(_row(row) for row in rows)
    head = "<tr><th>equation</th><th>residual</th><th>allowed</th><th>wrong forms</th></tr>"
    return f'<div class="wk-scroll"><table class="wk-ledger"><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _row(row: Mapping[str, Any]) -> str:
    wrong = "; ".join(f"{escape(what)}: {measured(f'{value:.2g}')}" for what, value in row["wrong"].items())
    residual = measured(f"{row['residual']:.1e}")
    name = escape(row["label"].partition(":")[2])
    return f"<tr><td>{name}</td><td>{residual}</td><td>{row['tolerance']:g}</td><td>{wrong}</td></tr>"
