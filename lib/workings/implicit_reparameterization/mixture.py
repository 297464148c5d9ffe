"""Mixtures, although the component of a sample is a discrete choice."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, Independent
from torch.distributions import Normal as TorchNormal

from workings.implicit_reparameterization.implicit import Implicit, Shape, implicit


class MixtureSameFamily(Implicit, torch.distributions.MixtureSameFamily):
    r"""A mixture whose samples have gradients to the weights too.

    In one dimension the standardization is :math:`F = \sum_k \pi_k F_k`. For independent dimensions it is conditional,
    :math:`S_d = \sum_k w_k(z_{<d}) F_k(z_d)` with :math:`w_k \propto \pi_k \prod_{j<d} q_k(z_j)`, the probability of
    component k given the dimensions before, and its matrix of derivatives is triangular.

    Arguments as in ``torch.distributions.MixtureSameFamily``. The components must have a differentiable ``cdf``, and
    be univariate, or ``Independent`` over one dimension of such.

    Raises:
        ValueError: for components of another kind.

    >>> logits = torch.zeros(2, requires_grad=True)
    >>> parts = torch.distributions.Normal(torch.tensor([-1.0, 2.0]), 1.0)
    >>> mixture = MixtureSameFamily(torch.distributions.Categorical(logits=logits), parts)
    >>> z = mixture.rsample((10_000,), torch.Generator().manual_seed(0))
    >>> (gradient,) = torch.autograd.grad(z.mean(), logits)
    >>> torch.allclose(gradient, torch.tensor([-0.75, 0.75]), atol=0.03)  # π₁π₂ times the difference of the means
    True

    """

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        super().__init__(mixture_distribution, component_distribution, validate_args)
        base = component_distribution
        self._base: Any = base.base_dist if isinstance(base, Independent) else base
        if len(self._base.event_shape) or len(self.event_shape) > 1:
            raise ValueError(
                "component_distribution must be univariate, or Independent over one dimension of a univariate one; "
                f"got {type(self._base).__name__} with event shape {tuple(component_distribution.event_shape)}"
            )

    def expand(self, batch_shape: Shape, _instance: MixtureSameFamily | None = None) -> MixtureSameFamily:
        """Return the distribution with a larger batch shape."""
        batch, count = torch.Size(batch_shape), self._num_component
        component = self._component_distribution.expand((*batch, count))
        return MixtureSameFamily(self._mixture_distribution.expand(batch), component, self._validate_args)

    def rsample(self, sample_shape: Shape = (), generator: torch.Generator | None = None) -> Tensor:
        """Return a sample with gradients to the weights and to the parameters of the components."""
        with torch.no_grad():
            z = self._draw(torch.Size(sample_shape), generator)
        return implicit(z, *self.standardize(z)) if torch.is_grad_enabled() else z

    def standardize(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the standardization of ``z``, up to constants, and its derivatives with respect to ``z``."""
        several = len(self.event_shape)
        each = z.unsqueeze(-2) if several else z.unsqueeze(-1)  # (..., K, D) or (..., K)
        log_q, level = self._base.log_prob(each), self._level(each)
        log_pi = torch.log_softmax(self._mixture_distribution.logits, -1)
        if not several:
            weights = torch.exp(log_pi)
            return (weights * level).sum(-1), (weights * log_q.exp()).sum(-1).detach()
        before = log_pi[..., None] + torch.cumsum(log_q, -1) - log_q
        weights = torch.softmax(before, -2)
        return (weights * level).sum(-2), self._matrix(each, weights.detach(), level.detach(), log_q.detach().exp())

    def _matrix(self, each: Tensor, weights: Tensor, level: Tensor, q: Tensor) -> Tensor:
        r"""Return :math:`\partial S_d/\partial z_j`, (..., D, D): the density at j = d, and below."""
        with torch.enable_grad():
            at = each.detach().expand(q.shape).clone().requires_grad_()
            (score,) = torch.autograd.grad(self._base.log_prob(at).sum(), at)
        share = weights * level
        mean = torch.einsum("...kd,...kj->...dj", weights, score)
        through = torch.einsum("...kd,...kj->...dj", share, score) - mean * share.sum(-2)[..., None]
        return torch.tril(through, -1) + torch.diag_embed((weights * q).sum(-2))

    def _level(self, each: Tensor) -> Tensor:
        """Return each component's distribution function; of normal ones, less 1 in the upper tail, to keep digits."""
        if not isinstance(self._base, TorchNormal):
            level: Tensor = self._base.cdf(each)
            return level
        distance = (each - self._base.loc) / self._base.scale
        upper = distance.detach().mean(-1 - len(self.event_shape), keepdim=True) > 0
        value = torch.erfc(torch.where(upper, distance, -distance) / math.sqrt(2)) / 2
        return torch.where(upper, -value, value)

    def _draw(self, shape: torch.Size, generator: torch.Generator | None) -> Tensor:
        """Draw from a component chosen for each sample."""
        if generator is None:
            drawn: Tensor = torch.distributions.MixtureSameFamily.sample(self, shape)
            return drawn
        probs = self._mixture_distribution.probs
        flat = probs.expand((*shape, *probs.shape)).reshape(-1, self._num_component).to(generator.device)
        chosen = torch.multinomial(flat, 1, generator=generator).reshape(shape + self.batch_shape).to(probs.device)
        parts = _sample(self._component_distribution, shape, generator)
        index = chosen.reshape(*chosen.shape, *[1] * (1 + len(self.event_shape)))
        axis = len(shape) + len(self.batch_shape)
        return parts.gather(axis, index.expand(*chosen.shape, 1, *self.event_shape)).squeeze(axis)


def _sample(component: Any, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Sample a component with a generator: passed on where it can be, else as the seed of torch's own."""
    if "generator" in inspect.signature(component.sample).parameters:
        passed: Tensor = component.sample(shape, generator=generator)
        return passed
    seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        drawn: Tensor = component.sample(shape)
    return drawn
