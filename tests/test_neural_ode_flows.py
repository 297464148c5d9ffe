"""Flows: traces against Jacobians, densities against exact ones."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from workings.neural_ode import (
    ContinuousFlow,
    MLPField,
    Stats,
    exact_divergence,
    hutchinson_divergence,
    standard_normal_log_prob,
    trace_noise,
)

GRADIENTS = ("backprop", "discrete", "adjoint")


class Linear(nn.Module):
    """f = A z + t b, whose flow is known."""

    def __init__(self, A: list[list[float]], b: list[float]) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.tensor(A, dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor(b, dtype=torch.float64))

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        return z @ self.A.T + t * self.b

    def divergence(self, t: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        return self(t, z), self.A.trace().expand(z.shape[:-1])


def mlp(dim: int, hidden: tuple[int, ...], device: torch.device, scale: float = 1.5) -> MLPField:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        field = MLPField(dim, hidden)
    with torch.no_grad():
        for p in field.parameters():
            p.mul_(scale)
    return field.to(device, torch.float64)


def points(*shape: int, device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(device)


# ---- densities ----


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("trace", ["closed", "exact", "hutchinson"])
def test_sign_of_the_trace(trace: str, gradient: str, device: torch.device) -> None:
    """f = a z: d/da of -log p(1.3) at a = 0.5 is 0.37828; with the sign of the trace flipped -1.62172."""
    field = Linear([[0.5]], [0.0]).to(device)
    flow = ContinuousFlow(field, 1, trace, gradient=gradient, rtol=1e-9, atol=1e-9)
    x = torch.tensor([[1.3]], dtype=torch.float64, device=device)
    loss = -flow.log_prob(x).sum()
    assert loss.item() == pytest.approx(0.5 * math.log(2 * math.pi) + 0.5 + (1.3 * math.exp(-0.5)) ** 2 / 2, abs=1e-8)
    loss.backward()
    assert field.A.grad is not None
    assert field.A.grad.item() == pytest.approx(1 - 1.3**2 * math.exp(-1.0), abs=1e-7)
    assert field.A.grad.item() == pytest.approx(0.37828, abs=1e-5)


@pytest.mark.parametrize("trace", ["closed", "exact"])
@pytest.mark.parametrize(("t0", "t1"), [(0.0, 1.0), (0.5, 2.0), (1.0, 0.0)])
def test_linear_flow_is_the_exact_gaussian(t0: float, t1: float, trace: str, device: torch.device) -> None:
    A, b = [[0.3, -0.8], [0.5, 0.4]], [0.6, -0.2]
    flow = ContinuousFlow(Linear(A, b).to(device), 2, trace, t0=t0, t1=t1, rtol=1e-9, atol=1e-9)
    M = torch.zeros(4, 4, dtype=torch.float64)  # of (z, t, 1): ż = A z + b t
    M[:2, :2], M[:2, 2], M[2, 3] = torch.tensor(A), torch.tensor(b), 1.0
    E = torch.matrix_exp(M * (t1 - t0))
    mean, scale = E[:2, 2] * t0 + E[:2, 3], E[:2, :2]
    exact = torch.distributions.MultivariateNormal(mean, scale @ scale.T)
    x = points(3, 5, 2, device=device)
    log_prob = flow.log_prob(x)
    assert log_prob.shape == (3, 5)
    torch.testing.assert_close(log_prob.cpu(), exact.log_prob(x.cpu()), atol=1e-7, rtol=0)


@pytest.mark.parametrize("dim", [1, 2])
def test_density_is_normalized(dim: int, device: torch.device) -> None:
    flow = ContinuousFlow(mlp(dim, (16, 16), device), dim, rtol=1e-6, atol=1e-6)
    grid = torch.linspace(-9, 9, 241, dtype=torch.float64, device=device)
    x = torch.cartesian_prod(*[grid] * dim).view(-1, dim)
    with torch.no_grad():
        density = flow.log_prob(x).exp()
    mass = density.sum().item() * (grid[1] - grid[0]).item() ** dim
    assert mass == pytest.approx(1, abs=1e-4)
    assert (density.view([241] * dim) - standard_normal_log_prob(x).exp().view([241] * dim)).abs().max() > 0.01


def test_samples_follow_the_density(device: torch.device) -> None:
    """Carried back, samples are the noise they came from; and the log density of each is what the flow made of it."""
    flow = ContinuousFlow(mlp(2, (16, 16), device), 2, rtol=1e-9, atol=1e-9)
    x = flow.sample((2, 3), generator=torch.Generator().manual_seed(3))
    z = torch.randn(2, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).to(device)
    assert x.shape == (2, 3, 2)
    assert not x.requires_grad
    jacobian = torch.stack([torch.autograd.functional.jacobian(lambda z: carry(flow, z), row) for row in z.view(-1, 2)])
    torch.testing.assert_close(carry(flow, z), x, atol=1e-8, rtol=0)
    expected = standard_normal_log_prob(z.view(-1, 2)) - torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(flow.log_prob(x).view(-1), expected, atol=1e-6, rtol=0)
    assert flow.sample(4).shape == (4, 2)


def carry(flow: ContinuousFlow, z: Tensor) -> Tensor:
    """z carried from noise to data by classical Runge–Kutta steps, written here again."""
    n = 80
    h = 1 / n
    for i in range(n):
        t = [z.new_tensor(i * h + c * h) for c in (0, 0.5, 1)]
        k1 = flow.field(t[0], z)
        k2 = flow.field(t[1], z + h / 2 * k1)
        k3 = flow.field(t[1], z + h / 2 * k2)
        k4 = flow.field(t[2], z + h * k3)
        z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return z


# ---- traces ----


@pytest.mark.parametrize("hidden", [(5,), (5, 7)])
@pytest.mark.parametrize("dim", [1, 3])
def test_divergence_is_the_trace_of_the_jacobian(dim: int, hidden: tuple[int, ...], device: torch.device) -> None:
    field, z = mlp(dim, hidden, device), points(2, 4, dim, device=device)
    t = torch.tensor(0.7, dtype=torch.float64, device=device)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda z: field(t, z)))(z.view(-1, dim))
    expected = jacobian.diagonal(dim1=-2, dim2=-1).sum(-1).view(2, 4)
    for f, trace in (field.divergence(t, z), exact_divergence(field, t, z)):
        torch.testing.assert_close(f, field(t, z), atol=1e-14, rtol=0)
        torch.testing.assert_close(trace, expected, atol=1e-13, rtol=1e-12)


def test_field_depends_on_time_as_on_an_input(device: torch.device) -> None:
    """The first layer sees (z, t): the same network written with one matrix."""
    field, z, t = (
        mlp(2, (6, 5), device),
        points(4, 2, device=device),
        torch.tensor(0.3, dtype=torch.float64, device=device),
    )
    first, second, third = field.layers
    W = torch.cat([first.weight, field.time[:, None]], 1)
    x = torch.cat([z, t.expand(4, 1)], 1)
    by_hand = third(torch.tanh(second(torch.tanh(x @ W.T + first.bias))))
    torch.testing.assert_close(field(t, z), by_hand, atol=1e-14, rtol=0)


def test_time_starts_as_a_weight_among_the_others() -> None:
    """As in a linear layer of dim + 1 inputs: uniform within 1/√(dim + 1)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        time = MLPField(3, hidden=(10_000,)).time
    assert 0.499 < time.abs().max().item() <= 0.5


