"""Codes, decoding and combination, against SciPy's distributions and plain loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import population_codes_reference as plain
import pytest
import torch
from torch import Tensor

from workings.population_codes import (
    GaussianCode,
    PoissonCode,
    combine,
    constant_input,
    cue_combination,
    fisher,
    gaussian,
    kernel_slopes,
    kernel_weights,
    kl,
    log_shares,
    moments,
    normalise,
    posterior,
    product,
    shared_log_likelihood,
    sigmoid,
    slopes,
)

F64 = torch.float64
CELLS, GRID = torch.tensor(plain.CELLS), torch.tensor(plain.GRID)
DENSE = torch.arange(-200.0, 201.0, 3.0, dtype=F64)  # beyond the grid by many widths


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bells(device: torch.device, cells: Tensor = CELLS, width: float = plain.WIDTH) -> PoissonCode:
    return PoissonCode(gaussian(cells.to(device), width))


def correlated(n: int = len(CELLS)) -> Tensor:
    """A covariance that is neither diagonal nor the same for all neurons."""
    at = torch.arange(n, dtype=F64)
    scale = 1 + 0.5 * torch.sin(at)
    return scale[:, None] * scale * torch.exp(-(at[:, None] - at).abs() / 2) + 0.1 * torch.eye(n, dtype=F64)


# ---- tuning ----


def test_tuning_curves_are_what_they_are_called(device: torch.device) -> None:
    s = torch.tensor([[0.5, -3.0]], dtype=F64, device=device)
    found = gaussian(CELLS.to(device), plain.WIDTH)(s).exp()
    assert found.shape == (1, 2, len(CELLS))
    by_hand = [[plain.bell(one, c) for c in plain.CELLS] for one in (0.5, -3.0)]
    assert np.allclose(found[0].cpu().numpy(), by_hand, rtol=1e-13)
    rising = sigmoid(torch.tensor([1.0, 2.0], dtype=F64), torch.tensor([2.0, -1.0], dtype=F64))(torch.tensor(0.0))
    expected = [1 / (1 + math.exp(2)), 1 / (1 + math.exp(-2))]
    assert np.allclose(rising.exp().numpy(), expected)


def test_slopes_are_those_of_finite_differences(device: torch.device) -> None:
    s, tuning = torch.linspace(-3, 3, 8, dtype=F64, device=device).reshape(2, 4), gaussian(CELLS.to(device), 7.0)
    numeric = (tuning(s + 1e-5) - tuning(s - 1e-5)) / 2e-5
    assert torch.allclose(slopes(tuning, s), numeric, atol=1e-8)


# ---- encoding: mean, covariance, independence ----


@pytest.mark.parametrize("fano", [1.0, 2.5])
def test_poisson_responses_have_the_mean_and_the_fano_factor_that_they_should(fano: float) -> None:
    code = PoissonCode(gaussian(CELLS, plain.WIDTH), fano)
    n, s = 20_000, torch.tensor([4.0], dtype=F64)
    r = code.sample(s.expand(n), 6.0, draw())
    mean = 6 * torch.tensor([plain.bell(4.0, c) for c in plain.CELLS], dtype=F64)
    assert torch.allclose(code.mean(s, 6.0)[0], mean, rtol=1e-12)
    assert bool(((r / fano) % 1 == 0).all())
    seen = mean > 0.5
    assert bool(((r.mean(0) - mean).abs() < 5 * (fano * mean / n).sqrt() + 1e-9)[seen].all())
    ratio = r.var(0)[seen] / mean[seen]
    spread = (2 / n + 1 / (n * mean[seen] / fano)).sqrt()  # relative, of a Poisson variance
    assert bool(((ratio / fano - 1).abs() < 5 * spread).all())
    assert torch.allclose(code.covariance(s, 6.0)[0], torch.diag(fano * mean))
    between = torch.corrcoef(r[:, seen].T) - torch.eye(int(seen.sum()), dtype=F64)
    assert float(between.abs().max()) < 5 / n**0.5


def test_gaussian_responses_have_mean_and_covariance_in_proportion_to_the_gain() -> None:
    noise = correlated()
    code, n, s = GaussianCode(gaussian(CELLS, plain.WIDTH), noise), 40_000, torch.tensor(4.0, dtype=F64)
    gain = torch.tensor([2.0, 8.0], dtype=F64)
    r = code.sample(s.expand(n, 2), gain, draw())
    assert r.shape == (n, 2, len(CELLS))
    scale = noise.diag().sqrt()
    bound = 5 * (scale[:, None] * scale) * (2 / n) ** 0.5
    for k, g in enumerate(gain.tolist()):
        assert bool(((r[:, k].mean(0) - code.mean(s, g)).abs() < 5 * (g / n) ** 0.5 * scale).all())
        assert bool(((torch.cov(r[:, k].T) / g - noise).abs() < bound).all())
        assert torch.allclose(code.covariance(s, g), g * noise)
    assert code.covariance(s.expand(3, 1), gain).shape == (3, 2, len(CELLS), len(CELLS))


def test_a_generator_makes_draws_repeat_and_leaves_torchs_own_alone() -> None:
    for code in (PoissonCode(gaussian(CELLS, 9.0)), GaussianCode(gaussian(CELLS, 9.0), correlated())):
        before = torch.get_rng_state()
        first = code.sample(GRID, 2.0, draw(1))
        assert torch.equal(first, code.sample(GRID, 2.0, draw(1)))
        assert not torch.equal(first, code.sample(GRID, 2.0, draw(2)))
        assert torch.equal(before, torch.get_rng_state())
        assert code.sample(GRID, 2.0).shape == first.shape


# ---- one posterior, exactly ----


@pytest.mark.parametrize("gain", [0.3, 5.0])
def test_a_poisson_posterior_is_that_of_scipy(device: torch.device, gain: float) -> None:
    code, s = bells(device), torch.tensor([[3.0], [-15.0]], dtype=F64, device=device)
    r = code.sample(s, gain, draw())
    prior = np.exp(-0.05 * plain.GRID)
    log_prior = torch.tensor(np.log(prior), device=device)
    grid = GRID.to(device)
    for k in range(2):
        counts = r[k, 0].cpu().numpy()
        flat, tilted = posterior(code, r, grid, gain), posterior(code, r, grid, gain, log_prior)
        assert np.allclose(flat[k, 0].cpu().numpy(), plain.poisson_posterior(counts, gain), atol=1e-12)
        assert np.allclose(tilted[k, 0].cpu().numpy(), plain.poisson_posterior(counts, gain, prior), atol=1e-12)


def test_each_trial_may_have_its_own_gain() -> None:
    code, gain = PoissonCode(gaussian(CELLS, plain.WIDTH)), torch.tensor([0.5, 4.0], dtype=F64)
    r = code.sample(torch.tensor([1.0, 1.0], dtype=F64), gain, draw())
    for k in range(2):
        expected = plain.poisson_posterior(r[k].numpy(), float(gain[k]))
        assert np.allclose(posterior(code, r, GRID, gain)[k].numpy(), expected, atol=1e-12)


def test_a_gaussian_posterior_is_that_of_scipy() -> None:
    noise = correlated()
    code = GaussianCode(gaussian(CELLS, plain.WIDTH), noise)
    r = code.sample(torch.tensor(3.0, dtype=F64), 2.0, draw())
    expected = plain.gaussian_posterior(r.numpy(), 2.0, noise.numpy())
    assert np.allclose(posterior(code, r, GRID, 2.0).numpy(), expected, atol=1e-12)


def test_with_another_fano_factor_counts_are_divided_by_it() -> None:
    code = PoissonCode(gaussian(CELLS, plain.WIDTH), 2.0)
    r = code.sample(torch.tensor(3.0, dtype=F64), 3.0, draw())
    assert np.allclose(posterior(code, r, GRID, 3.0).numpy(), plain.poisson_posterior(r.numpy() / 2, 1.5), atol=1e-12)


def test_the_term_without_spikes_matters_where_tuning_curves_do_not_cover_and_only_there(device: torch.device) -> None:
    sparse, dense = bells(device, CELLS[::4], 6.0), bells(device, DENSE, 20.0)
    for code, apart in ((sparse, True), (dense, False)):
        r = code.sample(torch.zeros(20, dtype=F64, device=device), 3.0, draw())
        grid = GRID.to(device)
        nats = kl(posterior(code, r, grid, 3.0), posterior(code, r, grid)).max()
        assert (float(nats) > 0.05) == apart
        assert (float(nats) < 1e-12) != apart


def test_no_spike_leaves_the_prior_and_with_a_known_gain_speaks_against_what_should_have_been_seen() -> None:
    code, silent = PoissonCode(gaussian(torch.tensor([0.0], dtype=F64), 5.0)), torch.zeros(1, dtype=F64)
    log_prior = torch.log_softmax(GRID / 10, 0)
    assert torch.allclose(posterior(code, silent, GRID), torch.full_like(GRID, 1 / len(GRID)))
    assert torch.allclose(posterior(code, silent, GRID, log_prior=log_prior), log_prior.exp())
    known = posterior(code, silent, GRID, 2.0)
    assert int(known.argmin()) == len(GRID) // 2
    mean, variance = moments(posterior(code, silent, GRID), GRID)
    assert abs(float(mean)) < 1e-12
    assert abs(float(variance) - float(GRID.square().mean())) < 1e-9


def test_a_neuron_that_cannot_fire_excludes_a_stimulus_by_a_spike_and_not_by_silence() -> None:
    def steps(s: Tensor) -> Tensor:
        return torch.stack((s >= 0, s < 5), -1).to(F64).log()

    code, grid = PoissonCode(steps), torch.tensor([-1.0, 1.0, 7.0], dtype=F64)
    r = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]], dtype=F64)
    expected = torch.tensor([[0, 1, 1], [1, 1, 0], [0, 1, 0], [1, 1, 1]], dtype=F64)
    assert torch.allclose(posterior(code, r, grid), expected / expected.sum(1, keepdim=True))
    with pytest.raises(ValueError, match="no stimulus of the grid gives such a response"):
        posterior(code, torch.ones(2, dtype=F64), torch.tensor([-1.0, -2.0], dtype=F64))


def test_very_many_spikes_overflow_nothing() -> None:
    code = PoissonCode(gaussian(DENSE, 20.0))
    r = code.sample(torch.zeros((), dtype=F64), 1e5, draw())
    mean, variance = moments(
        posterior(code, r, torch.linspace(-0.2, 0.2, 401, dtype=F64)), torch.linspace(-0.2, 0.2, 401, dtype=F64)
    )
    assert abs(float(mean)) < 5 * float(variance) ** 0.5
    assert float(variance) == pytest.approx(400 / float(r.sum()), rel=1e-3)


def test_single_precision_stays_single_and_agrees() -> None:
    for make in (
        lambda t: PoissonCode(gaussian(CELLS.to(t), 12.0)),
        lambda t: GaussianCode(gaussian(CELLS.to(t), 12.0), correlated().to(t)),
    ):
        r = make(F64).sample(torch.tensor([1.0, 2.0], dtype=F64), 2.0, draw())
        found = posterior(make(torch.float32), r.float(), GRID.float(), 2.0)
        assert found.dtype == torch.float32
        assert torch.allclose(found.double(), posterior(make(F64), r, GRID, 2.0), atol=1e-4)
        assert make(torch.float32).sample(GRID.float(), 2.0, draw()).dtype == torch.float32


# ---- sums and products ----


def test_the_posterior_of_a_sum_is_the_product_trial_by_trial(device: torch.device) -> None:
    """The identity, to rounding, for bells, sigmoids, curves with two peaks, and correlated normal noise."""
    cells, grid = DENSE.to(device), GRID.to(device)

    def two_peaks(s: Tensor) -> Tensor:
        return torch.logaddexp(gaussian(cells, 10.0)(s), gaussian(cells + 40.0, 15.0)(s) - 1.0)

    curves: Any = (gaussian(cells, 20.0), two_peaks, sigmoid(cells, 0.2))
    codes = [*map(PoissonCode, curves), GaussianCode(gaussian(CELLS.to(device), 12.0), correlated().to(device))]
    for code in codes:
        s = torch.full((200,), 3.0, dtype=F64, device=device)
        r1, r2 = code.sample(s, 0.7, draw(1)), code.sample(s + 2, 3.0, draw(2))
        sum_, both = posterior(code, r1 + r2, grid), product(posterior(code, r1, grid), posterior(code, r2, grid))
        assert float((sum_ - both).abs().max()) < 1e-13
        assert float(kl(both, posterior(code, r1 + 1.2 * r2, grid)).mean()) > 1e-4


def test_gain_is_certainty_in_closed_form() -> None:
    code, n = PoissonCode(gaussian(DENSE, 20.0)), 4000
    fine = torch.linspace(-60, 60, 961, dtype=F64)
    for g in (1.0, 4.0):
        r = code.sample(torch.zeros(n, dtype=F64), g, draw())
        mean, variance = moments(posterior(code, r, fine), fine)
        total = r.sum(1)
        assert torch.allclose(mean, (r @ DENSE) / total, atol=1e-6)
        assert torch.allclose(variance, 400 / total, rtol=1e-6)
        expected = g * (2 * math.pi) ** 0.5 / (3 * 20)
        assert abs(float((1 / variance).mean()) / expected - 1) < 5 / (n * float(total.mean())) ** 0.5


def test_a_product_of_normal_distributions_is_the_one_of_two_cues() -> None:
    mu, variance = torch.tensor([1.0, 3.0], dtype=F64), torch.tensor([0.25, 1.44], dtype=F64)
    fine = torch.linspace(-8, 12, 4001, dtype=F64)
    each = [normalise(-((fine - m) ** 2) / (2 * v)) for m, v in zip(mu, variance, strict=True)]
    mean, spread = moments(product(*each), fine)
    assert torch.allclose(torch.stack(cue_combination(mu, variance)), torch.stack((mean, spread)), atol=1e-10)
    assert float(mean) == pytest.approx(1.29586, abs=1e-5)
    assert float(spread) == pytest.approx(0.213018, abs=1e-6)
    batch = cue_combination(mu.expand(4, 2), variance.expand(4, 2))
    assert batch[0].shape == (4,)


def test_a_product_takes_any_number_and_survives_what_is_impossible() -> None:
    p = torch.tensor([0.5, 0.5, 0.0], dtype=F64)
    q = torch.tensor([[0.0, 0.25, 0.75], [1 / 3, 1 / 3, 1 / 3]], dtype=F64)
    assert torch.allclose(product(p, q), torch.tensor([[0.0, 1, 0], [0.5, 0.5, 0]], dtype=F64))
    assert torch.allclose(product(p, p, q[1]), p)


@pytest.mark.parametrize("other", ["width", "shift", "fano"])
def test_weights_repair_what_the_plain_sum_breaks(other: str) -> None:
    """Different widths, shifted cells, different Fano factors: r₁ is decoded by the kernel of the second."""
    second = PoissonCode(gaussian(DENSE, 10.0))
    first = {
        "width": PoissonCode(gaussian(DENSE, 20.0)),
        "shift": PoissonCode(gaussian(DENSE + 7.0, 10.0)),
        "fano": PoissonCode(gaussian(DENSE, 10.0), 2.0),
    }[other]
    s = torch.full((100,), 2.0, dtype=F64)
    r1, r2 = first.sample(s, 2.0, draw(1)), second.sample(s, 2.0, draw(2))
    both = product(posterior(first, r1, GRID), posterior(second, r2, GRID))
    A, left = kernel_weights(first.kernel(GRID), second.kernel(GRID))
    assert left < 1e-9
    assert A.shape == (len(DENSE), len(DENSE))
    mended = posterior(second, combine([r1, r2], [A, 1.0]), GRID)
    assert float((mended - both).abs().max()) < 1e-10
    assert float(kl(both, posterior(second, r1 + r2, GRID)).mean()) > 0.01
    if other != "shift":
        plain_number = {"width": 0.25, "fano": 0.5}[other]
        again = posterior(second, combine([r1, r2], [plain_number, 1.0]), GRID)
        assert float((again - both).abs().max()) < 1e-12


def test_weights_say_what_no_weights_can_mend() -> None:
    bell, edge = gaussian(CELLS, 12.0), sigmoid(CELLS[:1], 0.5)
    _, left = kernel_weights(bell(GRID), edge(GRID))
    assert left > 0.1
    h = bell(GRID)
    A, left = kernel_weights(h @ torch.ones(len(CELLS), 2, dtype=F64) + 5.0, h)
    assert left < 1e-10
    assert A.shape == (2, len(CELLS))
    A, left = kernel_weights(2 * GRID[:, None] + 5.0, GRID[:, None] - 3.0)  # constants do not count
    assert A.tolist() == [[pytest.approx(2)]]
    assert left < 1e-10


def test_a_prior_is_a_constant_input() -> None:
    code = PoissonCode(gaussian(DENSE, 20.0))
    log_prior = -((GRID - 4) ** 2) / (2 * 3.0**2)
    c, left = constant_input(log_prior, code.kernel(GRID))
    assert left < 1e-9
    r = code.sample(torch.zeros(50, dtype=F64), 1.0, draw())
    assert torch.allclose(posterior(code, r + c, GRID), posterior(code, r, GRID, log_prior=log_prior), atol=1e-11)
    assert float(constant_input(torch.sin(GRID), code.kernel(GRID))[1]) > 0.1  # no quadratic is a sine


def test_without_the_gain_who_fired_is_what_counts() -> None:
    sparse = PoissonCode(gaussian(CELLS[::3], 8.0))

    def shares(s: Tensor) -> Tensor:
        return log_shares(gaussian(CELLS, plain.WIDTH)(s))

    code = PoissonCode(gaussian(CELLS, plain.WIDTH))
    r = code.sample(torch.tensor([18.0], dtype=F64), 0.5, draw())
    expected = plain.unknown_gain_posterior(r[0].numpy())
    assert np.allclose(posterior(PoissonCode(shares), r, GRID)[0].numpy(), expected, atol=1e-6)
    assert torch.allclose(log_shares(sparse.tuning(GRID)).exp().sum(-1), torch.ones_like(GRID))


def test_shared_spikes_are_counted_once() -> None:
    code, share, gain = PoissonCode(gaussian(CELLS, plain.WIDTH)), 0.6, 4.0
    s = torch.full((2,), 2.0, dtype=F64)
    own = [code.sample(s, (1 - share) * gain, draw(k)) for k in (1, 2)]
    common = code.sample(s, share * gain, draw(3))
    r1, r2 = own[0] + common, own[1] + common
    found = normalise(shared_log_likelihood(r1, r2, code.mean(GRID, gain), share))
    for k in range(2):
        expected = plain.shared_posterior(r1[k].numpy(), r2[k].numpy(), gain, share)
        assert np.allclose(found[k].numpy(), expected, atol=1e-12)


# ---- information ----


def test_the_slope_of_the_kernel_is_the_inverse_covariance_times_that_of_the_mean() -> None:
    s = torch.tensor([-3.0, 0.5, 4.0], dtype=F64)
    for code in (
        PoissonCode(gaussian(CELLS, plain.WIDTH), 2.0),
        PoissonCode(sigmoid(CELLS, 0.2)),
        GaussianCode(gaussian(CELLS, plain.WIDTH), correlated()),
    ):
        for gain in (0.5, 3.0):
            direct = slopes(code.kernel, s)
            assert torch.allclose(kernel_slopes(code, s, gain), direct, atol=1e-9)


def test_fisher_information_is_the_variance_of_the_score() -> None:
    """Of the exact likelihood with its normaliser, differentiated numerically, over many responses."""
    s, n, gain = torch.tensor([1.0], dtype=F64), 20_000, 2.0
    for code in (
        PoissonCode(gaussian(CELLS[::3], 8.0), 1.5),
        GaussianCode(gaussian(CELLS, plain.WIDTH), correlated()),
    ):
        r = code.sample(s.expand(n), gain, draw())
        near = torch.tensor([1 - 1e-4, 1 + 1e-4], dtype=F64)
        log_l = code.log_likelihood(r, near, gain)
        score = (log_l[:, 1] - log_l[:, 0]) / 2e-4
        J = float(fisher(code, s, gain))
        assert abs(float(score.mean())) < 5 * (J / n) ** 0.5
        assert float(score.var()) == pytest.approx(J, rel=0.06)
        h = slopes(code.kernel, s)
        again = torch.einsum("si,sij,sj->s", h, code.covariance(s, gain), h)
        assert float(again) == pytest.approx(J, rel=1e-9)


def test_no_unbiased_estimate_beats_the_bound() -> None:
    code, n = PoissonCode(gaussian(DENSE, 20.0)), 4000
    fine = torch.linspace(-40, 40, 801, dtype=F64)
    J = float(fisher(code, torch.zeros(1, dtype=F64), 2.0))
    mean, _ = moments(posterior(code, code.sample(torch.zeros(n, dtype=F64), 2.0, draw()), fine), fine)
    assert float(mean.var()) * J == pytest.approx(1, abs=5 * (2 / n) ** 0.5 + 0.02)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian(CELLS, 0.0), "width is 0.0"),
        (lambda: PoissonCode(gaussian(CELLS, 1.0), 0.0), "fano is 0.0"),
        (lambda: PoissonCode(gaussian(CELLS, 1.0)).sample(GRID, -1.0), "gain is -1.0"),
        (lambda: GaussianCode(gaussian(CELLS, 1.0), -torch.eye(21, dtype=F64)), "positive definite"),
        (lambda: GaussianCode(gaussian(CELLS, 1.0), torch.eye(21, dtype=F64).roll(1, 0)), "symmetric"),
        (
            lambda: posterior(PoissonCode(gaussian(CELLS, 1.0)), torch.ones(3, dtype=F64), GRID),
            "r has 3 neurons, .* 21",
        ),
        (lambda: combine([torch.ones(2)], [1.0, 2.0]), "1 responses have 2 weights"),
        (lambda: kernel_weights(torch.ones(3, 2), torch.ones(4, 2)), "share a grid"),
        (lambda: shared_log_likelihood(torch.ones(2), torch.ones(2), torch.ones(3, 2), 1.0), "share is 1.0"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_a_divergence_knows_what_is_impossible() -> None:
    p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([1.0, 0.0, 0.0])
    assert float(kl(p, p)) == 0.0
    assert float(kl(p, q)) == math.inf
    assert float(kl(q, p)) == pytest.approx(math.log(2))
