"""JOIN, LINK and what is expected of them: closed forms against fractions, operations against sets, both together."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import neuroidal_reference as plain
import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from workings.neuroidal_memory import (
    JoinLink,
    Link,
    RandomGraph,
    StoredGraph,
    common,
    conditions,
    elasticity,
    exactly,
    hierarchy,
    join,
    link_yield,
    noise_margins,
    one_step_size,
    one_step_transfer,
    random_item,
    replicating_size,
    share,
    strongest,
    tail,
    thinned,
    two_step_join,
    two_step_size,
    two_step_transfer,
    union,
)
from workings.neuroidal_memory.sizes import both

N, D = 100_000, 512.0
P = D / N
MOUSE, SYNAPSES = 1.6e7, 7800.0


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- closed forms ----


def test_tails_by_summing_fractions() -> None:
    for n, p, k in ((7, Fraction(1, 3), 3), (40, Fraction(1, 50), 0), (40, Fraction(1, 50), 9), (5, Fraction(1, 2), 5)):
        exact = float(plain.tail(n, p, k))
        assert float(tail(n, float(p), k)) == pytest.approx(exact, rel=1e-12)
        one = float(plain.tail(n, p, k) - plain.tail(n, p, k + 1))
        assert float(exactly(n, float(p), k)) == pytest.approx(one, rel=1e-11)
    assert tail([3, 3, 0], 0.5, [4, 0, 0]).tolist() == [0, 1, 1]
    assert exactly([3, 0], 0.5, [4, 0]).tolist() == [0, 1]
    assert float(tail(4000, 0.00512, 90)) == pytest.approx(float(stats.binom.sf(89, 4000, 0.00512)), rel=1e-9)


def test_valiants_sizes_and_those_of_larger_brains() -> None:
    """His table: 2338 and 2134 for k = 16, 5420 and 5170 for k = 32; the others by an earlier computation of ours."""

    def one(n: float, d: float, k: int) -> float:
        return replicating_size(lambda r: one_step_size(r, n, d / n, 2 * k), n)

    def two(n: float, d: float, k: int, shared: bool = False) -> float:
        return replicating_size(lambda r: two_step_size(r, n, d / n, k, shared), n)

    assert [round(two(N, D, k)) for k in (16, 32)] == [2338, 5420]
    assert [round(one(N, D, k)) for k in (16, 32)] == [2134, 5170]
    assert round(one(1e6, 8192, 8)) == 356
    assert round(two(1e6, 8192, 8)) == 406
    sizes = {4: (1396, 1706), 8: (5980, 6828), 16: (17902, 19607), 32: (45271, 48224), 64: (104600, 109197)}
    for k, (first, second) in sizes.items():
        assert (round(one(MOUSE, SYNAPSES, k)), round(two(MOUSE, SYNAPSES, k))) == (first, second)
    assert two(N, D, 16, shared=True) < two(N, D, 16) - 10


def test_sizes_of_joins_by_enumerating_edges() -> None:
    """Small numbers, fractions: every way to have i edges from common neurons, and others from either item."""
    n, p, r, k, shared = 50, Fraction(1, 5), 10, 3, 2
    together = plain.tail(2 * r - shared, p, 5)
    assert float(one_step_size(r, n, float(p), 5)) == pytest.approx(float(n * together))
    assert float(one_step_size(r, n, float(p), 5, s=5)) == pytest.approx(float(n * plain.tail(14, p, 5)))
    ready = Fraction(0)
    for i in range(shared + 1):
        chance = plain.tail(shared, p, i) - plain.tail(shared, p, i + 1)
        ready += chance * plain.tail(r - shared, p, max(k - i, 0)) ** 2
    assert float(two_step_size(r, n, float(p), k)) == pytest.approx(float(n * ready))
    assert float(two_step_size(r, n, float(p), k, shared=False)) == pytest.approx(float(n * plain.tail(r, p, k) ** 2))


def test_no_size_reproduces_itself_where_edges_are_too_few() -> None:
    with pytest.raises(ValueError, match="no size of items between 1 and n/2 = 500 reproduces itself"):
        replicating_size(lambda r: one_step_size(r, 1000, 0.001, 32), 1000)


def test_elasticity_and_the_slope_at_one_by_the_law_itself() -> None:
    """Both are k times the chance of exactly k, given k or more; the first up to common neurons and 1 - p."""
    r = 356.4648696
    slope = 16 * float(exactly(2 * r, 0.008192, 16) / tail(2 * r, 0.008192, 16))
    assert slope == pytest.approx(10.72, abs=0.01)
    h = 1e-6
    fallen = (1 - float(one_step_transfer(1 - h, 2 * r, 0.008192, 16))) / h
    assert fallen == pytest.approx(slope, rel=1e-4)
    assert elasticity(lambda s: 3 * np.asarray(s) ** 7, 5.0) == pytest.approx(7)
    assert elasticity(lambda s: one_step_size(s, 1e6, 0.008192, 16), r) == pytest.approx(10.79, abs=0.01)
    ratio = one_step_size([321, 392], 1e6, 0.008192, 16)
    assert ratio.round().tolist() == [112, 970]


def test_links_are_sharp_in_their_threshold() -> None:
    found = [float(link_yield(357, 1e6, 0.008192, k)) for k in (8, 9, 10, 12)]
    assert found[0] > 0.999999
    assert found[1] == pytest.approx(0.99994, abs=1e-5)
    assert found[2] == pytest.approx(0.1715, abs=1e-3)
    assert found[3] < 1e-10
    relays = plain.tail(3, Fraction(1, 4), 2)
    assert float(link_yield(6, 9, 0.25, 2, 0.5)) == pytest.approx(float(plain.tail(9, relays / 4, 2)))


def test_valiants_conditions_hold_where_he_says() -> None:
    met = conditions(N, D, 2338, 16)
    assert met["size"] == pytest.approx(1, abs=1e-3)
    assert met["link"] > 0.999999
    assert met["half-link"] < 1e-20
    r, p = 4, Fraction(1, 4)
    small = conditions(20, 5, 4, 2)
    full, half = plain.tail(r, p, 2), plain.tail(2, p, 2)
    assert small["size"] == pytest.approx(float(20 * full**2 / 4))
    assert small["half"] == pytest.approx(float(half / full))
    assert small["confused"] == pytest.approx(float(20 * full**3 / 4))
    assert small["link"] == pytest.approx(float(plain.tail(20, p * full, 2)))
    assert small["half-link"] == pytest.approx(float(plain.tail(20, p * half, 2)))


# ---- transfer ----


def test_transfer_curves_by_enumerating_edges() -> None:
    n, p, k, f = 8, Fraction(1, 3), 3, Fraction(3, 4)
    top = sum((plain.tail(n, p, x) - plain.tail(n, p, x + 1)) * plain.tail(x, f, k) for x in range(k, n + 1))
    low = sum((plain.tail(n, p, x) - plain.tail(n, p, x + 1)) * plain.tail(x, f, 2) for x in range(k, n + 1))
    whole = plain.tail(n, p, k)
    assert float(one_step_transfer(0.75, n, 1 / 3, k)) == pytest.approx(float(top / whole))
    assert float(one_step_transfer(0.75, n, 1 / 3, k, recall=2)) == pytest.approx(float(low / whole))
    assert float(two_step_transfer(0.75, n, 1 / 3, k)) == pytest.approx(float((top / whole) ** 2))
    assert one_step_transfer([[0.0, 1.0]], n, 1 / 3, k).round(12).tolist() == [[0, 1]]


def test_transfer_over_shared_neurons_by_sampling() -> None:
    """Two items of 8 with 3 in common; every edge and every neuron's firing drawn."""
    draw, p, f, k = np.random.default_rng(0), 0.3, 0.8, 3
    edges, fires = draw.random((400_000, 13)) < p, draw.random((400_000, 13)) < f
    a, b = slice(0, 8), slice(5, 13)
    member = (edges[:, a].sum(1) >= k) & (edges[:, b].sum(1) >= k)
    on = edges & fires
    recalled = (on[:, a].sum(1) >= k) & (on[:, b].sum(1) >= k)
    mean = recalled[member].mean()
    sd = (mean * (1 - mean) / member.sum()) ** 0.5
    assert abs(float(two_step_transfer(f, 8, p, k, common=3)) - mean) < 4 * sd
    assert abs(float(two_step_transfer(f, 8, p, k)) - mean) > 8 * sd


