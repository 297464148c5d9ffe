"""Losses that accrue, and losses at several times."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import cos

import numpy as np
import torch
from scipy.integrate import quad
from torch import Tensor

from workings.book.ledger import verifies
from workings.checks.neural_ode.oracle import (
    START,
    T0,
    T1,
    THETA,
    TIGHT,
    Swirl,
    differences,
    end_of,
    gap,
    jacobians,
    oracle_path,
    slopes,
    tensor,
    times,
    velocity,
)
from workings.neural_ode import loss_gradient, odeint


def _cost(z: np.ndarray, theta: np.ndarray) -> float:
    return float(0.5 * z[0] ** 2 * theta[1] + z[1])


def _cost_torch(t: Tensor, z: Tensor, theta: Tensor) -> Tensor:
    return 0.5 * z[..., 0] ** 2 * theta[1] + z[..., 1]


def _running_oracle(theta: np.ndarray, start: np.ndarray | None = None) -> float:
    path = oracle_path(theta, np.asarray(START) if start is None else start, T0, T1)
    return float(quad(lambda t: _cost(path(t), theta), T0, T1, epsabs=1e-12)[0])


@verifies(
    "neural_ode:running",
    tex=r"L = \int_{t_0}^{t_1} l(z(t), \theta, t)\,\mathrm{d}t",
    tolerance=1e-8,
    wrong={"as a mean over time": {"mean": True}},
    kind="definition",
)
def running_loss(device: torch.device, mean: bool = False) -> float:
    """Compare the library's running loss with a quadrature along the oracle's path."""
    field = Swirl(device)
    ours = loss_gradient(
        field, tensor(START, device), times(device), running=lambda t, z: _cost_torch(t, z, field.theta), **TIGHT
    )
    return gap(ours.loss / (T1 - T0 if mean else 1.0), _running_oracle(np.asarray(THETA)))


def _running_reverse(device: torch.device, source: float, cost: float, sign: float) -> Tensor:
    theta = tensor(THETA, device)
    end = tensor(end_of(np.asarray(THETA), np.asarray(START)), device)

    def augmented(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        z, a, _ = state
        (fz, ftheta), (lz, ltheta) = jacobians(t, z, theta), slopes(partial(_cost_torch, t), z, theta)
        return velocity(t, z, theta), -a @ fz - source * lz, -cost * ltheta - sign * a @ ftheta

    last = (end, torch.zeros_like(end), torch.zeros_like(theta))
    return odeint(augmented, last, times(device, T1, T0), **TIGHT)[2][-1]  # type: ignore[no-any-return]


@verifies(
    "neural_ode:enlarged",
    tex=r"""\bigl(\dot a,\; \dot a_q\bigr) = -\bigl(a,\; a_q\bigr)
    \begin{pmatrix} \partial f/\partial z & 0 \\ \partial l/\partial z & 0 \end{pmatrix}""",
    tolerance=1e-7,
    wrong={"with the matrix transposed": {"transposed": True}, "without the cost's row": {"row": 0.0}},
    kind="derivation",
)
def enlarged_adjoint(device: torch.device, transposed: bool = False, row: float = 1.0) -> float:
    """Solve for the adjoint of (z, q) from (0, 1) at the end; compare with differences in the initial state, and 1."""
    theta, end = tensor(THETA, device), tensor(end_of(np.asarray(THETA), np.asarray(START)), device)

    def reverse(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        z, a = state
        by_z = torch.cat((jacobians(t, z, theta)[0], row * slopes(partial(_cost_torch, t), z, theta)[0][None]))
        matrix = torch.cat((by_z, torch.zeros_like(by_z[:, :1])), 1)
        return velocity(t, z, theta), -a @ (matrix.T if transposed else matrix)

    a = odeint(reverse, (end, tensor((0.0, 0.0, 1.0), device)), times(device, T1, T0), **TIGHT)[1][-1]
    true = differences(lambda z: _running_oracle(np.asarray(THETA), z), START)
    return gap(a, np.append(true, 1.0))


@verifies(
    "neural_ode:running-adjoint",
    tex=r"\dot a(t) = -a(t)\,\frac{\partial f}{\partial z} - \frac{\partial l}{\partial z}, \qquad a(t_1) = 0",
    tolerance=1e-7,
    wrong={"with the sign of the source flipped": {"source": -1.0}, "without the source": {"source": 0.0}},
)
def running_adjoint(device: torch.device, source: float = 1.0) -> float:
    """Compare the gradient through this adjoint with differences of the integral."""
    return gap(_running_reverse(device, source, 1.0, 1.0), differences(_running_oracle, THETA))


@verifies(
    "neural_ode:running-gradient",
    tex=r"""\frac{\mathrm{d}L}{\mathrm{d}\theta} = \int_{t_0}^{t_1} \Bigl(\frac{\partial l}{\partial\theta}
    + a\,\frac{\partial f}{\partial\theta}\Bigr)\,\mathrm{d}t""",
    tolerance=1e-7,
    wrong={
        "with the sign that h = ż − f gives": {"sign": -1.0},
        "without the direct term": {"cost": 0.0},
    },
)
def running_gradient(device: torch.device, sign: float = 1.0, cost: float = 1.0) -> float:
    """Compare with differences of the integral."""
    return gap(_running_reverse(device, 1.0, cost, sign), differences(_running_oracle, THETA))


@verifies(
    "neural_ode:negative",
    tex=r"""\begin{aligned}
    \dot b &= -b\,\frac{\partial f}{\partial z} + \frac{\partial l}{\partial z}, \\
    b(t_1) &= 0, \\
    \frac{\mathrm{d}L}{\mathrm{d}\theta} &= \frac{\partial L}{\partial\theta}
    - \int_{t_0}^{t_1} b\,\frac{\partial f}{\partial\theta}\,\mathrm{d}t
    \end{aligned}""",
    tolerance=1e-7,
    wrong={"with h = ż − f in place of f": {"sign": -1.0}},
    kind="derivation",
)
def negative_adjoint(device: torch.device, sign: float = 1.0) -> float:
    """Compare the post's pair of lines, read with b = −dL/dz and h = f, with differences."""
    theta = tensor(THETA, device)
    end = tensor(end_of(np.asarray(THETA), np.asarray(START)), device)

    def augmented(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        z, b, _ = state
        (fz, ftheta), (lz, ltheta) = jacobians(t, z, theta), slopes(partial(_cost_torch, t), z, theta)
        return velocity(t, z, theta), -b @ fz + lz, -ltheta + sign * b @ ftheta

    last = (end, torch.zeros_like(end), torch.zeros_like(theta))
    ours = odeint(augmented, last, times(device, T1, T0), **TIGHT)[2][-1]
    return gap(ours, differences(_running_oracle, THETA))


SEEN = (0.6, 1.1, T1)


def _observed(path: Callable[[float], np.ndarray]) -> float:
    first, second, third = (path(t) for t in SEEN)
    return float(first[0] * first[1] + cos(second[0]) + third[1] ** 2)


def _observed_oracle(theta: np.ndarray) -> float:
    return _observed(oracle_path(theta, np.asarray(START), T0, T1))


OBSERVED_TORCH: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda z: z[0] * z[1],
    lambda z: torch.cos(z[0]),
    lambda z: z[1] ** 2,
)


