"""Chains in closed form, where repeated presentations lead, and how far a printed figure is from a simulated one."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import torch
from scipy import optimize

from workings.book.ledger import verifies
from workings.checks.temporal_difference.oracle import batch, chain, enumerated, largest, tensor, walks
from workings.temporal_difference import affine_form, limit, maximum_likelihood, random_walk, rms_error
from workings.temporal_difference.experiments import misfit


@verifies(
    "temporal_difference:values",
    tex=r"v = (I - Q)^{-1} R\,z",
    tolerance=1e-9,
    wrong={"with Q transposed": {"transposed": True}, "after one step alone": {"one": True}},
)
def values(device: torch.device, transposed: bool = False, one: bool = False) -> float:
    """Solve for the chance of the right end from each state in fractions (gambler's ruin), for a skewed walk."""
    skewed = random_walk(5, 0.3)
    q, r, z = skewed.Q.numpy(), skewed.R.numpy(), skewed.z.numpy()
    odds = Fraction(7, 3)
    ruin = np.array([float((1 - odds**k) / (1 - odds**6)) for k in range(1, 6)])
    printed = r @ z if one else np.linalg.inv(np.eye(5) - (q.T if transposed else q)) @ r @ z
    return largest(printed - ruin, skewed.to(device).values().cpu().numpy() - ruin)


@verifies(
    "temporal_difference:visits",
    tex=r"d^\top = \mu^\top (I - Q)^{-1}",
    tolerance=2e-6,
    wrong={"with the first visit not counted": {"first": 1.0}, "from the other side": {"transposed": True}},
)
def visits(device: torch.device, first: float = 0.0, transposed: bool = False) -> float:
    """Count visits over all walks up to twenty steps, each with its probability."""
    skewed, counted = chain(device), np.zeros(3)
    for path, _, chance in enumerated(20):
        for state, times in Counter(path).items():
            counted[state] += chance * times
    q, start = skewed.Q.cpu().numpy(), skewed.start.cpu().numpy()
    inverse = np.linalg.inv(np.eye(3) - q)
    printed = (inverse @ start if transposed else start @ inverse) - first * start
    return largest(printed - counted, skewed.visits().cpu().numpy() - counted)


@verifies(
    "temporal_difference:error",
    tex=r"\varepsilon = \sqrt{\frac{1}{n} \sum_{i=1}^n \bigl(w^\top x_i - v_i\bigr)^2}",
    tolerance=1e-12,
    wrong={"without the mean": {"mean": False}, "as a mean of absolute values": {"power": 1}},
    kind="definition",
)
def error(device: torch.device, mean: bool = True, power: int = 2) -> float:
    """Where nothing is learned it is the root of 1/18 for the walk on five states, by hand."""
    off = [abs(0.5 - k / 6) ** power for k in range(1, 6)]
    printed = (sum(off) / (5 if mean else 1)) ** (1 / power)
    ours = rms_error(tensor([0.5] * 5, device), random_walk().to(device).values()).item()
    return largest(printed - (1 / 18) ** 0.5, ours - (1 / 18) ** 0.5)


def settle(lam: float, seed: int, start: float = 0.5, count: int = 3) -> np.ndarray:
    """Find the weights that a set does not change by a root finder on plain loops; where nothing is seen, the start."""
    drawn = walks(count, seed)
    seen = sorted({state for path, _ in drawn for state in path})

    def change(part: np.ndarray) -> np.ndarray:
        w, total = np.full(5, start), np.zeros(5)
        w[seen] = part
        for path, z in drawn:
            e, p = np.zeros(5), [*(w[s] for s in path), z]
            for t, state in enumerate(path):
                e *= lam
                e[state] += 1
                total += (p[t + 1] - p[t]) * e
        return total[seen]

    found = np.full(5, start)
    found[seen] = optimize.root(change, found[seen], tol=1e-13).x
    return found


@verifies(
    "temporal_difference:limit",
    tex=r"""\begin{aligned}
    w_\infty &= w_0 + \bar A^+\,(\bar b - \bar A\,w_0), \\
    \bar A &= \sum_s A_s, \qquad \bar b = \sum_s b_s
    \end{aligned}""",
    tolerance=1e-9,
    wrong={"without the start": {"start": False}, "at another λ": {"lam": 1.0}},
)
def settled(device: torch.device, start: bool = True, lam: float = 0.4) -> float:
    """Compare with a root finder, on a set that sees all states and on one that does not."""
    off = []
    for seed, missing in ((0, False), (7, True)):
        drawn = walks(3, seed)
        if (len({state for path, _ in drawn for state in path}) < 5) != missing:
            return float("inf")  # the two cases are not what they should be
        a, b = (v.cpu().numpy() for v in affine_form(batch(drawn, device), lam))
        w0 = np.full(5, 0.5 if start else 0.0)
        printed = w0 + np.linalg.pinv(a.sum(0)) @ (b.sum(0) - a.sum(0) @ w0)
        ours, singular = limit(*affine_form(batch(drawn, device), lam), 0.5 if start else 0.0)
        true = settle(0.4, seed)
        off += [printed - true, ours.cpu().numpy() - true, float(bool(singular) != missing)]
    return largest(*off)


@verifies(
    "temporal_difference:least-squares",
    tex=r"""\begin{aligned}
    w_\infty &= \arg\min_w \sum_s \sum_{t=1}^{m_s} \\
    &\qquad \bigl(z_s - w^\top x_{s,t}\bigr)^2 \quad (\lambda = 1)
    \end{aligned}""",
    tolerance=1e-9,
    wrong={"at λ = 0": {"lam": 0.0}, "with each walk counted alike": {"alike": True}},
)
def least_squares(device: torch.device, lam: float = 1.0, alike: bool = False) -> float:
    """Solve the least-squares problem over all observations by NumPy."""
    drawn = walks(12, 1)
    rows, right = [], []
    for path, z in drawn:
        weight = 1 / len(path) if alike else 1.0
        rows += [np.sqrt(weight) * np.eye(5)[state] for state in path]
        right += [np.sqrt(weight) * z] * len(path)
    printed = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0]
    return largest(limit(*affine_form(batch(drawn, device), lam))[0].cpu().numpy() - printed)


