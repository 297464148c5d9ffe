"""Derivatives that need their input, derivatives that need their output, and the gradient of a normalization."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from workings.book.ledger import verifies
from workings.gpu_memory_leak import normalize_, normalize_gradient

H = 1e-5  # of central differences


def point(device: torch.device) -> Tensor:
    """Return a few positive numbers."""
    return torch.tensor([0.3, 0.9, 1.7, 2.4], dtype=torch.float64, device=device)


def slope(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the derivative of a function of each number, by differences."""
    return (f(x + H) - f(x - H)) / (2 * H)


def jacobian(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the Jacobian by differences: row i, column j is how component i follows input j."""
    steps = H * torch.eye(x.numel(), dtype=x.dtype, device=x.device)
    return torch.stack([(f(x + step) - f(x - step)) / (2 * H) for step in steps], -1)


def largest(*differences: Tensor) -> float:
    """Return the largest absolute value."""
    return max(float(d.abs().max()) for d in differences)


@verifies(
    "gpu_memory_leak:needs-input",
    tex=r"""\begin{aligned}
    \frac{\mathrm{d}}{\mathrm{d}x} \sin x &= \cos x, \qquad \frac{\mathrm{d}}{\mathrm{d}x}\,x^2 = 2 x, \\
    \frac{\partial \lVert x \rVert}{\partial x} &= \frac{x}{\lVert x \rVert}
    \end{aligned}""",
    tolerance=1e-8,
    wrong={"with what x was overwritten by": {"overwritten": True}, "with the output": {"output": True}},
    kind="derivation",
)
def needs_input(device: torch.device, overwritten: bool = False, output: bool = False) -> float:
    """Compare with differences."""
    x = point(device)
    off = []
    for f, derivative, change in (
        (torch.sin, torch.cos, lambda x: x - x.sin()),
        (torch.square, lambda x: 2 * x, lambda x: x + x.square()),
    ):
        at = change(x) if overwritten else f(x) if output else x
        off.append(slope(f, x) - derivative(at))
    length = torch.linalg.vector_norm(x)
    at = x / length if overwritten else length.expand(4) if output else x
    off.append(jacobian(torch.linalg.vector_norm, x) - at / length)
    return min(map(largest, off)) if overwritten or output else largest(*off)


@verifies(
    "gpu_memory_leak:needs-output",
    tex=r"""\begin{aligned}
    y = e^x &: & y' &= y, \\
    y = \sqrt{x} &: & y' &= \tfrac{1}{2 y}, \\
    y = \sigma(x) &: & y' &= y\,(1 - y), \\
    y = \tanh x &: & y' &= 1 - y^2
    \end{aligned}""",
    tolerance=1e-8,
    wrong={"with the input": {"of_input": True}},
    kind="derivation",
)
def needs_output(device: torch.device, of_input: bool = False) -> float:
    """Compare with differences."""
    x = point(device)
    rules: tuple[tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]], ...] = (
        (torch.exp, lambda y: y),
        (torch.sqrt, lambda y: 1 / (2 * y)),
        (torch.sigmoid, lambda y: y * (1 - y)),
        (torch.tanh, lambda y: 1 - y**2),
    )
    off = [largest(slope(f, x) - rule(x if of_input else f(x))) for f, rule in rules]
    return min(off) if of_input else max(off)


X, G = [[3.0, 4.0, -1.0], [0.2, -0.5, 0.1]], [[1.0, 0.5, -2.0], [0.3, 0.7, 1.1]]


def pulled_back(f: Callable[[Tensor], Tensor], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return vectors, a gradient with respect to f of them, and by differences that with respect to themselves."""
    x, g = (torch.tensor(v, dtype=torch.float64, device=device) for v in (X, G))
    return x, g, torch.stack([row @ jacobian(f, one) for one, row in zip(x, g, strict=True)])


@verifies(
    "gpu_memory_leak:normalize",
    tex=r"""\frac{\partial L}{\partial x} = \frac{g - u\,(u^\top g)}{\lVert x \rVert},
    \qquad u = \frac{x}{\lVert x \rVert}""",
    tolerance=1e-8,
    wrong={"without the projection": {"project": 0.0}, "with its sign flipped": {"project": -1.0}},
)
def normalize(device: torch.device, project: float = 1.0) -> float:
    """Compare with differences, and the library with the formula."""
    x, g, true = pulled_back(lambda x: x / x.square().sum().sqrt(), device)
    length = x.square().sum(-1, keepdim=True).sqrt()
    u = x / length
    printed = (g - project * u * (u * g).sum(-1, keepdim=True)) / length
    return largest(printed - true, normalize_gradient(x, g) - true)


@verifies(
    "gpu_memory_leak:detached",
    tex=r"\frac{\partial L}{\partial x} = \frac{g}{\lVert x \rVert} \qquad (\lVert x \rVert \text{ detached})",
    tolerance=1e-8,
    wrong={"as if it were not detached": {"detach": False}},
)
def detached(device: torch.device, detach: bool = True) -> float:
    """Hold the length fixed in the differences, and compare with what autograd gives."""
    x, g = (torch.tensor(v, dtype=torch.float64, device=device) for v in (X, G))
    lengths = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    fixed = torch.stack([
        row @ jacobian(lambda v, n=length: v / n, one)  # type: ignore[misc]
        for one, row, length in zip(x, g, lengths, strict=True)
    ])  # fmt: skip
    x.requires_grad_()
    norm = torch.norm(x, dim=-1, keepdim=True)
    (ours,) = torch.autograd.grad(x / (norm.detach() if detach else norm), x, g)
    return largest(ours - g / lengths) if not detach else largest(ours - g / lengths, fixed - g / lengths)


@verifies(
    "gpu_memory_leak:from-output",
    tex=r"\frac{\partial L}{\partial x} = \frac{g - y\,(y^\top g)}{r}, \qquad y = \frac{x}{r}",
    tolerance=1e-8,
    wrong={"with x for y": {"with_input": True}, "without the length": {"length": False}},
)
def from_output(device: torch.device, with_input: bool = False, length: bool = True) -> float:
    """Compare the formula, and what `normalize_` gives, with differences."""
    x, g, true = pulled_back(lambda x: x / x.square().sum().sqrt(), device)
    r = x.square().sum(-1, keepdim=True).sqrt()
    y = x if with_input else x / r
    printed = (g - y * (y * g).sum(-1, keepdim=True)) / (r if length else 1)
    leaf = x.clone().requires_grad_()
    (ours,) = torch.autograd.grad(normalize_(leaf * 1), leaf, g)
    return largest(printed - true, ours - true)
