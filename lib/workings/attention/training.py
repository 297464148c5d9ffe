"""Training a translator by maximum likelihood."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from workings.attention.corpus import Message
from workings.attention.languages import Pair
from workings.attention.model import Translator
from workings.attention.words import PAD, Vocabulary, buckets, pad
from workings.typed import Floats, Integers, Positive

OPTIMIZERS = ("adam", "adadelta")


def batches(
    draw: Callable[[], Sequence[Pair | Message]],
    source: Vocabulary,
    target: Vocabulary,
    batch: int,
    *,
    device: torch.device | str = "cpu",
    generator: torch.Generator | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield padded batches without end, of sentences of similar length.

    Args:
        draw: returns pairs with a ``source`` and a ``target`` of words: fresh ones, or all that there are.
        source: vocabulary of the sources.
        target: vocabulary of the targets.
        batch: sentences a batch.
        device: where the batches shall be.
        generator: a CPU generator for the order; torch's default if None.

    Returns:
        An iterator of sources (B, S) and targets (B, T), padded.

    """
    while True:
        pairs = draw()
        if not pairs:
            raise ValueError("draw returned no pairs to train on")
        for index in buckets([len(pair.target) for pair in pairs], batch, generator=generator):
            yield (
                pad([source.encode(pairs[i].source) for i in index], device),
                pad([target.encode(pairs[i].target) for i in index], device),
            )


def nll(logits: Floats, target: Integers) -> Tensor:
    """Return the mean negative log-likelihood of a word, in nats; padding does not count.

    Args:
        logits: (B, T, V).
        target: (B, T), padded with PAD.

    """
    return functional.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD)


def fit(
    model: Translator,
    batches: Iterator[tuple[Tensor, Tensor]],
    steps: int,
    *,
    optimizer: str = "adam",
    lr: Positive = 1e-3,
    clip: Positive = 1.0,
    each: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> list[float]:
    """Train ``model`` in place.

    Args:
        model: the model.
        batches: source (B, S) and target (B, T) of each step, padded, on the device of the model.
        steps: training steps.
        optimizer: "adam", with a rate that falls to 0 along a cosine, or "adadelta" as in the paper (ρ 0.95, ε 1e-6,
            rate 1).
        lr: Adam's first rate.
        clip: the greatest norm of the gradient of all parameters together; the paper has 1.
        each: wraps the range of steps, for a progress bar.

    Returns:
        The mean negative log-likelihood of a word at each step, in nats.

    Raises:
        ValueError: for another optimizer, ``steps`` that is not positive, or batches that end before.

    """
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer is {optimizer!r}; it can be 'adam' or 'adadelta'")
    if steps < 1:
        raise ValueError(f"steps must be positive; got {steps}")
    parameters = list(model.parameters())
    update: torch.optim.Optimizer
    rate: torch.optim.lr_scheduler.LRScheduler | None = None
    if optimizer == "adam":
        update = torch.optim.Adam(parameters, lr=lr, fused=True)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(update, steps)
    else:
        update = torch.optim.Adadelta(parameters, lr=1.0, rho=0.95, eps=1e-6)
    losses: list[Tensor] = []
    model.train()
    for _ in each(range(steps)):
        drawn = next(batches, None)
        if drawn is None:
            raise ValueError(f"batches ended after {len(losses)} of {steps} steps; they must go on")
        source, target = drawn
        loss = nll(model(source, target)[0], target)
        update.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, clip)
        update.step()
        if rate:
            rate.step()
        losses.append(loss.detach())
    model.eval()
    return torch.stack(losses).tolist()
