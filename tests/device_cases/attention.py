"""Translators on a device."""

from __future__ import annotations

from typing import Any

import torch

from device_cases import On, slopes, trained
from workings import attention as att

SENTENCES = [[3, 5, 4, 1], [6, 1], [7, 3, 1]]


def model(on: On, **options: Any) -> Any:
    made = att.Translator(9, 8, embedding=4, hidden=6, align=5, readout=3, **options)
    return on.module(made).eval()


def batch(on: On) -> tuple[torch.Tensor, torch.Tensor]:
    return att.pad(SENTENCES, on.device), att.pad([[4, 1], [5, 6, 1], [1]], on.device)


def units(on: On) -> Any:
    x, h, found = on(3, 4), on(3, 6), []
    for kind in att.UNITS.values():
        unit = on.module(kind(4, 6))
        found.append((unit(x, h), slopes(unit(x, h), *unit.parameters())))
    layers = [on.module(att.recurrence(unit, 4, 6)) for unit in att.UNITS]
    return found, [layer(on(2, 5, 4)) for layer in layers], on.module(att.GatedRNN(4, 6))(on(2, 5, 4))


def translators(on: On) -> Any:
    source, target, found = *batch(on), []
    for context in ("attention", "fixed"):
        for unit in att.UNITS:
            net = model(on, context=context, unit=unit).train()
            logits, weights = net(source, target)
            loss = att.nll(logits, target)
            found.append((net.encode(source), logits, weights, loss, slopes(loss, *net.parameters())))
    return found


def parts(on: On) -> Any:
    x, lengths = on(3, 4, 4), on.values([4, 2, 3], torch.int64)
    annotations = on.module(att.Encoder(4, 6))(x, lengths)
    memory = att.Memory(annotations, on(3, 4, 5), torch.zeros_like(annotations[..., 0]), on(3, 6))
    return att.reverse(x, lengths), annotations, on.module(att.AdditiveAttention(6, 12, 5))(on(3, 2, 5), memory)


def searched(on: On) -> Any:
    net, source = model(on), batch(on)[0]
    net.words.weight.data *= 8  # opinions clear enough that rounding changes no choice
    found = [[(h.words, h.score, h.ended, h.mean) for h in one] for one in att.beam_search(net, source, 3, longest=4)]
    _, weights = net(*batch(on))
    return found, att.translate(net, source, 3), att.alignment_accuracy(weights, [[0], [1, 0], []])


def learned(on: On) -> Any:
    english, french = att.Vocabulary([att.english_words()]), att.Vocabulary([att.french_words()])
    found = []
    for optimizer in ("adam", "adadelta"):
        net = on.module(att.Translator(len(english), len(french), embedding=4, hidden=6, align=5, readout=3))
        drawn = att.batches(
            lambda: att.draw_pairs("mixture", [3, 4], 8, on.cpu), english, french, 4, device=on.device, generator=on.cpu
        )
        found.append((att.fit(net, drawn, 3, optimizer=optimizer), trained(net)))
    return found


CASES = {
    "GatedRNN GatedUnit TorchUnit UNITS recurrence": units,
    "AdditiveAttention Encoder Memory reverse": parts,
    "Translator nll": translators,
    "Hypothesis alignment_accuracy beam_search translate": searched,
    "batches fit": learned,
    "pad sentence_lengths": lambda on: (batch(on), att.sentence_lengths(batch(on)[0])),
}
CPU_ONLY = {  # words, numbers, and what draws weights
    "EOS", "LANGUAGES", "Message", "PAD", "Pair", "TranslationMemory", "UNK", "Vocabulary", "bleu", "buckets",
    "draw_pairs", "english_words", "french_words", "messages", "number_slots", "paper_init", "split_messages",
    "tokenize", "translate_words",
}  # fmt: skip
