"""Vectors of length one: the gradient, and an in-place form that neither leaks nor raises."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from workings.typed import Floats


def normalize_(x: Tensor, dim: int = -1) -> Tensor:
    r"""Divide ``x`` by its length, in place, with the right gradient, in half the memory of ``x / norm(x)``.

    The gradient is written with the *output* :math:`y = x/r` (equation gpu_memory_leak:from-output of the chapter),
    so that the output and the lengths :math:`r` are all that need be saved. What autograd saves as an output closes no
    cycle, and is what the tensor still holds.

    Args:
        x: a tensor of any shape, not a leaf that requires a gradient; it is overwritten.
        dim: along which the length is taken.

    Returns:
        ``x`` itself, normalized. Where a length is zero it holds NaN, as after a division.

    Raises:
        TypeError: ``x`` is not a tensor of real floating-point numbers.
        RuntimeError: ``x`` is a leaf that requires a gradient.

    >>> import torch
    >>> w = torch.tensor([3.0, 4.0], requires_grad=True)
    >>> normalize_(w * 1)[0].backward()
    >>> w.grad
    tensor([ 0.1280, -0.0960])

    """
    if not x.is_floating_point():
        raise TypeError(f"x is a tensor of {x.dtype}; normalize_ needs a tensor of real floating-point numbers")
    y: Tensor = _Normalize.apply(x, dim)[0]
    return y


def normalize_gradient(x: Floats, g: Tensor, dim: int = -1) -> Tensor:
    r"""Return the gradient of a loss with respect to ``x``, from that with respect to ``x`` divided by its length.

    Equation gpu_memory_leak:normalize of the chapter: the part of ``g`` along ``x`` is taken away, since no change of
    length is left to respond to, and what remains shrinks with the length.

    Args:
        x: vectors before the division, (..., d).
        g: the gradient with respect to the vectors after it, of the same shape.
        dim: along which the length is taken.

    Returns:
        The gradient, of the same shape.

    Raises:
        ValueError: ``x`` and ``g`` differ in shape.

    >>> import torch
    >>> normalize_gradient(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 0.0]))
    tensor([ 0.1280, -0.0960])

    """
    if x.shape != g.shape:
        raise ValueError(f"x has shape {tuple(x.shape)}, g has {tuple(g.shape)}; they must be the same")
    r = torch.linalg.vector_norm(x, dim=dim, keepdim=True)
    u = x / r
    along = (u * g).sum(dim, keepdim=True)
    gradient: Tensor = (g - u * along) / r
    return gradient


class _Normalize(torch.autograd.Function):
    """Returns the lengths too: as an output they keep their own graph, which a second derivative needs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        r = torch.linalg.vector_norm(x, dim=dim, keepdim=True)
        y = x.div_(r)
        ctx.mark_dirty(y)
        ctx.save_for_backward(y, r)
        ctx.dim = dim
        return y, r

    @staticmethod
    def backward(ctx: Any, g: Tensor, of_length: Tensor) -> tuple[Tensor, None]:
        y, r = ctx.saved_tensors
        return (g - y * (y * g).sum(ctx.dim, keepdim=True)) / r + of_length * y, None
