"""Two populations: the sum and the product, weights for unequal cues, spikes in common, a prior."""

from __future__ import annotations

import numpy as np
import torch
from scipy import integrate, stats

from workings.book.ledger import verifies
from workings.checks.population_codes.oracle import (
    GRID,
    WIDE,
    code,
    drawn,
    largest,
    normalised,
    rates,
    slope,
    tensor,
)
from workings.population_codes import combine, constant_input, cue_combination, kernel_weights, posterior, product


def exact(r: np.ndarray, gain: float, width: float, cells: np.ndarray = WIDE) -> np.ndarray:
    """Return SciPy's posterior, with its normaliser."""
    return normalised(stats.poisson.logpmf(r, gain * rates(GRID, cells, width)).sum(1))


@verifies(
    "population_codes:identity",
    tex=r"p(s \mid r_1 + r_2) = \frac{1}{Z}\,p(s \mid r_1)\,p(s \mid r_2)",
    tolerance=1e-12,
    wrong={"with their mean for the sum": {"share": 0.5}, "with another width of the second": {"width": 12.0}},
)
def identity(device: torch.device, share: float = 1.0, width: float = 8.0) -> float:
    """Multiply two posteriors from SciPy."""
    r1, r2 = drawn(0, 1.0), drawn(1, 3.0)
    both = exact(r1, 1.0, 8.0) * exact(r2, 3.0, width)
    both /= both.sum()
    grid, one = tensor(GRID, device), code(device, WIDE, 8.0)
    ours = posterior(one, tensor(share * (r1 + r2), device), grid)
    parts = [posterior(code(device, WIDE, w), tensor(r, device), grid) for r, w in ((r1, 8.0), (r2, width))]
    return largest(ours.cpu().numpy() - both, product(*parts).cpu().numpy() - both)


@verifies(
    "population_codes:cues",
    tex=r"""\begin{aligned}
    \mu_3 &= \frac{\sigma_2^2}{\sigma_1^2 + \sigma_2^2}\,\mu_1 + \frac{\sigma_1^2}{\sigma_1^2 + \sigma_2^2}\,\mu_2, \\
    \frac{1}{\sigma_3^2} &= \frac{1}{\sigma_1^2} + \frac{1}{\sigma_2^2}
    \end{aligned}""",
    tolerance=1e-8,
    wrong={"with the weights swapped": {"swapped": True}, "with the mean of the variances": {"mean": True}},
)
def cues(device: torch.device, swapped: bool = False, mean: bool = False) -> float:
    """Integrate the product of two normal densities numerically."""
    mu, var = np.array([1.0, 3.0]), np.array([0.5, 1.2]) ** 2

    def moment(power: int) -> float:
        def inside(s: float) -> float:
            return float(s**power * np.prod(stats.norm.pdf(s, mu, np.sqrt(var))))

        return float(integrate.quad(inside, -10, 12, epsabs=1e-13, epsrel=1e-12)[0])

    first, second = moment(1) / moment(0), moment(2) / moment(0)
    weights = var / var.sum() if swapped else var[::-1] / var.sum()
    precision = 2 / var.sum() * 2 if mean else (1 / var).sum()
    ours = cue_combination(tensor(mu, device), tensor(var, device))
    off = [weights @ mu - first, 1 / precision - (second - first**2)]
    return largest(*off, ours[0].item() - first, ours[1].item() - (second - first**2))


@verifies(
    "population_codes:weights",
    tex=r"r_3 = A_1^\top r_1 + A_2^\top r_2, \qquad h_k(s) = A_k\,H(s)",
    tolerance=1e-9,
    wrong={"with the plain sum": {"plain": True}, "with the weights inverted": {"power": -1}},
)
def weights(device: torch.device, plain: bool = False, power: int = 1) -> float:
    """Multiply SciPy's posteriors of populations that differ in width and place; for widths alone a number will do."""
    r1, r2, moved = drawn(0, 2.0, width=16.0), drawn(1, 2.0), WIDE + 3.0
    grid, target = tensor(GRID, device), code(device, WIDE, 8.0)
    off = []
    for cells in (WIDE, moved):
        both = exact(r1, 2.0, 16.0, cells) * exact(r2, 2.0, 8.0)
        both /= both.sum()
        a, left = kernel_weights(code(device, cells, 16.0).kernel(grid), target.kernel(grid))
        a = torch.eye(len(cells), dtype=a.dtype, device=device) if plain else a
        r3 = combine([tensor(r1, device), tensor(r2, device)], [a if power == 1 else torch.linalg.pinv(a), 1.0])
        off += [posterior(target, r3, grid).cpu().numpy() - both, 0.0 if plain else left]
    number = 1.0 if plain else (8 / 16) ** (2 * power)
    by_hand = normalised((number * r1 + r2) @ np.log(rates(GRID, WIDE, 8.0)).T)
    both = exact(r1, 2.0, 16.0) * exact(r2, 2.0, 8.0)
    return largest(*off, by_hand - both / both.sum())


@verifies(
    "population_codes:shared",
    tex=r"""\Sigma_{12}^{-1} \begin{pmatrix} g f' \\ g f' \end{pmatrix}
    = \frac{1}{1 + \rho} \begin{pmatrix} h' \\ h' \end{pmatrix}""",
    tolerance=1e-6,
    wrong={"as if nothing were shared": {"counted": 0.0}, "with the sign of ρ flipped": {"counted": -1.0}},
)
def shared(device: torch.device, counted: float = 1.0) -> float:
    """Estimate nothing: covariances of a + c and b + c are known, and the two by two blocks are inverted by NumPy."""
    g, rho, s = 3.0, 0.6, 1.3
    mean = g * rates(np.array([s]))[0]
    own, common = np.diag((1 - rho) * mean), np.diag(rho * mean)
    sigma = np.block([[own + common, common], [common, own + common]])
    f = g * slope(rates, s)
    h = slope(lambda at: np.log(rates(at)), s)
    left = np.linalg.solve(sigma, np.concatenate((f, f)))
    return largest(tensor(left - np.concatenate((h, h)) / (1 + counted * rho), device))


@verifies(
    "population_codes:prior",
    tex=r"h(s)^\top c = \log p(s) + \text{const}",
    tolerance=1e-9,
    wrong={"without the input": {"scale": 0.0}, "counted twice": {"scale": 2.0}},
)
def prior(device: torch.device, scale: float = 1.0) -> float:
    """Multiply SciPy's posterior by a normal prior."""
    r, log_p = drawn(0, 2.0), -((GRID - 5.0) ** 2) / (2 * 4.0**2)
    true = exact(r, 2.0, 8.0) * np.exp(log_p)
    grid, one = tensor(GRID, device), code(device, WIDE, 8.0)
    c, _ = constant_input(tensor(log_p, device), one.kernel(grid))
    ours = posterior(one, tensor(r, device) + scale * c, grid).cpu().numpy()
    return largest(ours - true / true.sum())
