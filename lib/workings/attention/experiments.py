"""What takes longer than a page: scores by length of sentence, by language and by initialization, and real messages.

Each experiment is a function of a seed that returns its measured quantities; ``RECORDED`` lists them with the seeds and
arguments of each profile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from workings.attention.corpus import Message, TranslationMemory, messages, split_messages
from workings.attention.languages import LANGUAGES, Pair, draw_pairs, english_words, french_words
from workings.attention.model import CONTEXTS, Translator
from workings.attention.scores import alignment_accuracy, bleu
from workings.attention.search import translate
from workings.attention.training import batches, fit
from workings.attention.words import Vocabulary, pad

ENGLISH, FRENCH = Vocabulary([english_words()]), Vocabulary([french_words()])
BATCH = 64


def translator(
    source: Vocabulary, target: Vocabulary, hidden: int, seed: int, device: torch.device, **options: Any
) -> Translator:
    """Return a model with weights of a seed; its other sizes follow ``hidden`` in about the paper's proportions."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        half = (hidden + 1) // 2
        model = Translator(
            len(source), len(target), embedding=half, hidden=hidden, align=hidden, readout=half, **options
        )
    return model.to(device)


# ---- the generated languages ----


def learn(
    language: str,
    longest: int,
    hidden: int,
    steps: int,
    seed: int,
    device: torch.device,
    *,
    lr: float = 3e-3,
    optimizer: str = "adam",
    each: Callable[[Iterable[int]], Iterable[int]] = iter,
    **options: Any,
) -> tuple[Translator, list[float]]:
    """Train a model on fresh sentences of 1 to ``longest`` words; return it, and its loss at each step."""
    model = translator(ENGLISH, FRENCH, hidden, seed, device, **options)
    generator = torch.Generator().manual_seed(1000 + seed)

    def draw() -> list[Pair]:
        return draw_pairs(language, range(1, longest + 1), 20 * BATCH, generator)

    stream = batches(draw, ENGLISH, FRENCH, BATCH, device=device, generator=generator)
    return model, fit(model, stream, steps, optimizer=optimizer, lr=lr, each=each)


def align(model: Translator, pairs: Sequence[Pair]) -> Tensor:
    """Return the weights (B, T, S) with which a model goes through the true translations."""
    device = model.source.weight.device
    source = pad([ENGLISH.encode(pair.source) for pair in pairs], device)
    target = pad([FRENCH.encode(pair.target) for pair in pairs], device)
    with torch.no_grad():
        weights: Tensor = model(source, target)[1]
    return weights


def measure(model: Translator, language: str, length: int, n: int, width: int = 5) -> dict[str, float]:
    """Translate n sentences of so many words, the same for every model.

    Returns:
        ``bleu``; ``exact``, the percentage of sentences without a fault; with attention ``aligned``, the percentage of
        words whose largest weight is where it should be.

    """
    pairs = draw_pairs(language, [length], n, torch.Generator().manual_seed(length))
    source = pad([ENGLISH.encode(pair.source) for pair in pairs], model.source.weight.device)
    found = [FRENCH.decode(numbers) for numbers in translate(model, source, width)]
    right = [words == pair.target for words, pair in zip(found, pairs, strict=True)]
    scores = {"bleu": bleu(found, [pair.target for pair in pairs])[0], "exact": 100 * sum(right) / n}
    if model.attention is not None:
        scores["aligned"] = 100 * alignment_accuracy(align(model, pairs), [pair.alignment for pair in pairs])
    return scores


def lengths(
    seed: int,
    device: torch.device,
    language: str,
    trained: dict[str, int],
    lengths: list[int],
    hidden: int,
    steps: dict[str, int],
    n: int,
) -> dict[str, Any]:
    """Return scores by length, for both contexts and each greatest length of training."""
    found: dict[str, list[float]] = {}
    for name, longest in trained.items():
        for context in CONTEXTS:
            model, _ = learn(language, longest, hidden, steps[name], seed, device, context=context)
            for length in lengths:
                for what, value in measure(model, language, length, n).items():
                    found.setdefault(f"{context}_{name}_{what}", []).append(value)
    return found


def languages(
    seed: int, device: torch.device, names: list[str], longest: int, hidden: int, steps: int, n: int
) -> dict[str, Any]:
    """Return scores at the greatest length of training, for both contexts and each language."""
    found: dict[str, list[float]] = {}
    for name in names:
        for context in CONTEXTS:
            model, _ = learn(name, longest, hidden, steps, seed, device, context=context)
            for what, value in measure(model, name, longest, n).items():
                found.setdefault(f"{context}_{what}", []).append(value)
    return found


def bottleneck(
    seed: int, device: torch.device, language: str, longest: int, sizes: list[int], steps: int, n: int
) -> dict[str, Any]:
    """Return the scores of fixed contexts of several sizes, at the greatest length of training."""
    found: dict[str, list[float]] = {}
    for hidden in sizes:
        model, _ = learn(language, longest, hidden, steps, seed, device, context="fixed")
        for what, value in measure(model, language, longest, n).items():
            found.setdefault(what, []).append(value)
    return found


