r"""Amplitudes from noisy intensities, as in crystallography: a Rice posterior for each.

A structure factor is a sum over many atoms, so a complex normal number (Wilson's statistics); its amplitude F is the
length of a vector of two normal numbers: a Rice distribution around what a model predicts. The detector counts an
intensity, F² with noise, which may come out negative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import functional

from workings.implicit_reparameterization.implicit import normal
from workings.implicit_reparameterization.rice import Rice

WILSON = Rice(torch.tensor(0.0).double(), torch.tensor(0.5).double().sqrt())  # no model: E F² = 1


def intensities(n: int, noise: float, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Draw ``n`` amplitudes by Wilson's statistics and their intensities F² with normal noise; both (n,), float64."""
    amplitudes = WILSON.sample((n,), generator)
    return amplitudes, amplitudes.square() + noise * normal((n,), amplitudes, generator)


def log_joint(amplitudes: Tensor, intensity: Tensor, noise: float) -> Tensor:
    """Return the log density of amplitudes and intensities under Wilson's statistics and normal noise."""
    misfit = (intensity - amplitudes.square()) / noise
    return WILSON.log_prob(amplitudes) - misfit.square() / 2 - math.log(noise) - math.log(2 * math.pi) / 2


def exact_moments(intensity: Tensor, noise: float, points: int = 4000) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each amplitude given its intensity, (n,), on a grid from 0 to 6."""
    grid = torch.linspace(0, 6, points + 1, dtype=torch.float64, device=intensity.device)[1:]
    weights = torch.softmax(log_joint(grid, intensity[:, None], noise), -1)
    mean = (weights * grid).sum(-1)
    return mean, ((weights * (grid - mean[:, None]).square()).sum(-1)).sqrt()


def posterior(parameters: Tensor) -> Rice:
    """Return the Rice posteriors of raw parameters (2, n)."""
    return Rice(*functional.softplus(parameters))


def bound(
    parameters: Tensor, intensity: Tensor, noise: float, estimator: str = "pathwise",
    generator: torch.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Return what has, from one sample each, the gradient of the evidence bound; (n,).

    Args:
        parameters: raw parameters of the posteriors, (2, n).
        intensity: intensities, (n,).
        noise: their standard deviation.
        estimator: "pathwise" through the sample, or "score" (the log-derivative trick).
        generator: for the draws.

    Raises:
        ValueError: for another estimator.

    """
    if estimator not in ("pathwise", "score"):
        raise ValueError(f"estimator must be 'pathwise' or 'score'; got {estimator!r}")
    q = posterior(parameters)
    amplitudes = q.rsample((), generator)
    if estimator == "pathwise":
        return log_joint(amplitudes, intensity, noise) - q.log_prob(amplitudes)
    log_q = q.log_prob(amplitudes.detach())
    value = (log_joint(amplitudes.detach(), intensity, noise) - log_q).detach()
    return value * log_q


def fit_posteriors(
    intensity: Tensor,
    noise: float,
    steps: int,
    *,
    estimator: str = "pathwise",
    lr: float = 0.05,
    generator: torch.Generator | None = None,
    each: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Rice:
    """Fit a Rice posterior to every intensity by stochastic gradient ascent on the bound; return them as one batch."""
    parameters = torch.zeros(2, *intensity.shape, dtype=torch.float64, device=intensity.device, requires_grad=True)
    optimizer = torch.optim.Adam([parameters], lr=lr)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in each(range(steps)):
        optimizer.zero_grad()
        (-bound(parameters, intensity, noise, estimator, generator).sum()).backward()
        optimizer.step()
        rate.step()
    return posterior(parameters.detach())
