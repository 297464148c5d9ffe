"""When is an answer to bad data right? Rules that prove it, by kind of fault; what no rule proves counts as wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from bad_data.faults import HUGE, moved, replaced


@dataclasses.dataclass
class Trial:
    """One argument (or item of it), spoiled; ``run(value)`` calls with another one, ``bad`` is what came back."""

    value: Any
    spoiled: Any
    run: Callable[[Any], Any]
    valid: list[Any]
    bad: list[Any]
    coupled: bool  # whether this one entry may reach all that comes out: a number for all, a part of a linear system

    def tried(self, values: Any) -> list[list[Any]]:
        """Return what the function gives for those of ``values`` that it takes."""
        found = []
        for value in values:
            try:
                found.append(leaves(self.run(value)))
            except Exception:  # not valid, so it tells nothing
                continue
        return found


Rule = Callable[[Trial], bool]


def leaves(result: Any) -> list[Any]:
    """Return arrays, words and None that a result is made of, in order."""
    if isinstance(result, Tensor):
        return [result.detach().resolve_conj().cpu().numpy()]
    if isinstance(result, np.ndarray | np.generic | int | float | complex):
        return [np.asarray(result)]
    if isinstance(result, list | tuple):
        if result and all(isinstance(one, int | float) and not isinstance(one, bool) for one in result):
            return [np.asarray(result)]
        found = [leaf for one in result for leaf in leaves(one)]
        return found if isinstance(result, tuple) else [len(result), *found]
    if isinstance(result, Mapping):
        return leaves(list(result.items()))
    if isinstance(result, nn.Module):
        return [leaf for x in result.state_dict().values() for leaf in leaves(x)]
    if dataclasses.is_dataclass(result):
        return [leaf for field in dataclasses.fields(result) for leaf in leaves(getattr(result, field.name))]
    if result is None or isinstance(result, str) or callable(result):
        return [result]
    raise TypeError(f"nothing is known of a {type(result).__name__}: let the case return what it is made of")


def close(a: Any, b: Any) -> bool:
    """Tell whether two leaves are equal, up to rounding."""
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return type(a) is type(b) and bool(a == b)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=True))


def same(a: list[Any], b: list[Any]) -> bool:
    """Tell whether two results are equal, up to rounding."""
    return len(a) == len(b) and all(map(close, a, b))


def unused(trial: Trial) -> bool:
    """The answer is that to the valid argument: it is not looked at here."""
    return same(trial.bad, trial.valid)


def reshaped(trial: Trial) -> bool:
    """The same numbers come out in another shape: each goes its own way."""
    return same([np.ravel(leaf) for leaf in trial.bad], [np.ravel(leaf) for leaf in trial.valid])


def as_floats(trial: Trial) -> bool:
    """Integers and truth values give what the same numbers as floats give."""
    like = trial.value.dtype
    if isinstance(trial.value, np.ndarray):
        return same(trial.bad, leaves(trial.run(trial.spoiled.astype(like))))
    return same(trial.bad, leaves(trial.run(trial.spoiled.to(like))))


def rows(trial: Trial) -> bool:
    """A further dimension makes a batch: its rows' answers, one above the other."""
    if not trial.spoiled.shape[0]:
        return False
    each = [leaves(trial.run(row)) for row in trial.spoiled]
    if len({len(one) for one in each}) > 1 or not all(isinstance(leaf, np.ndarray) for one in each for leaf in one):
        return False
    if any(len({leaf.shape for leaf in leaf_of_all}) > 1 for leaf_of_all in zip(*each, strict=True)):
        return False
    return same(trial.bad, [np.stack(leaf_of_all) for leaf_of_all in zip(*each, strict=True)])


def propagates(trial: Trial) -> bool:
    """NaN comes out where the entry has an effect, as finite changes of it show, and nothing else changes.

    So it is right for what lies outside the domain too: there a function of it is not defined.
    A coupled one may spoil all: zero times NaN is NaN too.
    """
    others = [o for o in trial.tried(moved(trial.value)) if _alike(o, trial.valid)]
    if not others or not _alike(trial.bad, trial.valid):
        return False
    for i, (bad, valid) in enumerate(zip(trial.bad, trial.valid, strict=True)):
        if not isinstance(bad, np.ndarray):
            if bad != valid or any(other[i] != valid for other in others):
                return False
            continue
        affected = np.any([other[i] != valid for other in others], 0)
        nan = np.isnan(bad)
        kept = ~affected & ~(nan & trial.coupled)
        if not bool(np.all(nan[affected])) or not close(bad[kept], valid[kept]):
            return False
    return True


