"""A claim fails when it is false, and when it could not have failed."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest
import torch

from workings.book import ClaimError, ToothlessClaimError, claim, erratum, output, parameters
from workings.book.claims import digits, value_text
from workings.book.parameters import Parameter, begin

Page = list[tuple[dict[str, Any], dict[str, Any]]]
SAYS = "Half the square of two is two."


@pytest.fixture(autouse=True)
def page(monkeypatch: pytest.MonkeyPatch) -> Page:
    """What a notebook would show: the data and metadata of each output."""
    shown: Page = []
    monkeypatch.setattr(output, "get_ipython", object)
    monkeypatch.setattr(output, "display", lambda data, raw, metadata: shown.append((data, metadata)))
    monkeypatch.setattr(parameters, "_current", parameters.NO_RUN)
    return shown


def record_of(page: Page) -> dict[str, Any]:
    return page[-1][1]["workings"]["claim"]  # type: ignore[no-any-return]


def test_a_claim_that_holds_is_shown_and_recorded(page: Page) -> None:
    claim("half", 2.0004, says=SAYS, equals=2.0, atol=1e-3, wrong=4.0)
    data, _ = page[-1]
    assert data["text/plain"] == f"✓ {SAYS} [equals its reference within 0.001]"
    numbers = re.findall(r"(\w+) <data class=\"measured\">(.*?)</data>", data["text/html"])
    assert numbers == [("measured", "2.000"), ("reference", "2.000"), ("gives", "4.000")]
    assert 'data-status="holds" id="claim-half"' in data["text/html"]
    assert {"name": "half", "measured": 2.0004, "wrong": 4.0, "equals": 2.0, "status": "holds"}.items() <= record_of(
        page
    ).items()


@pytest.mark.parametrize(
    ("measured", "bounds"),
    [
        (2.1, {"equals": 2.0, "atol": 0.09}),
        (1.9, {"equals": 2.0, "atol": 0.09}),
        (2.1, {"equals": 2.0, "rtol": 0.04}),
        (2.5, {"below": 2.5}),
        (2.5, {"above": 2.5}),
        (0.9, {"between": (1.0, 3.0)}),
        (3.1, {"between": (1.0, 3.0)}),
        (math.nan, {"equals": 2.0, "atol": 0.1}),
        (math.nan, {"below": 2.5}),
        (torch.tensor([2.0, 2.2]), {"equals": 2.0, "atol": 0.1}),
        (np.array([2.0, 2.6]), {"below": 2.5}),
        (np.array([]), {"below": 2.5}),
        (torch.tensor([]), {"equals": 2.0, "atol": 0.1}),
    ],
)
def test_a_false_claim_raises_and_shows_nothing(measured: Any, bounds: dict[str, Any], page: Page) -> None:
    with pytest.raises(ClaimError, match=r"claim 'half' does not hold: Half .* Measured "):
        claim("half", measured, says=SAYS, wrong=-40.0 if "above" in bounds else 40.0, **bounds)
    assert not page


@pytest.mark.parametrize(
    ("wrong", "bounds", "why"),
    [
        (2.05, {"equals": 2.0, "atol": 0.1}, "also accept"),
        (2.29, {"equals": 2.0, "atol": 0.1}, "a third of the distance"),
        (1.71, {"equals": 2.0, "atol": 0.1}, "a third of the distance"),
        (2.29, {"equals": 2.0, "rtol": 0.05}, "a third of the distance"),
        (2.4, {"below": 2.5}, "also accept"),
        (2.6, {"above": 1.5}, "also accept"),
        (2.9, {"between": (1.0, 3.0)}, "also accept"),
        (math.nan, {"below": 2.5}, "NaN"),
        (np.array([2.0, 2.29]), {"equals": np.array([2.0, 2.0]), "atol": 0.1}, "a third of the distance"),
    ],
)
def test_a_toothless_claim_raises_though_it_is_true(wrong: Any, bounds: dict[str, Any], why: str) -> None:
    measured = np.full(np.shape(bounds.get("equals", 2.0)), 2.0)
    with pytest.raises(ToothlessClaimError, match=why):
        claim("half", measured, says=SAYS, wrong=wrong, **bounds)


def test_a_distance_of_three_tolerances_is_enough(page: Page) -> None:
    claim("half", 2.0, says=SAYS, equals=2.0, atol=0.125, wrong=2.375)
    claim("halves", [2.0, 2.0], says=SAYS, equals=[2.0, 2.0], atol=0.125, wrong=[2.0, 1.5])
    claim("far", 2.0, says=SAYS, equals=2.0, atol=0.125, wrong=[2.0, math.inf])
    assert (len(page), record_of(page)["wrong"]) == (3, "inf")


def test_nothing_is_broadcast_unseen() -> None:
    with pytest.raises(ValueError, match=r"measured has shape \(2, 1\), equals has \(2,\)"):
        claim("half", np.full((2, 1), 2.0), says=SAYS, equals=np.full(2, 2.0), atol=0.1, wrong=40.0)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "takes one of equals, below, above, between; got none"),
        ({"below": 1.0, "above": 0.0}, "got below and above"),
        ({"equals": 1.0}, "needs atol= or rtol="),
        ({"below": 1.0, "atol": 0.1}, "go with equals=, not with below="),
        ({"below": 1.0, "kind": "theorem"}, "kind is 'theorem'"),
    ],
)
def test_a_claim_that_says_no_one_thing_is_refused(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        claim("half", 0.5, says=SAYS, wrong=2.0, **arguments)


def off_the_defaults() -> None:
    begin("toy", {"steps": 4}, [Parameter("steps", 3, "steps", 1, 9)])


def test_off_the_defaults_a_result_is_unclaimed_and_still_recorded(page: Page) -> None:
    off_the_defaults()
    claim("trained", 9.0, says="It learns.", below=1.0, wrong=2.0, kind="result")
    assert page[-1][0]["text/plain"] == "not claimed at these parameters: It learns. [below 1]"
    assert "not claimed" in page[-1][0]["text/html"]
    assert (record_of(page)["status"], record_of(page)["measured"]) == ("unclaimed", 9.0)


def test_off_the_defaults_an_identity_still_raises() -> None:
    off_the_defaults()
    with pytest.raises(ClaimError):
        claim("half", 9.0, says=SAYS, below=1.0, wrong=2.0)


def test_at_the_defaults_a_result_raises() -> None:
    begin("toy", {"steps": 3}, [Parameter("steps", 3, "steps", 1, 9)])
    with pytest.raises(ClaimError):
        claim("trained", 9.0, says="It learns.", below=1.0, wrong=2.0, kind="result")


def test_an_array_is_recorded_by_what_is_nearest_to_breaking_the_claim(page: Page) -> None:
    claim("below", [0.1, 0.9, 0.5], says=SAYS, below=1.0, wrong=[0.0, 3.0])
    assert (record_of(page)["measured"], record_of(page)["wrong"]) == (0.9, 3.0)
    claim("between", [0.3, 0.95, 0.5], says=SAYS, between=(0.0, 1.0), wrong=-1.0)
    assert record_of(page)["measured"] == 0.95
    claim("equal", [1.0, 2.125], says=SAYS, equals=[1.0, 2.0], atol=0.2, wrong=[1.0, 3.0])
    assert (record_of(page)["measured"], record_of(page)["wrong"], record_of(page)["equals"]) == (0.125, 1.0, 0.0)
    assert "largest deviation" in page[-1][0]["text/html"]


def test_a_record_is_json_even_where_the_wrong_form_diverges(page: Page) -> None:
    claim("half", 2.0, says=SAYS, below=3.0, wrong=math.inf)
    assert json.loads(json.dumps(record_of(page), allow_nan=False))["wrong"] == "inf"


def test_the_text_does_not_depend_on_the_machine(page: Page) -> None:
    for machine in (0.0, 1e-6):
        claim("half", 2.0 + machine, says=SAYS, equals=2.0 + machine / 2, rtol=1e-3, wrong=4.0 + machine)
    (one, _), (other, _) = page
    assert one["text/plain"] == other["text/plain"]


def test_an_erratum_needs_a_printed_form_that_is_wrong(page: Page) -> None:
    tex: dict[str, Any] = {"printed": r"a = b^2", "corrected": r"a = b^2 / 2", "where": "Eq. 1.", "reading": "None."}
    erratum("half", 2.0, says=SAYS, equals=2.0, atol=0.1, wrong=4.0, **tex)
    assert record_of(page)["erratum"] == tex
    assert "the printed form gives" in page[-1][0]["text/html"]
    with pytest.raises(ToothlessClaimError):
        erratum("half", 2.0, says=SAYS, equals=2.0, atol=0.1, wrong=2.0, **tex)
    with pytest.raises(ClaimError, match=r"within 0\.25 \+ a relative 0\.125"):
        erratum("half", 2.51, says=SAYS, equals=2.0, atol=0.25, rtol=0.125, wrong=9.0, **tex)


def test_the_card_names_what_the_wrong_value_comes_from(page: Page) -> None:
    claim("half", 2.0, says=SAYS, below=3.0, wrong=4.0)
    claim("half", 2.0, says=SAYS, below=3.0, wrong=4.0, contrast="the <old> method")
    first, second = (data["text/html"] for data, _ in page)
    assert '<span class="wk-wrong">the wrong form gives <data class="measured">4</data>' in first
    assert '<span class="wk-wrong">the &lt;old&gt; method gives <data class="measured">4</data>' in second


def test_outside_a_notebook_the_verdict_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "get_ipython", lambda: None)
    claim("half", 2.0, says=SAYS, below=3.0, wrong=4.0)
    assert capsys.readouterr().out == f"✓ {SAYS} [below 3]\n"


@pytest.mark.parametrize(
    ("value", "tolerance", "text"),
    [
        (math.log(2), 1e-3, "0.693"),
        (-1234.5, 20.0, "-1230"),
        (3.2e-9, 1e-12, "3.200e-09"),
        (math.pi, 1e-12, "3.14159"),
        (999.96, 0.1, "1000.0"),
        (0.0, 0.1, "0"),
        (math.inf, 0.1, "inf"),
    ],
)
def test_digits_are_those_that_the_tolerance_supports(value: float, tolerance: float, text: str) -> None:
    assert digits(value, tolerance) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "0.123"), (12.345, "12.3"), (100.4, "100"), (-4567.8, "-4568"), (1e6, "1e+06")]
)
def test_a_bounded_number_is_written_with_three_digits_or_whole(value: float, text: str, page: Page) -> None:
    claim("some", value, says=SAYS, above=-9e9, wrong=-1e10)
    assert value_text(record_of(page)) == text


def test_a_field_that_a_claim_does_not_have_is_named(page: Page) -> None:
    claim("half", 2.0, says=SAYS, below=3.0, wrong=4.0)
    assert value_text(record_of(page), "wrong") == "4"
    with pytest.raises(ValueError, match="claim 'half' has no 'equals'"):
        value_text(record_of(page), "equals")
