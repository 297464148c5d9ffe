"""The Rice distribution: the length of a two-dimensional normal vector."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.utils import broadcast_all

from workings.implicit_reparameterization.implicit import Implicit, Shape, moved, normal
from workings.implicit_reparameterization.special import bessel_gap, marcum_q
from workings.typed import Floats


class Rice(Implicit):
    r"""The Rice distribution on [0, ∞).

    .. math:: q(x) = \frac{x}{\sigma^2}\,e^{-(x^2 + \nu^2)/2\sigma^2}\,I_0\Bigl(\frac{x\nu}{\sigma^2}\Bigr)

    It is the law of the length of a vector of two normal numbers of deviation σ, whose mean has length ν. The gradient
    needs no Marcum function: :math:`\partial x/\partial\nu = I_1(w)/I_0(w) =: r` and
    :math:`\partial x/\partial\sigma = (x - \nu r)/\sigma` at :math:`w = x\nu/\sigma^2`.

    Args:
        nu: ν, not negative; 0 is the Rayleigh distribution.
        sigma: σ, positive.
        validate_args: check arguments and values.

    >>> nu = torch.tensor(1.0, requires_grad=True)
    >>> x = Rice(nu, 1.0).rsample((10_000,), torch.Generator().manual_seed(0))
    >>> (gradient,) = torch.autograd.grad(x.square().mean(), nu)
    >>> abs(gradient.item() - 2) < 0.05  # d/dν of ν² + 2σ²
    True

    """

    arg_constraints = {"nu": constraints.nonnegative, "sigma": constraints.positive}  # noqa: RUF012
    support = constraints.nonnegative

    def __init__(self, nu: Floats | float, sigma: Tensor | float, validate_args: bool | None = None) -> None:
        self.nu, self.sigma = broadcast_all(nu, sigma)
        super().__init__(self.nu.shape, validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Rice | None = None) -> Rice:
        """Return the distribution with a larger batch shape."""
        new: Rice = self._get_checked_instance(Rice, _instance)
        new.nu, new.sigma = self.nu.expand(batch_shape), self.sigma.expand(batch_shape)
        super(Rice, new).__init__(torch.Size(batch_shape), validate_args=False)
        new._validate_args = self._validate_args
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density."""
        if self._validate_args:
            self._validate_sample(value)
        w = value * self.nu / self.sigma.square()
        square = ((value - self.nu) / self.sigma).square() / 2
        return torch.log(value) - 2 * torch.log(self.sigma) - square + torch.log(torch.special.i0e(w))

    def cdf(self, value: Tensor) -> Tensor:
        r"""Return :math:`1 - Q_1(\nu/\sigma, x/\sigma)`, accurate where it is tiny; `marcum_q` gives the complement."""
        if self._validate_args:
            self._validate_sample(value)
        return marcum_q(self.nu / self.sigma, value / self.sigma, complement=True)

    def rsample(self, sample_shape: Shape = (), generator: torch.Generator | None = None) -> Tensor:
        """Return a sample with gradients to ν and σ."""
        shape = self._extended_shape(torch.Size(sample_shape))
        nu, sigma = self.nu.expand(shape), self.sigma.expand(shape)
        e1, e2 = normal((2, *shape), nu, generator)
        x = torch.hypot(nu.detach() + sigma.detach() * e1, sigma.detach() * e2)
        x = x.clamp(min=torch.finfo(x.dtype).tiny)
        v, s, at = nu.detach().double(), sigma.detach().double(), x.double()
        gap = bessel_gap(at * v / s**2)
        # x - ν r as (x - ν) + ν (1 - r)
        return moved(x, (nu, lambda: 1 - gap), (sigma, lambda: ((at - v) + v * gap) / s))

    @property
    def mean(self) -> Tensor:
        r"""The mean, :math:`\sigma\sqrt{\pi/2}\,L_{1/2}(-\nu^2/2\sigma^2)`."""
        return self.sigma * self._standard_mean()

    @property
    def variance(self) -> Tensor:
        r"""The variance, :math:`2\sigma^2 + \nu^2` less the square of the mean, without cancellation for large ν."""
        a, mean = self.nu / self.sigma, self._standard_mean()
        v = 1 / a.clamp(min=FAR).square()
        e = torch.stack([c * v**k for k, c in enumerate(MEAN_TERMS, 1)]).sum(0)
        far = 2 - (2 * e + e.square()) / v
        return self.sigma.square() * torch.where(a < FAR, 2 + a.square() - mean.square(), far)

    def _standard_mean(self) -> Tensor:
        y = (self.nu / self.sigma).square() / 4
        i0, i1 = torch.special.i0e(y), torch.special.i1e(y)
        mean: Tensor = math.sqrt(math.pi / 2) * ((1 + 2 * y) * i0 + 2 * y * i1)
        return mean


FAR = 30.0
# the mean over ν is 1 + Σ c_k (σ/ν)^2k
MEAN_TERMS = [1 / 2, 1 / 8, 3 / 16, 75 / 128]
