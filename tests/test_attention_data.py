"""Words, batches, the generated languages, real messages and scores, against lists typed by hand and slow formulas."""

from __future__ import annotations

import collections
import difflib
import math
import re
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import pytest
import torch

from workings.attention import (
    EOS,
    LANGUAGES,
    PAD,
    UNK,
    Message,
    TranslationMemory,
    Vocabulary,
    alignment_accuracy,
    bleu,
    buckets,
    draw_pairs,
    english_words,
    french_words,
    messages,
    number_slots,
    pad,
    split_messages,
    tokenize,
    translate_words,
)
from workings.attention.languages import ADJECTIVES, DETERMINERS, NOUNS


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- words ----

SENTENCES = [["b", "a", "c"], ["c", "a"], ["d", "c"]]


def test_words_are_numbered_by_frequency_and_then_by_the_alphabet() -> None:
    vocabulary = Vocabulary(SENTENCES)
    assert vocabulary.words == ["<pad>", "</s>", "<unk>", "c", "a", "b", "d"]
    assert len(vocabulary) == 7
    assert (PAD, EOS, UNK) == (0, 1, 2)
    assert all(vocabulary.numbers[word] == number for number, word in enumerate(vocabulary.words))
    assert Vocabulary(SENTENCES[::-1]).words == vocabulary.words


def test_rare_words_are_unknown() -> None:
    assert Vocabulary(SENTENCES, size=5).words[3:] == ["c", "a"]
    assert Vocabulary(SENTENCES, least=2).words[3:] == ["c", "a"]
    assert Vocabulary(SENTENCES, least=3).words[3:] == ["c"]
    assert Vocabulary(SENTENCES, size=3).encode(["c"]) == [UNK, EOS]
    vocabulary = Vocabulary(SENTENCES, size=5)
    assert vocabulary.encode(["a", "b", "c", "mouse"]) == [4, UNK, 3, UNK, EOS]
    assert vocabulary.decode([4, UNK, 3, UNK, EOS, 4, 4]) == ["a", "<unk>", "c", "<unk>"]


def test_the_empty_sentence_is_its_end() -> None:
    vocabulary = Vocabulary([])
    assert len(vocabulary) == 3
    assert vocabulary.encode([]) == [EOS]
    assert vocabulary.decode([EOS]) == vocabulary.decode([]) == []


def test_padding_comes_after() -> None:
    batch = pad([[5, 1], [1], [6, 7, 1]])
    assert batch.dtype is torch.int64
    assert batch.tolist() == [[5, 1, 0], [1, 0, 0], [6, 7, 1]]


def test_batches_are_sorted_within_windows_and_in_random_order() -> None:
    lengths = torch.randint(1, 50, (31,), generator=seeded()).tolist()
    found = list(buckets(lengths, 4, window=3, generator=seeded(1)))
    assert sorted(i for batch in found for i in batch) == list(range(31))
    assert sorted(map(len, found)) == [3] + [4] * 7  # only the last of all may be smaller
    ordered = True
    windows = [found[k : k + 3] for k in range(0, 8, 3)]
    for window in windows:
        limits = [(min(lengths[i] for i in batch), max(lengths[i] for i in batch)) for batch in window]
        ordered &= limits == sorted(limits)
        assert all(a[1] <= b[0] for a, b in zip(sorted(limits), sorted(limits)[1:], strict=False))
    assert not ordered  # batches of a window are shuffled
    longest = [max(lengths[i] for batch in window for i in batch) for window in windows]
    shortest = [min(lengths[i] for batch in window for i in batch) for window in windows]
    assert max(shortest) < min(longest)  # and what is in a window is left to chance
    assert windows[0] != [list(range(k, k + 4)) for k in (0, 4, 8)]


def test_a_window_is_twenty_batches() -> None:
    """So many batches, of as many lengths, are of one length each; and the next window has what the first has not."""
    lengths = [k % 20 for k in range(100)]
    found = list(buckets(lengths, 5, generator=seeded()))
    assert [len({lengths[i] for i in batch}) for batch in found] == [1] * 20
    first = {i for batch in islice(buckets(range(60), 1, generator=seeded()), 20) for i in batch}
    assert first == set(torch.randperm(60, generator=seeded())[:20].tolist())


