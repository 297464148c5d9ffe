"""What each step, and each sequence, does to the weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from workings.book.ledger import verifies
from workings.checks.temporal_difference.oracle import Crooked, W, X, Z, batch, crooked, largest, tensor, walks
from workings.temporal_difference import (
    TD,
    Sequences,
    affine_form,
    backward_pass,
    predictions,
    supervised_increments,
    td_increments,
    traces,
)

ALPHA = 0.1


@verifies(
    "temporal_difference:update",
    tex=r"w \leftarrow w + \sum_{t=1}^m \Delta w_t",
    tolerance=1e-12,
    wrong={"with each increment applied at once": {"online": True}, "with the mean for the sum": {"mean": True}},
    kind="definition",
)
def per_sequence(device: torch.device, online: bool = False, mean: bool = False) -> float:
    """Let the incremental learner see a sequence; sum the increments by hand, all at the first weights."""
    net = Crooked(W, device)
    learner = TD(net, ALPHA, lam=0.5, online=online)
    for x in tensor(X, device):
        learner.observe(x)
    learner.end(Z)
    p, slopes = crooked(W)
    trace, total, after = np.zeros(3), np.zeros(3), np.append(p[1:], Z)
    for t in range(len(X)):
        trace = 0.5 * trace + slopes[t]
        total = total + ALPHA * (after[t] - p[t]) * trace
    return largest(net.w - tensor(W + (total / len(X) if mean else total), device))


@verifies(
    "temporal_difference:supervised",
    tex=r"\Delta w_t = \alpha\,(z - P_t)\,\nabla_w P_t",
    tolerance=1e-7,
    wrong={"for the square without its half": {"half": 1.0}, "up the error": {"sign": -1.0}},
)
def supervised(device: torch.device, half: float = 0.5, sign: float = 1.0) -> float:
    """Difference half the squared error of each step numerically."""
    h, expected = 1e-6, np.zeros((6, 3))
    for i in range(3):
        up, down = (crooked(W + s * h * np.eye(3)[i])[0] for s in (1, -1))
        expected[:, i] = -sign * half * ((Z - up) ** 2 - (Z - down) ** 2) / (2 * h)
    ours = supervised_increments(*predictions(Crooked(W, device), tensor(X, device)), Z)
    return largest(ALPHA * (ours - tensor(expected, device)))


@verifies(
    "temporal_difference:widrow-hoff",
    tex=r"\Delta w_t = \alpha\,\bigl(z - w^\top x_t\bigr)\,x_t",
    tolerance=1e-12,
    wrong={"with the sign of w lost": {"sign": -1.0}, "along w": {"along": True}},
)
def widrow_hoff(device: torch.device, sign: float = 1.0, along: bool = False) -> float:
    """Compare the formula with the general rule, for a linear network whose slopes autograd finds."""
    net = nn.Linear(3, 1, bias=False).double().to(device)
    with torch.no_grad():
        net.weight.copy_(tensor(W, device))
    ours = supervised_increments(*predictions(net, tensor(X, device)), Z)
    printed = (Z - sign * X @ W)[:, None] * (W if along else X)
    return largest(ALPHA * (ours - tensor(printed, device)))


@verifies(
    "temporal_difference:telescope",
    tex=r"z - P_t = \sum_{k=t}^m (P_{k+1} - P_k), \qquad P_{m+1} = z",
    tolerance=1e-14,
    wrong={"with the sum ending at m - 1": {"last": 1}, "with a last difference of zero": {"known": False}},
)
def telescope(device: torch.device, last: int = 0, known: bool = True) -> float:
    """Sum the differences of six predictions and the outcome."""
    p = crooked(W)[0]
    chain = np.append(p, Z if known else p[-1])
    sums = [sum(chain[k + 1] - chain[k] for k in range(t, 6 - last)) for t in range(6)]
    return largest(tensor(Z - p - np.array(sums), device))


@verifies(
    "temporal_difference:exchange",
    tex=r"\sum_{t=1}^m \sum_{k=t}^m d_k\,g_t = \sum_{k=1}^m d_k \sum_{t=1}^k g_t",
    tolerance=1e-13,
    wrong={"with the inner sum over what comes later": {"later": True}, "with k itself left out": {"strict": 1}},
)
def exchange(device: torch.device, later: bool = False, strict: int = 0) -> float:
    """Add up both orders, of numbers d and vectors g."""
    g, d = X, np.cos(np.arange(6.0))
    left = sum(d[k] * g[t] for t in range(6) for k in range(t, 6))
    right = sum(d[k] * (g[k:] if later else g[: k + 1 - strict]).sum(0) for k in range(6))
    return largest(tensor(left - right, device))


@verifies(
    "temporal_difference:td-one",
    tex=r"\Delta w_t = \alpha\,(P_{t+1} - P_t) \sum_{k=1}^t \nabla_w P_k",
    tolerance=1e-12,
    wrong={
        "with z left out at the last step": {"known": False},
        "step by step rather than in the sum": {"steps": True},
        "with the present slope alone": {"lam": 0.0},
    },
)
def td_one(device: torch.device, known: bool = True, steps: bool = False, lam: float = 1.0) -> float:
    """Theorem 1: summed over a sequence, they are those of supervised learning; of a crooked predictor too."""
    p, slopes = predictions(Crooked(W, device), tensor(X, device))
    gap = td_increments(p, slopes, Z if known else p[-1], lam) - supervised_increments(p, slopes, Z)
    return largest(gap if steps else gap.sum(0))


@verifies(
    "temporal_difference:td-lambda",
    tex=r"\Delta w_t = \alpha\,(P_{t+1} - P_t) \sum_{k=1}^t \lambda^{t-k}\,\nabla_w P_k",
    tolerance=1e-12,
    wrong={"with λ to the k - t": {"sign": -1}, "with λ to the t": {"from_start": True}},
    kind="definition",
)
def td_lambda(device: torch.device, sign: int = 1, from_start: bool = False) -> float:
    """Sum the slopes as printed, at λ = ½, with predictions and slopes worked out by hand."""
    p, slopes = crooked(W)
    after = np.append(p[1:], Z)
    printed = [
        (after[t] - p[t]) * sum(0.5 ** (t if from_start else sign * (t - k)) * slopes[k] for k in range(t + 1))
        for t in range(6)
    ]
    ours = td_increments(*predictions(Crooked(W, device), tensor(X, device)), Z, 0.5)
    return largest(ours - tensor(np.array(printed), device))


@verifies(
    "temporal_difference:trace",
    tex=r"e_t = \lambda\,e_{t-1} + \nabla_w P_t, \qquad e_0 = 0",
    tolerance=1e-13,
    wrong={"that forgets what it adds": {"fresh": 0.5}, "that does not fade": {"lam": 1.0}},
)
def trace(device: torch.device, fresh: float = 1.0, lam: float = 0.5) -> float:
    """Compare the recursion with the sum, and with the library's traces."""
    slopes, e, off = crooked(W)[1], np.zeros(3), []
    ours = traces(tensor(slopes, device), 0.5).cpu().numpy()
    for t in range(6):
        e = lam * e + fresh * slopes[t]
        off.append(e - sum(0.5 ** (t - k) * slopes[k] for k in range(t + 1)))
        off.append(ours[t] - e)
    return largest(*off)


