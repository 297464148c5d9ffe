"""Learned kernels, integrate-and-fire neurons, spike trains and real spikes."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest
import torch
from scipy import signal, stats

from workings.population_codes import (
    GaussianCode,
    Layer,
    LearnedKernel,
    PoissonCode,
    bin_spikes,
    experiments,
    explained,
    fano_factor,
    gaussian,
    kernel_slopes,
    learn_kernel,
    pooling,
    posterior,
    reconstruct,
    recording,
    slopes,
    smoothed_rate,
    spike_trains,
    surrogate,
)

F64 = torch.float64


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- learning ----


def test_what_is_learned_is_the_inverse_covariance_times_the_slope(device: torch.device) -> None:
    """The covariance is not diagonal; without it the slopes would be others. The gain varies, and nobody tells."""
    cells = torch.arange(-30.0, 31.0, 10.0, dtype=F64, device=device)
    at = torch.arange(7, dtype=F64, device=device)
    noise = 0.02 * (0.6 ** (at[:, None] - at).abs())
    code, grid = GaussianCode(gaussian(cells, 10.0), noise), torch.linspace(-10, 10, 21, dtype=F64, device=device)
    where = draw(1)
    index = torch.randint(21, (3000,), generator=where)
    gain = 0.5 + torch.rand(3000, generator=where, dtype=F64)
    index, gain = index.to(device), gain.to(device)
    model = LearnedKernel(7, grid, 6)
    losses = learn_kernel(model, code.sample(grid[index], gain, where), index, 40)
    assert losses[0] == pytest.approx(math.log(21))
    assert losses[-1] == min(losses)
    inside = grid[4:-4]
    learned, true = slopes(model.kernel, inside), kernel_slopes(code, inside, 1.0)
    alone = kernel_slopes(GaussianCode(code.tuning, torch.diag(noise.diag())), inside, 1.0)
    likeness = [float(torch.corrcoef(torch.stack((learned.flatten(), one.flatten())))[0, 1]) for one in (true, alone)]
    assert likeness[0] > 0.97
    assert likeness[1] < 0.9
    assert float((learned * true).sum() / true.square().sum()) == pytest.approx(1, abs=0.1)


def test_bumps_cover_the_grid_and_a_little_more() -> None:
    grid = torch.linspace(-4, 4, 9, dtype=F64)
    model = LearnedKernel(2, grid, 7)
    assert model.centres.tolist() == [-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0]
    assert torch.allclose(model.basis(torch.tensor(2.0, dtype=F64))[4], torch.ones((), dtype=F64))
    assert torch.allclose(model.basis(torch.tensor(2.0, dtype=F64))[5], torch.tensor(math.exp(-0.5), dtype=F64))
    assert model(torch.ones(3, 2, dtype=F64)).shape == (3, 9)
    with torch.no_grad():
        model.offset[4] = 2.0
        model.weights[4] = torch.tensor([1.0, -3.0], dtype=F64)
    bump, r = model.basis(grid)[:, 4], torch.tensor([5.0, 1.0], dtype=F64)
    assert torch.allclose(model(r), (5.0 - 3.0) * bump + 2.0 * bump)
    assert torch.allclose(model.kernel(grid)[:, 1], -3.0 * bump)


# ---- spike trains and neurons ----


def test_spikes_in_time_are_as_many_as_counted_and_lie_anywhere() -> None:
    counts = torch.full((300, 4), 20.0)
    counts[:, 1] = 0
    trains = spike_trains(counts, 50, draw())
    assert trains.shape == (50, 300, 4)
    assert torch.equal(trains.sum(0), counts)
    expected = 300 * 20 / 50
    for k in (0, 2, 3):
        chi = ((trains[:, :, k].sum(1) - expected) ** 2 / expected).sum()
        assert 20 < float(chi) < 90  # 49 degrees of freedom
    assert torch.equal(trains, spike_trains(counts, 50, draw()))
    with pytest.raises(ValueError, match="whole numbers"):
        spike_trains(torch.tensor([1.5]), 10)
    with pytest.raises(ValueError, match="not negative"):
        spike_trains(torch.tensor([-1.0]), 10)


def loop(layer: Layer, spikes: np.ndarray, v0: float) -> list[int]:
    """One neuron, step by step, in plain Python: the steps in which it fires."""
    leak, decay = math.exp(-layer.step / layer.tau), math.exp(-layer.step / layer.synapse)
    w, v, current, rest, fired = layer.weights[:, 0].tolist(), v0, 0.0, 0.0, []
    for t, row in enumerate(spikes):
        current = decay * current + sum(a * b for a, b in zip(w, row, strict=True))
        if rest > 0:
            v = 0.0
            rest = max(rest - layer.step, 0.0)
        else:
            v = leak * v + (1 - leak) * (layer.bias + current)
        if v >= 1:
            fired.append(t)
            v, rest = 0.0, layer.refractory
    return fired


def test_a_layer_does_what_one_neuron_does_step_by_step(device: torch.device) -> None:
    spikes = spike_trains(torch.full((5, 3), 30.0, dtype=F64), 200, draw())
    weights = torch.tensor([[3.0], [1.5], [-1.0]], dtype=F64)
    for layer in (
        Layer(weights, 0.8),
        Layer(weights, 0.8, refractory=0.0),
        Layer(weights, 0.2, tau=10.0, synapse=2.0, refractory=5.0, step=0.5),
    ):
        start = torch.rand(5, 1, generator=draw(1), dtype=F64)
        moved = Layer(weights.to(device), layer.bias, layer.tau, layer.synapse, layer.refractory, layer.step)
        found = moved.run(spikes.to(device), start.to(device))
        expected = [len(loop(layer, spikes[:, k].numpy(), float(start[k]))) for k in range(5)]
        assert found[:, 0].tolist() == expected
        assert min(expected) > 3


def test_a_constant_current_gives_the_rate_of_the_textbook() -> None:
    """Interspike interval: refractory + τ log(I / (I - 1)); no spike for I below one."""
    layer = Layer(torch.zeros(1, 1, dtype=F64), bias=2.0, tau=20.0, refractory=3.0, step=0.05)
    fired = layer.run(torch.zeros(20_000, 1, dtype=F64), torch.zeros(1, dtype=F64))
    assert float(fired) == pytest.approx(1000 / (3 + 20 * math.log(2)), abs=1.5)
    below = Layer(torch.zeros(1, 1, dtype=F64), bias=0.99)
    assert float(below.run(torch.zeros(500, 1, dtype=F64), torch.zeros(1, dtype=F64))) == 0
    with pytest.raises(ValueError, match="positive times"):
        Layer(torch.zeros(1, 1), tau=0.0)


def test_pooling_weights_sum_to_one_and_prefer_what_is_near() -> None:
    w = pooling(torch.linspace(-9, 9, 7, dtype=F64), torch.tensor([0.0, 3.0], dtype=F64), 3.0)
    assert torch.allclose(w.sum(0), torch.ones(2, dtype=F64))
    assert w.argmax(0).tolist() == [3, 4]
    assert float(w[4, 0] / w[3, 0]) == pytest.approx(math.exp(-0.5))


# ---- counting ----


def test_windows_count_and_the_fano_factor_is_variance_over_mean() -> None:
    times = torch.tensor([0.0, 0.05, 0.1, 0.3, 0.99, 1.02], dtype=F64)
    assert bin_spikes(times, 0.1, 1.0).tolist() == [2, 1, 0, 1, 0, 0, 0, 0, 0, 1]
    assert bin_spikes(times, 0.3, 1.0).tolist() == [3, 1, 0]  # the last tenth is no whole window
    padded = torch.stack((times, torch.full_like(times, math.inf)))
    assert bin_spikes(padded, 0.5, 1.0).tolist() == [[4, 1], [0, 0]]
    counts = torch.tensor([[1.0, 2, 6], [4, 4, 4]], dtype=F64)
    assert fano_factor(counts).tolist() == pytest.approx([7 / 3, 0])
    with pytest.raises(ValueError, match="not one whole window"):
        bin_spikes(times, 2.0, 1.0)


def test_a_rate_is_smoothed_and_keeps_its_level_at_the_ends() -> None:
    even = (torch.arange(1000, dtype=F64) + 0.5) / 100
    rate = smoothed_rate(even, 0.05, 0.01, 10.0)
    assert torch.allclose(rate, torch.full_like(rate, 100.0), rtol=1e-9)
    one = smoothed_rate(torch.tensor([5.005], dtype=F64), 0.1, 0.01, 10.0)
    assert float(one.sum() * 0.01) == pytest.approx(1, abs=1e-3)
    middle = (torch.arange(1000, dtype=F64) + 0.5) / 100
    bell = stats.norm.pdf(middle.numpy(), 5.005, 0.1)
    assert np.allclose(one.numpy(), bell, atol=2e-3 * bell.max())


# ---- surrogates ----


def test_a_surrogate_of_constant_rate_rests_and_has_its_rate_and_its_regularity() -> None:
    """Intervals are the rest plus exponentials, so counts in long windows have the squared coefficient of variation."""
    rate, rest = torch.full((20_000,), 80.0, dtype=F64), 0.004
    trains = surrogate(rate, 1e-3, rest, 100, draw())
    assert trains.shape[0] == 100
    gaps = torch.diff(trains, dim=1)
    gaps = gaps[torch.isfinite(gaps)]
    assert float(gaps.min()) >= rest - 1e-12
    hazard = 80 / (1 - 80 * rest)
    assert stats.kstest((gaps[:20_000] - rest).numpy(), "expon", args=(0, 1 / hazard)).pvalue > 1e-4
    counts = bin_spikes(trains, 1.0, 20.0)
    assert float(counts.mean()) == pytest.approx(80, rel=0.01)
    assert float(fano_factor(counts.flatten())) == pytest.approx((1 - 80 * rest) ** 2, rel=0.12)
    assert bool((torch.isfinite(trains).sum(1) == bin_spikes(trains, 20.0, 20.0)[:, 0]).all())


def test_a_surrogate_follows_a_rate_that_changes() -> None:
    rate = torch.cat((torch.full((500,), 20.0), torch.full((500,), 0.0), torch.full((500,), 120.0))).to(F64)
    trains = surrogate(rate, 1e-3, 0.003, 400, draw())
    counts = bin_spikes(trains, 0.5, 1.5).mean(0)
    assert counts.tolist() == pytest.approx([10, 0, 60], rel=0.03, abs=1e-9)
    without = surrogate(rate, 1e-3, 0.0, 400, draw(1))
    assert float(fano_factor(bin_spikes(without, 0.5, 1.5)[:, 2])) == pytest.approx(1, abs=0.36)
    assert torch.equal(trains.nan_to_num(), surrogate(rate, 1e-3, 0.003, 400, draw()).nan_to_num())
    with pytest.raises(ValueError, match="rate reaches 120/s"):
        surrogate(rate, 1e-3, 0.01, 1)


# ---- reconstruction ----


def test_a_filter_that_made_the_stimulus_is_found_and_never_sees_what_it_estimates() -> None:
    noise = torch.randn(3000, generator=draw(), dtype=F64)
    taps = torch.tensor([0.5, -1.0, 2.0, 0.0, 1.0], dtype=F64)
    stimulus = 3.0 + torch.from_numpy(signal.correlate(noise.numpy(), taps.numpy(), "same"))
    estimate = reconstruct(noise, stimulus, 2, 6, ridge=1e-9)
    assert torch.allclose(estimate[2:-2], stimulus[2:-2], atol=1e-3)
    assert float(explained(estimate, stimulus)) > 0.99
    poisoned = stimulus.clone()
    poisoned[1000:1500] += 1e3  # the third part of six
    again = reconstruct(noise, poisoned, 2, 6, ridge=1e-9)
    assert torch.allclose(again[1000:1500], estimate[1000:1500], atol=1e-6)
    assert not torch.allclose(again[:500], estimate[:500], atol=1.0)
    for beside, unseen in ((996, True), (1503, True), (995, False), (1504, False)):  # windows overlap up to four steps
        poisoned = stimulus.clone()
        poisoned[beside] += 1e3
        again = reconstruct(noise, poisoned, 2, 6, ridge=1e-9)
        assert torch.allclose(again[1000:1500], estimate[1000:1500], atol=1e-6) == unseen


def test_unrelated_spikes_explain_nothing() -> None:
    n = torch.poisson(torch.full((4000,), 0.2, dtype=F64), generator=draw())
    s = torch.randn(4000, generator=draw(1), dtype=F64)
    assert -0.05 < float(explained(reconstruct(n, s, 10, 10), s)) < 0.005
    assert float(explained(torch.zeros(2, 4000, dtype=F64) + s.mean(), s.expand(2, -1))[1]) == pytest.approx(0)
    with pytest.raises(ValueError, match=r"spikes has shape \(3,\)"):
        reconstruct(torch.zeros(3), torch.zeros(4), 1, 2)


# ---- the recordings ----


def test_the_recordings_are_what_their_files_say() -> None:
    for number, spikes, rest in ((1, 929, 3.2e-3), (2, 868, 3.7e-3)):
        times, loudness = recording(number)
        assert len(times) == spikes
        assert loudness.shape == (200_000,)
        assert 0 < float(times[0]) < float(times[-1]) < 10
        assert float(torch.diff(times).min()) == pytest.approx(rest, abs=1e-6)
        assert float(loudness.std()) == pytest.approx(6, abs=0.05)  # the header says 6 dB
    assert float(recording(1)[0][0]) == pytest.approx(6700e-6)


def test_a_recording_that_there_is_not_and_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="recordings 1 and 2"):
        recording(3)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps nitime"):
        recording(1)


def test_a_poisson_code_in_time_still_is_one() -> None:
    """What goes into the network is a Poisson process: counts in halves of a trial are independent Poisson."""
    code = PoissonCode(gaussian(torch.zeros(1, dtype=F64), 1.0))
    counts = code.sample(torch.zeros(20_000, dtype=F64), 8.0, draw())
    halves = spike_trains(counts, 10, draw(1)).reshape(2, 5, -1).sum(1)
    assert abs(float(torch.corrcoef(halves)[0, 1])) < 5 / 20_000**0.5
    assert fano_factor(halves).tolist() == pytest.approx([1, 1], abs=0.05)


# ---- the recorded experiment ----


def test_the_network_is_judged_by_what_went_in(device: torch.device) -> None:
    """The optimum is that of the summed input; a network that hands it on unchanged is as good, a deaf one is not."""
    there = experiments.Network(15, device)
    shown = there.run(torch.full((150,), 5.0), torch.full((150,), 20.0), draw())
    s = there.grid[shown.place]
    assert shown.fired.shape == shown.summed.shape == (150, 15)
    total = shown.summed.sum(1).double()
    expected = 25 * 41 / 15 * (2 * math.pi) ** 0.5 * 20 / (160 / 14)
    assert float(total.mean()) == pytest.approx(expected, rel=0.02)
    likeness = torch.corrcoef(torch.stack((shown.summed.flatten(), shown.fired.flatten())))[0, 1]
    assert float(likeness) > 0.9
    model = LearnedKernel(15, there.grid, 6)
    with torch.no_grad():
        code = there.code.kernel(there.grid)
        basis = model.basis(there.grid)
        model.weights.copy_(torch.linalg.lstsq(basis.double(), code.double()).solution * experiments.SCALE)
    same = experiments.judge(there, model, shown._replace(fired=shown.summed))
    best = (posterior(there.code, shown.summed, there.grid) @ there.grid - s).square().mean()
    assert same["optimal"] == pytest.approx(float(best), rel=1e-4)
    assert same["network"] == pytest.approx(same["optimal"], rel=0.1)
    assert same["network_claims"] == pytest.approx(same["optimal_claims"], rel=0.1)
    assert same["alike"] > 0.95
    loud, mute = torch.full((150,), 20.0), torch.zeros(150)
    heard = [float(there.run(*pair, draw()).fired.sum()) for pair in ((loud, mute), (mute, loud), (mute, mute))]
    assert heard[0] == pytest.approx(heard[1], rel=0.05)
    assert heard[2] < 0.1 * heard[0]
    deaf = experiments.judge(there, model, shown._replace(fired=0 * shown.fired))
    assert deaf["network"] > 10 * deaf["optimal"]
    assert abs(deaf["alike"]) < 0.5


def test_a_record_has_one_value_for_each_pair_of_gains_and_repeats() -> None:
    quick = experiments.RECORDED["network"]["profiles"]["quick"]
    first = experiments.network(3, torch.device("cpu"), **quick)
    assert {len(values) for values in first.values()} == {len(quick["gains"])}
    assert first == experiments.network(3, torch.device("cpu"), **quick)
    assert first["optimal"][1] < first["optimal"][0]
