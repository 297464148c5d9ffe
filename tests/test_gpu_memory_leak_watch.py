"""The watch: what leaks is called leaking, by how much, where and held by whom; what levels off is called steady."""

from __future__ import annotations

import collections
import gc
import itertools
import random
import re
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from workings.gpu_memory_leak import Report, break_cycles, fit_growth, holder, normalize_, smallest_leak, watch
from workings.gpu_memory_leak.__main__ import load, main
from workings.gpu_memory_leak.growth import line
from workings.gpu_memory_leak.watch import COARSE, resident_bytes, size

WEIGHT = torch.ones(10, 16, requires_grad=True)
KEPT: list[Any] = []  # what the leaking steps fill


@pytest.fixture(autouse=True)
def emptied() -> Iterator[None]:
    """Empty what a test has filled."""
    KEPT.clear()
    yield
    KEPT.clear()


@pytest.fixture
def quick_collections() -> Iterator[None]:
    """Let the collector pass over what is there already; then it cannot tell who holds what either."""
    gc.freeze()
    yield
    gc.unfreeze()


def report(step: Callable[[], object], calls: int = 30) -> Report:
    watched = watch(step)
    for _ in range(calls):
        watched()
    return watched.report()


def activation() -> Tensor:
    return WEIGHT * 2


# ---- what leaks ----


def norm() -> None:
    x = activation()
    x /= torch.norm(x, dim=-1, keepdim=True)


def losses() -> None:
    KEPT.append(activation().square().sum())


def errors() -> None:
    x = activation().detach()
    try:
        raise ValueError(x.shape)
    except ValueError as error:
        KEPT.append(error)


def closures() -> None:
    x = activation().detach()
    KEPT.append(lambda: x)


def hooks() -> None:
    x = activation()
    KEPT.append(x.grad_fn)


def now_and_then() -> None:
    now_and_then.count += 1  # type: ignore[attr-defined]
    if now_and_then.count % 4 == 0:  # type: ignore[attr-defined]
        KEPT.append(torch.ones(40))


now_and_then.count = 0  # type: ignore[attr-defined]


def hidden() -> None:
    x = activation()
    x[:, 0] *= x[:, 1]


ACTIVATION = 10 * 16 * 4


