"""What takes longer than a page: hierarchies on a graph, margins and what they cost, chains, whole brains.

``FIGURE_SIZES`` and ``FIGURE_TRANSFER`` hold what Beal and Knight (2008) drew, read off a reproduction of the plots.
Each experiment is a function of a seed that returns its measured quantities; ``RECORDED`` lists them with the seeds and
arguments of each profile.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workings.neuroidal_memory.graph import RandomGraph
from workings.neuroidal_memory.operations import (
    Graph,
    JoinLink,
    Link,
    join,
    random_item,
    share,
    thinned,
    two_step_join,
    union,
)
from workings.neuroidal_memory.sizes import Array, one_step_size, replicating_size, tail

# Beal and Knight (2008): sizes of new items against those of old ones, in units of r (digitized to about a pixel, 0.01)
FIGURE_SIZES = {
    "one": {0.90: 0.26, 0.92: 0.352, 0.95: 0.533, 0.98: 0.789, 1.0: 0.998, 1.02: 1.263, 1.05: 1.75, 1.08: 2.363,
            1.10: 2.86},
    "two": {0.90: 0.30, 0.92: 0.40, 0.98: 0.853, 1.0: 1.06, 1.02: 1.325, 1.08: 2.366, 1.10: 2.80},
}  # fmt: skip
# the band in which both of their transfer curves run, at two shares of A and B that fire
FIGURE_TRANSFER = {0.8: (0.04, 0.057), 0.9: (0.256, 0.278)}
N, D = 100_000, 512.0  # inferred: the figures fit these and no neighbours
ONE_STEP, TWO_STEP = (2134, 32), (2338, 16)  # r and threshold
GENTLE = {"n": N, "d": D, "r": 2134, "k_m": 32, "k_a": 16}
SHARP = {"n": 1_000_000, "d": 8192.0, "r": 155, "k_m": 10, "k_a": 7}


def size_curve(
    graph: Graph, steps: int, ratios: Sequence[float], seed: int, each: Callable[[Iterable[Any]], Iterable[Any]] = iter
) -> tuple[Array, Array]:
    """Measure how large JOIN's items are, for items a little smaller or larger than r.

    Args:
        graph: of `N` neurons.
        steps: 1 or 2, the kind of JOIN.
        ratios: sizes of A and B in units of r.
        seed: draws the items.
        each: shows progress.

    Returns:
        Sizes of C in units of r, and what is expected for one-step JOIN given A and B (zeros for two steps).

    """
    r, k = ONE_STEP if steps == 1 else TWO_STEP
    generator, found = torch.Generator().manual_seed(seed), []
    for ratio in each(ratios):
        a, b = (random_item(graph.n, round(ratio * r), graph.device, generator) for _ in range(2))
        c = join(graph, a, b, k) if steps == 1 else two_step_join(graph, a, b, k)
        expected = graph.n * float(tail(len(union(a, b)), D / N, k)) if steps == 1 else 0.0
        found.append((len(c) / r, expected / r))
    sizes, theory = np.array(found).T
    return sizes, theory


def joined_generations(graph: Graph, r: int, k: int, items: int, generations: int, seed: int) -> list[list[int]]:
    """Let items be joined in pairs at random on a graph, the new ones again, and so on.

    Args:
        graph: on which.
        r: size of the items to begin with.
        k: threshold.
        items: how many there are in each generation.
        generations: how often they are replaced.
        seed: draws items and pairs.

    Returns:
        The sizes in each generation, the first one included.

    """
    generator = torch.Generator().manual_seed(seed)
    now = [random_item(graph.n, r, graph.device, generator) for _ in range(items)]
    sizes = [[r] * items]
    for _ in range(generations):
        first = torch.randint(items, (items,), generator=generator)
        second = (first + torch.randint(1, items, (items,), generator=generator)) % items
        now = [join(graph, now[i], now[j], k) for i, j in zip(first.tolist(), second.tolist(), strict=True)]
        sizes.append([len(item) for item in now])
    return sizes


def outside(sizes: Iterable[float], r: float) -> float:
    """Return the share of sizes below half of r or above twice r."""
    found = np.asarray(list(sizes))
    return float(((found < r / 2) | (found > 2 * r)).mean())


def hierarchies(seed: int, device: torch.device, items: int, generations: int) -> dict[str, Any]:
    """Follow a hierarchy of one-step JOINs on a graph; the shares out of range, and sizes, in each generation."""
    graph = RandomGraph(N, D, seed=seed, device=device)
    sizes = joined_generations(graph, *ONE_STEP, items, generations, seed)
    return {
        "outside": [outside(one, ONE_STEP[0]) for one in sizes],
        "largest": [max(one) for one in sizes],
        "smallest": [min(one) for one in sizes],
    }


def recall_rates(
    made: JoinLink, a: Tensor, b: Tensor, lower: tuple[int, int], fractions: Sequence[float], seed: int
) -> dict[str, Any]:
    """Return what share of C fires for parts of A and B, and for inputs that ought to leave it silent.

    Args:
        made: what was learned of A, B and C.
        a: the first item.
        b: the second.
        lower: by how much the thresholds of JOIN and LINK are lowered when recalling.
        fractions: shares of A and of B that fire.
        seed: draws parts and other items.

    Returns:
        ``curve``, for the fractions; ``wrong``: A with another item in place of B; ``unrelated``: two other items;
        ``one``: A alone.

    """
    generator, c, r = torch.Generator().manual_seed(seed), made.link.target, len(a)
    other, another = (random_item(made.graph.n, r, a.device, generator) for _ in range(2))
    curve = [share(made.recall(thinned(a, f, generator), thinned(b, f, generator), *lower), c) for f in fractions]
    return {
        "curve": curve,
        "wrong": share(made.recall(a, other, *lower), c),
        "unrelated": share(made.recall(another, other, *lower), c),
        "one": share(made.recall(a, a[:0], *lower), c),
    }


def learned(graph: Graph, r: int, k_m: int, k_a: int, seed: int) -> tuple[Tensor, Tensor, JoinLink]:
    """Draw A, B and C of size r and store their conjunction; return A, B and what was learned."""
    generator = torch.Generator().manual_seed(seed)
    a, b, c = (random_item(graph.n, r, graph.device, generator) for _ in range(3))
    return a, b, JoinLink.learn(graph, a, b, c, k_m, k_a)


def margins(
    seed: int, device: torch.device, n: int, d: float, r: int, k_m: int, k_a: int, lowers: list[list[int]],
    fractions: list[float],
) -> dict[str, Any]:  # fmt: skip
    """Measure JOIN-LINK's transfer curve and its errors at lowered thresholds, on one graph.

    For each pair of reductions ``m,a``: the curve, and what wrong inputs recall; also the sizes of the middle set and
    of the set of relays.
    """
    a, b, made = learned(RandomGraph(n, d, seed=seed, device=device), r, k_m, k_a, seed)
    found: dict[str, Any] = {"middle": len(made.middle), "relays": len(made.link.relays)}
    for m, l in lowers:  # noqa: E741
        for name, value in recall_rates(made, a, b, (m, l), fractions, seed + 1000).items():
            found[f"{name}_{m},{l}"] = value
    return found


def chains(
    seed: int, device: torch.device, n: int, d: float, r: int, k_m: int, k_a: int, lower: list[int], length: int,
    dropouts: list[float],
) -> dict[str, Any]:  # fmt: skip
    """Store a chain C1 = (A, B1), C2 = (C1, B2), ...; recall it from the start, with dropout at every step.

    For each dropout the share of each C that fires. ``plain`` has the sizes of a chain of JOINs, from the same items
    and at the same threshold, until they are more than half of the graph.
    """
    graph, generator = RandomGraph(n, d, seed=seed, device=device), torch.Generator().manual_seed(seed)
    items = [random_item(n, r, device, generator) for _ in range(length + 1)]
    targets = [random_item(n, r, device, generator) for _ in range(length)]
    befores = [items[0], *targets]
    stages = [
        JoinLink.learn(graph, before, b, c, k_m, k_a)
        for before, b, c in zip(befores[:-1], items[1:], targets, strict=True)
    ]
    found: dict[str, Any] = {}
    for dropout in dropouts:
        firing, shares = items[0], []
        for stage, b in zip(stages, items[1:], strict=True):
            one, other = (thinned(item, 1 - dropout, generator) for item in (firing, b))
            firing = stage.recall(one, other, *lower)
            shares.append(share(firing, stage.link.target))
        found[f"{dropout:g}"] = shares
    plain, sizes = items[0], [r]
    for b in items[1:]:
        plain = join(graph, plain, b, k_m) if len(plain) < n / 2 else plain
        sizes.append(len(plain))
    return {**found, "plain": sizes}


def brain(seed: int, device: torch.device, n: int, d: float, k: int, link: bool) -> dict[str, Any]:
    """Join two items in a brain of n neurons, link them to a third if asked; sizes, seconds and memory.

    Seconds are those of a core where that fires, and of the clock on a GPU. ``megabytes`` is the peak that torch holds
    on a GPU, else the growth of the process since the graph was made.
    """
    clock = perf_counter if device.type == "cuda" else process_time
    r = round(replicating_size(lambda s: one_step_size(s, n, d / n, 2 * k), n))
    graph, generator = RandomGraph(n, d, seed=seed, device=device), torch.Generator().manual_seed(seed)
    a, b, e = (random_item(n, r, device, generator) for _ in range(3))
    graph.fires(a[:2], 1)  # whatever is compiled is compiled now
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    before, start = _resident(), clock()
    c = join(graph, a, b, 2 * k)
    found = {"r": r, "joined": len(c), "join_seconds": clock() - start}
    found["expected"] = n * float(tail(len(union(a, b)), d / n, 2 * k))
    found["edges"] = len(union(a, b)) * d
    if link:
        start = clock()
        made = Link.learn(graph, c, e, k)
        found["relays"], found["learn_seconds"] = len(made.relays), clock() - start
        start = clock()
        reached = graph.inputs_to(made.relays, e) >= k
        found["linked"], found["recall_seconds"] = float(reached.double().mean()), clock() - start
    cuda = device.type == "cuda"
    found["megabytes"] = (torch.cuda.max_memory_allocated() if cuda else _resident() - before) / 1e6
    return found


def _resident() -> float:
    """Return the peak of the process' memory so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


