"""Couplings: optimal where they say so, the entropic plan by its optimality conditions, what is drawn from it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from workings.flow_matching import couplings, eight_gaussians, entropic_plan, optimal_pairing, sample_pairs, two_moons
from workings.flow_matching.couplings import squared_distances


def points(n: int, d: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator), torch.randn(n, d, generator=generator) + 1


def by_hand(x0: Tensor, x1: Tensor) -> np.ndarray:
    """The cost as it is defined, without any trick."""
    return (x0.double()[:, None] - x1.double()[None]).square().flatten(2).sum(-1).numpy()


def test_pairing_of_few_points_is_the_best_of_all_permutations() -> None:
    for seed in range(20):
        x0, x1 = points(6, 2, seed)
        cost = by_hand(x0, x1)
        best = min(itertools.permutations(range(6)), key=lambda p: cost[range(6), p].sum())
        assert optimal_pairing(x0, x1).tolist() == list(best)


def clouds(kind: str, n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n)
    noise = torch.randn(n, 64 if kind == "64-d" else 2, generator=generator)
    if kind == "ring":
        return noise, eight_gaussians(n, generator)
    if kind == "cluster":  # one tight cluster far away: many nearly equal costs
        return noise, 20 + 1e-3 * torch.randn(n, 2, generator=generator)
    if kind == "same":
        return noise, noise[torch.randperm(n, generator=generator)]
    if kind == "equal":  # every pairing costs the same
        return torch.zeros(n, 2), torch.ones(n, 2)
    if kind == "far":  # one far outlier makes the mean cost large
        return torch.cat((noise[1:], torch.tensor([[1e4, 0.0]]))), two_moons(n, generator)
    return noise, torch.randn(n, 64, generator=generator) * 3


@pytest.mark.parametrize("n", [3, 64, 65, 400])
@pytest.mark.parametrize("kind", ["ring", "cluster", "same", "equal", "far", "64-d"])
def test_pairing_costs_as_little_as_an_assignment_on_the_plain_costs(kind: str, n: int) -> None:
    """The reduced costs of large batches lead to a permutation of exactly the least cost."""
    x0, x1 = clouds(kind, n)
    j, cost = optimal_pairing(x0, x1), by_hand(x0, x1)
    least = cost[linear_sum_assignment(cost)].sum()
    assert sorted(j.tolist()) == list(range(n))
    assert cost[np.arange(n), j].sum() == pytest.approx(least, rel=1e-9, abs=1e-9)
    assert j.dtype == torch.int64


def test_large_batches_are_reduced_first_and_small_ones_not(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def spy(cost: Tensor) -> Tensor:
        calls.append(len(cost))
        return cost

    monkeypatch.setattr(couplings, "_reduced", spy)
    for n in (64, 65):
        optimal_pairing(*points(n, 2, n))
    assert calls == [65]


def test_duals_leave_little_to_do() -> None:
    """After the reduction the pairs of the optimum cost nearly the same, and others more: so the paths are short."""
    cost = squared_distances(*clouds("ring", 300))
    reduced = couplings._reduced(cost.clone())
    j = linear_sum_assignment(cost.numpy())[1]
    rows = torch.arange(300)
    assert reduced[rows, j].std() < 0.03 * cost[rows, j].mean()
    assert reduced.mean() > 20 * reduced[rows, j].std()
    assert torch.allclose(reduced - cost, (reduced - cost)[:, :1] + (reduced - cost)[:1] - (reduced - cost)[0, 0])


def test_pairing_of_images() -> None:
    x0, x1 = points(5, 12, 1)
    assert torch.equal(optimal_pairing(x0.view(5, 3, 2, 2), x1.view(5, 3, 2, 2)), optimal_pairing(x0, x1))


def test_distances_far_from_the_origin() -> None:
    x0, x1 = (x + 1000 for x in points(30, 3, 2))
    np.testing.assert_allclose(squared_distances(x0, x1), by_hand(x0, x1), rtol=1e-9, atol=1e-9)


# ---- entropic plans ----


@pytest.mark.parametrize("epsilon", [0.3, 2.0])
def test_entropic_plan_meets_its_optimality_conditions(epsilon: float) -> None:
    """Its sums are prescribed, and log P + C/ε is a sum of a function of the row and one of the column."""
    x0, x1 = points(7, 2, 3)[0], points(9, 2, 4)[1]
    plan = entropic_plan(x0, x1, epsilon, tolerance=1e-9)
    assert plan.shape == (7, 9)
    np.testing.assert_allclose(plan.sum(1), np.full(7, 1 / 7), rtol=1e-8)
    np.testing.assert_allclose(plan.sum(0), np.full(9, 1 / 9), rtol=1e-12)
    potential = torch.log(plan) + torch.tensor(by_hand(x0, x1)) / epsilon
    torch.testing.assert_close(potential, potential[:, :1] + potential[:1] - potential[0, 0], atol=1e-9, rtol=0)


def test_entropic_plan_lies_between_the_optimal_and_the_independent_one() -> None:
    x0, x1 = points(40, 2, 5)
    cost = torch.tensor(by_hand(x0, x1))
    costs = [float((entropic_plan(x0, x1, e, tolerance=1e-4) * cost).sum()) for e in (0.1, 0.5, 1e4)]
    least = float(cost[torch.arange(40), optimal_pairing(x0, x1)].mean())
    assert costs[0] == pytest.approx(least, rel=0.03)
    assert least < costs[0] < costs[1] < costs[2]
    assert costs[2] == pytest.approx(float(cost.mean()), rel=1e-3)


def test_pairs_are_drawn_as_the_plan_says() -> None:
    plan = torch.tensor([[0.1, 0.0, 0.2], [0.3, 0.4, 0.0]], dtype=torch.float64)
    i, j = sample_pairs(plan, 20_000, torch.Generator().manual_seed(6))
    shares = torch.bincount(3 * i + j, minlength=6).double() / 20_000
    torch.testing.assert_close(shares, plan.flatten(), atol=4 * 0.5 / math.sqrt(20_000), rtol=0)
    again = sample_pairs(plan, 20_000, torch.Generator().manual_seed(6))
    assert torch.equal(i, again[0])
    assert torch.equal(j, again[1])


X = torch.zeros(3, 2)
BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda: optimal_pairing(X, X[:2]), ValueError, r"x0 and x1 must hold as many states for a pairing; got 3 and 2"),
    (
        lambda: optimal_pairing(X, X[:, :1]),
        ValueError,
        r"must be batches .* of states of one shape; got \(3, 2\) and \(3, 1\)",
    ),
    (lambda: optimal_pairing(X[0], X[0]), ValueError, r"must be batches"),
    (lambda: optimal_pairing(X[:0], X[:0]), ValueError, r"must be batches"),
    (lambda: entropic_plan(X, X, 0.0), ValueError, r"epsilon must be positive and finite; got 0.0"),
    (
        lambda: entropic_plan(*points(9, 2, 7), 1e-3, max_iterations=3),
        RuntimeError,
        r"rows off by .* after 3 rounds: take a larger epsilon \(the mean cost",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
