"""The von Mises distribution, a normal distribution on the circle."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Uniform, constraints, register_kl

from workings.implicit_reparameterization.implicit import Implicit, Shape, moved, uniform
from workings.implicit_reparameterization.special import bessel_gap, von_mises_gradient, von_mises_tail


class VonMises(Implicit, torch.distributions.VonMises):
    r"""The von Mises distribution, :math:`q(z) = e^{\kappa\cos(z - \mu)} / (2\pi I_0(\kappa))` on :math:`[-\pi, \pi]`.

    Args:
        loc: the mean direction μ, in radians.
        concentration: κ, not negative; 0 is the uniform distribution.
        validate_args: check arguments and values.

    >>> kappa = torch.tensor(2.0, requires_grad=True)
    >>> z = VonMises(0.0, kappa).rsample((10_000,), torch.Generator().manual_seed(0))
    >>> (gradient,) = torch.autograd.grad(z.cos().mean(), kappa)
    >>> abs(gradient.item() - 0.1642) < 0.01  # d/dκ of I₁(κ)/I₀(κ)
    True

    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.nonnegative}  # noqa: RUF012

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density; the value may lie on any turn of the circle."""
        if self._validate_args:
            self._validate_sample(value)
        fall = -2 * torch.sin((value - self.loc) / 2).square()
        return self.concentration * fall - math.log(2 * math.pi) - torch.log(torch.special.i0e(self.concentration))

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability from half a turn below ``loc`` up to ``value``, taken on the turn around ``loc``."""
        if self._validate_args:
            self._validate_sample(value)
        kappa, angle = torch.broadcast_tensors(self.concentration, _wrapped(value - self.loc))
        at, k = angle.detach(), kappa.detach()
        tail = von_mises_tail(k, at.abs())
        density = torch.exp(-2 * k * torch.sin(at / 2) ** 2) / (2 * math.pi * torch.special.i0e(k))
        return moved(
            torch.where(at > 0, 1 - tail, tail).to(angle.dtype),
            (angle, lambda: density),
            (kappa, lambda: -density * von_mises_gradient(k, at)),
        )

    def rsample(self, sample_shape: Shape = (), generator: torch.Generator | None = None) -> Tensor:
        """Return a sample in [-π, π] with gradients to ``loc`` (1) and ``concentration``."""
        shape = self._extended_shape(torch.Size(sample_shape))
        theta = _best_fisher(self.concentration.detach(), shape, generator)
        kappa = self.concentration.expand(shape)
        angle = moved(theta, (kappa, lambda: von_mises_gradient(kappa, theta)))
        return _wrapped(self.loc + angle)

    @property
    def variance(self) -> Tensor:
        r"""The circular variance, :math:`1 - I_1(\kappa)/I_0(\kappa)`."""
        return bessel_gap(self.concentration).to(self.concentration.dtype)

    def entropy(self) -> Tensor:
        r"""Return :math:`\log(2\pi I_0(\kappa)) - \kappa I_1(\kappa)/I_0(\kappa)`."""
        kappa = self.concentration
        return math.log(2 * math.pi) + torch.log(torch.special.i0e(kappa)) + kappa * self.variance


@register_kl(VonMises, VonMises)
def _kl_von_mises(p: VonMises, q: VonMises) -> Tensor:
    # both log I0(κ) with e^κ taken out; cosines as 1 - 2 sin²
    log_ratio = torch.log(torch.special.i0e(q.concentration)) - torch.log(torch.special.i0e(p.concentration))
    apart = 2 * torch.sin((p.loc - q.loc) / 2).square()
    kept = 1 - p.variance
    return log_ratio + p.variance * (q.concentration - p.concentration) + q.concentration * kept * apart


@register_kl(VonMises, Uniform)
def _kl_von_mises_uniform(p: VonMises, q: Uniform) -> Tensor:
    covers = (q.low <= -math.pi + 1e-6) & (q.high >= math.pi - 1e-6)
    return torch.where(covers, torch.log(q.high - q.low) - p.entropy(), math.inf)


def _wrapped(angle: Tensor) -> Tensor:
    """Return angles on the turn from -π to π, those that are there unchanged."""
    return angle - 2 * math.pi * torch.round(angle.detach() / (2 * math.pi))


def _best_fisher(kappa: Tensor, shape: torch.Size, generator: torch.Generator | None) -> Tensor:
    r"""Draw angles around 0 by Best and Fisher's rejection (1979) from a wrapped Cauchy distribution.

    With ρ the envelope's parameter, :math:`\tan(\theta/2) = \frac{1-\rho}{1+\rho} \tan(\pi u/2)` draws from it, which
    loses no digit for small or large κ, where the usual arccosine does. Those refused are drawn again, alone.
    """
    root = torch.sqrt(1 + torch.sqrt(1 + 4 * kappa.double().square()))
    ratio = 2 / ((root + math.sqrt(2)) * root)  # ρ/κ
    rho = ratio * kappa
    shrink = (1 - rho) / (1 + rho)
    excess = (1 - rho).square() / (2 * ratio)  # κ (r - 1), where the envelope is 1/(r - cos θ)
    k, shrink, excess = (p.to(kappa.dtype).expand(shape).reshape(-1) for p in (kappa, shrink, excess))
    theta, refused = _proposed(k, shrink, excess, generator)
    left = refused.nonzero()[:, 0]
    while len(left):
        again, refused = _proposed(k[left], shrink[left], excess[left], generator)
        theta[left] = again
        left = left[refused]
    return theta.reshape(shape)


def _proposed(
    kappa: Tensor, shrink: Tensor, excess: Tensor, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Return angles drawn from the envelope, and which of them are refused."""
    u, v = uniform((2, len(kappa)), kappa, generator)
    half = shrink * torch.tan(math.pi * (u - 0.5))
    square = half.square()
    c = excess + kappa * (2 * square / (1 + square))
    return 2 * torch.atan(half), torch.log(c / v) + 1 < c
