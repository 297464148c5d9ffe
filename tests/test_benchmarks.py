"""The benchmarks at toy sizes: every contender solves the same problem, and the tables hold what they say."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("torchdiffeq")
pytest.importorskip("torchode")

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
Rows = list[dict[str, Any]]


def load(name: str) -> ModuleType:
    """Import a module of the folder ``benchmarks``, which is no package."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return load("bench_neural_ode")


@pytest.fixture(scope="module")
def tables(bench: ModuleType) -> dict[str, Rows]:
    return bench.run(quick=True)  # type: ignore[no-any-return]


@pytest.fixture
def timing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module with a clock that a contender moves on by itself: ``timing.now``."""
    module = load("timing")
    monkeypatch.setattr(module, "now", 0.0, raising=False)
    monkeypatch.setattr(module, "perf_counter", lambda: module.now)
    return module


def test_contenders_alternate_and_the_first_round_only_warms_up(timing: Any) -> None:
    order: list[str] = []
    seconds = {"a": iter([99.0, 1.0, 50.0, 2.0]), "b": iter([0.0, 7.0, 7.0, 8.0])}

    def contender(name: str) -> None:
        order.append(name)
        timing.now += next(seconds[name])

    medians = timing.interleaved({name: lambda name=name: contender(name) for name in seconds}, rounds=3)
    assert order == ["a", "b"] * 4
    assert medians == {"a": 2.0, "b": 7.0}


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_the_peak_counts_what_was_held_for_a_while_but_not_what_was_held_before() -> None:
    """In a process of its own, as benchmarks are: a long-lived one may hold enough free memory to grow by nothing."""
    program = """
import timing

before = b"x" * 90_000_000

def run():
    first = b"x" * 40_000_000
    del first
    second = b"x" * 60_000_000
    del second

print(timing.peak_growth(run), len(before))
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=BENCHMARKS, capture_output=True, text=True, check=True)
    assert 55 < float(run.stdout.split()[0]) < 75


def test_a_table_shows_what_a_row_lacks_as_a_dash() -> None:
    text = load("timing").table("title", [{"a": "x", "b": 1.23456}, {"a": "y", "c": 7}])
    assert [line.split() for line in text.splitlines()] == [
        ["title"], ["a", "b", "c"], ["x", "1.23", "–"], ["y", "–", "7"],
    ]  # fmt: skip


def test_every_table_compares_every_contender_on_every_problem(bench: ModuleType, tables: dict[str, Rows]) -> None:
    contenders = {
        "forward": {"bare", *bench.FORWARD},
        "gradients": {"bare", *bench.GRADIENT},
        "many output times": {"bare", *bench.GRADIENT} - {"torchode backprop"},
        "overhead": {"bare", *bench.LINEAR},
    }
    problems = {"forward": 2, "gradients": 3, "many output times": 2, "overhead": 1, "memory": 1, "flows": 2}
    assert {title: len({row["problem"] for row in rows}) for title, rows in tables.items()} == problems
    for title, expected in contenders.items():
        rows = tables[title]
        assert {row["contender"] for row in rows} == expected
        assert len(rows) == len(expected) * problems[title]  # nothing twice, nothing left out


def test_the_bare_calls_are_the_unit(tables: dict[str, Rows]) -> None:
    bare = [row for rows in tables.values() for row in rows if row["contender"] == "bare" and "ms" in row]
    assert len(bare) == 2 + 3 + 2 + 1 + 2
    assert all(row["times bare"] == pytest.approx(1) for row in bare)
    for rows in tables.values():
        units = {
            row["problem"]: row["ms"] / row["evaluations"] for row in rows if row["contender"] == "bare" and "ms" in row
        }
        for row in (row for row in rows if row["problem"] in units):
            share = row["ms"] / row["evaluations"] / units[row["problem"]]
            assert row["times bare"] == pytest.approx(share)


def test_all_contenders_solve_the_same_problem(bench: ModuleType, tables: dict[str, Rows]) -> None:
    """Errors are a modest multiple of the tolerance; another field, time or loss would be off by the order of one."""
    for title in ("forward", "gradients", "many output times"):
        for row in (row for row in tables[title] if row["contender"] != "bare"):
            tolerance = 1e-5 if "float32" in row["problem"] else 1e-7
            assert 0 < row["error"] < 300 * tolerance, row
    assert all(0 < row["error"] < 1e-4 for row in tables["overhead"] if row["contender"] != "bare")