@pytest.mark.parametrize("kind", ["rademacher", "gaussian"])
def test_hutchinson_is_unbiased_and_noise_is_drawn_as_said(kind: str, device: torch.device) -> None:
    field = Linear([[0.4, 2.0], [-1.0, 0.3]], [0.0, 0.0]).to(device)
    z, t = torch.zeros(100_000, 2, dtype=torch.float64, device=device), torch.tensor(0.0, device=device)
    noise = trace_noise(kind, z, torch.Generator().manual_seed(4))
    assert torch.equal(noise, trace_noise(kind, z, torch.Generator().manual_seed(4)))
    _, estimate = hutchinson_divergence(field, t, z, noise)
    # e'Je: variance (1.0)² for signs (off-diagonal sum 1), 2|S|² with S the symmetric part for the normal
    variance = 1.0 if kind == "rademacher" else 2 * (0.16 + 0.09 + 2 * 0.25)
    assert estimate.mean().item() == pytest.approx(0.7, abs=5 * math.sqrt(variance / 1e5))
    assert estimate.var().item() == pytest.approx(variance, rel=0.03)


def test_noise_is_drawn_once_a_solve(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """One draw for all evaluations, or the integrand would be noise in time and no solver could follow it."""
    import workings.neural_ode.flows as flows

    draws: list[Tensor] = []

    def spy(*args: Any) -> Tensor:
        draws.append(trace_noise(*args))
        return draws[-1]

    monkeypatch.setattr(flows, "trace_noise", spy)
    flow, x = ContinuousFlow(mlp(3, (8, 8), device), 3, "hutchinson"), points(5, 3, device=device)
    a = flow.log_prob(x, generator=torch.Generator().manual_seed(5))
    assert len(draws) == 1
    assert draws[0].shape == x.shape
    b = flow.log_prob(x, generator=torch.Generator().manual_seed(5))
    c = flow.log_prob(x, generator=torch.Generator().manual_seed(6))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_hutchinson_is_right_on_average(device: torch.device) -> None:
    field, x = mlp(3, (8, 8), device), points(1, 3, device=device).expand(4000, 3)
    exact = ContinuousFlow(field, 3, rtol=1e-6, atol=1e-6).log_prob(x[:1])
    estimates = ContinuousFlow(field, 3, "hutchinson").log_prob(x, generator=torch.Generator().manual_seed(7))
    error = (estimates.mean() - exact).abs().item()
    assert error < 5 * estimates.std().item() / math.sqrt(4000)
    assert estimates.std().item() > 0.01


@pytest.mark.parametrize("trace", ["closed", "exact", "hutchinson"])
def test_gradients_of_the_likelihood_agree(trace: str, device: torch.device) -> None:
    """All three gradients of the mean log-likelihood, of a field with every parameter in play, in float64."""
    found = []
    for gradient in GRADIENTS:
        field = mlp(2, (6, 5), device, scale=1.2)
        flow = ContinuousFlow(field, 2, trace, gradient=gradient, rtol=1e-9, atol=1e-9)
        loss = flow.log_prob(points(4, 2, device=device), generator=torch.Generator().manual_seed(8)).mean()
        found.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(field.parameters()))]))
    assert found[0].abs().max() > 0.01
    torch.testing.assert_close(found[1], found[0], atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(found[2], found[0], atol=1e-7, rtol=1e-6)


def test_training_lowers_the_loss_and_counts(device: torch.device) -> None:
    """A few steps of Adam towards a shifted, narrow normal, in float32."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        flow = ContinuousFlow(MLPField(2, hidden=(16,)), 2).to(device)
    generator = torch.Generator().manual_seed(9)
    x = (torch.randn(128, 2, generator=generator) * 0.4 + torch.tensor([1.5, -1.0])).to(device)
    optimizer, losses, stats = torch.optim.Adam(flow.parameters(), lr=0.05), [], Stats()
    for _ in range(40):
        optimizer.zero_grad()
        loss = -flow.log_prob(x, stats=stats).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert stats.evaluations > 6
    assert stats.backward_evaluations > 6
    entropy = math.log(2 * math.pi * math.e) + 2 * math.log(0.4)
    assert losses[0] > entropy + 1.5
    assert losses[-1] < entropy + 0.3
