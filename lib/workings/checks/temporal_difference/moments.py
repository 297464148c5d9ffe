"""Exact moments of what a walk does to the weights, and of the weights, by enumerating walks."""

from __future__ import annotations

import numpy as np
import torch

from workings.book.ledger import verifies
from workings.checks.temporal_difference.oracle import chain, enumerated, largest, tensor
from workings.temporal_difference import (
    Sequences,
    affine_form,
    mean_square_error,
    one_pass,
    random_walk,
    rms_error,
    update_moments,
    weight_moments,
)

LAM, ALPHA = 0.6, 0.15


def walk_matrix(path: list[int], z: float, x: np.ndarray, lam: float = LAM) -> np.ndarray:
    """Return C = [-A b] of a walk by the double sum."""
    rows = np.concatenate((x[path], np.zeros((len(path), 1))), 1)
    delta = np.diff(np.concatenate((rows, [[*np.zeros(x.shape[1]), z]])), axis=0)
    faded = np.tril(lam ** np.subtract.outer(np.arange(len(path)), np.arange(len(path))).clip(0))
    found: np.ndarray = (faded @ x[path]).T @ delta
    return found


def matrices(longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return C of all walks up to a length, and their probabilities."""
    x = chain(torch.device("cpu")).x.numpy()
    found = [(walk_matrix(path, z, x), chance) for path, z, chance in enumerated(longest)]
    return np.array([c for c, _ in found]), np.array([p for _, p in found])


@verifies(
    "temporal_difference:expected",
    tex=r"""\begin{aligned}
    \mathbb{E}[A] &= X^\top D\,(I - \lambda Q)^{-1} (I - Q)\,X, \\
    \mathbb{E}[b] &= X^\top D\,(I - \lambda Q)^{-1} R\,z
    \end{aligned}""",
    tolerance=1e-5,
    wrong={"without λ": {"lam": 0.0}, "without the visits": {"weighted": False}},
)
def expected(device: torch.device, lam: float = LAM, weighted: bool = True) -> float:
    """Average A and b over all walks of up to twenty steps."""
    every, chance = matrices(20)
    mean = np.einsum("w,wij->ij", chance, every)
    skewed = chain(device)
    q, r, z, x = (v.cpu().numpy() for v in (skewed.Q, skewed.R, skewed.z, skewed.x))
    d = np.diag(skewed.visits().cpu().numpy()) if weighted else np.eye(3)
    spread = x.T @ d @ np.linalg.inv(np.eye(3) - lam * q)
    ours = skewed.mean_update(lam)
    off = [spread @ (np.eye(3) - q) @ x + mean[:, :2], spread @ r @ z - mean[:, 2]]
    return largest(*off, ours[0].cpu().numpy() + mean[:, :2], ours[1].cpu().numpy() - mean[:, 2])


@verifies(
    "temporal_difference:backwards",
    tex=r"g_t = \delta_t + \lambda\,g_{t+1}, \qquad C_t = C_{t+1} + x_t\,g_t^\top",
    tolerance=1e-12,
    wrong={"with what follows not faded": {"lam": 1.0}, "with δ for g": {"plain": True}},
)
def recursion(device: torch.device, lam: float = LAM, plain: bool = False) -> float:
    """Read a walk backwards; compare with the sum over traces."""
    x, path, z = chain(device).x.cpu().numpy(), [1, 2, 1, 1, 0, 1, 2], 0.8
    g, c, after = np.zeros(3), np.zeros((2, 3)), np.array([0.0, 0.0, z])
    for state in path[::-1]:
        now = np.append(x[state], 0.0)
        g, delta, after = after - now + lam * g, after - now, now
        c += np.outer(x[state], delta if plain else g)
    return largest(tensor(c - walk_matrix(path, z, x), device))


@verifies(
    "temporal_difference:moments",
    tex=r"""\begin{aligned}
    S &\leftarrow \mathbb{E}\bigl[M S M^\top\bigr], \\
    M &= I + \alpha \begin{bmatrix} C \\ 0 \end{bmatrix}
    \end{aligned}""",
    tolerance=1e-4,
    wrong={"with the mean of M for M": {"mean": True}, "without the start": {"start": 0.0}},
)
def second_moments(device: torch.device, mean: bool = False, start: float = 0.5) -> float:
    """Apply all walks of up to twenty steps to the weights, each with its probability, three times over."""
    every, chance = matrices(20)
    m = np.eye(3)[None] + ALPHA * np.concatenate((every, np.zeros((len(every), 1, 3))), 1)
    if mean:
        m, chance = np.einsum("w,wij->ij", chance / chance.sum(), m)[None], np.ones(1)
    u = np.array([start, start, 1.0])
    s = np.outer(u, u)
    for _ in range(3):
        s = np.einsum("w,wij,jk,wlk->il", chance / chance.sum(), m, s, m)
    ours = weight_moments(chain(device), LAM, ALPHA, 3, 0.5)
    return largest(s[:2, 2] - ours[0].cpu().numpy(), s[:2, :2] - ours[1].cpu().numpy())


@verifies(
    "temporal_difference:moments",
    tex=r"""\begin{aligned}
    S &\leftarrow \mathbb{E}\bigl[M S M^\top\bigr], \\
    M &= I + \alpha \begin{bmatrix} C \\ 0 \end{bmatrix}
    \end{aligned}""",
    tolerance=1e-3,
    wrong={"with the products of the means": {"mean": True}, "at another λ": {"lam": 0.0}},
    kind="definition",
)
def moments_of_a_walk(device: torch.device, mean: bool = False, lam: float = LAM) -> float:
    """Sum C and its products over all walks of up to twenty steps; the longer ones weigh less than the tolerance."""
    every, chance = matrices(20)
    first, second = np.einsum("w,wij->ij", chance, every), np.einsum("w,wij,wkl->ijkl", chance, every, every)
    ours = update_moments(chain(device), lam)
    products = torch.einsum("ij,kl->ijkl", ours[0], ours[0]) if mean else ours[1]
    return largest(ours[0].cpu().numpy() - first, products.cpu().numpy() - second)


@verifies(
    "temporal_difference:jensen",
    tex=r"\mathbb{E}[\varepsilon] \leq \sqrt{\mathbb{E}[\varepsilon^2]}",
    tolerance=1e-9,
    wrong={"the other way round": {"sign": -1.0}, "with equality": {"equal": True}},
)
def jensen(device: torch.device, sign: float = 1.0, equal: bool = False) -> float:
    """One state, from 0.4, α = 0.2: the two ends by hand, errors 0.18 and 0.02; what breaks the bound remains."""
    state, eye = random_walk(1).to(device), torch.eye(1, dtype=torch.float64, device=device)
    both = Sequences.of([eye, eye], [0.0, 1.0])
    a, b = affine_form(both, LAM)
    error: list[float] = rms_error(one_pass(a[:, None], b[:, None], 0.2, 0.4), state.values()).tolist()
    root: float = mean_square_error(state, LAM, 0.2, 1, 0.4).item() ** 0.5
    mean = sum(error) / 2
    by_hand = max(abs(error[0] - 0.18), abs(error[1] - 0.02), abs(root - (0.5 * 0.18**2 + 0.5 * 0.02**2) ** 0.5))
    return abs(mean - root) if equal else max(0.0, sign * (mean - root), by_hand)
