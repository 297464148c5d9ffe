"""Scores of translations and of alignments."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from workings.typed import Whole


def bleu(
    translations: Sequence[Sequence[str]], references: Sequence[Sequence[str]], bootstrap: Whole = 1
) -> tuple[float, float]:
    """Return sacrebleu's corpus BLEU of tokenized sentences, from 0 to 100, and half its 95 % interval.

    Args:
        translations: sentences as words.
        references: one for each, as words.
        bootstrap: resamples of the sentences for the interval; with 1 there is none (0).

    Raises:
        ValueError: for different numbers of sentences, or none.
        ModuleNotFoundError: without sacrebleu.

    >>> bleu([["the", "cat", "sat", "down"]], [["the", "cat", "sat", "down"]])[0]
    100.0

    """
    from sacrebleu.metrics.bleu import BLEU

    if len(translations) != len(references) or not translations:
        raise ValueError(f"translations has {len(translations)} sentences and references {len(references)}")
    lines, truths = ([" ".join(words) for words in sentences] for sentences in (translations, references))
    score = BLEU(tokenize="none", force=True).corpus_score(lines, [truths], n_bootstrap=bootstrap)
    return round(score.score, 6), float(score._ci) if bootstrap > 1 else 0.0


def alignment_accuracy(weights: Tensor, alignments: Sequence[Sequence[int]]) -> float:
    """Return the share of target words whose largest weight is on the word that they translate.

    Args:
        weights: (B, T, S).
        alignments: for each sentence the place of the source word of each target word; EOS is not among them.

    Raises:
        ValueError: for different numbers of sentences, or no word at all.

    """
    if len(weights) != len(alignments) or not any(alignments):
        words = sum(map(len, alignments))
        raise ValueError(f"weights are of {len(weights)} sentences; alignments has {len(alignments)}, of {words} words")
    found = weights.argmax(-1).tolist()
    right = sum(int(found[b][i] == j) for b, places in enumerate(alignments) for i, j in enumerate(places))
    return right / sum(map(len, alignments))
