"""Poles and recorded experiments: the physics by Lagrange, the networks by the library's own sums, figures by loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import td_reference as plain
import torch
from td_reference import F64, batch, draw

from workings.temporal_difference import (
    Sequences,
    affine_form,
    controller,
    fallen,
    first_states,
    lambda_errors,
    learn_to_predict,
    play,
    present,
    push_cart,
    random_walk,
    traces,
    true_values,
)
from workings.temporal_difference.experiments import (
    FIGURE_3,
    FIGURE_4,
    FIGURE_5,
    LAMS,
    RATES,
    RECORDED,
    SETS,
    evidence,
    misfit,
    printed_points,
    replicate,
    run_experiment,
    sizes,
)
from workings.temporal_difference.pole import Networks


@pytest.mark.parametrize("name", RECORDED)
def test_small_profiles_run(name: str, device: torch.device) -> None:
    record = RECORDED[name]
    found = record["run"](0, device, **record["profiles"]["quick"])
    values = [v for column in found.values() for v in (column if isinstance(column, list) else [column])]
    assert values
    assert all(math.isfinite(v) for v in values)
    assert found == record["run"](0, device, **record["profiles"]["quick"])
    assert found != record["run"](1, device, **record["profiles"]["quick"])


# ---- Sutton's experiments ----


def test_figures_by_loops() -> None:
    """Six sets of three walks, in groups of two: every point of figures 4 and 5 against plain Python."""
    sets = [plain.walks(3, seed) for seed in (0, 1, 2, 3, 7, 15)]
    joined = batch([walk for one in sets for walk in one])
    walks = Sequences(joined.index.view(6, 3, -1), joined.lengths.view(6, 3), joined.z.view(6, 3), joined.table)
    run = run_experiment(walks, random_walk(), chunk=4)
    assert run.settled.shape == (11, 6)
    assert run.passed.shape == (11, 13, 6)
    three, four, five = run.figures(2)
    assert three.shape == five.shape == (3, 11)
    values = [k / 6 for k in range(1, 6)]

    def error(w: list[float]) -> float:
        return math.sqrt(sum((a - b) ** 2 for a, b in zip(w, values, strict=True)) / 5)

    for i in (0, 3, 10):
        for j in (0, 4, 12):
            expected = [error(plain.one_pass(one, LAMS[i], RATES[j])) for one in sets[2:4]]
            assert four[1, i, j] == pytest.approx(np.mean(expected), abs=1e-12)
        assert five[1, i] == min(four[1, i])
    np.testing.assert_allclose(three[0], run.settled[:, :2].mean(1).numpy())
    missing = [len({state for path, _ in one for state in path}) < 5 for one in sets]
    assert run.singular.tolist() == missing
    assert any(missing)
    assert not all(missing)
    settled = present(*affine_form(walks[5], 0.3), 0.05, 0.5, 4000)  # a state that is never visited keeps its one half
    assert missing[5]
    assert run.settled[3, 5].item() == pytest.approx(error(settled.tolist()), abs=1e-9)


def test_what_was_published() -> None:
    """All curves of figure 4 begin where nothing was learned; figures 4 and 5 agree at their best rates."""
    assert list(FIGURE_3) == [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]
    assert len(FIGURE_5) == len(LAMS) == 11
    assert RATES[:3] == (0, 0.05, 0.1)
    for lam, curve in FIGURE_4.items():
        assert curve[0] == pytest.approx((1 / 18) ** 0.5, abs=0.003)
        assert min(curve) == pytest.approx(FIGURE_5[LAMS.index(lam)], abs=0.002)
    assert printed_points() == {"three": [0.1893, 0.1937, 0.2465], "five": [0.114, 0.113, 0.204]}


def test_misfit_by_hand() -> None:
    """Uncorrelated: the sum of squared deviations over variances, which the reading adds to."""
    covariance = np.diag([4.0, 1.0])
    assert misfit([3.0, 1.0], np.array([1.0, 0.0]), covariance, 0.0) == pytest.approx(2.0)
    assert misfit([3.0, 1.0], np.array([1.0, 0.0]), covariance, 1.0) == pytest.approx(4 / 5 + 1 / 2)
    strong = np.array([[1.0, 0.9], [0.9, 1.0]])  # two that move together and are off in opposite directions
    assert misfit([1.0, -1.0], np.zeros(2), strong, 0.0) == pytest.approx(20.0)


def test_five_fits_and_ten_does_not(device: torch.device) -> None:
    """The printed figures against 4000 sets of each size: a preview of the record."""
    found = {k: np.array([v]) for k, v in sizes(0, device, [5, 10], 40).items()}
    five, ten = evidence(found, 5), evidence(found, 10)
    assert max(five.values()) < 7.8  # the 95th percentile for three degrees of freedom
    assert min(ten.values()) > 30
    assert found["singular"][0, 0] == pytest.approx(0.023, abs=0.01)
    assert found["singular"][0, 1] < 0.002
    assert found["worst_at_1"].tolist() == [[1, 1]]


def test_replicates_come_in_pieces(device: torch.device) -> None:
    run = replicate(2, 3, 0, device)
    assert run.settled.shape == (11, 3 * SETS)
    assert run.figures()[1].shape == (3, 11, 13)
    assert not torch.equal(run.passed[3, 4, :SETS], run.passed[3, 4, SETS : 2 * SETS])
    assert torch.equal(replicate(2, 3, 0, device).passed, run.passed)


# ---- poles ----


def lagrange(state: np.ndarray, force: float) -> np.ndarray:
    """Solve the equations of motion of a cart (1 kg) and a uniform pole (0.1 kg, 1 m) for both accelerations."""
    angle, spin, m, half = state[2], state[3], 0.1, 0.5
    inertia = m * half**2 + m * (2 * half) ** 2 / 12  # about the joint
    mass = np.array([[1.0 + m, m * half * np.cos(angle)], [m * half * np.cos(angle), inertia]])
    right = np.array([force + m * half * spin**2 * np.sin(angle), m * 9.8 * half * np.sin(angle)])
    found: np.ndarray = np.linalg.solve(mass, right)
    return found


def test_a_push_obeys_lagrange(device: torch.device) -> None:
    states = draw(6, 4) * torch.tensor([1.0, 1.0, 0.5, 2.0], dtype=F64)
    right = torch.tensor([True, False, True, True, False, False])
    after = push_cart(states.to(device), right.to(device)).cpu()
    for before, pushed, now in zip(states.numpy(), right.tolist(), after.numpy(), strict=True):
        cart, pole = lagrange(before, 10.0 if pushed else -10.0)
        expected = before + 0.02 * np.array([before[1], cart, before[3], pole])
        np.testing.assert_allclose(now, expected, atol=1e-12)


def test_a_pole_has_fallen_beyond_twelve_degrees_or_the_track() -> None:
    states = torch.zeros(5, 4, dtype=F64)
    states[1, 2], states[2, 2] = math.radians(11.9), -math.radians(12.1)
    states[3, 0], states[4, 0] = 2.41, -2.39
    assert fallen(states).tolist() == [False, False, True, True, False]


def test_poles_are_watched_until_they_fall() -> None:
    states, standing = play(first_states(50, torch.Generator().manual_seed(0)), 80, torch.Generator().manual_seed(1))
    assert states.shape == (81, 50, 4)
    assert standing.shape == (81, 50)
    assert not bool((standing[1:] & ~standing[:-1]).any())  # none stands up again
    assert bool(standing[0].float().mean() > 0.9)
    for t in range(80):
        down = ~standing[t]
        assert torch.equal(states[t + 1, down], states[t, down])
        assert not bool(fallen(states[t + 1][standing[t + 1]]).any())
        moved = states[t + 1, standing[t]]
        ways = [push_cart(states[t, standing[t]], torch.tensor(side)) for side in (True, False)]
        assert bool(((moved == ways[0]).all(1) | (moved == ways[1]).all(1)).all())
    spread = first_states(2000, torch.Generator().manual_seed(0))
    assert spread.abs().amax(0).tolist() == pytest.approx([1.0, 1.0, 0.2, 2.0], rel=0.01)


def test_the_controller_pushes_under_the_pole() -> None:
    states = torch.tensor([[0.0, 0, 0.1, 0], [0.0, 0, 0, 0], [0.0, 0, -0.1, 0], [0, 0, 0, 1.0]])
    chance = controller(states).tolist()
    assert chance == pytest.approx([1 / (1 + math.exp(-0.3)), 0.5, 1 / (1 + math.exp(0.3)), 1 / (1 + math.exp(-0.75))])
    many = torch.tensor([0.0, 0.0, 0.1, 0.5]).expand(20_000, 4)  # pushed right with probability 0.66
    states, _ = play(many, 1, torch.Generator().manual_seed(0))
    share = (states[1, :, 1] > 0).double().mean().item()
    assert share == pytest.approx(controller(many[0]).item(), abs=0.015)


def test_true_values_of_poles_that_fall_at_once_or_never() -> None:
    steep = torch.tensor([[0.0, 0.0, 0.2, 5.0], [0.0, 0.0, 0.3, 0.0]])
    found = true_values(steep, 0.9, 3, 20, torch.Generator().manual_seed(0))
    assert found.tolist() == pytest.approx([0.1, 0.0])
    upright = true_values(torch.zeros(1, 4), 0.9, 3, 4, torch.Generator().manual_seed(0))
    assert upright.tolist() == pytest.approx([1 - 0.9**4])  # nothing falls within four steps


def test_errors_are_what_td_moves_a_prediction_by() -> None:
    """Times the slopes, summed over steps, they are the change of a sequence by traces: the exchange of sums."""
    p, slopes, rewards, gamma, lam = draw(6), draw(6, 3, seed=1), draw(6, seed=2), 0.9, 0.7
    after = torch.cat((p[1:], torch.zeros(1, dtype=F64)))
    errors = lambda_errors(p, after, rewards, torch.ones(6, dtype=torch.bool), gamma, lam)
    delta = rewards + gamma * after - p
    expected = (delta[:, None] * traces(slopes, gamma * lam)).sum(0)
    torch.testing.assert_close((errors[:, None] * slopes).sum(0), expected)
    on = torch.tensor([True, True, True, False, False, False])
    short = lambda_errors(p, after, rewards, on, gamma, lam)
    assert not bool(short[3:].any())
    first = sum((gamma * lam) ** k * delta[k].item() for k in range(3))
    assert short[0].item() == pytest.approx(first)
    both = lambda_errors(p[:, None], after[:, None], rewards[:, None], on[:, None], gamma, torch.tensor([0.0, lam]))
    torch.testing.assert_close(both[:, 1], short, atol=1e-6, rtol=0)


def test_networks_side_by_side_are_each_a_network() -> None:
    networks = Networks(3, 5, torch.Generator().manual_seed(0))
    assert networks(draw(2, 4)).tolist() == [[0.5] * 3] * 2  # they begin with the same guess
    with torch.no_grad():
        for i, weight in enumerate(networks.weights):
            weight.copy_(draw(*weight.shape, seed=i))
    x, (w, c, v, b) = draw(7, 4), networks.weights
    found = networks(x)
    assert found.shape == (7, 3)
    scaled = x / torch.tensor([1.0, 1.0, 0.1, 1.0], dtype=F64)
    for k in range(3):
        one = torch.tanh(scaled @ w[k] + c[k]) @ v[k] + b[k]
        torch.testing.assert_close(found[:, k], one[:, 0], atol=1e-6, rtol=1e-6)


def test_the_first_step_of_learning_is_td() -> None:
    """One step of Adam goes by the rate in the direction of the sign of TD's change; worked out from traces."""
    seed, gamma, lam, lr = 3, 0.97, 0.6, 1e-3
    judged = first_states(1, torch.Generator().manual_seed(9))
    p = learn_to_predict([lam], judged, poles=4, presentations=1, every=1, gamma=gamma, lr=lr, width=5,
                         generator=torch.Generator().manual_seed(seed))  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    networks = Networks(1, 5, generator)
    states, standing = play(first_states(4, generator), 300, generator)
    change = [torch.zeros_like(weight) for weight in networks.weights]
    for i in range(4):
        steps = int(standing[:-1, i].sum())
        made, slopes = [], []
        for t in range(steps + 1):
            value = networks(states[t, i][None])[0, 0]
            made.append(value.item() if bool(standing[t, i]) else 0.0)
            slopes.append(torch.autograd.grad(value, networks.weights))
        trace = [torch.zeros_like(weight) for weight in networks.weights]
        for t in range(steps):
            trace = [gamma * lam * e + s for e, s in zip(trace, slopes[t], strict=True)]
            delta = (1 - gamma) + gamma * made[t + 1] - made[t]
            change = [c + delta * e for c, e in zip(change, trace, strict=True)]
    with torch.no_grad():
        for weight, one in zip(networks.weights, change, strict=True):
            weight.add_(lr * one.sign() * (one.abs() > 1e-9))
    torch.testing.assert_close(p[0, 0], networks(judged)[:, 0].detach(), atol=1e-6, rtol=0)


def test_learning_goes_on_and_is_asked_for_now_and_then() -> None:
    judged = first_states(3, torch.Generator().manual_seed(0))
    p = learn_to_predict([0.3, 1.0], judged, poles=5, presentations=6, every=2,
                         generator=torch.Generator().manual_seed(0))  # fmt: skip
    assert p.shape == (3, 2, 3)
    assert (p[0] - p[1]).abs().max().item() > 1e-4
    with pytest.raises(ValueError, match="every is 7; it must lie in 1 to"):
        learn_to_predict([0.3], judged, presentations=6, every=7)
