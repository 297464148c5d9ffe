"""What takes longer than a page: the checkerboard on two paths, straightened flows between shapes, handwritten digits.

Each experiment is a function of a seed that returns its measured quantities; ``RECORDED`` lists them with the seeds and
arguments of each profile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from typing import Any

import torch
from torch import Tensor

from workings.flow_matching.couplings import optimal_pairing
from workings.flow_matching.data import checkerboard, digits, eight_gaussians, mnist, on_checkerboard, two_moons
from workings.flow_matching.networks import VelocityMLP
from workings.flow_matching.paths import ConditionalOT, GaussianPath, VariancePreserving
from workings.flow_matching.sampling import generate, log_prob, straightness
from workings.flow_matching.training import Draw, fit

PATHS: dict[str, GaussianPath] = {"ot": ConditionalOT(), "vp": VariancePreserving()}
STEPS = (1, 2, 4, 8, 16, 32)  # of the midpoint rule, two evaluations each


def network(dim: int, width: int, layers: int, seed: int, device: torch.device) -> VelocityMLP:
    """Return a network with weights of a seed, the same on every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return VelocityMLP(dim, hidden=(width,) * layers).to(device)


def sliced_distance(x: Tensor, y: Tensor, projections: int = 200) -> float:
    r"""Return the sliced Wasserstein-2 distance of two samples of one size, (n, d): over fixed random directions.

    .. math:: \mathrm{SW}_2^2 = \frac1K \sum_k W_2^2(\theta_k \cdot x,\; \theta_k \cdot y)
    """
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(x.shape[1], projections, generator=generator).to(x)
    direction = direction / direction.norm(dim=0)
    a, b = (torch.sort(z @ direction, dim=0).values for z in (x, y))
    return float((a - b).square().mean().sqrt())


