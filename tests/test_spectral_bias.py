"""Kernel regression, against NumPy and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from workings.spectral_bias import gaussian_kernel, kernel_regression, regression_weights


def draw(*shape: int, seed: int = 0, device: torch.device | None = None) -> Tensor:
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x if device is None else x.to(device)


def test_regression_passes_through_the_labels_and_is_linear_in_them(device: torch.device) -> None:
    x, test, y = draw(7, 2, device=device), draw(4, 2, seed=1, device=device), draw(7, 3, seed=2, device=device)
    kernel, cross = gaussian_kernel(x), gaussian_kernel(test, x)
    torch.testing.assert_close(kernel_regression(kernel, kernel, y), y, atol=1e-8, rtol=0)
    expected = cross.cpu().numpy() @ np.linalg.inv(kernel.cpu().numpy()) @ y.cpu().numpy()
    np.testing.assert_allclose(kernel_regression(kernel, cross, y).cpu().numpy(), expected, atol=1e-8)
    shifted = cross.cpu().numpy() @ np.linalg.inv(kernel.cpu().numpy() + 0.3 * np.eye(7)) @ y.cpu().numpy()
    np.testing.assert_allclose(kernel_regression(kernel, cross, y, ridge=0.3).cpu().numpy(), shifted, atol=1e-10)


def test_weights_are_no_weighted_mean() -> None:
    """Some are negative and they do not sum to one (audit 06.C2)."""
    x = torch.tensor([[0.0], [0.4], [1.0]], dtype=torch.float64)
    weights = regression_weights(gaussian_kernel(x, width=0.5), gaussian_kernel(torch.tensor([[0.2]]).double(), x, 0.5))
    assert weights.shape == (1, 3)
    assert weights.min().item() < -0.01
    assert abs(weights.sum().item() - 1) > 0.01


def test_gaussian_kernel_by_hand() -> None:
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    assert gaussian_kernel(x, width=5.0)[0, 1].item() == pytest.approx(math.exp(-0.5))
    assert gaussian_kernel(x, x[:1]).shape == (2, 1)


def test_a_singular_kernel_is_refused() -> None:
    x = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    with pytest.raises(ValueError, match=r"not positive definite.*larger ridge"):
        kernel_regression(x @ x.T, x @ x.T, torch.ones(3).double())
    assert kernel_regression(x @ x.T, x @ x.T, torch.ones(3).double(), ridge=0.1).shape == (3,)


# ---- bad input ----

SQUARE = torch.eye(3)
BAD: dict[str, tuple[Any, str]] = {
    "width": (lambda: gaussian_kernel(SQUARE, width=0.0), "width must be positive; got 0"),
    "kernel": (lambda: kernel_regression(torch.ones(2, 3), SQUARE, torch.ones(3)), r"kernel has shape \(2, 3\)"),
    "cross": (lambda: regression_weights(SQUARE, torch.ones(2, 4)), r"cross has shape \(2, 4\).*3"),
    "ridge": (lambda: regression_weights(SQUARE, SQUARE, -1.0), "ridge must not be negative; got -1"),
    "y": (lambda: kernel_regression(SQUARE, SQUARE, torch.ones(4)), "y has 4 labels.*3 points"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()
