"""What bad data does to every public function: a clear error or a right answer, or a fault that is known.

The calls, the kinds of bad data and the rules are in `bad_data`; ``PYTHONPATH=tests python -m bad_data --write`` makes
the table anew.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import re
from collections.abc import Callable
from typing import Any

import bad_data
import pytest
import torch
from bad_data import Case, cells, faults_of, folded, outcome, parameters, public, still, table_of
from bad_data.faults import is_data, spoiled
from bad_data.rules import GENERAL, leaves, same
from torch import Tensor

TOPICS = bad_data.TOPICS
PINNED = re.findall("^torch==(.+)$", (bad_data.TABLE.parents[2] / "constraints.txt").read_text(encoding="utf-8"), re.M)
same_torch = pytest.mark.skipif(
    torch.__version__.partition("+")[0] not in PINNED,
    reason=f"the table was made with torch {PINNED[0]}: what another release makes of integers or bools may differ",
)


@same_torch
@pytest.mark.parametrize("topic", TOPICS)
def test_the_table_is_what_comes_of_bad_data_now(topic: str) -> None:
    written = json.loads(bad_data.TABLE.read_text(encoding="utf-8"))[topic]
    now = table_of(topic)
    assert sorted(written) == sorted(now), "python -m bad_data --write"
    for function, arguments in now.items():
        assert written[function] == arguments, f"{function}: python -m bad_data --write, after a look at what moved"


@same_torch
@pytest.mark.parametrize("topic", TOPICS)
def test_every_fault_is_known_and_every_known_one_is_there(topic: str) -> None:
    """So a new one fails, and one that was mended has to leave the list."""
    listed, now = bad_data.read(bad_data.KNOWN)[topic], faults_of(topic)
    assert sorted(listed) == sorted(now)
    for function, arguments in now.items():
        assert arguments == listed[function], function


@pytest.mark.parametrize("topic", TOPICS)
def test_every_public_name_has_a_valid_call_or_takes_no_data(topic: str) -> None:
    module, names = bad_data.module_of(topic), importlib.import_module(f"workings.{topic}").__all__
    needed = {name for name in names if callable(public(topic, name)) and not _is_record(public(topic, name))}
    for name in names:
        of = public(topic, name)
        if inspect.isclass(of):
            needed |= {f"{name}.{method}" for method, function in _methods(of) if parameters(function)}
    described = set(module.CASES) | set(module.NO_DATA)
    assert not set(module.CASES) & set(module.NO_DATA)
    assert needed - described == set(), "give a valid call in CASES, or the reason in NO_DATA"
    assert all(callable(public(topic, name)) for name in described)


def _is_record(of: Any) -> bool:
    """A class without methods that only holds what the library found."""
    holds = dataclasses.is_dataclass(of) or (inspect.isclass(of) and issubclass(of, tuple))
    return holds and "__post_init__" not in vars(of)


def _methods(of: type) -> list[tuple[str, Callable[..., Any]]]:
    """Return the public methods that a class itself defines, called ones too."""
    own = {name: getattr(f, "__func__", f) for name, f in vars(of).items()}
    return [(n, f) for n, f in own.items() if inspect.isfunction(f) and (not n.startswith("_") or n == "__call__")]


@pytest.mark.parametrize("topic", TOPICS)
def test_every_argument_is_spoiled_or_is_no_data(topic: str) -> None:
    """Also in the second call: what one spoils does not stay spoiled."""
    for function, case in bad_data.module_of(topic).CASES.items():
        of = public(topic, function)
        expected = {p.name for p in parameters(of) if p.name not in bad_data.NEVER_DATA} - case.omitted
        assert set(case.args) == expected, f"{function} is called with other arguments than it has"
        first, again = leaves(case.run(of)), leaves(case.run(of))
        assert same(first, again), f"{function} gives something else the second time"
        spoiled_ones = {name for name, value in case.args.items() if is_data(value)}
        assert spoiled_ones >= set(case.hinted) - {n for n, h in case.hinted.items() if "object" in h}


# ---- the machinery: it must see what is wrong ----

X = torch.tensor([[1.0, 2.0, 4.0], [3.0, 1.0, 2.0]], dtype=torch.float64)


def judged(function: Callable[..., Any], value: Any = X, hints: str = "sign") -> dict[str, str]:
    case = Case(function, x=value)
    valid = leaves(case.run(function))
    return {kind: outcome(case, function, "x", kind, bad, valid) for kind, bad in spoiled(value, set(hints.split()))}


def doubled(x: Tensor) -> Tensor:
    return 2 * x


def swallows_nan(x: Tensor) -> Tensor:
    return x.nan_to_num()


def spreads_nan(x: Tensor) -> Tensor:
    return x + 0 * x.sum()


def truncates(x: Tensor) -> Tensor:
    return (x * 1.5).to(x.dtype)


def sums_all(x: Tensor) -> Tensor:
    return x - x.sum()


def cancels(x: Tensor) -> Tensor:
    return (x + 1) ** 2 - x**2  # 2 x + 1, and 0 where x is huge


def test_answers_are_proved() -> None:
    right = judged(doubled)
    assert {kind for kind, came in right.items() if came == "answer"} >= {
        "shape", "empty", "integers", "complex", "nan", "inf", "huge"
    }  # fmt: skip
    assert judged(swallows_nan)["nan"] == "unproved"
    assert judged(swallows_nan)["inf"] == "unproved"
    assert judged(spreads_nan)["nan"] == "unproved"
    assert judged(truncates)["integers"] == "unproved"
    assert judged(sums_all)["shape"] == "unproved"
    assert judged(cancels)["huge"] == "unproved"
    assert judged(lambda x: x.sqrt())["complex"] == "unproved"
    assert judged(lambda x: x[:1] if len(x) else torch.zeros(2, 3))["empty"] == "unproved"
    assert judged(lambda x: (x > 0).sum())["nan"] == "unproved"  # an answer that cannot say that it is none
    assert judged(doubled)["negative"] == "unproved"
    assert judged(torch.log)["negative"] == "answer"  # not defined, and NaN


def refuses(message: str, kind: type[Exception] = ValueError) -> Callable[..., Any]:
    def function(x: Tensor) -> Tensor:
        if x is None or x.isnan().any():
            raise kind(message)
        return x

    function.__code__ = function.__code__.replace(co_filename=f"{bad_data.MEANT[0]}/planted.py")
    return function


def test_errors_are_clear_or_not() -> None:
    assert judged(refuses("x must be finite"))["nan"] == "error"
    assert judged(refuses("p and x must be finite"))["nan"] == "error"
    assert judged(refuses("max must be finite"))["nan"] == "unclear"
    assert judged(refuses("the data must be finite"))["nan"] == "unclear"
    assert judged(refuses("shape (n, x) expected"))["nan"] == "unclear"
    assert judged(refuses("x must be finite", RuntimeError))["nan"] == "unclear"
    assert judged(lambda x: x[0 if x.isfinite().all() else 7])["nan"] == "unclear"  # an IndexError
    assert judged(doubled, 3, "sign")["text"] == "unproved"  # "threethree"
    assert judged(lambda x: torch.zeros(3).expand(x), 3)["none"] == "unclear"  # torch's error, whatever it names


def test_what_does_not_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bad_data, "SECONDS", 0.05)

    def grows(x: float) -> float:
        total = 1.0
        while not total > x:
            total *= 2
        return total

    came = judged(grows, 3.0)
    assert came["nan"] == "endless"
    assert came["huge"] != "endless"


def test_kinds_of_bad_data_fit_the_type() -> None:
    kinds = {name: {kind for kind, _ in spoiled(value, {"sign"})} for name, value in {
        "floats": X, "integers": X.long(), "number": 1.0, "count": 2, "word": "exact", "numbers": [1.0, 2.0],
    }.items()}  # fmt: skip
    assert kinds["floats"] == {
        "none", "text", "shape", "short", "empty", "complex", "bool", "negative", "integers", "nan", "inf", "huge"
    }  # fmt: skip
    assert kinds["integers"] == kinds["floats"] - {"nan", "inf", "integers"} | {"floats"}
    assert kinds["number"] == {"none", "text", "complex", "nan", "inf", "huge", "negative"}
    assert kinds["count"] == {"none", "text", "complex", "fraction", "nan", "huge", "negative"}
    assert kinds["word"] == {"none", "number", "empty", "unknown"}
    assert kinds["numbers"] == {"none", "text", "number", "empty"} | {f"item {kind}" for kind in kinds["number"]}
    assert set(GENERAL) < kinds["floats"]


def test_the_list_of_known_faults_only_becomes_shorter() -> None:
    known = {
        "f": {"x": {"unclear": "nan, none", "unproved": "inf"}, "y": {"unclear": "nan"}},
        "g": {"x": {"unclear": "nan"}},
    }
    now = {
        "f": {"x": {"unclear": "none, text", "unproved": "nan"}, "z": {"unclear": "nan"}},
        "h": {"x": {"unclear": "nan"}},
    }
    assert still(known, now) == {"f": {"x": {"unclear": "none"}}}
    assert still(known, known) == known


def test_a_cell_has_one_place_in_the_table() -> None:
    assert folded({"x": {"nan": "error", "inf": "error", "huge": "answer"}}) == {
        "x": {"answer": "huge", "error": "inf, nan"}
    }
    for topic in TOPICS:
        assert all(kinds for arguments in cells(topic).values() for kinds in arguments.values())
