r"""Continuous normalizing flows: densities carried along an ODE, with the trace of its Jacobian in three ways.

Time runs from noise at 0 to data at 1, and along a trajectory

.. math:: \frac{d}{dt} \log p(z(t)) = -\operatorname{tr} \frac{\partial f}{\partial z}(t, z(t)) .
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from workings.neural_ode.gradients import Stats
from workings.neural_ode.odeint import odeint
from workings.typed import Count, Floats, Whole

VectorField = Callable[[Tensor, Tensor], Tensor]
TRACES = ("closed", "exact", "hutchinson")
NOISES = ("rademacher", "gaussian")


class MLPField(nn.Module):
    r"""A vector field by a tanh network of one or two hidden layers, with time as a further input of the first.

    .. math:: f(t, z) = W_3 \tanh(W_2 \tanh(W_1 z + w t + b_1) + b_2) + b_3

    Args:
        dim: the dimension d of z.
        hidden: the widths of the hidden layers, one or two.

    Raises:
        ValueError: for another number of hidden layers.

    """

    def __init__(self, dim: Whole, hidden: Sequence[int] = (64, 64)) -> None:
        super().__init__()
        if len(hidden) not in (1, 2):
            raise ValueError(f"hidden must hold one or two widths, as (64, 64) does; got {hidden!r}")
        sizes = (dim, *hidden, dim)
        self.layers: Any = nn.ModuleList(nn.Linear(m, n) for m, n in pairwise(sizes))
        bound = 1 / math.sqrt(dim + 1)
        self.time = nn.Parameter(torch.empty(hidden[0]).uniform_(-bound, bound))

    def _hidden(self, t: Tensor, z: Tensor) -> list[Tensor]:
        """Return the hidden layers' values, (..., width) each."""
        bias = torch.addcmul(self.layers[0].bias, self.time, t)
        values = [torch.tanh(linear(z, self.layers[0].weight, bias))]
        for layer in self.layers[1:-1]:
            values.append(torch.tanh(layer(values[-1])))
        return values

    def forward(self, t: Tensor, z: Floats) -> Tensor:
        """Return f(t, z), shape (..., d), for a 0-dim ``t`` and ``z`` of shape (..., d)."""
        return self.layers[-1](self._hidden(t, z)[-1])  # type: ignore[no-any-return]

    def divergence(self, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return f and the trace of its Jacobian in closed form, shapes (..., d) and (...).

        .. math::
            \operatorname{tr} \frac{\partial f}{\partial z}
            = \operatorname{tr} (W_3 D_2 W_2 D_1 W_1) = d_2^\top \big(W_2 \circ (W_1 W_3)^\top\big)\, d_1,
            \qquad d = 1 - \tanh^2 ,

        which costs one more matrix product for any d; with one hidden layer
        :math:`d_1 \cdot \operatorname{diag}(W_1 W_2)`.

        >>> field, t, z = MLPField(3, hidden=(8, 8)), torch.tensor(0.5), torch.ones(3)
        >>> J = torch.autograd.functional.jacobian(lambda z: field(t, z), z)
        >>> torch.allclose(field.divergence(t, z)[1], J.trace(), atol=1e-6)
        True

        """
        values = self._hidden(t, z)
        d = [1 - h * h for h in values]
        W = [layer.weight for layer in self.layers]
        loop = (W[0] @ W[-1]).T  # entry (l, k): from last hidden unit l through z to first hidden unit k
        trace = d[0] @ loop.diagonal() if len(d) == 1 else (linear(d[0], W[1] * loop) * d[1]).sum(-1)
        return self.layers[-1](values[-1]), trace


def exact_divergence(field: VectorField, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return f and the trace of its Jacobian by d vector-Jacobian products, :math:`\sum_i \partial f_i/\partial z_i`.

    Args:
        field: ``field(t, z)``, acting on each row of ``z`` by itself.
        t: 0-dim time.
        z: shape (..., d).

    Returns:
        f, shape (..., d), and the trace, (...), differentiable where gradients are enabled. A field that turns
        gradients off inside counts as constant.

    """
    units = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
    return _probed(field, t, z, list(units))


def hutchinson_divergence(field: VectorField, t: Tensor, z: Floats, noise: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return f and the estimate :math:`\epsilon^\top (\partial f/\partial z)\, \epsilon` of its Jacobian's trace.

    Args:
        field: ``field(t, z)``, acting on each row of ``z`` by itself.
        t: 0-dim time.
        z: shape (..., d).
        noise: :math:`\epsilon` with mean 0 and covariance 1, shaped like ``z``; see `trace_noise`.

    Returns:
        f, shape (..., d), and the estimate, (...), differentiable where gradients are enabled.

    """
    return _probed(field, t, z, [noise])


def _probed(field: VectorField, t: Tensor, z: Tensor, probes: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Return f and the sum over probes v of vᵀ J v."""
    differentiable = torch.is_grad_enabled()
    with torch.inference_mode(False), torch.enable_grad():
        t, z, *probes = (x.clone() if x.is_inference() else x for x in (t, z, *probes))
        z = z if z.requires_grad else z.detach().requires_grad_()
        f = field(t, z)
        trace = z.new_zeros(z.shape[:-1])
        for v in probes if f.requires_grad else ():
            v = v.expand_as(f)
            (product,) = torch.autograd.grad(
                f, z, v, retain_graph=True, create_graph=differentiable, allow_unused=True, materialize_grads=True
            )
            trace = trace + (product * v).sum(-1)
    return (f, trace) if differentiable else (f.detach(), trace.detach())


def trace_noise(kind: str, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Return noise of mean 0 and covariance 1, shaped like ``like``.

    Args:
        kind: "rademacher" (±1, the estimate of least variance) or "gaussian".
        like: gives shape, dtype and device.
        generator: draws on its own device; torch's default on ``like``'s device if None.

    Raises:
        ValueError: for another kind.

    """
    if kind not in NOISES:
        raise ValueError(f"noise must be one of {', '.join(NOISES)}; got {kind!r}")
    device = like.device if generator is None else generator.device
    if kind == "gaussian":
        return torch.randn(like.shape, dtype=like.dtype, device=device, generator=generator).to(like.device)
    signs = torch.randint(0, 2, like.shape, device=device, generator=generator)
    return (2 * signs - 1).to(like.device, like.dtype)


class _Dynamics(nn.Module):
    """The field of (z, -log p): a module, so that the field's parameters are known."""

    def __init__(self, field: VectorField, divergence: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.field, self.divergence = field, divergence

    def forward(self, t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return self.divergence(t, state[0])


class ContinuousFlow(nn.Module):
    r"""A density by a flow from standard normal noise at ``t0`` to data at ``t1``.

    .. math:: \log p(x) = \log \mathcal N(z(t_0); 0, 1) - \int_{t_0}^{t_1} \operatorname{tr}
        \frac{\partial f}{\partial z}(t, z(t))\, dt, \qquad z(t_1) = x

    Args:
        field: ``field(t, z)`` for ``z`` of shape (..., dim), acting on each row by itself.
        dim: the dimension of the data.
        trace: "closed" (the field's own ``divergence(t, z)``, as `MLPField` has it), "exact" (``dim`` vector-Jacobian
            products) or "hutchinson" (one product with noise drawn once a solve: unbiased for the integral).
        t0: the time of noise.
        t1: the time of data.
        noise: the kind of noise for "hutchinson", "rademacher" or "gaussian".
        gradient: as in `odeint`.
        rtol: relative tolerance.
        atol: absolute tolerance.
        method: as in `odeint`.
        options: as in `odeint`.

    Raises:
        ValueError: for an unknown trace or noise, or a field without ``divergence`` where "closed" needs it.

    >>> class Scale(nn.Module):
    ...     def forward(self, t, z):
    ...         return 0.5 * z
    >>> flow = ContinuousFlow(Scale(), dim=1, trace="exact")  # data: normal with standard deviation e^0.5
    >>> round(flow.log_prob(torch.tensor([1.3])).item(), 4)
    -1.7298

    """

    def __init__(
        self,
        field: VectorField,
        dim: Count,
        trace: str = "closed",
        *,
        t0: float = 0.0,
        t1: float = 1.0,
        noise: str = "rademacher",
        gradient: str = "discrete",
        rtol: float = 1e-5,
        atol: float = 1e-5,
        method: str = "dopri5",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if trace not in TRACES:
            raise ValueError(f"trace must be one of {', '.join(TRACES)}; got {trace!r}")
        if noise not in NOISES:
            raise ValueError(f"noise must be one of {', '.join(NOISES)}; got {noise!r}")
        if trace == "closed" and not hasattr(field, "divergence"):
            raise ValueError(
                "trace='closed' needs a field with a method divergence(t, z); or take 'exact' or 'hutchinson'"
            )
        self.field: Any = field
        self.dim, self.trace, self.noise = dim, trace, noise
        self.t0, self.t1 = t0, t1
        self.solver: dict[str, Any] = {"rtol": rtol, "atol": atol, "method": method, "options": options}
        self.gradient = gradient

    def log_prob(self, x: Floats, *, stats: Stats | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return log p(x) in nats.

        Args:
            x: data, shape (..., dim).
            stats: is reset and filled with what the solve cost.
            generator: for the noise of "hutchinson"; torch's default if None.

        Returns:
            Shape (...).

        Raises:
            ValueError: when the last dimension of ``x`` is not ``dim``.

        """
        if x.dim() == 0 or x.shape[-1] != self.dim:
            raise ValueError(f"x must have shape (..., {self.dim}); got {tuple(x.shape)}")
        dynamics = _Dynamics(self.field, self._divergence(x, generator))
        t = torch.tensor([self.t1, self.t0], dtype=x.dtype, device=x.device)
        start = (x, x.new_zeros(x.shape[:-1]))
        z, gain = odeint(dynamics, start, t, gradient=self.gradient, stats=stats, **self.solver)
        # from t1 back to t0 the integral of the trace has the sign that log p wants
        log_prob: Tensor = standard_normal_log_prob(z[-1]) + gain[-1]
        return log_prob

    def sample(self, shape: int | Sequence[int], *, generator: torch.Generator | None = None) -> Tensor:
        """Return draws without gradients, shape (..., dim) with the leading ``shape``.

        Args:
            shape: how many, or the leading shape.
            generator: draws on its own device; torch's default on the parameters' device if None.

        """
        like = next(self.parameters(), torch.zeros(()))
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        z0 = trace_noise("gaussian", like.new_empty((*shape, self.dim)), generator)
        t = torch.tensor([self.t0, self.t1], dtype=z0.dtype, device=z0.device)
        with torch.no_grad():
            z: Tensor = odeint(self.field, z0, t, **self.solver)
        return z[-1]

    def _divergence(
        self, x: Tensor, generator: torch.Generator | None
    ) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
        if self.trace == "closed":
            return self.field.divergence  # type: ignore[no-any-return]
        if self.trace == "exact":
            return lambda t, z: exact_divergence(self.field, t, z)
        noise = trace_noise(self.noise, x, generator)
        return lambda t, z: hutchinson_divergence(self.field, t, z, noise)


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """Return the log density of the standard normal in the last dimension: (..., d) to (...)."""
    return -0.5 * (z.square().sum(-1) + z.shape[-1] * math.log(2 * math.pi))