def starts(
    seed: int, device: torch.device, language: str, longest: int, hidden: int, steps: int, every: int
) -> dict[str, Any]:
    """Return the loss, averaged over ``every`` steps, from both initializations with both optimizers."""
    found = {}
    for init in ("default", "paper"):
        for optimizer in ("adam", "adadelta"):
            _, losses = learn(language, longest, hidden, steps, seed, device, init=init, optimizer=optimizer)
            found[f"{init}_{optimizer}"] = torch.tensor(losses).view(-1, every).mean(1).tolist()
    return found


# ---- real messages ----


def catalogue(
    seed: int, device: torch.device, hidden: int, steps: int, dropout: float, lr: float, shown: int
) -> dict[str, Any]:
    """Train on the messages of Django and Wagtail; return BLEU on those held out, of models and of the memory.

    Examples are held-out messages of four to nine words, the first in an order of chance, whatever came out.
    """
    generator = torch.Generator().manual_seed(seed)
    train, _, held = split_messages(messages(), generator=generator)
    truth = [list(m.target) for m in held]
    memory = TranslationMemory(train)
    answers: dict[str, list[list[str]]] = {"memory": [list(memory.translate(m.source)) for m in held]}
    found: dict[str, Any] = {"messages": [len(train), len(held)]}
    english, french = (Vocabulary(m[side] for m in train) for side in (0, 1))
    for context in CONTEXTS:
        model = translator(english, french, hidden, seed, device, context=context, dropout=dropout)
        order = torch.Generator().manual_seed(seed)
        stream = batches(lambda: train, english, french, BATCH, device=device, generator=order)
        losses = fit(model, stream, steps, lr=lr)
        source = pad([english.encode(m.source) for m in held], device)
        answers[context] = [french.decode(numbers) for numbers in translate(model, source, normalize=True)]
        found[f"{context}_loss"] = sum(losses[-50:]) / 50
    for name, lines in answers.items():
        found[f"{name}_bleu"], found[f"{name}_interval"] = bleu(lines, truth, bootstrap=1000)
        found[f"{name}_exact"] = 100 * sum(a == b for a, b in zip(lines, truth, strict=True)) / len(held)
    chosen = [k for k in torch.randperm(len(held), generator=generator).tolist() if 4 <= len(held[k].source) <= 9]
    found["examples"] = [_example(held[k], {name: lines[k] for name, lines in answers.items()}) for k in chosen[:shown]]
    return found


def _example(message: Message, answers: dict[str, list[str]]) -> dict[str, str]:
    return {"source": " ".join(message.source), "target": " ".join(message.target)} | {
        name: " ".join(words) for name, words in answers.items()
    }


# figure 2 of Bahdanau et al. (2014), read off by eye to half a point: BLEU by length of sentence, of networks that were
# trained to 30 ("short") and to 50 words ("long")
PAPER_LENGTHS = [10, 20, 30, 40, 50, 59]
PAPER_BLEU = {
    ("attention", "long"): [24.7, 26.9, 27.5, 26.8, 26.2, 26.4],
    ("attention", "short"): [25.2, 26.9, 23.4, 15.5, 9.7, 7.6],
    ("fixed", "long"): [21.0, 22.5, 19.1, 14.0, 8.9, 6.5],
    ("fixed", "short"): [21.4, 20.7, 14.4, 6.5, 3.3, 1.8],
}
STEPS = {"live": 500, "short": 1200, "long": 1200}
RECORDED: dict[str, dict[str, Any]] = {
    "lengths": {
        "run": lengths,
        "seeds": range(3),
        "profiles": {
            "quick": {
                "language": "mixture", "trained": {"live": 3}, "lengths": [3, 6], "hidden": 8, "steps": {"live": 2},
                "n": 4,
            },
            "default": {
                "language": "mixture", "trained": {"live": 10, "short": 15, "long": 25},
                "lengths": [5, 10, 15, 20, 25, 30, 35, 40], "hidden": 64, "steps": STEPS, "n": 100,
            },
            "full": {
                "language": "mixture", "trained": {"short": 30, "long": 50},
                "lengths": [10, 20, 30, 40, 50, 60, 70], "hidden": 1000, "steps": {"short": 1500, "long": 1500},
                "n": 200,
            },
        },
    },
    "languages": {
        "run": languages,
        "seeds": range(3),
        "profiles": {
            "quick": {"names": ["copy"], "longest": 3, "hidden": 8, "steps": 2, "n": 4},
            "default": {"names": list(LANGUAGES), "longest": 10, "hidden": 64, "steps": 500, "n": 100},
        },
    },
    "bottleneck": {
        "run": bottleneck,
        "seeds": range(3),
        "profiles": {
            "quick": {"language": "mixture", "longest": 3, "sizes": [8], "steps": 2, "n": 4},
            "default": {"language": "mixture", "longest": 10, "sizes": [32, 64, 128, 256], "steps": 500, "n": 100},
        },
    },
    "starts": {
        "run": starts,
        "seeds": range(3),
        "profiles": {
            "quick": {"language": "mixture", "longest": 3, "hidden": 8, "steps": 4, "every": 2},
            "default": {"language": "mixture", "longest": 10, "hidden": 64, "steps": 800, "every": 20},
        },
    },
    "catalogue": {
        "run": catalogue,
        "seeds": range(3),
        "profiles": {
            "quick": {"hidden": 8, "steps": 2, "dropout": 0.0, "lr": 3e-3, "shown": 2},
            "default": {"hidden": 128, "steps": 1500, "dropout": 0.4, "lr": 3e-3, "shown": 8},
        },
    },
}  # fmt: skip
