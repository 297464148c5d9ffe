"""JOIN, LINK and their composition on a graph, and the noise that one meets when recalling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from workings.typed import Integers, Whole


class Graph(Protocol):
    """What the operations ask of a graph, stored or not."""

    n: int
    device: torch.device

    def inputs(self, neurons: Tensor) -> Tensor:
        """Return how many edges each neuron gets from a set."""

    def inputs_to(self, neurons: Tensor, targets: Tensor) -> Tensor:
        """Return how many edges each of ``targets`` gets from a set."""

    def fires(self, neurons: Tensor, k: int) -> Tensor:
        """Return which neurons get at least k."""


def union(a: Tensor, b: Tensor) -> Tensor:
    """Return the neurons of a or b.

    Args:
        a: neurons, int64.
        b: other neurons.

    Returns:
        Each once, in order.

    """
    both: Tensor = torch.cat((a, b)).unique()
    return both


def common(a: Tensor, b: Tensor) -> Tensor:
    """Return the neurons of both a and b.

    Args:
        a: neurons, int64.
        b: other neurons.

    Returns:
        Each once, in order.

    """
    both: Tensor = a[torch.isin(a, b)].unique()
    return both


def share(found: Tensor, item: Tensor) -> float:
    """Return the share of an item that is among some neurons: it is recognised when this is large.

    Args:
        found: the neurons that fire, int64.
        item: the item; of none, the share is zero.

    Returns:
        A number from 0 to 1.

    >>> share(torch.tensor([1, 2, 3, 9]), torch.tensor([1, 2, 3, 4]))
    0.75

    """
    return float(torch.isin(item, found).double().mean()) if len(item) else 0.0


def random_item(
    n: Whole, r: int, device: torch.device | str = "cpu", generator: torch.Generator | None = None
) -> Tensor:
    """Draw r different neurons of n.

    Args:
        n: neurons.
        r: size of the item, at most n.
        device: where the item is to be.
        generator: where it is drawn; torch's default on the CPU if None.

    Returns:
        Neurons in order, int64, (r,).

    Raises:
        ValueError: for an r out of range.

    >>> random_item(10**10, 3, generator=torch.Generator().manual_seed(0)).shape
    torch.Size([3])

    """
    if not 0 <= r <= n:
        raise ValueError(f"r is {r}; an item has between 0 and n = {n} neurons")
    home = torch.device("cpu") if generator is None else generator.device
    if 3 * r >= n:
        return torch.randperm(n, generator=generator, device=home)[:r].sort().values.to(device)
    found = torch.zeros(0, dtype=torch.int64, device=home)
    while len(found) < r:
        drawn = torch.randint(n, (r - len(found) + 8,), generator=generator, device=home)
        found = torch.cat((found, drawn)).unique()
    chosen = torch.randperm(len(found), generator=generator, device=home)[
        :r
    ]  # no neuron is preferred: any set may come
    return found[chosen].sort().values.to(device)


def thinned(item: Tensor, fraction: float, generator: torch.Generator | None = None) -> Tensor:
    """Draw which neurons of an item fire, a fixed share of them.

    Args:
        item: neurons (r,).
        fraction: share that fires, from 0 to 1; rounded to whole neurons.
        generator: as in `random_item`.

    Returns:
        Neurons in order.

    Raises:
        ValueError: for a fraction out of range.

    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction is {fraction}; it must lie between 0 and 1")
    return item[random_item(len(item), round(fraction * len(item)), item.device, generator)]


def join(graph: Graph, a: Tensor, b: Tensor, k: Whole) -> Tensor:
    """One-step JOIN: fire two items at once; the new item is what fires (neuroidal_memory:join).

    Args:
        graph: on which.
        a: the first item, int64.
        b: the second; they may share neurons.
        k: edges from both together that fire a neuron, each of weight 1/k.

    Returns:
        The neurons of C, in order.

    >>> from workings.neuroidal_memory import RandomGraph
    >>> graph = RandomGraph(20_000, 200, seed=0)
    >>> a, b = torch.arange(420), torch.arange(500, 920)
    >>> len(join(graph, a, b, 16)) == int((graph.inputs(union(a, b)) >= 16).sum())
    True

    """
    return graph.fires(union(a, b), k)


