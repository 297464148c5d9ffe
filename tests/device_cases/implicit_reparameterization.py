"""Distributions with gradients on a device: samples, and their gradients to all parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from device_cases import On, slopes
from workings import implicit_reparameterization as ir


def law(make: Callable[..., Any], *parameters: float) -> Callable[[On], Any]:
    """Return samples, their gradients, densities, distribution functions and moments of one distribution."""

    def case(on: On) -> Any:
        p = [(value * (1 + 0.1 * on.uniform(3))).requires_grad_() for value in parameters]
        q = make(*p)
        z = q.rsample((4,), on.cpu)
        at = z.detach()
        found = [z, slopes(z, *p), q.log_prob(at), slopes(q.log_prob(at), *p), q.sample((2,), on.cpu), q.mean]
        return found if make is ir.Dirichlet else [*found, q.variance, q.cdf(at), slopes(q.cdf(at), *p)]

    return case


def dirichlet(on: On) -> Any:
    alpha = (1 + on.uniform(2, 3)).requires_grad_()
    z = ir.Dirichlet(alpha).rsample((4,), on.cpu)
    return z, slopes(z[..., 0], alpha)


def mixture(on: On) -> Any:
    logits, loc = on(3).requires_grad_(), on(3).requires_grad_()
    weights, hills = torch.distributions.Categorical(logits=logits), ir.Normal(loc, 0.7)
    z = ir.MixtureSameFamily(weights, hills).rsample((5,), on.cpu)
    return z, slopes(z, logits, loc)


def by_hand(on: On) -> Any:
    rate = (1 + on.uniform(3)).requires_grad_()
    z = on.uniform(3)
    both = ir.implicit(z, 1 - torch.exp(-rate * z), rate * torch.exp(-rate * z)), ir.moved(z, (rate, lambda: z / 2))
    return both, [slopes(one, rate) for one in both]


def wide(on: On, *ends: tuple[float, float]) -> list[Tensor]:
    """Return a grid of arguments, so that each branch of a special function is met."""
    return [grid.flatten() for grid in torch.meshgrid(
        *(on.values(torch.linspace(a, b, 9, dtype=torch.float64).exp().tolist()) for a, b in ends), indexing="ij"
    )]  # fmt: skip


def of_student(on: On) -> Any:
    df, t = wide(on, (-2, 6), (-3, 3))
    return ir.student_gradient(df, t), ir.student_gradient(df, -t)


def of_beta(on: On) -> Any:
    a, b, z = wide(on, (-2, 5), (-2, 5), (-4, -0.01))
    return ir.beta_gradient(a, b, z)


def of_rice(on: On) -> Any:
    a, b = wide(on, (-4, 4), (-4, 4))
    return ir.marcum_q(a, b), ir.marcum_q(a, b, complement=True)


CASES = {
    "Beta": law(ir.Beta, 1.3, 2.1),
    "Dirichlet": dirichlet,
    "Gamma": law(ir.Gamma, 1.3, 2.1),
    "Implicit Normal": law(ir.Normal, 0.4, 1.2),
    "MixtureSameFamily": mixture,
    "Rice": law(ir.Rice, 1.1, 0.7),
    "StudentT": law(ir.StudentT, 5.1, 0.3, 1.2),
    "TruncatedNormal": law(ir.TruncatedNormal, 0.3, 1.2, -0.5, 1.4),
    "VonMises": law(ir.VonMises, 0.3, 1.7),
    "bessel_gap": lambda on: ir.bessel_gap(*wide(on, (-5, 6))),
    "beta_gradient": of_beta,
    "gamma_gradient": lambda on: ir.gamma_gradient(*wide(on, (-3, 8), (-4, 8))),
    "implicit moved": by_hand,
    "marcum_q": of_rice,
    "student_gradient": of_student,
    "von_mises_gradient": lambda on: ir.von_mises_gradient(*wide(on, (-4, 7), (-6, 1.1))),
}
CPU_ONLY: set[str] = set()
