"""Whole experiments at once: within a sequence the weights stand still, so a sequence is one affine map of them."""

from __future__ import annotations

import torch
from torch import Tensor

from workings.temporal_difference.sequences import Sequences
from workings.typed import Floats


def affine_form(sequences: Sequences, lam: float | Tensor) -> tuple[Tensor, Tensor]:
    r"""Return A and b with which TD(λ) changes linear weights over a sequence by :math:`\alpha (b - A w)`.

    :math:`A = \sum_t e_t (x_t - x_{t+1})^\top` with :math:`x_{m+1} = 0`, and :math:`b = z\,e_m`
    (temporal_difference:affine). Neither depends on the learning rate or on the weights.

    Args:
        sequences: a batch (...).
        lam: λ, a number or any shape K.

    Returns:
        A (K, ..., d, d) and b (K, ..., d). Differentiable in λ.

    >>> walk = Sequences.of([torch.eye(2)], [1.0])
    >>> A, b = affine_form(walk, 0.5)
    >>> A[0].tolist(), b[0].tolist()
    ([[1.0, -0.5], [0.0, 1.0]], [0.5, 1.0])

    """
    lam = torch.as_tensor(lam, dtype=sequences.table.dtype, device=sequences.table.device)
    shape, d = sequences.shape, sequences.table.shape[1]
    lengths = sequences.lengths.reshape(-1)
    order = torch.argsort(lengths, descending=True, stable=True)  # those that still go on are the first
    rows = sequences.index.reshape(len(lengths), -1)[order].T.contiguous()  # (T, N)
    going = (lengths[:, None] > torch.arange(len(rows) + 1, device=lengths.device)).sum(0).tolist()
    z, decay, features = sequences.z.reshape(-1)[order], lam.reshape(-1, 1, 1), sequences.table.T
    a = features.new_zeros(len(decay), d, d, len(lengths))  # the batch last: it is the long one
    e, last = features.new_zeros(len(decay), d, len(lengths)), []
    for t in range(going.index(0)):
        n, stay = going[t], going[t + 1]
        x = features[:, rows[t, :n]]  # (d, n)
        e = decay * e[..., :n] + x  # (K, d, n)
        step = x.clone()
        if stay:
            step[:, :stay] -= features[:, rows[t + 1, :stay]]
        a[..., :n].addcmul_(e[:, :, None], step)
        last.append(z[stay:n] * e[..., stay:])
    b = torch.cat(last[::-1], -1)  # the shortest ended first, and are the last in the order
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order), device=order.device)
    a = a[..., back].reshape(*lam.shape, d, d, *shape)
    b = b[..., back].reshape(*lam.shape, d, *shape)
    k = lam.dim()
    return a.movedim((k, k + 1), (-2, -1)), b.movedim(k, -1)


def one_pass(a: Floats, b: Tensor, alpha: float | Tensor, start: Tensor | float = 0.0) -> Tensor:
    r"""Present each sequence of a set once, with :math:`w \leftarrow w + \alpha (b - A w)` after each.

    Args:
        a: A of the sequences in their order, (..., n, d, d).
        b: their b, (..., n, d).
        alpha: learning rates, a number or any shape J.
        start: the first weights, which broadcast to (..., d).

    Returns:
        The weights after the last sequence, (..., J, d). Differentiable in all arguments.

    >>> A, b = affine_form(Sequences.of([torch.eye(2)] * 3, [1.0] * 3), 1.0)
    >>> one_pass(A, b, 0.5, start=0.0).tolist()
    [0.875, 0.875]

    """
    _square(a, b)
    alpha = torch.as_tensor(alpha, dtype=a.dtype, device=a.device)
    batch, n, d = b.shape[:-2], b.shape[-2], b.shape[-1]
    rates = alpha.reshape(-1, 1)  # (J, 1)
    maps = a.movedim((-3, -2, -1), (0, 1, 2)).reshape(n, d, d, -1)  # the batch last: it is the long one
    pulls = b.movedim((-2, -1), (0, 1)).reshape(n, d, -1)
    w = torch.as_tensor(start, dtype=a.dtype, device=a.device).expand(*batch, d).movedim(-1, 0)
    w = w.reshape(d, 1, -1).expand(d, len(rates), -1)  # (d, J, B)
    for i in range(n):
        change = pulls[i, :, None].expand(w.shape).contiguous()
        for j in range(d):
            change.addcmul_(maps[i, :, j, None], w[j], value=-1)
        w = torch.addcmul(w, rates, change)
    w = w.reshape(d, *alpha.shape, *batch)
    return w.movedim(tuple(range(1, 1 + alpha.dim())), tuple(range(-alpha.dim(), 0))).movedim(0, -1)


def present(a: Floats, b: Tensor, alpha: float, start: Tensor | float = 0.0, times: int = 1) -> Tensor:
    """Present a whole set ``times`` times, changing the weights after each time by the sum over its sequences.

    For a small rate the weights tend to `limit`.

    Args:
        a: as in `one_pass`, of a set of sequences.
        b: as in `one_pass`.
        alpha: the learning rate.
        start: the first weights (..., d), or one number for all.
        times: how often the set is presented.

    Returns:
        The weights (..., d).

    """
    _square(a, b)
    if times < 0:
        raise ValueError(f"times is {times}; it must not be negative")
    a, b = a.sum(-3), b.sum(-2)
    w = torch.as_tensor(start, dtype=a.dtype, device=a.device).expand(b.shape)
    for _ in range(times):
        w = w + alpha * (b - (a @ w[..., None])[..., 0])
    return w


