"""Differential equations with gradients: solvers, three gradients of a solution, losses on it, and flows.

>>> import torch
>>> y0, t = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.linspace(0, 3.0, 4, dtype=torch.float64)
>>> rotation = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
>>> odeint(lambda t, y: rotation @ y, y0, t)[-1].round(decimals=5).tolist()
[-0.98999, 0.14112]
"""

from workings.neural_ode.flows import (
    ContinuousFlow,
    MLPField,
    exact_divergence,
    hutchinson_divergence,
    standard_normal_log_prob,
    trace_noise,
)
from workings.neural_ode.gradients import Stats
from workings.neural_ode.losses import LossGradient, loss_gradient, trajectory_loss
from workings.neural_ode.odeint import odeint, odeint_adjoint
from workings.neural_ode.solver import SolverError
from workings.neural_ode.tableaus import METHODS, Tableau
from workings.typed import check_types

__all__ = [
    "METHODS",
    "ContinuousFlow",
    "LossGradient",
    "MLPField",
    "SolverError",
    "Stats",
    "Tableau",
    "exact_divergence",
    "hutchinson_divergence",
    "loss_gradient",
    "odeint",
    "odeint_adjoint",
    "standard_normal_log_prob",
    "trace_noise",
    "trajectory_loss",
]

check_types(__name__)
