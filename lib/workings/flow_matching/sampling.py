r"""From noise to data and back: solving :math:`\dot x = v(t, x)` for a trained field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workings.flow_matching.losses import VectorField
from workings.flow_matching.paths import GaussianPath
from workings.neural_ode import ContinuousFlow, Stats, odeint


def generate(
    field: VectorField,
    x0: Tensor,
    path: GaussianPath | None = None,
    *,
    steps: int | None = None,
    method: str | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    stats: Stats | None = None,
    trajectory: bool = False,
) -> Tensor:
    r"""Carry noise to data, without gradients.

    Args:
        field: ``field(t, x)`` for a 0-dim time and states (..., d).
        x0: standard normal noise, shape (..., d).
        path: the path that the field was trained on: it says how wide the noise is, and where to stop; 1 and 1 if None.
        steps: so many equal steps; None for adaptive ones.
        method: as in `odeint`; "midpoint" with ``steps``, "dopri5" without, if None.
        rtol: relative tolerance of adaptive steps.
        atol: absolute tolerance of adaptive steps.
        stats: is reset and filled with what the solve cost.
        trajectory: return the states at the ends of all ``steps`` too, the noise first.

    Returns:
        States shaped like ``x0``; with ``trajectory`` (steps + 1, \*x0.shape).

    Raises:
        ValueError: for ``steps`` that is not positive, or ``trajectory`` without ``steps``.

    """
    if steps is not None and steps < 1:
        raise ValueError(f"steps must be positive; got {steps}")
    if trajectory and steps is None:
        raise ValueError("trajectory=True needs steps: adaptive ones end where they like")
    last, width = (1.0, 1.0) if path is None else (path.last, path.noise_std)
    t = torch.linspace(0, last, steps + 1 if steps and trajectory else 2, dtype=torch.float64, device=x0.device)
    method = method or ("dopri5" if steps is None else "midpoint")
    options = None if steps is None else {"step_size": last / steps}
    with torch.no_grad():
        x: Tensor = odeint(field, width * x0, t, rtol=rtol, atol=atol, method=method, options=options, stats=stats)
    return x if trajectory else x[-1]


def log_prob(
    field: VectorField,
    x: Tensor,
    path: GaussianPath | None = None,
    *,
    trace: str = "exact",
    rtol: float = 1e-5,
    atol: float = 1e-5,
    method: str = "dopri5",
    options: Mapping[str, Any] | None = None,
    stats: Stats | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Return log p(x) in nats of the density that a field makes of noise, shape (...).

    .. math:: \log p(x) = \log \mathcal N\big(x(0);\, 0,\, \sigma_0^2 I\big) - \int_0^{1} \nabla \cdot v(t, x(t))\,dt,
        \qquad x(1) = x

    The noise counts as centred and independent of the data, which is so for `ConditionalOT`, nearly so for
    `VariancePreserving`, and as good as the width of the noise for `VarianceExploding`.

    Args:
        field: ``field(t, x)`` for a 0-dim time and states (..., d), acting on each state by itself.
        x: states, shape (..., d).
        path: as in `generate`.
        trace: "exact" (d vector-Jacobian products), "hutchinson" or "closed", as in `ContinuousFlow`.
        rtol: relative tolerance.
        atol: absolute tolerance.
        method: as in `odeint`.
        options: as in `odeint`.
        stats: is reset and filled.
        generator: for the noise of "hutchinson".

    """
    last, width = (1.0, 1.0) if path is None else (path.last, path.noise_std)
    flow = ContinuousFlow(
        _Scaled(field, width), x.shape[-1], trace, t1=last, rtol=rtol, atol=atol, method=method, options=options
    )
    return flow.log_prob(x / width, stats=stats, generator=generator) - x.shape[-1] * math.log(width)


class _Scaled(nn.Module):
    """A field in units of the noise's width: a module, so that the parameters of ``field`` are known."""

    def __init__(self, field: VectorField, width: float) -> None:
        super().__init__()
        self.field, self.width = field, width
        if hasattr(field, "divergence"):
            self.divergence = self._divergence

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.field(t, self.width * y) / self.width

    def _divergence(self, t: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        v, trace = self.field.divergence(t, self.width * y)  # type: ignore[attr-defined]
        return v / self.width, trace


def straightness(x: Tensor) -> Tensor:
    r"""Return how far trajectories are from straight lines at constant speed, a 0-dim tensor: 0 if they are such lines.

    .. math:: S = \frac{\int_0^1 E \|(x(1) - x(0)) - \dot x(t)\|^2\,dt}{E \|x(1) - x(0)\|^2}

    Args:
        x: states at equally spaced times, shape (n + 1, B, d), as `generate` with ``trajectory`` returns them.

    Raises:
        ValueError: for fewer than two intervals.

    """
    if x.dim() < 3 or len(x) < 3:
        raise ValueError(f"x must hold states at three times or more, shape (n + 1, B, d); got {tuple(x.shape)}")
    way, velocity = x[-1] - x[0], (x[1:] - x[:-1]) * (len(x) - 1)
    return (way - velocity).square().sum() / (len(x) - 1) / way.square().sum()