def test_evaluations_are_those_of_the_forward_and_of_the_backward_pass(tables: dict[str, Rows]) -> None:
    rows = {row["contender"]: row for row in tables["gradients"] if row["problem"] == "batch 4, float64"}
    for name in ("workings backprop", "torchdiffeq backprop", "torchode backprop"):
        assert rows[name]["backward"] == 0
    assert rows["workings discrete"]["evaluations"] == rows["workings backprop"]["evaluations"]
    assert 0 < rows["workings discrete"]["backward"] <= rows["workings discrete"]["evaluations"]
    assert rows["torchdiffeq adjoint"]["backward"] > rows["torchdiffeq adjoint"]["evaluations"] / 2


def test_flows_are_differentiated_alike_but_for_the_noise_of_the_trace(tables: dict[str, Rows]) -> None:
    rows = [row for row in tables["flows"] if row["contender"] != "bare"]
    assert len(rows) == 10
    for row in rows:
        if "hutchinson" in row["contender"]:
            assert 1e-3 < row["error"] < 1  # an estimate from 8 samples
        else:
            assert 0 < row["error"] < 3e-3


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_the_discrete_gradient_holds_less_memory_than_the_tape(bench: ModuleType, tables: dict[str, Rows]) -> None:
    """The tape holds what each of 44 evaluations saved, the discrete adjoint what one did."""
    megabytes = {row["contender"]: row["MB"] for row in tables["memory"]}
    assert list(megabytes) == bench.MEMORY[1:3]
    assert 0 < 4 * megabytes["workings discrete"] < megabytes["workings backprop"]


