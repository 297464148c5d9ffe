"""Probabilistic population codes: noisy responses that stand for whole distributions, and how to combine them.

>>> import torch
>>> cells, grid = torch.arange(-60.0, 61.0, 3.0), torch.linspace(-20, 20, 201)
>>> code = PoissonCode(gaussian(cells, width=20.0))
>>> draw = torch.Generator().manual_seed(0)
>>> seen, felt = code.sample(torch.tensor([5.0]), 1.0, draw), code.sample(torch.tensor([5.0]), 3.0, draw)
>>> both = product(posterior(code, seen, grid), posterior(code, felt, grid))
>>> bool((posterior(code, seen + felt, grid) - both).abs().max() < 1e-6)  # adding spikes multiplies distributions
True
"""

from workings.population_codes.codes import Code, GaussianCode, PoissonCode, fisher, kernel_slopes
from workings.population_codes.combination import (
    combine,
    constant_input,
    cue_combination,
    kernel_weights,
    product,
    shared_log_likelihood,
)
from workings.population_codes.decoding import kl, log_shares, moments, normalise, posterior
from workings.population_codes.learning import LearnedKernel, learn_kernel
from workings.population_codes.spikes import (
    bin_spikes,
    explained,
    fano_factor,
    reconstruct,
    recording,
    smoothed_rate,
    surrogate,
)
from workings.population_codes.spiking import Layer, pooling, spike_trains
from workings.population_codes.tuning import gaussian, sigmoid, slopes
from workings.typed import check_types

__all__ = [
    "Code",
    "GaussianCode",
    "Layer",
    "LearnedKernel",
    "PoissonCode",
    "bin_spikes",
    "combine",
    "constant_input",
    "cue_combination",
    "explained",
    "fano_factor",
    "fisher",
    "gaussian",
    "kernel_slopes",
    "kernel_weights",
    "kl",
    "learn_kernel",
    "log_shares",
    "moments",
    "normalise",
    "pooling",
    "posterior",
    "product",
    "reconstruct",
    "recording",
    "shared_log_likelihood",
    "sigmoid",
    "slopes",
    "smoothed_rate",
    "spike_trains",
    "surrogate",
]

check_types(__name__)
