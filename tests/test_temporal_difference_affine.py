"""Whole experiments at once, limits and exact moments, against loops, fractions and enumeration."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import td_reference as plain
import torch
from td_reference import F64, batch, draw, uneven
from torch import Tensor

from workings.temporal_difference import (
    Sequences,
    affine_form,
    backward_pass,
    limit,
    maximum_likelihood,
    mean_square_error,
    one_pass,
    present,
    random_walk,
    rms_error,
    supervised_increments,
    td_increments,
    update_moments,
    weight_moments,
)

LAMS = torch.tensor([0.0, 0.3, 0.8, 1.0], dtype=F64)
RATES = torch.tensor([0.0, 0.1, 0.35], dtype=F64)


@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0])
def test_the_affine_form_is_the_sum_of_increments(lam: float, device: torch.device) -> None:
    """For features that are no unit vectors, sequences of different lengths in no order, any batch shape, any w."""
    lists = [draw(m, 3, seed=m).to(device) for m in (4, 1, 7, 2, 7, 3)]
    sequences, w = Sequences.of(lists, [0.3, -1.0, 2.0, 0.0, 0.5, 1.0]), draw(3, seed=9).to(device)
    a, b = affine_form(sequences, lam)
    assert a.shape == (6, 3, 3)
    for i, x in enumerate(lists):
        expected = td_increments(x @ w, x, sequences.z[i], lam).sum(0)
        torch.testing.assert_close(b[i] - a[i] @ w, expected, atol=1e-12, rtol=0)
    square = Sequences(sequences.index.view(2, 3, -1), sequences.lengths.view(2, 3), sequences.z.view(2, 3),
                       sequences.table)  # fmt: skip
    both = affine_form(square, torch.tensor([[0.9], [lam]], dtype=F64))
    assert both[0].shape == (2, 1, 2, 3, 3, 3)
    torch.testing.assert_close(both[0][1, 0].reshape(6, 3, 3), a)
    torch.testing.assert_close(both[1][1, 0].reshape(6, 3), b)


def test_theorem_one_per_sequence() -> None:
    """TD(1) makes the changes of Widrow and Hoff on a thousand walks, within 1e-12 each; TD(0.9) does not."""
    walks, w = random_walk().sample(1000, generator=torch.Generator().manual_seed(0)), draw(5)
    gaps = []
    for lam in (1.0, 0.9):
        a, b = affine_form(walks, lam)
        ours = b - a @ w
        x = walks.x
        other = (supervised_increments(x @ w, x, walks.z) * walks.mask[..., None]).sum(1)
        gaps.append((ours - other).abs().max().item())
    assert gaps[0] < 1e-12
    assert gaps[1] > 1


def test_one_pass_is_the_loop(device: torch.device) -> None:
    sets = [plain.walks(10, seed) for seed in range(4)]
    joined = batch([walk for one in sets for walk in one]).to(device)
    grid = Sequences(joined.index.view(4, 10, -1), joined.lengths.view(4, 10), joined.z.view(4, 10), joined.table)
    w = one_pass(*affine_form(grid, LAMS.to(device)), RATES.to(device), start=0.5)
    assert w.shape == (4, 4, 3, 5)
    for i, lam in enumerate(LAMS.tolist()):
        for s, one in enumerate(sets):
            for j, rate in enumerate(RATES.tolist()):
                assert w[i, s, j].tolist() == pytest.approx(plain.one_pass(one, lam, rate), abs=1e-12)
    alone = one_pass(*affine_form(grid[0], 0.3), 0.1, start=torch.full((5,), 0.5, dtype=F64, device=device))
    torch.testing.assert_close(alone, w[1, 0, 1])
    assert one_pass(*affine_form(grid, 0.3), RATES[:, None].to(device)).shape == (4, 3, 1, 5)


def test_float32_gives_the_same_to_its_digits() -> None:
    walks = random_walk().sample(20, 10, generator=torch.Generator().manual_seed(0))
    single = Sequences(walks.index, walks.lengths, walks.z.float(), walks.table.float())
    found = one_pass(*affine_form(single, 0.5), 0.2, 0.5)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), one_pass(*affine_form(walks, 0.5), 0.2, 0.5), atol=1e-5, rtol=0)


@pytest.mark.parametrize("lam", [0.0, 0.6])
def test_the_backward_pass_is_the_loop(lam: float) -> None:
    sets = [plain.walks(6, seed) for seed in range(3)]
    joined = batch([walk for one in sets for walk in one])
    grid = Sequences(joined.index.view(3, 6, -1), joined.lengths.view(3, 6), joined.z.view(3, 6), joined.table)
    w = backward_pass(grid, torch.tensor([lam, 0.2], dtype=F64), RATES, start=0.5)
    assert w.shape == (2, 3, 3, 5)
    for s, one in enumerate(sets):
        for j, rate in enumerate(RATES.tolist()):
            assert w[0, s, j].tolist() == pytest.approx(plain.backwards(one, lam, rate), abs=1e-12)
    torch.testing.assert_close(backward_pass(grid[1], 0.2, 0.1, 0.5), w[1, 1, 1])


def test_errors_of_predictions() -> None:
    chain = uneven()
    w = draw(4, 2)
    expected = np.sqrt(((w.numpy() @ chain.x.numpy().T - chain.values().numpy()) ** 2).mean(1))
    np.testing.assert_allclose(rms_error(w, chain.values(), chain.x).numpy(), expected)
    start = rms_error(torch.full((5,), 0.5, dtype=F64), random_walk().values()).item()
    assert start == pytest.approx((1 / 18) ** 0.5)  # where each curve of figure 4 begins


# ---- limits ----


def exact_limit(walks: list[plain.Walk], lam: Fraction) -> list[Fraction]:
    """Return the weights that no walk changes on balance, in fractions: five probes of an affine map."""
    zero = [Fraction(0)] * 5

    def total(w: list[Fraction]) -> list[Fraction]:
        return [sum(parts, Fraction(0)) for parts in zip(*(plain.change(v, w, lam) for v in walks), strict=True)]

    at_zero = total(zero)
    columns = [total([Fraction(int(i == j)) for i in range(5)]) for j in range(5)]
    matrix = [[at_zero[i] - columns[j][i] for j in range(5)] for i in range(5)]
    return plain.solve(matrix, at_zero)


WALKS = [(path, Fraction(int(z))) for path, z in plain.walks(10, seed=0)]


@pytest.mark.parametrize("lam", [Fraction(0), Fraction(3, 10), Fraction(1)])
def test_limits_by_fractions(lam: Fraction) -> None:
    walks = batch([(path, float(z)) for path, z in WALKS])
    w, singular = limit(*affine_form(walks, float(lam)), start=0.5)
    assert not bool(singular)
    assert w.tolist() == pytest.approx([float(v) for v in exact_limit(WALKS, lam)], abs=1e-10)


def test_the_limit_of_td_one_is_the_mean_outcome_and_that_of_td_zero_the_likeliest_chain() -> None:
    """Theorem 3: certainty equivalence. The two differ, and TD(½) lies at neither."""
    walks = random_walk().sample(30, generator=torch.Generator().manual_seed(1))
    visits = walks.visits().double()
    means = (visits * walks.z[:, None]).sum(0) / visits.sum(0)
    likely = maximum_likelihood(walks).values()
    torch.testing.assert_close(limit(*affine_form(walks, 1.0))[0], means, atol=1e-10, rtol=0)
    torch.testing.assert_close(limit(*affine_form(walks, 0.0))[0], likely, atol=1e-10, rtol=0)
    half = limit(*affine_form(walks, 0.5))[0]
    assert min((half - other).abs().max().item() for other in (means, likely)) > 1e-3


def test_repeated_presentation_gets_there() -> None:
    walks = random_walk().sample(3, 10, generator=torch.Generator().manual_seed(5))
    a, b = affine_form(walks, 0.5)
    w, _ = limit(a, b, 0.5)
    assert (present(a, b, 0.02, 0.5, times=3000) - w).abs().max().item() < 1e-6
    assert (present(a, b, 0.02, 0.5, times=30) - w).abs().max().item() > 1e-3  # stopping early is another answer
    assert present(a, b, 0.5, 0.5, times=60).abs().max().item() > 1e3  # as is too large a rate
    assert torch.equal(present(a, b, 0.02, 0.5, times=0), torch.full((3, 5), 0.5, dtype=F64))


def test_states_never_visited_keep_what_they_had_and_are_counted() -> None:
    """As repeated presentation does. About two in a hundred sets of five walks miss an end state."""
    walks = batch([([2, 3, 4], 1.0), ([2, 1, 2, 3, 4], 1.0)])
    for start in (0.5, 0.1):
        w, singular = limit(*affine_form(walks, 0.3), start=start)
        assert bool(singular)
        assert w[0].item() == start
        torch.testing.assert_close(w, present(*affine_form(walks, 0.3), 0.05, start, 5000), atol=1e-8, rtol=0)
    sets = random_walk().sample(4000, 5, generator=torch.Generator().manual_seed(0))
    _, singular = limit(*affine_form(sets, LAMS))
    missing = (sets.visits().sum(1) == 0).any(1)
    assert torch.equal(singular, missing.expand(4, -1))
    assert 0.015 < singular[0].double().mean().item() < 0.035


@pytest.mark.parametrize("seed", range(6))
def test_features_that_depend_on_each_other(seed: int) -> None:
    """Three features of two states: one direction is never seen and stays as it was; pivots vanish up to rounding."""
    mix = draw(2, seed=seed)
    x = torch.cat((torch.eye(2, dtype=F64), mix[:, None]), 1)
    walks, start = Sequences.of([x, x[[0, 1, 0]], x[[1]]], [1.0, 0.0, 0.5]), draw(3, seed=2)
    a, b = affine_form(walks, 0.5)
    w, singular = limit(a, b, start)
    assert bool(singular)
    torch.testing.assert_close(w, present(a, b, 0.05, start, 20_000), atol=1e-8, rtol=0)
    unseen = torch.cat((mix, -torch.ones(1, dtype=F64)))
    assert (w @ unseen).item() == pytest.approx((start @ unseen).item())


# ---- exact moments ----


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_mean_updates_by_sampling_and_by_hand(lam: float) -> None:
    chain = uneven()
    a, b = affine_form(chain.sample(40_000, generator=torch.Generator().manual_seed(0)), lam)
    mean_a, mean_b = chain.mean_update(lam)
    assert ((a.mean(0) - mean_a) / (a.std(0) / 200)).abs().max().item() < 5
    assert ((b.mean(0) - mean_b) / (b.std(0) / 200)).abs().max().item() < 5
    walk = random_walk()  # with unit vectors the mean update leaves the true values alone, whatever λ is: theorem 2
    mean_a, mean_b = walk.mean_update(lam)
    torch.testing.assert_close(mean_a @ walk.values(), mean_b, atol=1e-12, rtol=0)


def enumerate_moments(lam: float, longest: int) -> tuple[Tensor, Tensor, float]:
    """Sum C and C ⊗ C over *all* walks of a skewed three-state chain up to a length; return the mass left out too."""
    chain = random_walk(3, 0.2)
    mean, square, mass = np.zeros((3, 4)), np.zeros((3, 4, 3, 4)), 0.0
    live = [([1], 1.0)]
    for _ in range(longest):
        grown = []
        for path, weight in live:
            for step, chance in ((-1, 0.8), (1, 0.2)):
                state = path[-1] + step
                if 0 <= state < 3:
                    grown.append(([*path, state], weight * chance))
                    continue
                z, c = float(state == 3), np.zeros((3, 4))
                for t, one in enumerate(path):
                    delta = np.zeros(4)
                    delta[one] -= 1
                    delta[path[t + 1] if t + 1 < len(path) else 3] += 1 if t + 1 < len(path) else z
                    for k in range(t + 1):
                        c[path[k]] += lam ** (t - k) * delta
                p = weight * chance
                mean, square, mass = mean + p * c, square + p * np.multiply.outer(c, c), mass + p
        live = grown
    assert chain.x.shape == (3, 3)
    return torch.from_numpy(mean), torch.from_numpy(square), 1 - mass


@pytest.mark.parametrize("lam", [0.0, 0.6, 1.0])
def test_moments_by_enumerating_walks(lam: float) -> None:
    """A walk of three states has 2^j ways of 2j steps: all of twelve steps at most, and what is left out is bounded."""
    mean, square, left = enumerate_moments(lam, 12)
    ours = update_moments(random_walk(3, 0.2), lam)
    assert left < 2e-3
    assert (ours[0] - mean).abs().max().item() < 40 * left
    assert (ours[1] - square).abs().max().item() < 1000 * left
    longer = enumerate_moments(lam, 16)
    assert longer[2] < 0.2 * left  # and the difference shrinks with it
    assert (ours[1] - longer[1]).abs().max().item() < 0.4 * (ours[1] - square).abs().max().item()


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_moments_by_sampling(lam: float) -> None:
    """Of a chain with three ends, several first states, and features that are no unit vectors."""
    chain = uneven()
    a, b = affine_form(chain.sample(60_000, generator=torch.Generator().manual_seed(1)), lam)
    c = torch.cat((-a, b[..., None]), -1).flatten(1)
    mean, square = update_moments(chain, lam)
    products = c[:, :, None] * c[:, None]
    deviation = products.std(0) / 60_000**0.5
    assert ((c.mean(0) - mean.flatten()) / (c.std(0) / 60_000**0.5)).abs().max().item() < 5
    assert ((products.mean(0) - square.reshape(6, 6)) / deviation).abs().max().item() < 5
    mean_a, mean_b = chain.mean_update(lam)
    torch.testing.assert_close(mean, torch.cat((-mean_a, mean_b[:, None]), 1), atol=1e-12, rtol=0)


def test_moments_of_the_weights_by_sampling_and_the_root_of_the_mean() -> None:
    chain, count, sets = random_walk(), 4, 20_000
    walks = chain.sample(sets, count, generator=torch.Generator().manual_seed(2))
    w = one_pass(*affine_form(walks, 0.3), 0.2, 0.5)
    mean, square = weight_moments(chain, 0.3, 0.2, count, 0.5)
    products = w[:, :, None] * w[:, None]
    assert ((w.mean(0) - mean) / (w.std(0) / sets**0.5)).abs().max().item() < 5
    assert ((products.mean(0) - square) / (products.std(0) / sets**0.5)).abs().max().item() < 5
    error = rms_error(w, chain.values())
    exact = mean_square_error(chain, 0.3, 0.2, count, 0.5).item()
    off = (error.square().mean() - exact) / (error.square().std() / sets**0.5)
    assert abs(off.item()) < 5
    assert exact**0.5 > error.mean().item() + 5 * error.std().item() / sets**0.5  # Sutton averages roots
    assert mean_square_error(chain, 0.3, 0.2, 0, 0.5).item() == pytest.approx(1 / 18)
    several = mean_square_error(chain, 0.3, torch.tensor([[0.1, 0.2]], dtype=F64), count, 0.5)
    assert several.shape == (1, 2)
    assert several[0, 1].item() == pytest.approx(exact, abs=1e-14)
    assert abs(several[0, 0].item() - exact) > 1e-3


def test_one_state_by_hand() -> None:
    """From ½ with α = 0.2: w = 0.4 or 0.6 after one walk, 0.32 0.52 0.48 0.68 after two."""
    for count, ends in ((1, [0.4, 0.6]), (2, [0.32, 0.52, 0.48, 0.68])):
        mean, square = weight_moments(random_walk(1), 0.7, 0.2, count, 0.5)
        assert mean.item() == pytest.approx(np.mean(ends))
        assert square.item() == pytest.approx(np.mean(np.square(ends)))


def test_slopes_in_the_rate_and_in_lambda() -> None:
    """Through a sampled pass and through the exact moments, by finite differences."""
    chain = random_walk()
    walks = chain.sample(5, 4, generator=torch.Generator().manual_seed(0))

    def sampled(v: Tensor) -> Tensor:
        return rms_error(one_pass(*affine_form(walks, v[0]), v[1], 0.5), chain.values()).mean()

    def exact(v: Tensor) -> Tensor:
        return mean_square_error(chain, v[0], v[1], 4, 0.5)

    def settled(v: Tensor) -> Tensor:
        return rms_error(limit(*affine_form(walks, v[0]), 0.5)[0], chain.values()).mean()

    for function in (sampled, exact, settled):
        v = torch.tensor([0.4, 0.2], dtype=F64, requires_grad=True)
        (slope,) = torch.autograd.grad(function(v), v)
        for i in range(2):
            step = torch.zeros(2, dtype=F64)
            step[i] = 1e-6
            difference = (function(v.detach() + step) - function(v.detach() - step)) / 2e-6
            assert slope[i].item() == pytest.approx(difference.item(), abs=1e-7)
        assert slope[0].item() != 0


# ---- bad input ----

A, B = torch.ones(2, 3, 3), torch.ones(2, 3)
BAD: dict[str, tuple[Any, str]] = {
    "a": (lambda: one_pass(torch.ones(3, 3), torch.ones(3), 0.1), r"A has shape \(3, 3\)"),
    "b": (lambda: limit(A, torch.ones(3, 3)), r"b \(3, 3\); they must be"),
    "square": (lambda: present(torch.ones(2, 3, 4), B, 0.1), r"A has shape \(2, 3, 4\)"),
    "times": (lambda: present(A, B, 0.1, times=-1), "times is -1"),
    "count": (lambda: weight_moments(random_walk(), 0.5, 0.1, -1), "count is -1"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()
