"""The pictures of the parts are what they say, and move when they come into view."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from extensions import load
from playwright.sync_api import Browser
from reader import Reader

from workings.temporal_difference import random_walk

ROOT = Path(__file__).parents[2]
COMMITTED = (ROOT / "_templates/parts.html").read_text(encoding="utf-8")
STATE = """() => [...document.querySelectorAll(".wk-parts [data-frames]")].map((line) => line.getAttribute("points"))"""

parts = load("parts")


def places(text: str) -> np.ndarray:
    """Points (moments, points, 2) of one line, from 0 to 1 and upwards."""
    frames = np.array([re.split("[ ,]", frame) for frame in text.split("|")], dtype=float)
    xy = frames.reshape(len(frames), -1, 2) - parts.EDGE
    size = np.array([parts.WIDTH, parts.HEIGHT], dtype=float) - 2 * parts.EDGE
    return np.asarray(xy / size * (1, -1) + (0, 1))


@pytest.fixture(scope="module")
def ways() -> dict[str, list[np.ndarray]]:
    """The lines of each picture as committed, by part: those that move with all their moments."""
    figures = [figure.partition("</figure>")[0] for figure in COMMITTED.split("<figure>")[1:]]
    lines = [re.findall(r'<polyline[^>]*? (?:data-frames|points)="([^"]+)"', figure) for figure in figures]
    return {draw.__name__: [places(line) for line in found] for draw, found in zip(parts.PICTURES, lines, strict=True)}


def test_every_line_stays_in_its_picture_and_ends_where_it_is_seen_without_a_script(
    ways: dict[str, list[np.ndarray]],
) -> None:
    assert len(COMMITTED) <= 80_000
    for lines in ways.values():
        for line in lines:
            assert line.min() >= -0.02
            assert line.max() <= 1.02
    for frames, ends in re.findall(r'data-frames="([^"]+)" points="([^"]+)"', COMMITTED):
        assert frames.rpartition("|")[2] == ends


def test_the_coarse_wave_is_learned_before_the_fine_ones(ways: dict[str, list[np.ndarray]]) -> None:
    [target], learned = ways["gradients"]
    left = np.abs(np.fft.rfft(target[:, 1] - learned[..., 1]))[:, [1, 4, 9]]
    half = (left < left[0] / 2).argmax(0)  # the moment at which half of a wave is there
    assert 0 < half[0] < half[1] < half[2]
    assert np.abs(target - learned[-1]).max() < 0.03


def test_guesses_go_to_the_truth(ways: dict[str, list[np.ndarray]]) -> None:
    [truth], guesses = ways["sequences"]
    np.testing.assert_allclose(truth[:, 1], random_walk().values(), atol=0.01)
    assert np.ptp(guesses[0, :, 1]) == 0
    error = np.abs(guesses[..., 1] - truth[:, 1]).max(1)
    assert error[-1] < 0.1 * error[0]
    assert (np.diff(error) <= 0.01).all()


def test_spikes_only_come_and_what_they_say_narrows(ways: dict[str, list[np.ndarray]]) -> None:
    bars, beliefs = ways["brains"]
    assert (np.diff(bars[..., 1], axis=0) >= -0.006).all()
    belief = beliefs[..., 1] - 0.5
    shares = belief / belief.sum(1, keepdims=True)
    middle = (shares * beliefs[..., 0]).sum(1)
    widths = (shares * (beliefs[..., 0] - middle[:, None]) ** 2).sum(1) ** 0.5
    assert widths[-1] < 0.2 * widths[0]


def test_memory_is_as_recorded(ways: dict[str, list[np.ndarray]]) -> None:
    values = json.loads((ROOT / "results/gpu_memory_leak/cuda.json").read_text(encoding="utf-8"))["values"]
    for kind, line in zip(("fix", "leak"), ways["craft"], strict=True):
        series = np.array(values[f"{kind}_allocated"][0]) / max(values["leak_allocated"][0])
        calls = np.round(line[-1, :, 0] * (len(series) - 1)).astype(int)
        np.testing.assert_allclose((line[-1, :, 1] - 0.04) / 0.96, series[calls], atol=0.02)


def test_the_pictures_play_once_when_they_come_into_view(site: Path, chromium: Browser) -> None:
    reader = Reader(chromium)
    reader.page.emulate_media(reduced_motion="no-preference")
    page = reader.open(site / "index.html")
    ends = page.evaluate(STATE)
    page.wait_for_timeout(500)
    assert page.evaluate(STATE) == ends, "they move out of sight"
    page.locator(".wk-parts").scroll_into_view_if_needed()
    time = "document.querySelector('.wk-parts + .wk-controls [type=range]').valueAsNumber"
    page.wait_for_function(f"() => 0 < {time} && {time} < 1", timeout=5000)
    assert page.evaluate(STATE) != ends
    page.wait_for_function(f"() => {time} === 1", timeout=5000)
    page.wait_for_timeout(300)
    numbers = [[float(x) for x in re.split("[ ,]", line)] for line in ends]
    arrived = [[float(x) for x in re.split("[ ,]", line)] for line in page.evaluate(STATE)]
    for old, new in zip(numbers, arrived, strict=True):
        np.testing.assert_allclose(new, old, atol=1e-6)
    page.locator(".wk-parts + .wk-controls").get_by_role("slider", name="time").focus()
    page.keyboard.press("Home")
    starts = [frames.partition("|")[0] for frames in re.findall(r'data-frames="([^"]+)"', COMMITTED)]
    for start, now in zip(starts, page.evaluate(STATE), strict=True):
        np.testing.assert_allclose(np.array(re.split("[ ,]", now), float), np.array(re.split("[ ,]", start), float))
    assert reader.faults == []
    reader.close()


def test_the_pictures_stand_still_for_who_asks_for_less_motion(site: Path, chromium: Browser) -> None:
    reader = Reader(chromium)
    page = reader.open(site / "index.html")
    page.locator(".wk-parts").scroll_into_view_if_needed()
    ends = re.findall(r'data-frames="[^"]+" points="([^"]+)"', COMMITTED)
    page.wait_for_timeout(400)
    assert page.evaluate(STATE) == ends
    reader.close()
