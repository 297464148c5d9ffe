"""The recorded experiments of attention: that they run, measure what they say, and repeat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from workings.attention import alignment_accuracy, draw_pairs, experiments, pad

CPU = torch.device("cpu")
RESULTS = Path(__file__).parents[1] / "results" / "attention"


def quick(name: str, seed: int = 0) -> dict[str, Any]:
    experiment = experiments.RECORDED[name]
    found: dict[str, Any] = experiment["run"](seed, device=CPU, **experiment["profiles"]["quick"])
    return found


@pytest.mark.parametrize("name", ["lengths", "languages", "bottleneck", "starts"])
def test_an_experiment_repeats_with_its_seed_and_not_with_another(name: str) -> None:
    first = quick(name)
    assert first == quick(name)
    if name == "starts":  # two steps of a small network: losses differ, scores need not
        assert first != quick(name, 1)


@pytest.mark.parametrize("name", list(experiments.RECORDED))
def test_a_record_is_of_the_experiment_as_it_is(name: str) -> None:
    stored = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    experiment = experiments.RECORDED[name]
    assert stored["parameters"] == experiment["profiles"]["default"]
    assert stored["seeds"] == list(experiment["seeds"])


def test_scores_are_in_the_order_in_which_they_are_read() -> None:
    """The chapter reads a list of scores by the place of a length, a size or a language in the parameters."""
    found = quick("lengths")
    model, _ = experiments.learn("mixture", 3, 8, 2, 0, CPU, context="fixed")
    alone = [experiments.measure(model, "mixture", length, 4)["bleu"] for length in (3, 6)]
    assert found["fixed_live_bleu"] == alone
    assert set(found) == {
        "attention_live_bleu", "attention_live_exact", "attention_live_aligned", "fixed_live_bleu", "fixed_live_exact",
    }  # fmt: skip


def test_a_network_that_knows_every_answer_scores_all() -> None:
    """A network that copies four words is found to: its training is a few seconds of `learn`'s own."""
    model, losses = experiments.learn("copy", 4, 24, 300, 0, CPU, lr=1e-2)
    assert len(losses) == 300
    scores = experiments.measure(model, "copy", 4, 40)
    assert scores["exact"] >= 90
    assert scores["exact"] <= scores["bleu"] <= 100
    other = experiments.measure(model, "reverse", 4, 40)  # answers that are wrong now, but for palindromes
    assert other["exact"] <= 20


def test_percentages_are_of_the_same_sentences_for_every_model() -> None:
    model, _ = experiments.learn("mixture", 3, 8, 1, 0, CPU)
    pairs = draw_pairs("mixture", [3], 5, torch.Generator().manual_seed(3))
    weights = experiments.align(model, pairs)
    assert weights.shape == (5, 4, 4)  # with the sign for the end
    target = pad([experiments.FRENCH.encode(pair.target) for pair in pairs])
    source = pad([experiments.ENGLISH.encode(pair.source) for pair in pairs])
    torch.testing.assert_close(weights, model(source, target)[1])
    share = 100 * alignment_accuracy(weights, [pair.alignment for pair in pairs])
    assert experiments.measure(model, "mixture", 3, 5)["aligned"] == pytest.approx(share)


def test_the_first_weights_follow_the_seed_and_leave_torchs_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    models = [experiments.translator(experiments.ENGLISH, experiments.FRENCH, 8, seed, CPU) for seed in (0, 0, 1)]
    assert torch.equal(torch.random.get_rng_state(), before)
    first, again, other = (model.unit.of_input.weight for model in models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_real_messages_are_scored_against_a_memory_that_has_not_seen_them() -> None:
    found = quick("catalogue")
    assert sum(found["messages"]) < 2600
    assert 20 < found["memory_bleu"] < 45  # the nearest of two thousand messages; 100 if answers leaked
    assert found["memory_exact"] == 0
    assert found["memory_interval"] > 1
    assert len(found["examples"]) == 2
    for example in found["examples"]:
        assert set(example) == {"source", "target", "memory", "attention", "fixed"}
        assert 4 <= len(example["source"].split()) <= 9
    assert found["attention_bleu"] < found["memory_bleu"]  # untrained


def test_the_papers_curves_are_whole() -> None:
    assert {len(curve) for curve in experiments.PAPER_BLEU.values()} == {len(experiments.PAPER_LENGTHS)}
    assert experiments.PAPER_BLEU["attention", "short"][-1] < 10 < experiments.PAPER_BLEU["attention", "long"][-1]
