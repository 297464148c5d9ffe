"""Tuning curves: how the mean response of each neuron depends on the stimulus. Any function of it will do.

A tuning curve is given by its logarithm, a function from stimuli (...) to (..., N): far out on the flank of a Gaussian
the rate itself is no number any more, its logarithm is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from workings.typed import Floats

Tuning = Callable[[Tensor], Tensor]  # stimuli (...) to the logarithms of rates at gain one, (..., N)


def gaussian(preferred: Tensor, width: float | Tensor) -> Tuning:
    r"""Return bells :math:`f_i(s) = \exp(-(s - s_i)^2 / 2\sigma_t^2)`.

    Args:
        preferred: each neuron's preferred stimulus :math:`s_i`, (N,).
        width: :math:`\sigma_t`, a number or (N,).

    Returns:
        Their logarithms, as a function of stimuli.

    Raises:
        ValueError: for a width that is not positive.

    >>> gaussian(torch.tensor([0.0, 2.0]), 1.0)(torch.tensor(0.0)).tolist()
    [-0.0, -2.0]

    """
    if not bool((torch.as_tensor(width) > 0).all()):
        raise ValueError(f"width is {width}; the width of a tuning curve is positive")
    return lambda s: -(((s[..., None] - preferred) / width) ** 2) / 2


def sigmoid(threshold: Tensor, slope: float | Tensor) -> Tuning:
    r"""Return neurons that respond the more the larger the stimulus: :math:`f_i(s) = 1 / (1 + e^{-k(s - s_i)})`.

    Args:
        threshold: where each neuron is at half of its most, (N,).
        slope: k, a number or (N,); negative for neurons that prefer small stimuli.

    Returns:
        Their logarithms, as a function of stimuli.

    """
    return lambda s: logsigmoid(slope * (s[..., None] - threshold))


def slopes(function: Tuning, s: Floats) -> Tensor:
    """Return the derivative of ``function`` with respect to the stimulus, for each stimulus by itself.

    Args:
        function: stimuli (...) to (..., N): a tuning curve, a kernel.
        s: stimuli (...).

    Returns:
        The slopes (..., N), by automatic differentiation.

    >>> slopes(gaussian(torch.tensor([0.0, 2.0]), 1.0), torch.tensor(0.5)).tolist()
    [-0.5, 1.5]

    """
    with torch.enable_grad():
        x = s.detach().requires_grad_()
        y = function(x)
        along = torch.zeros_like(y, requires_grad=True)
        (back,) = torch.autograd.grad(y, x, along, create_graph=True)  # linear in what goes back
        (forth,) = torch.autograd.grad(back.sum(), along)
    return forth.detach()
