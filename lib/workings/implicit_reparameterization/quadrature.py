"""Gauss–Legendre quadrature of many integrals at once, in blocks that stay in the cache."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

BLOCK = 2048  # integrals at a time
NEGLIGIBLE = 38.0  # e^-38 = 3e-17: where an integrand that starts at 1 may end


@lru_cache
def legendre(nodes: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return nodes and weights on [0, 1], float64."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    return torch.tensor((x + 1) / 2, device=device), torch.tensor(w / 2, device=device)


def integrate(integrand: Callable[..., Tensor], *arguments: Tensor, nodes: int = 32) -> Tensor:
    r"""Return :math:`\int_0^1 f(x; a, b, \dots)\,dx` for every element of the arguments.

    Args:
        integrand: ``integrand(x, a, b, …)`` for nodes (n,) and arguments (m, 1); returns (m, n).
        arguments: float64 tensors that broadcast against each other.
        nodes: how many nodes.

    Returns:
        The integrals, of the arguments' common shape.

    """
    return moments(integrand, *arguments, nodes=nodes, highest=0)[0]


def moments(integrand: Callable[..., Tensor], *arguments: Tensor, nodes: int = 32, highest: int = 2) -> Tensor:
    r"""Return :math:`\int_0^1 x^k f(x; a, b, \dots)\,dx` for k = 0, …, ``highest``, along a new first dimension."""
    shape = torch.broadcast_shapes(*(a.shape for a in arguments))
    columns = [a.expand(shape).reshape(-1, 1) for a in arguments]
    x, w = legendre(nodes, columns[0].device)
    powers = torch.stack([w * x**k for k in range(highest + 1)])
    out = columns[0].new_empty(len(powers), len(columns[0]))
    for i in range(0, out.shape[1], BLOCK):
        out[:, i : i + BLOCK] = powers @ integrand(x, *(column[i : i + BLOCK] for column in columns)).mT
    return out.reshape(len(out), *shape)
