"""Kernel regression and the tangent kernels of networks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy import integrate, stats
from torch import Tensor
from torch.func import functional_call

from workings.book.ledger import verifies
from workings.checks.spectral_bias.oracle import TEST, X, Y, gaussian, largest, tensor
from workings.spectral_bias import MLP, arc_cosine, empirical_ntk, kernel_regression, relu_ntk


@verifies(
    "spectral_bias:regression",
    tex=r"\hat f(x) = \sum_{i=1}^n \bigl(K^{-1} y\bigr)_i\,k(x_i, x)",
    tolerance=1e-9,
    wrong={"with K for its inverse": {"inverse": False}, "as a weighted mean": {"mean": True}},
)
def regression(device: torch.device, inverse: bool = True, mean: bool = False) -> float:
    """Solve for the function of the span of k(x_i, ·) that passes through the labels."""
    kernel, cross = gaussian(X, X), gaussian(TEST, X)
    ours = kernel_regression(tensor(kernel, device), tensor(cross, device), tensor(Y, device))
    true = cross @ (np.linalg.solve(kernel, Y) if inverse else kernel @ Y)
    if mean:
        true = (cross / cross.sum(1, keepdims=True)) @ Y
    through = kernel_regression(tensor(kernel, device), tensor(kernel, device), tensor(Y, device))
    return largest(ours.cpu().numpy() - true, through.cpu().numpy() - Y)


@verifies(
    "spectral_bias:tangent-kernel",
    tex=r"""\Theta(x, x') = \Bigl\langle \frac{\partial f(x; \theta)}{\partial\theta},\,
    \frac{\partial f(x'; \theta)}{\partial\theta} \Bigr\rangle""",
    tolerance=1e-9,
    wrong={"without the biases": {"biases": False}, "as a cosine": {"cosine": True}},
    kind="definition",
)
def tangent_kernel(device: torch.device, biases: bool = True, cosine: bool = False) -> float:
    """Autograd's gradient of each output, one after the other, against the library's contraction."""
    net = MLP(2, (5, 4), generator=torch.Generator().manual_seed(0)).double().to(device)
    x, used = tensor(X, device), [p for name, p in net.named_parameters() if biases or not name.endswith("bias")]
    rows = [torch.cat([g.flatten() for g in torch.autograd.grad(net(one[None])[0, 0], used)]) for one in x]
    jacobian = torch.stack(rows)
    if cosine:
        jacobian = jacobian / jacobian.norm(dim=1, keepdim=True)
    return largest(empirical_ntk(net, x) - jacobian @ jacobian.T)


@verifies(
    "spectral_bias:contraction",
    tex=r"\Theta(x, x') = \sum_\ell \bigl(g_\ell \cdot g_\ell'\bigr)\,\bigl(a_\ell \cdot a_\ell' + 1\bigr)",
    tolerance=1e-9,
    wrong={"without the one of the bias": {"one": 0.0}, "with the outer products summed first": {"first": True}},
)
def contraction(device: torch.device, one: float = 1.0, first: bool = False) -> float:
    """Work out inputs and slopes of each layer by hand, for two hidden layers; compare with autograd's Jacobian."""
    net = MLP(2, (5, 4), generator=torch.Generator().manual_seed(0)).double().to(device)
    x = tensor(X, device)
    rows = [
        torch.cat([g.flatten() for g in torch.autograd.grad(net(v[None])[0, 0], list(net.parameters()))]) for v in x
    ]
    w1, w2, w3 = (p.detach() for p in net.parameters() if p.dim() == 2)
    h1, h2 = x @ w1.T, torch.relu(x @ w1.T) @ w2.T
    g3 = torch.ones(len(x), 1).to(x)
    g2 = (g3 @ w3) * (h2 > 0)
    g1 = (g2 @ w2) * (h1 > 0)
    inputs, slopes = (x, torch.relu(h1), torch.relu(h2)), (g1, g2, g3)
    gram = [g @ g.T for g in slopes], [a @ a.T + one for a in inputs]
    if first:
        total = torch.stack(gram[0]).sum(0) * torch.stack(gram[1]).sum(0)
    else:
        total = (torch.stack(gram[0]) * torch.stack(gram[1])).sum(0)
    return largest(total - torch.stack(rows) @ torch.stack(rows).T)


@verifies(
    "spectral_bias:arc-cosine",
    tex=r"""\begin{aligned}
M = \mathbb{E}\bigl[u_+ v_+\bigr] &= \frac{\sqrt{s s'}}{2\pi}\bigl(\sin\vartheta \\
    &\qquad + (\pi - \vartheta)\cos\vartheta\bigr), \\
    D = \mathbb{E}\bigl[1_{u>0}\,1_{v>0}\bigr] &= \frac{\pi - \vartheta}{2\pi}
    \end{aligned}""",
    tolerance=1e-6,
    wrong={"without the half of 2π": {"factor": 2.0}, "with ϑ for π - ϑ": {"other": True}},
)
def arc_cosines(device: torch.device, factor: float = 1.0, other: bool = False) -> float:
    """Both moments by quadrature: given u, v is normal, and its part above zero has a closed mean."""
    s, t, angle = 1.3, 0.7, 1.1
    c, given = math.sqrt(s * t) * math.cos(angle), math.sqrt(t) * math.sin(angle)

    def above(u: float, power: int) -> float:
        mean = c / s * u
        level = stats.norm.cdf(mean / given)
        inner = mean * level + given * stats.norm.pdf(mean / given) if power else level
        return float(u**power * inner * stats.norm.pdf(u, scale=math.sqrt(s)))

    first, second = (integrate.quad(above, 0, 12, args=(k,), epsabs=1e-12)[0] for k in (1, 0))
    rest = angle if other else math.pi - angle
    printed = math.sqrt(s * t) / (2 * math.pi) * (math.sin(angle) + rest * math.cos(angle)), rest / (2 * math.pi)
    ours = [float(m) for m in arc_cosine(tensor(c, device), tensor(s, device), tensor(t, device))]
    return largest(np.multiply(factor, printed) - (first, second), np.subtract(ours, (first, second)))


def by_recursion(x: Tensor, width: int, kept: float = 1.0, gain: float = 1.0, bias: float = 1.0) -> Tensor:
    """Return the kernel of two hidden layers with w = 1, by the recursion as printed."""
    theta, sigma = x @ x.T + bias, x @ x.T / x.shape[1]
    for _ in range(2):
        square = sigma.diagonal()
        moment, slope = arc_cosine(sigma, square[:, None].expand_as(sigma), square[None].expand_as(sigma))
        theta, sigma = gain * width * moment + bias + kept * slope * theta, moment
    return theta


@verifies(
    "spectral_bias:recursion",
    tex=r"\Theta \leftarrow n_\ell\,M + 1 + w\,D\,\Theta, \qquad \Sigma \leftarrow w\,M",
    tolerance=0.03,
    wrong={"without the layers before": {"kept": 0.0}, "without the outer layer's inputs": {"gain": 0.0}},
)
def mean_of_wide_networks(device: torch.device, kept: float = 1.0, gain: float = 1.0) -> float:
    """Average the kernels of six networks of width 2048; relative to the largest entry."""
    width, x = 2048, tensor(X, device)
    drawn = [
        empirical_ntk(MLP(2, (width, width), generator=torch.Generator().manual_seed(k)).double().to(device), x)
        for k in range(6)
    ]
    mean = torch.stack(drawn).mean(0)
    return largest(by_recursion(x, width, kept, gain) - mean) / float(mean.max())


@verifies(
    "spectral_bias:recursion",
    tex=r"\Theta \leftarrow n_\ell\,M + 1 + w\,D\,\Theta, \qquad \Sigma \leftarrow w\,M",
    tolerance=1e-9,
    wrong={"without the biases": {"bias": 0.0}, "without the layers before": {"kept": 0.0}},
    kind="definition",
)
def recursion_of_the_library(device: torch.device, kept: float = 1.0, bias: float = 1.0) -> float:
    """Compare with the library at a width at which every term counts."""
    x = tensor(X, device)
    return largest(by_recursion(x, 3, kept, bias=bias) - relu_ntk(x, hidden=(3, 3)))


@verifies(
    "spectral_bias:linear",
    tex=r"f(x; \theta) \approx f(x; \theta_0) + \frac{\partial f(x; \theta_0)}{\partial\theta}\,(\theta - \theta_0)",
    tolerance=0.02,
    wrong={"without the start": {"start": 0.0}, "without the derivative": {"slope": 0.0}},
)
def linearized(device: torch.device, start: float = 1.0, slope: float = 1.0) -> float:
    """Halve the step: what the expansion leaves out shrinks by four, so that its order is two."""
    net = MLP(2, (32, 32), generator=torch.Generator().manual_seed(0)).double().to(device)
    names, first = tuple(n for n, _ in net.named_parameters()), tuple(p.detach() for p in net.parameters())
    way = [torch.randn(p.shape, generator=torch.Generator().manual_seed(k)).to(p) for k, p in enumerate(first)]
    x = tensor(X, device)

    def at(step: float) -> Tensor:
        moved = {name: p + step * w for name, p, w in zip(names, first, way, strict=True)}
        return functional_call(net, moved, (x,))  # type: ignore[no-any-return]

    here = at(0.0)
    rows = [torch.autograd.grad(net(one[None]).sum(), list(net.parameters())) for one in x]
    along = torch.stack([sum_of_products(row, way) for row in rows])[:, None]
    left = [float((at(h) - start * here - slope * h * along).norm()) for h in (2e-4, 1e-4)]
    return abs(math.log2(left[0] / left[1]) - 2)


def sum_of_products(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    """Return the inner product of two lists of tensors of the same shapes."""
    return torch.stack([(a * b).sum() for a, b in zip(left, right, strict=True)]).sum()
