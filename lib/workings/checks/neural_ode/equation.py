"""The equation, its adjoint, and the gradients that the adjoint gives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import cos, sin

import numpy as np
import torch
from numpy.polynomial import Chebyshev
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
    numpy_velocity,
    oracle_path,
    slopes,
    tensor,
    terminal,
    terminal_torch,
    times,
    velocity,
)
from workings.neural_ode import loss_gradient, odeint


@verifies(
    "neural_ode:residual",
    tex=r"z_{n+1} = z_n + h\,f(z_n, t_n, \theta)",
    tolerance=1e-13,
    wrong={"with a step of twice the size": {"scale": 2.0}, "with f taken at the end of the step": {"late": 1}},
    kind="definition",
)
def residual_step(device: torch.device, scale: float = 1.0, late: int = 0) -> float:
    """Compare a loop of residual updates with ``odeint(method="euler")``."""
    theta, steps = np.asarray(THETA), 7
    z, h = np.asarray(START), (T1 - T0) / steps
    for n in range(steps):
        z = z + scale * h * np.asarray(numpy_velocity(T0 + (n + late) * h, z, theta))
    options = {"step_size": h * (1 + 1e-12)}
    ours = odeint(Swirl(device), tensor(START, device), times(device), method="euler", options=options)[-1]
    return gap(ours, z)


@verifies(
    "neural_ode:ode",
    tex=r"\frac{\mathrm{d}z}{\mathrm{d}t} = f(z(t), t, \theta), \qquad z(t_0) = z_0",
    tolerance=1e-8,
    wrong={"with time reversed": {"direction": -1.0}},
)
def initial_value_problem(device: torch.device, direction: float = 1.0) -> float:
    """Compare the state at the end with an independent solver's."""

    def field(t: Tensor, z: Tensor) -> Tensor:
        return direction * velocity(t, z, tensor(THETA, device))

    ours = odeint(field, tensor(START, device), times(device), **TIGHT)[-1]
    return gap(ours, end_of(np.asarray(THETA), np.asarray(START)))


@verifies(
    "neural_ode:terminal",
    tex=r"L\bigl(z(t_1)\bigr) = L\Bigl(z(t_0) + \int_{t_0}^{t_1} f(z, t, \theta)\,\mathrm{d}t\Bigr)",
    tolerance=1e-8,
    wrong={"as printed in the post, without the initial state": {"with_start": 0.0}},
)
def terminal_loss(device: torch.device, with_start: float = 1.0) -> float:
    """Compare the loss at the solved end with the loss at the start plus a quadrature of the field along the path."""
    path = oracle_path(np.asarray(THETA), np.asarray(START), T0, T1)
    moved = [
        quad(lambda t, i=i: numpy_velocity(t, path(t), np.asarray(THETA))[i], T0, T1, epsabs=1e-11)[0] for i in (0, 1)
    ]
    end = with_start * np.asarray(START) + np.asarray(moved)
    ours = odeint(Swirl(device), tensor(START, device), times(device), **TIGHT)[-1]
    return gap(terminal_torch(ours), terminal(end))


@verifies(
    "neural_ode:parts",
    tex=r"""\begin{aligned}
    \int_{t_0}^{t_1} a\,(\dot z - f)\,\mathrm{d}t ={}& a(t_1)\,z(t_1) - a(t_0)\,z(t_0) \\
    &- \int_{t_0}^{t_1} (\dot a\,z + a f)\,\mathrm{d}t
    \end{aligned}""",
    tolerance=1e-9,
    wrong={"with the sign of the integral flipped": {"sign": -1.0}, "without the term at the start": {"start": 0.0}},
    kind="derivation",
)
def by_parts(device: torch.device, sign: float = 1.0, start: float = 1.0) -> float:
    """Compare both sides by quadrature on a path that is not a solution, with an arbitrary multiplier."""
    theta = np.asarray(THETA)

    def path(t: float) -> tuple[np.ndarray, np.ndarray]:
        return np.array([cos(2 * t), t * t]), np.array([-2 * sin(2 * t), 2 * t])

    def multiplier(t: float) -> tuple[np.ndarray, np.ndarray]:
        return np.array([sin(3 * t), 1 + t * t]), np.array([3 * cos(3 * t), 2 * t])

    def left(t: float) -> float:
        z, dz = path(t)
        return float(multiplier(t)[0] @ (dz - numpy_velocity(t, z, theta)))

    def right(t: float) -> float:
        (z, _), (a, da) = path(t), multiplier(t)
        return float(da @ z + a @ np.asarray(numpy_velocity(t, z, theta)))

    ends = [float(multiplier(t)[0] @ path(t)[0]) for t in (T1, T0)]
    inside = float(quad(right, T0, T1, epsabs=1e-12)[0])
    return abs(float(quad(left, T0, T1, epsabs=1e-12)[0]) - (ends[0] - start * ends[1] - sign * inside))


