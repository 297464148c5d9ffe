"""Fourier feature maps: modules that lift coordinates to cosines and sines, and the kernels that they induce."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from workings.typed import Floats


class FourierFeatures(nn.Module):
    r"""Map v to :math:`\gamma(v) = [a_j \cos 2\pi b_j\cdot v,\; a_j \sin 2\pi b_j\cdot v]_{j=1}^m` (equation 5).

    The cosines come first, then the sines. An inner product of two images depends on the difference of the points only:
    see `induced_kernel`. Nothing here is trained.

    Args:
        frequencies: b, cycles a unit of length, (m, d).
        amplitudes: a, (m,); all ones if None.
        normalize: divide by the norm of a, so that every image has norm one, as the paper's code does.

    Raises:
        ValueError: for frequencies that are no (m, d), amplitudes of another number, or all zero.

    >>> features = FourierFeatures(torch.tensor([[1.0], [2.0]]), amplitudes=torch.tensor([1.0, 0.5]))
    >>> features(torch.tensor([[0.25]])).round(decimals=4).add(0.0).tolist()
    [[0.0, -0.5, 1.0, 0.0]]

    """

    frequencies: Tensor
    amplitudes: Tensor

    def __init__(self, frequencies: Floats, amplitudes: Tensor | None = None, normalize: bool = False) -> None:
        super().__init__()
        if frequencies.dim() != 2 or not frequencies.numel():
            raise ValueError(f"frequencies have shape {tuple(frequencies.shape)}; needed is (m, d) with m ≥ 1")
        a = torch.ones(len(frequencies)).to(frequencies) if amplitudes is None else amplitudes
        if a.shape != frequencies.shape[:1]:
            raise ValueError(f"amplitudes have shape {tuple(a.shape)}; there are {len(frequencies)} frequencies")
        if not bool((a != 0).any()):
            raise ValueError("amplitudes are all zero: nothing would be left of the input")
        self.register_buffer("frequencies", frequencies)
        self.register_buffer("amplitudes", a / a.norm() if normalize else a)

    @property
    def out_features(self) -> int:
        """How many features there are: 2 m."""
        return 2 * len(self.frequencies)

    def forward(self, v: Floats) -> Tensor:
        """Return the features (..., 2 m) of points (..., d).

        Raises ``ValueError`` for points of another dimension.
        """
        if v.shape[-1] != self.frequencies.shape[1]:
            raise ValueError(f"points have shape {tuple(v.shape)}; the last size must be {self.frequencies.shape[1]}")
        phase = 2 * math.pi * (v @ self.frequencies.T)  # (..., m)
        return torch.cat((self.amplitudes * torch.cos(phase), self.amplitudes * torch.sin(phase)), -1)

    def induced_kernel(self, difference: Floats) -> Tensor:
        r"""Return :math:`\gamma(v)\cdot\gamma(v') = \sum_j a_j^2 \cos 2\pi b_j\cdot(v - v')` for v − v', (..., d)."""
        return torch.cos(2 * math.pi * (difference @ self.frequencies.T)) @ self.amplitudes.square()


class BasicFeatures(FourierFeatures):
    r"""One turn along each axis: :math:`\gamma(v) = [\cos 2\pi v, \sin 2\pi v]`, the paper's "basic" mapping.

    Args:
        dim: d.

    >>> BasicFeatures(2)(torch.tensor([0.0, 0.5])).round(decimals=4).tolist()
    [1.0, -1.0, 0.0, -0.0]

    """

    def __init__(self, dim: int) -> None:
        super().__init__(torch.eye(at_least("dim", dim, 1)))


