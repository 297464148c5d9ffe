"""What programs do that would make a gradient wrong in silence: it is right, refused, or warned of."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from ode_problems import Swing
from torch import Tensor, nn
from torch.autograd import forward_ad

from workings.neural_ode import (
    ContinuousFlow,
    MLPField,
    Stats,
    exact_divergence,
    loss_gradient,
    odeint,
    trajectory_loss,
)

UNTAPED = ("discrete", "adjoint")


def f64(values: Any, device: torch.device, grad: bool = False) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=device, requires_grad=grad)


class Decay(nn.Module):
    """ẏ = −c p y, with a factor c that is no parameter."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.p = nn.Parameter(f64(0.5, device))
        self.c = 1.0
        self.dropout = nn.Dropout(0.5)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        slope: Tensor = -self.c * self.p * self.dropout(y)
        return slope


# ---- func is another one when it is evaluated again ----


@pytest.mark.parametrize("method", ["dopri5", "rk4", "midpoint"])
def test_a_func_that_has_changed_since_is_warned_of(method: str, device: torch.device) -> None:
    field, t = Decay(device).eval(), f64([0.0, 1.0], device)
    y = odeint(field, f64([1.0], device), t, method=method, gradient="discrete")
    field.c = 3.0
    with pytest.warns(RuntimeWarning, match=r"evaluated again at the start differs by 2: .*use gradient='backprop'"):
        y[-1].sum().backward()


def test_a_func_that_draws_is_warned_of(device: torch.device) -> None:
    field, y0 = Decay(device).train(), torch.ones(100, dtype=torch.float64, device=device)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        y = odeint(field, y0, f64([0.0, 1.0], device), method="rk4", gradient="discrete")
        with pytest.warns(RuntimeWarning, match="it draws random numbers, or"):
            y.sum().backward()