def train_board(
    seed: int,
    path: GaussianPath,
    device: torch.device,
    steps: int,
    batch: int = 512,
    width: int = 128,
    layers: int = 4,
    each: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[VelocityMLP, list[float]]:
    """Train on the checkerboard with fresh points at every step; return the field and the loss of every step."""
    field = network(2, width, layers, seed, device)
    generator = torch.Generator().manual_seed(seed)
    losses = fit(field, path, checkerboard, steps, batch=batch, lr=5e-3, device=device, generator=generator, each=each)
    return field, losses


def board_quality(field: VelocityMLP, path: GaussianPath, seed: int, device: torch.device, n: int) -> dict[str, Any]:
    """Return the mean −log p of ``n`` fresh points and, for each of `STEPS`, what samples are worth.

    ``off`` is the share of samples outside the squares, ``distance`` their sliced distance from as many true points.
    """
    generator = torch.Generator().manual_seed(1_000_000 + seed)
    test, x0 = checkerboard(n, generator).to(device), torch.randn(n, 2, generator=generator).to(device)
    with torch.no_grad():
        nll = -float(log_prob(field, test, path).mean())
    samples = [generate(field, x0, path, steps=steps) for steps in STEPS]
    return {
        "nll": nll,
        "off": [1 - float(on_checkerboard(x).double().mean()) for x in samples],
        "distance": [sliced_distance(x, test) for x in samples],
    }


def board(
    seed: int, device: torch.device, steps: int, batch: int, width: int, layers: int, n: int, every: int
) -> dict[str, Any]:
    """Train on the checkerboard along both paths; return losses in training and the quality of what was trained."""
    found: dict[str, Any] = {}
    for name, path in PATHS.items():
        field, losses = train_board(seed, path, device, steps, batch, width, layers)
        found |= {f"{name}_{key}": value for key, value in board_quality(field, path, seed, device, n).items()}
        found[f"{name}_loss"] = means(losses, every)
    return found


def between_shapes(pairing: Callable[[Tensor, Tensor], Tensor] | None) -> Draw:
    """Return a draw of eight Gaussians with two moons, paired by ``pairing`` or not at all."""

    def draw(n: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        x0, x1 = eight_gaussians(n, generator), two_moons(n, generator)
        return x0, x1 if pairing is None else x1[pairing(x0, x1)]

    return draw


def reflowed(field: VelocityMLP, n: int, seed: int, device: torch.device) -> Draw:
    """Return a draw from ``n`` pairs of a start and where ``field`` carries it (Liu, Gong and Liu's reflow)."""
    x0 = eight_gaussians(n, torch.Generator().manual_seed(2_000_000 + seed))
    x1 = generate(field, x0.to(device), rtol=1e-4, atol=1e-4).cpu()

    def draw(n: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        chosen = torch.randint(0, len(x0), (n,), generator=generator)
        return x0[chosen], x1[chosen]

    return draw


def straighten(
    seed: int, device: torch.device, steps: int, batch: int, width: int, layers: int, n: int, pairs: int
) -> dict[str, Any]:
    """Train from eight Gaussians to two moons: on independent pairs, on optimal ones, and on the first's own pairs.

    Returns:
        For each of the three: ``straightness`` (0 for straight lines at constant speed), ``cost`` (mean squared way),
        and ``distance``, the sliced distance from the moons for each number of Euler steps in `STEPS`; and ``least``,
        the mean cost of an optimal pairing of ``n`` points, and ``noise``, the sliced distance of two true samples.

    """
    generator = torch.Generator().manual_seed(1_000_000 + seed)
    start, target, other = eight_gaussians(n, generator), two_moons(n, generator), two_moons(n, generator)
    best = target[optimal_pairing(start, target)]

    def trained(draw: Draw) -> VelocityMLP:
        field, generator = network(2, width, layers, seed, device), torch.Generator().manual_seed(seed)
        fit(field, ConditionalOT(), draw, steps, batch=batch, lr=5e-3, device=device, generator=generator)
        return field

    first = trained(between_shapes(None))
    fields = {
        "independent": first,
        "paired": trained(between_shapes(optimal_pairing)),
        "reflowed": trained(reflowed(first, pairs, seed, device)),
    }
    found: dict[str, Any] = {
        "least": float((start - best).square().sum(1).mean()),
        "noise": sliced_distance(target, other),
    }
    for name, field in fields.items():
        found |= {f"{name}_{key}": value for key, value in _ways(field, start.to(device), target.to(device)).items()}
    return found


def _ways(field: VelocityMLP, start: Tensor, target: Tensor) -> dict[str, Any]:
    """Return how straight a field's trajectories are, what their ways cost, and how close few steps come."""
    whole = generate(field, start, steps=64, trajectory=True)
    return {
        "straightness": float(straightness(whole)),
        "cost": float((whole[-1] - whole[0]).square().sum(1).mean()),
        "distance": [sliced_distance(generate(field, start, steps=steps, method="euler"), target) for steps in STEPS],
    }


# ---- handwritten digits ----


@dataclass(frozen=True)
class Images:
    """A data set of images (n, d) of whole levels: how to load its two parts, how many levels, and which trace."""

    load: Callable[[bool], Tensor]
    levels: int
    trace: str


IMAGES = {"digits": Images(digits, 17, "exact"), "mnist": Images(mnist, 256, "hutchinson")}


def dequantized(images: Tensor, levels: int, generator: torch.Generator | None = None) -> Tensor:
    """Spread each level 0, 1, … evenly over its bin and scale all to [−1, 1]: images (n, d) to images (n, d)."""
    return 2 * (images + torch.rand(images.shape, generator=generator)) / levels - 1


def bits_per_pixel(log_density: Tensor, dim: int, levels: int) -> float:
    """Return the bits that a pixel's level takes, from log densities (nats) of dequantized images, on average."""
    return -float(log_density.mean()) / (dim * math.log(2)) + math.log2(levels / 2)


def train_images(
    seed: int, name: str, path: GaussianPath, device: torch.device, steps: int, batch: int, width: int, layers: int
) -> VelocityMLP:
    """Train on a data set of images, dequantized anew for every batch."""
    images, levels = IMAGES[name].load(False), IMAGES[name].levels
    field = network(images.shape[1], width, layers, seed, device)

    def draw(n: int, generator: torch.Generator | None) -> Tensor:
        return dequantized(images[torch.randint(0, len(images), (n,), generator=generator)], levels, generator)

    fit(field, path, draw, steps, batch=batch, lr=2e-3, device=device, generator=torch.Generator().manual_seed(seed))
    return field


def image_bits(
    seed: int, device: torch.device, name: str, lengths: list[int], batch: int, width: int, layers: int, n: int
) -> dict[str, Any]:
    """Train on images for several lengths; return the bits that a pixel of held-out and of training images takes.

    Returns:
        ``ot_test`` and ``ot_train``, for each of ``lengths``, and ``vp_test`` and ``vp_train`` for the last but one.

    """
    generator, (load, levels, trace) = torch.Generator().manual_seed(1_000_000 + seed), astuple(IMAGES[name])
    sets = {part: dequantized(load(part == "test")[:n], levels, generator) for part in ("test", "train")}
    found: dict[str, list[float]] = {f"{path}_{part}": [] for path in PATHS for part in sets}
    for path, steps in [("ot", length) for length in lengths] + [("vp", lengths[-2])]:
        field = train_images(seed, name, PATHS[path], device, steps, batch, width, layers)
        for part, images in sets.items():
            with torch.no_grad():
                density = log_prob(field, images.to(device), PATHS[path], trace=trace, generator=generator)
            found[f"{path}_{part}"].append(bits_per_pixel(density, images.shape[1], levels))
    return found


def means(values: list[float], every: int) -> list[float]:
    """Return the means of consecutive stretches of ``every`` values."""
    return [sum(values[i : i + every]) / every for i in range(0, len(values) - every + 1, every)]


RECORDED: dict[str, dict[str, Any]] = {
    "board": {
        "run": board,
        "seeds": range(8),
        "profiles": {
            "quick": {"steps": 6, "batch": 16, "width": 8, "layers": 2, "n": 32, "every": 2},
            "default": {"steps": 8000, "batch": 512, "width": 128, "layers": 4, "n": 4000, "every": 200},
            "full": {"steps": 20_000, "batch": 4096, "width": 512, "layers": 5, "n": 20_000, "every": 500},
        },
    },
    "straighten": {
        "run": straighten,
        "seeds": range(8),
        "profiles": {
            "quick": {"steps": 6, "batch": 16, "width": 8, "layers": 2, "n": 32, "pairs": 64},
            "default": {"steps": 4000, "batch": 256, "width": 64, "layers": 3, "n": 2000, "pairs": 20_000},
        },
    },
    "digits": {
        "run": image_bits,
        "seeds": range(5),
        "profiles": {
            "quick": {"name": "digits", "lengths": [2, 3, 4], "batch": 16, "width": 8, "layers": 2, "n": 4},
            "default": {
                "name": "digits", "lengths": [1000, 4000, 12_000], "batch": 256, "width": 512, "layers": 3, "n": 359,
            },
        },
    },
    "mnist": {
        "run": image_bits,
        "seeds": range(3),
        "profiles": {
            "full": {
                "name": "mnist", "lengths": [2000, 10_000, 30_000], "batch": 256, "width": 1024, "layers": 3, "n": 500,
            },
        },
    },
}  # fmt: skip
