"""Temporal differences: TD(λ) and supervised learning of predictions, absorbing chains, Sutton's random walk.

>>> import torch
>>> chain = random_walk()
>>> walks = chain.sample(100, 10, generator=torch.Generator().manual_seed(0))  # 100 sets of ten walks
>>> A, b = affine_form(walks, lam=0.3)
>>> weights = one_pass(A, b, alpha=0.2, start=0.5)
>>> rms_error(weights, chain.values()).mean().item() < 0.1  # 0.236 at the start
True
"""

from workings.temporal_difference.affine import affine_form, backward_pass, limit, one_pass, present, rms_error
from workings.temporal_difference.chains import Chain, maximum_likelihood, random_walk
from workings.temporal_difference.moments import mean_square_error, update_moments, weight_moments
from workings.temporal_difference.pole import (
    controller,
    fallen,
    first_states,
    lambda_errors,
    learn_to_predict,
    play,
    push_cart,
    true_values,
)
from workings.temporal_difference.sequences import Sequences
from workings.temporal_difference.updates import TD, predictions, supervised_increments, td_increments, traces
from workings.typed import check_types

__all__ = [
    "TD",
    "Chain",
    "Sequences",
    "affine_form",
    "backward_pass",
    "controller",
    "fallen",
    "first_states",
    "lambda_errors",
    "learn_to_predict",
    "limit",
    "maximum_likelihood",
    "mean_square_error",
    "one_pass",
    "play",
    "predictions",
    "present",
    "push_cart",
    "random_walk",
    "rms_error",
    "supervised_increments",
    "td_increments",
    "traces",
    "true_values",
    "update_moments",
    "weight_moments",
]

check_types(__name__)
