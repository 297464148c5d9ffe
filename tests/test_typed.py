"""What refuses arguments by their annotations: what it refuses, what not, by which error, and of which functions."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, Literal, get_type_hints

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

import workings
from workings import attention, implicit_reparameterization, neuroidal_memory, spectral_bias, temporal_difference
from workings.typed import ArgumentError, Count, Floats, Integers, NonNegative, Positive, Whole, check_types, checked

TOPICS = sorted(m.name for m in pkgutil.iter_modules(workings.__path__) if m.name not in ("book", "checks", "typed"))


@checked
def take(
    whole: Whole = 0,
    count: Count = 1,
    non_negative: NonNegative = 0.0,
    positive: Positive = 1.0,
    floats: Floats | None = None,
    integers: Integers | None = None,
    either: Tensor | float = 0.0,
    several: Sequence[int] | None = None,
    pairs: tuple[int, ...] = (),
    like: ArrayLike = 0,
    perhaps: ArrayLike | None = 0,
    call: Callable[[Tensor], Tensor] = torch.exp,
    word: Literal["a", "b"] = "a",
    graph: neuroidal_memory.RandomGraph | None = None,
) -> str:
    """Return no text: what comes out is not the caller's fault."""
    return (
        whole,
        count,
        non_negative,
        positive,
        floats,
        integers,
        either,
        several,
        pairs,
        like,
        perhaps,
        call,
        word,
        graph,
    )  # type: ignore[return-value]


ONES = torch.ones(2)


@pytest.mark.parametrize(
    "given",
    [
        {"whole": 0}, {"whole": np.int64(3)}, {"whole": 10**30}, {"count": 1}, {"count": np.int32(1)}, {"count": True},
        {"non_negative": 0}, {"non_negative": np.float32(2)}, {"non_negative": np.int64(2)}, {"positive": 1e-300},
        {"positive": 3}, {"positive": float("inf")}, {"floats": ONES}, {"floats": ONES.half()}, {"floats": ONES[:0]},
        {"floats": nn.Parameter(ONES)}, {"integers": ONES.long()}, {"integers": ONES.int()}, {"integers": None},
        {"either": 2}, {"either": ONES.to(torch.complex64)}, {"either": np.float64(2)}, {"several": [1, 2]},
        {"several": range(3)}, {"several": ONES}, {"several": np.ones(2)}, {"several": ["not", "looked", "at"]},
        {"pairs": (1, "x")}, {"like": 2.0}, {"like": np.ones(2)}, {"like": [[1]]}, {"perhaps": None},
        {"perhaps": 2.0}, {"perhaps": np.float64(1)},
        {"call": len}, {"call": nn.Linear(1, 1)}, {"word": "b"}, {"graph": "duck"},
    ],
)  # fmt: skip
def test_what_fits_is_taken_as_it_is(given: dict[str, Any]) -> None:
    (value,) = given.values()
    assert any(got is value for got in take(**given))


@pytest.mark.parametrize(
    "given",
    [
        {"whole": -1}, {"whole": 2.0}, {"whole": None}, {"whole": "2"}, {"whole": 2 + 0j}, {"whole": np.float64(2)},
        {"whole": torch.tensor(2)}, {"count": 0}, {"count": 1.5}, {"non_negative": -1e-300}, {"non_negative": "1"},
        {"non_negative": float("nan")}, {"positive": 0.0}, {"positive": float("nan")}, {"positive": 1j},
        {"floats": ONES.long()}, {"floats": ONES > 0}, {"floats": ONES.to(torch.complex64)}, {"floats": [1.0, 1.0]},
        {"floats": np.ones(2)}, {"integers": ONES}, {"integers": ONES > 0}, {"integers": ONES.to(torch.complex64)},
        {"either": None}, {"either": [1.0]}, {"either": np.ones(2)}, {"several": 3},
        {"several": {1}}, {"pairs": [1]}, {"call": None}, {"call": 3}, {"word": "c"},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(given: dict[str, Any]) -> None:
    ((name, value),) = given.items()
    with pytest.raises(ArgumentError, match=rf"take\(\) parameter {name}=") as error:
        take(**given)
    assert isinstance(error.value, TypeError)
    assert isinstance(error.value, ValueError)  # of a count below one, that is what it is
    assert repr(value).splitlines()[0] in str(error.value)


BASIC = (int, float, str, Tensor, Whole, Count, NonNegative, Positive, Floats, Integers)


def members(topic: str) -> Iterator[tuple[str, Any]]:
    """Yield the functions that users call: public ones, and methods of public classes with those they do not see."""
    module = importlib.import_module(f"workings.{topic}")
    for name in module.__all__:
        public = getattr(module, name)
        if inspect.isfunction(public):
            yield name, public
        elif inspect.isclass(public) and not issubclass(public, tuple):
            for method, function in vars(public).items():
                function = getattr(function, "__func__", function)
                if inspect.isfunction(function):
                    yield f"{name}.{method}", function


def takes_data(function: Any) -> bool:
    hints, parameters = get_type_hints(function, include_extras=True), inspect.signature(function).parameters.values()
    return any(hints.get(p.name) in BASIC for p in parameters if p.kind != p.VAR_POSITIONAL)


def is_checked(function: Any) -> bool:
    return bool(function.__code__.co_filename.startswith("<@beartype(workings."))


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic != "mac_setup"])
def test_every_public_function_with_a_typed_argument_is_checked(topic: str) -> None:
    found = dict(members(topic))
    assert len(found) > 10
    assert {name for name, function in found.items() if takes_data(function) and not is_checked(function)} == set()


