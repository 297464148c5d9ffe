r"""The two losses of flow matching: against the marginal velocity, and against the conditional one.

Both are means over a batch of squared norms, :math:`\|v - u\|^2` summed over a state's dimensions. They differ by a
number that no parameter changes (theorem 2 of Lipman et al., 2023), so their gradients agree on average and their
values do not: at the best field the marginal loss is 0 and the conditional one is not.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from workings.flow_matching.marginal import EmpiricalMarginal
from workings.flow_matching.paths import GaussianPath, same_shape
from workings.typed import Floats

VectorField = Callable[[Tensor, Tensor], Tensor]


def conditional_loss(
    field: VectorField,
    path: GaussianPath,
    x1: Tensor,
    x0: Tensor | None = None,
    t: Tensor | None = None,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Return the conditional flow-matching loss of a batch, a 0-dim tensor: one evaluation of the field.

    .. math:: L_{\text{CFM}} = E_{t,\,x_0,\,x_1} \big\| v(t, x_t) - u_t(x_t \mid x_1) \big\|^2, \qquad
        x_t = \psi_t(x_0 \mid x_1)

    Args:
        field: ``field(t, x)`` for times (B,) and states (B, ...).
        path: the path.
        x1: data, shape (B, ...).
        x0: noise, shaped like ``x1``, perhaps paired with it (`optimal_pairing`); drawn if None.
        t: times, shape (B,); drawn uniformly if None.
        generator: for what is drawn: the times first, then the noise.

    Raises:
        ValueError: for an empty batch, or shapes that do not fit.

    """
    if x1.dim() == 0 or not x1.numel():
        raise ValueError(f"x1 must hold a batch of states, shape (B, ...); got shape {tuple(x1.shape)}")
    if t is None:
        t = path.times(len(x1), x1, generator)
    if x0 is None:
        x0 = standard_normal(x1.shape, x1, generator)
    x, u = path.sample(t, x0, x1)
    return mean_square(field(t, x), u)


def marginal_loss(field: VectorField, marginal: EmpiricalMarginal, t: Tensor, x: Floats) -> Tensor:
    r"""Return the flow-matching loss against the exact marginal velocity at given points, a 0-dim tensor.

    .. math:: L_{\text{FM}} = E_{t,\,x} \big\| v(t, x) - u_t(x) \big\|^2, \qquad x \sim p_t

    Args:
        field: ``field(t, x)``.
        marginal: the marginal path of the data.
        t: times, shape (B,).
        x: points that were drawn from :math:`p_t`, shape (B, d).

    """
    return mean_square(field(t, x), marginal.velocity(t, x))


def mean_square(v: Tensor, u: Tensor) -> Tensor:
    """Return the mean over the batch of ‖v − u‖², for two fields' values of one shape (B, ...)."""
    same_shape("the field's value", v, "the velocity", u)
    return (v - u).square().sum() / len(v)


def standard_normal(shape: torch.Size | tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw standard normal noise in ``like``'s dtype, on the generator's device, and move it to ``like``'s."""
    device = like.device if generator is None else generator.device
    return torch.randn(shape, dtype=like.dtype, device=device, generator=generator).to(like.device)
