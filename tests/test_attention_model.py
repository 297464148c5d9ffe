"""Attention and the translator, against NumPy, one sentence and one word at a time."""

from __future__ import annotations

import inspect
import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from attention_reference import SlowTranslator, array
from torch import Tensor, nn

from workings.attention import EOS, PAD, AdditiveAttention, Memory, Translator, nll, pad, paper_init, sentence_lengths

BOTH = list(product(("attention", "fixed"), ("paper", "torch")))
EACH = pytest.mark.parametrize(("context", "unit"), BOTH)
SIZES = {"embedding": 4, "hidden": 5, "align": 3, "readout": 3}
SOURCES = [[3, 4, 5, EOS], [EOS], [6, 3, 3, 4, 7, 5, EOS], [5, EOS]]
TARGETS = [[4, 3, EOS], [7, 6, 5, 4, EOS], [EOS], [3, EOS]]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def translator(context: str = "attention", unit: str = "paper", seed: int = 0, **options: Any) -> Translator:
    """Return a model of doubles, with weights large enough for everything to matter; no two sizes are equal."""
    torch.manual_seed(seed)
    model = Translator(8, 9, **(SIZES | options), context=context, unit=unit).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model.eval()


# ---- attention ----


def remember(annotations: Tensor, attention: AdditiveAttention, lengths: list[int]) -> Memory:
    padding = torch.where(torch.arange(annotations.shape[1]) < torch.tensor(lengths)[:, None], 0.0, -torch.inf)
    return Memory(annotations, attention.of_annotation(annotations), padding.double(), annotations[:, 0, :2])


@pytest.fixture
def attention() -> AdditiveAttention:
    return AdditiveAttention(2, 4, 3).double()


def test_energies_weights_and_contexts_by_loops(attention: AdditiveAttention) -> None:
    h, s = draw(2, 5, 4), draw(2, 3, 2, seed=1)
    contexts, weights = attention(attention.of_state(s), remember(h, attention, [5, 3]))
    assert contexts.shape == (2, 3, 4)
    assert weights.shape == (2, 3, 5)
    W, U, v = (array(m.weight) for m in (attention.of_state, attention.of_annotation, attention.energy))
    for b, i in product(range(2), range(3)):
        n = (5, 3)[b]
        energies = [
            sum(v[0, k] * math.tanh(W[k] @ array(s[b, i]) + U[k] @ array(h[b, j])) for k in range(3)) for j in range(n)
        ]
        expected = np.exp(energies) / np.exp(energies).sum()
        np.testing.assert_allclose(array(weights[b, i, :n]), expected, atol=1e-14)
        np.testing.assert_allclose(array(contexts[b, i]), expected @ array(h[b, :n]), atol=1e-13)


def test_weights_sum_to_one_over_the_source_and_are_zero_at_padding(attention: AdditiveAttention) -> None:
    """Over the target they do not: each row is a distribution, a column is not (audit 05.E-α)."""
    with torch.no_grad():
        attention.energy.weight.mul_(20)
    h, s = draw(2, 5, 4), draw(2, 3, 2, seed=1)
    weights = attention(attention.of_state(s), remember(h, attention, [5, 3]))[1]
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3).double(), atol=1e-12, rtol=0)
    assert not weights[1, :, 3:].any()
    assert (weights >= 0).all()
    assert weights[0].all()
    assert (weights[0].sum(0) - 1).abs().max() > 0.1


def test_contexts_lie_among_the_annotations_and_do_not_know_their_order(attention: AdditiveAttention) -> None:
    h, s, order = draw(1, 5, 4), draw(1, 3, 2, seed=1), torch.tensor([3, 0, 4, 2, 1])
    contexts, weights = attention(attention.of_state(s), remember(h, attention, [5]))
    again, moved = attention(attention.of_state(s), remember(h[:, order], attention, [5]))
    torch.testing.assert_close(again, contexts, atol=1e-12, rtol=0)
    torch.testing.assert_close(moved, weights[..., order], atol=1e-12, rtol=0)
    assert (contexts <= h.amax(1, keepdim=True)).all()
    assert (contexts >= h.amin(1, keepdim=True)).all()


