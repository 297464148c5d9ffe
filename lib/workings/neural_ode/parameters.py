"""Which tensors a user's function depends on, so that no gradient is dropped in silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def parameters_of(func: Any, evaluate: Callable[[], Tensor]) -> tuple[list[Tensor], Tensor]:
    """Return the tensors that ``func`` depends on and that require a gradient, and a first evaluation, detached.

    They are a module's parameters and every leaf that the graph of the evaluation reaches, so that a tensor which a
    plain function closes over is found too.

    Args:
        func: the user's function.
        evaluate: calls it, with gradients enabled, for a state that requires none.

    Raises:
        ValueError: when it depends on a tensor that was computed, with a graph, outside ``func``.

    """
    begun = _sequence_number()
    output = evaluate()
    found: dict[int, Tensor] = {}
    if isinstance(func, nn.Module):
        found = {id(p): p for p in func.parameters() if p.requires_grad}
    if output.requires_grad and output.grad_fn is None:
        found[id(output)] = output
    nodes = _graph(output)
    found |= {id(node.variable): node.variable for node in nodes if hasattr(node, "variable")}
    # what autograd itself recorded on a device's thread is numbered apart, so a low number is only a suspicion: a node
    # of a second evaluation's graph too was there before both
    suspects = {node for node in nodes if not hasattr(node, "variable") and node._sequence_nr() < begun}
    outside = suspects.intersection(_graph(evaluate())) if suspects else set()
    if outside:
        names = ", ".join(sorted({node.name() for node in outside}))
        raise ValueError(
            f"func depends on a tensor computed outside it (by {names}), whose gradient would be lost: "
            "give that tensor in adjoint_params, with every other one that needs a gradient"
        )
    return list(found.values()), output.detach()


def _graph(output: Tensor) -> list[Any]:
    """Return the nodes of the graph that ``output`` hangs on."""
    pending: list[Any] = [output.grad_fn] if output.grad_fn is not None else []
    nodes = dict.fromkeys(pending)
    while pending:
        fresh = [n for n, _ in pending.pop().next_functions if n is not None and n not in nodes]
        nodes.update(dict.fromkeys(fresh))
        pending.extend(fresh)
    return list(nodes)


def _sequence_number() -> int:
    """Return autograd's count of the operations recorded so far in this thread."""
    with torch.enable_grad():
        node: Any = torch.zeros((), requires_grad=True).neg().grad_fn
    return int(node._sequence_nr())
