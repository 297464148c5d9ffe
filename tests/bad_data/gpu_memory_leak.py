"""Leaks and their growth: valid calls."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bad_data import Case
from bad_data.rules import gives
from workings import gpu_memory_leak as leaks

X = torch.tensor([[1.0, 2.0, 4.0], [3.0, 1.0, 2.0]], dtype=torch.float64)
PLAIN = leaks.OPERATIONS[-1]


def made(rows: Any = 4, features: Any = 3) -> leaks.Activations:
    return leaks.Activations(torch.device("cpu"), rows, features, torch.Generator().manual_seed(0))


def activation() -> Tensor:
    return made()()


def graph() -> leaks.ReferenceGraph:
    return leaks.reference_graph(activation())


def lived(operation: Any, activations: Any, calls: Any, apart: Any) -> Any:
    return leaks.leave_behind(operation, made(), calls, apart)[1:]


# only who holds a tensor is asked, not what it holds
TENSOR = "free -shape -empty -complex -bool -integers -nan -inf -huge"
TENSORS = "free -item-shape -item-empty -item-complex -item-bool -item-integers -item-nan -item-inf -item-huge"
CASES = {
    "Activations": Case(lambda rows, features: made(rows, features)(), rows=4, features=3).hints(
        rows="sign", features="sign"
    ),
    "Operation.run": Case(PLAIN.run, x=X, apart=False).hints(x="free"),
    "ReferenceGraph.path": Case(lambda start, end: len(graph().path(start, end)), start=0, end=1).hints(
        start="sign", end="sign"
    ),
    "ReferenceGraph.reachable": Case(lambda starts: sorted(graph().reachable(starts)), starts=[0, 1]).hints(
        starts="sign"
    ).rule("starts", "empty", gives([])),
    "break_cycles": Case(lambda tensors: leaks.break_cycles(*tensors), tensors=[X]).hints(
        tensors=TENSORS
    ).rule("tensors", "empty", gives(0)),
    "find_cycles": Case(lambda tensors: leaks.find_cycles(*tensors), tensors=[X]).hints(tensors=TENSORS).rule(
        "tensors", "empty", gives([])
    ),
    "fit_growth": Case(values=[float(k * k % 7 + 3 * k) for k in range(12)]),
    "judge": Case(
        lambda calls: leaks.judge(PLAIN, made(), calls).alive, calls=8
    ).omit("operation activations apart").hints(calls="sign -huge"),
    "leave_behind": Case(lived, operation=PLAIN, activations=None, calls=3, apart=False).hints(
        activations="object", calls="sign -huge"
    ),
    "normalize_": Case(lambda x, dim: leaks.normalize_(_copy(x), dim), x=X, dim=-1).hints(x="free"),
    "normalize_gradient": Case(x=X, g=X + 1, dim=-1),
    "picture": Case(lambda x: leaks.picture(x).labels, x=X).hints(x=TENSOR),
    "raises": Case(x=X).hints(x=TENSOR),
    "reference_graph": Case(lambda tensors: leaks.reference_graph(*tensors).names, tensors=[X]).hints(
        tensors=TENSORS
    ).rule("tensors", "empty", gives([])),
    "smallest_leak": Case(noise=100.0, calls=40).hints(noise="sign", calls="sign"),
}  # fmt: skip
NO_DATA = {
    "Cycle": "a finding",
    "Edge": "a finding",
    "Operation": "a line of the catalogue",
    "Watch": "takes a function",
    "Watch.__call__": "what the watched function takes",
    "holder": "any object",
    "watch": "a function",
}


def _copy(x: Any) -> Any:
    return x.clone() if isinstance(x, Tensor) else x
