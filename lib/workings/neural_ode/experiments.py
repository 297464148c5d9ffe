"""The experiments of Chen et al. (2018) that take longer than a page: two circles by a flow, a spiral by a neural ODE.

Each experiment is a function of a seed that returns its measured quantities; ``RECORDED`` lists them with the seeds and
arguments of each profile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from workings.neural_ode.flows import ContinuousFlow, MLPField
from workings.neural_ode.gradients import Stats
from workings.neural_ode.odeint import odeint

RADII, NOISE = (1.0, 0.5), 0.06
SPIRAL = ((-0.1, 2.0), (-2.0, -0.1))


def circles(n: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw ``n`` points (n, 2) from two noisy circles of radii 1 and 0.5 with noise of standard deviation 0.06.

    Args:
        n: how many points.
        generator: a CPU generator; torch's default if None.

    Returns:
        Points of shape (n, 2), float32.

    """
    radius = torch.where(torch.rand(n, generator=generator) < 0.5, RADII[0], RADII[1])
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    ring = radius[:, None] * torch.stack((torch.cos(angle), torch.sin(angle)), -1)
    return ring + NOISE * torch.randn(n, 2, generator=generator)


def circles_log_density(x: Tensor) -> Tensor:
    """Return the exact log density of `circles` at points (..., 2), in nats; shape (...).

    A ring of radius r blurred by a Gaussian: exp(−(ρ − r)²/2σ²) i0e(ρr/σ²) / 2πσ², averaged over the two radii.

    >>> round(float(circles_log_density(torch.tensor([1.0, 0.0]))), 3)
    -0.636
    """
    rho, variance = x.norm(dim=-1), NOISE**2
    rings = [-((rho - r) ** 2) / (2 * variance) + torch.log(torch.special.i0e(rho * r / variance)) for r in RADII]
    return torch.logsumexp(torch.stack(rings), 0) - math.log(2 * 2 * math.pi * variance)


def circles_entropy() -> float:
    """Return the entropy of `circles` in nats, by a radial quadrature: the least mean −log p of any model."""
    rho = torch.linspace(0, 2, 40_001, dtype=torch.float64)
    log_density = circles_log_density(torch.stack((rho, torch.zeros_like(rho)), -1))
    return float(-torch.trapezoid(2 * math.pi * rho * log_density.exp() * log_density, rho))


def gaussian_nll(train: Tensor, test: Tensor) -> float:
    """Return the mean −log p of ``test`` (n, d) under the Gaussian fitted to ``train`` (m, d), in nats."""
    normal = torch.distributions.MultivariateNormal(train.mean(0), torch.cov(train.T))
    return float(-normal.log_prob(test).mean())


def circles_flow(width: int = 64) -> ContinuousFlow:
    """Return the flow of the circles experiment: two hidden layers, exact closed-form trace, discrete gradient."""
    field = MLPField(2, hidden=(width, width))
    return ContinuousFlow(field, dim=2, trace="closed", gradient="discrete", rtol=1e-5, atol=1e-5)


