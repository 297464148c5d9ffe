"""A layer of leaky integrate-and-fire neurons that adds two populations, for many trials at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from workings.typed import Count, Floats, NonNegative


def spike_trains(counts: Tensor, steps: Count, generator: torch.Generator | None = None) -> Tensor:
    """Spread the spikes of each neuron over time: given their number, those of a Poisson process lie anywhere.

    Args:
        counts: whole numbers of spikes (..., N).
        steps: time steps.
        generator: draws the times, on its device; torch's default on the CPU if None.

    Returns:
        Spikes in each step, (steps, ..., N), of the counts' dtype; their sum over steps is ``counts``.

    >>> spike_trains(torch.tensor([2.0, 0.0]), 5).sum(0).tolist()
    [2.0, 0.0]

    """
    whole = counts.long().flatten()
    if bool((whole != counts.flatten()).any()) or bool((whole < 0).any()):
        raise ValueError("counts must be whole numbers of spikes, not negative")
    neuron = torch.repeat_interleave(torch.arange(len(whole), device=whole.device), whole)
    home = torch.device("cpu") if generator is None else generator.device
    when = torch.randint(steps, (len(neuron),), generator=generator, device=home).to(whole.device)
    trains = torch.bincount(when * len(whole) + neuron, minlength=steps * len(whole))
    return trains.to(counts.dtype).reshape(steps, *counts.shape)


@dataclass(frozen=True)
class Layer:
    r"""Current-based leaky integrate-and-fire neurons: :math:`\tau\,\dot v = -v + I`, a spike and v = 0 when v is 1.

    Synaptic currents jump by the weight at each spike that arrives and decay with their own time constant. One step is
    population_codes:integrate in the chapter.

    Args:
        weights: from inputs to neurons, (M, N).
        bias: a constant current; 1 would just not make a neuron fire.
        tau: membrane time constant τ, ms.
        synapse: synaptic time constant, ms.
        refractory: time after a spike during which v stays at 0, ms.
        step: of time, ms.

    Raises:
        ValueError: for a time constant that is not positive.

    """

    weights: Tensor
    bias: float = 0.0
    tau: float = 20.0
    synapse: float = 5.0
    refractory: float = 2.0
    step: float = 1.0

    def __post_init__(self) -> None:
        if not (self.tau > 0 and self.synapse > 0 and self.step > 0 and self.refractory >= 0):
            raise ValueError("tau, synapse and step are positive times in ms, refractory is not negative")

    def run(self, spikes: Floats, v: Tensor) -> Tensor:
        """Feed trains of spikes to the layer.

        Args:
            spikes: how many come from each input in each step, (steps, ..., M).
            v: the potentials at first, (..., N).

        Returns:
            How often each neuron fired, (..., N).

        """
        leak, decay = math.exp(-self.step / self.tau), math.exp(-self.step / self.synapse)
        current, rest, fired = torch.zeros_like(v), torch.zeros_like(v), torch.zeros_like(v)
        for arriving in spikes:
            current = decay * current + arriving @ self.weights
            v = torch.where(rest > 0, 0.0, leak * v + (1 - leak) * (self.bias + current))
            fires = v >= 1
            fired += fires
            v = torch.where(fires, 0.0, v)
            rest = torch.where(fires, self.refractory, (rest - self.step).clamp(min=0))
        return fired


def pooling(inputs: Tensor, outputs: Tensor, width: NonNegative) -> Tensor:
    """Return weights that fall like a bell with the distance of preferred stimuli; those into a neuron sum to one.

    Args:
        inputs: preferred stimuli of the inputs, (M,).
        outputs: of the neurons, (N,).
        width: standard deviation of the bell.

    Returns:
        Weights (M, N).

    >>> pooling(torch.tensor([-1.0, 1.0]), torch.tensor([0.0]), 1.0).tolist()
    [[0.5], [0.5]]

    """
    return torch.softmax(-(((inputs[:, None] - outputs) / width) ** 2) / 2, 0)
