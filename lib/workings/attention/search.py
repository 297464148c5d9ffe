"""Beam search: the likeliest translations, approximately, for many sentences and hypotheses at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workings.attention.model import Translator
from workings.attention.words import EOS, PAD, UNK
from workings.typed import Count, Integers


@dataclass(frozen=True)
class Hypothesis:
    """A translation that a search found.

    Attributes:
        words: its numbers, without EOS.
        score: the sum of the logarithms of its words' probabilities, in nats; EOS counts.
        ended: whether EOS came before the search had to stop.

    """

    words: tuple[int, ...]
    score: float
    ended: bool

    @property
    def mean(self) -> float:
        """The score for each word, EOS included where it came."""
        return self.score / max(len(self.words) + self.ended, 1)


@torch.no_grad()
def beam_search(
    model: Translator,
    source: Integers,
    width: int = 5,
    *,
    longest: int | None = None,
    normalize: bool = False,
    exclude: tuple[int, ...] = (UNK,),
) -> list[list[Hypothesis]]:
    """Search each sentence's translations with a beam that shrinks.

    At each step the best extensions of all live hypotheses are kept, as many as the beam is wide. Each that ends with
    EOS is set aside, and the beam is one narrower from then on. The search of a sentence ends when its beam has no
    width left, or at the greatest length; what has not ended by then is returned with ``ended=False``, after all that
    has. Cho et al. (2014b), section 3.

    Args:
        model: in evaluation mode.
        source: padded sentences (B, S).
        width: of the beam.
        longest: the most words of a translation; None for three times the words of its source, EOS included.
        normalize: whether the score for each word decides between hypotheses, instead of the sum. (While searching,
            hypotheses of one length are compared: there it makes no difference.)
        exclude: numbers of words that no hypothesis may contain.

    Returns:
        For each sentence its hypotheses, best first.

    Raises:
        ValueError: for a ``width`` or ``longest`` that is not positive, when EOS is excluded, or for a model whose
            probabilities are NaN.

    """
    if width < 1:
        raise ValueError(f"width must be positive; got {width}")
    if longest is not None and longest < 1:
        raise ValueError(f"longest must be positive; got {longest}")
    if EOS in exclude:
        raise ValueError("exclude holds EOS: then no hypothesis could end")
    memory = model.encode(source)
    batch, device = len(source), source.device
    limits = 3 * (source != PAD).sum(1) if longest is None else torch.full((batch,), longest, device=device)
    rows = torch.arange(batch, device=device)[:, None]
    s = memory.start[:, None].expand(-1, width, -1)
    words = torch.full((batch, width), PAD, device=device)
    scores = torch.full((batch, width), -torch.inf, dtype=s.dtype, device=device)
    scores[:, 0] = 0  # one hypothesis, of no words
    room = torch.full((batch,), width, device=device)  # the beam's width, for each sentence
    steps: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []  # word, parent, score, whether it ended here
    for length in range(1, int(limits.max()) + 1):
        logits, s, _ = model.step(words, s, memory)
        logp = torch.log_softmax(logits, -1)
        if bool(logp.isnan().any()):
            raise ValueError(f"model has no probabilities, but NaN, for word {length}: are its weights finite?")
        logp[..., (PAD, *exclude)] = -torch.inf
        total = (scores[..., None] + logp).flatten(1)
        scores, best = total.topk(width, 1)  # sorted
        scores = scores.masked_fill(torch.arange(width, device=device) >= room[:, None], -torch.inf)
        parent, words = best // logp.shape[-1], best % logp.shape[-1]
        alive = scores > -torch.inf
        ended = alive & (words == EOS)
        stopped = alive & ~ended & (length >= limits)[:, None]
        steps.append((words, parent, scores, ended.int() + 2 * stopped.int()))
        room = room - ended.sum(1)
        scores = scores.masked_fill(ended | stopped, -torch.inf)
        s = s[rows, parent]
        if bool((scores == -torch.inf).all()):
            break
    return _collect(steps, normalize)


def _collect(steps: list[tuple[Tensor, Tensor, Tensor, Tensor]], normalize: bool) -> list[list[Hypothesis]]:
    """Follow the parents back from every hypothesis that ended or was stopped; sort those of each sentence."""
    words, parents, scores, ends = (torch.stack(parts).cpu() for parts in zip(*steps, strict=True))
    found: list[list[Hypothesis]] = [[] for _ in range(words.shape[1])]
    for step, sentence, slot in ends.nonzero().tolist():
        path, at = [], slot
        for k in range(step, -1, -1):
            path.append(int(words[k, sentence, at]))
            at = int(parents[k, sentence, at])
        ended = int(ends[step, sentence, slot]) == 1
        line = tuple(reversed(path))[: -1 if ended else None]
        found[sentence].append(Hypothesis(line, float(scores[step, sentence, slot]), ended))
    for hypotheses in found:
        hypotheses.sort(key=lambda h: (not h.ended, -(h.mean if normalize else h.score)))
    return found


def translate(
    model: Translator, source: Integers, width: int = 5, *, normalize: bool = False, at_once: Count = 64
) -> list[tuple[int, ...]]:
    """Return the best translation of each sentence, as numbers without EOS.

    A sentence whose hypotheses are all excluded gets the empty translation.

    Args:
        model: in evaluation mode.
        source: padded sentences (B, S).
        width: of the beam.
        normalize: whether the score for each word decides, as in `beam_search`.
        at_once: how many sentences are searched together.

    """
    found: list[tuple[int, ...]] = []
    for part in source.split(at_once):
        part = part[:, : int((part != PAD).sum(1).max())]
        found += [h[0].words if h else () for h in beam_search(model, part, width, normalize=normalize)]
    return found
