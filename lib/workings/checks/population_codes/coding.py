"""One population: the noise, the posterior of a trial, its width, the family, information."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import special, stats

from workings.book.ledger import verifies
from workings.checks.population_codes.oracle import (
    CELLS,
    GAIN,
    GRID,
    R1,
    SQRT2PI,
    WIDE,
    WIDTH,
    code,
    drawn,
    largest,
    normalised,
    rates,
    scipy_posterior,
    slope,
    tensor,
)
from workings.population_codes import GaussianCode, fisher, gaussian, kernel_slopes, kl, log_shares, moments, posterior

NOISE = 0.3 * 0.5 ** np.abs(np.subtract.outer(np.arange(9), np.arange(9)))


@verifies(
    "population_codes:bayes",
    tex=r"p(s \mid r) \propto p(r \mid s)\,p(s)",
    tolerance=1e-12,
    wrong={"without the prior": {"prior": False}, "divided by the prior": {"sign": -1.0}},
)
def bayes(device: torch.device, prior: bool = True, sign: float = 1.0) -> float:
    """Fill a table of joint probabilities by SciPy, and divide the row of the response by its sum."""
    weight = np.exp(-0.1 * GRID) / np.exp(-0.1 * GRID).sum()
    table = np.exp(stats.poisson.logpmf(R1, GAIN * rates(GRID)).sum(1)) * weight
    log_prior = tensor(sign * np.log(weight), device) if prior else None
    ours = posterior(code(device), tensor(R1, device), tensor(GRID, device), GAIN, log_prior)
    return largest(ours.cpu().numpy() - table / table.sum())


@verifies(
    "population_codes:poisson",
    tex=r"p(r \mid s, g) = \prod_{i=1}^N \frac{(g f_i(s))^{r_i}}{r_i!}\,e^{-g f_i(s)}",
    tolerance=1e-9,
    wrong={"without the factorial": {"factorial": False}, "without the exponential": {"exponential": False}},
    kind="definition",
)
def poisson(device: torch.device, factorial: bool = True, exponential: bool = True) -> float:
    """Compare with SciPy's mass of each count, and with the log-likelihood of the library up to a constant."""
    mean = GAIN * rates(GRID)
    log_p = R1 * np.log(mean) - (mean if exponential else 0.0) - (special.gammaln(R1 + 1) if factorial else 0.0)
    off = log_p.sum(1) - stats.poisson.logpmf(R1, mean).sum(1)
    ours = code(device).log_likelihood(tensor(R1, device), tensor(GRID, device), GAIN).cpu().numpy()
    return largest(off, np.ptp(ours - stats.poisson.logpmf(R1, mean).sum(1)))


@verifies(
    "population_codes:log-posterior",
    tex=r"""\begin{aligned}
    \log p(s \mid r) &= \sum_i r_i \log f_i(s) - g \sum_i f_i(s) \\
    &\quad + \log p(s) + \text{const}
    \end{aligned}""",
    tolerance=1e-12,
    wrong={"without the sum of f": {"term": 0.0}, "with its sign flipped": {"term": -1.0}},
)
def log_posterior(device: torch.device, term: float = 1.0) -> float:
    """Compare with SciPy, where nine cells do not cover the stimuli evenly."""
    f, weight = rates(GRID), np.exp(-0.1 * GRID)
    printed = normalised((R1 * np.log(f)).sum(1) - term * GAIN * f.sum(1) + np.log(weight))
    true = scipy_posterior(R1) * weight
    ours = posterior(code(device), tensor(R1, device), tensor(GRID, device), GAIN, tensor(np.log(weight), device))
    return largest(printed - true / true.sum(), ours.cpu().numpy() - true / true.sum())


@verifies(
    "population_codes:normal",
    tex=r"\mu = \frac{\sum_i r_i s_i}{\sum_i r_i}, \qquad \sigma^2 = \frac{\sigma_t^2}{\sum_i r_i}",
    tolerance=1e-9,
    wrong={"divided by the number of cells": {"cells": True}, "with the width not squared": {"power": 1}},
)
def normal(device: torch.device, cells: bool = False, power: int = 2) -> float:
    """Take the moments of a posterior from SciPy on a fine grid."""
    r, fine = drawn(0, 2.0), np.linspace(-30, 30, 2401)
    p = normalised(stats.poisson.logpmf(r, 2.0 * rates(fine, WIDE, 8.0)).sum(1))
    mean = p @ fine
    variance = p @ (fine - mean) ** 2
    spikes = len(r) if cells else r.sum()
    ours = moments(posterior(code(device, WIDE, 8.0), tensor(r, device), tensor(fine, device)), tensor(fine, device))
    off = [r @ WIDE / spikes - mean, 8.0**power / spikes - variance]
    return largest(*off, ours[0].cpu().numpy() - mean, ours[1].cpu().numpy() - variance)


