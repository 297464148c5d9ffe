"""The units and the encoder, against hand arithmetic, NumPy and torch's own layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from attention_reference import array, unit_of
from torch import Tensor, nn

from workings.attention import UNITS, GatedRNN, GatedUnit, TorchUnit, recurrence, reverse
from workings.attention.model import Encoder

EACH_UNIT = pytest.mark.parametrize("unit", ["paper", "torch"])


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def spread(module: nn.Module, scale: float = 1.0) -> Any:
    """Give a module weights of doubles that are large enough for its gates to move."""
    module.double()
    with torch.no_grad():
        for k, parameter in enumerate(module.parameters()):
            parameter.copy_(scale * draw(*parameter.shape, seed=100 + k))
    return module


# ---- units ----


def matrix(rows: list[list[float]] | list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def by_hand(unit: Any, x: list[list[float]], h: list[list[float]], U: list[list[float]]) -> Any:
    """Give a unit of two inputs and two states the rows W_r, W_z, W and U_r, U_z, U; biases are zero."""
    unit.double()
    with torch.no_grad():
        for parameter in unit.parameters():
            parameter.zero_()
        unit.of_input.weight.copy_(matrix(x))
        unit.of_state.weight.copy_(matrix([*h, *U] if isinstance(unit, TorchUnit) else h))
        if isinstance(unit, GatedUnit):
            unit.of_reset.weight.copy_(matrix(U))
    return unit


NONE = [[0.0, 0.0], [0.0, 0.0]]
# r is (1, 0) where the input is (1, 0), to 1e-17; h is (2, 3)
GATES = [[40.0, 0.0], [-40.0, 0.0], *NONE, *NONE]
U = [[0.001, 0.01], [0.1, 1.0]]
H, ONE = matrix([2.0, 3.0]), matrix([1.0, 0.0])


def test_the_papers_unit_resets_before_the_product_and_torchs_after() -> None:
    """U (r ∘ h) = U (2, 0) = (.002, .2), and r ∘ (U h) = (1, 0) ∘ (.032, 3.2) = (.032, 0); z is 1/2."""
    paper = by_hand(GatedUnit(2, 2), GATES, [*NONE, *NONE], U)(ONE, H)
    other = by_hand(TorchUnit(2, 2), GATES, [*NONE, *NONE], U)(ONE, H)
    expected = [(2 + math.tanh(0.002)) / 2, (3 + math.tanh(0.2)) / 2], [(2 + math.tanh(0.032)) / 2, 1.5]
    assert paper.tolist() == pytest.approx(expected[0], abs=1e-14)
    assert other.tolist() == pytest.approx(expected[1], abs=1e-14)


def test_an_open_update_gate_takes_the_new_state_in_the_paper_and_keeps_the_old_in_torch() -> None:
    gates = [*NONE, [40.0, 0.0], [-40.0, 0.0], [0.3, 0.0], [0.7, 0.0]]  # z = (1, 0)
    paper = by_hand(GatedUnit(2, 2), gates, [*NONE, *NONE], NONE)(ONE, H)
    other = by_hand(TorchUnit(2, 2), gates, [*NONE, *NONE], NONE)(ONE, H)
    assert paper.tolist() == pytest.approx([math.tanh(0.3), 3.0], abs=1e-14)
    assert other.tolist() == pytest.approx([2.0, math.tanh(0.7)], abs=1e-14)


def test_the_papers_unit_with_numbers_typed_out() -> None:
    """One state: r = σ(.1 + .5 - .4) = σ(.2) = .549834, z = σ(-.3 - 1 - .72) = σ(-2.02) = .117119,
    new = tanh(.2 + .35 + .88 r) = .775449, and h = -.8 + z (new + .8), with 30 digits."""
    unit = GatedUnit(1, 1).double()
    with torch.no_grad():
        unit.of_input.weight.copy_(matrix([[1.0], [-2.0], [0.7]]))
        unit.of_input.bias.copy_(matrix([0.1, -0.3, 0.2]))
        unit.of_state.weight.copy_(matrix([[0.5], [0.9]]))
        unit.of_reset.weight.copy_(matrix([[-1.1]]))
    assert unit(matrix([0.5]), matrix([-0.8])).item() == pytest.approx(-0.615484954838985885, abs=1e-14)


@EACH_UNIT
def test_units_are_their_formulas_for_any_leading_shape(unit: str) -> None:
    one = spread(UNITS[unit](2, 3))
    x, h = draw(4, 5, 2), draw(4, 5, 3, seed=1)
    slow = unit_of(one)
    expected = [[slow(array(x[i, j]), array(h[i, j])) for j in range(5)] for i in range(4)]
    np.testing.assert_allclose(array(one(x, h)), expected, atol=1e-13)
    torch.testing.assert_close(one.step(one.of_input(x), one.of_state(h), h), one(x, h), atol=0, rtol=0)
    assert one(x[0, 0], h[0, 0]).shape == (3,)


def test_the_torch_unit_is_torchs_cell_with_its_layout_of_weights(device: torch.device) -> None:
    unit, cell = TorchUnit(3, 4).double().to(device), nn.GRUCell(3, 4).double().to(device)
    cell.load_state_dict({
        "weight_ih": unit.of_input.weight, "weight_hh": unit.of_state.weight,
        "bias_ih": unit.of_input.bias, "bias_hh": unit.of_state.bias,
    })  # fmt: skip
    x, h = draw(6, 3).to(device), draw(6, 4, seed=1).to(device)
    torch.testing.assert_close(unit(x, h), cell(x, h), atol=1e-13, rtol=0)


def test_no_weights_make_one_unit_the_other() -> None:
    """With the same matrices and no biases they differ by the order of their states."""
    paper, other = spread(GatedUnit(2, 3)), TorchUnit(2, 3).double()
    with torch.no_grad():
        paper.of_input.bias.zero_()
        other.of_input.load_state_dict(paper.of_input.state_dict())
        other.of_state.weight.copy_(torch.cat((paper.of_state.weight, paper.of_reset.weight)))
        other.of_state.bias.zero_()
        x, h = draw(50, 2), draw(50, 3, seed=1)
        assert (paper(x, h) - other(x, h)).abs().max() > 0.5
        other.of_input.weight[3:6] *= -1  # z the other way round: what is left is the reset, and only it
        other.of_state.weight[3:6] *= -1
        assert (paper(x, h) - other(x, h)).abs().max() > 0.1
        paper.of_input.weight[:3], paper.of_state.weight[:3], paper.of_input.bias[:3] = 0, 0, 40  # r = 1
        other.load_state_dict(other.state_dict() | {"of_input.bias": torch.tensor([40.0] * 3 + [0] * 6).double()})
        other.of_input.weight[:3], other.of_state.weight[:3] = 0, 0
        torch.testing.assert_close(paper(x, h), other(x, h), atol=1e-13, rtol=0)


@pytest.mark.parametrize("unit", [GatedUnit, TorchUnit, GatedRNN])
def test_first_weights_are_drawn_as_torch_draws_those_of_its_gru(unit: Callable[[int, int], nn.Module]) -> None:
    for parameter in unit(40, 100).parameters():
        assert 0.095 < parameter.abs().max().item() <= 0.1 + 1e-7
        assert parameter.std().item() == pytest.approx(0.1 / math.sqrt(3), rel=0.1)


# ---- recurrent layers ----


@EACH_UNIT
def test_a_layer_is_its_unit_in_a_loop_from_zeros(unit: str) -> None:
    layer, x = spread(recurrence(unit, 2, 3)), draw(2, 5, 2)
    slow = unit_of(layer)
    states, last = layer(x)
    assert states.shape == (2, 5, 3)
    assert torch.equal(last, states[None, :, -1])
    for row in range(2):
        h = np.zeros(3)
        for t in range(5):
            h = slow(array(x[row, t]), h)
            np.testing.assert_allclose(array(states[row, t]), h, atol=1e-13)


def test_the_layer_of_torch_is_torchs_own() -> None:
    layer = recurrence("torch", 2, 3)
    assert type(layer) is nn.GRU
    assert layer.batch_first
    assert type(recurrence("paper", 2, 3)) is GatedRNN


def test_a_layer_is_differentiable() -> None:
    layer, x = spread(GatedRNN(2, 3)), draw(2, 4, 2).requires_grad_()
    names = [name for name, _ in layer.named_parameters()]

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        done: tuple[Tensor, Tensor] = torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), x)
        return done[0]

    assert torch.autograd.gradcheck(run, (x, *layer.parameters()))


def test_reverse_turns_each_sentence_by_its_own_length() -> None:
    x = torch.arange(1, 13).reshape(2, 3, 2)
    assert reverse(x, torch.tensor([3, 1])).tolist() == [[[5, 6], [3, 4], [1, 2]], [[7, 8], [9, 10], [11, 12]]]
    lengths = torch.tensor([4, 1, 7, 2])
    y = draw(4, 7, 2)
    assert torch.equal(reverse(reverse(y, lengths), lengths), y)
    for row, length in enumerate(lengths.tolist()):
        assert torch.equal(reverse(y, lengths)[row, :length], y[row, :length].flip(0))


# ---- the encoder ----

LENGTHS = torch.tensor([3, 5, 1, 4])


@EACH_UNIT
def test_padding_reaches_no_state_of_a_word(unit: str) -> None:
    """Neither its amount nor its content, neither values nor gradients."""
    encoder, x = spread(Encoder(2, 3, unit)), draw(4, 5, 2)
    alone = [encoder(x[i : i + 1, :n], LENGTHS[i : i + 1])[0] for i, n in enumerate(LENGTHS.tolist())]
    longer = torch.cat((x, torch.zeros(4, 4, 2).double()), 1)
    inside = torch.arange(9) < LENGTHS[:, None]
    for filling in (0.0, 7.0, 1e6, float("nan")):
        padded = torch.where(inside[..., None], longer, filling).requires_grad_()
        h = encoder(padded, LENGTHS)
        for i, n in enumerate(LENGTHS.tolist()):
            torch.testing.assert_close(h[i, :n], alone[i], atol=1e-12, rtol=0)
        if math.isfinite(filling):
            assert not h[~inside].any()
            (slope,) = torch.autograd.grad(h.sin().sum(), padded)
            assert not slope[~inside].any()
            assert slope[inside].all()


@EACH_UNIT
def test_gradients_of_the_weights_do_not_depend_on_padding(unit: str) -> None:
    encoder, x = spread(Encoder(2, 3, unit)), draw(4, 5, 2)
    found = []
    for more, filling in ((0, 0.0), (4, 7.0)):
        padded = torch.cat((x, torch.zeros(4, more, 2).double()), 1)
        padded = torch.where((torch.arange(5 + more) < LENGTHS[:, None])[..., None], padded, filling)
        h = encoder(padded, LENGTHS)
        found.append(torch.autograd.grad(h.sin().sum(), list(encoder.parameters())))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


@EACH_UNIT
def test_annotations_are_the_two_directions_side_by_side(unit: str) -> None:
    encoder, x = spread(Encoder(2, 3, unit)), draw(4, 5, 2)
    h = encoder(x, LENGTHS)
    assert h.shape == (4, 5, 6)
    for i, n in enumerate(LENGTHS.tolist()):
        for part, layer, order in ((h[i, :n, :3], encoder.forwards, 1), (h[i, :n, 3:], encoder.backwards, -1)):
            state, slow = np.zeros(3), unit_of(layer)
            for t in range(n)[::order]:
                state = slow(array(x[i, t]), state)
                np.testing.assert_allclose(array(part[t]), state, atol=1e-12)
    one = Encoder(2, 3, unit, both=False)
    spread(one)
    torch.testing.assert_close(one(x, LENGTHS), h[..., :3], atol=1e-12, rtol=0)
    assert not any(name.startswith("backwards") for name, _ in one.named_parameters())


def missing(states: Callable[[Tensor], Tensor], x: Tensor) -> set[tuple[int, int]]:
    """Return the pairs (j, t), t ≥ j, counted from 1, for which h_j does not depend on x_t."""
    slopes: Tensor = torch.autograd.functional.jacobian(states, x)
    size = slopes.abs().amax((1, 3))
    return {(j + 1, t + 1) for j in range(len(x)) for t in range(j, len(x)) if size[j, t] == 0}


def backward_states(unit: nn.Module, x: Tensor, printed: bool = False) -> Tensor:
    """The post's equation 8: as it must be, or as printed, with zeros *at* the last word instead of after it."""
    h = x.new_zeros(3)
    states: list[Tensor] = []
    for t in reversed(range(len(x))):
        h = x.new_zeros(3) if printed and t == len(x) - 1 else unit(x[t], h)
        states.insert(0, h)
    return torch.stack(states)


