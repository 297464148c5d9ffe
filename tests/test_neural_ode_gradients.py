"""What the gradients reach, what they cost, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from ode_problems import FORCED, Swing
from torch import Tensor, nn

from workings.neural_ode import MLPField, Stats, loss_gradient, odeint, trajectory_loss

GRADIENTS = ("backprop", "discrete", "adjoint")
ADAPTIVE = ("bosh3", "dopri5", "tsit5")


def f64(values: Any, device: torch.device, grad: bool = False) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=device, requires_grad=grad)


# ---- checks by torch itself ----


@pytest.mark.parametrize("gradient", ["backprop", "discrete"])
@pytest.mark.parametrize("method", ["midpoint", "rk4", "dopri5"])
def test_gradcheck_of_fixed_steps(method: str, gradient: str, device: torch.device) -> None:
    t = f64([0.0, 0.5, 1.0], device)

    def solution(y0: Tensor, a: Tensor) -> Tensor:
        options = {"step_size": 0.25}
        out = odeint(lambda t, y: torch.sin(a * y) + t * y, y0, t, method=method, options=options, gradient=gradient)
        assert isinstance(out, Tensor)
        return out

    inputs = (f64([[0.5], [-0.2]], device, grad=True), f64([0.7], device, grad=True))
    torch.autograd.gradcheck(solution, inputs, atol=1e-8, rtol=1e-6)


def test_second_derivatives_by_backpropagation(device: torch.device) -> None:
    t = f64([0.0, 0.5, 1.0], device)

    def solution(y0: Tensor, a: Tensor) -> Any:
        return odeint(lambda t, y: torch.sin(a * y) + t * y, y0, t, method="dopri5", options={"step_size": 0.5})

    inputs = (f64([0.5], device, grad=True), f64([0.7], device, grad=True))
    torch.autograd.gradgradcheck(solution, inputs, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize(("gradient", "by_time"), [("discrete", False), ("adjoint", False), ("backprop", True)])
def test_second_derivatives_that_would_be_wrong_are_refused(gradient: str, by_time: bool, device: torch.device) -> None:
    y0, t = f64([0.5], device, grad=True), f64([0.0, 1.0], device, grad=by_time)
    y = odeint(lambda t, y: torch.sin(y), y0, t, gradient=gradient)
    with pytest.raises(RuntimeError, match=r"first derivatives only, and create_graph=True"):
        torch.autograd.grad(y[-1].sum(), y0, create_graph=True)


# ---- every tensor that func depends on gets its gradient ----


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_plain_function_that_closes_over_leaves(gradient: str, device: torch.device) -> None:
    """z' = a + b t from 0: z(2) = 2a + 2b."""
    a, b = f64(0.3, device, grad=True), f64([0.1, 0.2], device, grad=True)
    z = odeint(lambda t, z: a + b * t, f64([0.0, 0.0], device), f64([0.0, 2.0], device), gradient=gradient)
    by_a, by_b = torch.autograd.grad(z[-1] @ f64([1.0, 10.0], device), (a, b))
    assert by_a.item() == pytest.approx(22.0, abs=1e-9)
    assert by_b.tolist() == pytest.approx([2.0, 20.0], abs=1e-9)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_module_that_also_depends_on_a_leaf_outside(gradient: str, device: torch.device) -> None:
    outside = f64(0.5, device, grad=True)

    class Field(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rate = nn.Parameter(f64(0.25, device))
            self.unused = nn.Parameter(f64(1.0, device))

        def forward(self, t: Tensor, z: Tensor) -> Tensor:
            return self.rate + outside * torch.ones_like(z)

    field = Field()
    z = odeint(field, f64([0.0], device), f64([0.0, 3.0], device), gradient=gradient)
    z[-1].sum().backward()
    assert outside.grad is not None
    assert field.rate.grad is not None
    assert outside.grad.item() == pytest.approx(3.0, abs=1e-9)
    assert field.rate.grad.item() == pytest.approx(3.0, abs=1e-9)
    assert field.unused.grad is None or field.unused.grad.item() == 0.0


@pytest.mark.parametrize("gradient", ["discrete", "adjoint"])
def test_field_that_is_a_parameter_itself(gradient: str, device: torch.device) -> None:
    """The slope is the leaf, so the product is the cotangent itself: sums must not be written into it."""
    v, y0 = f64([2.0, -1.0], device, grad=True), f64([0.0, 0.0], device, grad=True)
    z = odeint(lambda t, z: v, y0, f64([0.0, 0.5, 2.0], device), gradient=gradient)
    by_v, by_y0 = torch.autograd.grad((z[1:] * f64([[1.0, 2.0], [3.0, 4.0]], device)).sum(), (v, y0))
    assert by_v.tolist() == pytest.approx([6.5, 9.0], abs=1e-9)
    assert by_y0.tolist() == pytest.approx([4.0, 6.0], abs=1e-9)


@pytest.mark.parametrize("gradient", ["discrete", "adjoint"])
def test_tensor_computed_outside_is_refused_or_named(gradient: str, device: torch.device) -> None:
    """z' = exp(w) with exp outside func: the graph to w cannot be walked again at every stage."""
    w = f64(0.2, device, grad=True)
    scale, y0, t = torch.exp(w), f64([0.0], device), f64([0.0, 2.0], device)

    def func(t: Tensor, z: Tensor) -> Tensor:
        return scale * torch.ones_like(z)

    with pytest.raises(ValueError, match=r"computed outside it \(by ExpBackward.*adjoint_params"):
        odeint(func, y0, t, gradient=gradient)
    z = odeint(func, y0, t, gradient=gradient, adjoint_params=(scale,))
    assert torch.autograd.grad(z[-1].sum(), w)[0].item() == pytest.approx(2 * torch.exp(w).item(), abs=1e-9)


@pytest.mark.parametrize("gradient", ["discrete", "adjoint"])
def test_adjoint_params_choose(gradient: str, device: torch.device) -> None:
    a, b = f64(0.3, device, grad=True), f64(0.1, device, grad=True)
    z = odeint(
        lambda t, z: a + b * z, f64([0.0], device), f64([0.0, 1.0], device), gradient=gradient, adjoint_params=[a]
    )
    z.sum().backward()
    assert a.grad is not None
    assert b.grad is None


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_nothing_requires_a_gradient(gradient: str, device: torch.device) -> None:
    t = FORCED.times(3, f64(0.0, device))
    z = odeint(FORCED.func, FORCED.exact(t[0]), t, gradient=gradient)
    assert not z.requires_grad
    field = Swing().to(device)
    with torch.no_grad():
        assert not odeint(field, f64([0.1, 0.2], device), t, gradient=gradient).requires_grad


@pytest.mark.parametrize("gradient", ["discrete", "adjoint"])
def test_parameter_changed_before_the_backward_pass_is_refused(gradient: str, device: torch.device) -> None:
    field = Swing().to(device)
    z = odeint(field, f64([0.1, 0.2], device), f64([0.0, 1.0], device), gradient=gradient)
    with torch.no_grad():
        field.theta.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_second_backward_pass_repeats_the_first(gradient: str, device: torch.device) -> None:
    field, stats = Swing().to(device), Stats()
    z = odeint(field, f64([0.1, 0.2], device), f64([0.0, 0.5, 1.0], device), gradient=gradient, stats=stats)
    grads = [torch.autograd.grad(z.sum(), field.theta, retain_graph=True)[0] for _ in range(2)]
    assert torch.equal(grads[0], grads[1])


def test_float32_and_mixed_parameter_precision(device: torch.device) -> None:
    """Parameters may be more precise than the state; their gradients come back in their own precision."""
    k = f64(0.5, device, grad=True)
    y0 = torch.ones(2, device=device)
    for gradient in GRADIENTS:
        t = torch.tensor([0.0, 1.0], device=device)
        z = odeint(lambda t, z: z * k.float(), y0, t, rtol=1e-6, atol=1e-7, gradient=gradient)
        by_k = torch.autograd.grad(z[-1].sum(), k)[0]
        assert by_k.dtype == torch.float64, gradient
        assert by_k.item() == pytest.approx(2 * 1.6487213, rel=1e-5)


# ---- what they cost ----


def saved(call: Callable[[], Tensor], but: set[int]) -> list[Tensor]:
    """The tensors saved for the backward pass, each counted once, without those whose data is in ``but``."""
    kept: dict[tuple[int, int], Tensor] = {}

    def pack(x: Tensor) -> Tensor:
        if x.data_ptr() not in but:
            kept[x.data_ptr(), x.numel()] = x
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        result = call()
    assert result.requires_grad
    return list(kept.values())


def held(gradient: str, steps: int, device: torch.device) -> int:
    field = MLPField(2, hidden=(64, 64)).to(device, torch.float64)
    y0, t = torch.zeros(16, 2, dtype=torch.float64, device=device), f64([0.0, 1.0], device)
    options = {"step_size": 1 / steps}
    # named, since looking for the parameters builds, and drops, the graph of one evaluation
    kwargs: dict[str, Any] = {} if gradient == "backprop" else {"adjoint_params": field.parameters()}
    parameters = {p.data_ptr() for p in field.parameters()}
    kept = saved(lambda: odeint(field, y0, t, options=options, gradient=gradient, **kwargs), parameters)
    return sum(x.numel() for x in kept)


def test_memory_of_the_three_gradients(device: torch.device) -> None:
    """Numbers kept a step: the network's activations; the state and its slopes; nothing."""
    per_step = {g: (held(g, 24, device) - held(g, 8, device)) / 16 for g in GRADIENTS}
    n = 16 * 2
    assert per_step["adjoint"] == 0
    assert per_step["discrete"] == n * (1 + 6)
    assert per_step["backprop"] > 50 * per_step["discrete"]
    assert held("adjoint", 24, device) == 2 * n


def test_evaluations_of_the_three_gradients(device: torch.device) -> None:
    cost = {}
    for gradient in GRADIENTS:
        field, stats = Swing().to(device), Stats()
        z = odeint(field, f64([0.8, -0.3], device), f64([0.0, 2.0], device), gradient=gradient, stats=stats)
        assert (stats.backward_evaluations, stats.backward_accepted) == (0, 0)
        z[-1].sum().backward()
        cost[gradient] = stats
    assert cost["backprop"].backward_evaluations == 0
    assert cost["discrete"].evaluations == cost["backprop"].evaluations
    assert cost["discrete"].backward_accepted == cost["discrete"].accepted
    assert cost["discrete"].backward_evaluations == 6 * cost["discrete"].accepted
    tried = cost["adjoint"].backward_accepted + cost["adjoint"].backward_rejected
    assert cost["adjoint"].backward_evaluations == 2 + 6 * tried


def test_adjoint_carries_its_step_across_observations(device: torch.device) -> None:
    """Twenty observations: after the first interval none needs an initial step, and few need more than one step."""
    field, stats = Swing().to(device), Stats()
    t = torch.linspace(0, 2, 21, dtype=torch.float64, device=device)
    z = odeint(field, f64([0.8, -0.3], device), t, rtol=1e-6, atol=1e-6, gradient="adjoint", stats=stats)
    z.pow(2).sum().backward()
    tried = stats.backward_accepted + stats.backward_rejected
    assert stats.backward_evaluations == 20 + 1 + 6 * tried
    assert stats.backward_accepted <= 25


def test_adjoint_norm(device: torch.device) -> None:
    """Leaving the parameters' integral out of the error control saves evaluations here; a function may say the same."""

    def only_state(blocks: tuple[Tensor, ...]) -> Tensor:
        t, z, a, *params = blocks
        assert (t.shape, z.shape, a.shape, [p.shape for p in params]) == ((), (2,), (2,), [(3,)])
        return torch.maximum(z.square().mean(), a.square().mean()).sqrt()

    found = []
    for options in ({}, {"norm": "seminorm"}, {"norm": only_state}):
        field, stats = Swing().to(device), Stats()
        y0, t = f64([0.8, -0.3], device), f64([0.0, 4.0], device)
        z = odeint(field, y0, t, gradient="adjoint", adjoint_options=options, stats=stats)
        found.append((torch.autograd.grad(1e-3 * z[-1].sum(), field.theta)[0], stats.backward_evaluations))
    torch.testing.assert_close(found[1][0], found[0][0], atol=1e-8, rtol=1e-5)
    torch.testing.assert_close(found[2][0], found[1][0], atol=1e-15, rtol=1e-12)
    assert found[2][1] == found[1][1] < found[0][1]


def test_adjoint_has_tolerances_and_method_of_its_own(device: torch.device) -> None:
    found = {}
    settings: dict[str, dict[str, Any]] = {
        "same": {},
        "loose": {"adjoint_rtol": 1e-3, "adjoint_atol": 1e-3},
        "rk4": {"adjoint_method": "rk4", "adjoint_options": {"step_size": 0.5}},
    }
    for name, kwargs in settings.items():
        field, stats = Swing().to(device), Stats()
        y0, t = f64([0.8, -0.3], device), f64([0.0, 2.0], device)
        z = odeint(field, y0, t, gradient="adjoint", stats=stats, **kwargs)
        z[-1].sum().backward()
        found[name] = stats
    assert found["loose"].backward_evaluations < found["same"].backward_evaluations / 2
    assert found["rk4"].backward_evaluations == 16
    assert {s.evaluations for s in found.values()} == {found["same"].evaluations}


# ---- losses ----


def test_running_loss_closed_form(device: torch.device) -> None:
    """∫₀¹ z² dt = (1 - e^(-2λ)) / 2λ on z' = -λz, and its derivative; ½∫z² on z' = θz has slope exactly 1 at θ = ½."""
    rate = f64(3.0, device, grad=True)
    y0, t = f64([1.0], device), f64([0.0, 1.0], device)
    e = torch.exp(-2 * rate.detach()).item()
    g = loss_gradient(lambda t, z: -rate * z, y0, t, running=lambda t, z: (z**2).sum(), rtol=1e-10, atol=1e-12)
    assert g.loss.item() == pytest.approx((1 - e) / 6, abs=1e-9)
    assert g.params[0].item() == pytest.approx((6 * e - (1 - e)) / 18, abs=1e-9)


def test_losses_may_have_parameters_of_their_own(device: torch.device) -> None:
    """z = z0 throughout (f = 0): dL/dw is what differentiating the loss by hand gives."""
    u, v, w = (f64(x, device, grad=True) for x in (2.0, 3.0, 5.0))
    losses: dict[str, Any] = {
        "terminal": lambda z: u * z.sum(),
        "running": lambda t, z: v * t * z.sum(),
        "observed": lambda i, z: w * i * z.sum() ** 2,
    }
    y0, t = f64([1.0, 0.5], device), f64([0.0, 1.0, 2.0], device)
    g = loss_gradient(lambda t, z: torch.zeros_like(z), y0, t, **losses, params=[u, v, w])
    assert [p.item() for p in g.params] == pytest.approx([1.5, 1.5 * 2.0, 3 * 1.5**2], abs=1e-9)
    assert g.loss.item() == pytest.approx(2 * 1.5 + 3 * 3.0 + 5 * 3 * 2.25, abs=1e-9)
    found = loss_gradient(lambda t, z: torch.zeros_like(z), y0, t, **losses)
    assert sorted(p.item() for p in found.params) == pytest.approx([1.5, 3.0, 6.75], abs=1e-9)
    for gradient in GRADIENTS:
        loss = trajectory_loss(lambda t, z: torch.zeros_like(z), y0, t, **losses, gradient=gradient)
        by_each = torch.autograd.grad(loss, (u, v, w))
        assert [p.item() for p in by_each] == pytest.approx([1.5, 3.0, 6.75], abs=1e-9)


def test_losses_refuse_what_is_no_loss(device: torch.device) -> None:
    number: Any = lambda t, z: 1.0  # noqa: E731
    pair: Any = (f64([1.0], device),)
    y0, t = f64([1.0], device), f64([0.0, 1.0], device)
    for function in (loss_gradient, trajectory_loss):
        with pytest.raises(ValueError, match="at least one of terminal, running and observed"):
            function(lambda t, z: z, y0, t)
        with pytest.raises(ValueError, match=r"terminal must return a 0-dim tensor .*shape \(1,\)"):
            function(lambda t, z: z, y0, t, terminal=lambda z: z)
        with pytest.raises(ValueError, match=r"running must return a 0-dim tensor .*got float"):
            function(lambda t, z: z, y0, t, running=number)
        with pytest.raises(TypeError, match="parameter y0="):
            function(lambda t, z: z, pair, t, terminal=lambda z: z.sum())