def test_the_tables_can_be_stored_and_read_back(
    bench: ModuleType, tables: dict[str, Rows], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = importlib.import_module("workings.book.records")
    monkeypatch.setattr(records, "results_folder", lambda: tmp_path)
    bench.store(tables)
    for title, rows in tables.items():
        record = records.read("neural_ode", f"benchmark-{title.replace(' ', '-')}")
        assert not record.is_stale
        assert record.parameters == {"threads": 1}
        assert set(record.values) == {key for row in rows for key in row}
        assert all(len(column) == len(rows) for column in record.values.values())
    record = records.read("neural_ode", "benchmark-forward")
    assert record.values["contender"][:2] == ["bare", "workings dopri5"]
    assert record.values["error"][0] == ""  # calling the field is no solution
    assert record.values["error"][1] == pytest.approx(tables["forward"][1]["error"], rel=1e-5)


# ---- flow matching -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def matching() -> ModuleType:
    return load("bench_flow_matching")


@pytest.fixture(scope="module")
def matched(matching: ModuleType) -> dict[str, Rows]:
    return matching.run(quick=True)  # type: ignore[no-any-return]


def test_flow_matching_is_compared_with_its_limit_and_its_peers(matching: ModuleType, matched: dict[str, Rows]) -> None:
    peers = {"torchcfm"} if matching.PEERS else set()
    expected = {
        "training": (1, {"bare loop", "workings fit", "network alone"} | peers),
        "sampling": (2, {"bare calls", "workings generate", "torchdiffeq"}),
        "pairing": (6, {"workings", "SciPy"} | ({"POT"} | peers if peers else set())),
    }
    for title, (problems, contenders) in expected.items():
        rows = matched[title]
        assert {row["contender"] for row in rows} == contenders
        assert len(rows) == problems * len(contenders) == len({(row["problem"], row["contender"]) for row in rows})


def test_pairings_are_optimal_or_show_by_how_much_not(matched: dict[str, Rows]) -> None:
    for row in matched["pairing"]:
        if row["contender"] in ("workings", "SciPy", "POT"):
            assert 0 <= row["extra cost"] < 1e-6, row


def test_each_contender_trains_as_long_and_samples_as_often(
    matching: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The networks are counted: the loops forward through as many batches, the samplers call as often."""
    calls: list[int] = []
    forward = matching.VelocityMLP.forward

    def counted(net: Any, t: Any, x: Any) -> Any:
        calls.append(len(x))
        return forward(net, t, x)

    monkeypatch.setattr(matching.VelocityMLP, "forward", counted)
    counts = {}

    def run_once(contenders: dict[str, Any], rounds: int) -> dict[str, float]:
        for name, contender in contenders.items():
            calls.clear()
            contender()
            counts[name] = list(calls)
        return dict.fromkeys(contenders, 1.0)

    monkeypatch.setattr(matching, "interleaved", run_once)
    list(matching.training(8, 3, 1))
    assert set(map(tuple, counts.values())) == {(8, 8, 8)}
    counts.clear()
    for _ in matching.sampling(4, 6, 1):
        pass
    assert set(map(tuple, counts.values())) == {(4,) * 6}


def test_a_share_is_that_of_the_times(matched: dict[str, Rows]) -> None:
    for title, unit, contender, time in (
        ("training", "times bare loop", "bare loop", "ms a step"),
        ("sampling", "times bare calls", "bare calls", "ms"),
        ("pairing", "times workings", "workings", "ms"),
    ):
        units = {row["problem"]: row[time] for row in matched[title] if row["contender"] == contender}
        for row in matched[title]:
            assert row[unit] == pytest.approx(row[time] / units[row["problem"]])


# ---- implicit reparameterization -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sampling() -> ModuleType:
    return load("bench_implicit_reparameterization")


@pytest.fixture(scope="module")
def sampled(sampling: ModuleType) -> dict[str, Rows]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peers' own
        return sampling.run(quick=True)  # type: ignore[no-any-return]


def test_samplers_are_compared_with_their_peers(sampling: ModuleType, sampled: dict[str, Rows]) -> None:
    tfp = {"TFP on JAX"} if sampling.TFP else set()
    who: dict[str, set[str]] = {}
    for row in sampled["throughput"]:
        who.setdefault(row["problem"].partition(",")[0], set()).add(row["contender"])
        assert row["million a second"] > 0
    assert who["gamma 3"] == {"workings", "torch"} | tfp
    assert who["von Mises"] == who["mixture of 3"] == {"workings"} | tfp  # torch's have no rsample
    assert who["Rice"] == {"workings"} | ({"rs-distributions"} if sampling.RS else set())
    assert {row["contender"] for row in sampled["sampling"]} == {"workings", "torch"}


def test_errors_are_those_of_the_derivatives(sampling: ModuleType, sampled: dict[str, Rows]) -> None:
    """At six points ours is right to rounding, and a derivative that is off by a percent shows as one."""
    for row in sampled["accuracy"]:
        if row["contender"] == "workings":
            assert row["largest relative"] < (1e-7 if row["problem"].endswith("32") else 1e-12), row
    right = sampling.DERIVATIVES["gamma"]["workings"]
    wrong = {"gamma": {"off": lambda a, z: 1.01 * right(a, z)}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "DERIVATIVES", wrong)
        (_, row) = sampling.accuracy("gamma", 6)
    assert 0.009 < row["median relative"] <= row["largest relative"] < 0.0101


# ---- spectral bias -------------------------------------------------------------------------------------------------


def test_tangent_kernels_are_compared_with_what_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = load("bench_spectral_bias")
    monkeypatch.setattr(bench, "OTHER", "")
    rows = bench.run(quick=True)["kernels"]
    assert [(row["problem"], row["contender"]) for row in rows] == [
        ("empirical, n = 8", "workings"),
        ("empirical, n = 8", "torch.func"),
        ("closed form, n = 8", "workings"),
    ]
    assert all(row["ms"] > 0 and row["MB"] >= 0 for row in rows)
    monkeypatch.setattr(bench, "OTHER", "python")
    monkeypatch.setattr(
        bench, "neural_tangents", lambda n, rounds: {"empirical": [0.5, 2.0], "closed form": [1.0, 1.0]}
    )
    rows = bench.run(quick=True)["kernels"]
    assert [row["ms"] for row in rows if row["contender"] == "neural-tangents"] == [1250.0, 1000.0]


# ---- attention -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def attention() -> ModuleType:
    return load("bench_attention")


@pytest.fixture(scope="module")
def attended(attention: ModuleType) -> dict[str, Rows]:
    return attention.run(quick=True)  # type: ignore[no-any-return]


def test_translators_are_compared_with_loops_of_the_same_loss(attended: dict[str, Rows]) -> None:
    rows = {row["contender"]: row for row in attended["training"]}
    pairs = [(f"workings, {unit} unit", f"textbook, {unit} unit") for unit in ("paper", "torch")]
    assert set(rows) == {"no attention", *(name for pair in pairs for name in pair)}
    for ours, loop in pairs:
        assert rows[ours]["loss"] == pytest.approx(rows[loop]["loss"], rel=1e-5)
        assert rows[loop]["times workings"] == pytest.approx(rows[loop]["ms"] / rows[ours]["ms"])
    assert rows[pairs[0][0]]["loss"] != pytest.approx(rows[pairs[1][0]]["loss"], rel=1e-3)
    for row in rows.values():
        assert row["times no attention"] == pytest.approx(row["ms"] / rows["no attention"]["ms"])


def test_the_textbooks_gradients_are_ours(attention: ModuleType) -> None:
    """Of all its parameters: what is one matrix there is several here."""
    source, target = (attention.sentences(3, 5, 20, seed) for seed in (0, 1))
    for unit in ("paper", "torch"):
        model = attention.translator(20, 8, unit).double()
        loop = attention.Textbook(model).double()
        grown = []
        for one in (model, loop):
            logits = one(source, target)
            loss = attention.nll(logits[0] if isinstance(logits, tuple) else logits, target)
            one.zero_grad()
            loss.backward()
            grown.append(sum(p.grad.square().sum().item() for p in one.parameters()))
            assert all(p.grad is not None for p in one.parameters())
        assert grown[0] == pytest.approx(grown[1], rel=1e-9)


def test_searches_find_translations_of_the_same_scores(attention: ModuleType, attended: dict[str, Rows]) -> None:
    rows = attended["search"]
    assert [row["contender"] for row in rows] == ["workings", "each sentence", "each hypothesis"]
    assert rows[1]["mean score"] == pytest.approx(rows[0]["mean score"], rel=1e-5)
    assert rows[2]["mean score"] == pytest.approx(rows[0]["mean score"], rel=1e-5)
    model = attention.translator(20, 8).eval()  # one whose hypotheses end
    source = attention.sentences(4, 3, 20, 2)
    with attention.torch.no_grad():
        model.words.bias[attention.EOS] = 1.0
    found = [search(model, source, 3, 6) for search in attention.SEARCHES.values()]
    assert found[1] == pytest.approx(found[0], abs=1e-4)
    assert found[2] == pytest.approx(found[0], abs=1e-4)


def test_contenders_that_do_not_agree_are_refused(attention: ModuleType) -> None:
    attention.same({"a": 2.0, "b": 2.00001})
    with pytest.raises(RuntimeError, match="contenders do not agree"):
        attention.same({"a": -2.0, "b": -2.0001})


# ---- temporal differences ------------------------------------------------------------------------------------------


def test_the_walk_is_timed_beside_plain_python_with_equal_errors() -> None:
    bench = load("bench_temporal_difference")
    rows = bench.run(quick=True)["grid"]
    assert [row["contender"] for row in rows] == ["workings", "plain Python"]
    assert all(row["problem"] == "3 × 2 walks, 11 λ, 13 α" and row["ms"] > 0 for row in rows)
    assert all(row["error"] < 1e-12 for row in rows)
    walks: Any = [[([2, 3, 4], 1.0)]]
    # λ = 0, α = ½: the last of five predictions becomes ¾, the others stay at ½
    expected = ((1 / 3) ** 2 + (1 / 6) ** 2 + (1 / 6) ** 2 + (5 / 6 - 3 / 4) ** 2) / 5
    assert bench.plain(walks)[0][0][10] == pytest.approx(expected**0.5)


# ---- population codes ----------------------------------------------------------------------------------------------


def test_posteriors_and_neurons_are_timed_beside_loops_that_give_the_same() -> None:
    tables = load("bench_population_codes").run(quick=True)
    assert list(tables) == ["decoding", "network"]
    for rows in tables.values():
        assert [row["contender"] for row in rows] == ["workings", "NumPy, trial by trial"]
        assert all(row["ms"] > 0 for row in rows)
    assert all(row["error"] < 1e-9 for row in tables["decoding"])
    assert all(row["error"] == 0 for row in tables["network"])


# ---- memory leaks --------------------------------------------------------------------------------------------------


def test_watching_is_timed_beside_a_bare_step_and_a_count_by_hand() -> None:
    (rows,) = load("bench_gpu_memory_leak").run(quick=True).values()
    assert [row["contender"] for row in rows] == ["bare", "watch, off", "watch", "counted by hand"]
    assert all(row["ms"] > 0 for row in rows)
    assert rows[0]["times bare"] == 1
