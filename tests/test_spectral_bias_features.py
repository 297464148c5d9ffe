"""Feature maps against their formulas, and the kernels that they induce against Fourier transforms and means."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from workings.spectral_bias import (
    BasicFeatures,
    FourierFeatures,
    GaussianFeatures,
    PositionalEncoding,
    PowerLawFeatures,
)


def f64(values: Any, device: torch.device) -> Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float64), device=device)


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def close(found: Tensor, expected: Any, atol: float = 1e-12) -> None:
    if not isinstance(expected, Tensor):
        expected = torch.as_tensor(np.asarray(expected), dtype=found.dtype)
    torch.testing.assert_close(found.cpu(), expected.cpu(), atol=atol, rtol=0)


def grid(n: int, device: torch.device) -> Tensor:
    return torch.arange(n, dtype=torch.float64, device=device)[:, None] / n


# ---- the map and its kernel ----


def test_features_entry_by_entry(device: torch.device) -> None:
    """Equation 5: cosines, then sines, each with its amplitude, of 2π b · v."""
    b, a = f64([[1.0, 0.0], [0.5, 2.0], [-3.0, 1.0]], device), f64([1.0, 2.0, 0.5], device)
    features, v = FourierFeatures(b, a), torch.rand(4, 5, 2, generator=drawn(0), dtype=torch.float64).to(device)
    found = features(v)
    assert features.out_features == 6
    assert found.shape == (4, 5, 6)
    for j in range(3):
        phase = 2 * math.pi * (b[j, 0] * v[..., 0] + b[j, 1] * v[..., 1])
        close(found[..., j], a[j] * torch.cos(phase))
        close(found[..., 3 + j], a[j] * torch.sin(phase))
    close(FourierFeatures(b)(v)[..., 1], torch.cos(2 * math.pi * (0.5 * v[..., 0] + 2 * v[..., 1])))
    close(features(v[0, 0]), found[0, 0], atol=1e-14)


def test_inner_products_are_the_induced_kernel(device: torch.device) -> None:
    """Of the difference alone; and even in it."""
    frequencies = GaussianFeatures(3, 1.5, 20, drawn(1)).double().frequencies
    features = FourierFeatures(frequencies, torch.rand(20, generator=drawn(2), dtype=torch.float64)).to(device)
    v = torch.rand(6, 3, generator=drawn(3), dtype=torch.float64).to(device)
    difference = v[:, None] - v[None]
    kernel = features.induced_kernel(difference)
    assert kernel.shape == (6, 6)
    close(features(v) @ features(v).T, kernel)
    close(features.induced_kernel(-difference), kernel, atol=1e-14)
    close(features(v + 0.37) @ features(v + 0.37).T, kernel)
    cosines = features(v)[:, :20] @ features(v)[:, :20].T
    assert (features(v + 0.37)[:, :20] @ features(v + 0.37)[:, :20].T - cosines).abs().max() > 0.3


def test_squared_amplitudes_are_the_coefficients_of_the_kernel(device: torch.device) -> None:
    """Not the amplitudes: (1, 2, ½) makes a kernel with (1, 4, ¼)."""
    features = FourierFeatures(f64([[1.0], [2.0], [3.0]], device), f64([1.0, 2.0, 0.5], device))
    kernel = features.induced_kernel(grid(64, device))
    spectrum = torch.fft.fft(kernel) / 64
    close(2 * spectrum.real[1:4], [1.0, 4.0, 0.25], atol=1e-13)
    assert spectrum.imag.abs().max() < 1e-13
    assert spectrum[4:61].abs().max() < 1e-13
    assert kernel[0].item() == pytest.approx(5.25)


def test_normalized_images_have_norm_one(device: torch.device) -> None:
    b, a = f64([[1.0], [2.0]], device), f64([3.0, 4.0], device)
    features = FourierFeatures(b, a, normalize=True)
    close(features.amplitudes, [0.6, 0.8])
    close(features(grid(7, device)).norm(dim=-1), torch.ones(7).double())
    assert features.induced_kernel(torch.zeros(1, dtype=torch.float64, device=device)).item() == pytest.approx(1)
    close(FourierFeatures(b, a)(grid(7, device)).norm(dim=-1), torch.full((7,), 5.0).double())
    close(FourierFeatures(b, normalize=True).amplitudes, [0.5**0.5] * 2)


def test_frequencies_make_the_width_and_not_their_number(device: torch.device) -> None:
    """One of 50 cycles makes a narrower kernel than ten of 1 … 10: half of the maximum at .0033 and .0279."""
    at = torch.linspace(0, 0.05, 50_001, dtype=torch.float64, device=device)[:, None]

    def half_width(b: Tensor) -> float:
        kernel = FourierFeatures(b).induced_kernel(at)
        return float(at[int((kernel < kernel[0] / 2).nonzero()[0])])

    assert half_width(f64([[50.0]], device)) == pytest.approx(1 / 300, abs=2e-6)
    assert half_width(f64(np.arange(1.0, 11.0)[:, None], device)) == pytest.approx(0.0279, abs=5e-5)


def test_features_are_no_parameters_but_are_saved_and_moved() -> None:
    features = GaussianFeatures(2, 1.0, 3, drawn(0))
    assert list(features.parameters()) == []
    assert set(features.state_dict()) == {"frequencies", "amplitudes"}
    other = GaussianFeatures(2, 1.0, 3, drawn(1))
    other.load_state_dict(features.state_dict())
    v = torch.rand(5, 2)
    assert torch.equal(other(v), features(v))
    assert features(v).dtype == torch.float32
    assert features.double()(v.double()).dtype == torch.float64
    assert FourierFeatures(torch.ones(1, 1, dtype=torch.float64))(v[:, :1].double()).dtype == torch.float64


def test_features_that_cannot_be() -> None:
    for b in (torch.ones(3), torch.ones(0, 2), torch.ones(2, 0), torch.ones(1, 1, 1)):
        with pytest.raises(ValueError, match="frequencies have shape"):
            FourierFeatures(b)
    for a in (torch.ones(3), torch.ones(2, 1), torch.ones(())):
        with pytest.raises(ValueError, match="amplitudes have shape"):
            FourierFeatures(torch.ones(2, 1), a)
    with pytest.raises(ValueError, match="amplitudes are all zero"):
        FourierFeatures(torch.ones(2, 1), torch.zeros(2))
    for v in (torch.ones(4, 1), torch.ones(3)):
        with pytest.raises(ValueError, match="the last size must be 2"):
            FourierFeatures(torch.ones(1, 2))(v)


# ---- one turn, and a power law ----


def test_basic_features_turn_once_along_each_axis(device: torch.device) -> None:
    v = torch.rand(5, 3, generator=drawn(4), dtype=torch.float64).to(device)
    expected = torch.cat([torch.cos(2 * math.pi * v), torch.sin(2 * math.pi * v)], 1)
    close(BasicFeatures(3).double().to(device)(v), expected)
    with pytest.raises(ValueError, match="dim must be at least 1; got 0"):
        BasicFeatures(0)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 2.0, 4.0])
def test_amplitudes_of_the_power_law(p: float) -> None:
    features = PowerLawFeatures(p, 64).double()
    assert features.frequencies.flatten().tolist() == list(range(1, 65))
    assert features.amplitudes.tolist() == pytest.approx([j**-p for j in range(1, 65)], rel=1e-6)
    wide = {0.0: 64, 0.5: 64, 1.0: 64, 2.0: 9, 4.0: 3}  # a smaller p, a wider band
    assert int((features.amplitudes > 0.01).sum()) == wide[p]
    one = PowerLawFeatures(p, 64, normalize=True)
    assert one.amplitudes.norm().item() == pytest.approx(1)
    assert (one.amplitudes / one.amplitudes[0]).tolist() == pytest.approx(features.amplitudes.tolist(), rel=1e-5)
    assert len(PowerLawFeatures(p).frequencies) == 16


def test_without_an_end_the_power_law_is_the_basic_map(device: torch.device) -> None:
    v = grid(9, device)
    for p, atol in ((math.inf, 1e-14), (200.0, 1e-12)):
        found = PowerLawFeatures(p, 5).double().to(device)(v)
        close(found[:, [0, 5]], BasicFeatures(1).double().to(device)(v), atol=1e-14)
        assert found[:, [1, 2, 3, 4, 6, 7, 8, 9]].abs().max() <= atol


def test_harmonics_do_not_span_the_functions_on_the_grid(device: torch.device) -> None:
    """Eight features on eight points of rank 7: the constant is missing, and the last sine vanishes there."""
    features = PowerLawFeatures(0.0, 4).double().to(device)(grid(8, device))
    assert features.shape == (8, 8)
    assert int(torch.linalg.matrix_rank(features, rtol=1e-10)) == 7
    assert features[:, 7].abs().max() < 1e-14
    constant = np.ones(8)
    solution = np.linalg.lstsq(features.cpu().numpy(), constant, rcond=1e-10)[0]
    assert np.linalg.norm(constant - features.cpu().numpy() @ solution) == pytest.approx(math.sqrt(8))
    with_constant = torch.cat((features, torch.ones(8, 1, dtype=torch.float64, device=device)), 1)
    assert int(torch.linalg.matrix_rank(with_constant, rtol=1e-10)) == 8


def test_power_laws_that_cannot_be() -> None:
    for p in (-0.5, math.nan):
        with pytest.raises(ValueError, match="p must be 0 or more, or infinity"):
            PowerLawFeatures(p)
    with pytest.raises(ValueError, match="m must be at least 1; got 0"):
        PowerLawFeatures(1.0, 0)


# ---- positional encoding ----


def test_positional_frequencies_of_the_paper_and_of_its_code() -> None:
    """1, 2, 4, 8 for σ = 16 and four of them: the scale itself is not reached. The code starts at 0, one below it."""
    assert PositionalEncoding(1, 16.0, 4).frequencies.flatten().tolist() == [1.0, 2.0, 4.0, 8.0]
    assert PositionalEncoding(1, 16.0, 1).frequencies.flatten().tolist() == [1.0]
    b = PositionalEncoding(1, 2.0**6, 256, "code").frequencies.flatten()
    np.testing.assert_allclose(b, 2 ** np.linspace(0, 6, 256) - 1, rtol=1e-6, atol=1e-7)
    assert (b[0].item(), b[-1].item()) == (0.0, 63.0)
    paper = PositionalEncoding(1, 2.0**6, 256).frequencies.flatten()
    np.testing.assert_allclose(paper, 2.0 ** (6 * np.arange(256) / 256), rtol=1e-6)


@pytest.mark.parametrize("definition", ["paper", "code"])
def test_positional_frequencies_lie_on_the_axes(definition: str) -> None:
    one, b = PositionalEncoding(1, 9.0, 5, definition), PositionalEncoding(3, 9.0, 5, definition)
    assert b.frequencies.shape == (15, 3)
    assert b.out_features == 30
    assert ((b.frequencies != 0).sum(1) <= 1).all()
    assert b.frequencies.dtype == torch.float32
    for axis in range(3):
        assert b.frequencies[axis::3, axis].tolist() == one.frequencies.flatten().tolist()


def test_positional_kernels_prefer_the_axes_and_gaussian_ones_do_not(device: torch.device) -> None:
    """At the same distance along an axis and on the diagonal."""
    axis, diagonal = f64([0.08, 0.0], device), f64([0.08 / math.sqrt(2)] * 2, device)
    encoding = PositionalEncoding(2, 16.0, 4).double().to(device)
    expected = [
        sum(math.cos(2 * math.pi * b * x) for b in (1, 2, 4, 8) for x in point.tolist()) for point in (axis, diagonal)
    ]
    found = [encoding.induced_kernel(point).item() for point in (axis, diagonal)]
    assert found == pytest.approx(expected, abs=1e-12)
    assert abs(found[0] - found[1]) > 0.5
    gaussian = GaussianFeatures(2, 2.0, 200_000, drawn(5)).double().to(device)
    means = [gaussian.induced_kernel(point).item() / 200_000 for point in (axis, diagonal)]
    assert means == pytest.approx([math.exp(-2 * math.pi**2 * 4 * 0.08**2)] * 2, abs=0.005)


def test_positional_encodings_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="definition is 'nerf'"):
        PositionalEncoding(2, 4.0, 3, "nerf")
    for sigma in (1.0, 0.0, -2.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="sigma must be above 1"):
            PositionalEncoding(2, sigma, 3)
    for m, definition, least in ((0, "paper", 1), (1, "code", 2)):
        with pytest.raises(ValueError, match=f"m must be at least {least}; got {m}"):
            PositionalEncoding(2, 4.0, m, definition)
    with pytest.raises(ValueError, match="dim must be at least 1"):
        PositionalEncoding(0, 4.0, 3)


# ---- Gaussian frequencies ----


@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_gaussian_features_induce_a_gaussian_kernel(sigma: float, device: torch.device) -> None:
    """In the mean over many frequencies, e^{−2π²σ²r²}, within five standard errors (a cosine's variance is below ½)."""
    features, m = GaussianFeatures(3, sigma, 100_000, drawn(6)).to(device), 100_000
    for r in (0.02, 0.1, 0.25):
        direction = torch.tensor([1.0, -2.0, 2.0], device=device) / 3
        mean = features.induced_kernel(r * direction).item() / m
        assert mean == pytest.approx(math.exp(-2 * math.pi**2 * sigma**2 * r**2), abs=5 * math.sqrt(0.5 / m))


def test_gaussian_frequencies_are_drawn_as_asked() -> None:
    features = GaussianFeatures(2, 10.0, 50_000, drawn(7))
    b = features.frequencies
    assert b.shape == (50_000, 2)
    assert b.std(0).tolist() == pytest.approx([10.0] * 2, rel=0.02)
    assert b.mean(0).tolist() == pytest.approx([0.0] * 2, abs=0.25)
    assert abs(float((b[:, 0] * b[:, 1]).mean())) < 2.5
    assert features.amplitudes.unique().tolist() == [1.0]
    assert torch.equal(
        GaussianFeatures(2, 10.0, 5, drawn(8)).frequencies, GaussianFeatures(2, 10.0, 5, drawn(8)).frequencies
    )
    assert not torch.equal(
        GaussianFeatures(2, 1.0, 5, drawn(8)).frequencies, GaussianFeatures(2, 1.0, 5, drawn(9)).frequencies
    )
    assert GaussianFeatures(2, 1.0).out_features == 512


def test_gaussian_features_that_cannot_be() -> None:
    for sigma in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="sigma must be positive and finite"):
            GaussianFeatures(2, sigma)
    with pytest.raises(ValueError, match="m must be at least 1"):
        GaussianFeatures(2, 1.0, 0)
    with pytest.raises(ValueError, match="dim must be at least 1"):
        GaussianFeatures(0, 1.0)
