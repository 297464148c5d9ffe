"""Multilayer perceptrons in the two scalings of the theory: what "infinitely wide" means depends on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from workings.typed import Count, Whole

PARAMETRIZATIONS = ("standard", "ntk")


class Dense(nn.Linear):
    r"""A linear layer :math:`\sqrt{w / n}\, W x + b` with W ~ N(0, 1) ("ntk"), or W x + b with W ~ N(0, w / n).

    Both compute the same at initialization; they differ in how far a gradient step carries them. The kernel of the
    standard one grows in proportion to the width n.

    Args:
        in_features: n.
        out_features: how many outputs.
        bias: whether there is b, zero at first.
        parametrization: ``"standard"`` or ``"ntk"``.
        weight_variance: w.
        generator: a CPU generator; torch's default if None.

    Raises:
        ValueError: for another parametrization, or a w that is not positive.

    """

    def __init__(
        self,
        in_features: Count,
        out_features: Whole,
        bias: bool = True,
        parametrization: str = "standard",
        weight_variance: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        if parametrization not in PARAMETRIZATIONS:
            raise ValueError(f"parametrization is {parametrization!r}; it can be 'standard' or 'ntk'")
        if not weight_variance > 0:
            raise ValueError(f"weight_variance must be positive; got {weight_variance}")
        self.scale = math.sqrt(weight_variance / in_features) if parametrization == "ntk" else 1.0
        self.spread = 1.0 if parametrization == "ntk" else math.sqrt(weight_variance / in_features)
        self.generator = generator
        super().__init__(in_features, out_features, bias)
        del self.generator  # a generator cannot be copied, and a module should be

    def reset_parameters(self) -> None:
        """Draw the weights anew and set the bias to zero."""
        nn.init.normal_(self.weight, std=self.spread, generator=getattr(self, "generator", None))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return the outputs (..., out_features) for inputs (..., in_features)."""
        return nn.functional.linear(input, self.scale * self.weight if self.scale != 1 else self.weight, self.bias)


class MLP(nn.Sequential):
    """ReLU layers and a linear one, with weights of variance w / n and biases of zero.

    Args:
        in_features: d.
        hidden: the widths of the hidden layers. The paper's "4 layers" are three hidden ones and the output.
        out_features: how many outputs.
        bias: whether the layers have biases.
        parametrization: ``"standard"`` or ``"ntk"``, as in `Dense`.
        weight_variance: w; the paper's networks have 1.
        generator: a CPU generator; torch's default if None.

    Raises:
        ValueError: without a hidden layer, and as `Dense`.

    >>> MLP(2, hidden=(16, 16), out_features=3)(torch.rand(5, 2)).shape
    torch.Size([5, 3])

    """

    def __init__(
        self,
        in_features: Count,
        hidden: Sequence[int] = (256, 256, 256),
        out_features: Whole = 1,
        bias: bool = True,
        parametrization: str = "standard",
        weight_variance: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        if not hidden:
            raise ValueError(f"hidden must hold the widths of hidden layers, as (256, 256) does; got {hidden!r}")
        sizes = pairwise((in_features, *hidden, out_features))
        dense = [Dense(n, m, bias, parametrization, weight_variance, generator) for n, m in sizes]
        layers = [layer for one in dense[:-1] for layer in (one, nn.ReLU())]
        super().__init__(*layers, dense[-1])

    def __getitem__(self, idx: slice | int) -> nn.Module:
        """Return one layer, or several as an ``nn.Sequential``."""
        return nn.Sequential(*list(self)[idx]) if isinstance(idx, slice) else super().__getitem__(idx)
