"""Gradient descent seen from the outputs."""

from __future__ import annotations

import numpy as np
import torch
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from workings.book.ledger import verifies
from workings.checks.spectral_bias.oracle import Linear, Y, largest, tensor
from workings.spectral_bias import KernelDynamics, psnr

TIME = 0.7


@verifies(
    "spectral_bias:flow",
    tex=r"\frac{\mathrm{d}f_t(x)}{\mathrm{d}t} = -\sum_{i=1}^n \Theta(x, x_i)\,\bigl(f_t(x_i) - y_i\bigr)",
    tolerance=1e-6,
    wrong={"for the sum without the half": {"rate": 2.0}, "with the sign lost": {"rate": -1.0}},
)
def gradient_flow(device: torch.device, rate: float = 1.0) -> float:
    """Train a linear model in its parameters by an ODE solver; integrate the equation in its outputs; compare."""
    model = Linear()

    def in_parameters(_: float, w: np.ndarray) -> np.ndarray:
        slope: np.ndarray = -model.of_x.T @ (model.of_x @ w - Y)
        return slope

    tight = {"rtol": 1e-10, "atol": 1e-12}
    w = solve_ivp(in_parameters, (0, TIME), model.w, **tight).y[:, -1]
    start = np.r_[model.of_x @ model.w, model.of_test @ model.w]
    rows = np.r_[model.kernel, model.cross]
    outputs = solve_ivp(lambda _, f: -rate * rows @ (f[: len(Y)] - Y), (0, TIME), start, **tight).y[:, -1]
    return largest(tensor(outputs - np.r_[model.of_x @ w, model.of_test @ w], device))


@verifies(
    "spectral_bias:solution",
    tex=r"""\begin{aligned}
    f_t(x) &= f_0(x) + \Theta_x\,\varphi_t(\Theta)\,(y - f_0), \\
    \varphi_t(\lambda) &= \frac{1 - e^{-\lambda t}}{\lambda}, \qquad \varphi_t(0) = t
    \end{aligned}""",
    tolerance=1e-8,
    wrong={"without what the network said first": {"start": False}, "at twice the rate": {"rate": 2.0}},
)
def solution(device: torch.device, start: bool = True, rate: float = 1.0) -> float:
    """Take many small steps, extrapolate to none: for a kernel of rank 4 between 6 points."""
    ends = []
    for steps in (2000, 4000, 8000):
        model = Linear()
        model.descend(steps, TIME / steps)
        ends.append(model.of_test @ model.w)
    once = [2 * ends[1] - ends[0], 2 * ends[2] - ends[1]]
    true, model = (4 * once[1] - once[0]) / 3, Linear()
    f0, g0 = (tensor(points @ model.w, device) for points in (model.of_x, model.of_test))
    dynamics = KernelDynamics(tensor(model.kernel, device), tensor(Y, device), f0 if start else None)
    ours = dynamics.flow(rate * TIME, tensor(model.cross, device), g0 if start else None)
    return largest(ours.cpu().numpy() - true)


@verifies(
    "spectral_bias:decay",
    tex=r"Q^\top\bigl(f_t - y\bigr) = e^{-\Lambda t}\,Q^\top\bigl(f_0 - y\bigr)",
    tolerance=1e-10,
    wrong={"with the sign of the exponent lost": {"sign": 1.0}, "with one rate for all": {"one": True}},
)
def decay(device: torch.device, sign: float = -1.0, one: bool = False) -> float:
    """Turn SciPy's matrix exponential into the eigenbasis, and the library's outputs."""
    model = Linear()
    values, q = np.linalg.eigh(model.kernel)
    error = model.of_x @ model.w - Y
    true = q.T @ expm(-model.kernel * TIME) @ error
    factors = np.exp(sign * (values.mean() if one else values) * TIME)
    dynamics = KernelDynamics(tensor(model.kernel, device), tensor(Y, device), tensor(model.of_x @ model.w, device))
    ours = dynamics.flow(TIME).cpu().numpy() - Y
    return largest(factors * (q.T @ error) - true, q.T @ ours - true)


@verifies(
    "spectral_bias:steps",
    tex=r"Q^\top\bigl(f^{(k)} - y\bigr) = (1 - \eta\Lambda)^k\,Q^\top\bigl(f^{(0)} - y\bigr)",
    tolerance=1e-10,
    wrong={"with the exponential": {"exponential": True}, "for the mean over the points": {"mean": True}},
)
def steps(device: torch.device, exponential: bool = False, mean: bool = False) -> float:
    """Sixty steps of gradient descent on a linear model, against the powers and the library."""
    model, eta, k = Linear(), 0.05, 60
    start, test = model.of_x @ model.w, model.of_test @ model.w
    values, q = np.linalg.eigh(model.kernel)
    dynamics = KernelDynamics(
        tensor(model.kernel, device), tensor(Y, device), tensor(start, device), loss="half-mean" if mean else "half-sum"
    )
    ours = dynamics.descent(k, eta).cpu().numpy()
    away = dynamics.descent(k, eta, tensor(model.cross, device), tensor(test, device)).cpu().numpy()
    model.descend(k, eta)
    factors = np.exp(-eta * k * values) if exponential else (1 - eta * values) ** k
    return largest(
        factors * (q.T @ (start - Y)) - q.T @ (model.of_x @ model.w - Y),
        ours - model.of_x @ model.w, away - model.of_test @ model.w,
    )  # fmt: skip


@verifies(
    "spectral_bias:restarted",
    tex=r"\tilde f_k - y = e^{-\Theta\,\eta k / n}\,\bigl(f^{(k)} - y\bigr)",
    tolerance=1e-10,
    wrong={"from the start, at the pace of the sum": {"restarted": False}},
    kind="definition",
)
def restarted(device: torch.device, restarted: bool = True) -> float:
    """From the outputs after k steps the library's mean-loss dynamics, against SciPy's matrix exponential."""
    model, eta, k = Linear(), 0.02, 30
    start = model.of_x @ model.w
    model.descend(k, eta)
    now = model.of_x @ model.w
    true = Y + expm(-model.kernel * eta * k / len(Y)) @ (now - Y)
    kernel, y = tensor(model.kernel, device), tensor(Y, device)
    if restarted:
        ours = KernelDynamics(kernel, y, tensor(now, device), loss="half-mean").flow(eta * k)
    else:
        ours = KernelDynamics(kernel, y, tensor(start, device)).flow(eta * k)
    return largest(ours.cpu().numpy() - true)


@verifies(
    "spectral_bias:psnr",
    tex=r"\mathrm{PSNR} = -10 \log_{10} \frac{1}{n} \sum_i \bigl(f(x_i) - y_i\bigr)^2",
    tolerance=1e-6,
    wrong={"with the root": {"factor": 20.0}, "in nats": {"base": np.e}},
    kind="definition",
)
def decibels(device: torch.device, factor: float = 10.0, base: float = 10.0) -> float:
    """Against NumPy, for eight numbers."""
    rng = np.random.default_rng(1)
    a, b = rng.uniform(size=(2, 8))
    return float(
        abs(psnr(tensor(a, device), tensor(b, device)) + factor * np.log(np.mean((a - b) ** 2)) / np.log(base))
    )
