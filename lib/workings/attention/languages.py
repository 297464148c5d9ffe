"""A generated language pair whose true alignments are known: a small English and five languages made from it.

A sentence is a chain of noun phrases joined by verbs, prepositions and conjunctions. A noun phrase is a pronoun, or a
determiner, up to three adjectives and a noun. The other language translates word for word and then, depending on which
it is,

* ``copy``: leaves everything as it is;
* ``reverse``: turns the whole sentence round;
* ``swap``: puts the adjectives after their noun, the nearest first, as French does;
* ``agreement``: makes determiners and adjectives agree with the gender of their noun, which is yet to come;
* ``mixture``: both of the last two. *The European economic area* becomes *la zone économique européenne*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch

from workings.typed import Whole

LANGUAGES = ("copy", "reverse", "swap", "agreement", "mixture")

Form = tuple[str, str]  # masculine and feminine
NOUNS: dict[str, tuple[str, int]] = {  # word and gender: 0 masculine, 1 feminine
    "area": ("zone", 1), "house": ("maison", 1), "city": ("ville", 1), "law": ("loi", 1), "bank": ("banque", 1),
    "war": ("guerre", 1), "car": ("voiture", 1), "table": ("table", 1), "word": ("parole", 1), "river": ("rivière", 1),
    "country": ("pays", 0), "council": ("conseil", 0), "market": ("marché", 0), "book": ("livre", 0),
    "dog": ("chien", 0), "government": ("gouvernement", 0), "problem": ("problème", 0), "bridge": ("pont", 0),
    "minister": ("ministre", 0), "train": ("train", 0),
}  # fmt: skip
ADJECTIVES: dict[str, Form] = {
    "european": ("européen", "européenne"), "economic": ("économique", "économique"), "green": ("vert", "verte"),
    "important": ("important", "importante"), "national": ("national", "nationale"), "black": ("noir", "noire"),
    "legal": ("légal", "légale"), "open": ("ouvert", "ouverte"), "heavy": ("lourd", "lourde"),
    "public": ("public", "publique"), "recent": ("récent", "récente"), "cold": ("froid", "froide"),
}  # fmt: skip
DETERMINERS: dict[str, Form] = {
    "the": ("le", "la"), "a": ("un", "une"), "this": ("ce", "cette"), "every": ("tout", "toute"),
}  # fmt: skip
PRONOUNS = {"he": "il", "she": "elle", "they": "ils", "we": "nous"}
VERBS = {
    "sees": "voit", "takes": "prend", "wants": "veut", "finds": "trouve", "leaves": "quitte", "follows": "suit",
    "changes": "change", "loses": "perd",
}  # fmt: skip
PREPOSITIONS = {"with": "avec", "in": "dans", "for": "pour", "under": "sous"}
CONJUNCTIONS = {"and": "et", "but": "mais", "because": "car", "where": "où"}


class Pair(NamedTuple):
    """A sentence, its translation, and for each word of the translation the place of its source word."""

    source: list[str]
    target: list[str]
    alignment: list[int]


def english_words() -> list[str]:
    """Return the words of the source language in alphabetical order."""
    tables = (NOUNS, ADJECTIVES, DETERMINERS, PRONOUNS, VERBS, PREPOSITIONS, CONJUNCTIONS)
    return sorted(word for table in tables for word in table)


def french_words() -> list[str]:
    """Return the words of the target languages in alphabetical order."""
    forms = {form for table in (ADJECTIVES, DETERMINERS) for pair in table.values() for form in pair}
    plain = {word for table in (PRONOUNS, VERBS, PREPOSITIONS, CONJUNCTIONS) for word in table.values()}
    return sorted(forms | plain | {noun for noun, _ in NOUNS.values()})


def draw_pairs(
    language: str, lengths: Sequence[int] | range, n: Whole, generator: torch.Generator | None = None
) -> list[Pair]:
    """Draw sentences and their translations.

    Args:
        language: one of `LANGUAGES`.
        lengths: the numbers of words that a sentence may have, each as likely as the others.
        n: how many pairs.
        generator: a CPU generator; torch's default if None.

    Returns:
        The pairs, with their alignments.

    Raises:
        ValueError: for another language, or a length that is not positive.

    >>> pair = translate_words("the european economic area".split(), "mixture")
    >>> " ".join(pair.target), pair.alignment
    ('la zone économique européenne', [0, 3, 2, 1])

    """
    if not lengths or min(lengths) < 1:
        raise ValueError(f"lengths must hold positive numbers of words; got {lengths!r}")
    _known(language)
    choose = _Choices(generator)
    return [translate_words(_sentence(lengths[choose(len(lengths))], choose), language) for _ in range(n)]


def translate_words(source: list[str], language: str) -> Pair:
    """Translate a sentence of the small English by rules.

    Args:
        source: its words.
        language: one of `LANGUAGES`.

    Returns:
        The sentence, its translation, and which word was made from which.

    Raises:
        ValueError: for another language, and for a word or a noun phrase that the grammar does not have.

    """
    _known(language)
    places = _order(source, swap=language in ("swap", "mixture"))
    gender = _genders(source) if language in ("agreement", "mixture") else [0] * len(source)
    words = [_word(word, gender[j]) for j, word in enumerate(source)]
    if language == "reverse":
        places = places[::-1]
    return Pair(source, [words[j] for j in places], places)


class _Choices:
    """Draws of whole numbers, many at once: one tensor operation for thousands of choices."""

    def __init__(self, generator: torch.Generator | None) -> None:
        self.generator = generator
        self.pool: list[float] = []

    def __call__(self, n: int) -> int:
        if not self.pool:
            self.pool = torch.rand(4096, generator=self.generator, dtype=torch.float64).tolist()
        return int(self.pool.pop() * n)

    def among(self, table: Mapping[str, object]) -> str:
        return list(table)[self(len(table))]


def _sentence(length: int, choose: _Choices) -> list[str]:
    """Return a sentence of exactly ``length`` words: noun phrases, and one joining word between two of them.

    After a subject comes a verb; after an object a preposition or a conjunction, which begins a new clause.
    """
    words, joints = _noun_phrase(length, choose), VERBS
    while len(words) < length:
        words.append(choose.among(joints))
        words += _noun_phrase(length - len(words), choose)
        joints = VERBS if joints is CONJUNCTIONS else (PREPOSITIONS, CONJUNCTIONS)[choose(2)]
    return words


def _noun_phrase(most: int, choose: _Choices) -> list[str]:
    """Return a pronoun, or a determiner, up to three adjectives and a noun, of ``most`` words at most."""
    if most < 1:
        return []
    size = 1 + choose(min(most, 5))
    if size == 1:
        return [choose.among(PRONOUNS)]
    adjectives = [choose.among(ADJECTIVES) for _ in range(size - 2)]
    return [choose.among(DETERMINERS), *adjectives, choose.among(NOUNS)]


def _order(source: list[str], swap: bool) -> list[int]:
    """Return the source place of each target word; with ``swap`` the words after a determiner are turned round."""
    places: list[int] = []
    for phrase in _phrases(source):
        head, rest = phrase[:1], phrase[1:]
        places += [*head, *(reversed(rest) if swap else rest)]
    return places


def _genders(source: list[str]) -> list[int]:
    """Return for each word the gender of the noun of its phrase; 0 outside noun phrases."""
    gender = [0] * len(source)
    for phrase in _phrases(source):
        for j in phrase:
            gender[j] = NOUNS[source[phrase[-1]]][1] if len(phrase) > 1 else 0
    return gender


def _phrases(source: list[str]) -> list[list[int]]:
    """Split places into noun phrases, from a determiner to its noun, and single words."""
    phrases: list[list[int]] = []
    inside = False
    for j, word in enumerate(source):
        if inside:
            if word not in ADJECTIVES and word not in NOUNS:
                raise ValueError(f"{word!r} stands inside a noun phrase, where an adjective or a noun must")
            phrases[-1].append(j)
        elif word in ADJECTIVES or word in NOUNS:
            raise ValueError(f"{word!r} stands outside a noun phrase, which begins with a determiner")
        else:
            phrases.append([j])
        inside = word in DETERMINERS or (inside and word in ADJECTIVES)
    if inside:
        raise ValueError(f"the noun phrase at the end has no noun: {' '.join(source[phrases[-1][0] :])!r}")
    return phrases


def _word(word: str, gender: int) -> str:
    """Return the translation of one word; raises ``ValueError`` for one that the small English does not have."""
    if word in NOUNS:
        return NOUNS[word][0]
    for table in (ADJECTIVES, DETERMINERS):
        if word in table:
            return table[word][gender]
    for plain in (PRONOUNS, VERBS, PREPOSITIONS, CONJUNCTIONS):
        if word in plain:
            return plain[word]
    raise ValueError(f"{word!r} is no word of the small English; see english_words()")


def _known(language: str) -> None:
    if language not in LANGUAGES:
        raise ValueError(f"language is {language!r}; it can be one of {', '.join(LANGUAGES)}")
