"""From responses to whole distributions over the stimulus, on a grid, in logarithms until the end."""

from __future__ import annotations

import torch
from torch import Tensor

from workings.population_codes.codes import Code, Gain
from workings.typed import Floats


def normalise(log_p: Floats) -> Tensor:
    """Return the probabilities of grid points from their logarithms up to a constant.

    Args:
        log_p: logarithms (..., S); -inf where something is impossible.

    Returns:
        Probabilities (..., S), each row summing to one.

    Raises:
        ValueError: for a row in which nothing is possible.

    >>> normalise(torch.tensor([-2000.0, -2000.0])).tolist()
    [0.5, 0.5]

    """
    if not bool((log_p.amax(-1) > -torch.inf).all()):
        raise ValueError("log_p has a row without a possible stimulus: no stimulus of the grid gives such a response")
    return torch.softmax(log_p, -1)


def posterior(code: Code, r: Floats, grid: Tensor, gain: Gain | None = None, log_prior: Tensor | None = None) -> Tensor:
    r"""Return p(s | r) on a grid, for each response.

    Equation population_codes:log-posterior in the chapter. No spike at all is a response too: without gain it leaves
    the prior as it was, with gain it speaks against stimuli to which many spikes are due.

    Args:
        code: the population.
        r: responses (..., N).
        grid: the stimuli (S,) that are possible.
        gain: the gain, a number or (...), if it is known and the sum of the tuning curves depends on the stimulus.
        log_prior: logarithm of the prior on the grid, (S,); flat if None.

    Returns:
        Probabilities (..., S).

    >>> from workings.population_codes.codes import PoissonCode
    >>> from workings.population_codes.tuning import gaussian
    >>> code = PoissonCode(gaussian(torch.tensor([-1.0, 1.0]), 1.0))
    >>> p = posterior(code, torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([-1.0, 0.0]))  # no spike, two spikes
    >>> [round(float(one), 3) for one in p.flatten()]
    [0.5, 0.5, 0.269, 0.731]

    """
    log_p = code.log_likelihood(r, grid, gain)
    return normalise(log_p if log_prior is None else log_p + log_prior)


def moments(p: Floats, grid: Floats) -> tuple[Tensor, Tensor]:
    """Return mean and variance of distributions on a grid.

    Args:
        p: probabilities (..., S).
        grid: stimuli (S,).

    Returns:
        Means (...) and variances (...).

    """
    mean = p @ grid
    return mean, (p * (grid - mean[..., None]) ** 2).sum(-1)


def kl(p: Tensor, q: Tensor) -> Tensor:
    r"""Return :math:`\mathrm{KL}(p\|q) = \sum_s p(s) \log (p(s) / q(s))` in nats (population_codes:kl).

    Args:
        p: probabilities (..., S).
        q: probabilities (..., S).

    Returns:
        The divergence (...), infinite where q excludes what p allows.

    >>> round(kl(torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])).item(), 4)
    0.1438

    """
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1)


def log_shares(tuning_log: Tensor) -> Tensor:
    r"""Return the kernel of Poisson neurons whose gain nobody knows: :math:`\log (f_i / \sum_j f_j)`.

    Averaged over all gains alike on a logarithmic scale, the likelihood depends on who fired, not on how many spikes
    there were (population_codes:shares). It needs neither the gain nor a constant sum of tuning curves.

    Args:
        tuning_log: logarithms of the tuning curves (..., N).

    Returns:
        The kernel (..., N).

    >>> log_shares(torch.tensor([0.0, 0.0])).exp().tolist()
    [0.5, 0.5]

    """
    return tuning_log - tuning_log.logsumexp(-1, keepdim=True)
