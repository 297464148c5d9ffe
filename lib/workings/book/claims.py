"""Claims: a result that is stated, measured, and known to reject what is wrong.

A claim says what a number must be, and carries in ``wrong`` what the wrong form gives (a flipped sign, the formula as
printed, the baseline without the idea). A claim that would accept ``wrong`` too proves nothing, and is an error.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import numpy as np
import torch

from workings.book.output import measured as mark
from workings.book.output import publish
from workings.book.parameters import current


class ClaimError(AssertionError):
    """What is stated is not what was measured."""


class ToothlessClaimError(ValueError):
    """The claim would accept what is wrong, or its tolerance hides the difference."""


@dataclass(frozen=True)
class Relation:
    """What a claim states of a value: within ``low`` and ``high``, or equal to ``equals`` within ``tolerance``."""

    equals: np.ndarray | None
    tolerance: np.ndarray
    low: float
    high: float
    words: str  # the same on every machine

    @classmethod
    def of(cls, equals: Any, below: Any, above: Any, between: Any, atol: float | None, rtol: float | None) -> Relation:
        """Make the relation from the arguments of `claim`; raise ``ValueError`` unless exactly one is given."""
        given = {"equals": equals, "below": below, "above": above, "between": between}
        named = [name for name, value in given.items() if value is not None]
        if len(named) != 1:
            raise ValueError(f"a claim takes one of {', '.join(given)}; got {' and '.join(named) or 'none'}")
        if equals is None:
            if atol is not None or rtol is not None:
                raise ValueError(f"atol and rtol go with equals=, not with {named[0]}=")
            low, high = between or (-math.inf if above is None else above, math.inf if below is None else below)
            bounds = " and ".join(f"{bound:g}" for bound in (low, high) if math.isfinite(bound))
            return cls(None, np.zeros(()), float(low), float(high), f"{named[0]} {bounds}")
        if atol is None and rtol is None:
            raise ValueError("equals= needs atol= or rtol=: how near is near enough?")
        reference = number(equals)
        near = ([f"{atol:g}"] if atol is not None else []) + ([f"a relative {rtol:g}"] if rtol is not None else [])
        tolerance = (atol or 0.0) + (rtol or 0.0) * np.abs(reference)
        return cls(reference, tolerance, -math.inf, math.inf, f"equals its reference within {' + '.join(near)}")

    def accepts(self, value: np.ndarray) -> bool:
        """Return whether every element of ``value`` is as claimed; of no elements, nothing is."""
        if not value.size:
            return False
        if self.equals is not None:
            return bool(np.all(np.abs(value - self.equals) <= self.tolerance))
        return bool(np.all((value > self.low) & (value < self.high)))

    def teeth(self, wrong: np.ndarray) -> str | None:
        """Return why ``wrong`` shows the claim to be toothless, or None."""
        if np.any(np.isnan(wrong)):
            return "wrong= holds NaN: every claim rejects that, so it shows nothing"
        if self.accepts(wrong):
            return f"it would also accept the wrong form ({_short(wrong)})"
        if self.equals is not None and not np.any(np.abs(wrong - self.equals) >= 3 * self.tolerance):
            return f"its tolerance exceeds a third of the distance to the wrong form ({_short(wrong)})"
        return None

    def margin(self, value: np.ndarray) -> np.ndarray:
        """Return how far each element of ``value`` is from breaking the claim; the least is the worst."""
        with np.errstate(invalid="ignore"):  # infinity less infinity
            if self.equals is not None:
                deviation: np.ndarray = np.abs(value - self.equals)
                return -deviation
            return np.minimum(value - self.low, self.high - value)


def claim(
    name: str,
    measured: Any,
    *,
    says: str,
    wrong: Any,
    equals: Any = None,
    below: float | None = None,
    above: float | None = None,
    between: tuple[float, float] | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    kind: str = "identity",
    contrast: str = "the wrong form",
) -> None:
    """State a result, show it as a card, and raise when it does not hold.

    Args:
        name: the claim's name in its chapter, by which prose quotes it.
        measured: what this run gave; a number, array or tensor.
        says: the statement, as a sentence.
        wrong: what the wrong form gives; the claim must reject it clearly.
        equals: the reference, with ``atol`` and/or ``rtol`` (absolute and relative tolerance).
        below: an upper bound.
        above: a lower bound.
        between: a lower and an upper bound.
        atol: absolute tolerance of ``equals``.
        rtol: relative tolerance of ``equals``.
        kind: ``"identity"`` holds at every valid parameter; ``"result"`` (trained or sampled) is claimed for the
            default parameters, and elsewhere only recorded.
        contrast: what gives ``wrong``, where it is no wrong form but the method that the claim compares with.

    Raises:
        ClaimError: the measured value is not what is claimed.
        ToothlessClaimError: the claim would also accept ``wrong``, or its tolerance exceeds a third of the distance.

    """
    relation = Relation.of(equals, below, above, between, atol, rtol)
    _state(name, measured, says, wrong, relation, kind, {"contrast": contrast})


def erratum(
    name: str,
    measured: Any,
    *,
    says: str,
    wrong: Any,
    equals: Any,
    where: str,
    printed: str,
    corrected: str,
    reading: str,
    atol: float | None = None,
    rtol: float | None = None,
) -> None:
    """Claim that a printed formula is wrong: the corrected one gives ``equals``, the printed one ``wrong``.

    Args:
        name: as in `claim`, and so ``measured``, ``says``, ``wrong``, ``equals``, ``atol`` and ``rtol``.
        measured: what the corrected form gives.
        says: the statement, as a sentence.
        wrong: what the form gives as printed.
        equals: an independent reference.
        where: where it is printed.
        printed: its LaTeX, as printed.
        corrected: its LaTeX, corrected.
        reading: the reading under which the printed form is right, or that there is none.
        atol: absolute tolerance.
        rtol: relative tolerance.

    Raises:
        ClaimError: the corrected form does not hold.
        ToothlessClaimError: the printed form would pass as well, so there is no erratum.

    """
    form = {"where": where, "printed": printed, "corrected": corrected, "reading": reading}
    extra = {"contrast": "the printed form", "erratum": form}
    _state(name, measured, says, wrong, Relation.of(equals, None, None, None, atol, rtol), "identity", extra)


def number(value: Any) -> np.ndarray:
    """Return a number, array or tensor as a float64 array."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().double().numpy()
    return np.asarray(value, dtype=np.float64)


