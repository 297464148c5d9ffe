"""Words as numbers: vocabularies, padded batches, and batches of similar length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from workings.typed import Whole

PAD, EOS, UNK = 0, 1, 2
SPECIAL = ("<pad>", "</s>", "<unk>")

Sentence = Sequence[str]


class Vocabulary:
    """The words of a language, numbered after PAD, EOS and UNK: most frequent first, ties in alphabetical order.

    Args:
        sentences: from which the words are counted.
        size: how many words at most, special ones included; None for all.
        least: a word that occurs less often becomes UNK.

    Raises:
        ValueError: for a ``size`` that leaves no room for the special words.

    >>> vocabulary = Vocabulary([["the", "cat"], ["the", "dog"]], least=2)
    >>> vocabulary.encode(["the", "mouse"])
    [3, 2, 1]
    >>> vocabulary.decode([3, 2, 1])
    ['the', '<unk>']

    """

    def __init__(self, sentences: Iterable[Sentence], size: int | None = None, least: Whole = 1) -> None:
        if size is not None and size < len(SPECIAL):
            raise ValueError(f"size must be at least {len(SPECIAL)}, for {', '.join(SPECIAL)}; got {size}")
        counts = Counter(word for sentence in sentences for word in sentence)
        ordered = sorted((w for w in counts if counts[w] >= least), key=lambda w: (-counts[w], w))
        self.words = [*SPECIAL, *ordered][:size]
        self.numbers = {word: number for number, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, sentence: Sentence) -> list[int]:
        """Return the numbers of the words, then EOS; UNK for words that are not there. Empty: EOS alone."""
        return [*(self.numbers.get(word, UNK) for word in sentence), EOS]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Return the words up to EOS."""
        words: list[str] = []
        for number in numbers:
            if number == EOS:
                break
            words.append(self.words[number])
        return words


def pad(sentences: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> Tensor:
    """Return sentences of numbers as one batch (B, S), with PAD after each.

    Args:
        sentences: lists of numbers, each of one at least.
        device: where the batch shall be.

    Raises:
        ValueError: for no sentences.

    """
    if not sentences:
        raise ValueError("sentences is empty: there is nothing to pad")
    longest = max(map(len, sentences))
    return torch.tensor([[*s, *[PAD] * (longest - len(s))] for s in sentences], device=device)


def buckets(
    lengths: Sequence[int], batch: int, window: int = 20, generator: torch.Generator | None = None
) -> Iterator[list[int]]:
    """Yield batches of indices, each index once: shuffled, then sorted by length within windows of so many batches.

    So words are paired with few paddings, and the order stays random, as in appendix B.2 of Bahdanau et al.

    Args:
        lengths: of all sentences.
        batch: sentences a batch; the last one may have fewer.
        window: batches that are sorted together.
        generator: a CPU generator; torch's default if None.

    Returns:
        An iterator of lists of indices.

    Raises:
        ValueError: for a ``batch`` or ``window`` that is not positive.

    """
    for name, value in (("batch", batch), ("window", window)):
        if value < 1:
            raise ValueError(f"{name} must be positive; got {value}")
    order = torch.randperm(len(lengths), generator=generator).tolist()
    for at in range(0, len(order), batch * window):
        pool = sorted(order[at : at + batch * window], key=lambda i: lengths[i])
        batches = [pool[k : k + batch] for k in range(0, len(pool), batch)]
        yield from (batches[k] for k in torch.randperm(len(batches), generator=generator).tolist())
