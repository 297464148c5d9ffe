r"""Gaussian probability paths from noise at :math:`t = 0` to one data point :math:`x_1` at :math:`t = 1`.

.. math:: p_t(x \mid x_1) = \mathcal N\big(x \mid \alpha_t x_1,\, \sigma_t^2 I\big), \qquad
    \psi_t(x_0 \mid x_1) = \sigma_t x_0 + \alpha_t x_1

A path is its two functions :math:`\alpha_t` and :math:`\sigma_t` with their derivatives; all else follows from them.
Lipman et al. (2023), arXiv 2210.02747, section 4.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from workings.typed import Whole

EPSILON = 1e-5  # how far from t = 1 a path stops that is singular there, as in the paper


class GaussianPath(ABC):
    """What all paths have in common.

    Times are tensors of any floating dtype in [0, 1]: 0-dim, or of a shape with which the states' shape begins, as (B,)
    for states (B, d), for a time of its own for each.
    """

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        r"""Return :math:`\alpha_t`, the factor of the mean, shaped like ``t``."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        r"""Return :math:`\sigma_t`, the standard deviation, shaped like ``t``."""

    @abstractmethod
    def d_alpha(self, t: Tensor) -> Tensor:
        r"""Return :math:`\dot\alpha_t`, shaped like ``t``."""

    @abstractmethod
    def d_sigma(self, t: Tensor) -> Tensor:
        r"""Return :math:`\dot\sigma_t`, shaped like ``t``."""

    @property
    def last(self) -> float:
        r"""The last time to train and to solve to: 1, or :math:`1 - 10^{-5}` where :math:`\sigma_1 = 0`."""
        return 1.0 if float(self.sigma(torch.ones((), dtype=torch.float64))) > 0 else 1.0 - EPSILON

    @property
    def noise_std(self) -> float:
        r""":math:`\sigma_0`, the standard deviation of the noise that a solve starts from."""
        return float(self.sigma(torch.zeros((), dtype=torch.float64)))

    def mean(self, t: Tensor, x1: Tensor) -> Tensor:
        r"""Return :math:`\mu_t(x_1) = \alpha_t x_1`, shaped like ``x1``."""
        return self.alpha(column(t, x1)) * x1

    def flow(self, t: Tensor, x0: Tensor, x1: Tensor) -> Tensor:
        r"""Return :math:`\psi_t(x_0 \mid x_1) = \sigma_t x_0 + \alpha_t x_1` for noise ``x0``, shaped like both."""
        same_shape("x0", x0, "x1", x1)
        t = column(t, x1)
        return self.sigma(t) * x0 + self.alpha(t) * x1

    def velocity(self, t: Tensor, x: Tensor, x1: Tensor) -> Tensor:
        r"""Return the conditional velocity at a point, shaped like it (theorem 3 of the paper).

        .. math:: u_t(x \mid x_1) = \frac{\dot\sigma_t}{\sigma_t}\,(x - \alpha_t x_1) + \dot\alpha_t x_1

        Raises:
            ValueError: where :math:`\sigma_t = 0`: see `last`, or take `sample`, which does not divide.

        """
        same_shape("x", x, "x1", x1)
        t = column(t, x1)
        sigma = self.sigma(t)
        if not (sigma > 0).all():
            raise ValueError(
                f"the velocity of {self} divides by its std, which is 0 at t={t[sigma <= 0][0].item():g}: "
                f"stop at path.last = {self.last:.6g}, or use path.sample(t, x0, x1)"
            )
        return self.d_sigma(t) / sigma * (x - self.alpha(t) * x1) + self.d_alpha(t) * x1

    def sample(self, t: Tensor, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return the point :math:`x_t = \psi_t(x_0 \mid x_1)` and the velocity there, without a division.

        .. math:: u_t(x_t \mid x_1) = \dot\sigma_t x_0 + \dot\alpha_t x_1

        Args:
            t: times, 0-dim or a shape with which that of the states begins.
            x0: standard normal noise.
            x1: data, shaped like ``x0``.

        Returns:
            ``x_t`` and ``u_t``, shaped like ``x0``.

        Raises:
            ValueError: for other shapes, or times outside [0, 1].

        >>> x0, x1, t = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 4.0]]), torch.tensor([0.5])
        >>> [x.tolist() for x in ConditionalOT(sigma_min=0.0).sample(t, x0, x1)]
        [[[1.5, 2.0]], [[1.0, 4.0]]]

        """
        same_shape("x0", x0, "x1", x1)
        t = column(t, x1)
        return self.sigma(t) * x0 + self.alpha(t) * x1, self.d_sigma(t) * x0 + self.d_alpha(t) * x1

    def times(self, n: Whole, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw ``n`` times, uniform on [0, `last`], in ``like``'s dtype and on its device; shape (n,).

        Args:
            n: how many.
            like: gives dtype and device.
            generator: draws on its own device; torch's default on ``like``'s device if None.

        """
        device = like.device if generator is None else generator.device
        return self.last * torch.rand(n, dtype=like.dtype, device=device, generator=generator).to(like.device)


class NoiseSchedule(Protocol):
    """A standard deviation that grows with s in [0, 1], and its slope; s shaped like a time."""

    def __call__(self, s: Tensor) -> Tensor:
        r"""Return :math:`\sigma_s`."""

    def slope(self, s: Tensor) -> Tensor:
        r"""Return :math:`d\sigma_s/ds`."""


@dataclass(frozen=True)
class Geometric:
    r"""A standard deviation that each stretch of s multiplies alike.

    .. math:: \sigma_s = a\,(b/a)^s

    Args:
        low: a.
        high: b.

    """

    low: float = 0.01
    high: float = 50.0

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < math.inf:
            raise ValueError(f"low and high must be 0 < low < high; got low={self.low}, high={self.high}")

    def __call__(self, s: Tensor) -> Tensor:
        """Return the standard deviation at ``s``."""
        return self.low * (self.high / self.low) ** s

    def slope(self, s: Tensor) -> Tensor:
        """Return the slope at ``s``."""
        return math.log(self.high / self.low) * self(s)


@dataclass(frozen=True)
class Linear:
    r"""A standard deviation to which each stretch of s adds alike.

    .. math:: \sigma_s = a + (b - a)\,s

    Args:
        low: a.
        high: b.

    """

    low: float = 0.01
    high: float = 50.0

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high < math.inf:
            raise ValueError(f"low and high must be 0 <= low < high; got low={self.low}, high={self.high}")

    def __call__(self, s: Tensor) -> Tensor:
        """Return the standard deviation at ``s``."""
        return self.low + (self.high - self.low) * s

    def slope(self, s: Tensor) -> Tensor:
        """Return the slope at ``s``."""
        return torch.full_like(s, self.high - self.low)


@dataclass(frozen=True)
class VarianceExploding(GaussianPath):
    r"""The data point under noise that shrinks: :math:`\alpha_t = 1`, :math:`\sigma_t = \sigma(1 - t)`.

    At :math:`t = 0` it is :math:`\mathcal N(x_1, \sigma(1)^2 I)`: wide, but neither standard nor centred.

    Args:
        schedule: :math:`\sigma(s)`, growing with s = 1 − t; `Geometric`, `Linear` or one's own.

    """

    schedule: NoiseSchedule = field(default_factory=Geometric)

    def alpha(self, t: Tensor) -> Tensor:
        """Return 1."""
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        """Return the schedule at 1 − t."""
        return self.schedule(1 - t)

    def d_alpha(self, t: Tensor) -> Tensor:
        """Return 0."""
        return torch.zeros_like(t)

    def d_sigma(self, t: Tensor) -> Tensor:
        """Return minus the schedule's slope at 1 − t."""
        return -self.schedule.slope(1 - t)


@dataclass(frozen=True)
class VariancePreserving(GaussianPath):
    r"""A data point that fades as noise grows, so that :math:`\alpha_t^2 + \sigma_t^2 = 1`.

    .. math:: \alpha_t = e^{-T(1-t)/2}, \qquad T(s) = \beta_{\min} s + \tfrac12 (\beta_{\max} - \beta_{\min}) s^2

    At :math:`t = 0` a little of the data is left, :math:`\alpha_0 = e^{-T(1)/2}`; at :math:`t = 1` no noise, and the
    velocity is singular there.

    Args:
        beta_min: :math:`T'(0)`.
        beta_max: :math:`T'(1)`.

    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        if not 0 <= self.beta_min <= self.beta_max < math.inf or self.beta_max == 0:
            raise ValueError(
                "beta_min and beta_max must be 0 <= beta_min <= beta_max, and not both 0; "
                f"got beta_min={self.beta_min}, beta_max={self.beta_max}"
            )

    def _integral(self, t: Tensor) -> Tensor:
        s = 1 - t
        return self.beta_min * s + 0.5 * (self.beta_max - self.beta_min) * s**2

    def _beta(self, t: Tensor) -> Tensor:
        return self.beta_min + (self.beta_max - self.beta_min) * (1 - t)

    def alpha(self, t: Tensor) -> Tensor:
        """Return exp(−T(1 − t)/2)."""
        return torch.exp(-0.5 * self._integral(t))

    def sigma(self, t: Tensor) -> Tensor:
        """Return √(1 − exp(−T(1 − t)))."""
        return torch.sqrt(-torch.expm1(-self._integral(t)))

    def d_alpha(self, t: Tensor) -> Tensor:
        """Return ½ T′(1 − t) α."""
        return 0.5 * self._beta(t) * self.alpha(t)

    def d_sigma(self, t: Tensor) -> Tensor:
        """Return −½ T′(1 − t) α²/σ."""
        return -0.5 * self._beta(t) * torch.exp(-self._integral(t)) / self.sigma(t)


@dataclass(frozen=True)
class ConditionalOT(GaussianPath):
    r"""A straight line at constant speed: :math:`\alpha_t = t`, :math:`\sigma_t = 1 - (1 - \sigma_{\min})\,t`.

    It is the optimal transport between :math:`\mathcal N(0, I)` and :math:`\mathcal N(x_1, \sigma_{\min}^2 I)` for each
    data point by itself. The flow of all of them together is not optimal.

    Args:
        sigma_min: the standard deviation at :math:`t = 1`; with 0 this is the path of rectified flow.

    """

    sigma_min: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.sigma_min < 1:
            raise ValueError(f"sigma_min must be in [0, 1); got {self.sigma_min}")

    def alpha(self, t: Tensor) -> Tensor:
        """Return t."""
        return t

    def sigma(self, t: Tensor) -> Tensor:
        """Return 1 − (1 − σ_min) t."""
        return 1 - (1 - self.sigma_min) * t

    def d_alpha(self, t: Tensor) -> Tensor:
        """Return 1."""
        return torch.ones_like(t)

    def d_sigma(self, t: Tensor) -> Tensor:
        """Return −(1 − σ_min)."""
        return torch.full_like(t, -(1 - self.sigma_min))


def column(t: Tensor, x: Tensor) -> Tensor:
    """Return times with as many dimensions as ``x``, so that they broadcast over what follows the batch.

    Raises:
        TypeError: for what is no floating tensor.
        ValueError: for a shape with which that of ``x`` does not begin, or times outside [0, 1].

    """
    if not t.is_floating_point():
        raise TypeError(f"t must be a floating tensor; got a tensor of {t.dtype}")
    if t.shape != x.shape[: t.dim()]:
        raise ValueError(f"t must be 0-dim or of a shape with which {tuple(x.shape)} begins; got {tuple(t.shape)}")
    if not ((t >= 0) & (t <= 1)).all():
        raise ValueError(f"t must be in [0, 1]; got {t[~((t >= 0) & (t <= 1))][0].item():g}")
    return t.reshape(t.shape + (1,) * (x.dim() - t.dim()))


def same_shape(first: str, a: Tensor, second: str, b: Tensor) -> None:
    """Raise ``ValueError`` when two tensors differ in shape."""
    if a.shape != b.shape:
        raise ValueError(f"{first} and {second} must have the same shape; got {tuple(a.shape)} and {tuple(b.shape)}")
