"""The graph of what needs what: in how many orders its steps can be done, and where to draw them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import permutations

import torch

from workings.book.ledger import verifies
from workings.mac_setup import STEPS

Needs = Mapping[str, tuple[str, ...]]
NEEDS: Needs = {step.name: step.needs for step in STEPS}
# the post's sections, by what they install; the last need is printed nowhere: the installer of oh-my-zsh, on its way,
# moves away the file in which conda's installer has written
POST: Needs = {
    "tools": (),
    "homebrew": ("tools",),
    "git": ("homebrew",),
    "oh-my-zsh": ("git",),
    "conda": ("oh-my-zsh",),
}
AS_PRINTED = ("tools", "homebrew", "git", "conda", "oh-my-zsh")


def broken(order: tuple[str, ...], needs: Needs) -> list[tuple[str, str]]:
    """Return the pairs of a step and one that it needs which comes later."""
    place = {name: i for i, name in enumerate(order)}
    return [(name, need) for name, its in needs.items() for need in its if not place[need] < place[name]]


def orders(needs: Needs) -> int:
    """Return in how many orders the steps can be done (equation ``mac_setup:orders``)."""

    @cache
    def count(left: frozenset[str]) -> int:
        needed = {need for name in left for need in needs[name]}
        return sum(count(left - {name}) for name in left - needed) if left else 1

    return count(frozenset(needs))


def layers(needs: Needs) -> dict[str, int]:
    """Return how many steps come before each one at least, one after the other."""
    depth: dict[str, int] = {}
    for name, its in needs.items():
        depth[name] = 1 + max((depth[need] for need in its), default=-1)
    return depth


@verifies(
    "mac_setup:order",
    tex=r"j \text{ needs } i \;\Rightarrow\; \pi(i) < \pi(j)",
    tolerance=0.0,
    wrong={"in reverse": {"reverse": True}, "in the order of the post": {"post": True}},
    kind="definition",
)
def order(device: torch.device, reverse: bool = False, post: bool = False) -> float:
    """Count the needs that the order of the steps breaks; the post's order breaks the one that it does not print."""
    if post:
        return float(len(broken(AS_PRINTED, POST)))
    names = tuple(step.name for step in STEPS)
    return float(len(broken(names[::-1] if reverse else names, NEEDS)))


@verifies(
    "mac_setup:orders",
    tex=r"N(S) = \sum_{j \in \max S} N(S \setminus \{j\}), \qquad N(\varnothing) = 1",
    tolerance=0.0,
    wrong={"over all steps, needed or not": {"maximal": False}, "without the last of them": {"empty": 0}},
)
def number_of_orders(device: torch.device, maximal: bool = True, empty: int = 1) -> float:
    """Go through all permutations of eight steps and count those that break no need."""
    some = {name: NEEDS[name] for name in ("tools", "homebrew", "brew-path", "identity", "zsh", "oh-my-zsh", "plugins")}
    some["autojump"] = NEEDS["autojump"]
    tried = sum(not broken(order, some) for order in permutations(some))

    def printed(left: frozenset[str]) -> int:
        needed = {need for name in left for need in some[name]} if maximal else set()
        return sum(printed(left - {name}) for name in left - needed) if left else empty

    return max(abs(orders(some) - tried), abs(printed(frozenset(some)) - tried)) + 0.0