def follows_a_law(trial: Trial) -> bool:
    """At 1e10, 1e20 and 1e30 stand constants, a power, a logarithm or x log x, or what grows beyond all numbers."""
    whole = isinstance(trial.value, int)
    found = [leaves(trial.run(replaced(trial.value, int(huge) if whole else huge))) for huge in HUGE]
    if not (_alike(found[0], found[1]) and _alike(found[1], found[2])):
        return False
    return all(_is_law(*three) for three in zip(*found, strict=True))


def _is_law(low: Any, middle: Any, high: Any) -> bool:
    if not isinstance(high, np.ndarray) or not np.issubdtype(high.dtype, np.floating):
        return close(high, middle) and close(low, middle)
    with np.errstate(all="ignore"):
        power = np.isclose(np.log(np.abs(low)) + np.log(np.abs(high)), 2 * np.log(np.abs(middle)), rtol=1e-4, atol=1e-6)
        power &= (np.sign(low) == np.sign(middle)) & (np.sign(middle) == np.sign(high))
        logarithm = np.isclose(low + high, 2 * middle, rtol=1e-5)
        logarithm |= np.isclose(low / HUGE[0] + high / HUGE[2], 2 * middle / HUGE[1], rtol=1e-5)  # times x
        vanishes = (np.abs(high) <= np.abs(middle)) & (np.abs(middle) <= np.abs(low)) & (np.abs(low) < 1e-6)
        overflows = np.isinf(high) & (np.abs(middle) >= np.abs(low)) & ~np.isnan(middle)
    return bool(np.all((np.isfinite(high) & (power | logarithm | vanishes)) | overflows))


def is_the_limit(trial: Trial) -> bool:
    """At infinity stands what 1e30 gives, or no finite number where that is still on its way."""
    huge = leaves(trial.run(replaced(trial.value, HUGE[-1])))
    if not _alike(huge, trial.bad):
        return False
    for bad, near, valid in zip(trial.bad, huge, trial.valid, strict=True):
        if not isinstance(bad, np.ndarray) or not np.issubdtype(bad.dtype, np.floating):
            if not close(bad, near):
                return False
            continue
        reached = np.isclose(bad, near, rtol=1e-4, atol=1e-9, equal_nan=True)
        affected = near != valid if near.shape == valid.shape and not trial.coupled else np.ones(near.shape, dtype=bool)
        if not bool(np.all(reached | (~np.isfinite(bad) & affected))):
            return False
    return True


def affine(trial: Trial) -> bool:
    """Complex numbers go through a function of the first degree: f(x + iy) = f(x) + i (f(y) - f(0))."""
    x, y = trial.spoiled.real, trial.spoiled.imag
    parts = [leaves(trial.run(value)) for value in (x, y, 0 * y)]
    if not all(isinstance(leaf, np.ndarray) for part in [trial.bad, *parts] for leaf in part):
        return False
    return same(trial.bad, [real + 1j * (imaginary - zero) for real, imaginary, zero in zip(*parts, strict=True)])


def empty_of_its_shape(trial: Trial) -> bool:
    """No entries in, none out: the shapes are what one and all entries make one expect of none."""
    n = len(trial.value)
    if n < 2:
        return False
    one = leaves(trial.run(trial.value[:1]))
    if len({len(one), len(trial.valid), len(trial.bad)}) > 1:
        return False
    for first, whole, none in zip(one, trial.valid, trial.bad, strict=True):
        if not (isinstance(first, np.ndarray) and first.ndim == whole.ndim == none.ndim):
            return False
        expected = [a - (b - a) // (n - 1) for a, b in zip(first.shape, whole.shape, strict=True)]
        if list(none.shape) != expected or none.size:
            return False
    return True


def _alike(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(
        x.shape == y.shape if isinstance(x, np.ndarray) and isinstance(y, np.ndarray) else type(x) is type(y)
        for x, y in zip(a, b, strict=True)
    )


def undefined(trial: Trial) -> bool:
    """All that comes out is NaN."""
    return all(isinstance(leaf, np.ndarray) and bool(np.isnan(leaf).all()) for leaf in trial.bad)


def gives(*expected: Any) -> Rule:
    """Return the rule that the answer is ``expected``."""
    wanted = [leaf for one in expected for leaf in leaves(one)]
    return lambda trial: same(trial.bad, wanted)


def as_if(value: Any) -> Rule:
    """Return the rule that the answer is that to another, valid value of the argument."""
    return lambda trial: same(trial.bad, leaves(trial.run(value)))


GENERAL: dict[str, Rule] = {
    "shape": rows, "integers": as_floats, "bool": as_floats, "nan": propagates, "inf": is_the_limit,
    "huge": follows_a_law, "empty": empty_of_its_shape, "complex": affine, "negative": propagates,
}  # fmt: skip
