"""Recorded experiments: small profiles run and repeat, and what they measure is what they say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from workings.neuroidal_memory import (
    JoinLink,
    RandomGraph,
    StoredGraph,
    join,
    one_step_size,
    random_item,
    replicating_size,
    share,
    thinned,
    two_step_join,
    union,
)
from workings.neuroidal_memory.experiments import (
    FIGURE_SIZES,
    ONE_STEP,
    RECORDED,
    TWO_STEP,
    D,
    N,
    brain,
    chains,
    joined_generations,
    learned,
    margins,
    outside,
    recall_rates,
    size_curve,
)

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"n": 3000, "d": 150.0, "r": 120, "k_m": 18, "k_a": 11}


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", RECORDED)
def test_small_profiles_run_and_repeat(name: str, device: torch.device) -> None:
    record = RECORDED[name]
    found, again, other = (record["run"](seed, device, **record["profiles"]["quick"]) for seed in (0, 0, 1))
    values = np.concatenate([np.ravel(column) for column in found.values()])
    assert all(math.isfinite(v) for v in values)
    measured = [key for key in found if not key.endswith(("seconds", "megabytes"))]
    assert all(found[key] == again[key] for key in measured)
    assert any(found[key] != other[key] for key in measured)


def test_a_curve_of_sizes_is_that_of_joins_of_such_items() -> None:
    graph = RandomGraph(N, D, seed=1)
    for steps, (r, k) in ((1, ONE_STEP), (2, TWO_STEP)):
        sizes, theory = size_curve(graph, steps, [0.95, 1.05], seed=3)
        drawn = generator(3)
        for i, ratio in enumerate((0.95, 1.05)):
            a, b = (random_item(N, round(ratio * r), generator=drawn) for _ in range(2))
            c = join(graph, a, b, k) if steps == 1 else two_step_join(graph, a, b, k)
            assert sizes[i] == len(c) / r
            if steps == 1:
                assert abs(theory[i] - sizes[i]) < 5 * (theory[i] / r) ** 0.5
            else:
                assert theory[i] == 0
    assert FIGURE_SIZES["one"][1.0] == 0.998


def test_generations_are_joined_from_two_different_items_each() -> None:
    graph = StoredGraph(RandomGraph(3000, 150, seed=1))
    sizes = joined_generations(graph, 120, 18, items=5, generations=2, seed=4)
    assert [len(one) for one in sizes] == [5, 5, 5]
    assert sizes[0] == [120] * 5
    drawn = generator(4)
    items = [random_item(3000, 120, generator=drawn) for _ in range(5)]
    possible = {len(join(graph, items[i], items[j], 18)) for i in range(5) for j in range(5) if i != j}
    assert set(sizes[1]) <= possible
    for seed in range(6):  # of two items, each is joined to the other
        assert min(joined_generations(graph, 120, 18, items=2, generations=1, seed=seed)[1]) > 30
    assert outside([49, 50, 200, 201, 1000], 100) == pytest.approx(0.6)


def test_rates_of_recall_are_shares_of_c() -> None:
    a, b, made = learned(RandomGraph(3000, 150, seed=1), 120, 18, 11, seed=5)
    drawn = generator(5)
    assert a.tolist() == random_item(3000, 120, generator=drawn).tolist()
    assert made.link.target.tolist() != b.tolist()
    found = recall_rates(made, a, b, (2, 1), [0.9, 1.0], seed=6)
    drawn = generator(6)
    other, another = (random_item(3000, 120, generator=drawn) for _ in range(2))
    c = made.link.target
    assert found["curve"][1] == share(made.recall(a, b, 2, 1), c)
    assert found["wrong"] == share(made.recall(a, other, 2, 1), c)
    assert found["unrelated"] == share(made.recall(another, other, 2, 1), c)
    assert found["one"] == share(made.recall(a, a[:0], 2, 1), c)
    part_a, part_b = (thinned(one, 0.9, drawn) for one in (a, b))
    assert found["curve"][0] == share(made.recall(part_a, part_b, 2, 1), c)
    as_stored = recall_rates(made, a, b, (0, 0), [0.9, 1.0], seed=6)
    assert as_stored["curve"][0] < found["curve"][0]
    assert as_stored["wrong"] == share(made.recall(a, other), c)
    assert as_stored["unrelated"] == share(made.recall(another, other), c) != as_stored["wrong"]


def test_margins_are_those_of_each_pair_of_thresholds() -> None:
    found = margins(7, CPU, **SMALL, lowers=[[0, 0], [2, 1]], fractions=[1.0])
    a, b, made = learned(RandomGraph(3000, 150, seed=7), 120, 18, 11, 7)
    assert (found["middle"], found["relays"]) == (len(made.middle), len(made.link.relays))
    for m, l in ((0, 0), (2, 1)):  # noqa: E741
        rates = recall_rates(made, a, b, (m, l), [1.0], 1007)
        assert {name: found[f"{name}_{m},{l}"] for name in rates} == rates


def test_a_chain_is_recalled_stage_by_stage() -> None:
    """Without dropout it can be repeated by hand; with all of it nothing is left."""
    found = chains(8, CPU, **SMALL, lower=[0, 1], length=2, dropouts=[0.0, 1.0])
    graph, drawn = RandomGraph(3000, 150, seed=8), generator(8)
    first, b1, b2, c1, c2 = (random_item(3000, 120, generator=drawn) for _ in range(5))
    one, two = JoinLink.learn(graph, first, b1, c1, 18, 11), JoinLink.learn(graph, c1, b2, c2, 18, 11)
    reached = one.recall(first, b1, 0, 1)
    assert found["0"] == [share(reached, c1), share(two.recall(reached, b2, 0, 1), c2)]
    assert found["0"][0] > 0.5
    assert found["1"] == [0.0, 0.0]
    grown = join(graph, first, b1, 18)
    assert found["plain"] == [120, len(grown), len(join(graph, grown, b2, 18))]


def test_a_brain_joins_and_links() -> None:
    found = brain(9, CPU, 20_000, 400.0, 8, link=True)
    r = round(replicating_size(lambda s: one_step_size(s, 20_000, 0.02, 16), 20_000))
    assert found["r"] == r
    graph, drawn = RandomGraph(20_000, 400, seed=9), generator(9)
    a, b, _ = (random_item(20_000, r, generator=drawn) for _ in range(3))
    assert found["joined"] == len(join(graph, a, b, 16))
    assert found["edges"] == len(union(a, b)) * 400
    assert abs(found["joined"] - found["expected"]) < 4 * found["expected"] ** 0.5
    assert found["relays"] == len(graph.fires(join(graph, a, b, 16), 8))
    assert 0.0 <= found["linked"] <= 1.0
    assert "relays" not in brain(9, CPU, 20_000, 400.0, 8, link=False)