@verifies(
    "population_codes:certainty",
    tex=r"\mathbb{E}\Bigl[\frac{1}{\sigma^2}\Bigr] = g\,\frac{\sqrt{2\pi}}{\Delta\,\sigma_t}",
    tolerance=1e-9,
    wrong={"with the square of the gain": {"power": 2}, "without the spacing": {"spacing": 1.0}},
)
def certainty(device: torch.device, power: int = 1, spacing: float = 4.0) -> float:
    """Sum the mean counts of all cells, and divide by the square of the width; the sum's integral is exact here."""
    precision = 2.0 * rates(np.array([1.7]), WIDE, 8.0).sum() / 64.0
    ours = fisher(code(device, WIDE, 8.0), tensor([1.7], device), 2.0).cpu().numpy()  # the same, of an average trial
    return largest(2.0**power * SQRT2PI / (spacing * 8.0) - precision, ours - precision)


@verifies(
    "population_codes:kl",
    tex=r"\mathrm{KL}(p \,\|\, q) = \sum_s p(s) \log \frac{p(s)}{q(s)}",
    tolerance=1e-12,
    wrong={"the other way round": {"swapped": True}, "in bits": {"base": 2.0}},
    kind="definition",
)
def divergence(device: torch.device, swapped: bool = False, base: float = math.e) -> float:
    """Compare with SciPy's relative entropy."""
    p, q = scipy_posterior(R1), scipy_posterior(R1, 2 * GAIN)
    a, b = (q, p) if swapped else (p, q)
    ours = kl(tensor(a, device), tensor(b, device)).item() / np.log(base)
    return largest(ours - stats.entropy(p, q))


@verifies(
    "population_codes:shares",
    tex=r"p(s \mid r) \propto \prod_i \biggl(\frac{f_i(s)}{\sum_j f_j(s)}\biggr)^{r_i}",
    tolerance=1e-6,
    wrong={"with rates for shares": {"shares": False}, "at a gain of one": {"one": True}},
)
def shares(device: torch.device, shares: bool = True, one: bool = False) -> float:
    """Average the likelihood over gains, alike on a logarithmic scale, numerically."""
    f = rates(GRID)
    gains = np.ones(1) if one else np.exp(np.linspace(-14, 14, 6001))
    log_p = stats.poisson.logpmf(R1[None, None], gains[:, None, None] * f).sum(-1)
    true = normalised(special.logsumexp(log_p, axis=0))
    printed = normalised(R1 @ np.log(f / f.sum(1, keepdims=True) if shares else f).T)
    h = log_shares(gaussian(tensor(CELLS, device), WIDTH)(tensor(GRID, device)))
    ours = torch.softmax(h @ tensor(R1, device), 0).cpu().numpy()
    return largest(printed - true, ours - true)


@verifies(
    "population_codes:family",
    tex=r"p(r \mid s, g) = \varphi(r, g)\,e^{h(s)^\top r}",
    tolerance=1e-9,
    wrong={
        "with a kernel that ignores correlations": {"diagonal": True},
        "at a kernel of another gain": {"scale": 2.0},
    },
)
def family(device: torch.device, diagonal: bool = False, scale: float = 1.0) -> float:
    """Two responses, two stimuli, two gains: the double ratio of normal densities has h alone in it."""
    noise = tensor(np.diag(np.diag(NOISE)) if diagonal else NOISE, device)
    h = GaussianCode(gaussian(tensor(CELLS, device), WIDTH), noise).kernel(tensor([1.0, 4.0], device)).cpu().numpy()
    f, other, off = rates(np.array([1.0, 4.0])), R1[::-1] + 0.5, []
    for g in (0.7, 3.0):
        log_p = [[stats.multivariate_normal.logpdf(r, g * one, g * NOISE) for one in f] for r in (R1, other)]
        ratio = (log_p[0][0] - log_p[0][1]) - (log_p[1][0] - log_p[1][1])
        off.append(ratio - scale * (h[0] - h[1]) @ (R1 - other))
    return largest(*off)


