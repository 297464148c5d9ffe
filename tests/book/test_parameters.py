"""The table of parameters stops what it does not know, and lets through what it does."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from workings.book import output, parameters
from workings.book.parameters import NO_RUN, Parameter, begin, current, seeded

TABLE = [
    Parameter("seed", 0, "seed of every draw", 0, 99),
    Parameter("rate", 0.5, "learning rate", 0.0, 1.0, quick=0.25, full=1.0),
    Parameter("method", "euler", "how to step", choices=("euler", "midpoint")),
    Parameter("noisy", False, "whether to add noise"),
    Parameter("device", "auto", "where to run", choices=("auto", "cpu", "cuda")),
]
GOOD: dict[str, Any] = {"seed": 0, "rate": 0.5, "method": "euler", "noisy": False, "device": "cpu"}


@pytest.fixture(autouse=True)
def no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "_current", NO_RUN)


def test_good_parameters_start_a_run() -> None:
    run = begin("toy", GOOD, TABLE)
    assert current() is run
    assert (run.chapter, dict(run.values), run.device.type, run.is_default) == ("toy", GOOD, "cpu", True)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"seed": 100}, "parameter 'seed' is 100; allowed: int from 0 to 99"),
        ({"seed": -1}, "parameter 'seed' is -1"),
        ({"seed": 1.0}, r"parameter 'seed' is 1.0 \(float\); allowed: int from 0 to 99"),
        ({"seed": True}, r"'seed' is True \(bool\)"),
        ({"seed": "1"}, r"'seed' is '1' \(str\)"),
        ({"noisy": 1}, r"'noisy' is 1 \(int\); allowed: bool"),
        ({"rate": 1.01}, "'rate' is 1.01; allowed: float from 0.0 to 1.0"),
        ({"rate": math.nan}, "'rate' is nan"),
        ({"rate": 10**400}, r"'rate' is 10+ \(int\); allowed: float from 0.0 to 1.0"),  # more than a float holds
        ({"method": "heun"}, "'method' is 'heun'; allowed: one of 'euler', 'midpoint'"),
        ({"In": ["", "# parameters\nseeed = 3"]}, "'seeed' is unknown; the parameters of toy are seed, rate, method"),
        ({"In": ["# parameters\nseed = 3", "# Parameters\nsead: int = 3"]}, "'sead' is unknown"),
    ],
)
def test_a_bad_parameter_stops_with_its_name_and_what_is_allowed(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        begin("toy", GOOD | change, TABLE)
    assert current() is NO_RUN


def test_before_a_run_there_is_none_and_the_device_is_the_cpu() -> None:
    assert (current().chapter, dict(current().values), current().device.type) == ("", {}, "cpu")


def test_a_missing_parameter_and_a_bad_one_are_both_named() -> None:
    with pytest.raises(ValueError, match=r"'rate' is missing; .* from 0.0 to 1.0; parameter 'method' is 3"):
        begin("toy", {k: v for k, v in GOOD.items() if k != "rate"} | {"method": 3}, TABLE)


def test_a_misspelt_name_that_was_mended_no_longer_counts() -> None:
    cells = ["# parameters\nseeed = 3", "x = 1", "# parameters\nseed = 3"]
    assert begin("toy", GOOD | {"In": cells}, TABLE).is_default


def test_a_parameters_cell_that_is_no_python_was_not_run_and_does_not_count() -> None:
    cells = ["# parameters\nseed = = 3", "# parameters\nseed = 3"]
    assert not begin("toy", GOOD | {"In": cells, "seed": 3}, TABLE).is_default
    with pytest.raises(ValueError, match="'sead' is unknown"):
        begin("toy", GOOD | {"In": [*cells, "# Parameters\nsead = 3"]}, TABLE)


def test_names_outside_the_parameters_cell_are_free() -> None:
    begin("toy", GOOD | {"In": ["other = 1"], "other": 1}, TABLE)


@pytest.mark.parametrize(
    ("change", "is_default"), [({"rate": 0.25}, False), ({"seed": 1}, False), ({"device": "auto"}, True)]
)
def test_results_are_claimed_at_the_defaults_on_any_device(change: dict[str, Any], is_default: bool) -> None:
    assert begin("toy", GOOD | change, TABLE).is_default is is_default


def test_an_integer_is_taken_for_a_float_and_becomes_one() -> None:
    value = begin("toy", GOOD | {"rate": 1}, TABLE).values["rate"]
    assert (type(value), value) == (float, 1.0)


def test_without_a_card_cuda_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert begin("toy", GOOD | {"device": "auto"}, TABLE).device.type == "cpu"
    with pytest.raises(ValueError, match="'device' is 'cuda', and this torch sees no CUDA device"):
        begin("toy", GOOD | {"device": "cuda"}, TABLE)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_without_a_range_a_float_is_finite_too(value: float) -> None:
    shift = Parameter("shift", 0.5, "how far")
    assert shift.refuse(value) == f"parameter 'shift' is {value!r} (float); allowed: float"
    assert shift.refuse(-(10.0**300)) is None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"low": 1}, "low=1 and high=None"),
        ({"low": 1, "high": 2}, "default of parameter 'steps' is 3; allowed: int from 1 to 2"),
        ({"low": 1, "high": 9, "full": 90}, "full of parameter 'steps' is 90"),
        ({"low": 1, "high": 9, "quick": 0}, "quick of parameter 'steps' is 0"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Parameter("steps", 3, "number of steps", **arguments)


def test_the_table_is_shown_and_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(output, "get_ipython", object)
    monkeypatch.setattr(output, "display", lambda data, raw, metadata: shown.append((data, metadata)))
    begin("toy", GOOD, TABLE)
    data, metadata = shown[0]
    assert data["text/plain"] == "parameters of toy: the defaults"
    assert "<code>rate</code></td><td>0.5</td><td>0.25</td><td>1.0</td>" in data["text/html"]
    rate = metadata["workings"]["parameters"]["table"][1]
    assert (rate["name"], rate["default"], rate["quick"], rate["full"]) == ("rate", 0.5, 0.25, 1.0)


def test_seeded_repeats_its_draws_and_restores_the_global_state() -> None:
    before = torch.random.get_rng_state()
    with seeded(3):
        first = torch.rand(2)
    assert torch.equal(torch.random.get_rng_state(), before)
    with seeded(3):
        assert torch.equal(torch.rand(2), first)
    with seeded(4):
        assert not torch.equal(torch.rand(2), first)


def test_seeded_restores_the_state_after_an_error_too() -> None:
    before = torch.random.get_rng_state()
    with pytest.raises(KeyError), seeded(3):
        raise KeyError(float(torch.rand(())))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_network_is_built_alike_from_a_seed_and_a_stream() -> None:
    run, other = begin("toy", GOOD, TABLE), begin("toy", GOOD | {"seed": 1}, TABLE)
    before = torch.random.get_rng_state()
    networks = [
        r.build(lambda: torch.nn.Linear(2, 2), stream) for r, stream in ((run, 0), (run, 0), (run, 1), (other, 0))
    ]
    assert torch.equal(torch.random.get_rng_state(), before)
    same, again, stream, seed = [network.weight for network in networks]
    assert torch.equal(same, again)
    assert not torch.equal(same, stream)
    assert not torch.equal(same, seed)


def test_a_generator_is_on_the_cpu_and_each_stream_is_its_own() -> None:
    run, other = begin("toy", GOOD, TABLE), begin("toy", GOOD | {"seed": 1}, TABLE)
    assert run.generator().device.type == "cpu"
    seeds = [run.generator(), run.generator(1), other.generator(), other.generator(1)]
    assert len({g.initial_seed() for g in seeds}) == 4
    assert torch.equal(torch.rand(2, generator=run.generator(1)), torch.rand(2, generator=run.generator(1)))