def digits(value: float, tolerance: float) -> str:
    """Write ``value`` with as many digits as ``tolerance`` supports, and with six at most.

    >>> digits(0.69314718, 1e-3)
    '0.693'
    >>> digits(1234.5, 20.0)
    '1230'
    >>> digits(3.2e-9, 1e-12)
    '3.200e-09'
    """
    if not math.isfinite(value):
        return str(value)
    if tolerance <= 0 or value == 0:
        return f"{value:.3g}"
    lead = math.floor(math.log10(abs(value)))
    last = max(math.floor(math.log10(tolerance)), lead - 5)
    if lead < -4 or lead > 6:
        return f"{value:.{min(max(lead - last, 0), 12)}e}"
    return f"{round(value, -last):.{min(max(-last, 0), 12)}f}"


def _state(
    name: str, measured: Any, says: str, wrong: Any, relation: Relation, kind: str, extra: dict[str, Any]
) -> None:
    if kind not in ("identity", "result"):
        raise ValueError(f"kind is {kind!r}; a claim is an 'identity' or a 'result'")
    value, other = number(measured), number(wrong)
    if relation.equals is not None and relation.equals.size > 1 and value.shape != relation.equals.shape:
        raise ValueError(f"claim {name!r}: measured has shape {value.shape}, equals has {relation.equals.shape}")
    status = "holds" if kind == "identity" or current().is_default else "unclaimed"
    if status == "holds":
        fault = relation.teeth(other)
        if fault:
            raise ToothlessClaimError(f"claim {name!r}: {fault}; claimed: {relation.words}")
        if not relation.accepts(value):
            raise ClaimError(
                f"claim {name!r} does not hold: {says} Measured {_short(value)}, claimed: {relation.words}"
                + (f", reference {_short(relation.equals)}" if relation.equals is not None else "")
            )
    record = _record(name, says, value, other, relation, kind, status) | extra
    verdict = f"✓ {says}" if status == "holds" else f"not claimed at these parameters: {says}"
    publish(f"{verdict} [{relation.words}]", _card(record), {"claim": record})


