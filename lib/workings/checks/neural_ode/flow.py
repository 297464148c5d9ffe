"""The density that a flow carries along."""

from __future__ import annotations

from functools import partial
from math import exp, log, pi

import numpy as np
import torch
from torch import Tensor

from workings.book.ledger import verifies
from workings.checks.neural_ode.oracle import (
    START,
    THETA,
    TIGHT,
    differences,
    end_of,
    gap,
    jacobians,
    tensor,
    times,
    velocity,
)
from workings.neural_ode import ContinuousFlow, MLPField, odeint
from workings.neural_ode.examples import Scale


@verifies(
    "neural_ode:density",
    tex=r"\frac{\mathrm{d}\log p(z(t))}{\mathrm{d}t} = -\operatorname{tr}\frac{\partial f}{\partial z}",
    tolerance=1e-7,
    wrong={"with the sign flipped": {"sign": 1.0}},
)
def change_of_variables(device: torch.device, sign: float = -1.0) -> float:
    """Compare −∫tr along a path with minus the log-determinant of the flow map, by differences."""
    theta, start = np.asarray(THETA), np.asarray(START)

    def end(i: int, z: np.ndarray) -> float:
        return float(end_of(theta, z)[i])

    jacobian = np.stack([differences(partial(end, i), START) for i in (0, 1)])

    def field(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        z, _ = state
        fz, _ = jacobians(t, z, tensor(THETA, device))
        return velocity(t, z, tensor(THETA, device)), sign * torch.trace(fz)[None]

    zero = torch.zeros(1, dtype=torch.float64, device=device)
    change = odeint(field, (tensor(start, device), zero), times(device), **TIGHT)[1][-1]
    return gap(change, -log(np.linalg.det(jacobian)))


@verifies(
    "neural_ode:likelihood",
    tex=r"""\begin{aligned}
    L = -\,\mathbb{E}_{z(1)\,\sim\,\text{data}}\Bigl[&\log\mu\bigl(z(0)\bigr) \\
    &- \int_0^1 \operatorname{tr}\frac{\partial f}{\partial z}\,\mathrm{d}t\Bigr]
    \end{aligned}""",
    tolerance=1e-7,
    wrong={"as printed in the post, with a plus": {"sign": 1.0}},
)
def likelihood(device: torch.device, sign: float = -1.0) -> float:
    """Compare the library's gradient of the negative log-likelihood of a Gaussian with the formula's closed form."""
    field, x = Scale(0.5).to(device), 1.3
    flow = ContinuousFlow(field, dim=1, trace="exact", gradient="discrete", **TIGHT)
    nll = -flow.log_prob(torch.tensor([[x]], dtype=torch.float64, device=device)).sum()
    ours = torch.autograd.grad(nll, field.alpha)[0]

    def formula(alpha: float) -> float:
        base = -0.5 * (x * exp(-alpha)) ** 2 - 0.5 * log(2 * pi)
        return -(base + sign * alpha)

    return gap(ours, differences(lambda p: formula(float(p[0])), (0.5,)))


@verifies(
    "neural_ode:trace",
    tex=r"""\begin{aligned}
    f &= W_3\,\sigma(W_2\,\sigma(W_1 z)), \\
    \operatorname{tr}\frac{\partial f}{\partial z} &= d_2^\top\,\bigl(W_2 \circ (W_1 W_3)^\top\bigr)\,d_1
    \end{aligned}""",
    tolerance=1e-12,
    wrong={"without the transpose": {"transpose": False}},
)
def closed_trace(device: torch.device, transpose: bool = True) -> float:
    """Compare the formula with the trace of a Jacobian by automatic differentiation."""
    generator = torch.Generator().manual_seed(3)
    w1, w2, w3 = (
        torch.randn(shape, dtype=torch.float64, generator=generator).to(device) for shape in ((6, 3), (6, 6), (3, 6))
    )
    z = torch.randn(3, dtype=torch.float64, generator=generator).to(device)

    def field(z: Tensor) -> Tensor:
        return w3 @ torch.tanh(w2 @ torch.tanh(w1 @ z))

    hidden = torch.tanh(w1 @ z)
    d1, d2 = 1 - hidden**2, 1 - torch.tanh(w2 @ hidden) ** 2
    around = (w1 @ w3).T if transpose else w1 @ w3
    return gap(d2 @ (w2 * around) @ d1, torch.trace(torch.autograd.functional.jacobian(field, z)))


@verifies(
    "neural_ode:trace",
    tex=r"""\begin{aligned}
    f &= W_3\,\sigma(W_2\,\sigma(W_1 z)), \\
    \operatorname{tr}\frac{\partial f}{\partial z} &= d_2^\top\,\bigl(W_2 \circ (W_1 W_3)^\top\bigr)\,d_1
    \end{aligned}""",
    tolerance=1e-12,
    wrong={"with the sign flipped": {"sign": -1.0}},
    kind="definition",
)
def field_trace(device: torch.device, sign: float = 1.0) -> float:
    """Compare the library's closed-form divergence of an ``MLPField`` with automatic differentiation."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        field = MLPField(3, hidden=(8, 8)).double().to(device)
        z = torch.randn(5, 3, dtype=torch.float64).to(device)
    t = torch.tensor(0.3, dtype=torch.float64, device=device)
    true = torch.stack([torch.trace(torch.autograd.functional.jacobian(partial(field, t), row)) for row in z])
    return gap(sign * field.divergence(t, z)[1], true)


@verifies(
    "neural_ode:hutchinson",
    tex=r"""\operatorname{tr}\frac{\partial f}{\partial z}
    = \mathbb{E}\Bigl[\varepsilon^\top \frac{\partial f}{\partial z}\,\varepsilon\Bigr],
    \quad \mathbb{E}[\varepsilon\varepsilon^\top] = I""",
    tolerance=1e-12,
    wrong={"with noise of variance 1/3": {"half_width": 1.0}},
)
def hutchinson(device: torch.device, half_width: float = 3**0.5) -> float:
    """Take the expectation exactly, over the nodes of a quadrature for noise uniform on ±√3 (variance one)."""
    generator = torch.Generator().manual_seed(5)
    jacobian = torch.randn(2, 2, dtype=torch.float64, generator=generator).to(device)
    nodes, weights = np.polynomial.legendre.leggauss(4)
    points, masses = tensor(half_width * nodes, device), tensor(weights / 2, device)
    noise = torch.cartesian_prod(points, points)
    mass = torch.cartesian_prod(masses, masses).prod(-1)
    mean = (mass * torch.einsum("ni,ij,nj->n", noise, jacobian, noise)).sum()
    return gap(mean, torch.trace(jacobian))