@pytest.mark.parametrize(
    ("step", "rate", "why"),
    [
        (norm, 2 * ACTIVATION + 40, "in a cycle that Python cannot see: DivBackward0 overwrote what LinalgVectorNorm"),
        (losses, ACTIVATION + 4, "saved for the backward pass of the tensor held by KEPT in module "),
        (errors, ACTIVATION, "held by KEPT in module "),
        (closures, ACTIVATION, "held by KEPT in module "),
        (now_and_then, 40, "held by KEPT in module "),
        (hidden, ACTIVATION + 40, "no name in Python holds it, and no cycle that torch shows"),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_leaks_are_found_measured_and_explained(step: Callable[[], None], rate: float, why: str) -> None:
    found = report(step, 40)
    assert found.is_leaking
    assert found.verdict == f"leaking: {size(found.memory.rate)} a call"
    assert found.memory.rate == pytest.approx(rate, rel=0.05 if step is now_and_then else 1e-9)
    assert found.stays[0].why.startswith(why)
    assert found.stays[0].line.partition(" in ")[2] in (step.__name__, "activation")
    assert found.stays[0].dtype == "float32"
    assert "test_gpu_memory_leak_watch.py:" in str(found)


def test_what_hangs_on_a_cycle_is_told_from_what_lies_on_it() -> None:
    reasons = [one.why for one in report(norm).stays]
    assert reasons[1] == "saved for the backward pass of that cycle"
    assert [reason.partition(":")[0] for reason in (reasons[0], reasons[2])] == [
        "in a cycle that Python cannot see"
    ] * 2  # fmt: skip


def test_each_reason_belongs_to_its_tensor_and_the_largest_comes_first() -> None:
    def both() -> None:
        KEPT.append((WEIGHT[:2] * 2).sin())
        hidden()

    stays = report(both).stays
    assert [one.bytes for one in stays] == sorted((one.bytes for one in stays), reverse=True)
    assert "no name in Python holds it" in stays[0].why
    assert {one.why.partition("KEPT")[0] for one in stays[1:3]} == {
        "held by ", "saved for the backward pass of the tensor held by ",
    }  # fmt: skip


def test_a_tensor_that_larger_ones_replace_is_seen() -> None:
    KEPT.append(torch.ones(10))

    def step() -> None:
        KEPT[0] = torch.cat((KEPT[0], torch.ones(10)))

    found = report(step)
    assert not found.is_leaking
    assert found.verdict == "growing: 40 B a call, in a tensor that is replaced by larger ones"


def test_now_and_then_a_larger_one_is_no_growth_of_their_number() -> None:
    calls = 0

    def step() -> None:
        nonlocal calls
        calls += 1
        if calls % 6 == 1:
            KEPT[:] = [torch.ones(100 * calls)]

    found = report(step, 60)
    assert not found.is_leaking
    assert found.verdict.startswith("growing: ")


def test_what_is_held_by_an_exception_is_told_from_the_list_to_the_local() -> None:
    (one,) = report(errors).stays
    assert one.why.endswith("→ list → ValueError → traceback → x in a frame of errors")
    assert (one.count, one.bytes, one.shape, one.operation) == (30, 30 * ACTIVATION, (10, 16), "mul")


def test_a_leak_of_kilobytes_among_states_of_megabytes_is_found() -> None:
    rng = random.Random(0)
    state: dict[str, Tensor] = {}

    def step() -> None:
        state["last"] = torch.ones(rng.randrange(100_000, 500_000))  # 1 MB or so, another size each time
        KEPT.append(torch.ones(500))  # 2 kB

    found = report(step, 50)
    assert found.verdict == "leaking: 1.95 KiB a call"
    assert np.std(found.bytes) > 100 * found.memory.rate  # by all live bytes it would not have been seen
    assert not fit_growth(found.bytes).grows


def test_leaks_of_changing_size_are_found() -> None:
    rng = random.Random(0)
    found = report(lambda: KEPT.append(torch.ones(rng.randrange(1, 2000))), 50)
    assert found.is_leaking
    assert abs(found.memory.rate - 4000) < 4 * found.memory.error < 4000


def test_a_queue_whose_entries_become_larger_is_growth_but_no_leak() -> None:
    """Tensors that have outlived their call are no more, call by call: only their bytes are."""
    queue, sizes = collections.deque[Tensor](maxlen=20), itertools.count(1000, 10)
    found = report(lambda: queue.append(torch.ones(next(sizes))), 100)
    assert found.memory.grows
    assert not found.tensors.grows
    assert not found.is_leaking
    assert found.verdict.endswith("a call, in a tensor that is replaced by larger ones")


def test_memory_that_no_tensor_explains_is_seen_by_the_second_witness() -> None:
    found = report(lambda: KEPT.append(np.ones(500_000)), 20)  # 4 MB
    assert not found.is_leaking
    assert found.elsewhere == "resident memory"
    assert found.verdict.startswith("growing: 3.8")
    assert found.verdict.endswith("MiB a call by resident memory, and not in tensors")


# ---- what does not ----


def levels_off(at: int) -> Callable[[], None]:
    return lambda: KEPT.append(torch.ones(50)) if len(KEPT) < at else None


def bounded() -> Callable[[], None]:
    window: collections.deque[Tensor] = collections.deque(maxlen=4)
    return lambda: window.append(torch.ones(50))


def replaced() -> Callable[[], None]:
    rng = random.Random(1)
    state: dict[str, Tensor] = {}
    return lambda: state.update(last=torch.ones(rng.randrange(1, 10_000)))


def doubling() -> Callable[[], None]:
    used, buffer = 0, torch.ones(1)

    def step() -> None:
        nonlocal used, buffer
        used += 1
        if used > len(buffer):
            buffer = torch.ones(2 * len(buffer))

    return step


def training(make: Callable[..., torch.optim.Optimizer], **options: Any) -> Callable[[], None]:
    model = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.BatchNorm1d(16), torch.nn.Linear(16, 1))
    optimizer = make(model.parameters(), lr=1e-3, **options)

    def step() -> None:
        optimizer.zero_grad()
        model(torch.randn(8, 16)).square().mean().backward()
        optimizer.step()

    return step


def garbage() -> None:
    x = activation()
    try:
        raise ValueError(x.shape)
    except ValueError as error:
        kept = [error]  # a cycle of error and frame, which only Python's collector frees
        del error
    assert kept


def in_place_and_safe() -> None:
    x = activation()
    normalize_(x)
    (x + 1).mul_(torch.sigmoid(x)).exp_().sum().backward()


def raises_and_goes_on() -> None:
    x = activation()
    y = x.sin()
    x += 1
    with pytest.raises(RuntimeError, match="inplace"):
        y.sum().backward()


@pytest.mark.usefixtures("quick_collections")
@pytest.mark.parametrize(
    "step",
    [
        levels_off(5), levels_off(18), bounded(), replaced(), doubling(), garbage, in_place_and_safe,
        raises_and_goes_on, training(torch.optim.SGD, momentum=0.9), training(torch.optim.AdamW),
        training(torch.optim.Adam, amsgrad=True), lambda: torch.ones(50) @ torch.ones(50), lambda: None,
    ],
)  # fmt: skip
def test_no_false_alarm(step: Callable[[], None]) -> None:
    found = report(step, 40)
    assert found.verdict == "steady"
    assert found.stays == []
    assert not found.is_leaking


@pytest.mark.usefixtures("quick_collections")
def test_what_only_the_collector_frees_is_told_apart() -> None:
    gc.collect()
    gc.disable()
    try:
        found = report(garbage)
    finally:
        gc.enable()
    assert found.bytes == [ACTIVATION * n for n in range(1, 31)]
    assert found.garbage == 30 * ACTIVATION
    assert found.outlived == [0] * 30
    assert "freed by Python's collector only: 18.75 KiB" in str(found)


# ---- counting ----


@pytest.mark.usefixtures("quick_collections")
def test_live_tensors_are_counted_after_each_call() -> None:
    def step() -> None:
        KEPT.append((torch.ones(4), torch.ones(4)[1:]))  # the view needs no memory of its own
        if len(KEPT) == 5:
            del KEPT[0], KEPT[2]

    found = report(step, 8)
    assert found.live == [2, 4, 6, 8, 6, 8, 6, 8]
    assert found.bytes == [16 * n for n in found.live]
    assert found.calls == 8


@pytest.mark.usefixtures("quick_collections")
def test_only_what_is_a_tenth_of_all_calls_old_counts_as_growth() -> None:
    window: collections.deque[Tensor] = collections.deque(maxlen=5)
    assert report(lambda: window.append(torch.ones(1)), 40).outlived == [0] * 4 + [4] * 36
    assert report(lambda: window.append(torch.ones(1)), 60).outlived == [0] * 60
    assert report(lambda: KEPT.append(torch.ones(1)), 20).outlived == [0, 0, *(4 * n for n in range(1, 19))]


@pytest.mark.usefixtures("quick_collections")
def test_memory_that_was_there_before_is_not_counted() -> None:
    weight, inputs = torch.ones(4, 4), torch.ones(4)

    def step() -> None:
        KEPT.extend((weight.t(), weight[0], inputs.add_(1), inputs.detach()))

    assert report(step, 8).live == [0] * 8


def test_tensors_made_from_numbers_are_counted() -> None:
    def step() -> None:
        KEPT.extend((torch.tensor([1.0, 2.0]), torch.as_tensor([1]), torch.zeros(2).to(torch.float64)))

    assert report(step, 8).bytes == [(8 + 8 + 16) * n for n in range(1, 9)]


def test_tensors_without_memory_of_their_own_do_no_harm() -> None:
    def step() -> None:
        KEPT.append(torch.ones(3, 3).to_sparse())
        torch.ones(2, device="meta")
        torch.tensor(1.0).item()

    assert report(step, 8).is_leaking  # by the indices and values


def test_a_report_keeps_nothing_alive() -> None:
    watched = watch(losses)
    for _ in range(10):
        watched()
    found, gone = watched.report(), weakref.ref(KEPT[0])
    assert found.is_leaking
    KEPT.clear()
    assert gone() is None
    assert watched.report().live != []


@pytest.mark.usefixtures("quick_collections")
def test_survivors_lead_to_the_cycles_and_can_be_freed() -> None:
    watched = watch(norm)
    for _ in range(10):
        watched()
    assert len(watched.survivors()) >= 30
    assert break_cycles(*watched.survivors()) == 10
    assert watched.survivors() == []


@pytest.mark.usefixtures("quick_collections")
def test_as_a_context_manager_and_through_an_error() -> None:
    memory = watch()
    for n in range(10):
        KEPT.append(torch.ones(5))  # outside: not watched
        with suppress(KeyError), memory:
            if n % 2:
                raise KeyError(n)
            KEPT.append(torch.ones(3))
    assert memory.report().live == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    with pytest.raises(TypeError, match="given no step"):
        memory()


def test_arguments_and_results_pass_through() -> None:
    assert watch(lambda a, b=1: a - b)(5, b=3) == 2


def test_switched_off_it_measures_nothing() -> None:
    off = watch(losses, enabled=False)
    with off:
        torch.ones(3).add(1)
        assert off.blocks.known == {}
        for _ in range(10):
            off()
    assert len(KEPT) == 10
    assert off.live == []
    with pytest.raises(ValueError, match="0 calls were watched; a report needs at least 8"):
        off.report()


def test_resident_memory_is_that_of_this_process() -> None:
    before = resident_bytes()
    block = np.ones(4_000_000)
    assert 0.9 * block.nbytes < resident_bytes() - before < 1.5 * block.nbytes
    told = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert told
    assert resident_bytes() == pytest.approx(1024 * int(told[1]), rel=0.05)
    assert COARSE == 1e6


def test_sizes_for_people() -> None:
    assert [size(n) for n in (0, 1023, 1024, 2**20, 5000 * 2**20, -2048)] == [
        "0 B", "1023 B", "1.00 KiB", "1.00 MiB", "5000.00 MiB", "-2.00 KiB",
    ]  # fmt: skip


# ---- who holds it ----


class Trainer:
    def __init__(self) -> None:
        self.history: list[Any] = []


def test_holders_are_named() -> None:
    trainer, x = Trainer(), [torch.ones(1)]
    trainer.history.append({"loss": x[0]})
    assert holder(x[0], ignore=[x]) == "attribute history of Trainer → list"
    trainer.history.clear()
    KEPT.append((x[0],))
    assert holder(x[0], ignore=[x]) == f"KEPT in module {__name__} → list → tuple"
    KEPT.clear()
    assert holder(x[0]) == "x in a frame of test_holders_are_named → list"

    def generate() -> Iterator[Tensor]:
        y = x.pop()
        yield y

    going = generate()
    y = weakref.ref(next(going))
    KEPT.append(going)
    del going
    assert holder(y()).startswith(f"KEPT in module {__name__} → list → generator")
    assert holder(weakref.ref) != ""


def test_asking_keeps_nothing() -> None:
    x = [torch.ones(1)]
    gone = weakref.ref(x[0])
    y = x[0]
    assert holder(y, ignore=[x]) == "y in a frame of test_asking_keeps_nothing"
    del y
    x.clear()
    assert gone() is None


def test_nobody_holds_what_is_only_looked_at() -> None:
    assert holder(type("Unheld", (), {})(), ignore=[sys._getframe()]) == ""


# ---- growth ----


@pytest.mark.parametrize("seed", range(5))
def test_the_line_is_that_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = 1e3 * rng.normal(size=41) + 7e2 * np.arange(41) + 5e4
    rate, error = line(y)
    known = stats.linregress(np.arange(41), y)
    e = y - known.intercept - known.slope * np.arange(41)
    rho = max(0.0, (sum(a * b for a, b in pairwise(e)) / sum(e**2) + 2 / 41) / (1 - 4 / 41))
    assert rate == pytest.approx(known.slope, rel=1e-12)
    assert error >= known.stderr * (1 - 1e-12)
    assert error == pytest.approx(known.stderr * np.sqrt((1 + rho) / (1 - rho)), rel=1e-9)
    assert fit_growth([0.0] * 41 + list(y)).rate == pytest.approx(rate, rel=1e-12)  # the first half does not count


def test_an_exact_line_has_no_error_however_high_it_lies() -> None:
    assert line(1e9 + 4096.0 * np.arange(30)) == (4096.0, 0.0)
    assert line(np.full(30, 3.3)) == (0.0, 0.0)


def test_what_levels_off_or_falls_does_not_grow() -> None:
    for series in ([*range(30), *[30] * 10], [0] * 30 + [1] * 10, [0] * 25 + [1] * 8 + [2] * 7, range(40, 0, -1)):
        assert not fit_growth(list(map(float, series))).grows
    assert fit_growth([float(n // 4) for n in range(40)]).grows


def test_a_rise_that_ends_in_noise_is_no_growth_though_its_line_rises_clearly() -> None:
    ramp = [n + 2.0 * (-1) ** n for n in range(10)]
    flat = [9 - 0.1 * n + 2.0 * (-1) ** n for n in range(10)]
    rate, error = line(np.array(ramp + flat))
    assert rate > 3 * error
    assert not fit_growth([0.0] * 20 + ramp + flat).grows


@pytest.mark.parametrize(("memory", "most"), [(0.0, 4), (0.5, 10), (0.8, 20)])
def test_noise_is_seldom_taken_for_growth_and_growth_is_found(memory: float, most: int) -> None:
    rng, alarms, hits = np.random.default_rng(0), 0, 0
    for _ in range(400):
        noise = rng.normal(size=50)
        for n in range(1, 50):
            noise[n] += memory * noise[n - 1]
        alarms += fit_growth(list(noise)).grows
        hits += fit_growth(list(noise + 1.0 * np.arange(50))).grows
    assert alarms <= most
    assert hits >= 390


def test_the_smallest_leak_is_three_standard_errors() -> None:
    rng = np.random.default_rng(0)
    slopes = [line(rng.normal(size=25))[0] for _ in range(4000)]
    assert smallest_leak(2.0, 50) == pytest.approx(2 * 3 * np.std(slopes), rel=0.05)


def test_growth_needs_readings() -> None:
    with pytest.raises(ValueError, match="values has 7 readings; a growth needs at least 8"):
        fit_growth([1.0] * 7)
    assert fit_growth([float(n) for n in range(8)]).grows


# ---- the command ----

SCRIPT = """
import torch
kept = []
weight = torch.ones(256, requires_grad=True)
def leak():
    x = weight * 2
    x /= x.norm()
def fine():
    (weight * 2).norm().backward()
def broken():
    raise KeyError("the step's own")
number = 3
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def test_the_command_on_code_that_is_not_ours(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{script}:leak"]) == 1
    told = capsys.readouterr().out
    assert told.startswith("leaking: 2.00 KiB a call\n30 calls; 2.00 KiB ± 0 B a call, 3 tensors a call\n")
    assert f"{script}:6 in leak\n    in a cycle that Python cannot see: DivBackward0 overwrote" in told
    assert main([f"{script}:fine", "--calls", "10"]) == 0
    assert capsys.readouterr().out.startswith("steady\n10 calls; ")
    with pytest.raises(KeyError, match="the step's own"):
        main([f"{script}:broken"])


def test_the_command_as_one_types_it(script: Path) -> None:
    command = [sys.executable, "-m", "workings.gpu_memory_leak", "train:leak", "--calls", "8"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=script.parent)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("leaking: 2.00 KiB a call\n8 calls; ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train.py"], "names no function; write script.py:function"),
        (["nowhere.py:step"], "there is no file 'nowhere.py'"),
        (["no_such_module_at_all:step"], "there is no module 'no_such_module_at_all'"),
        (["math:no_such"], "'math' has no function 'no_such'"),
        (["math:pi"], "'math' has no function 'pi'"),
        (["math:sqrt", "--calls", "7"], "--calls is 7; at least 8 are needed"),
    ],
)
def test_the_command_says_what_is_missing(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert says in capsys.readouterr().err


def test_a_script_finds_what_lies_beside_it(script: Path) -> None:
    (script.parent / "beside_train.py").write_text("value = 5\n")
    script.write_text("import beside_train\ndef step():\n    return beside_train.value\n")
    assert load(f"{script}:step")() == 5
