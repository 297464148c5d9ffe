"""Exact mean and mean square of the weights after any number of sequences, from the chain itself, without sampling."""

from __future__ import annotations

import torch
from torch import Tensor

from workings.temporal_difference.chains import Chain


def update_moments(chain: Chain, lam: float | Tensor) -> tuple[Tensor, Tensor]:
    r"""Return mean and second moments of :math:`C = [-A\ \ b]` over the walks of ``chain``.

    A walk changes the augmented weights :math:`u = (w, 1)` by :math:`\alpha C u`. Read backwards, C is a sum of
    :math:`x_t g_t^\top`, where :math:`g_t = \delta_t + \lambda g_{t+1}` collects the discounted differences of what is
    observed (temporal_difference:backwards). So the moments of g and C from each state obey linear systems with the
    matrices :math:`I - \lambda^2 Q`, :math:`I - \lambda Q` and :math:`I - Q`, one after the other.

    Args:
        chain: n states, d features.
        lam: λ, one number.

    Returns:
        E[C] (d, d + 1), and E[C_ij C_kl] (d, d + 1, d, d + 1). Differentiable in λ.

    """
    x, q, d = chain.x, chain.Q, chain.x.shape[1]
    ends = len(chain.z)
    now = torch.cat((x, x.new_zeros(len(x), 1)), 1)  # (n, d + 1): no outcome yet
    after = torch.cat((now, torch.cat((x.new_zeros(ends, d), chain.z[:, None]), 1)))  # (n + k, d + 1)
    move = torch.cat((q, chain.R), 1)  # (n, n + k)
    delta = after[None] - now[:, None]  # (n, n + k, d + 1): what each step adds
    inner = delta[:, : len(x)]  # of the steps that do not end
    # means: g = δ + λ g', C = x gᵀ + C'
    g = chain.solve(torch.einsum("sr,sri->si", move, delta), lam)
    c = chain.solve(torch.einsum("si,sj->sij", x, g))
    # g gᵀ
    cross = lam * torch.einsum("sr,sri,rj->sij", q, inner, g)
    gg = chain.solve(torch.einsum("sr,sri,srj->sij", move, delta, delta) + cross + cross.mT, lam * lam)
    # g ⊗ C = (δ + λ g') ⊗ (x gᵀ + C')
    gc = torch.einsum("sj,sik->sijk", x, gg) + torch.einsum("sr,sri,rjk->sijk", q, inner, c)
    gc = chain.solve(gc, lam)  # (n, d + 1, d, d + 1)
    # C ⊗ C = (x gᵀ + C') ⊗ (x gᵀ + C'), where g ⊗ C' = g ⊗ (C - x gᵀ)
    rest = gc - torch.einsum("sj,sik->sijk", x, gg)
    mixed = torch.einsum("si,sjkl->sijkl", x, rest)
    own = torch.einsum("si,sk,sjl->sijkl", x, x, gg)
    cc = chain.solve(own + mixed + mixed.permute(0, 3, 4, 1, 2))
    return torch.einsum("s,sij->ij", chain.start, c), torch.einsum("s,sijkl->ijkl", chain.start, cc)


def weight_moments(
    chain: Chain, lam: float | Tensor, alpha: float | Tensor, count: int, start: Tensor | float = 0.0
) -> tuple[Tensor, Tensor]:
    r"""Return the exact mean of the weights after ``count`` sequences, and their second moments.

    One pass with an update after each sequence, as `one_pass`; with :math:`M = [\alpha C; 0] + I` the second moments
    of :math:`u = (w, 1)` follow :math:`S \leftarrow \mathbb{E}[M S M^\top]` (temporal_difference:moments).

    Args:
        chain: where the walks come from.
        lam: λ.
        alpha: the learning rate, a number or any shape J.
        count: number of sequences.
        start: the first weights, which broadcast to (d,).

    Returns:
        E[w] (J, d) and E[w wᵀ] (J, d, d). Differentiable in λ, α and the start.

    >>> from workings.temporal_difference.chains import random_walk
    >>> mean, square = weight_moments(random_walk(1), lam=0.0, alpha=0.5, count=1, start=0.5)
    >>> mean.tolist(), square.tolist()  # to ¼ or to ¾
    ([0.5], [[0.3125]])

    """
    if count < 0:
        raise ValueError(f"count is {count}; it must not be negative")
    d = chain.x.shape[1]
    c, cc = update_moments(chain, lam)
    rate = torch.as_tensor(alpha, dtype=c.dtype, device=c.device)[..., None, None]  # (J, 1, 1)
    one = c.new_ones(rate.shape)
    u = torch.cat((torch.as_tensor(start, dtype=c.dtype, device=c.device).expand(d), c.new_ones(1)))
    s = torch.outer(u, u).expand(*rate.shape[:-2], d + 1, d + 1)
    for _ in range(count):
        first = rate * (c @ s)  # (J, d, d + 1)
        both = rate * rate * torch.einsum("ijkl,...jl->...ik", cc, s)
        new = s[..., :d, :d] + first[..., :d] + first[..., :d].mT + both
        mean = s[..., :d, d:] + first[..., d:]  # (J, d, 1)
        s = torch.cat((torch.cat((new, mean), -1), torch.cat((mean.mT, one), -1)), -2)
    return s[..., :d, d], s[..., :d, :d]


def mean_square_error(
    chain: Chain, lam: float | Tensor, alpha: float | Tensor, count: int, start: Tensor | float = 0.0
) -> Tensor:
    """Return the exact expectation of the squared error, averaged over states, after ``count`` sequences.

    Its root is more than the mean of `rms_error` (temporal_difference:jensen).

    Args:
        chain: where the walks come from.
        lam: λ.
        alpha: the learning rate, a number or any shape J.
        count: number of sequences.
        start: the first weights, which broadcast to (d,).

    >>> from workings.temporal_difference.chains import random_walk
    >>> round(mean_square_error(random_walk(), 0.3, 0.0, 10, start=0.5).item(), 6)  # nothing learned: 1/18
    0.055556

    """
    mean, square = weight_moments(chain, lam, alpha, count, start)
    values = chain.values()
    made = ((chain.x @ square) * chain.x).sum(-1)  # (J, n)
    return (made - 2 * values * (mean @ chain.x.T) + values.square()).mean(-1)
