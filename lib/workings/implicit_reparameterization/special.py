r"""Derivatives of samples with respect to the parameters that are not locations or scales.

With the score :math:`s(t) = \partial_\phi \log q_\phi(t)`, equation 7 reads

.. math:: \frac{\partial z}{\partial\phi} = -\int_{-\infty}^z s(t)\,\frac{q(t)}{q(z)}\,dt
   = \int_z^\infty s(t)\,\frac{q(t)}{q(z)}\,dt

as the mean of a score is 0. Each score here changes its sign once, so that on one side of z it does not: integrate over
that side, and nothing cancels. The ratio of densities needs no normalization. All is computed in float64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workings.implicit_reparameterization.implicit import moved
from workings.implicit_reparameterization.quadrature import NEGLIGIBLE, integrate
from workings.typed import Floats

# ---- Bessel functions ----

ASYMPTOTIC = 30.0
LOG_2 = math.log(2)


def _hankel(order: int, terms: int = 20) -> list[float]:
    r"""Return the coefficients of :math:`\sqrt{2\pi w}\,e^{-w} I_\nu(w) = \sum_k c_k w^{-k}` for large w."""
    c = [1.0]
    for k in range(1, terms):
        c.append(-c[-1] * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k))
    return c


I0_TERMS = _hankel(0)
GAP_TERMS = [a - b for a, b in zip(I0_TERMS, _hankel(1), strict=True)]


def bessel_gap(w: Tensor) -> Tensor:
    r"""Return :math:`1 - I_1(w)/I_0(w)` for w ≥ 0, without cancellation where w is large, where it is 1/(2w)."""
    w = w.double()
    near = 1 - torch.special.i1e(w) / torch.special.i0e(w)
    v = 1 / w.clamp(min=ASYMPTOTIC)
    gap, i0 = torch.zeros_like(v), torch.zeros_like(v)
    for a, b in zip(reversed(GAP_TERMS), reversed(I0_TERMS), strict=True):
        gap, i0 = gap * v + a, i0 * v + b
    return torch.where(w < ASYMPTOTIC, near, gap / i0)


# ---- the gamma distribution ----


def gamma_gradient(alpha: Tensor, z: Tensor, log_z: Tensor | None = None) -> Tensor:
    r"""Return :math:`\partial \log z/\partial\alpha` of samples of a gamma distribution with rate 1.

    The score is :math:`\log t - \psi(\alpha)`. Along :math:`t = z e^{\pm s}`

    .. math:: \frac{\partial \log z}{\partial\alpha} = \int_0^\infty \bigl(s \pm (\log z - \psi(\alpha))\bigr)\,
       e^{\pm\alpha s - z (e^{\pm s} - 1)}\,ds

    with the sign of :math:`\log z - \psi(\alpha)`; a series where both α and z are small.

    Args:
        alpha: shapes, positive, broadcasting against ``z``.
        z: samples.
        log_z: their logarithms, where z itself may have underflowed.

    Returns:
        float64, of the common shape.

    >>> round(gamma_gradient(torch.tensor(1.0), torch.tensor(2.0)).item(), 6)
    0.815846

    """
    alpha, z = torch.broadcast_tensors(alpha.detach().double(), z.detach().double())
    log_z = z.log() if log_z is None else log_z.detach().double().expand(z.shape)
    small = (alpha < 1) & (z < 1)
    out = torch.empty_like(z)
    for where, derivative in ((small, _gamma_series), (~small, _gamma_integral)):
        if where.any():
            out[where] = derivative(alpha[where], z[where], log_z[where])
    return out


def _gamma_series(alpha: Tensor, z: Tensor, log_z: Tensor, terms: int = 20) -> Tensor:
    r"""Return :math:`\sum_k \frac{z^k}{\alpha(\alpha+1)\cdots(\alpha+k)}\,(\psi(\alpha+k+1) - \log z)`."""
    total, term, psi = torch.zeros_like(z), 1 / alpha, torch.digamma(alpha + 1)
    for k in range(1, terms + 1):
        total = total + term * (psi - log_z)
        term, psi = term * z / (alpha + k), psi + 1 / (alpha + k)
    return total


def _gamma_integral(alpha: Tensor, z: Tensor, log_z: Tensor) -> Tensor:
    score = log_z - torch.digamma(alpha)
    side = torch.where(score < 0, -1.0, 1.0).to(z)

    def integrand(x: Tensor, alpha: Tensor, z: Tensor, score: Tensor, side: Tensor, reach: Tensor) -> Tensor:
        s = reach * x
        return reach * (s + score) * torch.exp(side * (alpha * s) - z * torch.expm1(side * s))

    return integrate(integrand, alpha, z, score.abs(), side, _gamma_reach(alpha, z, side))


def _gamma_reach(alpha: Tensor, z: Tensor, side: Tensor) -> Tensor:
    r"""Return s beyond which :math:`e^{\pm\alpha s - z(e^{\pm s} - 1)}` is negligible, and not much more."""
    delta = side * (z - alpha)  # the slope at 0; never far below 0
    # downwards, e^-s - 1 + s ≥ s²/(2 + 2s/3) makes a quadratic equation
    c, b = z + 2 * delta / 3, 2 * NEGLIGIBLE / 3 - 2 * delta
    down = (b + torch.sqrt(b.square() + 8 * NEGLIGIBLE * c)) / (2 * c)
    # upwards, e^s - 1 - s ≥ s²/2, and then twice s = log(1 + (38 + α s)/z)
    up = (torch.sqrt(delta.square() + 2 * NEGLIGIBLE * z) - delta) / z
    for _ in range(2):
        up = torch.minimum(up, torch.log1p((NEGLIGIBLE + alpha * up) / z))
    return torch.where(side < 0, down, up)


# ---- the beta distribution ----


def beta_gradient(a: Tensor, b: Tensor, z: Tensor, rest: Tensor | None = None) -> Tensor:
    r"""Return :math:`\partial z/\partial a` of samples of a beta distribution.

    The score is :math:`\log t - \psi(a) + \psi(a+b)`, integrated along the logit of t. As 1 - z has the distribution
    with a and b exchanged, ``-beta_gradient(b, a, 1 - z, z)`` is the derivative with respect to b.

    Args:
        a: first shape (concentration1), positive, broadcasting against ``z``.
        b: second shape (concentration0).
        z: samples, inside (0, 1).
        rest: 1 - z, where it is known better.

    Returns:
        float64, of the common shape.

    >>> one, half = torch.tensor(1.0), torch.tensor(0.5)
    >>> round(beta_gradient(one, one, half).item(), 6)  # half of log 2
    0.346574

    """
    rest = 1 - z.detach().double() if rest is None else rest.detach().double()
    a, b, z, rest = torch.broadcast_tensors(a.detach().double(), b.detach().double(), z.detach().double(), rest)
    small = (a < 1) & (z * (1 + b.clamp(min=1)) <= 1)
    large = (b < 1) & (rest * (1 + a.clamp(min=1)) < 1) & ~small
    out = torch.empty_like(z)
    for where, derivative in (
        (small, lambda w: _beta_series(a[w], b[w], z[w])),
        (large, lambda w: _beta_series_other(b[w], a[w], rest[w])),
        (~(small | large), lambda w: _beta_integral(a[w], b[w], z[w], rest[w])),
    ):
        if where.any():
            out[where] = derivative(where)
    return out * z * rest


def _beta_series(a: Tensor, b: Tensor, z: Tensor, terms: int = 60) -> Tensor:
    r"""Return :math:`\sum_k \frac{(a+b)_k}{(a)_{k+1}} z^k\,(\psi(a+k+1) - \psi(a+b+k) - \log z)`, with respect to a."""
    total, term, psi = torch.zeros_like(z), 1 / a, torch.digamma(a + 1) - torch.digamma(a + b) - z.log()
    for k in range(terms):
        total = total + term * psi
        term, psi = term * z * (a + b + k) / (a + 1 + k), psi + 1 / (a + k + 1) - 1 / (a + b + k)
    return total


def _beta_series_other(a: Tensor, b: Tensor, z: Tensor, terms: int = 60) -> Tensor:
    r"""Return :math:`\sum_k \frac{(a+b)_k}{(a)_{k+1}} z^k\,(\psi(a+b+k) - \psi(b) + \log(1-z))`: with respect to b."""
    total, term = torch.zeros_like(z), 1 / a
    psi = _digamma_rise(b, a) + torch.log1p(-z)
    for k in range(terms):
        total = total + term * psi
        term, psi = term * z * (a + b + k) / (a + 1 + k), psi + 1 / (a + b + k)
    return total


def _digamma_rise(x: Tensor, h: Tensor) -> Tensor:
    r"""Return :math:`\psi(x + h) - \psi(x)`, by the asymptotic series where x is large and the difference small."""
    far = x.clamp(min=10.0)
    rise = torch.log1p(h / far) + h / (2 * far * (far + h))
    for k, c in enumerate((1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760), 1):
        rise = rise + c * (far ** (-2 * k) - (far + h) ** (-2 * k))
    return torch.where(x < 10, torch.digamma(x + h) - torch.digamma(x), rise)


def _beta_integral(a: Tensor, b: Tensor, z: Tensor, y: Tensor) -> Tensor:
    r"""Integrate the score along the logit of t = z ∓ …, with h = -a s - (a+b) log(1 + z (e^-s - 1)) downwards."""
    score = z.log() - torch.digamma(a) + torch.digamma(a + b)
    down = score < 0
    here, there = torch.where(down, a, b), torch.where(down, b, a)
    share = torch.where(down, z, y)  # what shrinks: z downwards, 1 - z upwards

    def integrand(x: Tensor, here: Tensor, both: Tensor, share: Tensor, score: Tensor, reach: Tensor) -> Tensor:
        s = reach * x
        log = torch.log1p(share * torch.expm1(-s))
        change = torch.where(score < 0, s + log, -log)  # of |log t|, from log z
        return reach * (change + score.abs()) * torch.exp(-here * s - both * log)

    return integrate(integrand, here, here + there, share, score, _beta_reach(here, there, share), nodes=40)


def _beta_reach(here: Tensor, there: Tensor, share: Tensor) -> Tensor:
    r"""Return s beyond which :math:`e^{-a s - (a+b)\log(1 + z(e^{-s}-1))}` is negligible, and not much more."""

    def fall(s: Tensor) -> tuple[Tensor, Tensor]:
        log = torch.log1p(share * torch.expm1(-s))
        rate = here - (here + there) * share * torch.exp(-s - log)
        return here * s + (here + there) * log, rate

    # far out the exponent falls at the rate `here`: from above, Newton's steps stay above
    s = (NEGLIGIBLE - (here + there) * torch.log1p(-share)) / here
    for _ in range(8):
        value, rate = fall(s)
        s = s - (value - NEGLIGIBLE) / rate
    return s


# ---- Student's t distribution ----


def student_gradient(df: Tensor, t: Tensor) -> Tensor:
    r"""Return :math:`\partial t/\partial\nu` of samples of Student's t distribution with location 0 and scale 1.

    Along :math:`t = \sqrt\nu \sinh x` the density is a power of :math:`\cosh x`, and twice the score is
    :math:`c - 2\log\cosh x + \frac{\nu+1}{\nu}\tanh^2 x` with
    :math:`c = \psi\bigl(\frac{\nu+1}2\bigr) - \psi\bigl(\frac\nu2\bigr) - \frac1\nu`.

    Args:
        df: degrees of freedom ν, positive, broadcasting against ``t``.
        t: samples.

    Returns:
        float64, of the common shape.

    >>> round(student_gradient(torch.tensor(1e4), torch.tensor(2.0)).item() * 1e8, 2)  # nearly -(t + t³)/(4 ν²)
    -2.5

    """
    df, t = torch.broadcast_tensors(df.detach().double(), t.detach().double())
    x, constant = torch.asinh(t.abs() / df.sqrt()), _student_constant(df)
    inside = _student_score(x, df, constant) >= 0  # then it is so all the way to the middle
    fall = _log_cosh(x) + NEGLIGIBLE / df
    end = torch.where(inside, torch.zeros_like(x), fall + torch.log1p(torch.sqrt(-torch.expm1(-2 * fall))))
    # the score is curved in the middle and a line in x far out
    knee = torch.where(inside, x.clamp(max=3), torch.minimum(end, x + 3))
    total = _student_integral(df, x, x, knee, constant) + _student_integral(df, x, knee, end, constant)
    return t.sign() * df.sqrt() * torch.cosh(x) * total


def _student_integral(df: Tensor, x: Tensor, start: Tensor, end: Tensor, constant: Tensor) -> Tensor:
    """Integrate the score from ``start`` to ``end``."""

    def integrand(u: Tensor, df: Tensor, x: Tensor, start: Tensor, end: Tensor, constant: Tensor) -> Tensor:
        at = start + (end - start) * u
        return (end - start) * _student_score(at, df, constant) * torch.exp(df * (_log_cosh(x) - _log_cosh(at)))

    return integrate(integrand, df, x, start, end, constant)


def _log_cosh(x: Tensor) -> Tensor:
    """Return log cosh x for x ≥ 0."""
    return torch.where(x < 1, torch.log1p(2 * torch.sinh(x / 2) ** 2), x + torch.log1p(torch.exp(-2 * x)) - LOG_2)


def _student_score(x: Tensor, df: Tensor, constant: Tensor) -> Tensor:
    tanh2 = torch.tanh(x) ** 2
    # tanh² x - 2 log cosh x = log(1 - y) + y for y = tanh² x: a series where y is small
    y = tanh2.clamp(max=0.1)
    series = torch.zeros_like(y)
    for k in range(16, 1, -1):
        series = (series - 1 / k) * y
    series = series * y
    exact = tanh2 - 2 * _log_cosh(x)
    return (constant + torch.where(tanh2 < 0.1, series, exact) + tanh2 / df) / 2


def _student_constant(df: Tensor) -> Tensor:
    r"""Return :math:`\psi((\nu+1)/2) - \psi(\nu/2) - 1/\nu`, by its asymptotic series where ν is large."""
    v = 1 / df.clamp(min=20.0)
    series = v**2 / 2 * (1 + v**2 * (-1 / 2 + v**2 * (1 - v**2 * (17 / 4 - v**2 * (31 - v**2 * 691 / 2)))))
    exact = torch.digamma((df + 1) / 2) - torch.digamma(df / 2) - 1 / df
    return torch.where(df < 20, exact, series)


# ---- the von Mises distribution ----


def von_mises_gradient(kappa: Tensor, theta: Tensor) -> Tensor:
    r"""Return :math:`\partial\theta/\partial\kappa` of samples of a von Mises distribution around 0.

    The score is :math:`\cos t - I_1(\kappa)/I_0(\kappa)`.

    Args:
        kappa: concentrations, not negative, broadcasting against ``theta``.
        theta: samples in [-π, π].

    Returns:
        float64, of the common shape: 0 at 0 and ±π, towards 0 between.

    >>> round(von_mises_gradient(torch.tensor(0.0), torch.tensor(torch.pi / 2)).item(), 6)  # minus the sine, at κ = 0
    -1.0

    """
    gap = bessel_gap(kappa.detach()).expand(torch.broadcast_shapes(kappa.shape, theta.shape))
    kappa, theta = torch.broadcast_tensors(kappa.detach().double(), theta.detach().double())
    angle = theta.abs()
    end = _short_side(kappa, angle, 2 * torch.sin(angle / 2) ** 2 <= gap)

    def integrand(u: Tensor, kappa: Tensor, angle: Tensor, end: Tensor, gap: Tensor) -> Tensor:
        y = torch.sin((angle + (end - angle) * u) / 2).square()  # cos t = 1 - 2 y
        start = torch.sin(angle / 2).square()
        return (end - angle) * (gap - 2 * y) * torch.exp(2 * kappa * (start - y))

    return theta.sign() * integrate(integrand, kappa, angle, end, gap)


def von_mises_tail(kappa: Tensor, theta: Tensor) -> Tensor:
    r"""Return the probability of the angles between θ in [0, π] and π, in float64, accurate where it is tiny too."""
    kappa, angle = torch.broadcast_tensors(kappa.detach().double(), theta.detach().double())
    inside = angle < 1 / (1 + kappa).sqrt()
    end = _short_side(kappa, angle, inside)

    def integrand(u: Tensor, kappa: Tensor, angle: Tensor, end: Tensor) -> Tensor:
        y = torch.sin((angle + (end - angle) * u) / 2).square()
        return (end - angle) * torch.exp(-2 * kappa * y)

    mass = integrate(integrand, kappa, angle, end) / (2 * torch.pi * torch.special.i0e(kappa))
    return torch.where(inside, 0.5 + mass, mass)


def _short_side(kappa: Tensor, angle: Tensor, inside: Tensor) -> Tensor:
    """Return where to integrate to from ``angle``: 0 if ``inside``, else π or where the density is negligible."""
    sine = torch.sqrt(torch.sin(angle / 2).square() + NEGLIGIBLE / (2 * kappa).clamp(min=1e-3))
    return torch.where(inside, torch.zeros_like(angle), 2 * torch.asin(sine.clamp(max=1.0)))


# ---- the Marcum Q function ----


def marcum_q(a: Floats, b: Tensor, complement: bool = False) -> Tensor:
    r"""Return :math:`Q_1(a, b) = \int_b^\infty x\,e^{-(x^2+a^2)/2} I_0(ax)\,dx`, or :math:`1 - Q_1(a, b)`.

    The integral runs over the side of b that is far from a, so that what is tiny is accurate. Differentiable in both
    arguments.

    Args:
        a: not negative, broadcasting against ``b``.
        b: not negative.
        complement: return :math:`1 - Q_1` instead.

    Returns:
        The values, of the common shape and dtype; computed in float64.

    Raises:
        ValueError: for negative arguments.

    >>> round(marcum_q(torch.tensor(0.0), torch.tensor(2.0)).item(), 6)  # e⁻²
    0.135335

    """
    for name, value in (("a", a), ("b", b)):
        if (value < 0).any():
            raise ValueError(f"{name} must not be negative; got {value.min().item():g}")
    a, b = torch.broadcast_tensors(a, b)
    x, y = a.detach().double(), b.detach().double()
    mass = _short_mass(x, y)  # on the far side of b; the other follows
    value, sign = torch.where((y >= x) == complement, 1 - mass, mass), -1.0 if complement else 1.0
    near = y * torch.exp(-((x - y) ** 2) / 2)
    return moved(
        value.to(a.dtype),
        (a, lambda: sign * near * torch.special.i1e(x * y)),
        (b, lambda: -sign * near * torch.special.i0e(x * y)),
    )


def _short_mass(a: Tensor, b: Tensor) -> Tensor:
    """Return the mass beyond b, seen from a: above it where b ≥ a, below it elsewhere."""
    delta = b - a
    reach = torch.sqrt(delta.square() + 2 * NEGLIGIBLE) - delta.abs()
    end = torch.where(delta >= 0, b + reach, (b - reach).clamp(min=0))

    def integrand(u: Tensor, a: Tensor, b: Tensor, end: Tensor) -> Tensor:
        x = b + (end - b) * u
        density: Tensor = x * torch.exp(-((x - a) ** 2) / 2) * torch.special.i0e(a * x)
        return (end - b).abs() * density

    return integrate(integrand, a, b, end)