def test_an_annotation_of_another_size_does_not_fit() -> None:
    """The decoder's states and the annotations cannot change places (audit 05.C10)."""
    attention = AdditiveAttention(2, 4, 3)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        attention.of_annotation(torch.zeros(1, 5, 2))


# ---- the translator ----


@EACH
def test_a_batch_is_the_paper_one_sentence_and_one_word_at_a_time(context: str, unit: str) -> None:
    """The batch is of sentences of different lengths, one of them empty, padded on both sides."""
    model = translator(context, unit)
    logits, weights = model(pad(SOURCES), pad(TARGETS))
    assert logits.shape == (4, 5, 9)
    assert weights.shape == (4, 5, 7 if context == "attention" else 1)
    slow = SlowTranslator(model)
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        expected, alphas = slow.run(source, target)
        np.testing.assert_allclose(array(logits[row, : len(target)]), expected, atol=1e-12)
        places = len(source) if context == "attention" else 1
        np.testing.assert_allclose(array(weights[row, : len(target), :places]), alphas, atol=1e-12)
        assert not weights[row, :, places:].any()


@EACH
def test_one_step_after_the_other_is_the_whole(context: str, unit: str) -> None:
    """With two hypotheses for each sentence, that do not mix."""
    model, target = translator(context, unit), pad(TARGETS)
    memory = model.encode(pad(SOURCES))
    logits, weights = model(pad(SOURCES), target)
    other, _ = model(pad(SOURCES), target.flip(0))
    both = torch.stack((functional_before(target), functional_before(target.flip(0))), 1)
    s = memory.start[:, None].expand(-1, 2, -1)
    for i in range(5):
        one, s, alpha = model.step(both[..., i], s, memory)
        torch.testing.assert_close(one[:, 0], logits[:, i], atol=1e-12, rtol=0)
        torch.testing.assert_close(one[:, 1], other[:, i], atol=1e-12, rtol=0)
        torch.testing.assert_close(alpha[:, 0], weights[:, i], atol=1e-12, rtol=0)


def functional_before(target: Tensor) -> Tensor:
    return torch.cat((torch.full_like(target[:, :1], PAD), target[:, :-1]), 1)


@EACH
def test_padding_changes_neither_loss_nor_gradients(context: str, unit: str) -> None:
    model = translator(context, unit)
    found = []
    for more in (0, 3):
        source = nn.functional.pad(pad(SOURCES), (0, more), value=PAD)
        target = nn.functional.pad(pad(TARGETS), (0, more), value=PAD)
        loss = nll(model(source, target)[0], target)
        found.append([loss, *torch.autograd.grad(loss, list(model.parameters()))])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)
    assert not found[0][1][PAD].any()  # the padding's own vector stays zero


@EACH
def test_every_parameter_matters_and_its_gradient_is_right(context: str, unit: str) -> None:
    model = translator(context, unit)
    source, target = pad(SOURCES), pad(TARGETS)
    loss = nll(model(source, target)[0], target)
    slopes = torch.autograd.grad(loss, list(model.parameters()))
    for (name, parameter), slope in zip(model.named_parameters(), slopes, strict=True):
        direction = draw(*parameter.shape, seed=len(name))
        if name in ("source.weight", "target.weight"):
            direction[PAD] = 0
        with torch.no_grad():
            values = []
            for step in (1e-5, -2e-5):
                parameter.add_(direction, alpha=step)
                values.append(nll(model(source, target)[0], target).item())
            parameter.add_(direction, alpha=1e-5)
        measured = (values[0] - values[1]) / 2e-5
        assert measured == pytest.approx((slope * direction).sum().item(), abs=1e-8), name
        assert abs(measured) > 1e-6, name


def test_the_fixed_context_is_the_state_at_the_sentences_own_last_word() -> None:
    model = translator("fixed")
    memory = model.encode(pad(SOURCES))
    assert memory.annotations.shape == (4, 1, 5)
    for row, source in enumerate(SOURCES):
        alone = model.encoder(model.source(torch.tensor([source])), torch.tensor([len(source)]))[0, -1]
        torch.testing.assert_close(memory.annotations[row, 0], alone, atol=1e-12, rtol=0)
        torch.testing.assert_close(memory.start[row], (model.start.weight @ alone).tanh(), atol=1e-12, rtol=0)