def reversal_residual(states: Callable[[Tensor], Tensor], forwards: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """Return how far the backward states are from the forward ones of the sentence turned round, turned round."""
    return (states(x) - forwards(x.flip(0)).flip(0)).abs().max().item()


def test_the_last_word_reaches_every_backward_state() -> None:
    """For each sentence of a batch, whatever its length; with the printed boundary it reaches none."""
    encoder, x = spread(Encoder(2, 3)), draw(4, 5, 2)
    for i, n in enumerate(LENGTHS.tolist()):

        def states(row: Tensor, i: int = i, n: int = n) -> Tensor:
            batch = torch.cat((x[:i], torch.cat((row, x[i, n:]))[None], x[i + 1 :]))
            done: Tensor = encoder(batch, LENGTHS)[i, :n]
            return done

        assert missing(lambda row: states(row)[:, 3:], x[i, :n]) == set()
        slopes = torch.autograd.functional.jacobian(states, x[i, :n])
        reached = slopes.abs().amax(3).unflatten(1, (2, 3)).amax(2)  # (j, direction, t)
        assert torch.equal(reached[:, 0] > 0, torch.ones(n, n).tril().bool())  # h_j holds x_j too
        assert torch.equal(reached[:, 1] > 0, torch.ones(n, n).triu().bool())


def test_the_printed_boundary_fails_what_the_encoder_passes() -> None:
    encoder, x = spread(Encoder(2, 3)), draw(5, 2)
    unit, length = encoder.backwards.unit, torch.tensor([5])

    def ours(x: Tensor) -> Tensor:
        done: Tensor = encoder(x[None], length)[0, :, 3:]
        return done

    def forwards(x: Tensor) -> Tensor:
        done: Tensor = encoder.backwards(x[None])[0][0]
        return done

    right, wrong = (lambda x, p=printed: backward_states(unit, x, p) for printed in (False, True))
    torch.testing.assert_close(ours(x), right(x), atol=1e-12, rtol=0)
    assert reversal_residual(ours, forwards, x) < 1e-12
    assert missing(ours, x) == set()
    assert reversal_residual(wrong, forwards, x) > 0.1
    assert missing(wrong, x) == {(j, 5) for j in range(1, 6)}


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="unit is 'lstm'; it can be 'paper' or 'torch'"):
        recurrence("lstm", 2, 3)
    with pytest.raises(ValueError, match="unit is 'gru'"):
        Encoder(2, 3, "gru")
