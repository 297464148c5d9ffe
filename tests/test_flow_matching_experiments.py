"""The recorded experiments: quick runs of each, and what their measures measure."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from workings.flow_matching import eight_gaussians, experiments, generate, optimal_pairing, two_moons
from workings.flow_matching.experiments import bits_per_pixel, dequantized, sliced_distance

CPU = torch.device("cpu")
QUICK = {name: e for name, e in experiments.RECORDED.items() if "quick" in e["profiles"]}


@pytest.mark.parametrize("name", QUICK)
def test_quick_profile_of_every_recorded_experiment(name: str) -> None:
    first, again = (QUICK[name]["run"](3, device=CPU, **QUICK[name]["profiles"]["quick"]) for _ in range(2))
    assert first == again
    assert all(math.isfinite(v) for value in first.values() for v in (value if isinstance(value, list) else [value]))


def test_sliced_distance_of_shifted_and_scaled_clouds() -> None:
    """A shift by s in d dimensions is s/√d in the mean square over directions; order does not matter."""
    x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    assert sliced_distance(x, x[torch.randperm(500)]) < 1e-6
    shifted = sliced_distance(x, x + torch.tensor([0.0, 2.0, 0.0]))
    assert shifted == pytest.approx(2 / math.sqrt(3), rel=0.1)
    wide = torch.randn(100_000, 2, generator=torch.Generator().manual_seed(1))
    assert sliced_distance(wide, 3 * wide) == pytest.approx(2, rel=0.01)


def test_bits_of_a_pixel() -> None:
    """Uniform noise costs log₂ of the levels; a density that knows the bin costs nothing."""
    images = torch.randint(0, 17, (4000, 8), generator=torch.Generator().manual_seed(2)).float()
    x = dequantized(images, 17, torch.Generator().manual_seed(3))
    assert x.abs().max() <= 1
    assert torch.equal(torch.floor((x + 1) / 2 * 17), images)
    uniform = torch.full((4000,), -8 * math.log(2))
    assert bits_per_pixel(uniform, 8, 17) == pytest.approx(math.log2(17), abs=1e-6)
    assert bits_per_pixel(torch.full((4000,), 8 * math.log(17 / 2)), 8, 17) == pytest.approx(0, abs=1e-5)


def test_board_learns_and_is_judged() -> None:
    """A short training beats none by all measures, and stays above the least possible −log p."""
    path, found = experiments.PATHS["ot"], []
    for steps in (1, 1000):
        field, losses = experiments.train_board(0, path, CPU, steps, batch=256, width=64, layers=3)
        found.append(experiments.board_quality(field, path, 0, CPU, 1000))
        assert len(losses) == steps
    before, after = found
    assert 3.6765 < after["nll"] < 4.5 < before["nll"]
    assert after["off"][-1] < 0.4 < before["off"][-1]
    assert after["distance"][-1] < 0.3 < before["distance"][-1]


def test_pairs_between_shapes() -> None:
    free, paired = (
        experiments.between_shapes(p)(200, torch.Generator().manual_seed(4)) for p in (None, optimal_pairing)
    )
    costs = [float((x0 - x1).square().sum(1).mean()) for x0, x1 in (free, paired)]
    assert torch.equal(free[0], paired[0])
    assert costs[1] < 0.6 * costs[0]


def test_pairs_of_a_field_are_starts_and_ends_of_its_own() -> None:
    field = experiments.network(2, 8, 1, 0, CPU)
    x0, x1 = experiments.reflowed(field, 50, 0, CPU)(400, torch.Generator().manual_seed(5))
    expected = generate(field, x0, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(x1, expected, atol=1e-3, rtol=0)
    assert len(x0.unique(dim=0)) == 50


def test_networks_are_the_same_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(7)
    first = experiments.network(2, 8, 2, 5, CPU)
    after = torch.rand(1)
    torch.manual_seed(7)
    assert torch.equal(torch.rand(1), after)
    again = experiments.network(2, 8, 2, 5, CPU)
    assert all(torch.equal(p, q) for p, q in zip(first.parameters(), again.parameters(), strict=True))


def test_images_are_trained_as_long_and_as_wide_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Straight for each length, preserving for the last but one; a short training leaves more bits than a longer."""
    trained: list[tuple[str, int, list[int]]] = []
    train = experiments.train_images

    def watched(*arguments: Any) -> Any:
        field = train(*arguments)
        path, steps = arguments[2], arguments[4]
        widths = [layer.out_features for layer in field.net if isinstance(layer, torch.nn.Linear)]
        trained.append((type(path).__name__, steps, widths))
        return field

    monkeypatch.setattr(experiments, "train_images", watched)
    found = experiments.image_bits(0, CPU, "digits", lengths=[1, 60, 61], batch=64, width=32, layers=2, n=20)
    assert [row[:2] for row in trained] == [
        ("ConditionalOT", 1), ("ConditionalOT", 60), ("ConditionalOT", 61), ("VariancePreserving", 60),
    ]  # fmt: skip
    assert {tuple(row[2]) for row in trained} == {(32, 32, 64)}
    assert {key: len(value) for key, value in found.items()} == {
        "ot_test": 3, "ot_train": 3, "vp_test": 1, "vp_train": 1,
    }  # fmt: skip
    assert found["ot_test"][1] < found["ot_test"][0] - 0.1


def test_straightening_learns_on_every_kind_of_pairs() -> None:
    """After a short training each flow's samples are nearer to the moons than the ring is, by far."""
    found = experiments.straighten(0, CPU, steps=500, batch=128, width=32, layers=2, n=300, pairs=500)
    apart = sliced_distance(eight_gaussians(300, generator()), two_moons(300, generator()))
    for kind in ("independent", "paired", "reflowed"):
        assert found[f"{kind}_distance"][-1] < apart / 2
        assert found[f"{kind}_cost"] >= 0.8 * found["least"]
    assert found["paired_straightness"] < found["independent_straightness"] / 3
    assert found["noise"] < apart / 4


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)