@verifies(
    "temporal_difference:certainty",
    tex=r"w_\infty = (I - \hat Q)^{-1} \hat R\,z \qquad (\lambda = 0)",
    tolerance=1e-9,
    wrong={"at λ = 1": {"lam": 1.0}, "with the true chain": {"true": True}},
)
def certainty(device: torch.device, lam: float = 0.0, true: bool = False) -> float:
    """Count what followed what, in fractions, and sum the powers of the estimated chain."""
    drawn = walks(12, 1)
    moves = Counter((a, b) for path, z in drawn for a, b in zip(path, [*path[1:], 5 + int(z)], strict=True))
    q = np.array(
        [[float(Fraction(moves[i, j], sum(moves[i, k] for k in range(7)))) for j in range(7)] for i in range(5)]
    )
    if true:
        q = np.array([[0.5 * (abs(i - j) == 1) for j in range(5)] + [0.5 * (i == 0), 0.5 * (i == 4)] for i in range(5)])
    found, power = np.zeros(5), np.eye(5)
    for _ in range(3000):
        found, power = found + power @ q[:, 6], power @ q[:, :5]
    ours = limit(*affine_form(batch(drawn, device), lam))[0].cpu().numpy()
    likely = maximum_likelihood(batch(drawn, device)).values().cpu().numpy()
    return largest(ours - found, 0.0 if true else likely - found)


@verifies(
    "temporal_difference:misfit",
    tex=r"\chi^2 = (y - \bar y)^\top \bigl(C + \rho^2 I\bigr)^{-1} (y - \bar y)",
    tolerance=1e-9,
    wrong={"as if points were independent": {"independent": True}, "without the reading": {"reading": 0.0}},
)
def chi_squared(device: torch.device, independent: bool = False, reading: float = 0.1) -> float:
    """Whiten the deviations by a Cholesky factor, and sum the squares."""
    covariance, off = np.array([[1.0, 0.9, 0.5], [0.9, 1.2, 0.6], [0.5, 0.6, 0.8]]), np.array([0.5, -0.2, 0.1])
    whole = covariance + 0.01 * np.eye(3)
    square = np.sum(np.linalg.solve(np.linalg.cholesky(whole), off) ** 2)
    kept = np.diag(np.diag(covariance)) if independent else covariance
    return largest(tensor(misfit(list(off + 1.0), np.ones(3), kept, reading) - square, device))
