"""Derivatives of samples to 40 digits, by mpmath: finite differences and quadratures of the distribution functions."""

from __future__ import annotations

from collections.abc import Callable
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


def _from(z: Number, scale: Number, end: Number) -> list[Number]:
    """Points between which to integrate, finer near z."""
    return [z] + [z + j * scale for j in (1, 2, 4, 8, 16, 40) if z + j * scale < end] + [end]


@precise
def von_mises(kappa: Number, z: Number) -> Number:
    """∂z/∂κ for z > 0, as an integral over the angles beyond z."""
    mean = mp.besseli(1, kappa) / mp.besseli(0, kappa)
    scale = 1 / mp.sqrt(kappa) if kappa > 1 else mp.mpf(1)
    return mp.quad(
        lambda t: (mp.cos(t) - mean) * mp.exp(kappa * (mp.cos(t) - mp.cos(z))), _from(z, scale, mp.pi)
    )  # fmt: skip


@precise
def von_mises_tail(kappa: Number, z: Number) -> Number:
    """P(angle > z)."""
    scale = 1 / mp.sqrt(kappa) if kappa > 1 else mp.mpf(1)
    mass = mp.quad(lambda t: mp.exp(kappa * (mp.cos(t) - 1)), _from(z, scale, mp.pi))
    return mass / (2 * mp.pi * mp.besseli(0, kappa) * mp.exp(-kappa))


@precise
def rice(nu: Number, sigma: Number, x: Number) -> Number:
    """∂x/∂ν and ∂x/∂σ, from Bessel functions."""
    w = x * nu / sigma**2
    r = mp.besseli(1, w) / mp.besseli(0, w)
    return r, (x - nu * r) / sigma


@precise
def marcum(a: Number, b: Number) -> Number:
    """Q₁(a, b) and 1 - Q₁(a, b)."""

    def density(x: Number) -> Number:
        return x * mp.exp(-((x - a) ** 2) / 2) * mp.besseli(0, a * x) * mp.exp(-a * x)

    steps = (0, 1, 2, 4, 8, 16, 30)
    far = [a + j for j in (0, 1, 3, 8, 20)] if a > b + 30 else []
    above = mp.quad(density, [b + j for j in steps] + far)
    below = mp.quad(density, sorted({max(mp.mpf(0), b - j) for j in steps}))
    return above, below


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