def test_batches_are_those_of_the_generator() -> None:
    lengths = list(range(20))
    one, same, other = (list(buckets(lengths, 4, generator=seeded(k))) for k in (0, 0, 1))
    assert one == same != other
    torch.manual_seed(5)
    state = torch.get_rng_state()
    list(buckets(lengths, 4, generator=seeded()))
    assert torch.equal(torch.get_rng_state(), state)
    free = list(buckets(lengths, 4))
    torch.set_rng_state(state)
    assert list(buckets(lengths, 4)) == free
    assert list(buckets([], 4)) == []


# ---- generated languages ----

TYPED = [
    ("the european economic area", "mixture", "la zone économique européenne", [0, 3, 2, 1]),
    ("the european economic area", "swap", "le zone économique européen", [0, 3, 2, 1]),
    ("the european economic area", "agreement", "la européenne économique zone", [0, 1, 2, 3]),
    ("the european economic area", "copy", "le européen économique zone", [0, 1, 2, 3]),
    ("the european economic area", "reverse", "zone économique européen le", [3, 2, 1, 0]),
    ("she sees a green house", "mixture", "elle voit une maison verte", [0, 1, 2, 4, 3]),
    ("every black dog follows this car because we", "mixture", "tout chien noir suit cette voiture car nous",
     [0, 2, 1, 3, 4, 5, 6, 7]),
    ("the old", "mixture", None, []),
    ("this heavy cold public word loses they under a law", "mixture", "cette parole publique froide lourde perd ils "
     "sous une loi", [0, 4, 3, 2, 1, 5, 6, 7, 8, 9]),
    ("a bank in the recent government where he", "agreement", "une banque dans le récent gouvernement où il",
     [0, 1, 2, 3, 4, 5, 6, 7]),
    ("he wants", "reverse", "veut il", [1, 0]),
    ("a", "copy", None, []),
]  # fmt: skip


@pytest.mark.parametrize(("english", "language", "french", "alignment"), TYPED)
def test_translations_typed_by_hand(english: str, language: str, french: str | None, alignment: list[int]) -> None:
    if french is None:
        with pytest.raises(ValueError, match=r"noun phrase"):
            translate_words(english.split(), language)
    else:
        assert translate_words(english.split(), language) == (english.split(), french.split(), alignment)


FEMININE = {"area", "house", "city", "law", "bank", "war", "car", "table", "word", "river"}
FEMININE_DETERMINERS = {"la", "une", "cette", "toute"}
KINDS = {
    "D": "the a this every", "P": "he she they we", "V": "sees takes wants finds leaves follows changes loses",
    "I": "with in for under", "C": "and but because where",
    "A": "european economic green important national black legal open heavy public recent cold",
    "N": "area house city law bank war car table word river country council market book dog government problem "
         "bridge minister train",
}  # fmt: skip
KIND = {word: kind for kind, words in KINDS.items() for word in words.split()}
# clauses: subject, verb, object, prepositional objects; the last one may break off after any phrase or joining word
PHRASE = "(P|DA{0,3}N)"
GRAMMAR = re.compile(f"({PHRASE}V{PHRASE}(I{PHRASE})*C)*({PHRASE}(V({PHRASE}(I{PHRASE})*I?)?)?)?")


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_keeps_its_rules(language: str) -> None:
    seen, shapes = set(), set()
    for pair in draw_pairs(language, range(1, 15), 400, seeded()):
        kinds = "".join(KIND[word] for word in pair.source)
        assert GRAMMAR.fullmatch(kinds), kinds
        seen |= set(pair.source)
        shapes |= set(re.findall("DA*N|P", kinds))
        assert sorted(pair.alignment) == list(range(len(pair.source)))
        phrases = [range(*m.span()) for m in re.finditer("DA*N|[PVIC]", kinds)]
        if language == "reverse":
            expected = list(range(len(kinds)))[::-1]
        elif language in ("swap", "mixture"):
            expected = [j for p in phrases for j in (p[0], *p[:0:-1])]
        else:
            expected = list(range(len(kinds)))
        assert pair.alignment == expected
        word_of = dict(zip(pair.alignment, pair.target, strict=True))
        for phrase in phrases:
            feminine = pair.source[phrase[-1]] in FEMININE and language in ("agreement", "mixture")
            for j in phrase:
                english, french = pair.source[j], word_of[j]
                if KIND[english] == "D":
                    assert (french in FEMININE_DETERMINERS) == feminine
                    assert french in DETERMINERS[english]
                elif KIND[english] == "A":
                    assert french.endswith("e") == (feminine or english == "economic")
                    assert french in ADJECTIVES[english]
                elif KIND[english] == "N":
                    assert french == NOUNS[english][0]
                else:
                    assert french == translate_words([english], "copy").target[0]
    assert seen == set(KIND) == set(english_words())
    assert shapes == {"P", "DN", "DAN", "DAAN", "DAAAN"}