@verifies(
    "temporal_difference:affine",
    tex=r"""\begin{aligned}
    w &\leftarrow w + \alpha\,(b - A\,w), \qquad b = z\,e_m, \\
    A &= \sum_{t=1}^m e_t\,(x_t - x_{t+1})^\top, \qquad x_{m+1} = 0
    \end{aligned}""",
    tolerance=1e-12,
    wrong={"with A transposed": {"transposed": True}, "with the last observation again at the end": {"again": True}},
)
def affine(device: torch.device, transposed: bool = False, again: bool = False) -> float:
    """Sum increments one by one at some weights; compare with the formula, and with the library's A and b."""
    e, a, total, p = np.zeros(3), np.zeros((3, 3)), np.zeros(3), np.append(X @ W, Z)
    for t in range(6):
        e = 0.7 * e + X[t]
        following = X[t + 1] if t < 5 else X[t] * again
        a += np.outer(e, X[t] - following)
        total += (p[t + 1] - p[t]) * e
    ours = affine_form(Sequences.of([tensor(X, device)], [Z]), 0.7)
    printed = Z * e - (a.T if transposed else a) @ W
    return largest(
        printed - total, ours[0][0].cpu().numpy() - (a.T if transposed else a), ours[1][0].cpu().numpy() - Z * e
    )


@verifies(
    "temporal_difference:backward",
    tex=r"""\begin{aligned}
    U_t &= \lambda\,U_{t+1} + (1 - \lambda)\,P_{t+1}, \\
    w &\leftarrow w + \alpha\,(U_t - P_t)\,\nabla_w P_t
    \end{aligned}""",
    tolerance=1e-12,
    wrong={"with λ and 1 - λ exchanged": {"lam": 0.7}, "in the order of time": {"forwards": True}},
    kind="definition",
)
def backward(device: torch.device, lam: float = 0.3, forwards: bool = False) -> float:
    """Work through ten walks in plain Python, at every step with the weights of the moment."""
    drawn, w = walks(10, 3), [0.5] * 5
    for path, z in drawn:
        target, after = z, z
        for state in path if forwards else path[::-1]:
            target = lam * target + (1 - lam) * after
            w[state] += 0.2 * (target - w[state])
            after = w[state]
    return largest(backward_pass(batch(drawn, device), 0.3, 0.2, 0.5) - tensor(w, device))


@verifies(
    "temporal_difference:rewards",
    tex=r"""\begin{aligned}
    \delta_t &= r_t + \gamma\,P_{t+1} - P_t, \\
    e_t &= \gamma\lambda\,e_{t-1} + \nabla_w P_t
    \end{aligned}""",
    tolerance=1e-12,
    wrong={"with a trace that is not discounted": {"fade": 1.0}, "with a reward too early": {"early": True}},
)
def rewards(device: torch.device, fade: float = 0.9, early: bool = False) -> float:
    """With λ = 1 the sum over a sequence is supervised learning of the discounted sum of what is still to come."""
    gamma, r, (p, slopes) = 0.9, np.sin(1.0 + np.arange(6.0)), crooked(W)
    returns = np.array([sum(gamma ** (k - t) * r[k] for k in range(t, 6)) for t in range(6)])
    expected = ((returns - p)[:, None] * slopes).sum(0)
    brought, after = np.roll(r, 1) if early else r, np.append(p[1:], 0.0)
    e, total = np.zeros(3), np.zeros(3)
    for t in range(6):
        e = fade * e + slopes[t]
        total = total + (brought[t] + gamma * after[t] - p[t]) * e
    net = Crooked(W, device)
    learner = TD(net, ALPHA, lam=1.0, gamma=gamma)
    for t, x in enumerate(tensor(X, device)):
        learner.observe(x, 0.0 if t == 0 else float(r[t - 1]))
    learner.end(float(r[-1]))
    return largest(total - expected, (net.w.detach().cpu().numpy() - W) / ALPHA - expected)
