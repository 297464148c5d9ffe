"""Fourier feature maps against complex exponentials, the kernels that they induce, and what is to be learned."""

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
    BasicFeatures,
    FourierFeatures,
    GaussianFeatures,
    PositionalEncoding,
    PowerLawFeatures,
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


# ---- features ----


def test_features_are_real_and_imaginary_parts_of_waves(device: torch.device) -> None:
    b, a = points(3, 2, seed=1) * 5, torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    gamma, v = FourierFeatures(b, a).to(device), points(2, 4, 2).to(device)
    waves = a.numpy() * np.exp(2j * np.pi * v.cpu().numpy() @ b.numpy().T)
    expected = np.concatenate((waves.real, waves.imag), -1)
    np.testing.assert_allclose(gamma(v).cpu().numpy(), expected, atol=1e-12)
    assert gamma(v).shape == (2, 4, gamma.out_features)
    normalized = FourierFeatures(b, a, normalize=True).to(device)
    torch.testing.assert_close(normalized(v).norm(dim=-1), torch.ones(2, 4, dtype=torch.float64, device=device))


def test_squares_of_the_amplitudes_are_the_kernels_coefficients() -> None:
    """Not the amplitudes (audit 06.C8): of (1, 2, ½) the transform of the kernel shows (1, 4, ¼)."""
    gamma = FourierFeatures(torch.tensor([[1.0], [2.0], [3.0]]).double(), torch.tensor([1.0, 2.0, 0.5]).double())
    grid = torch.arange(32, dtype=torch.float64)[:, None] / 32
    kernel = gamma(grid) @ gamma(grid[:1]).T
    spectrum = 2 * torch.fft.fft(kernel[:, 0]) / 32
    assert spectrum.real[1:4].tolist() == pytest.approx([1.0, 4.0, 0.25])
    assert spectrum.imag.abs().max().item() < 1e-12
    assert kernel[0].item() == pytest.approx(5.25)
    torch.testing.assert_close(gamma.induced_kernel(grid), kernel[:, 0])


def test_frequencies_not_their_number_set_the_bandwidth() -> None:
    """One term of frequency 50 has a narrower kernel than ten terms from 1 to 10 (audit 06.C9)."""
    fine = torch.linspace(0, 0.1, 100_001, dtype=torch.float64)[:, None]
    half = []
    for b in (torch.tensor([[50.0]]), torch.arange(1.0, 11.0)[:, None]):
        kernel = FourierFeatures(b.double(), normalize=True).induced_kernel(fine)
        half.append(fine[int((kernel < 0.5).nonzero()[0]), 0].item())
    assert half == pytest.approx([0.0033, 0.0279], rel=0.02)


def test_power_law_and_its_ends() -> None:
    gamma = PowerLawFeatures(1.5, 8)
    assert gamma.frequencies[:, 0].tolist() == list(range(1, 9))
    assert gamma.amplitudes.tolist() == pytest.approx([j**-1.5 for j in range(1, 9)])
    alone = PowerLawFeatures(math.inf, 8)
    torch.testing.assert_close(alone(torch.tensor([[0.1]])).nonzero().shape[0], 2)
    assert PowerLawFeatures(0.0, 4).amplitudes.tolist() == [1.0] * 4
    # no constant, and the sine at the Nyquist frequency vanishes on the grid: rank 7 of 8 (audit 06.I2)
    grid = torch.arange(8, dtype=torch.float64)[:, None] / 8
    assert torch.linalg.matrix_rank(PowerLawFeatures(0.0, 4).double()(grid)).item() == 7
    wide = [(PowerLawFeatures(p, 64).amplitudes > 0.01).sum().item() for p in (0.5, 1.0, 2.0, 4.0)]
    assert wide == [64, 64, 9, 3]


def test_two_definitions_of_positional_encoding() -> None:
    paper, code = PositionalEncoding(2, 16.0, 4), PositionalEncoding(2, 16.0, 5, "code")
    assert sorted(paper.frequencies[:, 0].tolist()) == pytest.approx([0, 0, 0, 0, 1, 2, 4, 8])
    assert sorted(code.frequencies[:, 1].tolist()) == pytest.approx([0, 0, 0, 0, 0, 0, 1, 3, 7, 15])
    assert (paper.frequencies.prod(-1) == 0).all()  # none off the axes
    assert paper.out_features == 16
    along, across = (paper.induced_kernel(torch.tensor(d)) for d in ([0.08, 0.0], [0.0566, 0.0566]))
    assert abs(along.item() - across.item()) > 0.3  # the diagonal is another direction


def test_gaussian_features_prefer_no_direction(device: torch.device) -> None:
    gamma = GaussianFeatures(2, 3.0, 40_000, torch.Generator().manual_seed(0)).to(device)
    for difference in ([0.08, 0.0], [0.0566, 0.0566], [0.0, -0.08]):
        kernel = gamma.induced_kernel(torch.tensor(difference, device=device)).item() / 40_000
        assert kernel == pytest.approx(math.exp(-2 * math.pi**2 * 9 * 0.0064), abs=0.015)
    again = GaussianFeatures(2, 3.0, 40_000, torch.Generator().manual_seed(0))
    assert torch.equal(again.frequencies, gamma.frequencies.cpu())
    assert gamma.frequencies.std().item() == pytest.approx(3.0, rel=0.01)


def test_basic_features_turn_once() -> None:
    v = torch.tensor([[0.25, 0.5]])
    assert BasicFeatures(2)(v).flatten().tolist() == pytest.approx([0.0, -1.0, 1.0, 0.0], abs=1e-6)
    assert BasicFeatures(3).out_features == 6


# ---- what is to be learned ----


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
    "frequencies": (lambda: FourierFeatures(torch.ones(3)), r"frequencies have shape \(3,\)"),
    "amplitudes": (lambda: FourierFeatures(torch.ones(3, 1), torch.ones(2)), r"amplitudes have shape \(2,\)"),
    "zero": (lambda: FourierFeatures(torch.ones(3, 1), torch.zeros(3)), "amplitudes are all zero"),
    "points": (lambda: BasicFeatures(2)(torch.ones(4, 3)), r"points have shape \(4, 3\); the last size must be 2"),
    "p": (lambda: PowerLawFeatures(-1.0), "p must be 0 or more"),
    "m": (lambda: PowerLawFeatures(1.0, 0), "m must be at least 1; got 0"),
    "definition": (lambda: PositionalEncoding(1, 4.0, 4, "nerf"), "definition is 'nerf'"),
    "sigma": (lambda: PositionalEncoding(1, 1.0, 4), "sigma must be above 1"),
    "few": (lambda: PositionalEncoding(1, 4.0, 1, "code"), "m must be at least 2; got 1"),
    "gaussian": (lambda: GaussianFeatures(2, 0.0), "sigma must be positive"),
    "dim": (lambda: BasicFeatures(0), "dim must be at least 1"),
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