@pytest.mark.parametrize("gradient", UNTAPED)
def test_a_parameter_that_was_replaced_for_the_solve_is_warned_of(gradient: str, device: torch.device) -> None:
    """torch.func.functional_call puts the module's own parameter back before the backward pass."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.field = Decay(device).eval()

        def forward(self, y0: Tensor) -> Any:
            return odeint(self.field, y0, f64([0.0, 1.0], device), gradient=gradient)

    leaf = f64(0.5, device, grad=True)
    y = torch.func.functional_call(Model(), {"field.p": leaf}, (f64([1.0], device),))
    with pytest.warns(RuntimeWarning, match=r"no longer uses 1 of the parameters that it used in the solve \(\(\)\)"):
        y[-1].sum().backward()


@pytest.mark.parametrize("gradient", UNTAPED)
def test_a_func_that_is_the_same_is_not_warned_of(gradient: str, device: torch.device) -> None:
    """Warnings are errors here: a stiff field far from and near its rest, in both precisions."""
    for dtype in (torch.float32, torch.float64):
        for y0 in (1.0, 1e-6):
            rate = torch.tensor(1000.0, dtype=dtype, device=device, requires_grad=True)

            def rest(t: Tensor, y: Tensor, rate: Tensor = rate) -> Tensor:
                return rate * (torch.cos(t) - y)

            start, t = torch.full((3,), 1 + y0, dtype=dtype, device=device), torch.tensor([0.0, 0.003], device=device)
            odeint(rest, start, t, rtol=1e-4, atol=1e-4, gradient=gradient).sum().backward()
            assert rate.grad is not None


# ---- what is differentiated with respect to ----


@pytest.mark.parametrize("gradient", UNTAPED)
def test_a_parameter_given_twice_counts_once(gradient: str, device: torch.device) -> None:
    p, t = f64(-0.5, device, grad=True), f64([0.0, 1.0], device)
    y = odeint(lambda t, y: p * y, f64([1.0], device), t, gradient=gradient, adjoint_params=[p, p])
    assert torch.autograd.grad(y[-1].sum(), p)[0].item() == pytest.approx(math.exp(-0.5), abs=1e-6)


@pytest.mark.parametrize("gradient", UNTAPED)
def test_a_parameter_and_what_is_computed_from_it_are_refused_together(gradient: str, device: torch.device) -> None:
    w, t = f64([0.3], device, grad=True), f64([0.0, 1.0], device)
    for derived in (w.exp(), w.view(1)[0]):
        for given in ((derived, w), (derived, 2 * derived)):
            with pytest.raises(ValueError, match=r"adjoint_params holds a tensor of shape .* would then count twice"):
                odeint(lambda t, y: y, f64([1.0], device), t, gradient=gradient, adjoint_params=given)


@pytest.mark.parametrize("gradient", UNTAPED)
def test_parameters_computed_apart_are_taken_together(gradient: str, device: torch.device) -> None:
    """Not from one another: by themselves, or by one operation that gives several tensors."""
    w, t = f64([0.3, 0.7], device, grad=True), f64([0.0, 1.0], device)
    for _ in range(3):  # Python's numbers for what is gone come again
        for p, q in ((w.sin()[0], w.exp()[1]), (w.exp()[0], (2 * w).exp()[1]), w.unbind(), (2 * w).unbind()):

            def growth(t: Tensor, y: Tensor, p: Tensor = p, q: Tensor = q) -> Tensor:
                return p * q * y

            y = odeint(growth, f64([1.0], device), t, gradient=gradient, adjoint_params=(p, q))
            slopes = torch.autograd.grad(y[-1].sum(), (p, q))
            rate = (p * q).item()
            torch.testing.assert_close(torch.stack(slopes), torch.stack((q, p)) * math.exp(rate), rtol=1e-5, atol=0)


@pytest.mark.parametrize("gradient", UNTAPED)
def test_hooks_that_would_run_at_every_evaluation_are_refused(gradient: str, device: torch.device) -> None:
    p, y0, t = f64(0.5, device, grad=True), f64([1.0], device), f64([0.0, 1.0], device)
    hook = p.register_hook(lambda g: 2 * g)
    with pytest.raises(ValueError, match=r"shape \(\) has a hook .*register_post_accumulate_grad_hook"):
        odeint(lambda t, y: p * y, y0, t, gradient=gradient)
    hook.remove()
    s = 2 * p
    s.retain_grad()
    with pytest.raises(ValueError, match="has a hook"):
        odeint(lambda t, y: s * y, y0, t, gradient=gradient, adjoint_params=[s])
    y = odeint(lambda t, y: p * y, y0, t, gradient=gradient)
    assert torch.autograd.grad(y[-1].sum(), p)[0].item() == pytest.approx(math.exp(0.5), abs=1e-6)


def test_complex_parameters(device: torch.device) -> None:
    p = torch.tensor(0.5 + 0.2j, dtype=torch.complex128, device=device, requires_grad=True)
    y0, t = f64([1.0], device), f64([0.0, 1.0], device)
    found: list[Tensor] = []

    def func(t: Tensor, y: Tensor) -> Tensor:
        return (p * y.to(p.dtype) * torch.exp(1j * y)).real

    with pytest.raises(TypeError, match=r"gradient='adjoint' needs real parameters; got torch.complex128"):
        odeint(func, y0, t, gradient="adjoint")
    for gradient in ("backprop", "discrete"):
        found += torch.autograd.grad(odeint(func, y0, t, gradient=gradient)[-1].sum(), p)
    torch.testing.assert_close(found[1], found[0], atol=1e-13, rtol=0)
    assert abs(found[0].imag.item()) > 0.1


@pytest.mark.parametrize("gradient", UNTAPED)
def test_frozen_and_later_used_parameters(gradient: str, device: torch.device) -> None:
    """A module's parameters are known before it uses them; one that needs no gradient is left alone."""

    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Parameter(f64(0.5, device)), nn.Parameter(f64(0.7, device))
            self.frozen = nn.Parameter(f64(1.0, device), requires_grad=False)

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return (self.a if t < 0.5 else self.b) * self.frozen * y

    field = Late()
    y = odeint(field, f64([1.0], device), f64([0.0, 0.5, 1.0], device), gradient=gradient)
    y[-1].sum().backward()
    assert field.frozen.grad is None
    for p in (field.a, field.b):
        assert p.grad is not None
        assert p.grad.item() == pytest.approx(0.5 * math.exp(0.6), rel=1e-3)
    given = odeint(field, f64([1.0], device), f64([0.0, 1.0], device), gradient=gradient, adjoint_params=[field.frozen])
    assert not given.requires_grad


