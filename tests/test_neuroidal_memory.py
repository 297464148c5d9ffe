"""The graph that is not stored: bit for bit, and as a sample of G(n, p)."""

from __future__ import annotations

from fractions import Fraction

import neuroidal_reference as plain
import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from workings.neuroidal_memory import Gaps, RandomGraph, StoredGraph, gaps, kernel, mix, outputs
from workings.neuroidal_memory.splitmix import signed

VIGNA = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
LARGE = {"n": 1_000_000, "d": 512.0}  # four blocks
NUMBA = pytest.param(True, marks=pytest.mark.skipif(not kernel.available(), reason="numba is not installed"))
BOTH = pytest.mark.parametrize("fused", [False, NUMBA])


def draw(n: int, r: int, seed: int = 0) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:r]


# ---- random numbers ----


def test_the_outputs_of_splitmix_as_published(device: torch.device) -> None:
    found = outputs(torch.tensor(1234567, device=device), torch.arange(5, device=device))
    assert [word % 2**64 for word in found.tolist()] == VIGNA
    assert found.tolist() == [signed(word) for word in VIGNA]
    assert all(plain.splitmix(1234567, i) == word for i, word in enumerate(VIGNA))


def test_mixing_overwrites_and_broadcasts(device: torch.device) -> None:
    words = torch.arange(-3, 3, device=device)
    assert mix(words) is words
    seeds, index = torch.tensor([[5], [-7]], device=device), torch.arange(3, device=device)
    expected = [[signed(plain.splitmix(seed, i)) for i in range(3)] for seed in (5, -7)]
    assert outputs(seeds, index).tolist() == expected


# ---- gaps ----


@pytest.mark.parametrize("p", [0.5, 0.3, 0.0512, 7800 / 1.6e7, 1e-4])
def test_the_chance_of_a_hit_is_p_at_every_gap_to_eighteen_digits(p: float) -> None:
    """What the table realises, as fractions of its own integers; and its length."""
    table = gaps(p).survival.tolist()
    assert table[:-1] == plain.survival(p)
    assert table[-1] == -1
    before = [2**63, *table[:-2]]
    worst = max(abs(1 - Fraction(now, last) - Fraction(p)) for last, now in zip(before, table[:-1], strict=True))
    assert worst < Fraction(1, 2**59)
    assert table[-2] < 2**59 <= before[-1]
    assert len(table) - 1 == gaps(p).longest


@pytest.mark.parametrize("p", [0.5, 0.3, 0.0512, 7800 / 1.6e7, 1e-4])
def test_a_look_into_the_guide_finds_what_a_search_does(p: float, device: torch.device) -> None:
    """Also just at, above and below every entry, and at the ends of every bucket of the guide."""
    law = gaps(p)
    entries = law.survival[:-1]
    edges = torch.arange(len(law.guide)) << law.shift
    u = torch.cat((entries, entries - 1, edges, edges[1:] - 1, torch.tensor([0, 2**63 - 1]), outputs(
        torch.tensor(1), torch.arange(20_000)) >> 1 & 2**63 - 1))  # fmt: skip
    expected = len(entries) - torch.searchsorted(entries.flip(0), u, right=True)
    assert torch.equal(law.to(device).count(u.to(device)).cpu().long(), expected)
    assert law.rounds <= 2


@pytest.mark.parametrize("p", [0.0, 0.6, 1e-9, float("nan"), -0.1])
def test_a_chance_out_of_range_is_named(p: float) -> None:
    with pytest.raises(ValueError, match="p is"):
        gaps(p)


# ---- bit for bit ----


@BOTH
def test_edges_are_those_of_plain_python(fused: bool) -> None:
    for n, d, neurons in ((60, 20.0, range(60)), (1000, 4.0, (0, 7, 999)), (1_000_000, 512.0, (0, 300_000))):
        graph = RandomGraph(n, d, seed=11, fused=fused)
        for neuron in neurons:
            expected = plain.targets(11, n, d, neuron, graph.block)
            assert graph.targets(neuron).tolist() == expected
            assert torch.nonzero(graph.inputs(torch.tensor([neuron])))[:, 0].tolist() == expected


def test_the_graph_never_changes_silently(device: torch.device) -> None:
    """Golden values: results that others obtained with these seeds depend on them."""
    graph = RandomGraph(1000, 4, seed=1, device=device)
    assert graph.targets(7).tolist() == [216, 484, 509, 689, 940]
    assert graph.block == 2**18
    mouse = RandomGraph(16_000_000, 7800, seed=2, device=device)
    found = mouse.targets(12_345_678)
    assert (mouse.block, mouse.blocks) == (2**18, 62)
    assert found[:5].tolist() == [860, 3517, 3879, 8930, 9054]
    assert (len(found), int(found.sum())) == (7983, 63_857_167_004)
    human = RandomGraph(10**10, 24_000, seed=3, device=device)
    assert (human.block, human.blocks) == (2**26, 150)


