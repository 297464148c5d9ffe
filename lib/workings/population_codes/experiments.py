"""What takes longer than a page: a spiking network that adds two populations, beside what is optimal.

Each experiment is a function of a seed that returns its measured quantities; ``RECORDED`` lists them with the seeds and
arguments of each profile.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from workings.population_codes.codes import PoissonCode
from workings.population_codes.decoding import moments, normalise, posterior
from workings.population_codes.learning import LearnedKernel, learn_kernel
from workings.population_codes.spiking import Layer, pooling, spike_trains
from workings.population_codes.tuning import gaussian

WIDTH, REACH, EDGE = 20.0, 80.0, 15.0  # of tuning curves; of preferred stimuli; of stimuli
DURATION, POOL, STRENGTH, BIAS = 500, 8.0, 12.0, 0.9  # ms; width and strength of the weights; constant current
SCALE = 10.0  # counts are divided by it before a kernel is learned: a matter of units


class Trials(NamedTuple):
    """What was shown, what went in, what came out.

    Attributes:
        place: of the stimulus on the grid, (n,).
        summed: spikes of both inputs together, (n, N).
        fired: spikes of the network, (n, N).

    """

    place: Tensor
    summed: Tensor
    fired: Tensor


class Network:
    """Two Poisson populations and a layer of integrate-and-fire neurons that hears both.

    Args:
        cells: neurons in each of the three populations.
        device: where it runs, in single precision.

    """

    def __init__(self, cells: int, device: torch.device) -> None:
        self.preferred = torch.linspace(-REACH, REACH, cells, device=device)
        self.grid = torch.linspace(-EDGE, EDGE, 61, device=device)
        self.code = PoissonCode(gaussian(self.preferred, WIDTH))
        self.density = 41 / cells  # as many spikes in all whatever the number of cells
        weights = pooling(self.preferred, self.preferred, POOL) * STRENGTH / self.density
        self.layer = Layer(torch.cat((weights, weights)), BIAS)

    def run(self, gain1: Tensor, gain2: Tensor, generator: torch.Generator) -> Trials:
        """Show a stimulus in each trial, with the gains (n,) of the two inputs."""
        index = torch.randint(len(self.grid), gain1.shape, generator=generator).to(self.grid.device)
        s, fired, summed = self.grid[index], [], []
        start = torch.rand(len(s), len(self.preferred), generator=generator).to(s)
        for i in range(0, len(s), 500):  # a few hundred MB of spike trains at a time
            part = slice(i, i + 500)
            both = [self.code.sample(s[part], g[part].to(s) * self.density, generator) for g in (gain1, gain2)]
            fired.append(self.layer.run(spike_trains(torch.cat(both, -1), DURATION, generator), start[part]))
            summed.append(both[0] + both[1])
        return Trials(index, torch.cat(summed), torch.cat(fired))


def listen(network: Network, trials: int, low: float, high: float, generator: torch.Generator) -> LearnedKernel:
    """Learn a kernel for what the network says, from trials whose gains vary and are not told."""
    one, other = low * (high / low) ** torch.rand(2, trials, generator=generator)
    shown = network.run(one, other, generator)
    model = LearnedKernel(len(network.preferred), network.grid, 6)
    learn_kernel(model, shown.fired / SCALE, shown.place, 80)
    return model


def judge(network: Network, model: LearnedKernel, shown: Trials) -> dict[str, float]:
    """Compare the network's posterior with the optimal one, trial by trial.

    Mean squared errors and the variances that are claimed, of both, and how alike their estimates err.
    """
    s = network.grid[shown.place].double()
    with torch.no_grad():
        said = normalise(model(shown.fired / SCALE)).double()
    best = posterior(network.code, shown.summed, network.grid).double()
    found, errors = {}, []
    for name, p in (("optimal", best), ("network", said)):
        mean, variance = moments(p, network.grid.double())
        errors.append(mean - s)
        found[name], found[f"{name}_claims"] = float((mean - s).square().mean()), float(variance.mean())
    found["alike"] = float(torch.corrcoef(torch.stack(errors))[0, 1])
    return found


def network(
    seed: int, device: torch.device, cells: int, trials: int, tests: int, gains: list[list[float]]
) -> dict[str, Any]:
    """Return what `judge` finds for each pair of gains, after listening to ``trials`` of all gains between."""
    generator, there = torch.Generator().manual_seed(seed), Network(cells, device)
    model = listen(there, trials, min(map(min, gains)), max(map(max, gains)), generator)
    found: dict[str, Any] = {}
    for pair in gains:
        one, other = (torch.full((tests,), g) for g in pair)
        for name, value in judge(there, model, there.run(one, other, generator)).items():
            found.setdefault(name, []).append(value)
    return found


PAIRS = [[5.0, 5.0], [5.0, 10.0], [10.0, 10.0], [5.0, 20.0], [10.0, 20.0], [20.0, 20.0]]
RECORDED: dict[str, dict[str, Any]] = {
    "network": {
        "run": network,
        "seeds": range(8),
        "profiles": {
            "quick": {"cells": 21, "trials": 200, "tests": 50, "gains": [[5.0, 5.0], [20.0, 20.0]]},
            "default": {"cells": 41, "trials": 3000, "tests": 1000, "gains": PAIRS},
            "full": {"cells": 1008, "trials": 20_000, "tests": 4000, "gains": PAIRS},
        },
    },
}
