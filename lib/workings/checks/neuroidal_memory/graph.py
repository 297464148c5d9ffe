"""The graph: its edges, how they are found again, and what fires on it."""

from __future__ import annotations

from fractions import Fraction

import torch

from workings.book.ledger import verifies
from workings.checks.neuroidal_memory.oracle import WORD, splitmix
from workings.neuroidal_memory import Link, RandomGraph, gaps, join, random_item, tail

ONE = 2**63


def small(device: torch.device) -> tuple[RandomGraph, dict[int, set[int]]]:
    """Return a graph of 600 neurons and, for each neuron, those that reach it."""
    graph = RandomGraph(600, 60, seed=4, device=device)
    into: dict[int, set[int]] = {neuron: set() for neuron in range(600)}
    for source, target in zip(*(one.tolist() for one in graph.edges(torch.arange(600))), strict=True):
        into[target].add(source)
    return graph, into


def item(r: int, seed: int, device: torch.device) -> torch.Tensor:
    """Draw an item of r among 600 neurons."""
    return random_item(600, r, device, torch.Generator().manual_seed(seed))


@verifies(
    "neuroidal_memory:edges",
    tex=r"P(i \to j) = p = \frac{d}{n} \quad \text{for each } i \neq j",
    tolerance=0.01,
    wrong={"with d edges in all": {"total": True}, "with an edge to itself": {"itself": 600}},
)
def edges(device: torch.device, total: bool = False, itself: int = 0) -> float:
    """Count all edges of a graph; 36 000 are known to half a percent."""
    graph, into = small(device)
    counted = sum(map(len, into.values()))
    loops = sum(neuron in sources for neuron, sources in into.items())
    expected = 60 if total else graph.n * (graph.n - 1) * 60 / 600
    return abs(counted / expected - 1) + abs(loops - itself)


@verifies(
    "neuroidal_memory:join",
    tex=r"C = \bigl\{ v : \bigl|\{ i \in A \cup B : i \to v \}\bigr| \geq k_m \bigr\}",
    tolerance=0.0,
    wrong={"with more than k": {"more": 1}, "with common neurons counted twice": {"twice": True}},
    kind="definition",
)
def joined(device: torch.device, more: int = 0, twice: bool = False) -> float:
    """Ask every neuron for its inputs, in sets."""
    graph, into = small(device)
    a, b = (item(80, seed, device) for seed in (1, 2))
    one, other = set(a.tolist()), set(b.tolist())
    found = {
        v for v, sources in into.items()
        if (len(sources & one) + len(sources & other) if twice else len(sources & (one | other))) >= 20 + more
    }  # fmt: skip
    return float(len(found ^ set(join(graph, a, b, 20).tolist())))


@verifies(
    "neuroidal_memory:recall",
    tex=r"""\begin{aligned}
    R &= \bigl\{ u : |\{ i \in D : i \to u \}| \geq k_a \bigr\}, \\
    E' &= \bigl\{ v \in E : \\
    &\qquad |\{ u \in R \cap R' : u \to v \}| \geq k_a \bigr\}
    \end{aligned}""",
    tolerance=0.0,
    wrong={"over relays that were never raised": {"raised": False}, "with more than k": {"more": 1}},
    kind="definition",
)
def recalled(device: torch.device, raised: bool = True, more: int = 0) -> float:
    """Learn with D, recall with another set at a lower threshold; follow both steps in sets."""
    graph, into = small(device)
    d, e, now = (item(r, seed, device) for r, seed in ((100, 3), (200, 4), (110, 5)))
    link = Link.learn(graph, d, e, 13)
    relays, firing = (
        {u for u, sources in into.items() if len(sources & set(one.tolist())) >= k} for one, k in ((d, 13), (now, 10))
    )
    carried = firing & relays if raised else firing
    found = {v for v in e.tolist() if len(into[v] & carried) >= 10 + more}
    return float(len(found ^ set(link.recall(now, lower=3).tolist())))