@pytest.mark.skipif(not kernel.available(), reason="numba is not installed")
def test_the_compiled_loop_counts_a_number_that_equals_an_entry_as_not_below_it() -> None:
    """A table of one entry, the very number that comes first: the gap is one, and there is a hit."""
    first = plain.splitmix(5, 0) >> 1
    for entry, hits in ((first, 1), (first + 1, 0)):
        law = Gaps(torch.tensor([entry, -1]), torch.zeros(1, dtype=torch.int32), 63, 1)
        counts = torch.zeros(1, dtype=torch.int16)
        kernel.count(torch.tensor([5]), torch.tensor([-1]), law, counts)
        assert counts.tolist() == [hits]


def test_numba_and_torch_count_the_same_edges(device: torch.device) -> None:
    """And so do any chunks, any order, and neurons that are named twice."""
    neurons = draw(LARGE["n"], 300)  # type: ignore[arg-type]
    graph = RandomGraph(1_000_000, 512, seed=3, device=device, fused=False)
    counts = graph.inputs(neurons)
    assert int(counts.sum()) == len(graph.edges(neurons)[0])
    if kernel.available():
        assert torch.equal(RandomGraph(1_000_000, 512, seed=3, fused=True).inputs(neurons), counts.cpu().short())
    graph.chunk = 1000
    assert torch.equal(graph.inputs(neurons.flip(0)), counts)
    assert torch.equal(graph.inputs(torch.cat((neurons, neurons[:50])).reshape(2, -1)), counts)
    one, other = graph.inputs(neurons[:100]), graph.inputs(neurons[100:])
    assert torch.equal(one + other, counts)


@BOTH
def test_all_questions_get_the_same_answer(fused: bool, device: torch.device) -> None:
    if fused and device.type != "cpu":
        pytest.skip("the compiled loop runs on the CPU")
    graph = RandomGraph(600_000, 400, seed=4, device=device, fused=fused)
    neurons, wanted = draw(graph.n, 2000), draw(graph.n, 500, seed=1)
    counts, (rows, found) = graph.inputs(neurons), graph.edges(neurons)
    assert torch.equal(torch.bincount(found, minlength=graph.n), counts.long())
    assert torch.equal(graph.fires(neurons, 5), torch.nonzero(counts >= 5)[:, 0])
    assert torch.equal(graph.inputs_to(neurons, wanted), counts.long()[wanted.to(device)])
    assert torch.equal(rows, rows.sort().values)
    pairs = rows * graph.n + found
    assert bool((pairs.diff() > 0).all())  # in order, and none twice
    assert not bool((rows == found).any())  # and none to itself


