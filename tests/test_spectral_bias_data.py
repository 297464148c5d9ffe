"""What is to be learned: JAX's random numbers, signals, pictures, the phantom and its projections."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from workings.spectral_bias import (
    PAGES,
    PHOTOGRAPHS,
    phantom,
    picture,
    pixels,
    power_law_signal,
    projections,
    psnr,
    released_signal,
)
from workings.spectral_bias import data as module
from workings.spectral_bias.threefry import jax_normal, threefry


def points(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_threefry_is_that_of_jax() -> None:
    """The known answers of the generator's authors, and JAX's own first numbers for key 0."""
    assert [int(w[0]) for w in threefry((0, 0), *np.zeros((2, 1), np.uint32))] == [0x6B200159, 0x99BA4EFE]
    ones = np.full((2, 1), 0xFFFFFFFF, np.uint32)
    assert [int(w[0]) for w in threefry((0xFFFFFFFF, 0xFFFFFFFF), *ones)] == [0x1CB996FC, 0xBB002BE7]
    counters = np.array([[0x243F6A88], [0x85A308D3]], np.uint32)
    assert [int(w[0]) for w in threefry((0x13198A2E, 0x03707344), *counters)] == [0xC4923A9C, 0x483DF7A0]
    quickstart = [-0.3721109, 0.26423115, -0.18252768, -0.7368197, -0.44030377]  # jax.random.normal(key(0), (10,))
    assert jax_normal(0, (10,))[:5].tolist() == pytest.approx(quickstart, abs=1e-6)
    assert jax_normal(0, (4, 2)).shape == (4, 2)
    assert not np.array_equal(jax_normal(1, (4,)), jax_normal(0, (4,)))


def test_signals_have_their_spectrum() -> None:
    """Band-limited, falling like (1 + f)^-α on average, scaled to ± ½."""
    power = torch.zeros(256, dtype=torch.float64)
    for seed in range(300):
        signal = power_law_signal(256, 1.0, 40, generator=torch.Generator().manual_seed(seed))
        assert (signal.min().item(), signal.max().item()) == (-0.5, 0.5)
        centred = signal - signal.mean()
        power += torch.fft.fft(centred / centred.norm()).abs() ** 2
    assert power[41:128].max().item() < 1e-20 * power.max().item() + 1e-18
    slope = np.polyfit(np.log(1 + np.arange(2, 40)), np.log(power[2:40].numpy()), 1)[0]
    assert slope == pytest.approx(-2.0, abs=0.12)
    released = released_signal()
    assert released.shape == (256,)
    assert torch.fft.fft(released)[65:192].abs().max().item() < 1e-4


def test_pixels_are_rows_first() -> None:
    assert pixels(4).shape == (16, 2)
    assert pixels(4)[1].tolist() == [0.0, 0.25]
    assert pixels(6, first=1, step=2).shape == (9, 2)
    image = torch.arange(16).view(4, 4)
    places = (4 * pixels(4, 1, 2)).long()
    assert image[places[:, 0], places[:, 1]].tolist() == image[1::2, 1::2].flatten().tolist()


@pytest.mark.parametrize("name", PHOTOGRAPHS + PAGES)
def test_pictures(name: str) -> None:
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    image = picture(name, 64)
    assert image.shape == (64, 64, 3 if name in PHOTOGRAPHS else 1)
    assert image.dtype == torch.float32
    assert 0 <= image.min().item() < image.max().item() <= 1
    assert image.std().item() > 0.05


def test_pictures_are_reduced_by_averaging_and_pages_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = points(4, 6, 3).float()
    monkeypatch.setattr(module, "_load", lambda name: raw if name == "coffee" else raw[..., 0])
    torch.testing.assert_close(picture("coffee", 2)[0, 0], raw[:2, 1:3].mean((0, 1)))
    assert torch.equal(picture("page", 2, left=3)[..., 0], raw[1:3, 3:5, 0])
    with pytest.raises(ValueError, match="page is 4 by 6; no square of 2 at column 5"):
        picture("page", 2, left=5)
    with pytest.raises(ValueError, match="size must be at most 4"):
        picture("coffee", 5)
    with pytest.raises(ValueError, match="there is no picture 'mona lisa'"):
        picture("mona lisa")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(module, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match="pip install scikit-image"):
        picture("coffee")
    with pytest.raises(ModuleNotFoundError, match="pip install scikit-learn"):
        picture("china.jpg")


def test_projections_are_line_means(device: torch.device) -> None:
    """By hand at right angles; a blob's mean stays; a shifted blob moves as a sine; linear."""
    image = points(8, 8).to(device)
    turned = projections(image, torch.tensor([0.0, math.pi / 2, math.pi], dtype=torch.float64, device=device))
    torch.testing.assert_close(turned[0], image.mean(0))
    torch.testing.assert_close(turned[2], image.mean(0).flip(0))
    torch.testing.assert_close(turned[1], image.mean(1))
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, 65, dtype=torch.float64, device=device)] * 2, indexing="ij")
    blob = torch.exp(-((x - 0.4) ** 2 + (y + 0.2) ** 2) / 0.01)
    angles = torch.arange(12, dtype=torch.float64, device=device) * math.pi / 12
    seen = projections(blob, angles)
    centre = (seen * x[0]).sum(1) / seen.sum(1)
    design = torch.stack((torch.cos(angles), torch.sin(angles)), 1)
    fitted = torch.linalg.lstsq(design, centre[:, None]).solution
    assert (design @ fitted - centre[:, None]).abs().max().item() < 0.01
    assert fitted.norm().item() == pytest.approx(math.hypot(0.4, 0.2), rel=0.05)
    torch.testing.assert_close(projections(3 * blob - 1, angles[:2])[0], 3 * seen[0] - 1)


def test_the_phantom_and_decibels() -> None:
    pytest.importorskip("skimage")
    head = phantom(64)
    assert head.shape == (64, 64)
    assert head[0, 0].item() == 0
    assert head.max().item() <= 1
    assert psnr(torch.full((5,), 0.3), torch.full((5,), 0.2)) == pytest.approx(20.0, abs=1e-4)
    assert psnr(torch.zeros(4), torch.ones(4)) == 0.0
    assert psnr(torch.ones(4), torch.ones(4)) == math.inf


BAD: dict[str, tuple[Any, str]] = {
    "band": (lambda: power_law_signal(16, band=9), "band must be from 2 to n / 2 = 8; got 9"),
    "odd": (lambda: jax_normal(0, (3,)), "the number of entries must be even"),
    "seed": (lambda: jax_normal(-1, (4,)), "a word of 32 bits; got 4 and -1"),
    "oblong": (lambda: projections(torch.ones(2, 3), torch.zeros(1)), r"image has shape \(2, 3\)"),
    "psnr": (lambda: psnr(torch.ones(2), torch.ones(3)), r"estimate has shape \(2,\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()
