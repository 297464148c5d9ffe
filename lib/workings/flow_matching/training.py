"""Training a velocity field by flow matching: draw, pair, evaluate once, step."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from workings.flow_matching.losses import conditional_loss, standard_normal
from workings.flow_matching.paths import GaussianPath
from workings.typed import Positive

Draw = Callable[[int, torch.Generator | None], Tensor | tuple[Tensor, Tensor]]


def fit(
    field: nn.Module,
    path: GaussianPath,
    draw: Draw,
    steps: int,
    *,
    batch: int = 256,
    lr: Positive = 1e-3,
    pairing: Callable[[Tensor, Tensor], Tensor] | None = None,
    device: torch.device | str = "cpu",
    generator: torch.Generator | None = None,
    each: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> list[float]:
    """Train ``field`` in place on the conditional loss, by Adam with a rate that falls to 0 along a cosine.

    Args:
        field: ``field(t, x)`` for times (B,) and states (B, ...).
        path: the path.
        draw: ``draw(n, generator)`` returns fresh data (n, ...) on the CPU, or noise and data that belong together.
        steps: training steps.
        batch: states a step.
        lr: the first learning rate.
        pairing: from noise and data to the index of the data for each noise, as `optimal_pairing`; None leaves them
            independent.
        device: where ``field`` is.
        generator: a CPU generator for all that is drawn; torch's default if None.
        each: wraps the range of steps, for a progress bar.

    Returns:
        The loss of every step. Its least value is not 0: see `conditional_loss`.

    Raises:
        ValueError: for ``steps`` or ``batch`` that is not positive.

    """
    for name, value in (("steps", steps), ("batch", batch)):
        if value < 1:
            raise ValueError(f"{name} must be positive; got {value}")
    optimizer = torch.optim.Adam(field.parameters(), lr=lr, fused=True)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for _ in each(range(steps)):
        x0, x1 = _pair(draw(batch, generator), pairing, generator)
        t = path.times(len(x1), x1, generator)
        loss = conditional_loss(field, path, x1.to(device), x0.to(device), t.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        losses.append(loss.detach())
    return torch.stack(losses).tolist()


def _pair(
    drawn: Tensor | tuple[Tensor, Tensor],
    pairing: Callable[[Tensor, Tensor], Tensor] | None,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    """Return noise and data of a batch, paired."""
    x0, x1 = drawn if isinstance(drawn, tuple) else (standard_normal(drawn.shape, drawn, generator), drawn)
    return x0, x1 if pairing is None else x1[pairing(x0, x1)]
