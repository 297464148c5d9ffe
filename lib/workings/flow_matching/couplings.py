r"""Which noise goes to which data: independent pairs, exact optimal transport of a batch, entropic plans.

For a cost :math:`C_{ij} = \|x_0^{(i)} - x_1^{(j)}\|^2` a coupling is a matrix :math:`P \ge 0` with prescribed sums of
rows and columns. The optimal one minimizes :math:`\langle P, C\rangle`; for as many noises as data it is a permutation.
The entropic one minimizes :math:`\langle P, C\rangle - \varepsilon H(P)`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from workings.typed import Count, Floats, NonNegative

SMALL = 64  # up to it the assignment alone is quicker than preparing it
STAGES = ((0.03, 6), (0.004, 12))  # of Sinkhorn's duals: epsilon as a fraction of the mean cost, rounds


def squared_distances(x0: Tensor, x1: Tensor) -> Tensor:
    """Return the squared distance of each noise from each data point.

    Args:
        x0: noise, shape (n, ...).
        x1: data, shape (m, ...).

    Returns:
        The costs, shape (n, m), float64.

    """
    if x0.dim() < 2 or x0.shape[1:] != x1.shape[1:] or not x0.numel() or not x1.numel():
        raise ValueError(
            f"x0 and x1 must be batches (n, ...) and (m, ...) of states of one shape; got {tuple(x0.shape)} and "
            f"{tuple(x1.shape)}"
        )
    a, b = (x.detach().flatten(1).double() for x in (x0, x1))
    center = b.mean(0)
    a, b = a - center, b - center
    cost = a.square().sum(1)[:, None] + b.square().sum(1)
    return cost.addmm_(a, b.T, alpha=-2).clamp_(min=0)


def optimal_pairing(x0: Tensor, x1: Tensor) -> Tensor:
    r"""Return the permutation that pairs ``x0[i]`` with ``x1[j[i]]`` at the least total squared distance, exactly.

    The assignment problem is solved by SciPy's shortest augmenting paths. For all but small batches they are given
    costs :math:`C_{ij} - f_i - g_j`, reduced by the dual variables of a quick entropic solution: any such reduction
    leaves the optimum where it is, and with this one the paths are short.

    Args:
        x0: noise, shape (n, ...).
        x1: data, shape (n, ...).

    Returns:
        ``j``, shape (n,), integers on ``x1``'s device, for ``x1[j]``.

    Raises:
        ValueError: for batches of different sizes, or states of different shapes.

    >>> optimal_pairing(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[2.1], [0.1], [0.9]])).tolist()
    [1, 2, 0]

    """
    cost = squared_distances(x0, x1).cpu()
    n, m = cost.shape
    if n != m:
        raise ValueError(f"x0 and x1 must hold as many states for a pairing; got {n} and {m}")
    if n > SMALL:
        cost = _reduced(cost)
    return torch.from_numpy(linear_sum_assignment(cost.numpy())[1].astype(np.int64)).to(x1.device)


def _reduced(cost: Tensor) -> Tensor:
    """Subtract approximate dual variables, in place: Sinkhorn's, in float32, with epsilon in stages."""
    low, unit, tiny = cost.min(1, keepdim=True).values, float(cost.mean()) or 1.0, 1e-30
    gain = cost.float().sub_(low.float()).div_(-unit)  # each row's largest is 0, so that no sum vanishes
    f, g, kernel = torch.zeros_like(gain[:, :1]), torch.zeros_like(gain[0]), torch.empty_like(gain)
    for epsilon, rounds in STAGES:
        torch.add(gain, f, out=kernel).add_(g).div_(epsilon).exp_()
        u = torch.ones_like(g)
        for _ in range(rounds):
            v = 1 / (kernel.T @ u).clamp(min=tiny)
            u = 1 / (kernel @ v).clamp(min=tiny)
        f, g = f + epsilon * torch.log(u)[:, None], g + epsilon * torch.log(v)
    return cost.sub_(low + unit * f.double()).sub_(unit * g.double())


def entropic_plan(
    x0: Tensor, x1: Tensor, epsilon: float, *, tolerance: NonNegative = 1e-6, max_iterations: Count = 10_000
) -> Tensor:
    r"""Return the plan of least cost less :math:`\varepsilon` times its entropy, by Sinkhorn's iteration.

    .. math:: P = \arg\min_P \langle P, C\rangle - \varepsilon H(P), \qquad P \mathbf 1 = \tfrac1n \mathbf 1, \quad
        P^\top \mathbf 1 = \tfrac1m \mathbf 1

    Args:
        x0: noise, shape (n, ...).
        x1: data, shape (m, ...).
        epsilon: :math:`\varepsilon`, in units of a squared distance; small ones approach the optimal plan, slowly.
        tolerance: the largest relative error of a row's sum at which to stop.
        max_iterations: the most iterations.

    Returns:
        :math:`P`, shape (n, m), float64, summing to 1; its columns' sums are exact.

    Raises:
        ValueError: for an ``epsilon`` that is not positive.
        RuntimeError: when the iteration does not converge.

    """
    if not 0 < epsilon < math.inf:
        raise ValueError(f"epsilon must be positive and finite; got {epsilon}")
    cost = squared_distances(x0, x1)
    n, m = cost.shape
    f, g = cost.new_zeros(n, 1), cost.new_zeros(1, m)
    for _ in range(max_iterations):
        f = f - epsilon * (torch.logsumexp((f + g - cost) / epsilon, 1, keepdim=True) + math.log(n))
        g = g - epsilon * (torch.logsumexp((f + g - cost) / epsilon, 0, keepdim=True) + math.log(m))
        plan = torch.exp((f + g - cost) / epsilon)
        error = float((plan.sum(1) * n - 1).abs().max())
        if error <= tolerance:
            return plan
    raise RuntimeError(
        f"Sinkhorn's iteration has rows off by {error:.2g} after {max_iterations} rounds: take a larger epsilon "
        f"(the mean cost is {float(cost.mean()):.3g}), a larger tolerance, or optimal_pairing"
    )


def sample_pairs(plan: Floats, n: Count, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Draw pairs of a noise and a data point from a plan, with replacement.

    Args:
        plan: probabilities, shape (n0, n1), as from `entropic_plan`.
        n: how many pairs.
        generator: draws on its own device; torch's default on the plan's if None.

    Returns:
        The indices i and j, two integer tensors of shape (n,) on the plan's device.

    """
    device = plan.device if generator is None else generator.device
    drawn = torch.multinomial(plan.flatten().to(device), n, replacement=True, generator=generator).to(plan.device)
    return drawn // plan.shape[1], drawn % plan.shape[1]
