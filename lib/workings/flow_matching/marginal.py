r"""The exact marginal of a finite data set: density, velocity and posterior as softmaxes over the data.

For an empirical distribution :math:`q = \sum_i w_i\,\delta_{x_1^{(i)}}` the integrals of the marginal path are sums,

.. math:: p_t(x) = \sum_i w_i\,p_t(x \mid x_1^{(i)}), \qquad
    u_t(x) = \sum_i \underbrace{\frac{w_i\,p_t(x \mid x_1^{(i)})}{p_t(x)}}_{\text{posterior}}\, u_t(x \mid x_1^{(i)}) .
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from workings.flow_matching.paths import GaussianPath, column
from workings.typed import Floats, Whole


class EmpiricalMarginal:
    r"""The marginal path of a data set, exactly.

    Everything is computed in log space and in blocks, so that neither a far point nor a large data set overflows.

    Args:
        path: the conditional path.
        data: the data points, shape (N, d).
        weights: their probabilities, shape (N,), not negative, not all 0; equal if None. They are normalized.
        block: at most so many numbers are held at a time.

    Raises:
        ValueError: for an empty data set, or shapes or weights that do not fit.

    >>> from workings.flow_matching import ConditionalOT
    >>> two = EmpiricalMarginal(ConditionalOT(sigma_min=0.1), torch.tensor([[-1.0], [1.0]]))
    >>> two.velocity(torch.tensor(0.5), torch.tensor([[0.0], [0.4]])).double().round(decimals=3).tolist()
    [[0.0], [0.398]]

    """

    def __init__(self, path: GaussianPath, data: Floats, weights: Tensor | None = None, block: Whole = 2**23) -> None:
        if data.dim() != 2 or not data.numel():
            raise ValueError(f"data must have shape (N, d) and not be empty; got {tuple(data.shape)}")
        if weights is None:
            weights = data.new_full((len(data),), 1 / len(data))
        if weights.shape != data.shape[:1]:
            raise ValueError(
                f"weights must have shape ({len(data)},), one for each data point; got {tuple(weights.shape)}"
            )
        if not (weights >= 0).all() or not 0 < float(weights.sum()) < math.inf:
            raise ValueError("weights must not be negative, and not all 0")
        seen = weights > 0
        self.path, self.data, self.block = path, data[seen], block
        self.log_weights = torch.log(weights[seen] / weights.sum())

    def log_prob(self, t: Tensor, x: Floats) -> Tensor:
        """Return log p_t(x) in nats, shape (...), at points (..., d)."""
        log_sum, _ = self._softmax(t, x)
        sigma = self.path.sigma(column(t, x)).expand(*x.shape[:-1], 1)[..., 0]
        return log_sum - x.shape[-1] * (torch.log(sigma) + 0.5 * math.log(2 * math.pi))

    def denoised(self, t: Tensor, x: Floats) -> Tensor:
        r"""Return the posterior mean of the data point, :math:`E[x_1 \mid x_t = x]`, shaped like ``x``."""
        return self._softmax(t, x)[1]

    def velocity(self, t: Tensor, x: Floats) -> Tensor:
        """Return u_t(x), shaped like ``x``: the conditional one for the posterior mean, since it is linear in x₁."""
        return self.path.velocity(t, x, self.denoised(t, x))

    def score(self, t: Tensor, x: Floats) -> Tensor:
        r"""Return :math:`\nabla_x \log p_t(x) = (\alpha_t E[x_1 \mid x] - x)/\sigma_t^2`, shaped like ``x``."""
        s = column(t, x)
        return (self.path.alpha(s) * self.denoised(t, x) - x) / self.path.sigma(s) ** 2

    def posterior(self, t: Tensor, x: Tensor) -> Tensor:
        """Return the probability of each data point that has a weight, shape (..., N), at points (..., d)."""
        alpha, sigma = self._scales(t, x)
        return torch.softmax(self._logits(x, alpha, sigma, slice(None)), -1)

    def _scales(self, t: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return α and σ at each point, shape (..., 1)."""
        if x.dim() == 0 or x.shape[-1] != self.data.shape[1]:
            raise ValueError(f"x must have shape (..., {self.data.shape[1]}), as the data have; got {tuple(x.shape)}")
        s = column(t, x).expand(*x.shape[:-1], 1)
        sigma = self.path.sigma(s)
        if not (sigma > 0).all():
            raise ValueError(
                f"the marginal of {self.path} has no density where its std is 0: stop at {self.path.last:.6g}"
            )
        return self.path.alpha(s), sigma

    def _logits(self, x: Tensor, alpha: Tensor, sigma: Tensor, which: slice) -> Tensor:
        """Return log w − ‖x − α x₁‖²/2σ² for points (..., d) and a slice of the data, (..., n)."""
        distance = (x[..., None, :] - alpha[..., None] * self.data[which]).square().sum(-1)
        return self.log_weights[which] - distance / (2 * sigma**2)

    def _softmax(self, t: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log of the summed weights, (...), and the weighted mean of the data, (..., d)."""
        alpha, sigma = self._scales(t, x)
        N, d = self.data.shape
        rows = max(1, self.block // (N * d))
        points = zip(*(v.reshape(-1, v.shape[-1]).split(rows) for v in (x, alpha, sigma)), strict=True)
        found = [self._streamed(*chunk) for chunk in points]
        log_sum, mean = (torch.cat(column) for column in zip(*found, strict=True))
        return log_sum.view(x.shape[:-1]), mean.view(x.shape)

    def _streamed(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Go through the data in blocks, with the largest logit so far subtracted from all."""
        N, d = self.data.shape
        most, total, mean = x.new_full((len(x), 1), -math.inf), torch.zeros_like(x[:, :1]), torch.zeros_like(x)
        for start in range(0, N, n := max(1, self.block // (len(x) * d))):
            logits = self._logits(x, alpha, sigma, slice(start, start + n))
            larger = torch.maximum(most, logits.amax(-1, keepdim=True))
            shrink, weights = torch.exp(most - larger), torch.exp(logits - larger)
            total = shrink * total + weights.sum(-1, keepdim=True)
            mean = shrink * mean + weights @ self.data[start : start + n]
            most = larger
        return (most + torch.log(total))[:, 0], mean / total
