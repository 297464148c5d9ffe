"""Attention: translation by recurrent networks, with a fixed context and with additive attention.

>>> import torch
>>> pairs = draw_pairs("mixture", [5], 2, torch.Generator().manual_seed(0))
>>> english, french = Vocabulary([english_words()]), Vocabulary([french_words()])
>>> model = Translator(len(english), len(french), embedding=8, hidden=16, align=16, readout=8)
>>> source = pad([english.encode(pair.source) for pair in pairs])
>>> len(translate(model.eval(), source))
2

"""

from workings.attention.cells import UNITS, GatedRNN, GatedUnit, TorchUnit, recurrence, reverse
from workings.attention.corpus import Message, TranslationMemory, messages, number_slots, split_messages, tokenize
from workings.attention.languages import LANGUAGES, Pair, draw_pairs, english_words, french_words, translate_words
from workings.attention.model import AdditiveAttention, Encoder, Memory, Translator, paper_init, sentence_lengths
from workings.attention.scores import alignment_accuracy, bleu
from workings.attention.search import Hypothesis, beam_search, translate
from workings.attention.training import batches, fit, nll
from workings.attention.words import EOS, PAD, UNK, Vocabulary, buckets, pad
from workings.typed import check_types

__all__ = [
    "EOS",
    "LANGUAGES",
    "PAD",
    "UNITS",
    "UNK",
    "AdditiveAttention",
    "Encoder",
    "GatedRNN",
    "GatedUnit",
    "Hypothesis",
    "Memory",
    "Message",
    "Pair",
    "TorchUnit",
    "TranslationMemory",
    "Translator",
    "Vocabulary",
    "alignment_accuracy",
    "batches",
    "beam_search",
    "bleu",
    "buckets",
    "draw_pairs",
    "english_words",
    "fit",
    "french_words",
    "messages",
    "nll",
    "number_slots",
    "pad",
    "paper_init",
    "recurrence",
    "reverse",
    "sentence_lengths",
    "split_messages",
    "tokenize",
    "translate",
    "translate_words",
]

check_types(__name__)
