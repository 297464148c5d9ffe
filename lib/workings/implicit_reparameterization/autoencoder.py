"""A variational autoencoder whose latent numbers may live on the line, on the circle or between 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import kl_divergence
from torch.nn import functional

from workings.implicit_reparameterization.gamma import Beta
from workings.implicit_reparameterization.normal import Normal
from workings.implicit_reparameterization.von_mises import VonMises


@dataclass(frozen=True)
class Latent:
    """A kind of latent number: its posterior from so many outputs of the encoder, its prior, what the decoder sees."""

    outputs: int
    posterior: Callable[[Tensor], Any]
    prior: Callable[[Tensor], Any]
    features: Callable[[Tensor], Tensor]


def _positive(x: Tensor) -> Tensor:
    return functional.softplus(x) + 1e-3


def _zero(like: Tensor) -> Tensor:
    return torch.zeros((), device=like.device)


LATENTS = {
    "normal": Latent(
        2,
        lambda h: Normal(h[..., 0], _positive(h[..., 1])),
        lambda z: Normal(_zero(z), _zero(z) + 1),
        lambda z: z,
    ),
    "von Mises": Latent(
        3,
        lambda h: VonMises(torch.atan2(h[..., 1], h[..., 0]), _positive(h[..., 2])),
        lambda z: VonMises(_zero(z), _zero(z)),  # uniform
        lambda z: torch.cat((torch.cos(z), torch.sin(z)), -1),
    ),
    "beta": Latent(
        2,
        lambda h: Beta(_positive(h[..., 0]), _positive(h[..., 1])),
        lambda z: Beta(_zero(z) + 1, _zero(z) + 1),  # uniform
        lambda z: 2 * z - 1,
    ),
}


class Autoencoder(nn.Module):
    r"""An encoder :math:`q_\phi(z \mid x)`, a decoder :math:`p_\theta(x \mid z)` of bits, and a fixed prior.

    Args:
        latent: a key of ``LATENTS``.
        dim: how many latent numbers.
        pixels: bits of an image.
        hidden: widths of the encoder's layers; the decoder has them in reverse.

    Raises:
        ValueError: for an unknown ``latent``.

    """

    def __init__(self, latent: str, dim: int, pixels: int = 784, hidden: tuple[int, ...] = (256, 128)) -> None:
        super().__init__()
        if latent not in LATENTS:
            raise ValueError(f"latent must be one of {', '.join(LATENTS)}; got {latent!r}")
        self.latent, self.dim = LATENTS[latent], dim
        seen = self.latent.features(torch.zeros(dim)).shape[-1]
        self.encoder = _layers((pixels, *hidden, dim * self.latent.outputs))
        self.decoder = _layers((seen, *reversed(hidden), pixels))

    def posterior(self, x: Tensor) -> Any:
        r"""Return :math:`q_\phi(z \mid x)`, of batch shape (..., dim), for images (..., pixels)."""
        h: Tensor = self.encoder(2 * x - 1)
        return self.latent.posterior(h.unflatten(-1, (self.dim, self.latent.outputs)))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        r"""Return :math:`\log p_\theta(x \mid z)` in nats, (...), for images (..., pixels) and latents (..., dim)."""
        logits = self.decoder(self.latent.features(z))
        nats = functional.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none")
        return -nats.sum(-1)

    def elbo(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the bound of each image from one sample, (...), in nats, with the divergence in closed form."""
        q = self.posterior(x)
        z = q.rsample((), generator)
        return self.log_likelihood(x, z) - kl_divergence(q, self.latent.prior(z)).sum(-1)

    def log_mean_weight(self, x: Tensor, samples: int, generator: torch.Generator | None = None) -> Tensor:
        r"""Return :math:`\log \frac1K \sum_k p_\theta(x, z_k)/q_\phi(z_k \mid x)`, (...): a tighter bound (IWAE)."""
        q = self.posterior(x)
        z = q.sample((samples,), generator)
        log_weight = self.log_likelihood(x, z) + (self.latent.prior(z).log_prob(z) - q.log_prob(z)).sum(-1)
        return torch.logsumexp(log_weight, 0) - math.log(samples)


def _layers(sizes: tuple[int, ...]) -> nn.Sequential:
    parts: list[nn.Module] = []
    for m, n in pairwise(sizes):
        parts += [nn.Linear(m, n), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def fit(
    model: Autoencoder,
    images: Tensor,
    steps: int,
    *,
    batch: int = 100,
    lr: float = 1e-3,
    generator: torch.Generator | None = None,
    each: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> list[float]:
    """Train ``model`` in place on its bound, by Adam, on images whose pixels are drawn anew as bits for each batch.

    Args:
        model: the model.
        images: probabilities of a bit, (n, pixels), on the device of the model.
        steps: training steps.
        batch: images a step.
        lr: the learning rate; it falls to 0 along a cosine.
        generator: a CPU generator for all that is drawn; torch's default if None.
        each: wraps the range of steps, for a progress bar.

    Returns:
        The mean bound of every step's batch, in nats.

    """
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    bounds = []
    for _ in each(range(steps)):
        chosen = torch.randint(0, len(images), (batch,), generator=generator).to(images.device)
        bound = model.elbo(bits(images[chosen], generator), generator).mean()
        optimizer.zero_grad()
        (-bound).backward()
        optimizer.step()
        rate.step()
        bounds.append(bound.detach())
    return torch.stack(bounds).tolist()


def bits(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw each pixel as 0 or 1 with its probability, on the generator's device."""
    where = images.device if generator is None else generator.device
    return torch.bernoulli(images.to(where), generator=generator).to(images.device)
