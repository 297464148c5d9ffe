"""The neural tangent kernel of an infinitely wide ReLU network, in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from workings.spectral_bias.kernels import paired
from workings.spectral_bias.networks import PARAMETRIZATIONS
from workings.typed import Floats, NonNegative

BLOCK = 2**16  # entries worked on at a time: what all layers need of them stays in the cache


def arc_cosine(cross: Tensor, square: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return :math:`\mathbb{E}[(u)_+ (v)_+]` and :math:`\mathbb{E}[1_{u>0}\,1_{v>0}]` for Gaussians u, v of mean zero.

    .. math:: \frac{\sqrt{ss'}}{2\pi}\bigl(\sin\vartheta + (\pi - \vartheta)\cos\vartheta\bigr), \qquad
              \frac{\pi - \vartheta}{2\pi}, \qquad \cos\vartheta = c / \sqrt{ss'}

    Where a variance is zero both are zero, as PyTorch takes the slope of the ReLU at zero.

    Args:
        cross: c, the covariance of u and v.
        square: s, the variance of u; broadcasts.
        other: s', the variance of v; broadcasts.

    Returns:
        Two tensors, shaped like ``cross``.

    >>> one = torch.ones((), dtype=torch.float64)
    >>> [round(float(moment), 4) for moment in arc_cosine(0 * one, one, one)]
    [0.1592, 0.25]

    """
    scale = torch.sqrt(square * other)
    seen = scale > 0
    cosine = (cross / torch.where(seen, scale, torch.ones_like(scale))).clamp(-1, 1)
    rest = math.pi - torch.acos(cosine)
    first = scale * (torch.sqrt(1 - cosine * cosine) + rest * cosine) / (2 * math.pi)
    return first, torch.where(seen, rest / (2 * math.pi), torch.zeros_like(rest))


def relu_ntk(
    x: Floats,
    other: Floats | None = None,
    *,
    hidden: Sequence[int] = (1024, 1024, 1024),
    parametrization: str = "standard",
    bias: bool = True,
    weight_variance: NonNegative = 1.0,
) -> Tensor:
    r"""Return the neural tangent kernel that `MLP` has in the limit of wide layers.

    Layer by layer, with the moments of `arc_cosine` taken at the covariance :math:`\Sigma`,

    .. math:: \Theta \leftarrow g\,\mathbb{E}[(u)_+ (v)_+] + \beta + w\,\mathbb{E}[1_{u>0} 1_{v>0}]\,\Theta, \qquad
              \Sigma \leftarrow w\,\mathbb{E}[(u)_+ (v)_+]

    where β is 1 with biases and 0 without, and g is the layer's width in the standard parametrization, w in the other:
    so in the standard one the kernel grows in proportion to the width, and learning rates have to fall with it.

    Args:
        x: points (n, d).
        other: points (m, d); ``x`` itself if None.
        hidden: the widths of the hidden layers; in the "ntk" parametrization only their number matters.
        parametrization: ``"standard"`` or ``"ntk"``.
        bias: whether the layers have (trained) biases, zero at first.
        weight_variance: w.

    Returns:
        The kernel matrix (n, m).

    Raises:
        ValueError: for another parametrization, no hidden layer, or points that are not two-dimensional.

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    >>> relu_ntk(x, hidden=(1,), parametrization="ntk", bias=False).round(decimals=4).tolist()
    [[0.5, 0.0796], [0.0796, 0.5]]

    """
    if parametrization not in PARAMETRIZATIONS:
        raise ValueError(f"parametrization is {parametrization!r}; it can be 'standard' or 'ntk'")
    if not hidden:
        raise ValueError(f"hidden must hold the widths of hidden layers, as (256, 256) does; got {hidden!r}")
    columns = x if other is None else other
    paired(x, columns)
    w, d, beta = weight_variance, x.shape[1], float(bias)
    gains = [float(width) for width in hidden] if parametrization == "standard" else [w] * len(hidden)
    first = 1.0 if parametrization == "standard" else w / d

    def rows(part: Tensor) -> Tensor:
        inner = part @ columns.T
        left, right = part.square().sum(1)[:, None], columns.square().sum(1)[None]
        sigma, theta = w / d * inner, first * inner + beta
        for layer, gain in enumerate(gains):
            shrink = (w / 2) ** layer * w / d  # variances halve at every ReLU
            moment, slope = arc_cosine(sigma, shrink * left, shrink * right)
            sigma, theta = w * moment, gain * moment + beta + w * slope * theta
        return theta

    return torch.cat([rows(part) for part in x.split(max(1, BLOCK // max(1, len(columns))))])
