"""Walks, TD(λ) and its moments: valid calls."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bad_data import Case
from bad_data.rules import reshaped
from workings import temporal_difference as td

CHAIN, SHORT = td.random_walk(3), td.random_walk(1)
WALKS = td.Sequences.of([torch.eye(3).double(), torch.eye(3)[:2].double(), torch.eye(3)[1:].double()], [1.0, 0.0, 0.5])
A, B = td.affine_form(WALKS, 0.3)
P, SLOPES = torch.tensor([0.2, 0.5, 0.7]).double(), torch.arange(1.0, 7.0).double().reshape(3, 2) / 3
STATE = torch.tensor([[0.1, 0.2, 0.05, 0.3], [0.5, -0.2, -0.1, 0.1], [0.0, 0.1, 0.02, -0.4]]).double()
NET = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1)).double()
ROWS = torch.arange(1.0, 13.0).double().reshape(4, 3) / 12


def learned(net: nn.Module, x: Any = ROWS[0], reward: Any = 0.5, z: Any = 1.0, **options: Any) -> list[Tensor]:
    learner = td.TD(net, **({"alpha": 0.1, "lam": 0.5} | options))
    learner.observe(ROWS[1])
    learner.observe(x, reward)
    learner.end(z)
    return list(net.parameters())


def walked(**fields: Any) -> Any:
    found = td.Sequences(**fields)
    return found, found.x, found.visits()


CASES = {
    "TD": Case(learned, net=NET, alpha=0.1, lam=0.5, gamma=0.9, online=False).hints(
        alpha="sign", lam="sign", gamma="sign"
    ),
    "TD.observe": Case(lambda x, reward: learned(td_net(), x, reward), x=ROWS[2], reward=0.5),
    "TD.end": Case(lambda z: learned(td_net(), z=z), z=1.0),
    "Chain": Case(Q=CHAIN.Q, R=CHAIN.R, z=CHAIN.z, start=CHAIN.start, x=CHAIN.x).hints(
        Q="sign", R="sign", start="sign", x="free"
    ),
    "Chain.solve": Case(CHAIN.solve, right=P, discount=0.5),
    "Chain.mean_update": Case(CHAIN.mean_update, lam=0.3),
    "Chain.sample": Case(lambda shape: CHAIN.sample(*shape), shape=(2, 3)).hints(shape="sign -empty"),
    "Sequences": Case(walked, index=WALKS.index, lengths=WALKS.lengths, z=WALKS.z, table=WALKS.table).hints(
        index="sign", lengths="sign", table="free"
    ),
    "Sequences.of": Case(td.Sequences.of, observations=[ROWS, ROWS[:2]], outcomes=[1.0, 0.0]),
    "Sequences.with_outcomes": Case(WALKS.with_outcomes, z=torch.tensor([0.0, 1.0, 2.0]).double()),
    "affine_form": Case(sequences=WALKS, lam=0.3),
    "backward_pass": Case(sequences=WALKS, lam=0.3, alpha=0.1, start=0.2),
    "controller": Case(state=STATE),
    "fallen": Case(state=STATE),
    "first_states": Case(count=3).hints(count="sign"),
    "lambda_errors": Case(p=ROWS, after=ROWS + 1, rewards=ROWS / 2, on=ROWS < 0.8, gamma=0.9, lam=0.5).hints(
        gamma="sign", lam="sign"
    ),
    "learn_to_predict": Case(
        lams=[0.0, 1.0],
        judged=STATE.float(),
        poles=3,
        presentations=2,
        every=1,
        gamma=0.97,
        lr=0.01,
        width=2,
        longest=4,
    ).hints(
        lams="sign",
        poles="sign",
        presentations="sign -huge",
        every="sign",
        gamma="sign",
        lr="sign",
        width="sign",
        longest="sign -huge",
    ),
    "limit": Case(a=A, b=B, start=0.5).hints(a="coupled", b="coupled"),
    "maximum_likelihood": Case(walks=WALKS),
    "mean_square_error": Case(chain=SHORT, lam=0.3, alpha=0.1, count=2, start=0.5).hints(count="sign -huge"),
    "one_pass": Case(a=A, b=B, alpha=0.1, start=0.5).hints(a="coupled", b="coupled"),
    "play": Case(start=STATE, longest=3).hints(longest="sign -huge"),
    "predictions": Case(net=NET, x=ROWS),
    "present": Case(a=A, b=B, alpha=0.1, start=0.5, times=2).hints(a="coupled", b="coupled", times="sign -huge"),
    "push_cart": Case(state=STATE, right=torch.tensor([True, False, True])),
    "random_walk": Case(n=3, right=0.4).hints(n="sign", right="sign").omit("dtype"),
    "rms_error": Case(w=ROWS, values=P, x=torch.eye(3).double()),
    "supervised_increments": Case(p=P, slopes=SLOPES, z=1.0).hints(slopes="free"),
    "td_increments": Case(p=P, slopes=SLOPES, z=1.0, lam=0.3).hints(slopes="free", lam="sign"),
    "traces": Case(slopes=SLOPES, lam=0.3).hints(slopes="free", lam="sign"),
    "true_values": Case(state=STATE, gamma=0.9, tries=2, longest=3).hints(
        gamma="sign", tries="sign", longest="sign -huge"
    ),
    "update_moments": Case(chain=SHORT, lam=0.3),
    "weight_moments": Case(chain=SHORT, lam=0.3, alpha=0.1, count=2, start=0.5).hints(count="sign -huge"),
}
NO_DATA = {
    "Chain.to": "a device",
    "Sequences.__getitem__": "any index of torch",
    "Sequences.to": "a device",
}


def td_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 1).double()


CASES["Chain.solve"].rule("right", "shape", reshaped)