def test_the_divergence_adds_no_parameter(device: torch.device) -> None:
    """A field that differentiates with respect to its state brings in no leaf of its own."""
    field = MLPField(2, hidden=(8,)).to(device, torch.float64)
    y0, t = torch.ones(5, 2, dtype=torch.float64, device=device), f64([0.0, 1.0], device)
    g = loss_gradient(field, y0, t, running=lambda t, z: exact_divergence(field, t, z)[1].sum())
    assert [p.shape for p in g.params] == [p.shape for p in field.parameters()]


# ---- modes of torch ----


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own, within jvp
def test_forward_mode_is_refused_where_there_is_none(device: torch.device) -> None:
    y0, rate, t = f64([1.0], device), f64(-0.5, device), f64([0.0, 1.0], device)

    def end(y0: Tensor, rate: Tensor, t: Tensor, gradient: str) -> Tensor:
        y: Tensor = odeint(lambda t, y: rate * y, y0, t, gradient=gradient)
        return y[-1]

    for gradient in UNTAPED:
        calls: Any = (
            (lambda y0, g=gradient: end(y0, rate, t, g), y0),
            (lambda r, g=gradient: end(y0, r, t, g), rate),
        )
        for call, at in calls:
            with pytest.raises(RuntimeError, match=r"torch.func cannot transform .*use gradient='backprop'"):
                torch.func.jvp(call, (at,), (torch.ones_like(at),))
            with forward_ad.dual_level(), pytest.raises(ValueError, match=rf"'{gradient}' has no forward-mode"):
                call(forward_ad.make_dual(at, torch.ones_like(at)))
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(y0, y0)
            with pytest.raises(ValueError, match=rf"'{gradient}' has no forward-mode"):
                odeint(lambda t, y: rate * y, dual, t, gradient=gradient, adjoint_params=[])
    with pytest.raises(ValueError, match="t has no forward-mode derivative"):
        torch.func.jvp(lambda t: end(y0, rate, t, "backprop"), (t,), (t,))
    slope = torch.func.jvp(lambda r: end(y0, r, t, "backprop"), (rate,), (torch.ones_like(rate),))[1]
    assert slope.item() == pytest.approx(math.exp(-0.5), abs=1e-6)