def test_what_was_a_function_of_its_module_still_is() -> None:
    """The one that is checked stands there too, so it can be pickled and has its name, signature and source."""
    f = spectral_bias.gaussian_kernel
    assert importlib.import_module("workings.spectral_bias.kernels").gaussian_kernel is f
    assert pickle.loads(pickle.dumps(f)) is f
    assert (f.__name__, f.__module__) == ("gaussian_kernel", "workings.spectral_bias.kernels")
    assert list(inspect.signature(f).parameters) == ["x", "other", "width"]
    assert inspect.getsource(f).startswith("def gaussian_kernel(")


def test_methods_made_of_a_class_are_checked_and_torchs_properties_stay() -> None:
    one = ONES.long()
    with pytest.raises(ArgumentError, match="parameter k_m='7'"):
        neuroidal_memory.JoinLink.learn(neuroidal_memory.RandomGraph(10, 2.0), one, one, one, k_m="7", k_a=1)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="parameter hidden=0"):
        attention.GatedUnit(3, 0)
    distribution = implicit_reparameterization.TruncatedNormal(0.0, 1.0, 0.0, 2.0)
    with pytest.raises(ValueError, match="within the support"):  # the support, being torch's, is asked
        distribution.log_prob(torch.tensor(3.0))


def test_a_wrong_number_among_integers_is_refused_where_it_was_rounded() -> None:
    """Each gave a wrong answer once, without a word."""
    with pytest.raises(ArgumentError, match="parameter a="):
        temporal_difference.one_pass(torch.eye(2).long(), ONES, 0.1)
    with pytest.raises(ArgumentError, match="parameter a="):
        implicit_reparameterization.marcum_q(torch.tensor(1), torch.tensor(1.0))
    with pytest.raises(ArgumentError, match="parameter start="):
        temporal_difference.play(torch.zeros(1, 4).long(), 3)


def test_a_module_is_checked_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("workings_toy")
    exec(
        "def shown(n: int) -> str: return n\n"
        "def hidden(n: int): return n\n"
        "class Thing:\n"
        "    def __init__(self, n: int): self.n = n\n"
        "    @property\n"
        "    def twice(self): return 2 * self.n\n"
        "    @classmethod\n"
        "    def of(cls, n: int): return cls(n)\n"
        "    @staticmethod\n"
        "    def one(n: int): return n\n"
        "VALUE = 3\n"
        "__all__ = ['shown', 'Thing', 'VALUE']\n",
        vars(module),
    )
    monkeypatch.setitem(importlib.import_module("sys").modules, "workings_toy", module)
    check_types("workings_toy")
    assert module.hidden("x") == "x"
    assert module.Thing.of(2).twice == 4
    assert (module.Thing.one(2), module.VALUE) == (2, 3)
    for call in (module.shown, module.Thing, module.Thing.of, module.Thing.one):
        with pytest.raises(ArgumentError, match="parameter n='x'"):
            call("x")
