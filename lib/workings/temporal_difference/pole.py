"""How long will the pole stand? A small network that learns to predict, by TD(λ), what a controller is worth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from workings.typed import Count, Floats, NonNegative, Positive, Whole

SPREAD = (1.0, 1.0, 0.2, 2.0)  # of first states: position, velocity, angle, angular velocity
GRAVITY, CART, POLE, HALF_LENGTH, FORCE, STEP = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02  # SI units
TRACK, TILT = 2.4, math.radians(12)  # beyond these the pole counts as fallen


def push_cart(state: Tensor, right: Tensor) -> Tensor:
    """Return the state of a cart and its pole a fiftieth of a second later, by one Euler step.

    A uniform pole on a frictionless joint, as Barto, Sutton and Anderson had it in 1983.

    Args:
        state: position, velocity, the pole's angle from upright and its angular velocity, (..., 4).
        right: whether the cart is pushed to the right, else to the left, (...).

    Returns:
        The next state (..., 4).

    """
    _, speed, angle, spin = state.unbind(-1)
    force = torch.where(right, FORCE, -FORCE)
    sine, cosine, mass = angle.sin(), angle.cos(), CART + POLE
    pull = (force + POLE * HALF_LENGTH * spin.square() * sine) / mass
    bend = (GRAVITY * sine - cosine * pull) / (HALF_LENGTH * (4 / 3 - POLE * cosine.square() / mass))
    slope = torch.stack((speed, pull - POLE * HALF_LENGTH * bend * cosine / mass, spin, bend), -1)
    return state + STEP * slope


def fallen(state: Tensor) -> Tensor:
    """Return whether the pole has fallen or the cart has left its track, (...)."""
    return (state[..., 0].abs() > TRACK) | (state[..., 2].abs() > TILT)


def controller(state: Tensor) -> Tensor:
    """Return the probability of a push to the right by a clumsy controller: it tends to push under the falling pole."""
    return torch.sigmoid(3.0 * state[..., 2] + 0.75 * state[..., 3])


def play(start: Floats, longest: Whole, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Let the clumsy controller balance poles until they fall.

    Args:
        start: states (..., 4).
        longest: steps after which time is up.
        generator: draws the pushes, on its device.

    Returns:
        The states, in which a fallen pole stays as it fell, (longest + 1, ..., 4), and whether the pole stands in each,
        (longest + 1, ...).

    """
    home = torch.device("cpu") if generator is None else generator.device
    state, states, standing = start, [start], [~fallen(start)]
    for _ in range(longest):
        chance = torch.rand(start.shape[:-1], generator=generator, device=home).to(start)
        state = torch.where(standing[-1][..., None], push_cart(state, chance < controller(state)), state)
        states.append(state)
        standing.append(standing[-1] & ~fallen(state))
    return torch.stack(states), torch.stack(standing)


def first_states(count: Whole, generator: torch.Generator | None = None) -> Tensor:
    """Draw states of poles that stand, some of them hardly.

    Args:
        count: how many.
        generator: where they are drawn; torch's default on the CPU if None.

    Returns:
        States (count, 4), on the CPU.

    """
    home = torch.device("cpu") if generator is None else generator.device
    return ((2 * torch.rand(count, 4, generator=generator, device=home) - 1).cpu()) * torch.tensor(SPREAD)


def true_values(
    state: Floats, gamma: NonNegative, tries: Whole, longest: Whole = 300, generator: torch.Generator | None = None
) -> Tensor:
    r"""Return the mean of :math:`1 - \gamma^T`, with T the steps until the pole falls, (n,).

    Args:
        state: states from which poles fall, (n, 4).
        gamma: the discount γ.
        tries: falls from each state.
        longest: steps after which one stops to wait.
        generator: as in `play`; torch's default if None.

    """
    _, standing = play(state.expand(tries, *state.shape), longest, generator)
    return (1 - gamma ** standing[:-1].sum(0).double()).mean(0)


