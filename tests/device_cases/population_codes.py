"""Codes, posteriors, weights, neurons and spike trains on a device."""

from __future__ import annotations

from typing import Any

import torch

from device_cases import On, slopes
from workings import population_codes as pc


def cells(on: On) -> Any:
    return torch.arange(-20.0, 21.0, 5.0, dtype=torch.float64).to(on.device)


def grid(on: On) -> Any:
    return torch.linspace(-10, 10, 21, dtype=torch.float64).to(on.device)


def counted(on: On) -> Any:
    code, gain = pc.PoissonCode(pc.gaussian(cells(on), 6.0), 2.0), on.values([1.0, 3.0])
    s = on.values([2.0, -1.0])
    r = code.sample(s, gain, on.cpu)
    p = pc.posterior(code, r, grid(on), gain, -0.1 * grid(on))
    return (
        r, p, pc.moments(p, grid(on)), pc.kl(p[0], p[1]), pc.normalise(grid(on)), pc.fisher(code, s, gain),
        pc.kernel_slopes(code, s, 2.0), pc.log_shares(code.tuning(s)), code.covariance(s, gain),
    )  # fmt: skip


def correlated(on: On) -> Any:
    noise = 0.5 ** (cells(on)[:, None] - cells(on)).abs().div(5)
    code, s = pc.GaussianCode(pc.sigmoid(cells(on), 0.3), noise), on.values([2.0, -1.0])
    r = code.sample(s, 2.0, on.cpu)
    return r, pc.posterior(code, r, grid(on), 2.0), code.covariance(s, 2.0), pc.fisher(code, s, 2.0)


def never(on: On) -> Any:
    def steps(s: Any) -> Any:
        return torch.stack((s >= 0, s < 5), -1).to(s).log()

    return pc.posterior(pc.PoissonCode(steps), on.values([[1.0, 0.0], [0.0, 0.0]]), grid(on))


def combined(on: On) -> Any:
    wide, narrow = (pc.PoissonCode(pc.gaussian(cells(on), w)) for w in (8.0, 4.0))
    s = on.values([1.0, 2.0, 3.0])
    r1, r2 = wide.sample(s, 2.0, on.cpu), narrow.sample(s, 2.0, on.cpu)
    a, left = pc.kernel_weights(wide.kernel(grid(on)), narrow.kernel(grid(on)))
    c, rest = pc.constant_input(-(grid(on) ** 2), narrow.kernel(grid(on)))
    return (
        a, left < 1e-9, c, rest < 1e-9, pc.combine([r1, r2], [a, 0.5]),
        pc.product(pc.posterior(wide, r1, grid(on)), pc.posterior(narrow, r2, grid(on))),
        pc.cue_combination(on(3, 2), on.uniform(3, 2)),
        pc.shared_log_likelihood(r1, r2, wide.mean(grid(on), 2.0), 0.4),
    )  # fmt: skip


def learned(on: On) -> Any:
    model = pc.LearnedKernel(3, grid(on), 6)
    index = torch.randint(21, (50,), generator=on.cpu).to(on.device)
    r = torch.poisson(torch.ones(50, 3, dtype=torch.float64), generator=on.cpu).to(on.device)
    losses = pc.learn_kernel(model, r, index, 3)
    return losses, model(r), pc.slopes(model.kernel, grid(on)), slopes(model(r), *model.parameters())


def neurons(on: On) -> Any:
    counts = torch.poisson(torch.full((4, 9), 6.0, dtype=torch.float64), generator=on.cpu).to(on.device)
    weights = 9.0 * pc.pooling(cells(on), cells(on), 6.0)
    trains = pc.spike_trains(counts, 60, on.cpu)
    return weights, trains, pc.Layer(weights, 0.8).run(trains, on.uniform(4, 9))


def trains(on: On) -> Any:
    times = on.uniform(40).sort().values
    rate = pc.smoothed_rate(times, 0.05, 0.01, 1.0)
    drawn = pc.surrogate(rate, 0.01, 0.002, 5, on.cpu)
    counts, sound = pc.bin_spikes(times, 0.01, 1.0), on(100)
    estimate = pc.reconstruct(counts, sound, 3, 4)
    return rate, drawn, pc.bin_spikes(drawn, 0.1, 1.0), pc.fano_factor(counts), estimate, pc.explained(estimate, sound)


CASES = {
    "PoissonCode gaussian posterior moments kl normalise fisher kernel_slopes log_shares": counted,
    "GaussianCode sigmoid": correlated,
    "posterior": never,
    "kernel_weights constant_input combine product cue_combination shared_log_likelihood": combined,
    "LearnedKernel learn_kernel slopes": learned,
    "pooling spike_trains Layer": neurons,
    "smoothed_rate surrogate bin_spikes fano_factor reconstruct explained": trains,
}
CPU_ONLY = {"Code", "recording"}  # Code says only what a code has
