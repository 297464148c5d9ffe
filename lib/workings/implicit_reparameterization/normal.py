"""The normal distribution, reparameterized by its distribution function: what the post does, for any shape."""

from __future__ import annotations

import torch
from torch import Tensor

from workings.implicit_reparameterization.implicit import Implicit, Shape, implicit, normal


class Normal(Implicit, torch.distributions.Normal):
    r"""The normal distribution with :math:`\nabla_\phi z = -\nabla_\phi F / q` (equation 7), from autograd.

    It gives what torch's explicit ``loc + scale * eps`` gives, and shows how little it takes. Arguments as there.

    >>> scale = torch.tensor(2.0, requires_grad=True)
    >>> z = Normal(1.0, scale).rsample((3,), torch.Generator().manual_seed(0))
    >>> (gradient,) = torch.autograd.grad(z.sum(), scale)
    >>> torch.allclose(gradient, ((z - 1) / 2).sum())
    True

    """

    def rsample(self, sample_shape: Shape = (), generator: torch.Generator | None = None) -> Tensor:
        """Return a sample with gradients to location and scale."""
        loc, scale = self.loc.detach(), self.scale.detach()
        z = loc + scale * normal(self._extended_shape(torch.Size(sample_shape)), loc, generator)
        return implicit(z, self.cdf(z), self.log_prob(z).exp())