def lambda_errors(
    p: Tensor, after: Tensor, rewards: Tensor, on: Tensor, gamma: NonNegative, lam: NonNegative | Tensor
) -> Tensor:
    r"""Return :math:`\sum_{k \ge t} (\gamma\lambda)^{k-t} \delta_k`, what TD(λ) moves :math:`P_t` by in all.

    With :math:`\delta_t = r_t + \gamma P_{t+1} - P_t` (temporal_difference:rewards); its product with the slopes of P,
    summed over t, is the change of a whole sequence, as the exchange of sums shows.

    Args:
        p: predictions (T, ...).
        after: predictions of the next states, zero after an end, (T, ...).
        rewards: what each step brought, (T, ...).
        on: whether the sequence still goes on when the step is taken, (T, ...).
        gamma: the discount γ.
        lam: λ, a number or what broadcasts to (...).

    >>> one = torch.ones(3)
    >>> lambda_errors(0 * one, 0 * one, one, one.bool(), gamma=1.0, lam=0.5).tolist()
    [1.75, 1.5, 1.0]

    """
    delta = torch.where(on, rewards + gamma * after - p, 0.0)
    sums, total = [], torch.zeros_like(p[0])
    for one in delta.flip(0):
        total = one + gamma * lam * total
        sums.append(total)
    return torch.stack(sums[::-1])


class Networks:
    r"""Small networks side by side, one for each λ: :math:`P(x) = b + v \cdot \tanh(W x + c)`, all alike at first.

    Args:
        number: how many, L.
        width: number of tanh units, H.
        generator: draws the weights, on the CPU.

    """

    def __init__(self, number: int, width: int, generator: torch.Generator | None = None) -> None:
        w = torch.randn(4, width, dtype=torch.float64, generator=generator) / 2
        shapes = (w, w.new_zeros(1, width), w.new_zeros(width, 1), w.new_full((1, 1), 0.5))
        self.weights = [one.repeat(number, 1, 1).requires_grad_() for one in shapes]

    def __call__(self, state: Tensor) -> Tensor:
        """Return the predictions of all networks in states (N, 4), as (N, L)."""
        w, c, v, b = self.weights
        x = (state.double() / state.new_tensor((1.0, 1.0, 0.1, 1.0)).double()).expand(len(w), *state.shape)
        return torch.baddbmm(b, torch.tanh(torch.baddbmm(c, x, w)), v)[..., 0].T


def learn_to_predict(
    lams: Sequence[float],
    judged: Floats,
    *,
    poles: Count = 100,
    presentations: int = 300,
    every: int = 25,
    gamma: Positive = 0.97,
    lr: Positive = 0.01,
    width: Count = 24,
    longest: Count = 300,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Watch poles fall, and let networks learn from what was seen, by repeated presentations, as in Sutton's figure 3.

    What is predicted is the mean of :math:`1 - \gamma^T`, with T the number of steps until the pole falls. All networks
    see the same poles and begin with the same weights; only λ differs. Steps are those of Adam.

    Args:
        lams: a λ for each network, L of them. With 1 it learns by supervised learning from what came out.
        judged: states in which predictions are asked for, (n, 4).
        poles: how many are watched.
        presentations: how often all that was seen is presented.
        every: ask for predictions after each so many presentations.
        gamma: the discount γ.
        lr: Adam's learning rate.
        width: of the networks.
        longest: steps after which one stops watching.
        generator: draws weights, first states and pushes, on the CPU.

    Returns:
        Predictions (presentations // every, L, n).

    """
    if not 1 <= every <= presentations:
        raise ValueError(f"every is {every}; it must lie in 1 to the number of presentations, {presentations}")
    lam, networks = torch.tensor(lams, dtype=torch.float64), Networks(len(lams), width, generator)
    states, standing = play(first_states(poles, generator), longest, generator)
    on, seen = standing[:-1], torch.zeros(*standing.shape, len(lam), dtype=torch.float64)  # zero where it has fallen
    mover, found = torch.optim.Adam(networks.weights, lr=lr, maximize=True), []
    for k in range(1, presentations + 1):
        p = networks(states[standing])  # (N, L)
        with torch.no_grad():
            seen[standing] = p
            rewards = torch.full_like(seen[1:], 1 - gamma)
            errors = lambda_errors(seen[:-1], seen[1:], rewards, on[..., None], gamma, lam)
            full = torch.cat((errors, torch.zeros_like(errors[:1])))[standing]  # where one stopped watching: nothing
        mover.zero_grad()
        ((full * p).sum() / len(p)).backward()
        mover.step()
        if k % every == 0:
            with torch.no_grad():
                found.append(networks(judged).T)
    return torch.stack(found)