def _record(
    name: str, says: str, value: np.ndarray, wrong: np.ndarray, relation: Relation, kind: str, status: str
) -> dict[str, Any]:
    """Make what tools read: numbers as they are, arrays by their largest deviation from the reference."""
    reference, shown = None, [_nearest(value, relation), _nearest(wrong, relation)]
    deviates = relation.equals is not None and max(value.size, relation.equals.size) > 1
    if relation.equals is not None:
        reference = 0.0 if deviates else float(relation.equals.reshape(-1)[0])
    if deviates:
        shown = [float(np.max(np.abs(form - relation.equals))) for form in (value, wrong)]
    return asdict(
        Record(
            name, says, kind, status, relation.words, _json(shown[0]), _json(shown[1]), reference,
            None if relation.equals is None else float(np.max(relation.tolerance)),
            None if math.isinf(relation.low) else relation.low,
            None if math.isinf(relation.high) else relation.high,
            deviates,
        )
    )  # fmt: skip


@dataclass(frozen=True)
class Record:
    """What a claim leaves behind in its output's metadata."""

    name: str
    says: str
    kind: str
    status: str
    relation: str
    measured: float | str
    wrong: float | str
    equals: float | None
    tolerance: float | None
    low: float | None
    high: float | None
    is_deviation: bool


def value_text(record: dict[str, Any], field: str = "measured") -> str:
    """Write one field of a claim's record with the digits that its tolerance supports."""
    value, tolerance = record[field], record["tolerance"]
    if value is None:
        raise ValueError(f"claim {record['name']!r} has no {field!r}")
    if isinstance(value, str):
        return value
    if tolerance is None or record["is_deviation"]:
        return f"{value:.3g}" if not 100 <= abs(value) < 1e6 else f"{value:.0f}"
    return digits(value, tolerance)


def _card(record: dict[str, Any]) -> str:
    holds, deviation = record["status"] == "holds", record["is_deviation"]
    bound = ("" if holds else "not claimed at these parameters; ") + "claimed: " + escape(record["relation"])
    shown = f"{'largest deviation' if deviation else 'measured'} {mark(value_text(record))}"
    if not deviation and record["equals"] is not None:
        shown += f", reference {mark(value_text(record, 'equals'))}"
    parts = {
        "wk-mark": "✓" if holds else "–",
        "wk-says": escape(record["says"]),
        "wk-measured": shown,
        "wk-bound": bound,
        "wk-wrong": f"{escape(record['contrast'])} gives {mark(value_text(record, 'wrong'))}",
    }
    spans = " ".join(f'<span class="{name}">{text}</span>' for name, text in parts.items())
    name = escape(record["name"])
    return f'<div class="wk-card wk-claim" data-status="{record["status"]}" id="claim-{name}">{spans}</div>'


def _nearest(value: np.ndarray, relation: Relation) -> float:
    """Return the element that is nearest to breaking a bound, or farthest beyond it."""
    margin = relation.margin(value)
    return float(np.broadcast_to(value, margin.shape).reshape(-1)[np.argmin(margin)])


def _json(value: float) -> float | str:
    """JSON has no infinity and no NaN: those are kept as words."""
    return value if math.isfinite(value) else str(value)


def _short(value: np.ndarray) -> str:
    return f"{value.reshape(-1)[0]:.6g}" if value.size == 1 else np.array2string(value, precision=4, threshold=6)