def train_circles(
    seed: int,
    steps: int,
    batch: int,
    device: torch.device,
    each: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[ContinuousFlow, list[int], list[int]]:
    """Fit the flow to two circles by maximum likelihood: Adam, its rate falling from 1e-2 to 0 along a cosine.

    Args:
        seed: of the network and the data.
        steps: training steps.
        batch: fresh points a step.
        device: where to train.
        each: wraps the range of steps, for a progress bar.

    Returns:
        The flow and, for every step, the evaluations of the field in the forward and in the backward pass.

    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        flow = circles_flow().to(device)
    adam = torch.optim.Adam(flow.parameters(), lr=1e-2)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(adam, max(steps, 1))
    forward, backward = [], []
    for _ in each(range(steps)):
        stats = Stats()
        loss = -flow.log_prob(circles(batch, generator).to(device), stats=stats).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        rate.step()
        forward.append(stats.evaluations)
        backward.append(stats.backward_evaluations)
    return flow, forward, backward


def held_out(seed: int, n: int = 10_000) -> Tensor:
    """Return points that no training run has seen, (n, 2)."""
    return circles(n, torch.Generator().manual_seed(1_000_000 + seed))


def circles_likelihood(seed: int, device: torch.device, steps: int, batch: int, every: int) -> dict[str, Any]:
    """Train on two circles; return the held-out mean −log p, a Gaussian's, the truth's, and evaluations in training."""
    flow, forward, backward = train_circles(seed, steps, batch, device)
    test = held_out(seed)
    with torch.no_grad():
        nll = -float(flow.log_prob(test.to(device)).mean())
    return {
        "nll": nll,
        "gaussian": gaussian_nll(circles(steps * batch // 10, torch.Generator().manual_seed(seed)), test),
        "truth": -float(circles_log_density(test.double()).mean()),
        "forward": _means(forward, every),
        "backward": _means(backward, every),
    }


def circles_weights(seed: int, device: torch.device, steps: int, batch: int) -> dict[str, Any]:
    """Train on two circles and return the weights as one list, for a chapter to evaluate."""
    flow, _, _ = train_circles(seed, steps, batch, device)
    return {"weights": nn.utils.parameters_to_vector(flow.parameters()).tolist()}


class CubicField(nn.Module):
    """f(t, z) = MLP(z³), the spiral demo's network: 2–50–2, tanh, weights of deviation 0.1, no bias at first."""

    def __init__(self, power: int = 3) -> None:
        super().__init__()
        self.power = power
        first, last = nn.Linear(2, 50), nn.Linear(50, 2)
        self.net = nn.Sequential(first, nn.Tanh(), last)
        for layer in (first, last):
            nn.init.normal_(layer.weight, std=0.1)
            nn.init.zeros_(layer.bias)

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """Return the velocity (..., 2) at state ``z`` (..., 2); ``t`` is not used."""
        return self.net(z**self.power)  # type: ignore[no-any-return]


def spiral(points: int = 1000) -> tuple[Tensor, Tensor]:
    """Return times (points,) on [0, 25] and the true spiral ż = A z³ from (2, 0), of shape (points, 2), float32."""
    matrix = torch.tensor(SPIRAL, dtype=torch.float64)
    t = torch.linspace(0, 25, points, dtype=torch.float64)
    start = torch.tensor([2.0, 0.0], dtype=torch.float64)
    path = odeint(lambda t, z: matrix.T @ z**3, start, t, rtol=1e-9, atol=1e-10)
    return t.float(), path.float()


def train_spiral(
    seed: int,
    steps: int,
    device: torch.device,
    power: int = 3,
    gradient: str = "discrete",
    each: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[CubicField, list[float]]:
    """Fit the field to windows of the spiral: 20 windows of 10 points a step, mean absolute error, RMSprop at 1e-3.

    Returns:
        The field and the loss of every step.

    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        field = CubicField(power).to(device)
    t, path = (x.to(device) for x in spiral())
    optimizer, losses = torch.optim.RMSprop(field.parameters(), lr=1e-3), []
    for _ in each(range(steps)):
        first = torch.randperm(len(t) - 10, generator=generator)[:20].to(device)
        target = torch.stack([path[first + i] for i in range(10)])
        ours = odeint(field, path[first], t[:10], rtol=1e-5, atol=1e-6, gradient=gradient)
        loss = (ours - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return field, losses


def spiral_error(field: nn.Module, device: torch.device) -> float:
    """Return the mean absolute error of ``field``'s whole path over [0, 25] from the true start."""
    t, path = (x.to(device) for x in spiral())
    with torch.no_grad():
        ours = odeint(field, path[0], t, rtol=1e-5, atol=1e-6)
    return float((ours - path).abs().mean())


def spiral_fit(seed: int, device: torch.device, steps: int, every: int) -> dict[str, Any]:
    """Train on the spiral; return the error of the whole path, and that of the same network without the cube."""
    field, losses = train_spiral(seed, steps, device)
    plain, plain_losses = train_spiral(seed, steps, device, power=1)
    return {
        "error": spiral_error(field, device),
        "error_without_cube": spiral_error(plain, device),
        "loss": _means(losses, every),
        "loss_without_cube": _means(plain_losses, every),
    }


def _means(values: list[float] | list[int], every: int) -> list[float]:
    """Means of consecutive stretches of ``every`` values."""
    return [sum(values[i : i + every]) / every for i in range(0, len(values) - every + 1, every)]


RECORDED: dict[str, dict[str, Any]] = {
    "circles": {
        "run": circles_likelihood,
        "seeds": range(8),
        "profiles": {
            "quick": {"steps": 20, "batch": 64, "every": 5},
            "default": {"steps": 1000, "batch": 512, "every": 25},
            "full": {"steps": 10_000, "batch": 512, "every": 250},
        },
    },
    "circles-weights": {
        "run": circles_weights,
        "seeds": range(1),
        "profiles": {
            "quick": {"steps": 20, "batch": 64},
            "default": {"steps": 1000, "batch": 512},
        },
    },
    "spiral": {
        "run": spiral_fit,
        "seeds": range(8),
        "profiles": {
            "quick": {"steps": 20, "every": 5},
            "default": {"steps": 2000, "every": 50},
        },
    },
}
