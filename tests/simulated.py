"""A second device that is the CPU under another name, so that tests of devices need no GPU.

It refuses what CUDA refuses: to compute with tensors of both devices (a CPU tensor without dimensions may join in), to
draw with a generator of the other device, to hand its memory to NumPy. Everything else is done by the CPU, to the bit.

The mathematics never calls it by name: it is what `.to(device)` and `device=` lead to while `simulated()` is on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "simulated"
aten = torch.ops.aten
BETWEEN = {aten.copy_.default, aten._to_copy.default}  # operators that go from one device to the other
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default}
TOGETHER = {aten.cat.default, aten.stack.default}  # not even a number may come from elsewhere


class Elsewhere(Tensor):
    """A tensor of the other device: its device, and the CPU tensor that it really is."""

    here: Tensor

    @staticmethod
    def __new__(cls: type[Elsewhere], here: Tensor) -> Elsewhere:
        made = Tensor._make_wrapper_subclass(
            cls, here.size(), strides=here.stride(), storage_offset=here.storage_offset(), dtype=here.dtype,
            layout=here.layout, device=torch.device(NAME, 0),
        )  # fmt: skip
        made.here = here
        return made

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"{self.here!r} {NAME}"

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse, as CUDA does."""
        raise TypeError(f"can't convert {NAME} device type tensor to numpy. Use Tensor.cpu() first")

    __array__ = numpy

    def tolist(self) -> Any:
        """Return the values as numbers."""
        return self.detach().cpu().tolist()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copy: Tensor = Elsewhere(self.here.detach().clone())
        if isinstance(self, torch.nn.Parameter):
            copy = torch.nn.Parameter(copy, self.requires_grad)
        memo[id(self)] = copy.requires_grad_(self.requires_grad)
        return copy

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[Any, Any] | None = None
    ) -> Any:
        """Compute on the CPU."""
        return compute(func, args, kwargs or {})


class Simulation(TorchDispatchMode):
    """Sees what is made on the other device from nothing, such as ``torch.zeros(3, device="simulated")``."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute on the CPU, or leave it alone."""
        kwargs = kwargs or {}
        ours = is_ours(kwargs.get("device")) or any(isinstance(x, Elsewhere) for x in tree_leaves((args, kwargs)))
        return compute(func, args, kwargs) if ours else func(*args, **kwargs)


def is_ours(device: Any) -> bool:
    """Return whether ``device`` is the simulated one."""
    return device is not None and torch.device(device).type == NAME


def compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Do one operator on the CPU, if CUDA would do it."""
    leaves = tree_leaves((args, kwargs))
    ours = [x for x in leaves if isinstance(x, Elsewhere)]
    asked = kwargs.get("device")
    result_is_ours = bool(ours) if asked is None else is_ours(asked)
    refuse(func, args, leaves, ours, result_is_ours)
    inside, options = tree_map_only(Elsewhere, lambda x: x.here, (args, kwargs))
    if is_ours(asked):
        options["device"] = torch.device("cpu")
    found = FUSED.get(func, func)(*inside, **options)
    if func is aten._to_copy.default and any(found is x for x in tree_leaves(inside)):
        found = found.clone()
    if not result_is_ours or func is aten._local_scalar_dense.default:
        return found
    found = tree_map_only(Tensor, Elsewhere, found)
    return return_and_correct_aliasing(func, args, kwargs, found) if ours else found


def gru(i: Tensor, h: Tensor, before: Tensor, bias_i: Any = None, bias_h: Any = None) -> tuple[Tensor, Tensor]:
    """Do a step of ``nn.GRU``, which the CPU has in parts only; keep what its gradient needs in one tensor."""
    i, h = i + (0 if bias_i is None else bias_i), h + (0 if bias_h is None else bias_h)
    (i_r, i_z, i_n), (h_r, h_z, h_n) = i.chunk(3, 1), h.chunk(3, 1)
    z, new = torch.sigmoid(i_z + h_z), torch.tanh(i_n + torch.sigmoid(i_r + h_r) * h_n)
    return torch.lerp(new, before, z), torch.cat((i, h, before), 1)


def gru_backward(grad: Tensor | None, kept: Tensor, has_bias: bool) -> tuple[Tensor | None, ...]:
    """Return its gradients: to both products, the state before, and both biases."""
    if grad is None:
        return (None,) * 5
    n = grad.shape[1]
    found = aten._thnn_differentiable_gru_cell_backward(grad, *kept.split((3 * n, 3 * n, n), 1), None, None)
    return (*found[:3], *((found[0].sum(0), found[1].sum(0)) if has_bias else (None, None)))


FUSED = {aten._thnn_fused_gru_cell.default: gru, aten._thnn_fused_gru_cell_backward.default: gru_backward}


def refuse(func: Any, args: Any, leaves: list[Any], ours: list[Any], result_is_ours: bool) -> None:
    """Raise what CUDA raises."""
    drawn = [x for x in leaves if isinstance(x, torch.Generator)]
    if result_is_ours and any(not is_ours(generator.device) for generator in drawn):
        raise RuntimeError(f"Expected a '{NAME}' device type for generator but found 'cpu' in {func}")
    others = [x for x in leaves if isinstance(x, Tensor) and not isinstance(x, Elsewhere)]
    if not ours or func in BETWEEN:
        return
    if func in INDEXING:  # indices may be the CPU's, what is indexed may not
        others = [x for x in others if any(x is y for y in (args[0], *args[2:3]))]
    if func not in TOGETHER and not (func in INDEXING and others and others[0] is args[0]):
        others = [x for x in others if x.dim()]
    if others:
        raise RuntimeError(f"Expected all tensors to be on the same device, but found {NAME} and cpu in {func}")


def prepare() -> None:
    """Tell torch of the device, once in a process."""
    if hasattr(torch, NAME):
        return
    _setup_privateuseone_for_python_backend(NAME)
    module = type(getattr(torch, NAME))
    module.get_rng_state = lambda self, device=None: torch.empty(0, dtype=torch.uint8)
    module.set_rng_state = lambda self, state, device=None: None

    @torch.library.impl("aten::empty_strided", "PrivateUse1")
    def _(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> Tensor:  # what torch makes below the dispatcher
        return Elsewhere(torch.empty_strided(size, stride, dtype=dtype))

    @torch.library.impl("aten::_copy_from", "PrivateUse1")
    def _(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
        source, there = (x.here if isinstance(x, Elsewhere) else x for x in (source, target))
        there.copy_(source)
        return target


def making(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Let ``torch.tensor`` or its like make tensors of the other device, too: it does not ask the dispatcher."""

    def made(data: Any, *args: Any, device: Any = None, requires_grad: bool = False, **kwargs: Any) -> Tensor:
        if not is_ours(device):
            rest = {"requires_grad": True} if requires_grad else {}
            return make(data, *args, device=device, **rest, **kwargs)
        found = make(data, *args, **kwargs).to(device)
        return found.requires_grad_() if requires_grad else found

    return made


def new_tensor(
    self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Do what ``Tensor.new_tensor`` does."""
    return torch.tensor(data, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)


@contextmanager
def simulated() -> Iterator[torch.device]:
    """Return the device, which exists inside the block."""
    prepare()
    future, before = torch.__future__, torch.__future__.get_overwrite_module_params_on_conversion()
    future.set_overwrite_module_params_on_conversion(True)  # a parameter that moves becomes another object
    try:
        with (
            patch.object(torch, "tensor", making(torch.tensor)),
            patch.object(torch, "as_tensor", making(torch.as_tensor)),
            patch.object(Tensor, "new_tensor", new_tensor),
            Simulation(),
        ):
            yield torch.device(NAME, 0)
    finally:
        future.set_overwrite_module_params_on_conversion(before)