@verifies(
    "neural_ode:lagrangian",
    tex=r"\psi = L\bigl(z(t_1)\bigr) - \int_{t_0}^{t_1} a\,\bigl(\dot z - f(z, t, \theta)\bigr)\,\mathrm{d}t",
    tolerance=1e-7,
    wrong={"as printed in the post, with z in place of its derivative": {"speed": 0.0}},
    kind="derivation",
)
def lagrangian(device: torch.device, speed: float = 1.0) -> float:
    """Differentiate ψ with an arbitrary multiplier by differences, ż by interpolation: it is the gradient of L."""

    def coordinate(path: Callable[[float], np.ndarray], i: int, t: float) -> np.ndarray:
        return np.asarray(path(t)[i])

    def psi(theta: np.ndarray, speed: float) -> float:
        path = oracle_path(theta, np.asarray(START), T0, T1)
        curves = [Chebyshev.interpolate(partial(coordinate, path, i), 40, (T0, T1)) for i in (0, 1)]
        slopes = [curve.deriv() for curve in curves]

        def constraint(t: float) -> float:
            z, dz = (np.array([c(t) for c in cs]) for cs in (curves, slopes))
            a = np.array([sin(3 * t), 1 + t * t])
            return float(a @ (speed * dz + (1 - speed) * z - np.asarray(numpy_velocity(t, z, theta))))

        return terminal(path(T1)) - float(quad(constraint, T0, T1, epsabs=1e-12)[0])

    true = differences(lambda theta: terminal(end_of(theta, np.asarray(START))), THETA)
    return gap(differences(lambda theta: psi(theta, speed), THETA), true)


