"""Gated recurrent units: the one of Cho, Bahdanau and colleagues, and the one that ``torch.nn.GRU`` computes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workings.typed import Count, Floats, Integers, Whole


class GatedUnit(nn.Module):
    r"""The gated hidden unit of Cho et al. (2014), as in appendix A.1.1 of Bahdanau et al.

    .. math::
        r = \sigma(W_r x + U_r h), \quad z = \sigma(W_z x + U_z h), \quad
        \tilde h = \tanh(W x + U (r \circ h)), \quad f(x, h) = (1 - z) \circ h + z \circ \tilde h

    The state is reset *before* it is multiplied, and the update gate says how much is *new*. Equations
    ``attention:gates`` and ``attention:update`` of the chapter.

    Args:
        inputs: size of x.
        hidden: n, the size of h.

    >>> GatedUnit(3, 5)(torch.zeros(2, 3), torch.zeros(2, 5)).shape
    torch.Size([2, 5])

    """

    def __init__(self, inputs: Whole, hidden: Count) -> None:
        super().__init__()
        self.hidden = hidden
        self.of_input = nn.Linear(inputs, 3 * hidden)  # W_r, W_z, W and biases
        self.of_state = nn.Linear(hidden, 2 * hidden, bias=False)  # U_r, U_z
        self.of_reset = nn.Linear(hidden, hidden, bias=False)  # U
        _scale(self, hidden)

    def forward(self, x: Floats, h: Floats) -> Tensor:
        """Return the next state (..., n) for inputs x (..., m) and a state h (..., n)."""
        return self.step(self.of_input(x), self.of_state(h), h)

    def step(self, from_input: Tensor, from_state: Tensor, h: Floats) -> Tensor:
        """Return the next state from products that may have been computed for many steps, or with others, at once.

        Args:
            from_input: ``of_input(x)``, (..., 3n).
            from_state: ``of_state(h)``, (..., 2n).
            h: the state, (..., n).

        """
        n = self.hidden
        r, z = torch.sigmoid(from_input[..., : 2 * n] + from_state).chunk(2, -1)
        new = torch.tanh(from_input[..., 2 * n :] + self.of_reset(r * h))
        return torch.lerp(h, new, z)


class TorchUnit(nn.Module):
    r"""The unit of ``torch.nn.GRU``: reset *after* the product, which has a bias of its own, and z the other way round.

    .. math::
        \tilde h = \tanh(W x + r \circ (U h + b)), \quad f(x, h) = (1 - z) \circ \tilde h + z \circ h

    Its parameters have the layout of ``torch.nn.GRUCell``.

    Args:
        inputs: size of x.
        hidden: n, the size of h.

    """

    def __init__(self, inputs: Whole, hidden: Count) -> None:
        super().__init__()
        self.hidden = hidden
        self.of_input = nn.Linear(inputs, 3 * hidden)
        self.of_state = nn.Linear(hidden, 3 * hidden)
        _scale(self, hidden)

    def forward(self, x: Floats, h: Floats) -> Tensor:
        """Return the next state (..., n) for inputs x (..., m) and a state h (..., n)."""
        return self.step(self.of_input(x), self.of_state(h), h)

    def step(self, from_input: Tensor, from_state: Tensor, h: Floats) -> Tensor:
        """Return the next state, as `GatedUnit.step`; here ``from_state`` is (..., 3n)."""
        n = self.hidden
        r, z = torch.sigmoid(from_input[..., : 2 * n] + from_state[..., : 2 * n]).chunk(2, -1)
        new = torch.addcmul(from_input[..., 2 * n :], r, from_state[..., 2 * n :])
        return torch.lerp(torch.tanh(new), h, z)


UNITS: dict[str, type[GatedUnit] | type[TorchUnit]] = {"paper": GatedUnit, "torch": TorchUnit}


class GatedRNN(nn.Module):
    """A `GatedUnit` along a sequence, with the interface of ``nn.GRU(..., batch_first=True)``.

    Args:
        inputs: size of an input.
        hidden: n, the size of a state.

    """

    def __init__(self, inputs: Whole, hidden: Count) -> None:
        super().__init__()
        self.unit = GatedUnit(inputs, hidden)

    def forward(self, x: Floats) -> tuple[Tensor, Tensor]:
        """Return all states (B, T, n) for inputs (B, T, m), from a state of zeros, and the last as (1, B, n)."""
        h = x.new_zeros(len(x), self.unit.hidden)
        states = []
        for from_input in self.unit.of_input(x).unbind(1):  # the inputs' products, of all steps at once
            h = self.unit.step(from_input, self.unit.of_state(h), h)
            states.append(h)
        return torch.stack(states, 1), h[None]


def recurrence(unit: str, inputs: Count, hidden: Count) -> nn.Module:
    """Return the recurrent layer of a unit; for "torch" it is ``torch.nn.GRU`` itself.

    Args:
        unit: a key of `UNITS`.
        inputs: size of an input.
        hidden: n, the size of a state.

    Raises:
        ValueError: for another unit.

    """
    if unit not in UNITS:
        raise ValueError(f"unit is {unit!r}; it can be {' or '.join(map(repr, UNITS))}")
    return GatedRNN(inputs, hidden) if unit == "paper" else nn.GRU(inputs, hidden, batch_first=True)


def _scale(unit: nn.Module, hidden: int) -> None:
    """Draw all parameters from U(-1/√n, 1/√n), as ``torch.nn.GRU`` does."""
    for parameter in unit.parameters():
        nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)


def reverse(x: Tensor, lengths: Integers) -> Tensor:
    """Turn each sequence of a padded batch round, and leave its padding where it is.

    Args:
        x: (B, T, ...).
        lengths: of the sequences, (B,).

    Returns:
        A tensor of the shape of x.

    >>> reverse(torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2])).tolist()
    [[3, 2, 1], [5, 4, 0]]

    """
    t = torch.arange(x.shape[1], device=x.device)
    index = torch.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)
    return x.gather(1, index.view(*index.shape, *[1] * (x.dim() - 2)).expand_as(x))
