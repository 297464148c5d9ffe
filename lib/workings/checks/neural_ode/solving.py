"""A solver's step, its own adjoint, and what a reverse solve does to errors."""

from __future__ import annotations

from math import exp

import numpy as np
import torch
from torch import Tensor

from workings.book.ledger import verifies
from workings.checks.neural_ode.oracle import (
    START,
    T0,
    T1,
    THETA,
    TIGHT,
    Swirl,
    gap,
    jacobians,
    numpy_velocity,
    slopes,
    tensor,
    terminal_torch,
    times,
    velocity,
)
from workings.neural_ode import METHODS, odeint


@verifies(
    "neural_ode:step",
    tex=r"""\begin{aligned}
    Z_i &= z_n + h \sum_{j<i} a_{ij}\,k_j, \\
    k_i &= f(Z_i, t_n + c_i h, \theta), \\
    z_{n+1} &= z_n + h \sum_i b_i\,k_i
    \end{aligned}""",
    tolerance=1e-13,
    wrong={"with the stages weighted equally": {"equal": True}},
    kind="definition",
)
def runge_kutta_step(device: torch.device, equal: bool = False) -> float:
    """Compare one step by the tableau, written out in NumPy, with ``odeint(method="rk4")``."""
    z, h, tableau = np.asarray(START), T1 - T0, METHODS["rk4"]
    k: list[np.ndarray] = []
    for row, c in zip(tableau.a, tableau.c, strict=True):
        stage = z + h * sum((float(w) * slope for w, slope in zip(row, k, strict=False)), np.zeros(2))
        k.append(np.asarray(numpy_velocity(T0 + float(c) * h, stage, np.asarray(THETA))))
    b = [0.25] * 4 if equal else [float(w) for w in tableau.b]
    end = z + h * sum((w * slope for w, slope in zip(b, k, strict=True)), np.zeros(2))
    return gap(odeint(Swirl(device), tensor(START, device), times(device), method="rk4")[-1], end)


@verifies(
    "neural_ode:discrete",
    tex=r"""\begin{aligned}
    \bar k_i &= h\Bigl(b_i\,\bar z_{n+1}
    + \sum_{j>i} a_{ji}\,\bar k_j\,\frac{\partial f}{\partial z}\Big|_{Z_j}\Bigr), \\
    \bar z_n &= \bar z_{n+1} + \sum_i \bar k_i\,\frac{\partial f}{\partial z}\Big|_{Z_i}, \\
    \frac{\mathrm{d}L}{\mathrm{d}\theta} &= \sum_n \sum_i \bar k_i\,\frac{\partial f}{\partial\theta}\Big|_{Z_i}
    \end{aligned}""",
    tolerance=1e-12,
    wrong={"with the tableau not transposed": {"transposed": False}, "without the factor b": {"weighted": False}},
)
def discrete_adjoint(device: torch.device, transposed: bool = True, weighted: bool = True) -> float:
    """Run the recursion for three steps of rk4 with exact Jacobians; compare with backpropagation."""
    theta, tableau, steps = tensor(THETA, device), METHODS["rk4"], 3
    h = (T1 - T0) / steps
    rows = [[float(w) for w in row] + [0.0] * (4 - len(row)) for row in tableau.a]
    z, kept = tensor(START, device), []
    for n in range(steps):
        k: list[Tensor] = []
        for i, c in enumerate(tableau.c):
            stage = z + h * sum((w * slope for w, slope in zip(rows[i], k, strict=False)), torch.zeros_like(z))
            t = torch.tensor(T0 + (n + float(c)) * h, dtype=torch.float64, device=device)
            kept.append(jacobians(t, stage, theta))
            k.append(velocity(t, stage, theta))
        z = z + h * sum((float(w) * slope for w, slope in zip(tableau.b, k, strict=True)), torch.zeros_like(z))
    bar, g = slopes(terminal_torch, z)[0], torch.zeros_like(theta)
    for n in reversed(range(steps)):
        pulled: dict[int, Tensor] = {}
        for i in reversed(range(4)):
            bk = h * ((float(tableau.b[i]) if weighted else 0.25) * bar)
            for j in range(i + 1, 4):
                bk = bk + h * (rows[j][i] if transposed else rows[i][j]) * pulled[j]
            fz, ftheta = kept[4 * n + i]
            pulled[i], g = bk @ fz, g + bk @ ftheta
        bar = bar + torch.stack(list(pulled.values())).sum(0)
    field = Swirl(device)
    options = {"step_size": h * (1 + 1e-12)}
    end = odeint(field, tensor(START, device), times(device), method="rk4", options=options)[-1]
    return gap(g, torch.autograd.grad(terminal_torch(end), field.theta)[0])


@verifies(
    "neural_ode:decay-gradient",
    tex=r"""\begin{aligned}
    L = \int_0^1 z^2\,\mathrm{d}t &= \frac{1 - e^{-2\lambda}}{2\lambda}, \\
    \frac{\mathrm{d}L}{\mathrm{d}\lambda} &= \frac{e^{-2\lambda}}{\lambda} - \frac{1 - e^{-2\lambda}}{2\lambda^2}
    \end{aligned}""",
    tolerance=1e-7,
    wrong={"with the sign of the second term flipped": {"sign": 1.0}, "without the factor 2": {"two": 1.0}},
)
def decay_gradient(device: torch.device, sign: float = -1.0, two: float = 2.0) -> float:
    """Compare the closed form with the exact gradient of the computed solution of ż = −λz."""
    rate = torch.tensor(3.0, dtype=torch.float64, device=device, requires_grad=True)
    z0 = torch.ones(1, dtype=torch.float64, device=device)

    def field(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return -rate * state[0], state[0] ** 2

    value = odeint(field, (z0, torch.zeros_like(z0)), times(device, 0.0, 1.0), **TIGHT)[1][-1]
    slope = torch.autograd.grad(value.sum(), rate)[0]
    true = exp(-6.0) / 3.0 + sign * (1 - exp(-6.0)) / (two * 9.0)
    return max(gap(slope, true), gap(value, (1 - exp(-6.0)) / 6.0))


@verifies(
    "neural_ode:growth",
    tex=r"z(0) \mapsto z(0) + \delta\,e^{\lambda T}",
    tolerance=1e-6,
    wrong={"with the error damped as the state is": {"sign": -1.0}},
    kind="derivation",
)
def reconstruction_growth(device: torch.device, sign: float = 1.0) -> float:
    """Perturb z(T) by δ and solve ż = −λz backwards: the error at 0, as a fraction of the formula."""
    rate, delta = 6.0, 1e-3
    end = torch.tensor([exp(-rate)], dtype=torch.float64, device=device)

    def back(start: Tensor) -> Tensor:
        path: Tensor = odeint(lambda t, z: -rate * z, start, times(device, 1.0, 0.0), **TIGHT)
        return path[-1]

    return gap((back(end + delta) - back(end)) / (delta * exp(sign * rate)), 1.0)