def test_sentences_have_the_lengths_asked_for_each_as_often() -> None:
    lengths = [len(pair.source) for pair in draw_pairs("copy", [2, 5, 6, 11], 2000, seeded())]
    counts = collections.Counter(lengths)
    assert set(counts) == {2, 5, 6, 11}
    assert sum((n - 500) ** 2 / 500 for n in counts.values()) < 16  # χ² with 3 degrees of freedom, one in a thousand
    assert {len(pair.source) for pair in draw_pairs("mixture", [40], 5, seeded())} == {40}


def test_words_are_drawn_as_often_as_others_of_their_kind() -> None:
    firsts = [pair.source for pair in draw_pairs("copy", [5], 2500, seeded())]
    sizes = collections.Counter(len(re.match(PHRASE, "".join(KIND[w] for w in s)).group()) for s in firsts)  # type: ignore[union-attr]
    assert set(sizes) == {1, 2, 3, 4, 5}
    assert sum((n - 500) ** 2 / 500 for n in sizes.values()) < 18.5
    words = collections.Counter(word for s in firsts for word in s)
    for kind in KINDS:
        counts = [words[word] for word in KINDS[kind].split()]
        mean = sum(counts) / len(counts)
        assert sum((n - mean) ** 2 / mean for n in counts) < 45, kind


def test_draws_are_those_of_the_generator() -> None:
    one, same, other = (draw_pairs("mixture", range(1, 9), 50, seeded(k)) for k in (0, 0, 1))
    assert one == same != other
    torch.manual_seed(3)
    state = torch.get_rng_state()
    draw_pairs("copy", [5], 3, seeded())
    assert torch.equal(torch.get_rng_state(), state)
    free = draw_pairs("copy", [5], 3)
    torch.set_rng_state(state)
    assert draw_pairs("copy", [5], 3) == free
    assert len({tuple(pair.source) for pair in draw_pairs("copy", [9], 1000, seeded())}) > 990  # past the first pool


def test_vocabularies_hold_all_words_and_are_small() -> None:
    english, french = Vocabulary([english_words()]), Vocabulary([french_words()])
    assert len(english) <= 100
    assert len(french) <= 100
    assert english_words() == sorted(set(english_words()))
    assert french_words() == sorted(set(french_words()))
    used = {w for name in LANGUAGES for pair in draw_pairs(name, [14], 500, seeded()) for w in pair.target}
    assert used == set(french_words())


# ---- real messages ----


@pytest.fixture(scope="module")
def real() -> list[Message]:
    pytest.importorskip("wagtail")
    return messages()


def test_tokens_by_hand() -> None:
    assert tokenize("Can’t find %(count)d of 3 <b>{pages}</b> (100%), re-try!") == (
        "can'", "t", "find", "%(count)d", "of", "3", "<b>", "{pages}", "</b>", "(", "100", "%", ")", ",", "re", "-",
        "try", "!",
    )  # fmt: skip
    assert tokenize("L'été à 5 < 6, %s et {}") == ("l'", "été", "à", "5", "<", "6", ",", "%s", "et", "{}")
    assert tokenize("  ") == ()


def test_slots_are_numbered_by_the_source() -> None:
    pair = number_slots(Message(("%(b)s", "of", "<a>", "%(b)s"), ("<a>", "%(b)s", "{x}", "%d", "100", "%")))
    assert pair == (("⟨1⟩", "of", "⟨2⟩", "⟨1⟩"), ("⟨2⟩", "⟨1⟩", "⟨3⟩", "⟨4⟩", "100", "%"))


