"""Translators, vocabularies and what they are judged by: valid calls."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from bad_data import Case
from bad_data.rules import as_if, gives, reshaped, unused
from workings import attention as att


def line(*shape: int) -> Tensor:
    return torch.linspace(-1, 1.1, torch.Size(shape).numel(), dtype=torch.float64).reshape(shape)


def seeded(module: Any, *sizes: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    return module(*sizes, **options).double().eval()


SIZES = {"embedding": 4, "hidden": 3, "align": 3, "readout": 2}
MODEL = seeded(att.Translator, 9, 8, **SIZES)
SOURCE, TARGET = att.pad([[3, 5, 4, 1], [6, 7, 1]]), att.pad([[4, 5, 1], [5, 6, 1]])
with torch.no_grad():
    MEMORY, WEIGHTS = MODEL.encode(SOURCE), MODEL(SOURCE, TARGET)[1]
PAIRS = att.draw_pairs("mixture", [3, 4], 6, torch.Generator().manual_seed(0))
MESSAGES = [att.Message(tuple(f"w{k}" for k in range(n)), ("un", f"m{n}")) for n in range(1, 8)]
ENGLISH, FRENCH = att.Vocabulary([att.english_words()]), att.Vocabulary([att.french_words()])
SENTENCES = [["the", "cat", "sat", "down"], ["a", "dog", "ran", "off"]]
X, H = line(2, 4), line(2, 3)
UNIT, TORCH_UNIT = seeded(att.GatedUnit, 4, 3), seeded(att.TorchUnit, 4, 3)
RNN, ENCODER = seeded(att.GatedRNN, 4, 3), seeded(att.Encoder, 4, 3)
ATTENTION, LENGTHS = seeded(att.AdditiveAttention, 3, 6, 3), torch.tensor([4, 3])


def drawn(draw: Any, source: Any, target: Any, batch: Any) -> Any:
    return next(att.batches(draw, source, target, batch, generator=torch.Generator().manual_seed(0)))


def fitted(steps: Any, optimizer: Any, lr: Any, clip: Any) -> Any:
    model = seeded(att.Translator, 9, 8, **SIZES)
    return att.fit(model, itertools.repeat((SOURCE, TARGET)), steps, optimizer=optimizer, lr=lr, clip=clip)


def numbers(vocabulary: att.Vocabulary) -> Any:
    return sorted(vocabulary.numbers.items())


def unit_of(unit: Any, of_state: int) -> Case:
    return Case(unit.step, from_input=line(2, 9), from_state=line(2, of_state), h=H)


POSITIVE = dict.fromkeys(("inputs", "hidden"), "sign")
CASES = {
    "AdditiveAttention": Case(state=3, annotation=6, align=3).hints(state="sign", annotation="sign", align="sign"),
    "AdditiveAttention.forward": Case(ATTENTION.forward, query=line(2, 2, 3), memory=MEMORY).hints(memory="object"),
    "Encoder": Case(embedding=4, hidden=3, unit="paper", both=True).hints(embedding="sign", hidden="sign"),
    "Encoder.forward": Case(ENCODER.forward, x=line(2, 4, 4), lengths=LENGTHS).hints(lengths="sign"),
    "GatedRNN": Case(inputs=4, hidden=3).hints(**POSITIVE),
    "GatedRNN.forward": Case(RNN.forward, x=line(2, 3, 4)),
    "GatedUnit": Case(inputs=4, hidden=3).hints(**POSITIVE),
    "GatedUnit.forward": Case(UNIT.forward, x=X, h=H),
    "GatedUnit.step": unit_of(UNIT, 6),
    "TorchUnit": Case(inputs=4, hidden=3).hints(**POSITIVE),
    "TorchUnit.forward": Case(TORCH_UNIT.forward, x=X, h=H),
    "TorchUnit.step": unit_of(TORCH_UNIT, 9),
    "TranslationMemory": Case(lambda pairs: att.TranslationMemory(pairs).translate(["w0", "w1"]), pairs=MESSAGES).hints(
        pairs="-item-text -item-number -item-empty"
    ),
    "TranslationMemory.translate": Case(att.TranslationMemory(MESSAGES).translate, source=["w0", "w1"]).hints(
        source="text"
    ),
    "Translator": Case(
        source_words=9, target_words=8, **SIZES, context="attention", unit="paper", init="default", dropout=0.1
    ).hints(**dict.fromkeys(("source_words", "target_words", *SIZES, "dropout"), "sign")),
    "Translator.encode": Case(MODEL.encode, source=SOURCE).hints(source="sign free"),
    "Translator.step": Case(MODEL.step, words=torch.tensor([[3, 4], [5, 1]]), s=line(2, 2, 3), memory=MEMORY).hints(
        words="sign", memory="object"
    ),
    "Translator.forward": Case(MODEL.forward, source=SOURCE, target=TARGET).hints(
        source="sign free", target="sign free"
    ),
    "Vocabulary": Case(
        lambda **given: numbers(att.Vocabulary(**given)), sentences=SENTENCES, size=9, least=1
    ).hints(sentences="text", size="sign", least="sign"),
    "Vocabulary.encode": Case(ENGLISH.encode, sentence=["the", "dog"]).hints(sentence="text").rule(
        "sentence", "empty", gives([1])
    ),
    "Vocabulary.decode": Case(ENGLISH.decode, numbers=[4, 5, 1]).hints(numbers="sign").rule(
        "numbers", "empty", gives([])
    ),
    "alignment_accuracy": Case(weights=WEIGHTS, alignments=[[0, 1], [1, 0]]).hints(
        weights="free -negative", alignments="sign -item-empty"
    ),
    "batches": Case(drawn, draw=lambda: PAIRS, source=ENGLISH, target=FRENCH, batch=3).hints(batch="sign"),
    "beam_search": Case(model=MODEL, source=SOURCE, width=2, longest=3, normalize=False, exclude=(2,)).hints(
        source="sign free", width="sign", longest="sign -huge", exclude="sign -empty"
    ),
    "bleu": Case(translations=SENTENCES, references=SENTENCES[::-1], bootstrap=1).hints(
        translations="text -item-empty", references="text -item-empty", bootstrap="sign -huge"
    ),
    "buckets": Case(
        lambda **given: list(att.buckets(**given)), lengths=[3, 5, 2, 4, 1], batch=2, window=2
    ).hints(
        lengths="sign", batch="sign", window="sign"
    ).rule("lengths", "empty", gives([])),
    "draw_pairs": Case(language="mixture", lengths=[3, 4], n=2).hints(lengths="sign -item-huge", n="sign -huge"),
    "english_words": Case(),
    "fit": Case(fitted, steps=2, optimizer="adam", lr=0.01, clip=1.0).omit("model batches").hints(
        steps="sign -huge", lr="sign", clip="sign"
    ),
    "french_words": Case(),
    "messages": Case(packages=("wagtail.contrib.settings",), language="fr", longest=5).hints(longest="sign").rule(
        "packages", "empty", gives([])
    ),
    "nll": Case(logits=line(2, 3, 8), target=TARGET).hints(target="sign"),
    "number_slots": Case(pair=att.Message(("%(n)d", "of"), ("%(n)d", "sur"))).hints(pair="text"),
    "pad": Case(sentences=[[3, 4, 1], [5, 1]]).hints(sentences="sign"),
    "recurrence": Case(unit="torch", inputs=4, hidden=3).hints(**POSITIVE),
    "reverse": Case(x=line(2, 4, 3), lengths=LENGTHS).hints(x="free", lengths="sign"),
    "sentence_lengths": Case(sentences=SOURCE).hints(sentences="free"),
    "split_messages": Case(pairs=MESSAGES, parts=(0.5, 0.25, 0.25)).hints(
        pairs="-item-text -item-number -item-empty", parts="sign"
    ).rule("pairs", "empty", gives([[], [], []])),
    "tokenize": Case(text="Supprimer l'image %(title)s ?").hints(text="text").rule("text", "empty", gives(())),
    "translate": Case(model=MODEL, source=SOURCE, width=2, normalize=False, at_once=1).hints(
        source="sign free", width="sign", at_once="sign"
    ),
    "translate_words": Case(source=["the", "green", "house"], language="swap"),
}  # fmt: skip
NO_DATA = {
    "Pair": "made by draw_pairs",
    "paper_init": "a network",
}
CASES["Vocabulary"].rule("sentences", "empty", gives(numbers(att.Vocabulary([])))).rule("size", "huge", as_if(100))
CASES["Vocabulary"].rule("sentences", "item empty", gives(numbers(att.Vocabulary(SENTENCES[1:]))))
CASES["TranslationMemory.translate"].rule("source", "empty", gives(MESSAGES[0].target))
CASES["translate_words"].rule("source", "empty", gives(att.Pair([], [], [])))
CASES["number_slots"].rule("pair", "item empty", gives(att.Message((), ("⟨1⟩", "sur"))))
for _name, _argument in (("batches", "batch"), ("buckets", "batch"), ("buckets", "window")):
    CASES[_name].rule(_argument, "huge", as_if(100))
CASES["reverse"].rule("x", "shape", reshaped)
CASES["sentence_lengths"].rule("sentences", "huge", unused)  # any number is a word
