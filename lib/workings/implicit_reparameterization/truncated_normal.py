"""The normal distribution between two bounds."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import constraints, register_kl
from torch.distributions.utils import broadcast_all

from workings.implicit_reparameterization.implicit import Implicit, Shape, moved, uniform
from workings.implicit_reparameterization.quadrature import BLOCK, NEGLIGIBLE, legendre, moments
from workings.typed import Floats

LOG_SQRT_2PI = math.log(2 * math.pi) / 2


class TruncatedNormal(Implicit):
    r"""The normal distribution, given that it falls between ``low`` and ``high``.

    With :math:`u` the level of z, and a and b the bounds,

    .. math:: \nabla_\phi z = -\frac{\nabla F(z) - (1-u)\,\nabla F(a) - u\,\nabla F(b)}{q(z)}

    where F and q are those of the whole normal distribution: the bounds stay where they are as its parameters move.
    Far in a tail or between near bounds these terms cancel, and there the score is integrated over the side of z on
    which the score with respect to ``loc`` keeps its sign.

    Args:
        loc: the location μ of the whole distribution (not the mean of this one).
        scale: its scale σ.
        low: the lower bound; -inf for none.
        high: the upper bound; inf for none.
        validate_args: check arguments and values.

    Raises:
        ValueError: for ``low`` that is not below ``high``, and arguments out of range.

    >>> loc = torch.tensor(0.0, requires_grad=True)
    >>> z = TruncatedNormal(loc, 1.0, -0.5, 1.2).rsample((10_000,), torch.Generator().manual_seed(0))
    >>> (gradient,) = torch.autograd.grad(z.mean(), loc)
    >>> abs(gradient.item() - TruncatedNormal(0.0, 1.0, -0.5, 1.2).variance.item()) < 0.01  # over σ² = 1
    True

    """

    arg_constraints = {  # noqa: RUF012
        "loc": constraints.real,
        "scale": constraints.positive,
        "low": constraints.dependent(is_discrete=False, event_dim=0),
        "high": constraints.dependent(is_discrete=False, event_dim=0),
    }

    def __init__(
        self,
        loc: Floats | float,
        scale: Tensor | float,
        low: Tensor | float = -math.inf,
        high: Tensor | float = math.inf,
        validate_args: bool | None = None,
    ) -> None:
        self.loc, self.scale, low, high = broadcast_all(loc, scale, low, high)
        self.low, self.high = low.to(self.loc), high.to(self.loc)
        super().__init__(self.loc.shape, validate_args=validate_args)
        if self._validate_args and not (self.low < self.high).all():
            wrong = int((~(self.low < self.high)).reshape(-1).nonzero()[0])
            a, b = self.low.reshape(-1)[wrong].item(), self.high.reshape(-1)[wrong].item()
            raise ValueError(f"low must be below high; got low={a:g} and high={b:g}")

    def expand(self, batch_shape: Shape, _instance: TruncatedNormal | None = None) -> TruncatedNormal:
        """Return the distribution with a larger batch shape."""
        new: TruncatedNormal = self._get_checked_instance(TruncatedNormal, _instance)
        for name in ("loc", "scale", "low", "high"):
            setattr(new, name, getattr(self, name).expand(batch_shape))
        super(TruncatedNormal, new).__init__(torch.Size(batch_shape), validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> constraints.Constraint:
        """Return the interval between the bounds."""
        return constraints.interval(self.low, self.high)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density."""
        if self._validate_args:
            self._validate_sample(value)
        c, log_mass, _, _ = self._about()
        above = self._above(value, c)
        density = -above * (above + 2 * c) / 2 - log_mass - torch.log(self.scale.double())
        return density.to(self.loc.dtype)

    def cdf(self, value: Tensor) -> Tensor:
        """Return the distribution function."""
        if self._validate_args:
            self._validate_sample(value)
        value, loc, scale, low, high = torch.broadcast_tensors(value, self.loc, self.scale, self.low, self.high)
        with torch.no_grad():
            level, by_loc, by_scale, by_low, by_high = self._derivatives(value)
            q = self.log_prob(value).exp()
        return moved(
            level.to(self.loc.dtype),
            (value, lambda: q),
            *((p, lambda d=d: -q * d) for p, d in ((loc, by_loc), (scale, by_scale), (low, by_low), (high, by_high))),
        )

    def icdf(self, value: Tensor) -> Tensor:
        r"""Return the quantile of a level, :math:`F^{-1}(u)`: the explicit reparameterization, for uniform u.

        By autograd through :math:`\Phi^{-1}`, and so for bounds within 37 scales of ``loc``.
        """
        a, b = self._bounds()
        a, b, mirror = _mirrored(a, b)
        u = torch.where(mirror, 1 - value, value)
        p, q = torch.special.ndtr(a), torch.special.ndtr(b)
        x = torch.special.ndtri(p + u * (q - p))
        return self.loc + self.scale * torch.where(mirror, -x, x)

    def rsample(self, sample_shape: Shape = (), generator: torch.Generator | None = None) -> Tensor:
        """Return a sample with gradients to location, scale and both bounds."""
        u = uniform(self._extended_shape(torch.Size(sample_shape)), self.loc, generator)
        with torch.no_grad():
            a, b = (bound.double() for bound in self._bounds())
            z = (self.loc + self.scale * _quantile(u.double(), a, b)).to(self.loc.dtype)
            z = torch.minimum(torch.maximum(z, self.low), self.high)
        parameters = [p.expand(z.shape) for p in (self.loc, self.scale, self.low, self.high)]
        if not torch.is_grad_enabled() or not any(p.requires_grad for p in parameters):
            return z
        with torch.no_grad():
            derivatives = self._derivatives(z)[1:]
        return moved(z, *((p, lambda d=d: d) for p, d in zip(parameters, derivatives, strict=True)))

    @property
    def mean(self) -> Tensor:
        """The mean."""
        c, _, mean, _ = self._about()
        return self.loc + (self.scale * (c + mean)).to(self.loc.dtype)

    @property
    def variance(self) -> Tensor:
        """The variance."""
        return (self.scale.square() * self._about()[3]).to(self.loc.dtype)

    def entropy(self) -> Tensor:
        """Return the entropy, in nats."""
        c, log_mass, mean, variance = self._about()
        square = variance + mean.square() + 2 * c * mean  # E ξ² - c²
        return (square / 2 + log_mass + torch.log(self.scale.double())).to(self.loc.dtype)

    def _bounds(self) -> tuple[Tensor, Tensor]:
        """Return the bounds in units of the scale."""
        low, high = self._finite()
        return (low - self.loc) / self.scale, (high - self.loc) / self.scale

    def _finite(self) -> tuple[Tensor, Tensor]:
        """Return the bounds, infinite ones as large numbers whose products stay finite."""
        huge = torch.finfo(self.loc.dtype).max ** 0.25
        return self.low.clamp(min=-huge), self.high.clamp(max=huge)

    def _above(self, value: Tensor, c: Tensor) -> Tensor:
        """Return (value - loc)/scale - c in float64; from the bound, where c is one, so that no digit is lost."""
        value, loc, scale = value.double(), self.loc.double(), self.scale.double()
        a, b = (bound.double() for bound in self._bounds())
        from_low, from_high = ((value - bound.double()) / scale for bound in self._finite())
        at_low, at_high = (a > 0) & (c == a.detach()), (b < 0) & (c == b.detach())
        middle = (value - loc) / scale - c
        return torch.where(at_low, from_low + (a - c), torch.where(at_high, from_high + (b - c), middle))

    def _about(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the mode c in units of the scale, and logarithm of the mass, mean and variance of ξ - c."""
        a, b = (bound.double().reshape(-1) for bound in self._bounds())
        blocks = [_about_mode(*block) for block in zip(a.split(BLOCK), b.split(BLOCK), strict=True)]
        c, log_mass, mean, variance = (torch.cat(parts).reshape(self.loc.shape) for parts in zip(*blocks, strict=True))
        return c, log_mass, mean, variance

    def _derivatives(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the level of z and its derivatives with respect to loc, scale, low and high, in float64."""
        a, b = (bound.double() for bound in self._bounds())
        if ((a < 2) & (b > -2) & (b - a > 1)).all():  # the terms of the closed form hardly cancel
            xi = ((z - self.loc) / self.scale).double()
            start, stop, at = (torch.special.ndtr(x) for x in (a, b, xi))
            level = (at - start) / (stop - start)
            at_a, at_b = (1 - level) * _relative(a, xi), level * _relative(b, xi)
            return level, 1 - at_a - at_b, xi - a * at_a - b * at_b, at_a, at_b
        return self._short_side(z, a, b)

    def _short_side(self, z: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the same by quadrature, where no digit may be lost."""
        c, log_mass, mean, variance = self._about()
        above = self._above(z, c)
        xi, score = above + c, above - mean
        end = torch.sqrt(xi.square() + 2 * NEGLIGIBLE)  # where the density is negligible beside that at z
        to_low, to_high = torch.maximum(a - c - above, -end - xi), torch.minimum(b - c - above, end - xi)
        reach = torch.where(score < 0, to_low, to_high)

        def density(x: Tensor, xi: Tensor, reach: Tensor) -> Tensor:
            s = reach * x
            return torch.exp(-s * (s + 2 * xi) / 2)

        m = moments(density, *torch.broadcast_tensors(xi, reach)) * reach
        m1, m2 = reach * m[1], reach.square() * m[2]
        square = variance + mean.square() + 2 * c * mean
        by_loc = score * m[0] + m1
        by_scale = (above.square() + 2 * c * above - square) * m[0] + 2 * xi * m1 + m2
        # the mass on that side of z, over that of the whole
        share = m[0].abs() * torch.exp(-above * (above + 2 * c) / 2 - log_mass)
        level = torch.where(score < 0, share, 1 - share)
        return level, by_loc, by_scale, (1 - level) * _relative(a, xi), level * _relative(b, xi)


@register_kl(TruncatedNormal, TruncatedNormal)
def _kl_truncated_normal(p: TruncatedNormal, q: TruncatedNormal) -> Tensor:
    c, log_mass, _, _ = q._about()
    square = p.variance + (p.mean - q.loc).square()
    cross = square / (2 * q.scale.square()) - c.square() / 2 + log_mass + torch.log(q.scale)
    return torch.where((q.low <= p.low) & (q.high >= p.high), cross.to(p.loc.dtype) - p.entropy(), math.inf)


def _about_mode(a: Tensor, b: Tensor, nodes: int = 64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""Return the mode c between a and b and, with the density :math:`w = e^{-(\xi^2-c^2)/2}`, three integrals of it.

    They are the logarithm of its mass, mean and variance of ξ - c: by quadrature, in float64, differentiable.
    """
    c = torch.minimum(torch.maximum(torch.zeros_like(a), a), b).detach()
    end = torch.sqrt(c.square() + 2 * NEGLIGIBLE)
    start, stop = torch.maximum(a, -end), torch.minimum(b, end)
    x, w = legendre(nodes, a.device)
    t = (start - c)[..., None] + (stop - start)[..., None] * x
    weights = w * torch.exp(-t * (t + 2 * c[..., None]) / 2)
    total = weights.sum(-1)
    weights = weights / total[..., None]
    mean = (weights * t).sum(-1)
    return c, torch.log((stop - start) * total), mean, (weights * (t - mean[..., None]).square()).sum(-1)


def _mirrored(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the bounds, mirrored at 0 where that makes the tail below them the small one, and where that is so."""
    mirror = a + b > 0
    return torch.where(mirror, -b, a), torch.where(mirror, -a, b), mirror


def _quantile(u: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the standard normal number of level ``u`` between the bounds, in float64."""
    a, b, mirror = _mirrored(a, b)
    u = torch.where(mirror, 1 - u, u)
    below, above = torch.special.log_ndtr(a), torch.special.log_ndtr(b)
    log_p = above + torch.log(u + (1 - u) * torch.exp(below - above))
    x = torch.special.ndtri(log_p.exp())
    far = (log_p < -600).nonzero(as_tuple=True)
    if len(far[0]):  # Newton's steps on log Φ, from its leading term
        target = log_p[far]
        y = -torch.sqrt(-2 * target)
        for _ in range(6):
            log_ndtr = torch.special.log_ndtr(y)
            y = y - (log_ndtr - target) * torch.exp(log_ndtr + y.square() / 2 + LOG_SQRT_2PI)
        x = x.index_put(far, y)
    return torch.where(mirror, -x, x)


def _relative(bound: Tensor, xi: Tensor) -> Tensor:
    """Return the standard density at a bound over that at ``xi``."""
    return torch.exp((xi - bound) * (xi + bound) / 2)
