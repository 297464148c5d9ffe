"""Cycles in the autograd graph: every kind is found, nothing else is, and looking changes nothing."""

from __future__ import annotations

import gc
import itertools
import math
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csgraph
from torch import Tensor

from workings.gpu_memory_leak import (
    OPERATIONS,
    Activations,
    Operation,
    ReferenceGraph,
    break_cycles,
    cycles,
    find_cycles,
    judge,
    normalize_,
    normalize_gradient,
    picture,
    reference_graph,
)
from workings.gpu_memory_leak.experiments import RECORDED
from workings.gpu_memory_leak.graph import READABLE, Edge, versions
from workings.gpu_memory_leak.operations import NEEDS, raises

IDS = [operation.code for operation in OPERATIONS]


@pytest.fixture(autouse=True, scope="module")
def quick_collections() -> Iterator[None]:
    """Let the collector pass over what is there already: this file asks for many collections."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def fresh(rows: int = 4, features: int = 3) -> Tensor:
    """Return a tensor that is no leaf."""
    return torch.randn(rows, features, requires_grad=True) * 1


def is_gone(x: weakref.ref[Tensor]) -> bool:
    gc.collect()
    return x() is None


# ---- what is found ----


def test_the_printed_line_told_by_name() -> None:
    x = fresh()
    x /= torch.norm(x, dim=-1, keepdim=True)
    (cycle,) = find_cycles(x)
    assert cycle.path == ("tensor (4, 3)", "DivBackward0", "LinalgVectorNormBackward0", "tensor (4, 3)")
    assert (cycle.saver, cycle.slot, cycle.overwriter) == ("LinalgVectorNormBackward0", "self", "DivBackward0")
    assert (cycle.versions, cycle.evidence, cycle.saver_line) == ((0, 1), "identity", "")
    assert str(cycle).startswith("DivBackward0 overwrote what LinalgVectorNormBackward0 had saved as 'self': tensor")
    assert break_cycles(x) == 1
    assert find_cycles(x) == []


def test_it_is_found_from_a_loss_far_down_too() -> None:
    x = fresh()
    x /= torch.norm(x, dim=-1, keepdim=True)
    (cycle,) = find_cycles((x.exp() + 1).sum())
    assert cycle.path[0] == cycle.path[-1] == "tensor (4, 3)"
    break_cycles(x)


@pytest.mark.parametrize("operation", OPERATIONS, ids=IDS)
def test_a_statement_leaks_just_when_its_derivative_needs_what_it_overwrites(
    operation: Operation, device: torch.device
) -> None:
    found = judge(operation, Activations(device, 8, 4), calls=3)
    leaks = operation.needs == NEEDS[0]
    assert found.alive == (3 if leaks else 0)
    assert found.raises == leaks
    assert len(found.cycles) == leaks
    assert (found.bytes > 0) == leaks
    apart = judge(operation, Activations(device, 8, 4), calls=3, apart=True)
    assert (apart.alive, apart.bytes, apart.raises, apart.cycles) == (0, 0.0, False, ())


@pytest.mark.parametrize("operation", OPERATIONS, ids=IDS)
def test_a_statement_and_its_form_out_of_place_compute_the_same(operation: Operation) -> None:
    x = torch.randn(5, 4)
    torch.testing.assert_close(operation.run(x.clone()), operation.run(x.clone(), apart=True), equal_nan=True)
    assert not torch.equal(operation.run(x.clone()), x)


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.needs == NEEDS[1]], ids=lambda o: o.code)
def test_what_needs_its_output_saves_it(operation: Operation) -> None:
    nodes = [v for v in reference_graph(operation.run(fresh())).vertices if not isinstance(v, Tensor)]
    assert any(hasattr(node, "_raw_saved_result") for node in nodes)


def test_there_are_twenty_seven_statements_and_most_are_safe() -> None:
    assert len({o.code for o in OPERATIONS}) == 27
    assert sum(o.needs == NEEDS[0] for o in OPERATIONS) == 10


def test_bytes_left_behind_are_those_of_the_tensor_its_copy_and_its_lengths(device: torch.device) -> None:
    for rows, features in ((8, 4), (16, 2)):
        found = judge(OPERATIONS[0], Activations(device, rows, features), calls=4)
        assert found.bytes == 4 * (2 * rows * features + rows)
        assert (found.allocated is None) == (device.type == "cpu")
        assert judge(OPERATIONS[4], Activations(device, rows, features), calls=4).bytes == 4 * rows * features


def test_judging_frees_what_it_leaked() -> None:
    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(one), Tensor) for one in gc.get_objects())

    activations, before = Activations(torch.device("cpu"), 8, 4), 0
    for operation in (OPERATIONS[0], OPERATIONS[0], OPERATIONS[7], OPERATIONS[9]):
        judge(operation, activations, calls=5)
        now = tensors()
        assert now == before or not before
        before = now


def test_a_view_that_is_overwritten_closes_a_cycle_through_its_base() -> None:
    x = fresh()
    v = x[:, 0]
    v /= v.norm()
    (cycle,) = find_cycles(x)
    assert cycle.path == ("tensor (4,)", "tensor (4, 3)", "CopySlices", "LinalgVectorNormBackward0", "tensor (4,)")
    assert cycle.overwriter == "CopySlices"
    gone = weakref.ref(x)
    assert break_cycles(v) == 1
    del x, v
    assert is_gone(gone)


def test_two_tensors_may_hold_each_other_across() -> None:
    x, w = fresh(), fresh()
    y, z = x.sin(), w.cos()
    x += z
    w += y
    assert {(c.saver, c.slot) for c in find_cycles(x)} == {("SinBackward0", "self"), ("CosBackward0", "self")}
    both = [weakref.ref(x), weakref.ref(w)]
    assert break_cycles(x) == 1
    del x, w, y, z
    assert all(map(is_gone, both))


def test_an_overwritten_tensor_that_does_not_depend_on_who_saved_it_closes_none() -> None:
    x = fresh()
    y = x.sin()
    x += 1  # backward through y would raise, but y's graph does not lead from x to y
    assert find_cycles(x, y) == []
    assert raises(y)


def test_a_gradient_with_a_graph_holds_its_leaf() -> None:
    weight = torch.randn(3, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weight.pow(3).sum().backward(create_graph=True)
    (cycle,) = find_cycles(weight)
    assert cycle.slot == "variable"
    assert str(cycle).startswith("a leaf and its gradient hold each other: leaf (3,) → tensor (3,)")
    gone = weakref.ref(weight)
    assert break_cycles(weight) == 1
    del weight
    assert is_gone(gone)


def test_what_hooks_packed_is_looked_into() -> None:
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (t, "kept"), lambda packed: packed[0]):
        x = fresh()
        x /= torch.norm(x, dim=-1, keepdim=True)
    assert ("LinalgVectorNormBackward0", "self") in {(c.saver, c.slot) for c in find_cycles(x)}
    break_cycles(x)


def test_several_saved_tensors_in_one_slot() -> None:
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
            ctx.save_for_backward(y, x)
            return x * y

        @staticmethod
        def backward(ctx: Any, *g: Tensor) -> Any:
            raise NotImplementedError

    x = fresh()
    x -= Twice.apply(x, torch.ones(3))
    (cycle,) = find_cycles(x)
    assert (cycle.saver, cycle.slot) == ("TwiceBackward", "tensors")
    break_cycles(x)


def test_lines_where_anomaly_detection_kept_them() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autograd.detect_anomaly(check_nan=False):
            x = fresh()
            r = torch.norm(x, dim=-1, keepdim=True)
            x /= r
    (cycle,) = find_cycles(x)
    assert cycle.saver_line.partition(".py:")[0].endswith("test_gpu_memory_leak")
    assert cycle.saver_line.endswith(": r = torch.norm(x, dim=-1, keepdim=True)")
    assert cycle.overwriter_line.endswith(": x /= r")
    assert f"saved by {cycle.saver_line}; overwritten by {cycle.overwriter_line}" in str(cycle)
    break_cycles(x)


def test_where_torch_shows_no_saved_tensors_its_error_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        """A node of a torch without ``_raw_saved_`` slots."""

        next_functions: tuple[()] = ()

        def name(self) -> str:
            return "NormBackward1"

        @property
        def _saved_self(self) -> Tensor:
            raise RuntimeError("... has been modified by an inplace operation: is at version 2; expected version 1 ...")

        @property
        def _saved_other(self) -> Tensor:
            raise RuntimeError("released")

    monkeypatch.setattr(cycles, "READABLE", False)
    monkeypatch.setattr(cycles, "reference_graph", lambda *_: ReferenceGraph([torch.ones(2), Old()], []))
    (cycle,) = find_cycles(torch.ones(2))
    assert (cycle.saver, cycle.slot, cycle.versions, cycle.path) == ("NormBackward1", "self", (1, 2), ())
    assert cycle.evidence == "the error's text"
    assert str(cycle).endswith("had saved as 'self'; known from the error's text only")


def test_versions_of_a_text_without_any() -> None:
    assert versions("no version here") is None


# ---- looking changes nothing ----


def test_this_torch_shows_what_was_saved_and_no_error_is_asked_for() -> None:
    x = fresh()
    y = x.sin()
    x += 1
    assert READABLE
    assert find_cycles(y) == []  # by the error's text it would be one


def test_what_was_released_is_no_cycle() -> None:
    x = fresh()
    y = x[torch.tensor([0, 1])] * x.sin()[:2]
    y.sum().backward()
    assert find_cycles(y) == []


def test_a_good_graph_is_left_as_it_was() -> None:
    gradients = []
    for look in (False, True):
        w = torch.linspace(-1, 1, 6).reshape(2, 3).requires_grad_()
        y = (w * 2).sin().exp()
        v = y[:, 1:]
        loss = (v / v.norm()).sum() + y.std()
        if look:
            assert find_cycles(loss, v) == []
        loss.backward()
        gradients.append(w.grad)
        if look:
            assert find_cycles(loss) == []  # saved tensors are released now
        held = weakref.ref(y)
        del w, y, v, loss
        assert held() is None  # without the collector: by counting alone
    assert torch.equal(*gradients)  # type: ignore[arg-type]


def test_neither_a_graph_dropped_nor_a_cycle_kept_keeps_a_tensor() -> None:
    x = fresh()
    x *= x
    kept, gone = find_cycles(x), weakref.ref(x)
    break_cycles(x)
    del x
    assert gone() is None
    assert kept[0].saver == "MulBackward0"


def test_a_view_is_not_asked_for_its_grad_fn() -> None:
    x = fresh()
    x[:, 0] = x[:, 1].pow(2)
    assert [c.versions for c in find_cycles(x)] == [None]
    gone = weakref.ref(x)
    x.detach_()  # enough, unless the saved view has been given a new grad_fn
    del x
    assert gone() is None


def test_a_view_that_was_asked_is_freed_all_the_same() -> None:
    x = fresh()
    x[:, 0] = x[:, 1].pow(2)
    assert raises(x)  # and that asked it
    gone = weakref.ref(x)
    del x
    assert gone() is None


def test_a_graph_deeper_than_the_stack() -> None:
    x = y = fresh()
    for _ in range(3000):
        y = y + 1
    x += y.sin()
    assert find_cycles(x) == []
    x = fresh()
    y = x.sin()
    for _ in range(3000):
        y = y + 1
    x += y
    (cycle,) = find_cycles(x)
    assert len(cycle.path) == 3000 + 4
    break_cycles(x)


def test_only_tensors_can_be_walked_from() -> None:
    for walk in (find_cycles, break_cycles, reference_graph):
        with pytest.raises(TypeError, match="a tensor is needed to start from; got list"):
            walk([fresh()])  # type: ignore[arg-type]
    assert find_cycles() == []


# ---- the graph itself, against SciPy ----


@pytest.mark.parametrize("seed", range(20))
def test_components_paths_and_reach_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 12))
    there = rng.random((count, count)) < rng.uniform(0.05, 0.4)
    edges = [Edge(int(a), int(b), "next") for a, b in np.argwhere(there)]
    graph = ReferenceGraph([torch.ones(1) for _ in range(count)], edges)
    _, labels = csgraph.connected_components(there, connection="strong")
    ours = graph.components()
    assert {(a, b) for a in range(count) for b in range(count) if ours[a] == ours[b]} == {
        (a, b) for a in range(count) for b in range(count) if labels[a] == labels[b]
    }
    lengths = csgraph.shortest_path(there, unweighted=True)
    for a in range(count):
        assert graph.reachable([a]) == set(np.flatnonzero(np.isfinite(lengths[a])).tolist())
        for b in range(count):
            path = graph.path(a, b)
            assert len(path) - 1 == (lengths[a, b] if np.isfinite(lengths[a, b]) else -1)
            assert all(there[i, j] for i, j in itertools.pairwise(path))
            assert not path or (path[0], path[-1]) == (a, b)


def test_names_tell_leaves_from_others() -> None:
    leaf = torch.ones(2, requires_grad=True)
    names = reference_graph(leaf * leaf).names
    assert names[:2] == ["tensor (2,)", "MulBackward0"]
    assert "leaf (2,)" in names
    assert "AccumulateGrad" in names


# ---- normalization ----


@pytest.mark.parametrize("dim", [-1, 0, 1])
@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
def test_normalize_in_place_has_the_gradient_of_the_division(
    dim: int, shape: tuple[int, ...], device: torch.device
) -> None:
    x = torch.randn(shape, dtype=torch.float64, device=device, requires_grad=True)
    g = torch.randn(shape, dtype=torch.float64, device=device)
    y = x * 1
    normalized = normalize_(y, dim)
    assert normalized.data_ptr() == y.data_ptr()
    torch.testing.assert_close(normalized, x / torch.linalg.vector_norm(x, dim=dim, keepdim=True))
    (apart,) = torch.autograd.grad(x / torch.linalg.vector_norm(x, dim=dim, keepdim=True), x, g)
    (ours,) = torch.autograd.grad(normalized, x, g)
    torch.testing.assert_close(ours, apart, rtol=0, atol=1e-14)
    torch.testing.assert_close(normalize_gradient(x, g, dim), apart, rtol=0, atol=1e-14)


def test_the_gradient_at_three_four_and_the_fix_that_has_another() -> None:
    x, g = torch.tensor([3.0, 4.0], dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(normalize_gradient(x, g), torch.tensor([0.128, -0.096], dtype=torch.float64))
    x.requires_grad_()
    (wrong,) = torch.autograd.grad(x / torch.norm(x.detach()), x, g)
    torch.testing.assert_close(wrong, torch.tensor([0.2, 0.0], dtype=torch.float64))


def test_normalize_in_place_can_be_differentiated_twice() -> None:
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: normalize_(x * 1), x)
    assert torch.autograd.gradgradcheck(lambda x: normalize_(x * 1), x)


def test_normalize_in_place_leaves_nothing_behind_and_saves_half() -> None:
    x = torch.randn(8, 4, requires_grad=True) * 1
    place = weakref.ref(x)
    y = normalize_(x)
    assert find_cycles(y) == []
    nodes = [v for v in reference_graph(y).vertices if hasattr(v, "saved_tensors")]
    assert [tuple(t.shape) for t in nodes[0].saved_tensors] == [(8, 4), (8, 1)]
    assert nodes[0].saved_tensors[0].data_ptr() == y.data_ptr()
    del nodes, x, y
    assert place() is None


def test_normalize_in_place_refuses_what_it_cannot_do() -> None:
    with pytest.raises(TypeError, match=r"x is a tensor of torch.int64; normalize_ needs"):
        normalize_(torch.arange(3))
    with pytest.raises(TypeError, match=r"parameter x=\[1.0\]"):
        normalize_([1.0])  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="leaf"):
        normalize_(torch.ones(3, requires_grad=True))
    with pytest.raises(ValueError, match=r"x has shape \(2,\), g has \(3,\)"):
        normalize_gradient(torch.ones(2), torch.ones(3))
    assert normalize_(torch.zeros(2)).isnan().all()
    assert normalize_(torch.ones(2, dtype=torch.float32)).dtype == torch.float32


# ---- judging ----


def test_activations_are_drawn_from_the_generator(device: torch.device) -> None:
    one, other = (Activations(device, 3, 2, torch.Generator().manual_seed(5))() for _ in range(2))
    assert torch.equal(one, other)
    assert one.shape == (3, 2)
    assert not one.is_leaf
    assert not torch.equal(one, Activations(device, 3, 2, torch.Generator().manual_seed(6))())


def test_growth_needs_two_calls() -> None:
    with pytest.raises(ValueError, match="calls is 1; at least 2"):
        judge(OPERATIONS[0], Activations(torch.device("cpu"), 2, 2), calls=1)


def test_errors_of_another_kind_are_not_taken_for_the_one() -> None:
    y = fresh().sin().sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        raises(y)
    assert not raises(torch.ones(2))


@pytest.mark.parametrize("name", RECORDED)
def test_small_profiles_run(name: str, device: torch.device) -> None:
    record = RECORDED[name]
    found = record["run"](0, device, **record["profiles"]["quick"])
    assert found == record["run"](0, device, **record["profiles"]["quick"])
    numbers = [v for column in found.values() for v in (column if isinstance(column, list) else [column])]
    assert all(isinstance(v, str) or math.isfinite(v) for v in numbers)
    assert found["alive"] == [3 * (o.needs == NEEDS[0]) for o in OPERATIONS]
    assert found["raises"] == [int(o.needs == NEEDS[0]) for o in OPERATIONS]


def test_the_loop_climbs_and_its_fix_does_not() -> None:
    record = RECORDED["cuda"]
    found = record["run"](0, torch.device("cpu"), **record["profiles"]["quick"])
    assert found["leak_live"] == [4 * (2 * 16 * 8 + 16) * n for n in range(1, 11)]
    assert found["fix_live"] == [0] * 10
    assert found["leak_freed"] == 0


# ---- the picture ----


def test_the_picture_shows_the_cycle_between_operations_and_tensors() -> None:
    activations = Activations(torch.device("cpu"), 5, 3)
    x = OPERATIONS[0].run(activations())
    drawn = picture(x)
    break_cycles(x)
    assert drawn.labels == ["x", "Div", "Addmm", "VectorNorm", "5×1", "5×3", "5×1", "Clone"]
    tied = {(drawn.labels[a], drawn.labels[b]) for a, b, on_cycle in drawn.arrows if on_cycle}
    assert tied == {("x", "Div"), ("Div", "VectorNorm"), ("VectorNorm", "x")}
    assert {label for label, (across, _) in zip(drawn.labels, drawn.places, strict=True) if across} == {
        "x", "5×1", "5×3",
    }  # fmt: skip
    assert len(set(drawn.places)) == 8
    assert (3, 0, True) in drawn.arrows


def test_the_picture_of_a_good_graph_marks_nothing() -> None:
    drawn = picture(OPERATIONS[0].run(Activations(torch.device("cpu"), 5, 3)(), apart=True))
    assert not any(on_cycle for _, _, on_cycle in drawn.arrows)
    assert drawn.labels[:3] == ["x", "Div", "Addmm"]
