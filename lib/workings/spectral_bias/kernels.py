"""Kernel regression: the function that training a very wide network converges to, for the right kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from workings.typed import Floats


def gaussian_kernel(x: Tensor, other: Tensor | None = None, width: float = 1.0) -> Tensor:
    r"""Return the Gaussian kernel :math:`k(x, x') = e^{-\|x - x'\|^2 / 2 w^2}`.

    Args:
        x: points (n, d).
        other: points (m, d); ``x`` itself if None.
        width: w, in the unit of the points.

    Returns:
        The kernel matrix (n, m).

    Raises:
        ValueError: for a width that is not positive, or points that are no (n, d) and (m, d).

    >>> x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    >>> gaussian_kernel(x, width=0.5).round(decimals=4).tolist()
    [[1.0, 0.1353], [0.1353, 1.0]]

    """
    if not width > 0:
        raise ValueError(f"width must be positive; got {width}")
    columns = x if other is None else other
    paired(x, columns)
    difference = x[:, None] - columns[None]  # (n, m, d)
    return torch.exp(-difference.square().sum(-1) / (2 * width**2))


def regression_weights(kernel: Tensor, cross: Floats, ridge: float = 0.0) -> Tensor:
    r"""Return what each label counts in each prediction, :math:`K_{\text{test}} (K + \rho I)^{-1}`.

    They may be negative and need not sum to one: this is no weighted mean of the labels.

    Args:
        kernel: K, between training points, (n, n), symmetric.
        cross: K_test, between test and training points, (m, n).
        ridge: ρ, added to the diagonal. With 0 the kernel has to be strictly positive definite.

    Returns:
        The weights (m, n).

    Raises:
        ValueError: for shapes that do not fit, a negative ridge, or a matrix that is not positive definite; then a
            ridge helps, or the limit t → ∞ of `KernelDynamics`, which needs no inverse.

    >>> kernel = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    >>> regression_weights(kernel, torch.tensor([[1.0, 1.0]])).tolist()
    [[0.5, 0.25]]

    """
    square_matrix(kernel)
    if cross.dim() != 2 or cross.shape[1] != len(kernel):
        raise ValueError(f"cross has shape {tuple(cross.shape)}; it must be (m, {len(kernel)})")
    if not ridge >= 0:
        raise ValueError(f"ridge must not be negative; got {ridge}")
    shifted = kernel + ridge * torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
    factor, fault = torch.linalg.cholesky_ex(shifted)
    if int(fault):
        raise ValueError(f"kernel + {ridge:g} I is not positive definite, so it has no inverse; try a larger ridge")
    weights: Tensor = torch.cholesky_solve(cross.T, factor).T
    return weights


def kernel_regression(kernel: Tensor, cross: Floats, y: Floats, ridge: float = 0.0) -> Tensor:
    r"""Predict by kernel regression, :math:`\hat f(x) = \sum_i (K^{-1} y)_i\, k(x_i, x)` (equation 1 of the paper).

    Args:
        kernel: K, between training points, (n, n), symmetric.
        cross: K_test, between test and training points, (m, n).
        y: labels (n,) or (n, c).
        ridge: what to add to K's diagonal.

    Returns:
        Predictions (m,) or (m, c).

    Raises:
        ValueError: as `regression_weights`, and for labels of another number.

    >>> kernel = gaussian_kernel(torch.tensor([[0.0], [1.0]], dtype=torch.float64))
    >>> kernel_regression(kernel, kernel, torch.tensor([3.0, -1.0]).double()).round(decimals=4).tolist()
    [3.0, -1.0]

    """
    weights = regression_weights(kernel, cross, ridge)
    if len(y) != len(kernel):
        raise ValueError(f"y has {len(y)} labels; the kernel is between {len(kernel)} points")
    return weights @ y


def paired(x: Tensor, other: Tensor) -> None:
    """Raise ``ValueError`` unless ``x`` and ``other`` are points (n, d) and (m, d), of one d."""
    for name, points in (("x", x), ("other", other)):
        if points.dim() != 2 or points.shape[1] != x.shape[1]:
            raise ValueError(f"{name} has shape {tuple(points.shape)}; points are (n, d), with one d for both")


def square_matrix(kernel: Tensor) -> None:
    """Raise ``ValueError`` unless ``kernel`` is one square matrix."""
    if kernel.dim() != 2 or kernel.shape[0] != kernel.shape[1]:
        raise ValueError(f"kernel has shape {tuple(kernel.shape)}; it must be square, (n, n)")
