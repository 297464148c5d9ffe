"""Public functions refuse arguments of a wrong type by name, not deep inside torch where they break something."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from types import FunctionType, UnionType
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch
from beartype import BeartypeConf, BeartypeViolationVerbosity, FrozenDict, beartype
from beartype.vale import Is
from numpy.typing import ArrayLike
from torch import Tensor


def at_least_0(x: float) -> bool:
    """Refuse negative numbers and NaN."""
    return x >= 0


def at_least_1(n: int) -> bool:
    """Refuse what counts nothing."""
    return n >= 1


def above_0(x: float) -> bool:
    """Refuse zero, negative numbers and NaN."""
    return x > 0


def of_floats(x: Tensor) -> bool:
    """Refuse integers, whose gradients and fractions there are not, and complex numbers."""
    return x.is_floating_point()


def of_integers(x: Tensor) -> bool:
    """Refuse what cannot be an index."""
    return not x.is_floating_point() and not x.is_complex() and x.dtype != torch.bool


class ArgumentError(TypeError, ValueError):
    """An argument has a wrong type, or a value that there cannot be."""


Whole = Annotated[int, Is[at_least_0]]
Count = Annotated[int, Is[at_least_1]]
NonNegative = Annotated[float, Is[at_least_0]]
Positive = Annotated[float, Is[above_0]]
Floats = Annotated[Tensor, Is[of_floats]]
Integers = Annotated[Tensor, Is[of_integers]]

P = ParamSpec("P")
T = TypeVar("T")
CHECK: Callable[[Any], Any] = beartype(
    conf=BeartypeConf(
        violation_param_type=ArgumentError,
        violation_verbosity=BeartypeViolationVerbosity.MINIMAL,
        is_color=False,
        # NumPy's numbers are numbers, and where a float is wanted an int will do
        hint_overrides=FrozenDict({int: int | np.integer, float: float | int | np.floating | np.integer}),
    )
)


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Return ``function`` with a check of its arguments, but not of what it returns or what lies in a sequence.

    Nor of ``*args``, which are one.

    Raises:
        ArgumentError: later, for an argument of another type than its annotation says; it names the argument.

    """
    written, hints = function.__annotations__, get_type_hints(function, include_extras=True)
    function.__annotations__ = {
        p.name: _outermost(hints[p.name])
        for p in inspect.signature(function).parameters.values()
        if p.name in hints and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }
    found: Callable[P, T] = CHECK(function)
    function.__annotations__ = found.__annotations__ = written
    return found


def _outermost(hint: Any) -> Any:
    """Return a hint without what it says of items, of which beartype looks at one drawn by chance.

    An array or a tensor is a sequence too, and for this package's own classes anything will do that acts like one.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and hint.__module__.startswith("workings."):
        return Any
    if origin is Sequence:
        return Sequence | np.ndarray | Tensor
    if origin in (Union, UnionType):
        return Any if set(get_args(ArrayLike)) <= set(inner) else reduce(or_, map(_outermost, inner))
    return hint if origin in (None, Annotated, Literal) else origin


def check_types(module: str) -> None:
    """Check, from now on, the arguments of a module's public functions and classes against their annotations.

    Args:
        module: one whose ``__all__`` names them, wherever in this package they are defined.

    """
    found = sys.modules[module]
    for name in found.__all__:
        public = getattr(found, name)
        if inspect.isclass(public) and not issubclass(public, tuple):  # a named tuple only holds what was found
            for method, function in list(vars(public).items()):  # not its properties: torch has some of its own
                if isinstance(function, FunctionType):
                    setattr(public, method, checked(function))
                elif isinstance(function, classmethod | staticmethod):
                    setattr(public, method, type(function)(checked(function.__func__)))
        elif inspect.isfunction(public):
            home = importlib.import_module(public.__module__)
            home.__dict__[name] = found.__dict__[name] = checked(public)  # in both, so that it can be pickled
