"""What the public functions of each topic compute on a device, one module a topic: see tests/test_devices.py."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class On:
    """Makes float64 tensors on a device, with the same values on all.

    ``on(3, 2)`` draws from a standard normal distribution, each time other numbers.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.cpu = torch.Generator().manual_seed(0)  # for what draws itself, too: its numbers move to the device
        torch.manual_seed(0)  # for networks, which are made on the CPU

    def __call__(self, *shape: int) -> Tensor:
        """Draw from a standard normal distribution."""
        return torch.randn(shape, dtype=torch.float64, generator=self.cpu).to(self.device)

    def uniform(self, *shape: int) -> Tensor:
        """Draw from 0.1 to 0.9."""
        return (0.1 + 0.8 * torch.rand(shape, dtype=torch.float64, generator=self.cpu)).to(self.device)

    def values(self, values: Any, dtype: torch.dtype = torch.float64) -> Tensor:
        """Return given values as a tensor."""
        return torch.tensor(values, dtype=dtype).to(self.device)

    def module(self, module: nn.Module) -> Any:
        """Move a module."""
        return module.double().to(self.device)


def slopes(value: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of a sum."""
    return torch.autograd.grad(value.sum(), inputs)


def trained(net: nn.Module) -> tuple[Tensor, ...]:
    """Return a network's parameters."""
    return tuple(parameter.detach() for parameter in net.parameters())