def test_there_are_about_2500_messages(real: list[Message]) -> None:
    """The bounds leave room for other releases of the two."""
    assert 2300 < len(real) < 2900
    assert real == sorted(set(real))
    assert all(1 <= len(words) <= 20 for pair in real for words in pair)
    assert max(len(words) for pair in real for words in pair) == 20
    assert not any(re.search(r"%\(|%[a-z]|[{<]\w+[>}]", word) for pair in real for words in pair for word in words)
    known = [(("thursday",), ("jeudi",)), (("important", "dates"), ("dates", "importantes")),
             (("delete", "image"), ("supprimer", "l'", "image"))]  # fmt: skip
    assert all(pair in real for pair in known)
    assert any(word == "⟨2⟩" for pair in real for word in pair.target)


def test_a_catalogue_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plural forms are two messages; untranslated ones, the header and too long ones are none, and twice is once."""
    from babel.messages.catalog import Catalog
    from babel.messages.mofile import write_mo

    for language, extra in (("fr", "La page"), ("de", "Die Seite")):
        catalog = Catalog(locale=language)
        catalog.add("The page", extra)
        catalog.add("The Page", extra)
        catalog.add("Open", "Ouvert", context="state")
        catalog.add("Open", "Ouvrir")
        catalog.add("Untranslated", "")
        catalog.add(("%(n)d page", "%(n)d pages"), ("%(n)d page", "les %(n)d pages"))
        catalog.add("one two three four", "un")
        catalog.add("one", "un deux trois quatre")
        folder = tmp_path / "invented_package" / "deep" / "locale" / language / "LC_MESSAGES"
        folder.mkdir(parents=True)
        with (folder / "django.mo").open("wb") as file:
            write_mo(file, catalog)
    (tmp_path / "invented_package" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    expected = [
        (("open",), ("ouvert",)), (("open",), ("ouvrir",)), (("the", "page"), ("la", "page")),
        (("⟨1⟩", "page"), ("⟨1⟩", "page")), (("⟨1⟩", "pages"), ("les", "⟨1⟩", "pages")),
    ]  # fmt: skip
    assert messages(["invented_package"], longest=3) == expected
    assert len(messages(["invented_package"], longest=4)) == 7
    assert (("the", "page"), ("die", "seite")) in messages(["invented_package"], "de")
    with pytest.raises(ValueError, match="language is 'xx'; invented_package has no catalogue"):
        messages(["invented_package"], "xx")


@pytest.mark.parametrize("name", ["package_that_nobody_has", "keyword"])
def test_a_missing_package_is_named(name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"the messages of {name} need the package: pip install.*{name}"):
        messages([name])


def core(words: tuple[str, ...]) -> str:
    """Write a message without signs, numbers, slots and the ends of words; as it is if nothing is left."""
    bare = [re.sub(r"[sx]+$", "", w) for w in words if re.match(r"[^\W\d_]", w)]
    return " ".join(bare) if bare else "=" + " ".join(words)


def test_no_near_duplicate_crosses_a_split(real: list[Message]) -> None:
    parts = split_messages(real, generator=seeded())
    assert sorted(pair for part in parts for pair in part) == real
    assert all(part == sorted(part) for part in parts)
    for one, other in combinations(parts, 2):
        for side in (0, 1):
            assert not {core(pair[side]) for pair in one} & {core(pair[side]) for pair in other}
    shares = [len(part) / len(real) for part in parts]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.03)
    assert split_messages(real, generator=seeded()) == parts
    assert split_messages(real, generator=seeded(1)) != parts


def test_duplicates_of_duplicates_stay_together() -> None:
    """The first and the third have nothing in common but the second; the fourth and fifth are strangers, though both
    are without a word."""
    chain = [Message(("see", "pages"), ("voir",)), Message(("see", "⟨1⟩", "page", "!"), ("regarde", "7")),
             Message(("look",), ("«", "regarde", "»"))]  # fmt: skip
    strangers = [Message(("?",), ("⟨1⟩",)), Message(("!",), ("⟨2⟩",))]
    apart = 0
    for seed in range(30):
        first, second = split_messages(
            [chain[0], strangers[0], chain[2], strangers[1], chain[1]], (0.5, 0.5), seeded(seed)
        )
        assert sum(m in first for m in chain) in (0, 3)
        assert len(first) + len(second) == 5
        apart += (strangers[0] in first) != (strangers[1] in first)
    assert 5 < apart < 25


def test_shares_of_a_split() -> None:
    many = [Message((chr(97 + i // 26) + chr(97 + i % 26) + "q",), (f"{chr(97 + i // 26)}{chr(97 + i % 26)}r",))
            for i in range(600)]  # fmt: skip
    counts = [len(part) for part in split_messages(many, (0.2, 0.5, 0.3), seeded())]
    assert sum(counts) == 600
    assert counts == pytest.approx([120, 300, 180], abs=50)
    assert split_messages(many, (1.0,), seeded()) == [many]
    assert split_messages([], generator=seeded()) == [[], [], []]
    torch.manual_seed(0)
    free = split_messages(many)
    torch.manual_seed(0)
    assert split_messages(many) == free


def test_the_memory_answers_with_the_nearest(real: list[Message]) -> None:
    known, asked = real[::7], [pair.source for pair in real[3::50]]
    memory = TranslationMemory(known)
    for source in asked:
        ratios = [difflib.SequenceMatcher(None, pair.source, source, autojunk=False).ratio() for pair in known]
        assert memory.translate(source) == known[ratios.index(max(ratios))].target
    for pair in known[::40]:
        assert memory.translate(list(pair.source)) == next(m.target for m in known if m.source == pair.source)


def test_the_memory_takes_the_first_of_equals() -> None:
    """2·1/(2+2) = 1/2 for the first two, 2·1/(1+2) = 2/3 for the third; common words in another order count once."""
    memory = TranslationMemory([Message(("a", "b"), ("1",)), Message(("a", "c"), ("2",)), Message(("c",), ("3",))])
    assert memory.translate(("a", "d")) == ("1",)
    assert memory.translate(("c", "d")) == ("3",)
    assert memory.translate(("d", "a")) == ("1",)
    assert memory.translate(("z",)) == memory.translate(()) == ("1",)
    # both have one word in order, though the second has two in any order
    memory = TranslationMemory([Message(("a", "x", "y"), ("1",)), Message(("b", "a", "z"), ("2",))])
    assert memory.translate(("a", "d", "b")) == ("1",)


# ---- scores ----

FOUND = ["le chat est assis sur le grand tapis", "il voit une maison verte dans la ville", "nous"]
TRUTH = [
    "le chat noir est assis sur le tapis vert",
    "il voit une maison verte dans la grande ville .",
    "nous sommes tous les deux sous le pont de la ville",
]


def slow_bleu(found: list[list[str]], truth: list[list[str]]) -> float:
    """Papineni et al. (2002), of a corpus, up to four words."""
    logs = 0.0
    for n in range(1, 5):
        right = total = 0
        for one, other in zip(found, truth, strict=True):
            grams, others = (
                collections.Counter(tuple(s[i : i + n]) for i in range(len(s) - n + 1)) for s in (one, other)
            )
            right += sum(min(count, others[gram]) for gram, count in grams.items())
            total += sum(grams.values())
        logs += math.log(right / total) / 4
    c, r = sum(map(len, found)), sum(map(len, truth))
    return 100 * math.exp(logs + min(0.0, 1 - r / c))


def test_bleu_is_its_formula() -> None:
    found, truth = [s.split() for s in FOUND], [s.split() for s in TRUTH]
    assert bleu(found, truth)[0] == pytest.approx(slow_bleu(found, truth), abs=1e-5)
    assert bleu(truth, found)[0] == pytest.approx(slow_bleu(truth, found), abs=1e-5)
    assert abs(slow_bleu(truth, found) - slow_bleu(found, truth)) > 3
    assert bleu(found, found) == (100.0, 0.0)


def test_bleu_is_sacrebleus_of_words_as_they_are() -> None:
    import sacrebleu

    found, truth = ["don't a.b ⟨1⟩ , c d", "x"], ["don't a.b ⟨1⟩ , d c", "x y"]
    expected = sacrebleu.corpus_bleu(found, [truth], tokenize="none", force=True).score
    assert bleu([s.split() for s in found], [s.split() for s in truth])[0] == pytest.approx(expected, abs=1e-5)
    assert abs(sacrebleu.corpus_bleu(found, [truth], force=True).score - expected) > 1
    assert bleu([[]], [["x"]])[0] == 0
    assert bleu([["X", "Y", "Z", "W"]], [["x", "y", "z", "w"]])[0] == 0


def test_the_interval_is_half_of_what_95_percent_of_resamples_span() -> None:
    """None without resamples. Against resamples of our own, of 40 sentences each translated well or badly."""
    generator = seeded()
    truth = [[f"w{int(k)}" for k in torch.randint(0, 30, (8,), generator=generator)] for _ in range(40)]
    found = [s if i % 3 else [*s[:5], "x", "y", "z"] for i, s in enumerate(truth)]
    score, half = bleu(found, truth, bootstrap=100)
    assert bleu(found, truth) == (score, 0.0)
    draws = torch.randint(0, 40, (100, 40), generator=generator).tolist()
    own = sorted(slow_bleu([found[i] for i in draw], [truth[i] for i in draw]) for draw in draws)
    assert half == pytest.approx((own[97] - own[2]) / 2, rel=0.3)
    assert half > 2
    assert bleu(found, truth, bootstrap=100) == (score, half)


def test_alignments_are_right_where_the_largest_weight_is() -> None:
    """Three of five words; the rows for EOS and padding do not count."""
    weights = torch.tensor([
        [[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.9, 0.1, 0.0]],
        [[0.1, 0.9, 0.0], [0.8, 0.2, 0.0], [0.3, 0.7, 0.0], [0.4, 0.6, 0.0]],
    ])  # fmt: skip
    assert alignment_accuracy(weights, [[0, 2, 1], [1, 0]]) == pytest.approx(3 / 5)
    assert alignment_accuracy(weights, [[0, 1, 2], [1, 0]]) == 1
    assert alignment_accuracy(weights, [[1, 0, 0], []]) == 0


# ---- bad input ----

BAD: dict[str, tuple[Any, str]] = {
    "size": (lambda: Vocabulary([], size=2), "size must be at least 3.*got 2"),
    "sentences": (lambda: pad([]), "sentences is empty"),
    "batch": (lambda: list(buckets([1], 0)), "batch must be positive; got 0"),
    "window": (lambda: list(buckets([1], 1, window=0)), "window must be positive; got 0"),
    "language": (lambda: draw_pairs("latin", [3], 1), "language is 'latin'; it can be one of copy, reverse, swap"),
    "language of words": (lambda: translate_words(["he"], "latin"), "language is 'latin'"),
    "lengths": (lambda: draw_pairs("copy", [3, 0], 1), r"lengths must hold positive numbers of words; got \[3, 0\]"),
    "no lengths": (lambda: draw_pairs("copy", range(5, 5), 1), r"lengths must hold positive.*range\(5, 5\)"),
    "word": (lambda: translate_words(["he", "eats"], "swap"), "'eats' is no word of the small English"),
    "inside": (lambda: translate_words(["the", "green", "sees"], "copy"), "'sees' stands inside a noun phrase"),
    "outside": (lambda: translate_words(["he", "green"], "copy"), "'green' stands outside a noun phrase"),
    "bare": (lambda: translate_words(["the", "dog", "house"], "copy"), "'house' stands outside a noun phrase"),
    "no noun": (lambda: translate_words(["he", "sees", "the", "green"], "copy"), "has no noun: 'the green'"),
    "memory": (lambda: TranslationMemory([]), "pairs is empty"),
    "parts": (lambda: split_messages([], (0.5, 0.4)), r"parts must be shares that sum to one; got \(0.5, 0.4\)"),
    "negative": (lambda: split_messages([], (1.5, -0.5)), "parts must be shares"),
    "no parts": (lambda: split_messages([], ()), "parts must be shares"),
    "references": (lambda: bleu([["a"]], []), "translations has 1 sentences and references 0"),
    "nothing": (lambda: bleu([], []), "translations has 0 sentences and references 0"),
    "weights": (lambda: alignment_accuracy(torch.ones(2, 1, 1), [[0]]), "weights are of 2 sentences; alignments has 1"),
    "no words": (lambda: alignment_accuracy(torch.ones(1, 1, 1), [[]]), "alignments has 1, of 0 words"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()