@verifies(
    "neuroidal_memory:gap",
    tex=r"P(G > g) = (1 - p)^g",
    tolerance=1e-15,
    wrong={"one step late": {"late": 1}, "evenly spaced": {"even": True}},
)
def gap(device: torch.device, late: int = 0, even: bool = False) -> float:
    """Give the table every integer at which a gap changes, and compare the shares below with powers of fractions."""
    p, law = Fraction(1, 16), gaps(1 / 16)
    entries = law.survival[:-1]
    above = law.to(device).count(torch.cat((entries, entries - 1)).to(device)).cpu()
    number = torch.arange(len(entries))
    if not (
        torch.equal(above[: len(entries)].long(), number) and torch.equal(above[len(entries) :].long(), number + 1)
    ):
        return float("inf")
    off = []
    for g, entry in enumerate(entries.tolist(), 1):
        exact = max(1 - g * p, Fraction(0)) if even else (1 - p) ** (g - late)
        off.append(abs(float(Fraction(entry, ONE) - exact)))
    return max(off)


@verifies(
    "neuroidal_memory:memory",
    tex=r"P(G > g + h \mid G > g) = P(G > h)",
    tolerance=1e-15,
    wrong={"for gaps evenly spread up to their longest": {"even": True}},
)
def memory(device: torch.device, even: bool = False) -> float:
    """Divide entries of the table; for evenly spread gaps the rest would depend on the wait."""
    table = [ONE, *gaps(7800 / 1.6e7).survival[:-1].tolist()]
    if even:
        table = [len(table) - g for g in range(len(table))]
    rest = [Fraction(table[g + 500], table[g]) for g in (0, 100, 1000, 4000)]
    return max(abs(float(one - rest[0])) for one in rest)


@verifies(
    "neuroidal_memory:survival",
    tex=r"S_g = S_{g-1} - \bigl\lfloor 2^{-64} P\, S_{g-1} \bigr\rceil",
    tolerance=0.0,
    wrong={"rounded down": {"half": 0}, "with 32 bits": {"bits": 32}},
    kind="definition",
)
def survival(device: torch.device, half: int = ONE, bits: int = 64) -> float:
    """Repeat the recursion with Python's integers, for the mouse."""
    p = 7800 / 1.6e7
    rate, left, off = round(Fraction(p) * 2**bits) * 2 ** (64 - bits), ONE, 0
    for entry in gaps(p).survival[:-1].tolist():
        left -= (left * rate + half) // WORD
        off = max(off, abs(left - entry))
    return float(off)


@verifies(
    "neuroidal_memory:key",
    tex=r"u_c = M\bigl(M(M(s, 0),\, i m + b),\, c\bigr)",
    tolerance=0.0,
    wrong={"with one key for all blocks": {"alike": True}, "for the next neuron": {"shift": 1}},
    kind="definition",
)
def key(device: torch.device, alike: bool = False, shift: int = 0) -> float:
    """Walk the first targets of a neuron in two blocks, by Python's integers."""
    graph, off = RandomGraph(600_000, 300, seed=9, device=device), 0
    table, found = graph.gaps.survival[:-1].tolist(), set(graph.targets(77).tolist())
    for b in (0, 1):
        start, here = splitmix(splitmix(9, 0), (77 + shift) * graph.blocks + (0 if alike else b)), b * graph.block - 1
        for c in range(12):
            above = sum((splitmix(start, c) >> 1) < entry for entry in table)
            here += min(above + 1, len(table))
            off += above < len(table) and here not in found
    return float(off)


@verifies(
    "neuroidal_memory:cost",
    tex=r"""\begin{aligned}
    \text{JOIN: } & 2\,r\,d \text{ edges}, \\
    \text{LINK: } & \bigl(r + n\,B(r, p, k_a)\bigr)\,d
    \end{aligned}""",
    tolerance=0.03,
    wrong={"with every edge of the graph": {"all": True}, "without the relays": {"relays": False}},
)
def cost(device: torch.device, all: bool = False, relays: bool = True) -> float:
    """Count the edges that both operations meet, on a graph of 20 000 neurons."""
    graph, drawn = RandomGraph(20_000, 400, seed=5, device=device), torch.Generator().manual_seed(5)
    a, b, e = (random_item(20_000, 400, device, drawn) for _ in range(3))
    link = Link.learn(graph, a, e, 13)
    met = [int(graph.inputs(one).sum()) for one in (torch.cat((a, b)), a, link.relays)]
    many = 20_000 * float(tail(400, graph.p, 13)) if relays else 0.0
    expected = [20_000 * 400.0] * 2 if all else [2 * 400 * 400.0, (400 + many) * 400]
    return max(abs(met[0] / expected[0] - 1), abs((met[1] + met[2]) / expected[1] - 1) / 2)