def test_margins_of_curves_one_knows() -> None:
    smooth = noise_margins(lambda x: x * x * (3 - 2 * x), 20_001)  # slope 6x(1-x) = 1
    low = 0.5 - (0.25 - 1 / 6) ** 0.5
    assert smooth.low_input == pytest.approx(low, abs=1e-4)
    assert smooth.high_input == pytest.approx(1 - low, abs=1e-4)
    assert smooth.low == pytest.approx(low - low**2 * (3 - 2 * low), abs=1e-4)
    assert smooth.high == pytest.approx(smooth.low, abs=1e-6)
    none = noise_margins(lambda x: x**8)
    assert (none.high, none.high_input) == (0.0, 1.0)
    assert none.low_input == pytest.approx(8 ** (-1 / 7), abs=1e-3)
    assert noise_margins(lambda x: 0.5 * x) == (0.0, 0.0, 1.0, 1.0)


def test_a_hierarchy_draws_sizes_as_joins_do() -> None:
    """One generation against joins on graphs, by the mean and the spread."""
    sizes = hierarchy([2134] * 4000, 1, N, P, 32, np.random.default_rng(0))
    assert len(sizes) == 2
    assert sizes[0].tolist() == [2134] * 4000
    expected = float(one_step_size(2134, N, P, 32))
    assert sizes[1].mean() == pytest.approx(expected, rel=0.002)
    assert 0.025 < sizes[1].std() / expected < 0.033
    for seed in range(20):  # never itself: 500 edges, not none
        assert bool((hierarchy([0, 50_000], 1, N, 0.01, 400, np.random.default_rng(seed))[1] > 90_000).all())