def two_step_join(graph: Graph, a: Integers, b: Integers, k: Whole) -> Tensor:
    """Two-step JOIN: k edges from A make a neuron ready, then k from B fire it.

    Args:
        graph: on which.
        a: the first item, int64.
        b: the second; they may share neurons.
        k: edges from each, of weight 1/k, twice that of a one-step JOIN.

    Returns:
        The neurons of C, in order.

    """
    return common(graph.fires(a, k), graph.fires(b, k))


def strongest(graph: Graph, neurons: Tensor, r: Whole) -> Tensor:
    """Return the r neurons that get the most edges from a set, ties broken at the lower number: winners take all.

    Args:
        graph: on which.
        neurons: the set that fires, int64.
        r: how many win.

    Returns:
        Neurons in order.

    """
    counts = graph.inputs(neurons).long()
    order = torch.argsort(counts * graph.n + torch.arange(graph.n - 1, -1, -1, device=counts.device), descending=True)
    return order[:r].sort().values


@dataclass(frozen=True)
class Link:
    """What is learned when D is linked to E: the edges from relays into E have weight 1/k, all others weight 0.

    Attributes:
        graph: on which.
        relays: neurons with k edges or more from D, which fire when D does.
        target: E.
        k: the threshold.

    """

    graph: Graph
    relays: Integers
    target: Integers
    k: Whole

    @classmethod
    def learn(cls, graph: Graph, d: Integers, e: Integers, k: Whole) -> Link:
        """Link D to E.

        Args:
            graph: on which.
            d: the item that is to evoke, int64.
            e: the item to be evoked.
            k: edges that fire a relay, and edges from relays that fire a neuron of E.

        Returns:
            What was learned.

        """
        return cls(graph, graph.fires(d, k), e, k)

    def recall(self, d: Integers, lower: int = 0) -> Tensor:
        """Return which neurons of E fire when some neurons do, two steps later.

        Args:
            d: what fires: D, part of it, or anything else.
            lower: by how much the threshold of all neurons is lowered meanwhile.

        Returns:
            Neurons of E, in order.

        """
        firing = common(self.graph.fires(d, self.k - lower), self.relays)  # other relays lead nowhere: weight 0
        return self.target[self.graph.inputs_to(firing, self.target) >= self.k - lower]


@dataclass(frozen=True)
class JoinLink:
    """A one-step JOIN to an intermediate set, linked to an item C whose neurons were chosen beforehand.

    Attributes:
        graph: on which.
        middle: what the JOIN made.
        link: from there to C.
        k: threshold of the JOIN.

    """

    graph: Graph
    middle: Integers
    link: Link
    k: Whole

    @classmethod
    def learn(cls, graph: Graph, a: Tensor, b: Tensor, c: Integers, k_m: Whole, k_a: Whole) -> JoinLink:
        """Store the conjunction of two items in C.

        Args:
            graph: on which.
            a: the first item, int64.
            b: the second.
            c: the neurons that are to stand for both; fresh ones.
            k_m: threshold of the JOIN.
            k_a: threshold of the LINK.

        Returns:
            What was learned.

        """
        middle = join(graph, a, b, k_m)
        return cls(graph, middle, Link.learn(graph, middle, c, k_a), k_m)

    def recall(self, a: Tensor, b: Tensor, lower_m: int = 0, lower_a: int = 0) -> Tensor:
        """Return which neurons of C fire when some neurons do, three steps later.

        Args:
            a: what fires for A: all of it, part, another item, or nothing.
            b: what fires for B.
            lower_m: by how much the threshold of the JOIN is lowered meanwhile.
            lower_a: by how much that of the LINK is.

        Returns:
            Neurons of C, in order.

        """
        return self.link.recall(join(self.graph, a, b, self.k - lower_m), lower_a)
