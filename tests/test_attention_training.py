"""Training, against loops by hand with clipping, a cosine and Adadelta written out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import cycle, islice
from typing import Any

import pytest
import torch
from torch import Tensor

from workings.attention import (
    EOS,
    PAD,
    Message,
    Translator,
    Vocabulary,
    batches,
    fit,
    nll,
    pad,
    translate,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def translator(hidden: int = 6, **options: Any) -> Translator:
    torch.manual_seed(0)
    return Translator(8, 8, embedding=5, hidden=hidden, align=4, readout=3, **options).double()


def fixed_batches() -> list[tuple[Tensor, Tensor]]:
    """Return three batches of sentences of different lengths."""
    found = []
    for k in range(3):
        words = torch.randint(3, 8, (4, 5), generator=seeded(k)).tolist()
        sentences = [[*line[: 1 + (i + k) % 4], EOS] for i, line in enumerate(words)]
        found.append((pad(sentences), pad(sentences[::-1])))
    return found


# ---- the loss ----


def test_the_loss_is_the_mean_over_words_and_not_over_padding() -> None:
    logits = torch.randn(2, 3, 5, generator=seeded(), dtype=torch.float64)
    target = torch.tensor([[3, 4, 1], [2, 1, PAD]])
    p = logits.exp() / logits.exp().sum(-1, keepdim=True)
    words = [(0, 0, 3), (0, 1, 4), (0, 2, 1), (1, 0, 2), (1, 1, 1)]
    expected = -sum(math.log(p[i, j, w].item()) for i, j, w in words) / 5
    assert nll(logits, target).item() == pytest.approx(expected, abs=1e-12)
    logits[1, 2] = 1e4
    assert nll(logits, target).item() == pytest.approx(expected, abs=1e-12)
    assert nll(torch.zeros(1, 2, 7), torch.tensor([[3, 1]])).item() == pytest.approx(math.log(7))


# ---- batches ----

PAIRS = [Message(("a",) * n, tuple("xyz"[i % 3] for i in range(12 - n))) for n in range(1, 11)]
VOCABULARIES = Vocabulary([["a"]]), Vocabulary([["x", "y", "z"]])


def test_batches_hold_the_pairs_drawn_again_and_again() -> None:
    drawn = []

    def draw() -> list[Message]:
        drawn.append(1)
        return PAIRS

    stream = batches(draw, *VOCABULARIES, 4, generator=seeded())
    for epoch in range(1, 4):
        seen = []
        for source, target in islice(stream, 3):
            for x, y in zip(source.tolist(), target.tolist(), strict=True):
                words = tuple(VOCABULARIES[0].decode(x)), tuple(VOCABULARIES[1].decode(y))
                assert x[len(words[0])] == y[len(words[1])] == EOS
                assert set(x[len(words[0]) + 1 :]) | set(y[len(words[1]) + 1 :]) <= {PAD}
                seen.append(words)
        assert sorted(seen) == sorted((p.source, p.target) for p in PAIRS)
        assert len(drawn) == epoch


def test_batches_are_of_similar_targets() -> None:
    """Sorted by the length of the target in one window: 2 to 5 words, 6 to 9, 10 and 11."""
    stream = batches(lambda: PAIRS, *VOCABULARIES, 4, generator=seeded())
    lengths = sorted(sorted((target != PAD).sum(1).tolist()) for _, target in islice(stream, 3))
    assert lengths == [[3, 4, 5, 6], [7, 8, 9, 10], [11, 12]]


def test_batches_are_those_of_the_generator(device: torch.device) -> None:
    one, same, other = (
        [x.tolist() for x, _ in islice(batches(lambda: PAIRS, *VOCABULARIES, 4, generator=seeded(k)), 6)]
        for k in (0, 0, 1)
    )
    assert one == same != other
    assert one[:3] != one[3:]
    source, target = next(batches(lambda: PAIRS, *VOCABULARIES, 4, device=device))
    assert source.device.type == target.device.type == device.type


def test_no_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="draw returned no pairs"):
        next(batches(list, *VOCABULARIES, 4))


# ---- fit ----


def train_by_hand(model: Translator, steps: int, optimizer: str, lr: float, clip: float) -> tuple[list[float], int]:
    """Return the losses, and how often the gradient was clipped."""
    parameters, losses, clipped = list(model.parameters()), [], 0
    first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    for k, (source, target) in enumerate(islice(cycle(fixed_batches()), steps)):
        loss = nll(model(source, target)[0], target)
        losses.append(loss.item())
        slopes = torch.autograd.grad(loss, parameters)
        norm = math.sqrt(sum((g**2).sum().item() for g in slopes))
        clipped += norm > clip
        rate = lr * (1 + math.cos(math.pi * k / steps)) / 2
        with torch.no_grad():
            for p, g, a, b in zip(parameters, slopes, first, second, strict=True):
                slope = g * min(1.0, clip / (norm + 1e-6))
                if optimizer == "adam":
                    a.lerp_(slope, 0.1)
                    b.lerp_(slope**2, 0.001)
                    p.sub_(rate * (a / (1 - 0.9 ** (k + 1))) / ((b / (1 - 0.999 ** (k + 1))).sqrt() + 1e-8))
                else:
                    a.lerp_(slope**2, 0.05)
                    change = slope * ((b + 1e-6) / (a + 1e-6)).sqrt()
                    b.lerp_(change**2, 0.05)
                    p.sub_(change)
    return losses, clipped


@pytest.mark.parametrize("optimizer", ["adam", "adadelta"])
@pytest.mark.parametrize("clip", [0.3, 1.0])
def test_training_is_the_loop_by_hand(optimizer: str, clip: float) -> None:
    """Six steps, of which the smaller limit clips all and the larger one some or none."""
    ours, slow = translator(), translator()
    losses = fit(ours, cycle(fixed_batches()), 6, optimizer=optimizer, lr=0.05, clip=clip)
    expected, clipped = train_by_hand(slow, 6, optimizer, 0.05, clip)
    assert losses == pytest.approx(expected, abs=1e-9)
    for (name, one), other in zip(ours.named_parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-8, rtol=0, msg=name)
    assert clipped == 6 if clip < 1 else clipped < 6


def test_the_first_settings_are_adam_at_a_thousandth_and_a_norm_of_one() -> None:
    ours, slow = translator(), translator()
    with torch.no_grad():  # slopes that are clipped
        for model in (ours, slow):
            model.words.weight.mul_(20)
    losses = fit(ours, cycle(fixed_batches()), 4)
    expected, clipped = train_by_hand(slow, 4, "adam", 1e-3, 1.0)
    assert losses == pytest.approx(expected, abs=1e-9)
    assert clipped == 4
    torch.testing.assert_close(ours.words.weight, slow.words.weight, atol=1e-9, rtol=0)


def test_copying_is_learnt() -> None:
    generator = seeded()

    def draw() -> list[Message]:
        lines = torch.randint(0, 5, (64, 3), generator=generator).tolist()
        return [Message(*(tuple("abcde"[k] for k in line[: 1 + i % 3]),) * 2) for i, line in enumerate(lines)]

    letters = Vocabulary(["abcde"])
    torch.manual_seed(0)
    model = Translator(8, 8, embedding=12, hidden=24, align=12, readout=12)
    losses = fit(model, batches(draw, letters, letters, 16, generator=generator), 60, lr=0.03)
    assert len(losses) == 60
    assert losses[0] == pytest.approx(math.log(8), abs=0.3)
    assert sum(losses[-10:]) / 10 < 0.6
    asked = [list(word) for word in ("abc", "e", "dd", "bea", "ca", "cab", "ddb", "a")]
    found = translate(model, pad([letters.encode(word) for word in asked]), 2)
    assert sum(letters.decode(line) == word for line, word in zip(found, asked, strict=True)) > 4


def test_training_is_the_same_from_the_same_seeds() -> None:
    def train(seed: int) -> tuple[list[float], Tensor]:
        model = translator(dropout=0.2)
        torch.manual_seed(seed)
        return fit(model, cycle(fixed_batches()), 5), model.words.weight.detach()

    one, same, other = train(0), train(0), train(1)
    assert one[0] == same[0] != other[0]
    assert torch.equal(one[1], same[1])


def test_a_model_learns_in_training_mode_and_is_left_in_evaluation_mode() -> None:
    model, modes = translator(dropout=0.2).eval(), []
    model.words.register_forward_pre_hook(lambda module, _: modes.append((module.training, model.dropout.training)))
    fit(model, cycle(fixed_batches()), 2)
    assert modes == [(True, True)] * 2
    assert not any(module.training for module in model.modules())


def test_the_vector_of_padding_stays_zero() -> None:
    model = translator()
    fit(model, cycle(fixed_batches()), 3, optimizer="adadelta")
    assert not model.source.weight[PAD].any()
    assert not model.target.weight[PAD].any()


def test_progress_wraps_the_steps() -> None:
    seen: list[object] = []

    def bar(steps: Iterable[int]) -> Iterator[int]:
        seen.append(steps)
        for step in steps:
            yield step
            seen.append(step)

    fit(translator(), cycle(fixed_batches()), 3, each=bar)
    assert seen == [range(3), 0, 1, 2]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "optimizer": ({"optimizer": "sgd"}, "optimizer is 'sgd'; it can be 'adam' or 'adadelta'"),
    "steps": ({"steps": 0}, "steps must be positive; got 0"),
    "batches": ({"steps": 4}, "batches ended after 3 of 4 steps"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    options, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        fit(translator(), iter(fixed_batches()), **({"steps": 3} | options))
