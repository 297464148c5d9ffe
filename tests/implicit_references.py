"""Derivatives of samples to 40 digits, by mpmath: finite differences and series of the distribution functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath as mp

Number = Any
DIGITS = 40


def precise(function: Callable[..., Number]) -> Callable[..., Number]:
    """Evaluate with 40 digits, at the floating-point numbers as they are."""

    def evaluated(*arguments: float) -> Number:
        with mp.workdps(DIGITS):
            return function(*(mp.mpf(a) for a in arguments))

    return evaluated


@precise
def gamma(alpha: Number, z: Number) -> Number:
    """∂z/∂α = -∂P(α, z)/∂α / p(z)."""
    step = mp.mpf(10) ** -12 * max(alpha, mp.mpf("1e-3"))
    slope = mp.diff(lambda a: mp.gammainc(a, 0, z, regularized=True), alpha, h=step)
    return -slope / mp.exp((alpha - 1) * mp.log(z) - z - mp.loggamma(alpha))


@precise
def beta(a: Number, b: Number, z: Number, y: Number) -> Number:
    """∂z/∂a at z = 1 - y, by the hypergeometric form of the nearer tail. For ∂z/∂b take -beta(b, a, y, z)."""

    def tail(a: Number) -> Number:
        low = z < a / (a + b)
        front = mp.exp(a * mp.log(z) + b * mp.log(y) - mp.loggamma(a) - mp.loggamma(b) + mp.loggamma(a + b))
        if low:
            return front / a * mp.hyp2f1(a + b, 1, a + 1, z)
        return -front / b * mp.hyp2f1(a + b, 1, b + 1, y)

    density = (a - 1) * mp.log(z) + (b - 1) * mp.log(y) - mp.loggamma(a) - mp.loggamma(b) + mp.loggamma(a + b)
    return -mp.diff(tail, a, h=mp.mpf(10) ** -12 * a) / mp.exp(density)


@precise
def student(df: Number, t: Number) -> Number:
    """∂t/∂ν for t > 0, from the incomplete beta function."""

    def tail(n: Number) -> Number:
        return mp.betainc(n / 2, mp.mpf(1) / 2, 0, n / (n + t * t), regularized=True) / 2

    density = mp.exp(mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2)) / mp.sqrt(df * mp.pi)
    return mp.diff(tail, df, h=mp.mpf(10) ** -14 * df) / (density * (1 + t * t / df) ** (-(df + 1) / 2))


ONE = 1 << 220  # integers in units of its inverse are quicker than mpmath's numbers, and have 66 digits


def _bessel_ratios(w: Number) -> tuple[list[int], Number]:
    """I_k(w)/I_0(w) for k = 0, 1, … until they vanish, in units of 1/ONE, and e^w/I_0(w) = 1 + 2 Σ of them.

    Downwards by the continued fraction I_k/I_{k-1} = 1/(2k/w + I_{k+1}/I_k).
    """
    step, quotient, quotients = int(2 * ONE / w), 0, []
    for k in range(int(mp.sqrt(2 * w * DIGITS * mp.log(10))) + 2 * DIGITS, 0, -1):
        quotient = ONE * ONE // (k * step + quotient)
        quotients.append(quotient)
    ratios = [ONE]
    for quotient in reversed(quotients):
        ratios.append(ratios[-1] * quotient // ONE)
    return ratios, mp.mpf(2 * sum(ratios) - ONE) / ONE


@cache
@precise
def _von_mises(kappa: Number, z: Number) -> tuple[Number, Number]:
    """∂z/∂κ and P(angle > z) for z > 0, by the Fourier series 1 + 2 Σ I_k/I_0 cos kz of 2π times the density.

    With I_k' = (I_{k-1} + I_{k+1})/2 it is differentiated term by term.
    """
    ratios, total = _bessel_ratios(kappa)
    tail, slope = int((mp.pi - z) * ONE / 2), 0  # both times π
    before, sine, twice = 0, int(mp.sin(z) * ONE), int(2 * mp.cos(z) * ONE)
    for k, (last, r, following) in enumerate(zip(ratios, ratios[1:], ratios[2:], strict=False), 1):
        tail -= r * sine // (k * ONE)
        slope -= ((last + following) // 2 - r * ratios[1] // ONE) * sine // (k * ONE)
        before, sine = sine, twice * sine // ONE - before
    density = total * mp.exp(kappa * (mp.cos(z) - 1)) / 2  # times π, as well
    return mp.mpf(slope) / ONE / density, mp.mpf(tail) / ONE / mp.pi


def von_mises(kappa: float, z: float) -> Number:
    """∂z/∂κ for z > 0."""
    return _von_mises(kappa, z)[0]


def von_mises_tail(kappa: float, z: float) -> Number:
    """P(angle > z)."""
    return _von_mises(kappa, z)[1]


@precise
def rice(nu: Number, sigma: Number, x: Number) -> Number:
    """∂x/∂ν and ∂x/∂σ, from Bessel functions."""
    w = x * nu / sigma**2
    r = mp.besseli(1, w) / mp.besseli(0, w)
    return r, (x - nu * r) / sigma


@precise
def marcum(a: Number, b: Number) -> tuple[Number, Number]:
    """Q₁(a, b) and 1 - Q₁(a, b) for a ≠ b: one of them is e^{-(a² + b²)/2} Σ (a/b)^k I_k(ab), over k ≥ 0 or k < 0."""
    ratios, total = _bessel_ratios(a * b)
    small, large = sorted((a, b))
    factor, power, series = int(small * ONE / large), ONE, 0
    for ratio in ratios[1:]:
        power = power * factor // ONE
        series += power * ratio // ONE
    mass = mp.exp(-((a - b) ** 2) / 2) * (mp.mpf(series) / ONE + (1 if a < b else 0)) / total
    return (mass, 1 - mass) if a < b else (1 - mass, mass)


@precise
def truncated(loc: Number, scale: Number, low: Number, high: Number, z: Number) -> Number:
    """∂z/∂loc and ∂z/∂scale, by differences of the distribution function, from the tail where it is small."""
    sign = -1 if low + high > 2 * loc else 1

    def cumulative(m: Number, s: Number) -> Number:
        at, a, b = (mp.ncdf(sign * (x - m) / s) for x in (z, low, high))
        return (at - a) / (b - a)

    def mass() -> Number:
        return abs(mp.ncdf(sign * (high - loc) / scale) - mp.ncdf(sign * (low - loc) / scale))

    density = mp.npdf((z - loc) / scale) / scale / mass()
    step = mp.mpf(10) ** -14 * scale
    return tuple(
        -mp.diff(f, at, h=step) / density
        for f, at in ((lambda m: cumulative(m, scale), loc), (lambda s: cumulative(loc, s), scale))
    )
