r"""The one mechanism: give a sample the gradient that its standardization implies.

A standardization :math:`S_\phi` maps a sample :math:`z \sim q_\phi` to noise :math:`\varepsilon = S_\phi(z)` whose law
does not depend on :math:`\phi`. Holding the noise fixed,

.. math:: \nabla_\phi z = -(\nabla_z S_\phi)^{-1} \nabla_\phi S_\phi

(Figurnov, Mohamed and Mnih, 2018, equation 6). Nothing is inverted but the derivative with respect to z.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

Shape = torch.Size | list[int] | tuple[int, ...]


def implicit(z: Tensor, standardized: Tensor, slope: Tensor) -> Tensor:
    r"""Return ``z`` with :math:`\partial z = -(\partial_z S)^{-1} \partial S` for its gradient (equations 6 and 7).

    Args:
        z: a sample, of any shape; what it was made from is not looked at.
        standardized: :math:`S_\phi(z)` with the graph that leads to :math:`\phi`, shaped like ``z``. Only its graph is
            used, so a shift by a constant changes nothing. For one dimension, the distribution function will do.
        slope: :math:`\partial_z S`. Shaped like ``z`` where each number has a standardization of its own: then it is
            the density. Of shape (..., D, D) where the last dimension of ``z`` is standardized as a whole: a matrix
            whose row i holds the derivatives of :math:`S_i`, lower triangular, as :math:`S_i` sees no later z.

    Returns:
        ``z``, with gradients to all that ``standardized`` was made from, once: a second derivative is refused.

    Raises:
        ValueError: for shapes that do not fit.

    >>> rate = torch.tensor(2.0, requires_grad=True)
    >>> z = torch.tensor([0.5, 1.5])  # two draws of an exponential distribution
    >>> implicit(z, 1 - torch.exp(-rate * z), rate * torch.exp(-rate * z)).sum().backward()
    >>> rate.grad  # z = ε/λ changes at the rate -z/λ
    tensor(-1.)

    """
    if standardized.shape != z.shape:
        raise ValueError(f"standardized must be shaped like z, {tuple(z.shape)}; got {tuple(standardized.shape)}")
    matrix = (*z.shape, z.shape[-1]) if z.dim() else ()
    if slope.shape not in (z.shape, matrix):
        raise ValueError(
            f"slope must be shaped like z, {tuple(z.shape)}, or hold a matrix for each last dimension, "
            f"{matrix}; got {tuple(slope.shape)}"
        )
    attached: Tensor = _Implicit.apply(z.detach(), standardized, slope.detach())
    return attached


def moved(value: Tensor, *partials: tuple[Tensor, Callable[[], Tensor]]) -> Tensor:
    r"""Return ``value`` with derivatives that are known.

    That is `implicit` with the standardization :math:`z - \sum_i z'_i \phi_i`, which is right to first order.

    Args:
        value: a sample, or anything else that depends on parameters, of any shape.
        *partials: pairs of a tensor that broadcasts to ``value`` and a function that returns the derivative with
            respect to it, of the shape of ``value``; it is called only where a gradient is wanted.

    Returns:
        ``value`` with gradients to these tensors, once.

    >>> scale = torch.tensor(2.0, requires_grad=True)
    >>> z = torch.tensor([0.5, -3.0])  # two draws around 0, which grow in proportion to their scale
    >>> moved(z, (scale, lambda: z / scale)).sum().backward()
    >>> scale.grad
    tensor(-1.2500)

    """
    needed = [(parameter, derive()) for parameter, derive in partials if _tracked(parameter)]
    if not needed:
        return value.detach()
    standardized = -sum(derivative.detach().to(value) * parameter for parameter, derivative in needed)
    return implicit(value, standardized + torch.zeros_like(value), torch.ones_like(value))


def _tracked(parameter: Tensor) -> bool:
    return parameter.requires_grad and torch.is_grad_enabled()


class _Implicit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, standardized: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, None]:
        (grad,), (slope,) = grads, ctx.saved_tensors
        if slope.shape == grad.shape:
            pulled = -grad.detach() / slope
        else:
            pulled = -torch.linalg.solve_triangular(slope.mT, grad.detach()[..., None], upper=True)[..., 0]
        return None, _Once.apply(pulled, grad), None


class _Once(torch.autograd.Function):
    """The identity on its first argument, which cannot be differentiated: rather an error than a wrong number."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, grad: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None]:
        raise NotImplementedError(
            "no second derivative goes through an implicit sample or a distribution function with known derivatives: "
            "the first takes the slope as a constant. Differentiate once, or use an explicit reparameterization."
        )


class Implicit(Distribution):
    """A distribution whose `rsample` is reparameterized, and draws from a ``generator`` where one is given."""

    has_rsample = True

    def rsample(self, sample_shape: Shape = (), generator: torch.Generator | None = None) -> Tensor:
        """Return a sample of shape ``sample_shape + batch_shape + event_shape`` with gradients to the parameters."""
        raise NotImplementedError

    def sample(self, sample_shape: Shape = (), generator: torch.Generator | None = None) -> Tensor:
        """Return a sample without gradients."""
        with torch.no_grad():
            return self.rsample(sample_shape, generator)


def uniform(shape: Shape, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw from (0, 1), both ends excluded, with the dtype and on the device of ``like``."""
    device = like.device if generator is None else generator.device
    u = torch.rand(shape, dtype=like.dtype, device=device, generator=generator).to(like.device)
    return u.clamp(min=torch.finfo(u.dtype).tiny)


def normal(shape: Shape, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw from the standard normal distribution, with the dtype and on the device of ``like``."""
    device = like.device if generator is None else generator.device
    return torch.randn(shape, dtype=like.dtype, device=device, generator=generator).to(like.device)


def standard_gamma(alpha: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw from the gamma distributions of shape ``alpha`` and rate 1, by torch's own sampler."""
    source = alpha.detach() if generator is None else alpha.detach().to(generator.device)
    return torch._standard_gamma(source, generator=generator).to(alpha.device)
