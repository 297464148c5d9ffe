"""A kernel learned from examples: responses with the stimuli that caused them, gradient descent, nothing else."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workings.typed import Count, Floats, Integers, Whole


class LearnedKernel(nn.Module):
    r"""A decoder :math:`p(s|r) \propto \exp(h(s)^\top r + b(s))` on a grid, with h and b smooth sums of bumps.

    Args:
        neurons: N.
        grid: stimuli (S,), evenly spaced.
        bumps: number of bumps, K; the fewer, the smoother.

    """

    def __init__(self, neurons: Whole, grid: Floats, bumps: Whole = 12) -> None:
        super().__init__()
        self.grid: Tensor
        self.register_buffer("grid", grid)
        low, high = float(grid.min()), float(grid.max())
        self.step = (high - low) / (bumps - 3)
        self.register_buffer(
            "centres", torch.arange(-1, bumps - 1, dtype=grid.dtype, device=grid.device) * self.step + low
        )
        self.centres: Tensor
        self.weights = nn.Parameter(torch.zeros(bumps, neurons, dtype=grid.dtype, device=grid.device))
        self.offset = nn.Parameter(torch.zeros(bumps, dtype=grid.dtype, device=grid.device))

    def basis(self, s: Tensor) -> Tensor:
        """Return the bumps at stimuli (...), (..., K)."""
        return (-(((s[..., None] - self.centres) / self.step) ** 2) / 2).exp()

    def kernel(self, s: Tensor) -> Tensor:
        """Return h(s), (..., N)."""
        return self.basis(s) @ self.weights

    def forward(self, r: Floats) -> Tensor:
        """Return logarithms of probabilities on the grid, up to a constant, (..., S)."""
        return r @ self.kernel(self.grid).mT + self.basis(self.grid) @ self.offset


def learn_kernel(model: LearnedKernel, r: Floats, index: Integers, steps: Count = 100) -> list[float]:
    r"""Follow the gradient of the mean of :math:`-\log p(s|r)` over examples, downhill.

    Equation population_codes:learning in the chapter. The loss is convex in the weights. Correlated neurons make it a
    narrow valley, in which plain gradient descent crawls; the steps are those of L-BFGS, which remembers a few past
    gradients to guess the curvature.

    Args:
        model: the decoder, changed in place.
        r: responses (n, N).
        index: which point of the model's grid caused each, (n,).
        steps: how many.

    Returns:
        The loss at first, at all places where it was evaluated, and at last, in nats.

    >>> model = LearnedKernel(1, torch.tensor([-1.0, 0.0, 1.0]), 5)
    >>> losses = learn_kernel(model, model.grid[:, None], torch.arange(3), steps=20)
    >>> losses[-1] < 0.1 < losses[0]  # log 3 at first
    True

    """
    mover = torch.optim.LBFGS(model.parameters(), max_iter=steps, history_size=20, line_search_fn="strong_wolfe")
    losses = []

    def evaluate() -> Tensor:
        mover.zero_grad()
        loss = cross_entropy(model(r), index)
        loss.backward()
        losses.append(loss.item())
        return loss

    mover.step(evaluate)
    losses.append(evaluate().item())
    return losses