@verifies(
    "population_codes:slope",
    tex=r"h'(s) = \Sigma(s, g)^{-1}\,\partial_s\bigl(g f(s)\bigr)",
    tolerance=1e-6,
    wrong={"with the variances alone": {"diagonal": True}, "without the gain of the mean": {"gain": 1.0}},
)
def kernel_slope(device: torch.device, diagonal: bool = False, gain: float = GAIN) -> float:
    """Differentiate log f for Poisson neurons and C⁻¹f for correlated ones by differences."""
    f = slope(rates, 1.3)
    matrix = np.diag(np.diag(NOISE)) if diagonal else NOISE
    printed = np.linalg.solve(GAIN * matrix, gain * f)
    true = slope(lambda s: np.linalg.solve(NOISE, rates(s).T).T, 1.3)
    ours = kernel_slopes(GaussianCode(code(device).tuning, tensor(NOISE, device)), tensor([1.3], device), GAIN)
    counted = kernel_slopes(code(device), tensor([1.3], device), GAIN)[0].cpu().numpy()
    return largest(printed - true, ours[0].cpu().numpy() - true, counted - slope(lambda s: np.log(rates(s)), 1.3))


@verifies(
    "population_codes:fano",
    tex=r"h(s) = \frac{1}{F} \log f(s)",
    tolerance=1e-12,
    wrong={"without F": {"power": 0}, "multiplied by F": {"power": -1}},
)
def fano(device: torch.device, power: int = 1) -> float:
    """Take SciPy's mass of a third of the counts, for counts that are three times a Poisson number."""
    r = 3 * R1
    true = normalised(stats.poisson.logpmf(r / 3, GAIN / 3 * rates(GRID)).sum(1))
    f = rates(GRID)
    printed = normalised(r @ (np.log(f) / 3.0**power).T - GAIN * f.sum(1) / 3)
    ours = posterior(code(device, fano=3.0), tensor(r, device), tensor(GRID, device), GAIN).cpu().numpy()
    return largest(printed - true, ours - true)


@verifies(
    "population_codes:fisher",
    tex=r"J = f'^\top \Sigma^{-1} f' = h'^\top \Sigma\,h'",
    tolerance=1e-4,
    wrong={"with Σ for its inverse": {"inverse": False}, "with the variances alone": {"diagonal": True}},
)
def information(device: torch.device, inverse: bool = True, diagonal: bool = False) -> float:
    """Curve of the divergence between responses to near stimuli: KL = J δ² / 2, for normal noise in closed form."""
    mean = GAIN * rates(np.array([1.3 - 0.01, 1.3 + 0.01]))
    gap = mean[1] - mean[0]
    true = gap @ np.linalg.solve(GAIN * NOISE, gap) / 0.02**2  # twice the divergence, over the square of the step
    f = GAIN * slope(rates, 1.3)
    sigma = GAIN * (np.diag(np.diag(NOISE)) if diagonal else NOISE)
    printed = f @ np.linalg.solve(sigma, f) if inverse else f @ sigma @ f
    h = slope(lambda s: np.linalg.solve(NOISE, rates(s).T).T, 1.3)
    ours = fisher(GaussianCode(code(device).tuning, tensor(NOISE, device)), tensor([1.3], device), GAIN).item()
    return largest(printed / true - 1, h @ (GAIN * NOISE) @ h / true - 1, ours / true - 1)


@verifies(
    "population_codes:cramer-rao",
    tex=r"\operatorname{Var}(\hat s) \geq \frac{1}{J}",
    tolerance=1e-9,
    wrong={"the other way round": {"sign": -1.0}, "with equality": {"equal": True}},
)
def cramer_rao(device: torch.device, sign: float = 1.0, equal: bool = False) -> float:
    """Linear unbiased estimates of a small change of the stimulus: w f' = 1; the best one attains the bound."""
    f = GAIN * slope(rates, 1.3)
    sigma, j = (
        GAIN * NOISE,
        fisher(GaussianCode(code(device).tuning, tensor(NOISE, device)), tensor([1.3], device), GAIN),
    )
    rng, off = np.random.default_rng(0), []
    for _ in range(20):
        w = rng.normal(size=9) + 5 * f
        w /= w @ f
        gap = w @ sigma @ w - 1 / j.item()
        off.append(abs(gap) if equal else max(0.0, -sign * gap))
    best = np.linalg.solve(sigma, f) / (f @ np.linalg.solve(sigma, f))
    return largest(max(off), (best @ sigma @ best * j.item() - 1) * 1e-2)