class PowerLawFeatures(FourierFeatures):
    r"""All harmonics up to m on the line, of amplitudes :math:`a_j = j^{-p}`.

    A small p keeps high frequencies, a large one suppresses them; p = ∞ leaves the first harmonic alone. There is no
    constant among them: for n points and m = n/2 they span the functions on the grid only together with a bias.

    Args:
        p: the power; not negative, ``math.inf`` allowed.
        m: how many harmonics.
        normalize: as in `FourierFeatures`.

    Raises:
        ValueError: for a negative or undefined p, or fewer harmonics than one.

    >>> PowerLawFeatures(2.0, 2).amplitudes.tolist()
    [1.0, 0.25]

    """

    def __init__(self, p: float, m: int = 16, normalize: bool = False) -> None:
        if not p >= 0:
            raise ValueError(f"p must be 0 or more, or infinity; got {p}")
        j = torch.arange(1, at_least("m", m, 1) + 1, dtype=torch.get_default_dtype())
        super().__init__(j[:, None], j**-p, normalize)


class PositionalEncoding(FourierFeatures):
    r"""Frequencies along the axes only, spaced evenly in their logarithm.

    Two definitions go by this name. With σ the scale and j = 0 … m − 1,

    - ``"paper"`` (section 6.1): :math:`\sigma^{j/m}`, from 1 to a little below σ;
    - ``"code"`` (released with it): :math:`\sigma^{j/(m-1)} - 1`, from 0 to σ − 1.

    The scales in the paper's tables, written :math:`\sigma_p = \log_2 \sigma`, belong to the second.

    Args:
        dim: d; each axis gets its own m frequencies.
        sigma: σ, the scale.
        m: frequencies an axis.
        definition: ``"paper"`` or ``"code"``.

    Raises:
        ValueError: for another definition, σ ≤ 1, or m too small (1 for the paper's, 2 for the code's).

    >>> PositionalEncoding(1, 16.0, 4).frequencies.flatten().tolist()
    [1.0, 2.0, 4.0, 8.0]
    >>> PositionalEncoding(1, 8.0, 4, "code").frequencies.flatten().tolist()
    [0.0, 1.0, 3.0, 7.0]

    """

    def __init__(self, dim: int, sigma: float, m: int, definition: str = "paper") -> None:
        if definition not in ("paper", "code"):
            raise ValueError(f"definition is {definition!r}; it can be 'paper' or 'code'")
        if not 1 < sigma < math.inf:
            raise ValueError(f"sigma must be above 1 and finite; got {sigma}")
        j = torch.arange(at_least("m", m, 1 if definition == "paper" else 2), dtype=torch.float64)
        along = sigma ** (j / m) if definition == "paper" else sigma ** (j / (m - 1)) - 1
        axes = torch.eye(at_least("dim", dim, 1), dtype=torch.float64)
        frequencies = (along[:, None, None] * axes).reshape(-1, dim)  # (m d, d)
        super().__init__(frequencies.to(torch.get_default_dtype()))


class GaussianFeatures(FourierFeatures):
    r"""Frequencies drawn from :math:`\mathcal{N}(0, \sigma^2 I)`: no direction is preferred.

    The induced kernel, over m and in the mean, is :math:`e^{-2\pi^2\sigma^2\|v - v'\|^2}`.

    Args:
        dim: d.
        sigma: σ, in cycles a unit of length.
        m: how many frequencies.
        generator: a CPU generator; torch's default if None.

    Raises:
        ValueError: for a σ that is not positive, or fewer frequencies than one.

    >>> GaussianFeatures(2, 10.0, 64)(torch.rand(5, 2)).shape
    torch.Size([5, 128])

    """

    def __init__(self, dim: int, sigma: float, m: int = 256, generator: torch.Generator | None = None) -> None:
        if not 0 < sigma < math.inf:
            raise ValueError(f"sigma must be positive and finite; got {sigma}")
        super().__init__(sigma * torch.randn(at_least("m", m, 1), at_least("dim", dim, 1), generator=generator))


def at_least(name: str, value: int, least: int) -> int:
    """Return ``value``, or raise ``ValueError`` when it is below ``least``."""
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}")
    return value