def test_inference_mode(device: torch.device) -> None:
    """The trace is a derivative, and is there all the same; a gradient of a loss is refused."""
    field = MLPField(2, hidden=(8,)).to(device, torch.float64)
    x = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).to(device)
    for trace in ("closed", "exact", "hutchinson"):
        flow = ContinuousFlow(field, 2, trace)
        with torch.no_grad():
            expected = flow.log_prob(x, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            found = flow.log_prob(1 * x, generator=torch.Generator().manual_seed(1))
        assert torch.equal(found, expected)
    with torch.inference_mode(), pytest.raises(RuntimeError, match=r"torch.inference_mode forbids: use torch.no_grad"):
        loss_gradient(field, x, f64([0.0, 1.0], device), terminal=lambda z: z.sum())


# ---- the warning of the continuous adjoint ----


def test_a_start_at_rest_raises_no_alarm(device: torch.device) -> None:
    """Warnings are errors here: relative to a state of 0 every error would be large."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        field = MLPField(2).to(device, torch.float64)
    stats, y0 = Stats(), torch.zeros(8, 2, dtype=torch.float64, device=device)
    odeint(field, y0, f64([0.0, 1.0], device), gradient="adjoint", stats=stats)[-1].sum().backward()
    assert stats.reconstruction_error < 1e-4


def test_a_large_constant_beside_it_hides_no_alarm(device: torch.device) -> None:
    rate = f64(25.0, device, grad=True)

    def func(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return -rate * state[0], state[0] ** 2, 0 * state[2]

    y0 = (f64([1.0], device), f64([0.0], device), f64([1e3], device))
    y = odeint(func, y0, f64([0.0, 1.0], device), rtol=1e-6, atol=1e-9, gradient="adjoint")
    with pytest.warns(RuntimeWarning, match="integrated the state back"):
        y[1][-1].sum().backward()


@pytest.mark.parametrize("rates", [(25.0, 1.0), (1.0, 25.0), (1.0, 1.0)])
def test_the_worst_interval_counts(rates: tuple[float, float], device: torch.device) -> None:
    def func(t: Tensor, y: Tensor) -> Tensor:
        return -(rates[0] + (rates[1] - rates[0]) * torch.sigmoid(100 * (t - 1))) * y

    stats, y0, options = Stats(), f64([1.0], device, grad=True), {"step_size": 0.02}
    t = f64([0.0, 1.0, 2.0], device)
    y = odeint(func, y0, t, method="rk4", options=options, gradient="adjoint", stats=stats)
    y[-1].sum().backward()
    assert (stats.reconstruction_error > 1e-3) is (max(rates) == 25.0)


def test_blocks_of_a_norm_have_their_shapes(device: torch.device) -> None:
    """As in torchdiffeq: the parts of the state, those of its adjoint in the same order, then the parameters."""
    field, seen = Swing().to(device), []

    def norm(blocks: tuple[Tensor, ...]) -> Tensor:
        seen.append([tuple(block.shape) for block in blocks])
        return torch.stack([block.abs().max() for block in blocks]).max()

    def func(t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return field(t, state[0]), -state[1]

    y0 = (torch.ones(4, 2, dtype=torch.float64, device=device), torch.ones(3, dtype=torch.float64, device=device))
    y = odeint(func, y0, f64([0.0, 1.0], device), gradient="adjoint", adjoint_options={"norm": norm})
    y[0].sum().backward()
    assert set(map(tuple, seen)) == {((), (4, 2), (3,), (4, 2), (3,), (3,))}


def test_blocks_of_a_norm_are_the_state_and_then_its_adjoint(device: torch.device) -> None:
    """Beside an adjoint of a million, an absolute tolerance asks little of a state of one."""
    field, t, cost = Swing().to(device), f64([0.0, 2.0], device), []
    for which in (1, 2):
        stats, options = Stats(), {"norm": lambda blocks, which=which: blocks[which].abs().max()}
        given = {"adjoint_rtol": 1e-12, "adjoint_atol": 1e-3, "adjoint_options": options}
        y = odeint(field, f64([0.8, -0.3], device), t, gradient="adjoint", stats=stats, **given)  # type: ignore[arg-type]
        (1e6 * y[-1].sum()).backward()
        cost.append(stats.backward_evaluations)
    assert cost[0] < cost[1] / 2


# ---- what is given is used ----


def test_a_loss_gradient_takes_one_tensor_for_params_and_any_shape(device: torch.device) -> None:
    theta, t = f64([0.5, 0.2], device, grad=True), torch.tensor([0.0, 1.0], device=device)
    for y0 in (f64(1.0, device), f64([[1.0]], device)):
        g = loss_gradient(lambda t, y: theta[0] * y, y0, t.double(), terminal=lambda z: z.sum(), params=theta)
        assert g.params[0].tolist() == pytest.approx([math.exp(0.5), 0.0], abs=1e-6)
        assert g.y0.shape == y0.shape
    with pytest.raises(TypeError, match="params must hold tensors; got float"):
        loss_gradient(lambda t, y: y, y0, t, terminal=lambda z: z.sum(), params=[1.0])  # type: ignore[list-item]
    scale = torch.exp(theta[0])
    with pytest.raises(ValueError, match=r"computed outside it \(by ExpBackward0, .* give that tensor in params"):
        loss_gradient(lambda t, y: scale * y, y0, t, terminal=lambda z: z.sum())


def test_times_may_be_more_precise_than_the_state(device: torch.device) -> None:
    """The field sees the time in the state's precision, also where parameters are looked for."""
    theta, y0 = torch.tensor(0.5, device=device, requires_grad=True), torch.ones(1, device=device)

    def func(t: Tensor, y: Tensor) -> Tensor:
        return theta * torch.cat((t[None], y))[1:]

    g = loss_gradient(func, y0, f64([0.0, 1.0], device), terminal=lambda z: z.sum(), rtol=1e-5, atol=1e-5)
    assert g.params[0].item() == pytest.approx(math.exp(0.5), rel=1e-4)


def test_losses_of_another_precision_are_named(device: torch.device) -> None:
    with pytest.raises(ValueError, match=r"running must return torch.float64, as y0 is; got torch.float32"):
        trajectory_loss(
            lambda t, y: y, f64([1.0], device), f64([0.0, 1.0], device), running=lambda t, z: z.sum().float()
        )


def test_a_loss_gradient_solves_as_it_is_told(device: torch.device) -> None:
    field, y0, t = Swing().to(device), f64([0.8, -0.3], device), f64([0.0, 1.0], device)

    def solve(**kwargs: Any) -> tuple[Stats, float]:
        stats = Stats(evaluations=7)
        g = loss_gradient(field, y0, t, terminal=lambda z: z.sum(), stats=stats, **kwargs)
        return stats, g.loss.item()

    default, value = solve()
    assert solve(rtol=1e-7, atol=1e-9)[0] == default
    loose, _ = solve(rtol=1e-3, atol=1e-3)
    assert loose.evaluations < default.evaluations / 2
    assert loose.backward_evaluations < default.backward_evaluations / 2
    rk4, rough = solve(method="rk4", options={"step_size": 0.25})
    assert (rk4.evaluations, rk4.backward_evaluations, rk4.accepted, rk4.backward_accepted) == (16, 16, 4, 4)
    assert rough == pytest.approx(value, abs=1e-3)


def test_the_reverse_solve_follows_the_forward_one_unless_told(device: torch.device) -> None:
    field, t, cost = Swing().to(device), f64([0.0, 2.0], device), {}
    for name, kwargs in {
        "loose": {"rtol": 1e-3, "atol": 1e-3},
        "rtol": {"rtol": 1e-2, "atol": 1e-13},
        "adjoint_rtol": {"rtol": 1e-2, "atol": 1e-13, "adjoint_rtol": 1e-11},
        "bosh3": {"method": "bosh3", "rtol": 1e-5, "atol": 1e-5},
        "default": {},
    }.items():
        stats = Stats()
        y = odeint(field, f64([0.8, -0.3], device), t, gradient="adjoint", stats=stats, **kwargs)  # type: ignore[arg-type]
        y[-1].sum().backward()
        cost[name] = stats
    assert cost["loose"].backward_evaluations < cost["default"].backward_evaluations / 2
    assert cost["adjoint_rtol"].backward_evaluations > 2 * cost["rtol"].backward_evaluations
    assert cost["adjoint_rtol"].evaluations == cost["rtol"].evaluations
    tried = cost["bosh3"].backward_accepted + cost["bosh3"].backward_rejected
    assert cost["bosh3"].backward_evaluations == 2 + 3 * tried


def test_stats_are_of_the_last_solve(device: torch.device) -> None:
    field, t, stats = Swing().to(device), f64([0.0, 0.5, 1.0], device, grad=True), Stats()
    for _ in range(2):
        y = odeint(field, f64([0.8, -0.3], device), t, gradient="discrete", stats=stats)
        assert stats.backward_evaluations == 0
        y.sum().backward()
        # six a step, one at each output time for its gradient, and one more at the start
        assert stats.backward_evaluations == 6 * stats.accepted + 3 + 1


def test_a_flow_solves_as_it_is_told(device: torch.device) -> None:
    x = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).to(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        field = MLPField(2, hidden=(8,)).to(device, torch.float64)
    for trace in ("closed", "exact"):
        counts = {}
        for name, kwargs in {
            "default": {},
            "tight": {"rtol": 1e-9, "atol": 1e-9},
            "rk4": {"method": "rk4", "options": {"step_size": 0.25}},
        }.items():
            stats = Stats()
            ContinuousFlow(field, 2, trace, **kwargs).log_prob(x, stats=stats)  # type: ignore[arg-type]
            counts[name] = stats.evaluations
        assert counts["default"] < counts["tight"] / 2
        assert counts["rk4"] == 16


def test_samples_are_solved_for_as_the_flow_says(device: torch.device) -> None:
    """ż = t from 0.5 to 2 moves each point by (4 − 1/4)/2; a single Euler step by 0.5 · 1.5."""

    class Drift(nn.Module):
        def forward(self, t: Tensor, z: Tensor) -> Tensor:
            return t * torch.ones_like(z)

    noise = torch.randn(3, 2, generator=torch.Generator().manual_seed(1))
    for method, move in (("dopri5", 1.875), ("euler", 0.75)):
        flow = ContinuousFlow(Drift(), 2, "exact", t0=0.5, t1=2.0, method=method)
        moved = flow.sample(3, generator=torch.Generator().manual_seed(1)) - noise
        torch.testing.assert_close(moved, torch.full((3, 2), move), atol=1e-4, rtol=0)
    assert exact_divergence(Drift(), torch.tensor(0.5), noise)[1].tolist() == [0.0, 0.0, 0.0]
