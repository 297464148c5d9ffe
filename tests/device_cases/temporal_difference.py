"""Walks, TD(λ) and its moments on a device."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from device_cases import On, slopes, trained
from workings import temporal_difference as td


def walks(on: On, *shape: int) -> Any:
    return td.random_walk().sample(*shape, generator=on.cpu).to(on.device)


def chains(on: On) -> Any:
    chain = td.random_walk().to(on.device)
    drawn = chain.sample(20, generator=on.cpu)
    likely = td.maximum_likelihood(drawn)
    return (
        drawn.index, drawn.lengths, drawn.z, drawn.x, drawn.mask, drawn.visits(), chain.values(), chain.variances(),
        chain.absorption(), chain.visits(), chain.lengths(), chain.mean_update(0.3), likely.Q, likely.R,
        likely.values(),
    )  # fmt: skip


def listed(on: On) -> Any:
    made = td.Sequences.of([on(3, 2), on(1, 2)], [1.0, 0.0])
    return made.index, made.lengths, made.x, made.with_outcomes(0.5).z


def passes(on: On) -> Any:
    sets, lams, rates = walks(on, 2, 4), on.values([0.0, 0.3]), on.values([0.05, 0.1])
    a, b = td.affine_form(sets, lams)
    w = td.one_pass(a, b, rates, 0.5)
    after = td.present(a, b, 0.01, 0.5, times=3)
    back = td.backward_pass(sets, lams, rates, 0.5)
    errors = td.rms_error(w, td.random_walk().to(on.device).values())
    return a, b, w, after, td.limit(a, b, 0.5), back, errors


def moments(on: On) -> Any:
    chain, knobs = td.random_walk().to(on.device), on.values([0.3, 0.2]).requires_grad_()
    final = td.mean_square_error(chain, knobs[0], knobs[1], 4, 0.5)
    return (
        td.update_moments(chain, 0.3),
        td.weight_moments(chain, 0.3, on.values([0.1, 0.2]), 3, 0.5),
        final,
        slopes(final, knobs),
    )


def increments(on: On) -> Any:
    net, x = on.module(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))), on(6, 3)
    p, along = td.predictions(net, x)
    return (
        p,
        along,
        td.traces(along, 0.3),
        td.supervised_increments(p, along, 0.7),
        td.td_increments(p, along, 0.7, 0.3),
    )


def learner(on: On) -> Any:
    found = []
    for online in (False, True):
        net = on.module(nn.Linear(3, 1))
        one = td.TD(net, 0.1, 0.3, gamma=0.9, online=online)
        for x in on(5, 3):
            one.observe(x, 0.1)
        one.end(0.7)
        found.append(trained(net))
    return found


def poles(on: On) -> Any:
    state = on.values(td.first_states(6, on.cpu).tolist())
    states, standing = td.play(state, 20, on.cpu)
    return (
        td.push_cart(state, state[:, 0] > 0), td.fallen(3 * state), td.controller(state), states, standing,
        td.true_values(state, 0.9, 3, 20, on.cpu),
    )  # fmt: skip


def errors(on: On) -> Any:
    mask = on(5, 3) > 0
    return td.lambda_errors(on(5, 3), on(5, 3), on(5, 3), mask, 0.9, on.values([0.0, 0.5, 1.0]))


CASES = {
    "Chain Sequences maximum_likelihood random_walk": chains,
    "Sequences": listed,
    "affine_form backward_pass limit one_pass present rms_error": passes,
    "mean_square_error update_moments weight_moments": moments,
    "predictions supervised_increments td_increments traces": increments,
    "TD": learner,
    "controller fallen play push_cart true_values": poles,
    "lambda_errors": errors,
    "learn_to_predict": lambda on: td.learn_to_predict(
        [0.0, 1.0], td.first_states(4, on.cpu), poles=5, presentations=2, every=1, longest=20, generator=on.cpu
    ).to(on.device, torch.float64),
}
CPU_ONLY = {"first_states"}