def test_the_first_state_comes_from_the_backward_state_at_the_first_word() -> None:
    model = translator()
    memory = model.encode(pad(SOURCES))
    torch.testing.assert_close(memory.start, (memory.annotations[:, 0, 5:] @ model.start.weight.T).tanh())


def test_the_first_word_before_is_a_vector_of_zeros() -> None:
    """So the first logits do not change with V_o or W; those after do."""
    model, target = translator(), pad(TARGETS[:1])
    before = model(pad(SOURCES[:1]), target)[0]
    with torch.no_grad():
        model.readout_word.weight.add_(1)
        model.unit.of_input.weight.add_(1)
    after = model(pad(SOURCES[:1]), target)[0]
    assert torch.equal(before[:, 0], after[:, 0])
    assert (before[:, 1:] - after[:, 1:]).abs().min() > 1e-6
    assert not model.target.weight[PAD].any()


@EACH
def test_the_readout_and_the_attention_see_the_state_before(context: str, unit: str) -> None:
    """What the unit does with word y_{i-1} reaches the logits and weights of y_{i+1}, not those of y_i."""
    model = translator(context, unit)
    memory = model.encode(pad(SOURCES))
    words, s = torch.tensor([[3], [4], [5], [6]]), draw(4, 1, 5)
    first = model.step(words, s, memory)
    with torch.no_grad():
        model.unit.of_input.bias.add_(0.5)  # another s_i, from the same s_{i-1}
    second = model.step(words, s, memory)
    assert torch.equal(first[0], second[0])
    assert (first[1] - second[1]).abs().min() > 1e-6
    assert torch.equal(first[2], second[2])
    third = model.step(words, s + 0.5, memory)
    assert (third[0] - second[0]).abs().max() > 0.1
    if context == "attention":
        assert (third[2] - second[2])[2].abs().max() > 1e-3


def test_maxout_takes_the_larger_of_neighbours() -> None:
    """t̃ = (1, 5, -2, -3, 7, 7) gives (5, -2, 7)."""
    model = translator()
    with torch.no_grad():
        for layer in (model.readout_state, model.readout_context, model.readout_word):
            layer.weight.zero_()
        model.readout_word.bias.copy_(torch.tensor([1.0, 5, -2, -3, 7, 7]))
        logits = model(pad(SOURCES), pad(TARGETS))[0]
        expected = model.words.weight @ torch.tensor([5.0, -2, 7]).double() + model.words.bias
    torch.testing.assert_close(logits, expected.expand_as(logits))


def test_sentence_of_any_length_and_number_are_translated_in_float32(device: torch.device) -> None:
    model = translator().float().to(device)
    source = torch.randint(3, 8, (2, 90), generator=torch.Generator().manual_seed(0)).to(device)
    logits, weights = model(source, source[:, :70])
    assert logits.dtype is torch.float32
    assert logits.isfinite().all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 70, device=device))


# ---- first weights and dropout ----


@pytest.mark.parametrize("unit", ["paper", "torch"])
def test_the_papers_first_weights(unit: str) -> None:
    torch.manual_seed(1)
    sizes = {"embedding": 60, "hidden": 50, "align": 70, "readout": 40}
    model = Translator(100, 120, **sizes, unit=unit, init="paper")  # type: ignore[arg-type]
    seen = {"orthogonal": 0, "alignment": 0, "zero": 0, "small": 0}
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1 or name == "attention.energy.weight":
            assert not parameter.any(), name
            seen["zero"] += 1
        elif name in ("attention.of_state.weight", "attention.of_annotation.weight"):
            assert parameter.std().item() == pytest.approx(0.001, rel=0.05), name
            seen["alignment"] += 1
        elif parameter.shape[1] == 50 and parameter.shape[0] % 50 == 0 and name != "start.weight":
            for gate in parameter.split(50):
                torch.testing.assert_close(gate @ gate.T, torch.eye(50), atol=1e-5, rtol=0)
                seen["orthogonal"] += 1
        else:
            used = parameter[1:] if name in ("source.weight", "target.weight") else parameter
            assert used.std().item() == pytest.approx(0.01, rel=0.05), name
            assert abs(used.mean().item()) < 0.001
            seen["small"] += 1
    # of each of three units: U_r, U_z, U; the small ones are three W, two E, W_s, C, U_o, V_o, C_o, W_o
    biases = 3 + 2 if unit == "paper" else 3 * 2 + 2
    assert seen == {"orthogonal": 9, "alignment": 2, "zero": biases + 1, "small": 11}
    assert not model.source.weight[PAD].any()
    assert not model.target.weight[PAD].any()