@BOTH
def test_a_stored_graph_has_the_same_edges(fused: bool) -> None:
    graph = RandomGraph(5000, 20, seed=5, fused=fused)
    stored, neurons = StoredGraph(graph), draw(5000, 700)
    assert int(stored.offsets[-1]) == len(stored.targets) == int(graph.inputs(torch.arange(5000)).sum())
    for ours, theirs in zip(graph.edges(neurons), stored.edges(neurons), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(stored.inputs(neurons), graph.inputs(neurons).long())
    assert torch.equal(stored.fires(neurons, 6), graph.fires(neurons, 6))
    assert torch.equal(stored.inputs_to(neurons, neurons), graph.inputs_to(neurons, neurons))


@BOTH
def test_counters_are_wide_enough_for_their_sources(fused: bool) -> None:
    """A neuron may get an edge from every source: beyond 255 they count on, and with 2^15 sources 32 bits wide."""
    graph = RandomGraph(1000, 500, seed=6, fused=fused)
    counts = graph.inputs(torch.arange(1000)).double()
    assert abs(float(counts.mean()) - 499.5) < 4 * (250 / 1000) ** 0.5
    wide = RandomGraph(33_000, 2, seed=6, fused=fused)
    assert [wide.inputs(torch.arange(r)).dtype for r in (2**15 - 1, 2**15)] == [torch.int16, torch.int32]


@BOTH
def test_no_neurons_fire_nothing(fused: bool) -> None:
    graph, none = RandomGraph(1000, 4, fused=fused), torch.zeros(0, dtype=torch.int64)
    assert graph.inputs(none).tolist() == [0] * 1000
    assert len(graph.fires(none, 1)) == len(graph.edges(none)[0]) == 0
    assert graph.inputs_to(torch.arange(9), none).tolist() == []


# ---- a sample of G(n, p) ----


def test_numbers_of_edges_are_binomial() -> None:
    """Out of a neuron and into one, with n - 1 others: by chi-squared, and the mean to a part in a thousand."""
    graph = RandomGraph(20_000, 30, seed=7)
    rows, found = graph.edges(torch.arange(20_000))
    law = stats.binom(19_999, graph.p)
    bins = np.array([0, *range(18, 43), 20_000])
    expected = 20_000 * np.diff(law.cdf(bins - 1))
    for ends in (rows, found):
        degrees = torch.bincount(ends, minlength=20_000).numpy()
        assert stats.chisquare(np.histogram(degrees, bins)[0], expected, sum_check=False).pvalue > 1e-3
    assert len(rows) == pytest.approx(20_000 * 19_999 * graph.p, abs=4 * 600_000**0.5)


def test_targets_are_uniform_also_across_blocks() -> None:
    graph = RandomGraph(1_000_000, 512, seed=8)
    _, found = graph.edges(draw(graph.n, 1000))
    assert stats.chisquare(torch.bincount(found // 1000, minlength=1000).numpy()).pvalue > 1e-3
    assert stats.chisquare(torch.bincount(found % 64, minlength=64).numpy()).pvalue > 1e-3


def test_gaps_are_geometric_also_over_the_edge_of_a_block() -> None:
    """The first hit beyond a boundary comes as late as anywhere, and so does the next after any hit."""
    graph = RandomGraph(1_000_000, 512, seed=9)
    rows, found = graph.edges(draw(graph.n, 4000, seed=2))
    cuts = np.quantile(stats.geom(graph.p).rvs(100_000, random_state=0), np.linspace(0, 1, 21)[1:-1]).astype(int)
    chance = np.diff([0.0, *stats.geom(graph.p).cdf(cuts), 1.0])
    inside = found.diff()[(rows.diff() == 0) & (found[1:] < 900_000)].numpy()
    inside = inside[found.numpy()[:-1][(rows.diff() == 0) & (found[1:] < 900_000)] < 980_000]
    first = []
    for block in (1, 2, 3):
        beyond = found >= block * graph.block
        new = torch.cat((torch.tensor([True]), rows.diff() > 0)) | torch.cat((torch.tensor([False]), ~beyond[:-1]))
        first.append((found - block * graph.block + 1)[beyond & new].numpy())
    late = np.concatenate(first)
    assert len(late) == 12_000
    for sample in (late, inside[:200_000]):
        counted = np.bincount(np.searchsorted(cuts, sample), minlength=20)
        assert stats.chisquare(counted, len(sample) * chance).pvalue > 1e-3


def test_pairs_are_independent() -> None:
    """Over 2000 graphs: each of 870 pairs as often as it should be, and products of two as often as of strangers."""
    n, d, graphs = 30, 6.0, 2000
    hit = torch.zeros(graphs, n, n)
    for seed in range(graphs):
        rows, found = RandomGraph(n, d, seed=seed, fused=False).edges(torch.arange(n))
        hit[seed, rows, found] = 1
    p, off = d / n, ~torch.eye(n, dtype=torch.bool)
    assert not bool(hit[:, ~off].any())
    spread = (hit.mean(0)[off] - p) / (p * (1 - p) / graphs) ** 0.5
    assert stats.chi2(int(off.sum())).sf(float(spread.square().sum())) > 1e-3
    centred = (hit - p) * off
    pairs = {
        "next target": centred[:, :, 1:] * centred[:, :, :-1],
        "second next": centred[:, :, 2:] * centred[:, :, :-2],
        "next source": centred[:, 1:] * centred[:, :-1],
        "other way": centred * centred.transpose(1, 2) / 2**0.5,
        "next graph": centred[1:] * centred[:-1],
    }
    for name, products in pairs.items():
        sd = p * (1 - p) * float((products != 0).sum()) ** 0.5
        assert abs(float(products.double().sum())) < 4 * sd, name


def test_seeds_name_different_graphs_and_forty_bits_matter() -> None:
    found = [RandomGraph(1000, 20, seed=seed).targets(3).tolist() for seed in (0, 1, 2**40, -1)]
    assert len({tuple(one) for one in found}) == 4


# ---- bad input ----


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="n is 1 "):
        RandomGraph(1, 0.5)
    with pytest.raises(ValueError, match="d is 900"):
        RandomGraph(1000, 900)
    with pytest.raises(ValueError, match="runs on the CPU"):
        RandomGraph(1000, 9, device="meta", fused=True)
    graph = RandomGraph(1000, 9)
    with pytest.raises(ValueError, match="from -1 to 3; there are 0 to 999"):
        graph.inputs(torch.tensor([3, -1]))
    with pytest.raises(ValueError, match="from 3 to 1000"):
        graph.edges(torch.tensor([3, 1000]))
    with pytest.raises(TypeError, match=r"torch\.float32"):
        graph.fires(torch.tensor([3.0]), 1)
    with pytest.raises(ValueError, match="k is 0"):
        graph.fires(torch.tensor([3]), 0)
    with pytest.raises(ValueError, match="at most 2\\^30"):
        StoredGraph(RandomGraph(16_000_000, 7800))


def test_without_numba_torch_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "available", lambda: False)
    assert not RandomGraph(1000, 9).fused
    with pytest.raises(ImportError, match=r"workings\[fast\]"):
        RandomGraph(1000, 9, fused=True)
    monkeypatch.setattr(kernel, "available", lambda: True)
    assert RandomGraph(1000, 9).fused
    assert not RandomGraph(1000, 9, fused=False).fused
