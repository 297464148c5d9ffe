"""The state as one flat vector, and a user's ``func`` made to act on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

State = Tensor | tuple[Tensor, ...]


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
        parts: tuple[Any, ...] = tuple(y) if self.is_tuple else (y,)
        for part in parts:
            if not isinstance(part, Tensor):
                raise TypeError(f"y0 must be a tensor or a tuple of tensors; got {type(part).__name__}")
            if not part.is_floating_point():
                raise TypeError(f"y0 must be real and floating (float32 or float64); got {part.dtype}")
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

    def pack(self, y: State) -> Tensor:
        """Return the state ``y`` as one vector, shape (N,)."""
        if isinstance(y, Tensor):
            return y.reshape(-1)
        return torch.cat([part.reshape(-1) for part in y])

    def unpack(self, flat: Tensor) -> State:
        """Return vectors, shape (..., N), in the shape of the state: (..., *shape), or a tuple of such."""
        if not self.is_tuple:
            return flat.view(flat.shape[:-1] + self.shapes[0])
        parts = flat.split(self.sizes, dim=-1)
        return tuple(p.reshape(flat.shape[:-1] + shape) for p, shape in zip(parts, self.shapes, strict=True))


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
        self.calls += 1
        layout = self.layout
        slope = self.func(layout.time(t), layout.unpack(y))
        if layout.is_tuple:
            if not isinstance(slope, (tuple, list)) or len(slope) != len(layout.shapes):
                raise TypeError(f"func must return, like y0, {layout.describe()}; got {_describe(slope)}")
            for part, shape in zip(slope, layout.shapes, strict=True):
                self._check(part, shape)
            return layout.pack(tuple(slope))
        self._check(slope, layout.shapes[0])
        return slope.reshape(-1)  # type: ignore[no-any-return]

    def _check(self, slope: Any, shape: torch.Size) -> None:
        layout = self.layout
        if not isinstance(slope, Tensor):
            raise TypeError(f"func must return, like y0, {layout.describe()}; got {_describe(slope)}")
        if slope.shape != shape:
            raise ValueError(f"func must return shape {tuple(shape)}, as y0 has it; got {tuple(slope.shape)}")
        if slope.dtype != layout.dtype or slope.device != layout.device:
            raise TypeError(f"func must return {layout.dtype} on {layout.device}, as y0 is; got {_describe(slope)}")


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}, {value.dtype} on {value.device}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return type(value).__name__


def rms(x: Tensor) -> float:
    """Return the root of the mean square of ``x`` as a Python float (one synchronization)."""
    return float(torch.linalg.vector_norm(x).item()) / math.sqrt(x.numel())