# ---- operations, against sets ----


def counted(graph: StoredGraph, neurons: Tensor) -> Counter[int]:
    return Counter(graph.edges(neurons)[1].tolist())


def at_least(counts: Counter[int], k: int) -> list[int]:
    return sorted(neuron for neuron, count in counts.items() if count >= k)


@pytest.fixture(scope="module")
def small() -> StoredGraph:
    return StoredGraph(RandomGraph(3000, 150, seed=1, fused=False))


def test_operations_by_counting_edges_in_sets(small: StoredGraph) -> None:
    a, b, e = (random_item(3000, r, generator=generator(r)) for r in (120, 130, 90))
    one = join(small, a, b, 22)
    assert one.tolist() == at_least(counted(small, union(a, b)), 22)
    both = set(at_least(counted(small, a), 9)) & set(at_least(counted(small, b), 9))
    assert two_step_join(small, a, b, 9).tolist() == sorted(both)
    link = Link.learn(small, a, e, 10)
    assert link.relays.tolist() == at_least(counted(small, a), 10)
    part = thinned(a, 0.9, generator())
    for lower in (0, 2):
        firing = sorted(set(at_least(counted(small, part), 10 - lower)) & set(link.relays.tolist()))
        reached = set(at_least(counted(small, torch.tensor(firing)), 10 - lower))
        assert link.recall(part, lower).tolist() == sorted(reached & set(e.tolist()))
    assert 0 < len(link.recall(part, 0)) < len(link.recall(part, 2)) <= 90


def test_join_link_is_a_join_then_a_link(small: StoredGraph) -> None:
    a, b, c = (random_item(3000, 120, generator=generator(seed)) for seed in range(3))
    made = JoinLink.learn(small, a, b, c, 18, 11)
    assert made.middle.tolist() == join(small, a, b, 18).tolist()
    assert made.link.relays.tolist() == small.fires(made.middle, 11).tolist()
    part = thinned(a, 0.9, generator(3))
    middle = join(small, part, b, 16)
    assert made.recall(part, b, 2, 1).tolist() == Link(small, made.link.relays, c, 11).recall(middle, 1).tolist()
    assert share(made.recall(a, b), c) > share(made.recall(part, b), c)


def test_the_strongest_are_those_that_get_most(small: StoredGraph) -> None:
    a = random_item(3000, 120, generator=generator())
    counts = counted(small, a)
    ranked = sorted(range(3000), key=lambda neuron: (-counts[neuron], neuron))
    assert strongest(small, a, 100).tolist() == sorted(ranked[:100])


