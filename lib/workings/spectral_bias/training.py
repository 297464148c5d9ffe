"""Training as the theory has it, by plain gradient descent, and as one does it for pictures, by Adam."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from workings.typed import Floats


def descend(
    net: nn.Module,
    x: Floats,
    y: Tensor,
    *,
    rate: float,
    steps: int,
    watch: Floats | None = None,
    every: int = 1,
    each: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Tensor:
    r"""Train ``net`` in place by full gradient descent on :math:`\frac12 \sum_i (f(x_i) - y_i)^2`.

    Args:
        net: from (n, d) to (n, 1).
        x: points (n, d).
        y: labels (n,).
        rate: the learning rate. Training is stable up to 2 / λ_max of the kernel.
        steps: how many.
        watch: points (m, d) whose outputs are kept; ``x`` if None.
        every: keep the outputs after each so many steps.
        each: wraps the range of steps, for a progress bar.

    Returns:
        The outputs at ``watch`` at the start and after every so many steps, (1 + steps // every, m).

    Raises:
        ValueError: for labels of another shape, or steps, rate or every that are not positive.

    >>> net, x = nn.Linear(1, 1, bias=False), torch.tensor([[1.0], [2.0]])
    >>> descend(net, x, torch.tensor([3.0, 6.0]), rate=0.1, steps=100)[-1].round(decimals=4).tolist()
    [3.0, 6.0]

    """
    if y.shape != x.shape[:1]:
        raise ValueError(f"y has shape {tuple(y.shape)}; for {len(x)} points it must be ({len(x)},)")
    if steps < 1 or every < 1 or not rate > 0:
        raise ValueError(f"steps, every and rate must be positive; got {steps}, {every} and {rate}")
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    points = x if watch is None else watch

    def outputs() -> Tensor:
        with torch.no_grad():
            return net(points)[:, 0]  # type: ignore[no-any-return]

    kept = [outputs()]
    for step in each(range(1, steps + 1)):
        optimizer.zero_grad()
        (net(x)[:, 0] - y).square().sum().mul(0.5).backward()
        optimizer.step()
        if step % every == 0:
            kept.append(outputs())
    return torch.stack(kept)


def fit(
    net: nn.Module,
    loss: Callable[[], Tensor],
    steps: int,
    *,
    lr: float = 1e-3,
    each: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> list[float]:
    """Train ``net`` in place by Adam.

    Args:
        net: whose parameters are trained.
        loss: the loss of one step, such as that of a random batch of pixels.
        steps: how many.
        lr: the learning rate.
        each: wraps the range of steps, for a progress bar.

    Returns:
        The loss of every step.

    Raises:
        ValueError: for steps or a rate that are not positive.

    """
    if steps < 1 or not lr > 0:
        raise ValueError(f"steps and lr must be positive; got {steps} and {lr}")
    optimizer, losses = torch.optim.Adam(net.parameters(), lr=lr, fused=True), []
    for _ in each(range(steps)):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        losses.append(value.detach())
    return torch.stack(losses).tolist()
