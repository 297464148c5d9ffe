"""Which tensors a user's function depends on, so that no gradient is dropped in silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def parameters_of(
    func: Any, state: Tensor, evaluate: Callable[[Tensor], Tensor], argument: str = "adjoint_params"
) -> tuple[list[Tensor], set[int], Tensor]:
    """Find the tensors that ``func`` depends on and that require a gradient.

    They are a module's parameters and every leaf that the graph of an evaluation reaches, so that a tensor which a
    plain function closes over is found too.

    Args:
        func: the user's function.
        state: where to evaluate it.
        evaluate: calls it, with gradients enabled, for a state that requires one (a ``func`` that differentiates with
            respect to its state then need not make a leaf of its own).
        argument: the name of the argument in which the user could give the tensors.

    Returns:
        The tensors; the indices of a module's own that the evaluation reached; the evaluation, with its graph.

    Raises:
        ValueError: when it depends on a tensor that was computed, with a graph, outside ``func``.
        RuntimeError: inside a transform of torch.func.

    """
    begun = _sequence_number()
    try:
        state = state.detach().requires_grad_()
    except RuntimeError as error:  # torch's own message says what it forbids, not what would do
        raise RuntimeError("torch.func cannot transform a solve without a tape: use gradient='backprop'") from error
    output = evaluate(state)
    nodes = graph(output)
    reached = {id(leaf): leaf for node in nodes if (leaf := _leaf(node)) is not None and leaf is not state}
    own = {id(p): p for p in func.parameters() if p.requires_grad} if isinstance(func, nn.Module) else {}
    # what autograd itself recorded on a device's thread is numbered apart, so a low number is only a suspicion: a node
    # of a second evaluation's graph too was there before both
    suspects = {node for node in nodes if _leaf(node) is None and node._sequence_nr() < begun}
    outside = suspects.intersection(graph(evaluate(state))) if suspects else set()
    if outside:
        names = ", ".join(sorted({node.name() for node in outside}))
        raise ValueError(
            f"func depends on a tensor computed outside it (by {names}), whose gradient would be lost: "
            f"give that tensor in {argument}, with every other one that needs a gradient and is not computed from it"
        )
    found = own | reached
    return list(found.values()), {i for i, key in enumerate(found) if key in own and key in reached}, output


def graph(output: Tensor) -> list[Any]:
    """Return the nodes of the graph that ``output`` hangs on."""
    pending: list[Any] = [output.grad_fn] if output.grad_fn is not None else []
    nodes = dict.fromkeys(pending)
    while pending:
        fresh = [n for n, _ in pending.pop().next_functions if n is not None and n not in nodes]
        nodes.update(dict.fromkeys(fresh))
        pending.extend(fresh)
    return list(nodes)


def refuse_dependent(name: str, tensors: list[Tensor]) -> None:
    """Raise ``ValueError`` where one of an argument's tensors is computed from another."""
    for p in tensors:
        # the nodes themselves, since the id of one that Python let go can be another's later; less p's own, which may
        # have other outputs
        above = set(graph(p)) - {p.grad_fn}
        leaves = {id(_leaf(node)) for node in above}
        if any(q is not p and (id(q) in leaves or q.grad_fn in above) for q in tensors):
            raise ValueError(
                f"{name} holds a tensor of shape {tuple(p.shape)} and what it is computed from, which would then count "
                "twice: let func compute it, or give it alone"
            )


def _leaf(node: Any) -> Tensor | None:
    """Return the tensor whose gradient a node of a graph accumulates, if it is such a node."""
    return node.variable if type(node).__name__ == "AccumulateGrad" else None


def _sequence_number() -> int:
    """Return autograd's count of the operations recorded so far in this thread."""
    with torch.enable_grad():
        node: Any = torch.zeros((), requires_grad=True).neg().grad_fn
    return int(node._sequence_nr())
