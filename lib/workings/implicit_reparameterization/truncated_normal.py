"""The normal distribution between two bounds."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import constraints, register_kl
from torch.distributions.utils import broadcast_all

from workings.implicit_reparameterization.implicit import Implicit, Shape, moved, uniform

LOG_SQRT_2PI = math.log(2 * math.pi) / 2


class TruncatedNormal(Implicit):
    r"""The normal distribution, given that it falls between ``low`` and ``high``.

    With :math:`u` the level of z, and a and b the bounds,

    .. math:: \nabla_\phi z = -\frac{\nabla F(z) - (1-u)\,\nabla F(a) - u\,\nabla F(b)}{q(z)}

    where F and q are those of the whole normal distribution: the bounds stay where they are as its parameters move.
    Far in a tail everything is computed from logarithms.

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
        loc: Tensor | float,
        scale: Tensor | float,
        low: Tensor | float = -math.inf,
        high: Tensor | float = math.inf,
        validate_args: bool | None = None,
    ) -> None:
        self.loc, self.scale, self.low, self.high = broadcast_all(loc, scale, low, high)
        super().__init__(self.loc.shape, validate_args=validate_args)
        if self._validate_args and not (self.low < self.high).all():
            worst = int((self.high - self.low).argmin())
            a, b = self.low.reshape(-1)[worst].item(), self.high.reshape(-1)[worst].item()
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
        xi = (value - self.loc) / self.scale
        return -xi.square() / 2 - LOG_SQRT_2PI - torch.log(self.scale) - self._log_mass()

    def cdf(self, value: Tensor) -> Tensor:
        """Return the distribution function."""
        if self._validate_args:
            self._validate_sample(value)
        return _level((value - self.loc) / self.scale, *self._bounds())

    def icdf(self, value: Tensor) -> Tensor:
        r"""Return the quantile of a level, :math:`F^{-1}(u)`: the explicit reparameterization, for uniform u.

        By autograd through :math:`\Phi^{-1}`, and so for bounds within 37 scales of ``loc``.
        """
        a, b = self._bounds()
        flip = torch.where(a + b > 0, -1.0, 1.0).to(a)  # to where probabilities are small numbers, not near 1
        p, q = torch.special.ndtr(flip * a), torch.special.ndtr(flip * b)
        quantile: Tensor = self.loc + self.scale * flip * torch.special.ndtri(p + value * (q - p))
        return quantile

    def rsample(self, sample_shape: Shape = (), generator: torch.Generator | None = None) -> Tensor:
        """Return a sample with gradients to location, scale and both bounds."""
        u = uniform(self._extended_shape(torch.Size(sample_shape)), self.loc, generator).double()
        with torch.no_grad():
            a, b = (bound.double() for bound in self._bounds())
            z = (self.loc + self.scale * _quantile(u, a, b)).to(self.loc.dtype)
            z = torch.minimum(torch.maximum(z, self.low), self.high)
            xi = ((z - self.loc) / self.scale).double()
            level = _level(xi, a, b)
            at_a, at_b = (1 - level) * _relative(a, xi), level * _relative(b, xi)
        loc, scale, low, high = (p.expand(z.shape) for p in (self.loc, self.scale, self.low, self.high))
        return moved(
            z,
            (loc, lambda: 1 - at_a - at_b),
            (scale, lambda: xi - a * at_a - b * at_b),
            (low, lambda: at_a),
            (high, lambda: at_b),
        )

    @property
    def mean(self) -> Tensor:
        r"""The mean, :math:`\mu + \sigma (\varphi(\alpha) - \varphi(\beta))/Z`."""
        a, b = self._bounds()
        return self.loc + self.scale * (self._edge(a) - self._edge(b))

    @property
    def variance(self) -> Tensor:
        """The variance."""
        a, b = self._bounds()
        at_a, at_b = self._edge(a), self._edge(b)
        return self.scale.square() * (1 + a * at_a - b * at_b - (at_a - at_b).square())

    def entropy(self) -> Tensor:
        """Return the entropy, in nats."""
        a, b = self._bounds()
        edges = a * self._edge(a) - b * self._edge(b)
        return LOG_SQRT_2PI + torch.log(self.scale) + self._log_mass() + (1 + edges) / 2

    def _bounds(self) -> tuple[Tensor, Tensor]:
        """Return the bounds in units of the scale; infinite ones as large numbers, whose products stay finite."""
        huge = torch.finfo(self.loc.dtype).max ** 0.25
        low, high = self.low.clamp(min=-huge), self.high.clamp(max=huge)
        return (low - self.loc) / self.scale, (high - self.loc) / self.scale

    def _log_mass(self) -> Tensor:
        return _log_difference(*self._bounds())

    def _edge(self, bound: Tensor) -> Tensor:
        """Return the standard density at a bound over the mass between both."""
        return torch.exp(-bound.square() / 2 - LOG_SQRT_2PI - self._log_mass())


@register_kl(TruncatedNormal, TruncatedNormal)
def _kl_truncated_normal(p: TruncatedNormal, q: TruncatedNormal) -> Tensor:
    square = p.variance + (p.mean - q.loc).square()
    cross = square / (2 * q.scale.square()) + LOG_SQRT_2PI + torch.log(q.scale) + q._log_mass()
    return torch.where((q.low <= p.low) & (q.high >= p.high), cross - p.entropy(), math.inf)


def _mirrored(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the bounds, mirrored at 0 where that makes the tail below them the small one, and where that is so."""
    mirror = a + b > 0
    return torch.where(mirror, -b, a), torch.where(mirror, -a, b), mirror


def _log_difference(a: Tensor, b: Tensor) -> Tensor:
    r"""Return :math:`\log(\Phi(b) - \Phi(a))`."""
    a, b, _ = _mirrored(a, b)
    below, above = torch.special.log_ndtr(a), torch.special.log_ndtr(b)
    log_mass: Tensor = above + torch.log(-torch.expm1(below - above))
    return log_mass


def _level(xi: Tensor, a: Tensor, b: Tensor) -> Tensor:
    r"""Return :math:`(\Phi(\xi) - \Phi(a))/(\Phi(b) - \Phi(a))`."""
    a, b, mirror = _mirrored(a, b)
    at, below, above = (torch.special.log_ndtr(x) for x in (torch.where(mirror, -xi, xi), a, b))
    level = (torch.exp(at - above) - torch.exp(below - above)) / -torch.expm1(below - above)
    return torch.where(mirror, 1 - level, level)


def _quantile(u: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the standard normal number of level ``u`` between the bounds, in float64."""
    a, b, mirror = _mirrored(a, b)
    u = torch.where(mirror, 1 - u, u)
    below, above = torch.special.log_ndtr(a), torch.special.log_ndtr(b)
    log_p = above + torch.log(u + (1 - u) * torch.exp(below - above))
    x = torch.special.ndtri(log_p.exp())
    far = (log_p < -600).nonzero(as_tuple=True)
    if len(far[0]):  # Newton's steps on log Φ, from its leading term
        target = log_p.expand(x.shape)[far]
        y = -torch.sqrt(-2 * target)
        for _ in range(6):
            log_ndtr = torch.special.log_ndtr(y)
            y = y - (log_ndtr - target) * torch.exp(log_ndtr + y.square() / 2 + LOG_SQRT_2PI)
        x = x.index_put(far, y)
    return torch.where(mirror, -x, x)


def _relative(bound: Tensor, xi: Tensor) -> Tensor:
    """Return the standard density at a bound over that at ``xi``."""
    return torch.exp((xi - bound) * (xi + bound) / 2)
