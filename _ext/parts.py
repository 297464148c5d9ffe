"""A moving picture for each part of the book but the first, whose picture is the cover's: computed, not drawn by hand.

``python _ext/face.py`` writes them to ``_templates/parts.html``. A line carries where it is at equally spaced times,
and ``book.js`` moves it; without a script it stands where it ends.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
FRAMES = 25  # moments of each picture, the first and the last included
WIDTH, HEIGHT, EDGE = 200, 110, 6  # pixels of a picture, and how far its lines stay away from the edge
DOT = (
    '<marker id="wk-dot" viewBox="-3 -3 6 6" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse">'
    '<circle class="wk-blue" r="3"/></marker>'
)
Way = Sequence[Sequence[tuple[float, float]]]  # a line at each moment: points in [0, 1]², the second one upwards


def gradients() -> list[str]:
    """Let a wide network fit a curve of three waves: coarse ones first. Exact, by its tangent kernel."""
    import torch

    from workings.spectral_bias import KernelDynamics, relu_ntk

    turn = torch.arange(64, dtype=torch.float64) / 64 * 2 * math.pi
    target = torch.cos(turn) + 0.6 * torch.sin(4 * turn) + 0.4 * torch.sin(9 * turn)
    kernel = relu_ntk(torch.stack((turn.cos(), turn.sin()), -1), hidden=(256, 256), parametrization="ntk")
    dynamics = KernelDynamics(kernel / kernel[0, 0], target)
    times = [0.0, *torch.logspace(-2, 3.5, FRAMES - 1, dtype=torch.float64).tolist()]

    def line(values: torch.Tensor) -> list[tuple[float, float]]:
        return [(i / 63, 0.5 + v / 4) for i, v in enumerate(values.tolist())]

    return [still(line(target), "grey"), moving([line(dynamics.flow(t)) for t in times], "blue")]


def sequences() -> list[str]:
    """Let the guesses of TD(0) for the five places of a random walk go their mean way to the truth."""
    from workings.temporal_difference import random_walk

    chain = random_walk()
    a, b = chain.mean_update(0.0)
    guess, places = 0 * b + 0.5, [i / 4 for i in range(5)]
    frames = []
    for _ in range(FRAMES):
        frames.append(list(zip(places, guess.tolist(), strict=True)))
        for _ in range(4):
            guess = guess + 0.04 * (b - a @ guess)
    truth = list(zip(places, chain.values().tolist(), strict=True))
    return [still(truth, "grey"), moving(frames, "blue", dots=True)]


def brains() -> list[str]:
    """Add up the spikes of a population, and narrow what they say of the stimulus."""
    import torch

    from workings.population_codes import PoissonCode, gaussian, posterior

    cells, grid = torch.linspace(-60, 60, 25).double(), torch.linspace(-30, 30, 61).double()
    code = PoissonCode(gaussian(cells, width=15.0))
    draw = torch.Generator().manual_seed(3)
    counts = torch.stack([code.sample(torch.tensor([4.0]).double(), 0.12, draw)[0] for _ in range(FRAMES - 1)])
    counts = torch.cat((torch.zeros_like(counts[:1]), counts)).cumsum(0)
    beliefs = posterior(code, counts, grid)
    bars, curves = [], []
    for count, belief in zip((counts / counts.max()).tolist(), (beliefs / beliefs.max()).tolist(), strict=True):
        feet = [(i / 24, 0.45 * c) for i, c in enumerate(count)]
        bars.append([point for x, y in feet for point in ((x, 0.0), (x, y), (x, 0.0))])
        curves.append([(0.25 + i / 120, 0.5 + p / 2) for i, p in enumerate(belief)])
    return [moving(bars, "blue"), moving(curves, "orange")]


def craft() -> list[str]:
    """Plot the memory that a GPU's allocator has given away, call by call: with the leak, and with the leak mended."""
    values = json.loads((ROOT / "results/gpu_memory_leak/cuda.json").read_text(encoding="utf-8"))["values"]

    def line(series: list[int]) -> Way:
        calls, most = len(series), max(values["leak_allocated"][0])
        points = [(i / (calls - 1), 0.04 + 0.96 * v / most) for i, v in enumerate(series)][:: calls // FRAMES]
        return [[points[min(i, now)] for i in range(len(points))] for now in range(len(points))]

    return [moving(line(values["fix_allocated"][0]), "green"), moving(line(values["leak_allocated"][0]), "orange")]


PICTURES = {
    gradients: ("spectral_bias", "What a network learns first: the coarse wave, then the finer ones."),
    sequences: ("temporal_difference", "Guesses that learn from guesses, on their way to the truth."),
    brains: ("population_codes", "Spikes add up, and what they say becomes certain."),
    craft: ("gpu_memory_leak", "Memory on a GPU, call by call: a statement that leaks, and its repair."),
}


def still(line: Sequence[tuple[float, float]], colour: str) -> str:
    """Return a line that stands."""
    return f'<polyline class="wk-{colour}" points="{_pixels(line)}"/>'


def moving(way: Way, colour: str, dots: bool = False) -> str:
    """Return a line that moves; without a script it is seen at its end."""
    ends = "".join(f' marker-{place}="url(#wk-dot)"' for place in ("start", "mid", "end")) if dots else ""
    line = (
        f'<polyline class="wk-{colour}" data-frames="{"|".join(map(_pixels, way))}" points="{_pixels(way[-1])}"{ends}/>'
    )
    return DOT + line if dots else line


def _pixels(line: Sequence[tuple[float, float]]) -> str:
    across, up = WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE
    return " ".join(f"{EDGE + across * x:.0f},{EDGE + up * (1 - y):.1f}" for x, y in line)


def page() -> str:
    """Return the pictures with their words."""
    figures = [
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words)}">\n'
        + "\n".join(draw())
        + f'</svg><figcaption><a href="chapters/{chapter}.html">{draw.__name__.capitalize()}</a> {escape(words)}'
        + "</figcaption></figure>\n"
        for draw, (chapter, words) in PICTURES.items()
    ]
    return f'<div class="wk-parts">\n{"".join(figures)}</div>\n'
