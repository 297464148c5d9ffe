"""The parameters of a chapter: one table that validates what was set and says what may be."""

from __future__ import annotations

import ast
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, TypeVar

import torch

from workings.book.output import publish

ANYWHERE = ("device",)  # parameters that never change what is claimed
T = TypeVar("T")


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name, default, range or choices, meaning, and its values in the two profiles.

    ``low`` and ``high`` are inclusive; ``quick`` and ``full`` default to ``default``. Raises ``ValueError`` for one
    bound without the other, or when one of the three values is not allowed.
    """

    name: str
    default: Any
    meaning: str
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] | None = None
    quick: Any = None
    full: Any = None

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None):
            raise ValueError(f"parameter {self.name!r} has low={self.low} and high={self.high}; give both or neither")
        for name in ("default", "quick", "full"):
            fault = self.refuse(self.profile(name))
            if fault:
                raise ValueError(f"{name} of {fault}")

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        if self.choices:
            return "one of " + ", ".join(map(repr, self.choices))
        kind = type(self.default).__name__
        return kind if self.low is None else f"{kind} from {self.low} to {self.high}"

    def profile(self, name: str) -> Any:
        """Return the value in profile ``default``, ``quick`` or ``full``."""
        value = getattr(self, name)
        return self.default if value is None else value

    def refuse(self, value: Any) -> str | None:
        """Return why ``value`` is not allowed, or None."""
        kind = type(self.default)
        if kind is float and type(value) is int and abs(value) <= sys.float_info.max:
            value = float(value)
        if type(value) is not kind or (kind is float and not math.isfinite(value)):
            return f"parameter {self.name!r} is {value!r} ({type(value).__name__}); allowed: {self.allowed}"
        if self.choices and value not in self.choices:
            return f"parameter {self.name!r} is {value!r}; allowed: {self.allowed}"
        if self.low is not None and self.high is not None and not self.low <= value <= self.high:
            return f"parameter {self.name!r} is {value!r}; allowed: {self.allowed}"
        return None


@dataclass(frozen=True)
class Run:
    """A chapter's run: which chapter, with which values, on which device, and whether results are claimed."""

    chapter: str
    values: Mapping[str, Any]
    device: torch.device
    is_default: bool

    def generator(self, stream: int = 0) -> torch.Generator:
        """Return a CPU generator for one ``stream`` of draws, so that every device sees the same numbers."""
        return torch.Generator().manual_seed(self.values.get("seed", 0) * 1000 + stream)

    def build(self, make: Callable[[], T], stream: int = 0) -> T:
        """Make a network on the CPU from a seed, leave the global random state as it was, move the network."""
        with seeded(self.values.get("seed", 0) * 1000 + stream):
            network = make()
        return network.to(self.device) if isinstance(network, torch.nn.Module) else network


NO_RUN = Run("", {}, torch.device("cpu"), is_default=True)
_current = NO_RUN


def current() -> Run:
    """Return the run that ``begin`` started last."""
    return _current


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global CPU generator inside the block and restore it afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def begin(chapter: str, namespace: Mapping[str, Any], table: Sequence[Parameter]) -> Run:
    """Validate the notebook's parameters against ``table`` and start its run.

    ``namespace`` is the notebook's ``globals()``. Raises ``ValueError`` naming each parameter that is unknown, missing,
    of the wrong type or out of range, what came, and what is allowed.
    """
    known = {p.name: p for p in table}
    faults = [
        f"parameter {name!r} is unknown; the parameters of {chapter} are {', '.join(known)}"
        for name in _assigned(namespace.get("In", ()))
        if name not in known
    ]
    faults += [f"parameter {n!r} is missing; allowed: {p.allowed}" for n, p in known.items() if n not in namespace]
    faults += filter(None, (p.refuse(namespace[n]) for n, p in known.items() if n in namespace))
    if faults:
        raise ValueError("; ".join(faults))
    values = {n: type(p.default)(namespace[n]) for n, p in known.items()}
    is_default = all(values[n] == p.default for n, p in known.items() if n not in ANYWHERE)
    run = Run(chapter, values, _device(values.get("device", "auto")), is_default)
    # torch says this, once and to no harm, where the first backward pass on a card begins with a matrix product
    warnings.filterwarnings("ignore", "Attempting to run cuBLAS")
    global _current  # one chapter runs in a kernel; claims and records ask here which
    _current = run
    publish(
        f"parameters of {chapter}: {'the defaults' if is_default else 'not the defaults'}",
        _card(table, values),
        {"parameters": {"chapter": chapter, "values": values, "table": [asdict(p) for p in table]}},
    )
    return run


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("parameter 'device' is 'cuda', and this torch sees no CUDA device; use 'auto' or 'cpu'")
    return torch.device(name)


def _assigned(cells: Sequence[str]) -> list[str]:
    """Return the names set in the parameters cell (``# parameters``) and in papermill's (``# Parameters``)."""
    names: list[str] = []
    for source in cells:
        if source.startswith("# parameters"):
            names = []  # the cell was run anew, perhaps to mend a name: what it held before no longer counts
        if source.startswith(("# parameters", "# Parameters")):
            with suppress(SyntaxError):  # IPython keeps such a cell too, though nothing of it was run
                found = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name))
                names += [n.id for n in found if isinstance(n.ctx, ast.Store)]
    return names


def _card(table: Sequence[Parameter], values: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{p.name}</code></td><td>{escape(str(values[p.name]))}</td><td>{escape(str(p.profile('quick')))}</td>"
        f"<td>{escape(str(p.profile('full')))}</td><td>{escape(p.allowed)}</td><td>{escape(p.meaning)}</td></tr>"
        for p in table
    )
    head = "<tr><th>parameter</th><th>here</th><th>quick</th><th>full</th><th>allowed</th><th>meaning</th></tr>"
    return (
        '<details class="wk-card wk-parameters"><summary>Parameters of this chapter</summary>'
        f'<div class="wk-scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div></details>'
    )