def test_the_papers_first_attention_is_uniform_and_a_fixed_context_has_none() -> None:
    model = Translator(8, 9, **SIZES, init="paper").double()  # type: ignore[arg-type]
    weights = model(pad(SOURCES), pad(TARGETS))[1]
    for row, source in enumerate(SOURCES):
        n = len(source)
        expected = torch.tensor([1 / n] * n + [0.0] * (7 - n), dtype=torch.float64)
        torch.testing.assert_close(weights[row], expected.expand(5, 7), atol=1e-16, rtol=0)
    fixed = Translator(8, 9, **SIZES, context="fixed", init="paper")  # type: ignore[arg-type]
    assert fixed.attention is None
    assert fixed.start.weight.std() < 0.02
    other = Translator(8, 9, **SIZES)  # type: ignore[arg-type]
    assert other.attention is not None
    assert other.attention.energy.weight.all()
    paper_init(other)
    assert not other.attention.energy.weight.any()


def test_weights_are_those_of_the_seed() -> None:
    one, same, other = (translator(seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["words.weight"], other["words.weight"])


def test_dropout_is_for_training_only_and_leaves_out_words_and_readout() -> None:
    source, target = pad(SOURCES), pad(TARGETS)
    plain, model = translator(), translator(dropout=0.4)
    assert torch.equal(model(source, target)[0], plain(source, target)[0])
    model.train()
    assert (model(source, target)[0] - model(source, target)[0]).abs().max() > 0.1
    dropped = translator(dropout=1.0).train()
    logits, _ = dropped(source, target)
    torch.testing.assert_close(logits, dropped.words.bias.expand_as(logits))  # the whole readout
    memory = dropped.encode(source)
    twins = dropped.encode(torch.where(source == PAD, PAD, 5))
    assert torch.equal(memory.annotations, twins.annotations)  # the source words
    after = [dropped.step(torch.full((4, 1), word), memory.start[:, None], memory)[1] for word in (3, 4)]
    assert torch.equal(*after)  # the target words


# ---- bad input ----

BAD: dict[str, tuple[Any, str]] = {
    "context": (lambda: Translator(8, 8, context="none"), "context is 'none'; it can be 'attention' or 'fixed'"),
    "unit": (lambda: Translator(8, 8, unit="lstm"), "unit is 'lstm'; it can be 'paper' or 'torch'"),
    "init": (lambda: Translator(8, 8, init="zero"), "init is 'zero'; it can be 'default' or 'paper'"),
    "source_words": (lambda: Translator(0, 8), "source_words must be positive; got 0"),
    "target_words": (lambda: Translator(8, -1), "target_words must be positive; got -1"),
    "no word": (lambda: sentence_lengths(torch.tensor([[3], [0]])), r"a sentence has no word.*EOS \(1\) alone"),
    "padding": (lambda: sentence_lengths(torch.tensor([[3, 4], [0, 3]])), "padding stands before a word"),
    "inside": (lambda: sentence_lengths(torch.tensor([[3, 0, 4]])), "padding stands before a word"),
    "encode": (lambda: translator().encode(torch.tensor([[0, 3]])), "padding stands before a word"),
} | {
    name: (lambda name=name: Translator(8, 8, **(SIZES | {name: 0})), f"{name} must be positive; got 0")
    for name in SIZES
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_lengths_of_sentences() -> None:
    assert sentence_lengths(pad(SOURCES)).tolist() == [4, 1, 7, 2]


def test_sizes_of_the_paper_are_the_first_ones() -> None:
    defaults = {name: p.default for name, p in inspect.signature(Translator).parameters.items()}
    assert {name: defaults[name] for name in SIZES} == {"embedding": 620, "hidden": 1000, "align": 1000, "readout": 500}
    assert (defaults["context"], defaults["unit"], defaults["init"], defaults["dropout"]) == (
        "attention", "paper", "default", 0.0,
    )  # fmt: skip
