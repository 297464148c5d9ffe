"""Random graphs, and what fires on them, on a device: the same neurons everywhere."""

from __future__ import annotations

from typing import Any

import torch

from device_cases import On
from workings import neuroidal_memory as nm


def graph(on: On) -> Any:
    return nm.RandomGraph(600_000, 300, seed=4, device=on.device)  # three blocks


def words(on: On) -> Any:
    seeds, index = on.values([[5], [-7]], torch.int64), on.values([0, 1, 2], torch.int64)
    return nm.outputs(seeds, index), nm.mix(seeds.clone())


def gaps(on: On) -> Any:
    table = nm.gaps(0.01).to(on.device)
    u = nm.outputs(on.values(3, torch.int64), on.values(list(range(1000)), torch.int64)) >> 1 & 2**63 - 1
    return table.survival, table.guide, table.count(u).long()


def edges(on: On) -> Any:
    one, drawn = graph(on), torch.randperm(600_000, generator=on.cpu)
    neurons, wanted = drawn[:200], drawn[200:260]
    return (
        one.edges(neurons), one.targets(7), one.inputs(neurons).long(), one.fires(neurons, 3),
        one.inputs_to(neurons, wanted),
    )  # fmt: skip


def stored(on: On) -> Any:
    one = nm.StoredGraph(nm.RandomGraph(2000, 40, seed=1, device=on.device))
    neurons = torch.arange(300)
    return one.offsets, one.targets, one.edges(neurons), one.inputs(neurons), one.fires(neurons, 9), one.inputs_to(
        neurons, on.values([3, 4], torch.int64)
    )  # fmt: skip


def items(on: On) -> Any:
    one, other = (nm.random_item(1000, r, on.device, on.cpu) for r in (50, 400))
    part = nm.thinned(one, 0.5, on.cpu)
    return one, other, part, nm.union(one, other), nm.common(one, other), nm.share(part, one)


def operations(on: On) -> Any:
    small = nm.RandomGraph(3000, 150, seed=1, device=on.device)
    a, b, c = (nm.random_item(3000, 120, on.device, on.cpu) for _ in range(3))
    link = nm.Link.learn(small, a, c, 10)
    both = nm.JoinLink.learn(small, a, b, c, 18, 11)
    return (
        nm.join(small, a, b, 18), nm.two_step_join(small, a, b, 9), nm.strongest(small, a, 90),
        link.relays, link.recall(a, 1), both.middle, both.recall(a, b, 2, 1),
    )  # fmt: skip


CASES = {
    "mix outputs": words,
    "gaps Gaps": gaps,
    "RandomGraph": edges,
    "StoredGraph": stored,
    "random_item thinned union common share": items,
    "join two_step_join strongest Link JoinLink": operations,
}
CPU_ONLY = {  # numbers and NumPy's arrays; Graph says only what operations ask for
    "Graph", "Margins", "conditions", "elasticity", "exactly", "hierarchy", "link_yield", "noise_margins",
    "one_step_size", "one_step_transfer", "replicating_size", "tail", "two_step_size", "two_step_transfer",
}  # fmt: skip