FRACTIONS = [0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 1.0]
MOUSE = {"n": 16_000_000, "d": 7800.0}
HUMAN = {"n": 10_000_000_000, "d": 24_000.0}
RECORDED: dict[str, dict[str, Any]] = {
    "hierarchies": {
        "run": hierarchies,
        "seeds": range(8),
        "profiles": {"quick": {"items": 6, "generations": 2}, "default": {"items": 64, "generations": 3}},
    },
    "gentle": {
        "run": margins,
        "seeds": range(8),
        "profiles": {
            "quick": {**GENTLE, "lowers": [[0, 0]], "fractions": [0.9, 1.0]},
            "default": {**GENTLE, "lowers": [[0, 0], [1, 1], [2, 1], [3, 2]], "fractions": FRACTIONS},
        },
    },
    "sharp": {
        "run": margins,
        "seeds": range(8),
        "profiles": {
            "quick": {**SHARP, "lowers": [[0, 1]], "fractions": [0.97]},
            "default": {**SHARP, "lowers": [[0, 0], [0, 1], [0, 2]], "fractions": FRACTIONS},
        },
    },
    "chains": {
        "run": chains,
        "seeds": range(8),
        "profiles": {
            "quick": {**SHARP, "lower": [0, 1], "length": 1, "dropouts": [0.03]},
            "default": {**SHARP, "lower": [0, 1], "length": 5, "dropouts": [0.03, 0.06, 0.1]},
        },
    },
    "mouse": {
        "run": brain,
        "seeds": range(2),
        "profiles": {
            "quick": {**MOUSE, "k": 4, "link": False},
            "default": {**MOUSE, "k": 16, "link": True},
            "full": {**MOUSE, "k": 16, "link": True},
        },
    },
    "human": {
        "run": brain,
        "seeds": range(1),
        "profiles": {"quick": {**MOUSE, "k": 4, "link": False}, "full": {**HUMAN, "k": 8, "link": False}},
    },
}
