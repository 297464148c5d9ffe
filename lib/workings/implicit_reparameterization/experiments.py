"""What takes longer than a page: autoencoders with three kinds of latent numbers.

Each experiment is a function of a seed that returns its measured quantities; ``RECORDED`` lists them with the seeds and
arguments of each profile.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from workings.flow_matching.data import mnist
from workings.implicit_reparameterization.autoencoder import LATENTS, Autoencoder, bits, fit


def autoencoder(latent: str, dim: int, seed: int, device: torch.device, steps: int) -> Autoencoder:
    """Return a model of MNIST images, trained for so many steps from weights and draws of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Autoencoder(latent, dim).to(device)
    fit(model, mnist().to(device) / 255, steps, generator=torch.Generator().manual_seed(seed))
    return model


@torch.no_grad()
def quality(model: Autoencoder, seed: int, device: torch.device, samples: int) -> dict[str, float]:
    """Return the mean bounds of held-out images, in nats: from one sample each, and from several."""
    generator = torch.Generator().manual_seed(1_000_000 + seed)
    x = bits(mnist(held_out=True) / 255, generator).to(device)
    tight: list[Tensor] = [model.log_mean_weight(part, samples, generator) for part in x.split(100)]
    return {"elbo": float(model.elbo(x, generator).mean()), "iwae": float(torch.cat(tight).mean())}


def latents(seed: int, device: torch.device, dims: list[int], steps: int, samples: int) -> dict[str, Any]:
    """Train one model for each kind of latent and number of dimensions; return lists over the dimensions."""
    found: dict[str, list[float]] = {}
    for name in LATENTS:
        for dim in dims:
            measured = quality(autoencoder(name, dim, seed, device, steps), seed, device, samples)
            for key, value in measured.items():
                found.setdefault(f"{name.replace(' ', '_')}_{key}", []).append(value)
    return found


RECORDED: dict[str, dict[str, Any]] = {
    "latents": {
        "run": latents,
        "seeds": range(3),
        "profiles": {
            "quick": {"dims": [2], "steps": 2, "samples": 2},
            "default": {"dims": [2, 10], "steps": 4000, "samples": 100},
            "full": {"dims": [2, 5, 10, 20, 40], "steps": 30_000, "samples": 1000},
        },
    },
    "short": {
        "run": latents,
        "seeds": range(8),
        "profiles": {
            "quick": {"dims": [2], "steps": 2, "samples": 2},
            "default": {"dims": [2], "steps": 500, "samples": 20},
        },
    },
}