def limit(a: Floats, b: Tensor, start: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
    r"""Return where `present` converges for a small learning rate: :math:`\sum A\,w = \sum b`.

    Where a feature never occurs, nothing is learned about it: the sum is singular there, and w keeps what it was at
    the start. That is :math:`w_0 + (\sum A)^+ (\sum b - \sum A\,w_0)`.

    Args:
        a: A of the sequences of a set, (..., n, d, d).
        b: their b, (..., n, d).
        start: the first weights, which broadcast to (..., d).

    Returns:
        The weights (..., d), and whether the set is singular, (...).

    >>> A, b = affine_form(Sequences.of([torch.eye(2), torch.eye(2)[:1]], [1.0, 0.0]), 0.0)
    >>> [part.tolist() for part in limit(A, b)]
    [[0.5, 1.0], False]

    """
    _square(a, b)
    a, b = a.sum(-3), b.sum(-2)
    w0 = torch.as_tensor(start, dtype=a.dtype, device=a.device).expand(b.shape)
    missing = b - (a @ w0[..., None])[..., 0]
    factors, _, info = torch.linalg.lu_factor_ex(a)
    sizes = factors.diagonal(dim1=-2, dim2=-1).abs()
    singular = (info != 0) | ~(sizes.amin(-1) > 100 * torch.finfo(a.dtype).eps * sizes.amax(-1))
    eye = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    step = torch.linalg.solve(torch.where(singular[..., None, None], eye, a), missing)
    if bool(singular.any()):
        inverse = torch.linalg.pinv(torch.where(singular[..., None, None], a, eye))
        step = torch.where(singular[..., None], (inverse @ missing[..., None])[..., 0], step)
    return w0 + step, singular


def backward_pass(
    sequences: Sequences, lam: float | Tensor, alpha: float | Tensor, start: Tensor | float = 0.0
) -> Tensor:
    r"""Work backwards through each sequence, changing the weights at every step.

    What follows is already better known when a step is taken (temporal_difference:backward): from
    :math:`U_{m+1} = z` back, :math:`U_t = \lambda U_{t+1} + (1 - \lambda) P_{t+1}` is what :math:`P_t` is moved to.
    Sutton (1988), section 3.2, names the idea for λ = 0 and does not run it.

    Args:
        sequences: a batch (..., n), its last dimension presented in order.
        lam: λ, a number or any shape K.
        alpha: learning rates, a number or any shape J.
        start: the first weights, which broadcast to (d,).

    Returns:
        The weights after the last sequence, (K, ..., J, d).

    """
    table, shape = sequences.table, sequences.shape[:-1]
    lam, alpha = (torch.as_tensor(v, dtype=table.dtype, device=table.device) for v in (lam, alpha))
    d, n = table.shape[1], sequences.shape[-1]
    index = sequences.index.reshape(-1, n, sequences.index.shape[-1])
    lengths, z = sequences.lengths.reshape(-1, n), sequences.z.reshape(-1, n)
    decay, rates = lam.reshape(-1, 1), alpha.reshape(-1)  # (K, 1) and (J,)
    w = torch.as_tensor(start, dtype=table.dtype, device=table.device).expand(len(index), len(decay), len(rates), d)
    for i in range(n):
        target = after = z[:, i, None, None].expand(w.shape[:-1])  # U_{t+1} and P_{t+1}, (B, K, J)
        for t in range(int(lengths[:, i].max()) - 1, -1, -1):
            on, x = (lengths[:, i] > t)[:, None, None], table[index[:, i, t]]  # (B, 1, 1) and (B, d)
            target = torch.where(on, decay * target + (1 - decay) * after, target)
            step = torch.where(on, rates * (target - torch.einsum("bkjd,bd->bkj", w, x)), 0.0)
            w = w + step[..., None] * x[:, None, None]
            after = torch.where(on, torch.einsum("bkjd,bd->bkj", w, x), after)
    return w.movedim(1, 0).reshape(*lam.shape, *shape, *alpha.shape, d)


def rms_error(w: Floats, values: Tensor, x: Floats | None = None) -> Tensor:
    r"""Return the root of the mean, over states, of the squared error of the predictions (temporal_difference:error).

    Args:
        w: weights (..., d).
        values: what is right, (n,).
        x: the observations in the states, (n, d); the unit vectors if None.

    Returns:
        The errors (...).

    >>> rms_error(torch.tensor([0.5, 0.5]), torch.tensor([0.1, 0.9])).item()
    0.4000000059604645

    """
    made = w if x is None else w @ x.T
    return (made - values).square().mean(-1).sqrt()


def _square(a: Tensor, b: Tensor) -> None:
    if a.dim() < 3 or b.shape != a.shape[:-1] or a.shape[-1] != a.shape[-2]:
        raise ValueError(
            f"A has shape {tuple(a.shape)} and b {tuple(b.shape)}; they must be (..., n, d, d) and (..., n, d)"
        )