@verifies(
    "neural_ode:observations",
    tex=r"L = \sum_{i=1}^{N} L_i\bigl(z(t_i)\bigr)",
    tolerance=1e-8,
    wrong={"with the last observation only": {"last_only": True}},
    kind="definition",
)
def observations(device: torch.device, last_only: bool = False) -> float:
    """Compare the library's sum over observations with the oracle's."""
    path = odeint(Swirl(device), tensor(START, device), times(device, T0, *SEEN), **TIGHT)[1:]
    terms = [loss(z) for loss, z in zip(OBSERVED_TORCH, path, strict=True)]
    return gap(terms[-1] if last_only else torch.stack(terms).sum(), _observed_oracle(np.asarray(THETA)))


@verifies(
    "neural_ode:jumps",
    tex=r"""\begin{aligned}
    a(t_N^+) &= 0, \qquad a(t_i^-) = a(t_i^+) + \frac{\partial L_i}{\partial z(t_i)}, \\
    \dot a &= -a\,\frac{\partial f}{\partial z} \quad \text{in between}
    \end{aligned}""",
    tolerance=1e-7,
    wrong={
        "with a set to the new slope instead, as the post may be read": {"keep": 0.0},
        "with the last observation only": {"jump": 0.0},
    },
)
def jumps(device: torch.device, keep: float = 1.0, jump: float = 1.0) -> float:
    """Compare the gradient through adding, setting or leaving out the jumps with differences."""
    theta = tensor(THETA, device)
    path = odeint(Swirl(device), tensor(START, device), times(device, T0, *SEEN), **TIGHT)[1:].detach()
    at_times = [slopes(loss, z)[0] for loss, z in zip(OBSERVED_TORCH, path, strict=True)]

    def augmented(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        z, a, _ = state
        fz, ftheta = jacobians(t, z, theta)
        return velocity(t, z, theta), -a @ fz, -a @ ftheta

    a, g, bounds = at_times[-1], torch.zeros_like(theta), (*SEEN[::-1], T0)
    for i in (2, 1, 0):
        solved = odeint(augmented, (path[i], a, g), times(device, bounds[2 - i], bounds[3 - i]), **TIGHT)
        a, g = solved[1][-1], solved[2][-1]
        a = keep * a + jump * at_times[i - 1] if i else a
    return gap(g, differences(_observed_oracle, THETA))
