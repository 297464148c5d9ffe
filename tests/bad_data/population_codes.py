"""Codes, posteriors, weights, neurons and spike trains: valid calls."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bad_data import Case
from bad_data.rules import gives, reshaped, undefined
from workings import population_codes as pc


def line(low: float, high: float, n: int) -> Tensor:
    return torch.linspace(low, high, n, dtype=torch.float64)


CELLS, GRID, S = line(-4, 4, 5), line(-3, 2.5, 7), line(-1, 2, 3)
POISSON = pc.PoissonCode(pc.gaussian(CELLS, 3.0), 2.0)
NOISE = 0.5 ** (CELLS[:, None] - CELLS).abs()
GAUSSIAN = pc.GaussianCode(pc.gaussian(CELLS, 3.0), NOISE)
R = torch.tensor([[1, 2, 3, 2, 1], [2, 4, 5, 1, 1], [1, 1, 2, 3, 6]]).double()
PRIOR, TARGET = -(GRID**2) / 9, GAUSSIAN.kernel(GRID)
P, Q = pc.normalise(R), pc.normalise(R.flip(0) / 2)
TIMES = torch.tensor([0.013, 0.131, 0.29, 0.52, 0.77, 0.93]).double()
COUNTS = torch.tensor([1, 2, 0, 3, 1, 4, 2, 1, 1, 3]).double()
SOUND = torch.sin(line(1, 7, 10))
SPIKES, VOLTS, WEIGHTS = torch.ones(4, 3, 2).double(), line(0.1, 0.9, 9).reshape(3, 3), line(0.1, 0.6, 6).reshape(2, 3)
TUNING = pc.gaussian(CELLS, 3.0)


def model() -> pc.LearnedKernel:
    made = pc.LearnedKernel(5, GRID, 5)
    with torch.no_grad():
        made.weights.copy_(line(0.1, 2.5, 25).reshape(5, 5))
    return made


def of_code(code: pc.Code, name: str) -> Case:
    """Return the case of a method of stimuli and gains."""
    return Case(getattr(code, name), s=S, gain=2.0).hints(s="free", gain="sign")


def run(spikes: Any = SPIKES, v: Any = VOLTS, **fields: Any) -> Any:
    return pc.Layer(**({"weights": WEIGHTS} | fields)).run(spikes, v)


CASES = {
    "GaussianCode": Case(lambda tuning, noise: pc.GaussianCode(tuning, noise).kernel(S), tuning=TUNING, noise=NOISE),
    "GaussianCode.kernel": Case(GAUSSIAN.kernel, s=S).hints(s="free"),
    "GaussianCode.normaliser": of_code(GAUSSIAN, "normaliser"),
    "GaussianCode.covariance": of_code(GAUSSIAN, "covariance"),
    "GaussianCode.sample": of_code(GAUSSIAN, "sample"),
    "Layer": Case(run, weights=WEIGHTS, bias=0.1, tau=20.0, synapse=5.0, refractory=2.0, step=1.0).hints(
        weights="free", tau="sign", synapse="sign", refractory="sign", step="sign"
    ),
    "Layer.run": Case(run, spikes=SPIKES, v=VOLTS).hints(spikes="sign", v=""),
    "LearnedKernel": Case(lambda **made: pc.LearnedKernel(**made).basis(S), neurons=5, grid=GRID, bumps=5).hints(
        neurons="sign", grid="free", bumps="sign"
    ),
    "LearnedKernel.basis": Case(model().basis, s=S).hints(s="free"),
    "LearnedKernel.kernel": Case(model().kernel, s=S).hints(s="free"),
    "LearnedKernel.forward": Case(model().forward, r=R),
    "PoissonCode": Case(lambda tuning, fano: pc.PoissonCode(tuning, fano).kernel(S), tuning=TUNING, fano=2.0).hints(
        fano="sign"
    ),
    "PoissonCode.kernel": Case(POISSON.kernel, s=S).hints(s="free"),
    "PoissonCode.normaliser": of_code(POISSON, "normaliser"),
    "PoissonCode.covariance": of_code(POISSON, "covariance"),
    "PoissonCode.sample": of_code(POISSON, "sample"),
    "Code.mean": of_code(POISSON, "mean"),
    "Code.log_likelihood": Case(POISSON.log_likelihood, r=R, s=GRID, gain=2.0).hints(r="sign", s="free", gain="sign"),
    "bin_spikes": Case(times=TIMES, width=0.25, duration=1.0).hints(times="free sign", width="sign", duration="sign"),
    "combine": Case(responses=[R, R[:, :3]], weights=[line(1, 3, 15).reshape(5, 3), 0.5]),
    "constant_input": Case(log_prior=PRIOR, kernel=TARGET).hints(kernel="free"),
    "cue_combination": Case(mu=R, variance=R + 1).hints(variance="sign"),
    "explained": Case(estimate=SOUND + 0.1 * COUNTS, stimulus=SOUND),
    "fano_factor": Case(counts=COUNTS).hints(counts="free sign"),
    "fisher": Case(code=POISSON, s=S, gain=2.0).hints(s="free", gain="sign"),
    "gaussian": Case(lambda preferred, width: pc.gaussian(preferred, width)(S), preferred=CELLS, width=3.0).hints(
        preferred="free", width="sign"
    ),
    "kernel_slopes": Case(code=POISSON, s=S, gain=2.0).hints(s="free", gain="sign"),
    "kernel_weights": Case(kernel=TARGET, target=POISSON.kernel(GRID)).hints(kernel="free", target="free"),
    "kl": Case(p=P, q=Q).hints(p="sign", q="sign"),
    "learn_kernel": Case(
        lambda r, index, steps: pc.learn_kernel(model(), r, index, steps),
        r=R / 10,
        index=torch.tensor([1, 3, 5]),
        steps=1,
    )
    .omit("model")
    .hints(r="-huge -inf", index="sign", steps="sign -huge -nan")
    .rule("r", "nan", undefined),
    "log_shares": Case(tuning_log=R).hints(tuning_log="free"),
    "moments": Case(p=P, grid=GRID[:5]).hints(p="sign"),
    "normalise": Case(log_p=R).hints(log_p="free"),
    "pooling": Case(inputs=CELLS, outputs=S, width=2.0).hints(inputs="free", outputs="free", width="sign"),
    "posterior": Case(code=POISSON, r=R, grid=GRID, gain=2.0, log_prior=PRIOR).hints(r="sign", gain="sign"),
    "product": Case(lambda distributions: pc.product(*distributions), distributions=[P, Q]).hints(distributions="sign"),
    "reconstruct": Case(spikes=COUNTS, stimulus=SOUND, lags=1, folds=2, ridge=1.0).hints(
        spikes="sign", lags="sign", folds="sign -huge", ridge="sign"
    ),
    "recording": Case(number=1).hints(number="sign"),
    "shared_log_likelihood": Case(r1=R, r2=R + 1, rates=POISSON.mean(GRID, 2.0), share=0.3).hints(
        r1="sign -huge", r2="sign -huge", rates="sign", share="sign"
    ),
    "sigmoid": Case(lambda threshold, slope: pc.sigmoid(threshold, slope)(S), threshold=CELLS, slope=0.5).hints(
        threshold="free"
    ),
    "slopes": Case(function=TUNING, s=S).hints(s="free"),
    "smoothed_rate": Case(times=TIMES, width=0.2, step=0.1, duration=1.0).hints(
        times="free sign", width="sign", step="sign", duration="sign"
    ),
    "spike_trains": Case(counts=R, steps=4).hints(counts="free sign", steps="sign"),
    "surrogate": Case(rate=COUNTS + 5, step=0.1, refractory=0.01, count=2).hints(
        rate="free sign", step="sign -inf", refractory="sign", count="sign"
    ),
}
NO_DATA = {
    "Code": "abstract",
    "Code.kernel": "abstract",
    "Code.normaliser": "abstract",
    "Code.covariance": "abstract",
    "Code.sample": "abstract",
}
for _name, _argument in (("GaussianCode.sample", "s"), ("PoissonCode.sample", "s"), ("spike_trains", "counts")):
    CASES[_name].rule(_argument, "shape", reshaped)
CASES["bin_spikes"].rule("times", "empty", gives(torch.zeros(4)))
CASES["smoothed_rate"].rule("times", "empty", gives(torch.zeros(10)))
CASES["Layer.run"].rule("spikes", "empty", gives(torch.zeros(3, 3)))
CASES["fano_factor"].rule("counts", "empty", undefined)
