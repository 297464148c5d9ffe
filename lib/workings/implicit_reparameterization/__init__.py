"""Samples with gradients to the parameters of their distribution, by implicit reparameterization.

>>> import torch
>>> kappa = torch.tensor(2.0, requires_grad=True)
>>> VonMises(0.0, kappa).rsample((5,)).cos().mean().backward()
>>> kappa.grad.shape
torch.Size([])
"""

from workings.implicit_reparameterization.gamma import Beta, Dirichlet, Gamma, StudentT
from workings.implicit_reparameterization.implicit import Implicit, implicit, moved
from workings.implicit_reparameterization.mixture import MixtureSameFamily
from workings.implicit_reparameterization.normal import Normal
from workings.implicit_reparameterization.rice import Rice
from workings.implicit_reparameterization.special import (
    bessel_gap,
    beta_gradient,
    gamma_gradient,
    marcum_q,
    student_gradient,
    von_mises_gradient,
)
from workings.implicit_reparameterization.truncated_normal import TruncatedNormal
from workings.implicit_reparameterization.von_mises import VonMises
from workings.typed import check_types

__all__ = [
    "Beta",
    "Dirichlet",
    "Gamma",
    "Implicit",
    "MixtureSameFamily",
    "Normal",
    "Rice",
    "StudentT",
    "TruncatedNormal",
    "VonMises",
    "bessel_gap",
    "beta_gradient",
    "gamma_gradient",
    "implicit",
    "marcum_q",
    "moved",
    "student_gradient",
    "von_mises_gradient",
]

check_types(__name__)
