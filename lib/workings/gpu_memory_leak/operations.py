"""In-place statements, each with what its derivative needs: the theory of which of them leak, as data that runs."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from workings.gpu_memory_leak.blocks import Blocks
from workings.gpu_memory_leak.cycles import Cycle, break_cycles, find_cycles
from workings.gpu_memory_leak.graph import MODIFIED
from workings.typed import Floats, Whole

NEEDS = ("the overwritten input", "its output", "another tensor or a copy", "nothing")


@dataclass(frozen=True)
class Operation:
    """A statement that overwrites ``x``, and what some derivative in its right-hand side or itself has to save.

    Attributes:
        code: the statement; what is shown is what runs.
        apart: the same out of place.
        needs: one of `NEEDS`: ``"the overwritten input"`` if an operation whose result goes into the new ``x`` needs
            the old ``x`` for its derivative, and saves it without a copy.

    """

    code: str
    apart: str
    needs: str

    def run(self, x: Floats, apart: bool = False) -> Tensor:
        """Run the statement (or its form out of place) on ``x``, and return what ``x`` is then."""
        names = {"torch": torch, "functional": functional, "x": x}
        exec(self.apart if apart else self.code, names)
        return names["x"]  # type: ignore[return-value]


@dataclass(frozen=True)
class Outcome:
    """What a statement did to activations that nobody keeps.

    Attributes:
        alive: how many of them were alive at the end.
        bytes: bytes that each call left behind.
        allocated: the same, as CUDA's allocator counts; None on a CPU.
        raises: whether a backward pass through the result raises the error of a tensor modified in place.
        cycles: the cycles in the graph of one result.

    """

    alive: int
    bytes: float
    allocated: float | None
    raises: bool
    cycles: tuple[Cycle, ...]


class Activations:
    """Makes the output of a linear layer again and again: a tensor that is no leaf.

    Args:
        device: where.
        rows: size of the batch.
        features: inputs and outputs of the layer.
        generator: draws inputs and weights, on its device; torch's default on the CPU if None.

    """

    def __init__(
        self, device: torch.device, rows: Whole, features: Whole, generator: torch.Generator | None = None
    ) -> None:
        home = torch.device("cpu") if generator is None else generator.device
        shapes = ((rows, features), (features, features), (features,))
        drawn = [torch.randn(shape, generator=generator, device=home).to(device) for shape in shapes]
        self.inputs, self.weight, self.bias = drawn[0], drawn[1].requires_grad_(), drawn[2].requires_grad_()

    def __call__(self) -> Tensor:
        """Return a new activation (rows, features)."""
        return functional.linear(self.inputs, self.weight, self.bias)


def judge(operation: Operation, activations: Activations, calls: int, apart: bool = False) -> Outcome:
    """Run a statement on fresh activations that nobody keeps, and see what stays; then free it.

    Args:
        operation: the statement.
        activations: makes what it overwrites.
        calls: how often, at least two.
        apart: run its form out of place.

    Returns:
        What happened.

    Raises:
        ValueError: fewer than two calls.

    >>> _, norm, *_ = OPERATIONS
    >>> found = judge(norm, Activations(torch.device("cpu"), 8, 4), calls=5)
    >>> norm.code, found.alive, found.bytes, found.raises
    ('x /= torch.linalg.vector_norm(x, dim=-1, keepdim=True)', 5, 288.0, True)

    """
    if calls < 2:
        raise ValueError(f"calls is {calls}; at least 2 are needed to see a growth")
    made, live, allocated = leave_behind(operation, activations, calls, apart)
    alive = [x for one in made if (x := one()) is not None]
    outcome = Outcome(
        len(alive), (live[-1] - live[0]) / (calls - 1),
        (allocated[-1] - allocated[0]) / (calls - 1) if activations.inputs.is_cuda else None,
        raises(operation.run(activations(), apart)), tuple(_cycles(operation.run(activations(), apart))),
    )  # fmt: skip
    break_cycles(*alive)
    return outcome


def leave_behind(
    operation: Operation, activations: Activations, calls: Whole, apart: bool = False
) -> tuple[list[weakref.ref[Tensor]], list[int], list[int]]:
    """Run a statement again and again on fresh activations that nobody keeps; what leaks is left to the caller.

    Args:
        operation: the statement.
        activations: makes what it overwrites.
        calls: how often.
        apart: run its form out of place.

    Returns:
        Weak references to the activations, and after each call: the bytes of the tensors that were made and are alive,
        and what CUDA's allocator has handed out (0 on a CPU).

    """
    blocks, made, live, allocated = Blocks(), [], [], []
    for _ in range(calls):
        with blocks:
            made.append(weakref.ref(operation.run(activations(), apart)))
        live.append(blocks.count()[1])
        allocated.append(torch.cuda.memory_allocated() if activations.inputs.is_cuda else 0)
    return made, live, allocated


def raises(x: Tensor) -> bool:
    """Return whether a backward pass through ``x`` raises torch's error of a tensor modified by an in-place operation.

    Nothing is raised here but errors of other kinds. What the error leaves behind is freed, and ``x`` with it.
    """
    if not x.requires_grad:
        return False
    try:
        x.sum().backward()
    except RuntimeError as error:
        if MODIFIED not in str(error):
            raise
        break_cycles(x)
        return True
    return False


def _cycles(x: Tensor) -> list[Cycle]:
    found = find_cycles(x)
    break_cycles(x)
    return found


_NORM, _SUM = "torch.norm(x, dim=-1, keepdim=True)", "x.sum(-1, keepdim=True)"
_VECTOR = "torch.linalg.vector_norm(x, dim=-1, keepdim=True)"
_INPUT, _OUTPUT, _OTHER, _NOTHING = NEEDS
OPERATIONS = tuple(
    Operation(*row)
    for row in (
        (f"x /= {_NORM}", f"x = x / {_NORM}", _INPUT),
        (f"x /= {_VECTOR}", f"x = x / {_VECTOR}", _INPUT),
        (f"x *= {_NORM}", f"x = x * {_NORM}", _INPUT),
        ("x /= x.std(-1, keepdim=True)", "x = x / x.std(-1, keepdim=True)", _INPUT),
        ("x += x.pow(2)", "x = x + x.pow(2)", _INPUT),
        ("x -= torch.sin(x)", "x = x - torch.sin(x)", _INPUT),
        ("x -= x.amax(-1, keepdim=True)", "x = x - x.amax(-1, keepdim=True)", _INPUT),
        ("x[:, 0] = x[:, 1].pow(2)", "x = torch.cat((x[:, 1:2].pow(2), x[:, 1:]), 1)", _INPUT),
        ("x += torch.sqrt(x.abs())", "x = x + torch.sqrt(x.abs())", _INPUT),
        ("x *= x", "x = x * x", _INPUT),
        ("x -= x.mean(-1, keepdim=True)", "x = x - x.mean(-1, keepdim=True)", _NOTHING),
        (f"x /= {_SUM}", f"x = x / {_SUM}", _OTHER),
        (f"x -= {_SUM}", f"x = x - {_SUM}", _NOTHING),
        ("x += torch.sqrt(x)", "x = x + torch.sqrt(x)", _OUTPUT),
        ("x -= torch.exp(x)", "x = x - torch.exp(x)", _OUTPUT),
        ("x *= torch.sigmoid(x)", "x = x * torch.sigmoid(x)", _OUTPUT),
        ("x *= torch.relu(x)", "x = x * torch.relu(x)", _OUTPUT),
        ("x /= 2", "x = x / 2", _NOTHING),
        ("x += 1", "x = x + 1", _NOTHING),
        ("x.relu_()", "x = x.relu()", _OUTPUT),
        ("x.exp_()", "x = x.exp()", _OUTPUT),
        ("x.sigmoid_()", "x = x.sigmoid()", _OUTPUT),
        ("x.tanh_()", "x = x.tanh()", _OUTPUT),
        ("x.clamp_(-1, 1)", "x = x.clamp(-1, 1)", _OTHER),
        ("x /= torch.norm(x.clone(), dim=-1, keepdim=True)", f"x = x / {_NORM}", _OTHER),
        ("x /= torch.norm(x.detach(), dim=-1, keepdim=True)", "x = x / torch.norm(x.detach(), dim=-1, keepdim=True)",
         _OTHER),
        (f"with torch.no_grad(): x /= {_NORM}", f"with torch.no_grad(): x = x / {_NORM}", _NOTHING),
    )
)  # fmt: skip
