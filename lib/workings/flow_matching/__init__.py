"""Flow matching: probability paths, their exact marginals, losses, couplings, sampling, conversions.

>>> import torch
>>> path, field = ConditionalOT(), VelocityMLP(2, hidden=(16,))
>>> losses = fit(field, path, checkerboard, steps=3, batch=8, generator=torch.Generator().manual_seed(0))
>>> generate(field, torch.randn(5, 2), path, steps=4).shape
torch.Size([5, 2])
"""

from workings.flow_matching.conversions import PREDICTIONS, convert
from workings.flow_matching.couplings import entropic_plan, optimal_pairing, sample_pairs, squared_distances
from workings.flow_matching.data import (
    CHECKERBOARD_ENTROPY,
    checkerboard,
    digits,
    eight_gaussians,
    mnist,
    on_checkerboard,
    two_moons,
)
from workings.flow_matching.losses import conditional_loss, marginal_loss
from workings.flow_matching.marginal import EmpiricalMarginal
from workings.flow_matching.networks import VelocityMLP
from workings.flow_matching.paths import (
    ConditionalOT,
    GaussianPath,
    Geometric,
    Linear,
    NoiseSchedule,
    VarianceExploding,
    VariancePreserving,
)
from workings.flow_matching.sampling import generate, log_prob, straightness
from workings.flow_matching.training import fit
from workings.typed import check_types

__all__ = [
    "CHECKERBOARD_ENTROPY",
    "PREDICTIONS",
    "ConditionalOT",
    "EmpiricalMarginal",
    "GaussianPath",
    "Geometric",
    "Linear",
    "NoiseSchedule",
    "VarianceExploding",
    "VariancePreserving",
    "VelocityMLP",
    "checkerboard",
    "conditional_loss",
    "convert",
    "digits",
    "eight_gaussians",
    "entropic_plan",
    "fit",
    "generate",
    "log_prob",
    "marginal_loss",
    "mnist",
    "on_checkerboard",
    "optimal_pairing",
    "sample_pairs",
    "squared_distances",
    "straightness",
    "two_moons",
]

check_types(__name__)
