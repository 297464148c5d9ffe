"""Chains that end: their values in closed form, walks on them, and the likeliest chain for given walks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workings.temporal_difference.sequences import Sequences
from workings.typed import Floats


@dataclass(frozen=True)
class Chain:
    r"""A finite Markov chain that ends: from state i to j with :math:`Q_{ij}`, into the end k with :math:`R_{ik}`.

    A walk is a sequence of observations, a row of ``x`` for each state; its outcome is that of the end it comes to.

    Args:
        Q: probabilities between states, (n, n).
        R: probabilities of the ends, (n, k).
        z: the ends' outcomes, (k,).
        start: the distribution of the first state, (n,).
        x: what is observed in each state, (n, d).

    Raises:
        ValueError: for shapes that do not fit, rows that are no distributions, or a state from which no end is reached.

    >>> chain = random_walk(5)
    >>> chain.values().mul(6).round(decimals=6).tolist(), chain.visits().round(decimals=6).tolist()
    ([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 2.0, 1.0])

    """

    Q: Tensor
    R: Tensor
    z: Tensor
    start: Tensor
    x: Tensor

    def __post_init__(self) -> None:
        n = len(self.Q)
        expected = {"Q": (n, n), "R": (n, len(self.z)), "z": (len(self.z),), "start": (n,), "x": (n, self.x.shape[-1])}
        for name, shape in expected.items():
            if tuple(getattr(self, name).shape) != shape:
                raise ValueError(f"{name} has shape {tuple(getattr(self, name).shape)}; here it must be {shape}")
        rows = torch.cat((self.Q, self.R), 1)
        for name, row in (("start", self.start[None]), ("Q and R", rows)):
            if bool((row < 0).any()) or not torch.allclose(row.sum(1), torch.ones_like(row[:, 0]), atol=1e-6):
                raise ValueError(f"{name} must be probabilities that sum to one; the sums are {row.sum(1).tolist()}")
        ends = self.R.sum(1) > 0
        for _ in range(n):  # one step further back each time
            ends = ends | ((self.Q > 0) & ends).any(1)
        if not bool(ends.all()):
            stuck = (~ends).nonzero()[:, 0].tolist()
            raise ValueError(f"from the states {stuck} no end can be reached: a chain must be absorbing")

    def solve(self, right: Floats, discount: float | Tensor = 1.0) -> Tensor:
        r"""Return :math:`(I - cQ)^{-1}` times ``right`` (n, ...), with c = ``discount``."""
        matrix = torch.eye(len(self.Q), dtype=self.Q.dtype, device=self.Q.device) - discount * self.Q
        found: Tensor = torch.linalg.solve(matrix, right.reshape(len(right), -1))
        return found.reshape(right.shape)

    def values(self) -> Tensor:
        """Return the expected outcome from each state, (n,)."""
        return self.solve(self.R @ self.z)

    def variances(self) -> Tensor:
        """Return the variance of the outcome from each state, (n,)."""
        return self.solve(self.R @ self.z.square()) - self.values().square()

    def absorption(self) -> Tensor:
        """Return the probability of each end from each state, (n, k)."""
        return self.solve(self.R)

    def visits(self) -> Tensor:
        """Return how often a walk visits each state on average, (n,)."""
        matrix = torch.eye(len(self.Q), dtype=self.Q.dtype, device=self.Q.device) - self.Q
        found: Tensor = torch.linalg.solve(matrix.T, self.start)
        return found

    def lengths(self) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the number of observations from each state on, (n,) and (n,)."""
        mean = self.solve(torch.ones_like(self.start))
        return mean, 2 * self.solve(mean) - mean - mean.square()

    def mean_update(self, lam: float | Tensor) -> tuple[Tensor, Tensor]:
        r"""Return :math:`\mathbb{E}[A]` and :math:`\mathbb{E}[b]` of a walk, (d, d) and (d,); see `affine_form`."""
        weighted = self.x * self.visits()[:, None]
        steps = self.x - self.Q @ self.x  # from the present observation to the next, on average
        return weighted.T @ self.solve(steps, lam), weighted.T @ self.solve(self.R @ self.z, lam)

    def sample(self, *shape: int, generator: torch.Generator | None = None) -> Sequences:
        """Draw walks, as many as ``shape`` says. Draws on the generator's device, returns on the chain's."""
        home = torch.device("cpu") if generator is None else generator.device
        count = int(torch.tensor(shape).prod()) if shape else 1
        ladder = torch.cat((self.Q, self.R), 1).double().cumsum(1).to(home)  # (n, n + k)
        first = self.start.double().cumsum(0).to(home)
        ladder[:, -1] = first[-1] = torch.inf  # whatever rounding made of the sum

        def uniform(number: int) -> Tensor:
            return torch.rand(number, dtype=torch.float64, generator=generator, device=home)

        state = torch.searchsorted(first, uniform(count), right=True)
        walking, path = torch.arange(count, device=home), []
        lengths = torch.zeros(count, dtype=torch.long, device=home)
        end = torch.zeros(count, dtype=torch.long, device=home)
        while len(walking):
            row = torch.zeros(count, dtype=torch.long, device=home)
            row[walking] = state
            path.append(row)
            lengths[walking] += 1
            state = (uniform(len(walking))[:, None] >= ladder[state]).sum(1)
            ended = state >= len(self.Q)
            end[walking[ended]] = state[ended] - len(self.Q)
            walking, state = walking[~ended], state[~ended]
        index, z = torch.stack(path, 1), self.z.to(home)[end]
        shaped = (index.reshape(*shape, -1), lengths.reshape(shape), z.reshape(shape), self.x)
        return Sequences(*(part.to(self.Q.device) for part in shaped))

    def to(self, device: torch.device | str) -> Chain:
        """Return the chain on another device."""
        return Chain(*(part.to(device) for part in (self.Q, self.R, self.z, self.start, self.x)))


