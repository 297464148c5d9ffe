"""Two cues, one stimulus: products of distributions, sums of responses, and the weights that make them the same."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from workings.population_codes.decoding import normalise
from workings.typed import Floats


def product(*distributions: Tensor) -> Tensor:
    r"""Return the optimal combination of independent cues: :math:`\prod_k p_k(s)`, normalised.

    Args:
        distributions: probabilities (..., S) on the same grid, of likelihoods or of posteriors under a flat prior.

    Returns:
        Probabilities (..., S).

    >>> [round(float(p), 4) for p in product(torch.tensor([0.25, 0.75]), torch.tensor([0.5, 0.5]))]
    [0.25, 0.75]

    """
    return normalise(torch.stack([p.log() for p in torch.broadcast_tensors(*distributions)]).sum(0))


def cue_combination(mu: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return mean and variance of a product of normal distributions (population_codes:cues).

    Args:
        mu: means, (..., K).
        variance: variances, (..., K).

    Returns:
        Mean and variance, (...).

    >>> cue_combination(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
    (tensor(2.), tensor(0.5000))

    """
    precision = (1 / variance).sum(-1)
    return (mu / variance).sum(-1) / precision, 1 / precision


def kernel_weights(kernel: Floats, target: Floats) -> tuple[Tensor, float]:
    r"""Return A with :math:`h_k(s) = A_k H(s)` as nearly as can be, so that :math:`A_k^\top r_k` is decoded by H.

    Equation population_codes:weights in the chapter. Parts that do not depend on the stimulus do not count. Of all
    solutions it is the smallest one, by least squares.

    Args:
        kernel: :math:`h_k` on a grid, (S, N).
        target: H on the same grid, (S, M).

    Returns:
        :math:`A_k` (N, M), and the largest deviation :math:`|h_k - A_k H|` that is left.

    >>> h = torch.tensor([[0.0, 1.0], [1.0, 3.0], [4.0, 0.0]])
    >>> A, left = kernel_weights(0.5 * h + 2.0, h)
    >>> bool((A - 0.5 * torch.eye(2)).abs().max() < 1e-5), left < 1e-5
    (True, True)

    """
    if kernel.shape[:-1] != target.shape[:-1]:
        raise ValueError(
            f"kernel has shape {tuple(kernel.shape)}, target {tuple(target.shape)}; they share a grid, (S, N), (S, M)"
        )
    h, big = kernel - kernel.mean(0), target - target.mean(0)
    a = torch.linalg.pinv(big, rtol=1e-10 if big.dtype == torch.float64 else 1e-5) @ h  # (M, N)
    return a.mT, float((h - big @ a).abs().max())


def combine(responses: Sequence[Tensor], weights: Sequence[Tensor | float]) -> Tensor:
    r"""Return :math:`r_3 = \sum_k A_k^\top r_k` (population_codes:weights).

    Args:
        responses: :math:`r_k`, (..., N_k).
        weights: for each a matrix :math:`A_k` (N_k, M), or a number.

    Returns:
        The third population, (..., M).

    >>> combine([torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0])], [1.0, 0.5 * torch.eye(2)]).tolist()
    [1.0, 4.0]

    """
    if len(responses) != len(weights):
        raise ValueError(f"{len(responses)} responses have {len(weights)} weights; each response needs one")
    parts = [r @ a if isinstance(a, Tensor) and a.ndim == 2 else a * r for r, a in zip(responses, weights, strict=True)]
    return torch.stack(torch.broadcast_tensors(*parts)).sum(0)


def constant_input(log_prior: Floats, kernel: Floats) -> tuple[Tensor, float]:
    r"""Return a response c with :math:`h(s)^\top c = \log p(s)`: a prior, as an input that is always there.

    Equation population_codes:prior in the chapter.

    Args:
        log_prior: logarithm of the prior on a grid, (S,).
        kernel: h on the same grid, (S, N).

    Returns:
        c (N,), the smallest that does, and the largest deviation that is left.

    >>> c, left = constant_input(torch.tensor([0.0, 2.0]), torch.tensor([[0.0], [1.0]]))
    >>> round(c.item(), 4), left < 1e-5
    (2.0, True)

    """
    a, left = kernel_weights(log_prior[:, None], kernel)
    return a[0], left


def shared_log_likelihood(r1: Tensor, r2: Tensor, rates: Floats, share: float) -> Tensor:
    r"""Return the exact log-likelihood of two Poisson populations that have a part of their spikes in common.

    Neuron by neuron :math:`r_k = a_k + c`, with Poisson means :math:`(1 - \rho) \lambda_i` of each :math:`a_k` and
    :math:`\rho \lambda_i` of the shared c. Nobody sees c; the likelihood is a sum over what it may have been.

    Args:
        r1: counts (..., N).
        r2: counts (..., N).
        rates: :math:`\lambda_i = g f_i(s)` on a grid, (S, N), positive.
        share: ρ, from 0 to 1, both excluded.

    Returns:
        Logarithms (..., S), each row up to a constant.

    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; a part of the spikes lies between 0 and 1")
    log_rate = rates.log()
    shared = torch.arange(int(torch.minimum(r1, r2).max()) + 1, dtype=r1.dtype, device=r1.device)  # (C,)
    total = torch.full((*torch.broadcast_shapes(r1.shape, r2.shape)[:-1], *rates.shape), -torch.inf).to(rates)
    for c in shared:
        left1, left2 = r1 - c, r2 - c
        possible = (left1 >= 0) & (left2 >= 0)
        ways = c * torch.log(rates.new_tensor(share)) + (left1 + left2) * torch.log(rates.new_tensor(1 - share))
        ways = ways - torch.lgamma(c + 1) - torch.lgamma(left1.clamp(min=0) + 1) - torch.lgamma(left2.clamp(min=0) + 1)
        ways = torch.where(possible, ways, -torch.inf)[..., None, :]  # (..., 1, N)
        total = torch.logaddexp(total, ways + (r1 + r2 - c)[..., None, :] * log_rate)
    return total.sum(-1) - (2 - share) * rates.sum(-1)
