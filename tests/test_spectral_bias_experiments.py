"""The recorded experiments: their small profiles run, and what they measure is what they say."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from workings.spectral_bias import pixels, psnr
from workings.spectral_bias.experiments import (
    FREQUENCIES,
    MAPPINGS,
    RECORDED,
    TIME,
    Line,
    Painter,
    back_projection,
    curves,
    held_out,
    line_network,
    mapping,
    paint,
    stripes,
    train_line,
)

RESULTS = Path(__file__).parents[1] / "results" / "spectral_bias"


@pytest.mark.parametrize("name", RECORDED)
def test_small_profiles_run(name: str, device: torch.device) -> None:
    pytest.importorskip("skimage")
    record = RECORDED[name]
    found = record["run"](0, device, **record["profiles"]["quick"])
    values = [v for column in found.values() for v in (column if isinstance(column, list) else [column])]
    assert values
    assert all(math.isfinite(v) for v in values)
    again, other = (record["run"](seed, device, **record["profiles"]["quick"]) for seed in (0, 1))
    if device.type == "cuda":  # where sums of many threads come in any order
        assert found == {key: pytest.approx(value, rel=1e-6) for key, value in again.items()}
    else:
        assert found == again
    assert found != other


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_recorded_are_the_experiments_of_now(name: str) -> None:
    """The chapter shows these records: what they ran must be what running them again would run."""
    stored = json.loads((RESULTS / f"{name}.json").read_text())
    assert stored["parameters"] == RECORDED[name]["profiles"][stored["profile"]]
    assert stored["seeds"] == list(RECORDED[name]["seeds"])


def test_back_projection_looks_from_all_sides() -> None:
    """Twenty directions over half a turn; over 170°, 90° or 360° it would be 23.0, 17.0 or 18.3 dB."""
    pytest.importorskip("skimage")
    found = back_projection(65, 20)
    assert 23.5 < found < 24.0
    assert back_projection(65, 120) > found + 2


def test_the_line_knows_every_eighth_point(device: torch.device) -> None:
    signal = torch.sin(2 * math.pi * torch.arange(256, dtype=torch.float64) / 256 * 5)
    line = Line(1.0, signal, device)
    assert line.known.nonzero()[:3, 0].tolist() == [0, 8, 16]
    assert line.features.shape == (256, 32)
    assert line.kernel(8).shape == (256, 32)
    off = signal.to(device).clone()
    off[1] += 1.0  # not a known point
    assert line.errors(off) == {"train": 0.0, "test": pytest.approx(1 / 224)}
    # the error is a sine of frequency 5 and amplitude 1: half of it at +5
    assert FREQUENCIES == (1, 5, 15)
    assert line.spectrum(torch.zeros_like(line.y)) == pytest.approx([0.0, 0.5, 0.0], abs=1e-10)
    assert Line("none", signal, device).features[:2, 0].tolist() == [-0.5, -0.5 + 1 / 256]


def test_a_wide_network_goes_where_the_theory_says_and_the_restarted_theory_hides_by_how_much_not(
    device: torch.device,
) -> None:
    """Where λ is one number for all, the restarted error is e^(-2λ T/n) times the network's, by construction."""
    found = curves(0, device, [0], width=512, steps=100, every=50)
    start, end = (found["0_network_train"][k] for k in (0, -1))
    assert found["0_theory_train"][0] == pytest.approx(start)
    assert found["0_theory_train"][-1] == pytest.approx(end, rel=0.5)
    assert end < 0.1 * start
    rate = 8.301 * 512 / 1024  # the flat eigenvalue grows with the width
    expected = end * math.exp(-2 * rate * TIME / 32)
    assert found["0_restarted_train"][-1] == pytest.approx(expected, rel=0.03)
    assert found["0_restarted_train"][0] == pytest.approx(start)
    assert len(found["0_network_spectrum"]) == 3 * 3


def test_training_on_the_line_is_by_time(device: torch.device) -> None:
    """Ten times the steps at a tenth of the rate end at the same place."""
    line = Line(math.inf, torch.cos(2 * math.pi * torch.arange(256, dtype=torch.float64) / 256) / 2, device)
    ends = [train_line(line, line_network(line, 64, 0), steps, steps)[-1] for steps in (50, 500)]
    assert (ends[0] - ends[1]).abs().max().item() < 0.05
    assert line.errors(ends[1])["test"] < 0.02


def test_painters_are_judged_between_the_pixels_they_saw(device: torch.device) -> None:
    image = torch.rand(8, 8, 1, generator=torch.Generator().manual_seed(0)).to(device)
    painter = paint(image, "gaussian", 4.0, seed=0, steps=200, width=64)
    found = held_out(painter, image)
    assert found["train"] > 30
    assert found["test"] < 15  # noise cannot be guessed
    with torch.no_grad():
        odd = painter(pixels(8, 1, 2).to(device)).view(4, 4, 1)
    assert found["test"] == psnr(odd, image[1::2, 1::2])


def test_mappings() -> None:
    assert mapping("none", 0.0, 0) is None
    sizes = {name: Painter(mapping(name, 3.0, 0), 8, 1, 0).net[0].in_features for name in MAPPINGS}
    assert sizes == {"none": 2, "basic": 4, "positional": 512, "gaussian": 512}
    frequencies = mapping("positional", 3.0, 0).frequencies  # type: ignore[union-attr]
    assert frequencies.max().item() == pytest.approx(7.0)  # type: ignore[operator]


def test_stripes_run_along_the_axes_or_not() -> None:
    """Along the axes a picture is a sum of a function of each coordinate: its mixed differences vanish."""
    for angle, mixed in ((0.0, False), (math.pi / 4, True)):
        image = stripes(32, angle, torch.Generator().manual_seed(0))[..., 0]
        cross = image[1:, 1:] - image[1:, :-1] - image[:-1, 1:] + image[:-1, :-1]
        assert (cross.abs().max().item() > 0.01) == mixed
        assert 0 <= image.min().item() < image.max().item() <= 1