def random_walk(n: int = 5, right: float = 0.5, dtype: torch.dtype = torch.float64) -> Chain:
    """Return the bounded random walk from the middle of n states, with outcome 0 at the left end and 1 at the right.

    Args:
        n: number of states, odd.
        right: probability of a step to the right.
        dtype: of its tensors.

    Raises:
        ValueError: for an even n, or a probability out of 0 to 1.

    """
    if n < 1 or n % 2 == 0:
        raise ValueError(f"n is {n}; a walk that begins in the middle needs an odd number of states")
    if not 0 <= right <= 1:
        raise ValueError(f"right is {right}; a probability lies in 0 to 1")
    ones = torch.ones(n - 1, dtype=dtype)
    q = right * torch.diag(ones, 1) + (1 - right) * torch.diag(ones, -1)
    r, start = torch.zeros(n, 2, dtype=dtype), torch.zeros(n, dtype=dtype)
    r[0, 0], r[-1, 1], start[n // 2] = 1 - right, r[-1, 1] + right, 1.0
    return Chain(q, r, torch.tensor([0.0, 1.0], dtype=dtype), start, torch.eye(n, dtype=dtype))


def maximum_likelihood(walks: Sequences) -> Chain:
    """Return the chain under which ``walks`` (N) are likeliest: frequencies of what followed what.

    Each row of the table counts as a state, each outcome that occurs as an end.

    Raises:
        ValueError: for more than one batch dimension, or a state that is never visited: nothing is known about it.

    """
    if len(walks.shape) != 1:
        raise ValueError(
            f"walks has batch shape {tuple(walks.shape)}; one chain is estimated from a list of walks, (N,)"
        )
    unseen = (walks.visits().sum(0) == 0).nonzero()[:, 0].tolist()
    if unseen:
        raise ValueError(f"the states {unseen} are never visited: leave their rows out, or take `limit`")
    outcomes, end = torch.unique(walks.z, return_inverse=True)
    n, dtype = len(walks.table), walks.table.dtype
    counts = torch.zeros(n, n + len(outcomes), dtype=dtype, device=walks.index.device)
    goes_on = walks.mask[:, 1:]
    one = torch.ones((), dtype=dtype, device=counts.device)
    counts.index_put_((walks.index[:, :-1][goes_on], walks.index[:, 1:][goes_on]), one, accumulate=True)
    last = walks.index.gather(1, walks.lengths[:, None] - 1)[:, 0]
    counts.index_put_((last, n + end), one, accumulate=True)
    rows = counts / counts.sum(1, keepdim=True)
    start = torch.bincount(walks.index[:, 0], minlength=n).to(dtype) / len(walks.z)
    return Chain(rows[:, :n], rows[:, n:], outcomes, start, walks.table)
