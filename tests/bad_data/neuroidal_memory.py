"""Random graphs, what fires on them, and the expected sizes of items: valid calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from bad_data import Case
from bad_data.rules import Rule, Trial, gives, leaves, same, unused
from workings import neuroidal_memory as nm

GRAPH = nm.RandomGraph(400, 40, seed=1, fused=False)
STORED = nm.StoredGraph(nm.RandomGraph(100, 10, seed=1, fused=False))
A, B, C = torch.arange(30), torch.arange(20, 50), torch.arange(60, 80)
NONE = torch.zeros(0, dtype=torch.int64)
SOME, TARGETS = torch.tensor([3, 5, 7, 90]), torch.tensor([1, 4, 9])
TABLE = nm.gaps(0.25)
R, F = np.array([20.0, 30.0, 45.0]), np.array([0.5, 0.8, 1.0])
LINK = nm.Link.learn(STORED, A, C, 3)
BOTH = nm.JoinLink.learn(STORED, A, B, C, 5, 3)


def size(r: Any) -> Any:
    return nm.one_step_size(r, 1e3, 0.05, 8)


def of_set(method: Any, of_none: Any) -> Case:
    """Return the case of what a set sets off: its shape does not matter, and of none comes ``of_none``."""
    return (
        Case(method, neurons=SOME)
        .hints(neurons="sign free")
        .rule("neurons", "shape", unused)
        .rule("neurons", "empty", gives(of_none))
    )


CASES = {
    "Gaps": Case(
        lambda **tables: nm.Gaps(**tables).count(torch.arange(5) << 60),
        survival=TABLE.survival,
        guide=TABLE.guide,
        shift=TABLE.shift,
        rounds=TABLE.rounds,
    ).hints(survival="free -negative -huge", guide="free -huge", shift="sign", rounds="sign -huge"),
    "Gaps.count": Case(TABLE.count, u=torch.arange(5) << 60).hints(u="sign free"),
    "JoinLink": Case(
        lambda **parts: nm.JoinLink(**parts).recall(A, B), graph=STORED, middle=BOTH.middle, link=LINK, k=5
    ).hints(middle="sign free", k="sign"),
    "JoinLink.learn": Case(
        lambda **parts: nm.JoinLink.learn(**parts).link.relays, graph=STORED, a=A, b=B, c=C, k_m=5, k_a=3
    ).hints(a="sign free", b="sign free", c="sign free", k_m="sign", k_a="sign"),
    "JoinLink.recall": Case(BOTH.recall, a=A, b=B, lower_m=1, lower_a=1).hints(a="sign free", b="sign free"),
    "Link": Case(
        lambda **parts: nm.Link(**parts).recall(A), graph=STORED, relays=LINK.relays, target=C, k=3
    ).hints(relays="sign free", target="sign free", k="sign"),
    "Link.learn": Case(
        lambda **parts: nm.Link.learn(**parts).relays, graph=STORED, d=A, e=C, k=3
    ).hints(d="sign free", e="sign free", k="sign"),
    "Link.recall": Case(LINK.recall, d=A, lower=1).hints(d="sign free"),
    "RandomGraph": Case(
        lambda n, d, seed: nm.RandomGraph(n, d, seed, fused=False).targets(7), n=400, d=20.0, seed=3
    ).omit("fused").hints(n="sign", d="sign"),
    "RandomGraph.edges": of_set(GRAPH.edges, (NONE, NONE)),
    "RandomGraph.targets": Case(GRAPH.targets, neuron=3).hints(neuron="sign"),
    "RandomGraph.inputs": of_set(GRAPH.inputs, torch.zeros(400)),
    "RandomGraph.fires": Case(GRAPH.fires, neurons=A, k=5).hints(neurons="sign free", k="sign"),
    "RandomGraph.inputs_to": Case(GRAPH.inputs_to, neurons=SOME, targets=TARGETS).hints(
        neurons="sign free", targets="sign free"
    ),
    "StoredGraph": Case(lambda graph: nm.StoredGraph(graph).targets, graph=nm.RandomGraph(50, 5, fused=False)),
    "StoredGraph.edges": of_set(STORED.edges, (NONE, NONE)),
    "StoredGraph.inputs": of_set(STORED.inputs, torch.zeros(100)),
    "StoredGraph.fires": Case(STORED.fires, neurons=A, k=5).hints(neurons="sign free", k="sign"),
    "StoredGraph.inputs_to": Case(STORED.inputs_to, neurons=SOME, targets=TARGETS).hints(
        neurons="sign free", targets="sign free"
    ),
    "common": Case(a=A, b=B).hints(a="sign free", b="sign free"),
    "conditions": Case(n=1e3, d=50.0, r=100.0, k=8).hints(n="sign", d="sign", r="sign", k="sign"),
    "elasticity": Case(size=size, r=60.0).hints(r="sign"),
    "exactly": Case(N=R, p=np.array([0.1, 0.2, 0.3]), k=np.array([1.0, 2.0, 3.0])).hints(
        N="sign", p="sign", k="sign"
    ),
    "gaps": Case(p=0.25).hints(p="sign"),
    "hierarchy": Case(
        lambda **given: nm.hierarchy(**given, generator=np.random.default_rng(0)),
        sizes=R, generations=2, n=1000, p=0.05, k=4,
    ).hints(sizes="sign free", generations="sign -huge", n="sign", p="sign", k="sign"),
    "join": Case(graph=STORED, a=A, b=B, k=7).hints(a="sign free", b="sign free", k="sign"),
    "link_yield": Case(r=R, n=1e3, p=0.05, k=2, fraction=F).hints(
        r="sign", n="sign", p="sign", k="sign", fraction="sign"
    ),
    "mix": Case(z=torch.tensor([5, 6, 7])).hints(z="free -huge"),
    "noise_margins": Case(curve=lambda x: 1 / (1 + np.exp(-20 * (x - 0.5))), points=101).hints(points="sign"),
    "one_step_size": Case(r=R, n=1e3, p=0.05, k=4, s=R + 1).hints(r="sign", n="sign", p="sign", k="sign", s="sign"),
    "one_step_transfer": Case(f=F, N=80.0, p=0.1, k=4, recall=3).hints(
        f="sign free", N="sign -huge -inf", p="sign -huge -inf", k="sign", recall="sign"
    ),
    "outputs": Case(seed=torch.tensor([5, 6, 7]), index=torch.tensor([0, 1, 2])).hints(
        seed="-huge", index="sign -huge"
    ),
    "random_item": Case(n=50, r=5).hints(n="sign", r="sign"),
    "replicating_size": Case(size=size, n=1e3).hints(n="sign"),
    "share": Case(found=A, item=B).hints(found="sign free", item="sign free"),
    "strongest": Case(graph=STORED, neurons=SOME, r=9).hints(neurons="sign free", r="sign"),
    "tail": Case(N=R, p=np.array([0.1, 0.2, 0.3]), k=np.array([1.0, 2.0, 3.0])).hints(N="sign", p="sign"),
    "thinned": Case(item=A, fraction=0.5).hints(item="free -huge -floats -shape", fraction="sign"),
    "two_step_join": Case(graph=STORED, a=A, b=B, k=3).hints(a="sign free", b="sign free", k="sign"),
    "two_step_size": Case(r=R, n=1e3, p=0.05, k=2, shared=True).hints(
        r="sign free", n="sign", p="sign", k="sign -huge"
    ),
    "two_step_transfer": Case(f=F, r=50.0, p=0.1, k=3, common=4.0).hints(
        f="sign free", r="sign -huge -inf", p="sign -huge -inf", k="sign", common="sign -huge -inf"
    ),
    "union": Case(a=A, b=B).hints(a="sign free", b="sign free"),
}  # fmt: skip
NO_DATA = {
    "Gaps.to": "a device",
    "Graph": "a protocol",
    "Graph.inputs": "a protocol",
    "Graph.inputs_to": "a protocol",
    "Graph.fires": "a protocol",
}
for _name, _argument in (
    ("JoinLink", "middle"), ("Link", "relays"), ("Link.learn", "d"), ("Link.learn", "e"), ("Link.recall", "d"),
    ("JoinLink.learn", "c"), ("RandomGraph.fires", "neurons"), ("RandomGraph.inputs_to", "neurons"),
    ("StoredGraph.fires", "neurons"), ("StoredGraph.inputs_to", "neurons"), ("common", "a"), ("common", "b"),
    ("share", "found"), ("share", "item"), ("strongest", "neurons"), ("two_step_join", "a"), ("two_step_join", "b"),
):  # fmt: skip
    CASES[_name].rule(_argument, "shape", unused)  # a set is the same in any shape
CASES["union"].rule("a", "empty", gives(B)).rule("b", "empty", gives(A))
CASES["common"].rule("b", "empty", gives(NONE))
CASES["share"].rule("found", "empty", gives(0.0)).rule("item", "empty", gives(0.0))
CASES["RandomGraph.inputs_to"].rule("neurons", "empty", gives(torch.zeros(3)))
CASES["StoredGraph.inputs_to"].rule("neurons", "empty", gives(torch.zeros(3)))
for _name, _argument in (("join", "a"), ("join", "b")):
    CASES[_name].rule(_argument, "empty", gives(STORED.fires(B if _argument == "a" else A, 7)))
for _name, _argument in (
    ("two_step_join", "a"), ("two_step_join", "b"), ("Link.learn", "d"), ("Link", "target"),
    ("RandomGraph.fires", "neurons"),
):  # fmt: skip
    CASES[_name].rule(_argument, "empty", gives(NONE))
for _name, _argument in (("JoinLink", "middle"), ("JoinLink.learn", "c"), ("Link.learn", "e")):
    CASES[_name].rule(_argument, "empty", unused)  # what is looked at does not depend on it


def by_sets(operation: Any, first: bool) -> Rule:
    """Return the rule that the answer is that of Python's sets."""

    def rule(trial: Trial) -> bool:
        spoiled, other = set(trial.spoiled.flatten().tolist()), set((B if first else A).tolist())
        return same(trial.bad, leaves(operation(spoiled, other) if first else operation(other, spoiled)))

    return rule


for _name, _operation in (
    ("union", lambda a, b: torch.tensor(sorted(a | b))),
    ("common", lambda a, b: torch.tensor(sorted(a & b))),
    ("share", lambda found, item: len(found & item) / len(item)),
):
    for _argument, _first in zip(CASES[_name].args, (True, False), strict=True):
        CASES[_name].rule(_argument, "huge,negative,floats", by_sets(_operation, _first))
