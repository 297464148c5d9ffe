"""The neural tangent kernel of a network as it is: layer by layer where that is possible, from Jacobians elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from workings.spectral_bias.networks import Dense
from workings.typed import Floats

ROWS = 512  # of the kernel at a time


@dataclass(frozen=True)
class Layer:
    """What a linear layer adds: inputs (n, q) times the scale of W, slopes of its outputs (c, n, r), 1 with a bias."""

    inputs: Tensor
    slopes: Tensor
    bias: float


def empirical_ntk(module: nn.Module, x: Floats, other: Floats | None = None) -> Tensor:
    r"""Return :math:`\Theta(x, x') = \sum_k \partial_{\theta_k} f(x)\, \partial_{\theta_k} f(x')` over what is trained.

    A linear layer with inputs a and slopes g = ∂f/∂(its outputs) has the weight gradient :math:`g a^\top`, so that

    .. math:: \Theta(x, x') = \sum_\ell (g_\ell \cdot g'_\ell)\,(a_\ell \cdot a'_\ell + 1)

    and no Jacobian need ever be formed. This holds when all trained parameters are those of linear layers, each called
    once on a batch of vectors; any other module goes to `jacobian_ntk`.

    Args:
        module: from (n, ...) to (n,) or (n, c), row by row.
        x: inputs (n, ...).
        other: inputs (m, ...); ``x`` itself if None.

    Returns:
        The kernel (n, m), and (n, m, c, c) for c > 1 outputs.

    Raises:
        ValueError: when nothing is trained, or when the rows of a batch influence each other.

    >>> from workings.spectral_bias import MLP
    >>> net, x = MLP(2, hidden=(8, 8)), torch.rand(5, 2)
    >>> torch.allclose(empirical_ntk(net, x), jacobian_ntk(net, x), atol=1e-4)
    True

    """
    left = _layers(module, x)
    if left is None:
        return jacobian_ntk(module, x, other)
    right = left if other is None else _layers(module, other)
    return jacobian_ntk(module, x, other) if right is None else _single(_contract(left, right))


def jacobian_ntk(module: nn.Module, x: Floats, other: Floats | None = None) -> Tensor:
    """Return the same kernel for any module, by ``torch.func``: one parameter tensor's Jacobian at a time.

    Args:
        module: from (n, ...) to (n,) or (n, c), row by row.
        x: inputs (n, ...).
        other: inputs (m, ...); ``x`` itself if None.

    Returns:
        The kernel (n, m), and (n, m, c, c) for c > 1 outputs.

    Raises:
        ValueError: when nothing is trained.

    >>> jacobian_ntk(torch.nn.Linear(1, 1), torch.tensor([[2.0], [3.0]])).tolist()
    [[5.0, 7.0], [7.0, 10.0]]

    """
    trained = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    if not trained:
        raise ValueError("module has no parameter that is trained, so no tangent kernel")
    fixed = {name: p.detach() for name, p in module.named_parameters() if not p.requires_grad}

    def outputs(one: Tensor, name: str, row: Tensor) -> Tensor:
        found: Tensor = functional_call(module, {**fixed, **trained, name: one}, (row[None],))
        return found.reshape(-1)

    def jacobian(name: str, rows: Tensor) -> Tensor:
        def of_row(row: Tensor) -> Tensor:
            return jacrev(outputs)(trained[name], name, row)  # type: ignore[no-any-return]

        found: Tensor = vmap(of_row)(rows)
        return found.reshape(*found.shape[:2], -1)  # (n, c, size)

    kernel = torch.zeros(())
    for name in trained:
        left = jacobian(name, x)
        right = left if other is None else jacobian(name, other)
        kernel = kernel.to(left) + torch.einsum("nap,mbp->nmab", left, right)
    return _single(kernel)


def _single(kernel: Tensor) -> Tensor:
    """Drop the axes of outputs when there is one output."""
    return kernel[:, :, 0, 0] if kernel.shape[-1] == 1 else kernel


def _layers(module: nn.Module, x: Tensor) -> list[Layer] | None:
    """Run forward once and back once an output; None where the sum over layers would not be the kernel."""
    trained = {id(p) for p in module.parameters() if p.requires_grad}
    if not trained:
        raise ValueError("module has no parameter that is trained, so no tangent kernel")
    linear = [one for one in module.modules() if _plain(one) and _trained(one)]
    owned = [id(p) for one in linear for p in _trained(one)]
    if sorted(owned) != sorted(trained):
        return None
    calls: list[tuple[nn.Linear, Tensor, Tensor]] = []

    def keep(one: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
        calls.append((one, arguments[0], output))  # type: ignore[arg-type]
        return output.clone()  # what follows may work in place

    hooks = [one.register_forward_hook(keep) for one in linear]
    try:
        with torch.enable_grad():
            f = module(x)
            f = f.reshape(len(x), -1)
    finally:
        for hook in hooks:
            hook.remove()
    once = sorted(id(one) for one, _, _ in calls) == sorted(map(id, linear))
    if not once or any(a.dim() != 2 or len(a) != len(x) for _, a, _ in calls):
        return None
    _alone(module, x, f)
    slopes = _slopes(f, [output for _, _, output in calls])
    return [_layer(one, a.detach(), g) for (one, a, _), g in zip(calls, slopes, strict=True)]


def _plain(one: nn.Module) -> bool:
    """Whether it is a linear layer whose weight and bias are what they seem; weight normalization, say, has others."""
    return type(one) in (nn.Linear, Dense) and {name for name, _ in one.named_parameters()} <= {"weight", "bias"}


def _trained(one: nn.Module) -> list[nn.Parameter]:
    return [p for p in one.parameters(recurse=False) if p.requires_grad]


def _alone(module: nn.Module, x: Tensor, f: Tensor) -> None:
    """Raise ``ValueError`` when the first or the last row's outputs depend on the other rows (or on chance)."""
    with torch.no_grad():
        ends = torch.cat([module(x[:1]), module(x[-1:])]).reshape(2, -1)
    if not torch.allclose(ends, f[[0, -1]], rtol=1e-3, atol=1e-4 * float(f.detach().abs().max())):
        raise ValueError("rows of a batch influence each other in module: is it in training mode? Try module.eval()")


def _slopes(f: Tensor, outputs: list[Tensor]) -> list[Tensor]:
    """Return ∂f/∂(each layer's outputs): as rows are independent, one pass back gives those of all rows."""
    with torch.enable_grad():
        sums = f.sum(0).unbind()
    each = [torch.autograd.grad(one, outputs, retain_graph=True, materialize_grads=True) for one in sums]
    return [torch.stack(rows) for rows in zip(*each, strict=True)]


def _layer(one: nn.Linear, inputs: Tensor, slopes: Tensor) -> Layer:
    scale = getattr(one, "scale", 1.0) if one.weight.requires_grad else 0.0
    bias = one.bias is not None and one.bias.requires_grad
    return Layer(scale * inputs if scale != 1 else inputs, slopes, float(bias))


def _contract(left: list[Layer], right: list[Layer]) -> Tensor:
    """Sum over layers, some rows at a time: (n, m, c, c)."""
    n, m, c = len(left[0].inputs), len(right[0].inputs), len(left[0].slopes)
    kernel = left[0].inputs.new_zeros(c, n, c, m)
    for start in range(0, n, ROWS):
        rows = slice(start, start + ROWS)
        for a, b in zip(left, right, strict=True):
            inputs = (a.inputs[rows] @ b.inputs.T).add_(a.bias)
            slopes = torch.einsum("anr,bmr->anbm", a.slopes[:, rows], b.slopes)
            kernel[:, rows] += slopes.mul_(inputs[:, None])
    return kernel.permute(1, 3, 0, 2)