def test_items_are_sets_each_equally_likely() -> None:
    seen: Counter[tuple[int, ...]] = Counter()
    drawn = generator()
    for _ in range(3000):
        seen[tuple(random_item(7, 2, generator=drawn).tolist())] += 1
    assert len(seen) == 21
    assert stats.chisquare(list(seen.values())).pvalue > 1e-3
    large: Counter[int] = Counter()
    for _ in range(3000):
        item = random_item(40, 5, generator=drawn).tolist()
        assert item == sorted(set(item))
        assert len(item) == 5
        large.update(item)
    assert stats.chisquare([large[i] for i in range(40)]).pvalue > 1e-3
    assert random_item(9, 9).tolist() == list(range(9))
    with pytest.raises(ValueError, match="r is 10"):
        random_item(9, 10)


def test_shares_and_parts() -> None:
    item = torch.tensor([2, 5, 7, 9])
    assert share(torch.tensor([5, 9, 11]), item) == 0.5
    assert share(item, item[:0]) == 0.0
    assert union(item, torch.tensor([3, 5])).tolist() == [2, 3, 5, 7, 9]
    assert common(item, torch.tensor([9, 3, 5])).tolist() == [5, 9]
    part = thinned(item, 0.75, generator())
    assert len(part) == 3
    assert share(part, item) == 0.75
    drawn = generator()
    assert len({tuple(thinned(item, 0.5, drawn).tolist()) for _ in range(100)}) == 6  # any two of four
    with pytest.raises(ValueError, match=r"fraction is 1\.5"):
        thinned(item, 1.5)


# ---- both together ----


def test_joins_on_graphs_have_the_sizes_expected() -> None:
    """Given how many neurons A and B have together, |C| is binomial: mean and spread over 60 graphs."""
    found = []
    for seed in range(60):
        graph, drawn = RandomGraph(N, D, seed=seed), generator(seed)
        a, b = (random_item(N, 2134, generator=drawn) for _ in range(2))
        expected = N * float(tail(len(union(a, b)), P, 32))
        found.append((len(join(graph, a, b, 32)) - expected) / expected**0.5)
    assert abs(np.mean(found)) < 4 / 60**0.5
    assert 0.66 < np.std(found, ddof=1) < 1.36  # four standard deviations of a standard deviation


def test_two_steps_and_transfer_on_a_graph() -> None:
    graph, drawn = RandomGraph(N, D, seed=2), generator(2)
    a, b = (random_item(N, 2338, generator=drawn) for _ in range(2))
    c = two_step_join(graph, a, b, 16)
    together = len(common(a, b))
    expected = N * float(both(2338, P, 16, together))
    assert abs(len(c) - expected) < 4 * expected**0.5
    one = join(graph, a, b, 32)
    for f in (0.85, 0.95):
        theory = float(two_step_transfer(f, 2338, P, 16, common=together))
        parts = thinned(a, f, drawn), thinned(b, f, drawn)
        recalled = share(two_step_join(graph, *parts, 16), c)
        assert abs(recalled - theory) < 0.05
        theory = float(one_step_transfer(f, len(union(a, b)), P, 32))
        assert abs(share(join(graph, *parts, 32), one) - theory) < 0.05


def test_a_link_on_a_graph_is_as_sharp_as_expected() -> None:
    graph, drawn = RandomGraph(20_000, 400, seed=3), generator(3)
    d, e = (random_item(20_000, 400, generator=drawn) for _ in range(2))
    link = Link.learn(graph, d, e, 13)
    assert share(link.recall(d), e) > 0.98
    assert share(link.recall(random_item(20_000, 400, generator=drawn)), e) == 0.0
    for f in (0.7, 0.8):
        firing = graph.fires(thinned(d, f, generator(4)), 13)
        theory = float(tail(len(firing), graph.p, 13))
        assert abs(share(link.recall(thinned(d, f, generator(4))), e) - theory) < 4 * (0.25 / 400) ** 0.5
    assert len(firing) == pytest.approx(20_000 * float(tail(320, graph.p, 13)), rel=0.15)