@verifies(
    "neural_ode:variation",
    tex=r"""\begin{aligned}
    \frac{\mathrm{d}\psi}{\mathrm{d}\theta} ={}& \Bigl[\frac{\partial L}{\partial z(t_1)} - a(t_1)\Bigr]
    \frac{\mathrm{d}z(t_1)}{\mathrm{d}\theta} \\
    &+ a(t_0)\,\frac{\mathrm{d}z(t_0)}{\mathrm{d}\theta} \\
    &+ \int_{t_0}^{t_1} \Bigl(\dot a + a\,\frac{\partial f}{\partial z}\Bigr)
    \frac{\mathrm{d}z}{\mathrm{d}\theta}\,\mathrm{d}t \\
    &+ \int_{t_0}^{t_1} a\,\frac{\partial f}{\partial\theta}\,\mathrm{d}t
    \end{aligned}""",
    tolerance=1e-6,
    wrong={
        "without the initial state's dependence, as printed in the post": {"start": 0.0},
        "with the sign of a ∂f/∂z flipped": {"sign": -1.0},
    },
    kind="derivation",
)
def variation(device: torch.device, start: float = 1.0, sign: float = 1.0) -> float:
    """Evaluate every term with an arbitrary multiplier and forward sensitivities; z(t₀) = (θ₁, θ₂) moves with θ."""
    theta, eye = tensor(THETA, device), torch.eye(2, 3, dtype=torch.float64, device=device)

    def multiplier(t: Tensor) -> Tensor:
        return torch.stack((torch.sin(3 * t), 1 + t * t))

    def sensitivities(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        z, dz, _ = state
        fz, ftheta = jacobians(t, z, theta)
        slope = torch.stack((3 * torch.cos(3 * t), 2 * t))
        return (
            velocity(t, z, theta),
            fz @ dz + ftheta,
            (slope + sign * multiplier(t) @ fz) @ dz + multiplier(t) @ ftheta,
        )

    first = (theta[:2], eye, torch.zeros(3, dtype=torch.float64, device=device))
    z, dz, integral = (x[-1] for x in odeint(sensitivities, first, times(device), **TIGHT))
    slope = slopes(terminal_torch, z)[0]
    t0, t1 = times(device)
    ours = (slope - multiplier(t1)) @ dz + start * multiplier(t0) @ eye + integral
    return gap(ours, differences(lambda p: terminal(end_of(p, p[:2])), THETA))


def _reverse(device: torch.device, sign: float = 1.0, frozen: bool = False) -> tuple[Tensor, Tensor]:
    """Solve [z, a, ∫a ∂f/∂θ] from t₁ back to t₀; return a(t₀) and the integral from t₀ to t₁."""
    theta = tensor(THETA, device)
    end = tensor(end_of(np.asarray(THETA), np.asarray(START)), device)

    def augmented(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        z, a, _ = state
        fz, ftheta = jacobians(t, end if frozen else z, theta)
        return velocity(t, z, theta), -sign * a @ fz, -a @ ftheta

    last = (end, slopes(terminal_torch, end)[0], torch.zeros(3, dtype=torch.float64, device=device))
    _, a, g = odeint(augmented, last, times(device, T1, T0), **TIGHT)
    return a[-1], g[-1]


@verifies(
    "neural_ode:adjoint",
    tex=r"\dot a(t) = -a(t)\,\frac{\partial f}{\partial z}, \qquad a(t_1) = \frac{\partial L}{\partial z(t_1)}",
    tolerance=1e-7,
    wrong={"with the sign flipped": {"sign": -1.0}, "with the state frozen at its end": {"frozen": True}},
)
def adjoint_at_start(device: torch.device, sign: float = 1.0, frozen: bool = False) -> float:
    """Compare a(t₀) with differences of the loss in the initial state."""
    true = differences(lambda z: terminal(end_of(np.asarray(THETA), z)), START)
    return gap(_reverse(device, sign, frozen)[0], true)


@verifies(
    "neural_ode:gradient",
    tex=r"""\frac{\mathrm{d}L}{\mathrm{d}\theta} = a(t_0)\,\frac{\mathrm{d}z(t_0)}{\mathrm{d}\theta}
    + \int_{t_0}^{t_1} a(t)\,\frac{\partial f}{\partial\theta}\,\mathrm{d}t""",
    tolerance=1e-7,
    wrong={"with the sign of the integral flipped": {"sign": -1.0}, "without the initial state's term": {"start": 0.0}},
)
def parameter_gradient(device: torch.device, sign: float = 1.0, start: float = 1.0) -> float:
    """Compare with differences in θ when the initial state is (θ₁ − 0.1, θ₂ − 1.8) and so moves with θ."""
    a, integral = _reverse(device)
    ours = torch.cat((start * a, torch.zeros(1, dtype=torch.float64, device=device))) + sign * integral
    offset = np.asarray(START) - np.asarray(THETA[:2])
    return gap(ours, differences(lambda p: terminal(end_of(p, p[:2] + offset)), THETA))


@verifies(
    "neural_ode:times",
    tex=r"""\begin{aligned}
    \frac{\mathrm{d}L}{\mathrm{d}t_1} &= a(t_1)\,f(z(t_1), t_1, \theta), \\
    \frac{\mathrm{d}L}{\mathrm{d}t_0} &= -a(t_0)\,f(z(t_0), t_0, \theta)
    \end{aligned}""",
    tolerance=1e-7,
    wrong={"with the sign at the start flipped": {"sign": 1.0}},
)
def time_gradients(device: torch.device, sign: float = -1.0) -> float:
    """Compare with differences in the two times."""
    theta, start = np.asarray(THETA), np.asarray(START)
    true = differences(lambda t: terminal(end_of(theta, start, t[0], t[1])), (T0, T1))
    end, t = tensor(end_of(theta, start), device), times(device)
    a, field = _reverse(device)[0], Swirl(device)
    ours = (sign * a @ field(t[0], tensor(START, device)), slopes(terminal_torch, end)[0] @ field(t[1], end))
    return gap(torch.stack(ours), true)


@verifies(
    "neural_ode:augmented",
    tex=r"""\begin{aligned}
    \dot z &= f, \\
    \dot a &= -a\,\frac{\partial f}{\partial z}, & a(t_1) &= \frac{\partial L}{\partial z(t_1)}, \\
    \dot g &= -a\,\frac{\partial f}{\partial\theta}, & g(t_1) &= 0
    \end{aligned}""",
    tolerance=1e-7,
    wrong={"read off forward in time": {"sign": -1.0}},
    kind="definition",
)
def augmented_system(device: torch.device, sign: float = 1.0) -> float:
    """Compare the library's reverse solve with differences."""
    ours = loss_gradient(Swirl(device), tensor(START, device), times(device), terminal=terminal_torch, **TIGHT)
    true = differences(lambda p: terminal(end_of(p, np.asarray(START))), THETA)
    return gap(sign * ours.params[0], true)
