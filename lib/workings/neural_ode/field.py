"""The state as one flat vector, and a user's ``func`` made to act on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

State = Tensor | tuple[Tensor, ...]


def parts_of(y: Any) -> tuple[Any, ...]:
    """Return the parts of a state: its entries, or itself alone."""
    return tuple(y) if isinstance(y, (tuple, list)) else (y,)


class Layout:
    """How a tensor, or a tuple of tensors, lies in one vector of N numbers.

    Args:
        y: the state, a floating tensor of any shape or a non-empty tuple of such, of one dtype and device.

    Raises:
        TypeError: when ``y`` is something else.
        ValueError: when it is empty, or its parts differ in dtype or device.

    """

    def __init__(self, y: State) -> None:
        self.is_tuple = isinstance(y, (tuple, list))
        parts = parts_of(y)
        for part in parts:
            if not isinstance(part, Tensor):
                raise TypeError(f"y0 must be a tensor or a tuple of tensors; got {type(part).__name__}")
            if not part.is_floating_point():
                raise TypeError(f"y0 must be real and floating (float32 or float64); got {part.dtype}")
            if part.layout != torch.strided:
                raise TypeError(f"y0 must be dense; got a tensor of layout {part.layout}: use y0.to_dense()")
        if len({(part.dtype, part.device) for part in parts}) > 1:
            kinds = ", ".join(f"{part.dtype} on {part.device}" for part in parts)
            raise ValueError(f"the parts of y0 must share one dtype and device; got {kinds}")
        self.shapes = [part.shape for part in parts]
        self.sizes = [part.numel() for part in parts]
        if not sum(self.sizes):
            raise ValueError(f"y0 is empty: {self.describe()}")
        self.dtype, self.device = parts[0].dtype, parts[0].device

    def describe(self) -> str:
        """Return the shapes in words, for a message."""
        shapes = [tuple(shape) for shape in self.shapes]
        return f"a tuple of shapes {shapes}" if self.is_tuple else f"shape {shapes[0]}"

    def time(self, t: float) -> Tensor:
        """Return ``t`` as a 0-dim tensor like the state."""
        return torch.full((), t, dtype=self.dtype, device=self.device)

    def parts(self, flat: Tensor) -> tuple[Tensor, ...]:
        """Return the parts of vectors, shape (..., N), each of shape (..., *shape)."""
        if not self.is_tuple:
            return (flat.view(flat.shape[:-1] + self.shapes[0]),)
        pieces = flat.split(self.sizes, dim=-1)
        return tuple(p.reshape(flat.shape[:-1] + shape) for p, shape in zip(pieces, self.shapes, strict=True))

    def state(self, parts: tuple[Tensor, ...]) -> State:
        """Return the parts as the user sees them: a tuple, or the only tensor."""
        return parts if self.is_tuple else parts[0]

    def pack(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the parts as one vector, shape (N,)."""
        if len(parts) == 1:
            return parts[0].reshape(-1)
        return torch.cat([part.reshape(-1) for part in parts])


class Field:
    """``func(t, y)`` as a map from a Python float and a vector to a vector, which counts its calls.

    Args:
        func: the user's function of a 0-dim time tensor and the state.
        layout: the state's layout.

    """

    def __init__(self, func: Callable[[Tensor, Any], Any], layout: Layout) -> None:
        self.func, self.layout = func, layout
        self.calls = 0

    def __call__(self, t: float, y: Tensor) -> Tensor:
        """Return the slope at time ``t`` and vector ``y``, shape (N,)."""
        return self.layout.pack(self.slopes(t, self.layout.parts(y)))

    def slopes(self, t: float, parts: tuple[Tensor, ...]) -> Sequence[Tensor]:
        """Return the parts of the slope at time ``t`` and the parts of a state, checked."""
        self.calls += 1
        layout = self.layout
        before = [_version(part) for part in parts]
        slope = self.func(layout.time(t), layout.state(parts))
        if [_version(part) for part in parts] != before:
            raise ValueError("func changes the state that it is given in place, and with it the solution: use a copy")
        if not layout.is_tuple:
            slope = (slope,)
        elif not isinstance(slope, (tuple, list)) or len(slope) != len(parts):
            raise TypeError(f"func must return, like y0, {layout.describe()}; got {_describe(slope)}")
        for part, shape in zip(slope, layout.shapes, strict=True):
            if not isinstance(part, Tensor):
                raise TypeError(f"func must return, like y0, {layout.describe()}; got {_describe(part)}")
            if part.shape != shape:
                raise ValueError(f"func must return shape {tuple(shape)}, as y0 has it; got {tuple(part.shape)}")
            if part.dtype != layout.dtype or part.device != layout.device:
                raise TypeError(f"func must return {layout.dtype} on {layout.device}, as y0 is; got {_describe(part)}")
        return slope  # type: ignore[no-any-return]


def _version(part: Tensor) -> int:
    """Return the count of a tensor's changes in place; a tensor made in inference mode has none."""
    return 0 if part.is_inference() else part._version


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}, {value.dtype} on {value.device}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return type(value).__name__


def rms(x: Tensor) -> float:
    """Return the root of the mean square of ``x``, of nothing 0, as a Python float (one synchronization)."""
    return float(torch.linalg.vector_norm(x).item()) / math.sqrt(max(x.numel(), 1))
