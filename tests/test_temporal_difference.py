"""Sequences, chains and single updates, against plain Python, fractions and finite differences."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import td_reference as plain
import torch
from td_reference import F64, batch, draw, uneven
from torch import Tensor, nn

from workings.temporal_difference import (
    TD,
    Chain,
    Sequences,
    maximum_likelihood,
    predictions,
    random_walk,
    supervised_increments,
    td_increments,
    traces,
)


class Crooked(nn.Module):
    """A predictor that is not linear in its weights: tanh and a square."""

    def __init__(self, d: int = 3) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.linspace(-0.5, 0.7, d, dtype=F64))
        self.second = nn.Parameter(torch.linspace(0.4, -0.3, d, dtype=F64))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.first) + (x @ self.second) ** 2


# ---- sequences ----


def test_a_batch_from_a_list_is_what_was_given(device: torch.device) -> None:
    lists = [draw(4, 3).to(device), draw(1, 3, seed=1).to(device), draw(2, 3, seed=2).to(device)]
    made = Sequences.of(lists, [1.0, 0.0, 0.5])
    assert made.shape == (3,)
    assert made.lengths.tolist() == [4, 1, 2]
    assert made.z.tolist() == [1.0, 0.0, 0.5]
    for one, x, length in zip(lists, made.x, made.lengths.tolist(), strict=True):
        assert torch.equal(x[:length], one)
        assert not bool(x[length:].any())
    assert made[1:].z.tolist() == [0.0, 0.5]
    assert made.with_outcomes(0.25).z.tolist() == [0.25] * 3
    assert torch.equal(made.with_outcomes(0.25).x, made.x)
    assert made.to("cpu").z.device.type == "cpu"


def test_equal_observations_share_a_row_and_unit_vectors_keep_their_order() -> None:
    eye = torch.eye(4, dtype=F64)
    made = Sequences.of([eye[[1, 2, 1]], eye[[3, 0]]], [0.0, 1.0])
    assert torch.equal(made.table, eye)
    assert made.index.tolist() == [[1, 2, 1], [3, 0, 0]]
    assert made.visits().tolist() == [[0, 2, 1, 0], [1, 0, 0, 1]]


# ---- chains ----


def test_facts_of_the_random_walk_by_fractions(device: torch.device) -> None:
    """Values k/6, visits 1 2 3 2 1, nine steps on average with variance 48; a skewed walk by exact elimination."""
    chain = random_walk().to(device)
    torch.testing.assert_close(chain.values().cpu(), torch.arange(1, 6, dtype=F64) / 6)
    torch.testing.assert_close(chain.visits().cpu(), torch.tensor([1.0, 2, 3, 2, 1], dtype=F64))
    mean, variance = chain.lengths()
    torch.testing.assert_close(mean.cpu(), torch.tensor([5.0, 8, 9, 8, 5], dtype=F64))
    assert variance[2].item() == pytest.approx(48)
    right = Fraction(3, 10)
    matrix = [[Fraction(int(i == j)) - (right if j == i + 1 else 1 - right if j == i - 1 else 0) for j in range(7)]
              for i in range(7)]  # fmt: skip
    skewed = random_walk(7, 0.3)
    values = plain.solve(matrix, [Fraction(0)] * 6 + [right])
    assert skewed.values().tolist() == pytest.approx([float(v) for v in values], abs=1e-12)
    transposed = [[matrix[j][i] for j in range(7)] for i in range(7)]
    visits = plain.solve(transposed, [Fraction(int(i == 3)) for i in range(7)])
    assert skewed.visits().tolist() == pytest.approx([float(v) for v in visits], abs=1e-12)


def test_facts_of_an_uneven_chain_by_adding_up_its_steps() -> None:
    """Powers of Q are summed until nothing is left: no inverse."""
    chain = uneven()
    q, r, z = chain.Q.numpy(), chain.R.numpy(), chain.z.numpy()
    power, absorbed, square, visits = np.eye(3), np.zeros((3, 3)), np.zeros(3), np.zeros(3)
    mean, second = np.zeros(3), np.zeros(3)
    for step in range(1, 400):
        absorbed += power @ r
        square += power @ r @ z**2
        visits += chain.start.numpy() @ power
        mean += step * power @ r.sum(1)
        second += step**2 * power @ r.sum(1)
        power = power @ q
    np.testing.assert_allclose(chain.absorption().numpy(), absorbed, atol=1e-12)
    np.testing.assert_allclose(chain.values().numpy(), absorbed @ z, atol=1e-12)
    np.testing.assert_allclose(chain.variances().numpy(), square - (absorbed @ z) ** 2, atol=1e-12)
    np.testing.assert_allclose(chain.visits().numpy(), visits, atol=1e-12)
    lengths = chain.lengths()
    np.testing.assert_allclose(lengths[0].numpy(), mean, atol=1e-12)
    np.testing.assert_allclose(lengths[1].numpy(), second - mean**2, atol=1e-10)


def test_walks_follow_the_chain() -> None:
    """Frequencies of first states, steps and ends are within five standard errors of the probabilities."""
    chain, count = uneven(), 20_000
    walks = chain.sample(count, generator=torch.Generator().manual_seed(3))
    assert walks.shape == (count,)
    found = maximum_likelihood(walks)
    seen = walks.visits().sum(0).double()
    for ours, true, times in ((found.Q, chain.Q, seen[:, None]), (found.R, chain.R, seen[:, None]),
                              (found.start, chain.start, torch.tensor(float(count)))):  # fmt: skip
        off = (ours - true).abs() / (true * (1 - true) / times).sqrt().clamp(min=1e-12)
        assert off[true > 0].max().item() < 5
        assert not bool(ours[true == 0].any())
    assert (seen / count - chain.visits()).abs().max().item() < 0.05
    assert walks.lengths.double().mean().item() == pytest.approx((chain.start @ chain.lengths()[0]).item(), rel=0.03)
    assert set(walks.z.tolist()) == {-1.0, 0.5, 2.0}


def test_walks_are_those_of_the_generator() -> None:
    chain = random_walk()
    first, second = (chain.sample(3, 4, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert first.shape == (3, 4)
    assert torch.equal(first.index, second.index)
    assert torch.equal(first.z, second.z)
    other = chain.sample(3, 4, generator=torch.Generator().manual_seed(2))
    assert other.lengths.tolist() != first.lengths.tolist()
    torch.manual_seed(0)
    assert chain.sample().shape == ()
    steps = (first.index[..., 1:] - first.index[..., :-1]).abs()
    assert bool((steps[first.mask[..., 1:]] == 1).all())
    last = first.index.gather(-1, first.lengths[..., None] - 1)[..., 0]
    assert torch.equal(last, torch.where(first.z == 1, 4, 0))


def test_the_likeliest_chain_by_counting() -> None:
    walks = [([2, 3, 2, 1, 0], 0.0), ([2, 3, 4], 1.0), ([2, 1, 2, 3, 4], 1.0)]
    chain = maximum_likelihood(batch(walks))
    expected = torch.zeros(5, 5, dtype=F64)
    expected[0] = 0
    expected[1, 0], expected[1, 2] = 0.5, 0.5
    expected[2, 1], expected[2, 3] = 0.4, 0.6
    expected[3, 2], expected[3, 4] = 1 / 3, 2 / 3
    torch.testing.assert_close(chain.Q, expected)
    assert chain.R.tolist() == [[1, 0], [0, 0], [0, 0], [0, 0], [0, 1]]
    assert chain.start.tolist() == [0, 0, 1, 0, 0]


# ---- single updates ----


def test_slopes_of_any_predictor_by_finite_differences() -> None:
    net, x, h = Crooked(), draw(4, 3), 1e-6
    p, slopes = predictions(net, x)
    assert p.tolist() == pytest.approx(net(x).tolist())
    flat = torch.cat([q.detach().flatten() for q in net.parameters()])

    def at(values: Tensor) -> Tensor:
        made = Crooked()
        with torch.no_grad():
            made.first.copy_(values[:3]), made.second.copy_(values[3:])
            found: Tensor = made(x)
            return found

    for i in range(6):
        step = torch.zeros(6, dtype=F64)
        step[i] = h
        difference = (at(flat + step) - at(flat - step)) / (2 * h)
        torch.testing.assert_close(slopes[:, i], difference, atol=1e-8, rtol=0)


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_traces_are_the_sum_of_faded_slopes(lam: float) -> None:
    slopes = draw(2, 6, 3)
    found = traces(slopes, lam)
    for t in range(6):
        summed = sum(lam ** (t - k) * slopes[:, k] for k in range(t + 1))
        torch.testing.assert_close(found[:, t], summed, atol=1e-14, rtol=0)


@pytest.mark.parametrize("kind", ["linear", "crooked"])
def test_td_of_one_is_supervised_learning_per_sequence_and_not_per_step(kind: str) -> None:
    """Theorem 1, also for a predictor that is not linear; single steps differ by a lot (audit 08.E3)."""
    x, z = draw(6, 3, seed=4), 0.7
    p, slopes = predictions(Crooked(), x) if kind == "crooked" else (x @ draw(3), x)
    ours, other = td_increments(p, slopes, z, 1.0), supervised_increments(p, slopes, z)
    torch.testing.assert_close(ours.sum(0), other.sum(0), atol=1e-12, rtol=0)
    assert (ours - other).abs().max().item() > 0.1
    assert (td_increments(p, slopes, z, 0.5).sum(0) - other.sum(0)).abs().max().item() > 0.05


def test_supervised_increments_are_half_the_slope_of_the_squared_error() -> None:
    net, x, z = Crooked(), draw(6, 3), 0.7
    (z - net(x)).square().sum().backward()
    slope = torch.cat([q.grad.flatten() for q in net.parameters() if q.grad is not None])
    torch.testing.assert_close(supervised_increments(*predictions(net, x), z).sum(0), -slope / 2)


def test_only_the_last_step_knows_the_outcome() -> None:
    """Audit 08.C6: with z one higher the last step is longer by the summed slopes, the others are what they were."""
    x = draw(6, 3)
    p = x @ draw(3, seed=1)
    moved = td_increments(p, x, 1.7, 1.0) - td_increments(p, x, 0.7, 1.0)
    assert not bool(moved[:-1].any())
    torch.testing.assert_close(moved[-1], x.sum(0))
    assert (supervised_increments(p, x, 1.7) - supervised_increments(p, x, 0.7)).abs().amax(1).min().item() > 0.01


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_td_by_the_double_sum(lam: float) -> None:
    for walk in plain.walks(5, seed=1):
        v = [0.1, 0.5, 0.2, 0.9, 0.4]
        x = torch.eye(5, dtype=F64)[walk[0]]
        ours = td_increments(x @ torch.tensor(v, dtype=F64), x, walk[1], lam).sum(0)
        assert ours.tolist() == pytest.approx(plain.change(walk, v, lam), abs=1e-12)
    path, w = plain.walks(1, seed=2)[0][0], [Fraction(i, 7) for i in range(5)]
    exact: Any = (path, Fraction(1))  # theorem 1, without rounding
    assert plain.change(exact, w, Fraction(1)) == plain.supervised(exact, w)


# ---- one observation at a time ----


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_the_incremental_learner_does_what_the_sums_say(lam: float) -> None:
    """Twice, so that traces and sums must have been cleared in between."""
    net, alpha = Crooked(), 0.1
    learner = TD(net, alpha, lam)
    for seed, z in ((0, 0.7), (1, -0.2)):
        x, before = draw(6, 3, seed=seed), torch.cat([q.detach().flatten() for q in net.parameters()])
        expected = before + alpha * td_increments(*predictions(net, x), z, lam).sum(0)
        for one in x:
            learner.observe(one)
        assert torch.equal(torch.cat([q.detach().flatten() for q in net.parameters()]), before)
        learner.end(z)
        torch.testing.assert_close(torch.cat([q.detach().flatten() for q in net.parameters()]), expected)


def test_at_once_differs_from_per_sequence_by_the_square_of_the_rate() -> None:
    """Audit 08.C1 and C7: the gap over α² is the same at all small rates."""
    x, gaps = draw(6, 3), []
    for alpha in (0.02, 0.01, 0.005):
        ends = []
        for online in (False, True):
            net = Crooked()
            learner = TD(net, alpha, 1.0, online=online)
            for one in x:
                learner.observe(one)
            learner.end(0.7)
            ends.append(torch.cat([q.detach().flatten() for q in net.parameters()]))
        gaps.append((ends[0] - ends[1]).norm().item() / alpha**2)
    assert gaps[0] > 0.1
    assert gaps == pytest.approx([gaps[-1]] * 3, rel=0.2)


def test_at_once_both_predictions_are_made_with_the_same_weights() -> None:
    """By hand, for a linear predictor and λ = 0, on one state seen twice and then another."""
    net = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[0.0, 0.8]]))
    learner = TD(net, 0.5, 0.0, online=True)
    for state in (0, 1, 0):
        learner.observe(torch.eye(2, dtype=F64)[state])
    # 0 → 1: w0 = 0 + ½ (0.8 - 0) = 0.4; 1 → 0: w1 = 0.8 + ½ (0.4 - 0.8) = 0.6; 0 → end: w0 = 0.4 + ½ (1 - 0.4) = 0.7
    learner.end(1.0)
    assert net.weight.tolist() == [[pytest.approx(0.7), pytest.approx(0.6)]]


def test_rewards_and_a_discount() -> None:
    """Of TD(1): per sequence it is supervised learning of the discounted sums of rewards."""
    net, x, alpha, gamma, rewards = Crooked(), draw(4, 3), 0.1, 0.9, [1.0, -0.5, 2.0, 0.3]
    returns = [sum(gamma ** (k - t) * rewards[k] for k in range(t, 4)) for t in range(4)]
    p, slopes = predictions(net, x)
    before = torch.cat([q.detach().flatten() for q in net.parameters()])
    expected = before + alpha * ((torch.tensor(returns, dtype=F64) - p)[:, None] * slopes).sum(0)
    learner = TD(net, alpha, 1.0, gamma)
    learner.observe(x[0])
    for one, reward in zip(x[1:], rewards[:3], strict=True):
        learner.observe(one, reward)
    learner.end(rewards[3])
    torch.testing.assert_close(torch.cat([q.detach().flatten() for q in net.parameters()]), expected)


# ---- bad input ----

WALK, EYE = batch([([2, 1, 0], 0.0)]), torch.eye(2)
HALF, ENDS = torch.full((2, 1), 0.5), torch.tensor([1.0])
BAD: dict[str, tuple[Any, str]] = {
    "table": (lambda: Sequences(WALK.index, WALK.lengths, WALK.z, torch.ones(5)), r"table has shape \(5,\)"),
    "lengths": (lambda: Sequences(WALK.index, torch.ones(2), WALK.z, EYE), r"must have shape \(1,\).*\(2,\)"),
    "z": (lambda: Sequences(WALK.index, WALK.lengths, torch.ones(2), EYE), r"must have shape \(1,\).*\(2,\)"),
    "long": (lambda: Sequences(WALK.index, torch.tensor([4]), WALK.z, EYE), "from 4 to 4; for 3 columns"),
    "short": (lambda: Sequences(WALK.index, torch.tensor([0]), WALK.z, EYE), "from 0 to 0; for 3 columns"),
    "index": (lambda: Sequences(WALK.index, WALK.lengths, WALK.z, EYE), "from 0 to 2; the table has rows 0 to 1"),
    "none": (lambda: Sequences.of([], []), "got 0 sequences and 0 outcomes"),
    "outcomes": (lambda: Sequences.of([EYE], [1.0, 2.0]), "got 1 sequences and 2 outcomes"),
    "empty": (lambda: Sequences.of([EYE, torch.ones(0, 2)], [1.0, 2.0]), r"\(0, 2\)\]; each must be"),
    "widths": (lambda: Sequences.of([EYE, torch.ones(1, 3)], [1.0, 2.0]), r"\(1, 3\)\]; each must be"),
    "R": (lambda: Chain(0.5 * EYE, torch.ones(2, 2), ENDS, HALF[:, 0], EYE), r"R has shape \(2, 2\).*\(2, 1\)"),
    "start": (lambda: Chain(0.5 * EYE, HALF, ENDS, torch.ones(2), EYE), r"start must be.*sums are \[2.0\]"),
    "rows": (lambda: Chain(0.6 * EYE, HALF, ENDS, HALF[:, 0], EYE), "Q and R must be probabilities"),
    "negative": (lambda: Chain(1.5 * EYE, -HALF, ENDS, HALF[:, 0], EYE), "Q and R must be probabilities"),
    "stuck": (lambda: Chain(EYE, 0 * HALF, ENDS, HALF[:, 0], EYE), r"states \[0, 1\] no end"),
    "even": (lambda: random_walk(4), "n is 4; .*odd"),
    "right": (lambda: random_walk(3, 1.5), "right is 1.5"),
    "batch": (lambda: maximum_likelihood(random_walk().sample(2, 3)), r"batch shape \(2, 3\)"),
    "unseen": (lambda: maximum_likelihood(WALK), r"states \[3, 4\] are never visited"),
    "slopes": (lambda: td_increments(torch.ones(3), torch.ones(2, 3), 1.0, 0.5), r"slopes have shape \(2, 3\)"),
    "slopes too": (lambda: supervised_increments(torch.ones(3), torch.ones(3), 1.0), r"slopes have shape \(3,\)"),
    "two numbers": (lambda: predictions(nn.Linear(2, 2), EYE), r"net gives \(2,\) for one observation"),
    "alpha": (lambda: TD(nn.Linear(2, 1), -0.1, 0.5), "alpha must not be negative.*-0.1"),
    "lam": (lambda: TD(nn.Linear(2, 1), 0.1, 1.5), "lam and gamma lie in 0 to 1.*1.5"),
    "gamma": (lambda: TD(nn.Linear(2, 1), 0.1, 0.5, 2.0), "lam and gamma lie in 0 to 1.* 2.0"),
    "end": (lambda: TD(nn.Linear(2, 1), 0.1, 0.5).end(1.0), "before any observe"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()
