"""Poisson-like codes: a stimulus and a gain on one side, noisy responses on the other.

All are of the form p(r | s, g) = φ(r, g) exp(h(s)ᵀr − a(s, g)), with a kernel h that does not know the gain. Then
everything that a response says about the stimulus is in h(s)ᵀr, as far as a does not depend on the stimulus.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from workings.population_codes.tuning import Tuning, slopes
from workings.typed import Floats

Gain = float | Tensor


class Code(ABC):
    r"""A population with mean response :math:`g f(s)` and Poisson-like noise.

    Attributes:
        tuning: stimuli (...) to :math:`\log f`, (..., N).

    """

    tuning: Tuning

    @abstractmethod
    def kernel(self, s: Tensor) -> Tensor:
        """Return h(s), (..., N), up to what does not depend on the stimulus."""

    @abstractmethod
    def normaliser(self, s: Tensor, gain: Gain) -> Tensor:
        """Return a(s, g), (...), up to what does not depend on the stimulus."""

    @abstractmethod
    def covariance(self, s: Tensor, gain: Gain) -> Tensor:
        """Return the covariance of responses, (..., N, N)."""

    @abstractmethod
    def sample(self, s: Tensor, gain: Gain, generator: torch.Generator | None = None) -> Tensor:
        """Draw a response (..., N) to each stimulus; ``s`` and ``gain`` broadcast."""

    def mean(self, s: Tensor, gain: Gain) -> Tensor:
        r"""Return the mean response :math:`g f(s)`, (..., N)."""
        g = torch.as_tensor(gain, dtype=s.dtype, device=s.device)
        if not bool((g >= 0).all()):
            raise ValueError(f"gain is {gain}; a gain is not negative")
        return g[..., None] * self.tuning(s).exp()

    def log_likelihood(self, r: Floats, s: Tensor, gain: Gain | None = None) -> Tensor:
        r"""Return :math:`h(s)^\top r - a(s, g)` for each response and each of the stimuli.

        Equation population_codes:log-posterior in the chapter, without the prior.

        Args:
            r: responses (..., N).
            s: stimuli (S,).
            gain: g, a number or (...). If None, a is left out, as if it did not depend on the stimulus.

        Returns:
            Logarithms of the likelihood (..., S), each row up to a constant.

        """
        h = self.kernel(s)
        if r.shape[-1] != h.shape[-1]:
            raise ValueError(f"r has {r.shape[-1]} neurons, the population has {h.shape[-1]}")
        found = _weigh(r, h)
        if gain is None:
            return found
        g = torch.as_tensor(gain, dtype=r.dtype, device=r.device)
        return found - self.normaliser(s, g[..., None])


def _weigh(r: Tensor, h: Tensor) -> Tensor:
    """Return h r, where a neuron that cannot fire (h = -inf) says nothing by its silence, and all by a spike."""
    never = torch.isneginf(h)
    found = r @ torch.where(never, 0.0, h).mT
    if bool(never.any()):
        found = found.masked_fill((r > 0).to(r) @ never.to(r).mT > 0, -torch.inf)
    return found


@dataclass(frozen=True)
class PoissonCode(Code):
    r"""Independent neurons that fire F times a Poisson number of spikes, with mean :math:`g f_i(s)`.

    With F = 1 these are Poisson neurons (population_codes:poisson). In general the variance is F times the mean, and
    :math:`h = \log f / F` (population_codes:fano).

    Args:
        tuning: stimuli (...) to :math:`\log f`, (..., N).
        fano: F, variance over mean.

    Raises:
        ValueError: for a Fano factor that is not positive.

    >>> code = PoissonCode(lambda s: s[..., None] * torch.tensor([1.0, -1.0]))
    >>> code.kernel(torch.tensor([0.5])).tolist()
    [[0.5, -0.5]]

    """

    tuning: Tuning
    fano: float = 1.0

    def __post_init__(self) -> None:
        if not self.fano > 0:
            raise ValueError(f"fano is {self.fano}; a Fano factor is positive")

    def kernel(self, s: Tensor) -> Tensor:
        r"""Return :math:`\log f(s) / F`, (..., N)."""
        return self.tuning(s) / self.fano

    def normaliser(self, s: Tensor, gain: Gain) -> Tensor:
        r"""Return :math:`g \sum_i f_i(s) / F`, (...)."""
        return self.mean(s, gain).sum(-1) / self.fano

    def covariance(self, s: Tensor, gain: Gain) -> Tensor:
        """Return F times the mean on a diagonal, (..., N, N)."""
        return torch.diag_embed(self.fano * self.mean(s, gain))

    def sample(self, s: Tensor, gain: Gain, generator: torch.Generator | None = None) -> Tensor:
        """Draw on the generator's device (the stimuli's if None), (..., N)."""
        rate = self.mean(s, gain) / self.fano
        home = rate.device if generator is None else generator.device
        return self.fano * torch.poisson(rate.to(home), generator=generator).to(rate.device)


@dataclass(frozen=True)
class GaussianCode(Code):
    r"""Neurons with correlated normal noise: mean :math:`g f(s)`, covariance g C.

    The kernel is :math:`h = C^{-1} f` (population_codes:family), whatever the gain.

    Args:
        tuning: stimuli (...) to :math:`\log f`, (..., N).
        noise: C, positive definite, (N, N).

    Raises:
        ValueError: if C is not symmetric and positive definite.

    >>> code = GaussianCode(lambda s: 0 * s[..., None] + torch.zeros(2), torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> code.kernel(torch.tensor([0.0])).tolist()
    [[0.5, 0.25]]

    """

    tuning: Tuning
    noise: Tensor

    def __post_init__(self) -> None:
        c = self.noise
        if c.ndim != 2 or not torch.allclose(c, c.mT) or int(torch.linalg.cholesky_ex(c).info) != 0:
            raise ValueError(f"noise of shape {tuple(c.shape)} must be a symmetric, positive definite matrix")

    def kernel(self, s: Tensor) -> Tensor:
        r"""Return :math:`C^{-1} f(s)`, (..., N)."""
        found: Tensor = torch.linalg.solve(self.noise, self.tuning(s).exp()[..., None])
        return found[..., 0]

    def normaliser(self, s: Tensor, gain: Gain) -> Tensor:
        r"""Return :math:`g f(s)^\top C^{-1} f(s) / 2`, (...)."""
        return (self.mean(s, gain) * self.kernel(s)).sum(-1) / 2

    def covariance(self, s: Tensor, gain: Gain) -> Tensor:
        """Return g C, (..., N, N)."""
        g = torch.as_tensor(gain, dtype=s.dtype, device=s.device).expand(torch.broadcast_shapes(s.shape, _shape(gain)))
        return g[..., None, None] * self.noise

    def sample(self, s: Tensor, gain: Gain, generator: torch.Generator | None = None) -> Tensor:
        """Draw on the generator's device (the stimuli's if None), (..., N)."""
        mean, lower = self.mean(s, gain), torch.linalg.cholesky(self.noise)
        home = mean.device if generator is None else generator.device
        noise = torch.randn(mean.shape, dtype=mean.dtype, generator=generator, device=home).to(mean.device)
        g = torch.as_tensor(gain, dtype=s.dtype, device=s.device)
        drawn: Tensor = mean + g.sqrt()[..., None] * (noise @ lower.mT)
        return drawn


def _shape(gain: Gain) -> torch.Size:
    return gain.shape if isinstance(gain, Tensor) else torch.Size()


def kernel_slopes(code: Code, s: Floats, gain: Gain) -> Tensor:
    r"""Return :math:`\Sigma^{-1}(s, g)\,\partial_s (g f(s))`, what the slope of the kernel has to be.

    Equation population_codes:slope in the chapter, from mean and covariance alone.

    Args:
        code: the population.
        s: stimuli (...).
        gain: g, a number or (...). It cancels if the code is Poisson-like.

    Returns:
        The slopes (..., N).

    """
    found: Tensor = torch.linalg.solve(code.covariance(s, gain), _mean_slopes(code, s, gain)[..., None])
    return found[..., 0]


def fisher(code: Code, s: Floats, gain: Gain) -> Tensor:
    r"""Return the (linear) Fisher information :math:`J = f'^\top \Sigma^{-1} f'` of a response about its stimulus.

    Equation population_codes:fisher in the chapter; here f' is the slope of the mean response, gain included.

    Args:
        code: the population.
        s: stimuli (...).
        gain: g, a number or (...).

    Returns:
        J, (...).

    >>> from workings.population_codes.tuning import gaussian
    >>> cells = torch.arange(-10.0, 10.5, 0.5, dtype=torch.float64)
    >>> J = fisher(PoissonCode(gaussian(cells, 1.0)), torch.zeros(1, dtype=torch.float64), 3.0)
    >>> bool((J - 3 * (2 * torch.pi) ** 0.5 / 0.5).abs() < 1e-6)
    True

    """
    J: Tensor = (_mean_slopes(code, s, gain) * kernel_slopes(code, s, gain)).sum(-1)
    return J


def _mean_slopes(code: Code, s: Tensor, gain: Gain) -> Tensor:
    f = code.mean(s, gain)
    return f * slopes(code.tuning, s)  # (log f)' = f' / f
