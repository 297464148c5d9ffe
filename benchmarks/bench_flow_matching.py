"""`workings.flow_matching` beside a bare loop, torchcfm, POT and SciPy: a training step, sampling, optimal pairings.

    python benchmarks/bench_flow_matching.py [--quick] [--write]

torchcfm and POT are taken along where they are installed: ``pip install --no-deps torchcfm==1.0.7 POT``. Pairings are
compared by their cost too, printed relative to the least.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec

import timing
import torch
from scipy.optimize import linear_sum_assignment
from timing import Row, Tables, interleaved
from torch import Tensor

from workings.flow_matching import (
    ConditionalOT,
    VelocityMLP,
    checkerboard,
    eight_gaussians,
    fit,
    generate,
    optimal_pairing,
    squared_distances,
)

PEER_PACKAGES = ("torchcfm", "POT", "torchdiffeq", "scipy")
PEERS = find_spec("torchcfm") is not None and find_spec("ot") is not None
Pairing = Callable[[Tensor, Tensor], Tensor]


def network(width: int = 64) -> VelocityMLP:
    """Three hidden layers in the plane, with fixed weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return VelocityMLP(2, hidden=(width,) * 3)


# ---- a training step -----------------------------------------------------------------------------------------------


def bare_loop(net: VelocityMLP, steps: int, batch: int) -> None:
    """What one writes without a library."""
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(steps):
        x1 = checkerboard(batch)
        x0, t = torch.randn_like(x1), torch.rand(batch)
        x = (1 - t[:, None]) * x0 + t[:, None] * x1
        loss = (net(t, x) - (x1 - x0)).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def with_torchcfm(net: VelocityMLP, steps: int, batch: int) -> None:
    """The same with torchcfm's matcher."""
    from torchcfm.conditional_flow_matching import ConditionalFlowMatcher

    matcher, optimizer = ConditionalFlowMatcher(sigma=0.0), torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(steps):
        x1 = checkerboard(batch)
        t, x, u = matcher.sample_location_and_conditional_flow(torch.randn_like(x1), x1)
        loss = (net(t, x) - u).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def network_alone(net: VelocityMLP, steps: int, batch: int) -> None:
    """The limit: the network forward and back."""
    x, t = torch.randn(batch, 2), torch.rand(batch)
    for _ in range(steps):
        net.zero_grad()
        net(t, x).square().sum(1).mean().backward()


def training(batch: int, steps: int, rounds: int) -> Iterator[Row]:
    """Time ``steps`` training steps of each."""
    loops: dict[str, Callable[[VelocityMLP, int, int], object]] = {
        "bare loop": bare_loop,
        "workings fit": lambda net, steps, batch: fit(net, ConditionalOT(), checkerboard, steps, batch=batch),
        "network alone": network_alone,
    }
    if PEERS:
        loops["torchcfm"] = with_torchcfm
    seconds = interleaved({name: partial(loop, network(), steps, batch) for name, loop in loops.items()}, rounds)
    for name, time in seconds.items():
        yield {
            "problem": f"batch {batch}", "contender": name, "ms a step": 1e3 * time / steps,
            "times bare loop": time / seconds["bare loop"],
        }  # fmt: skip


# ---- sampling ------------------------------------------------------------------------------------------------------


@torch.no_grad()
def bare_calls(net: VelocityMLP, x: Tensor, calls: int) -> None:
    """The limit: the network called as often."""
    t = torch.tensor(0.5)
    for _ in range(calls):
        net(t, x)


@torch.no_grad()
def with_torchdiffeq(net: VelocityMLP, x: Tensor, steps: int, method: str) -> None:
    from torchdiffeq import odeint

    odeint(net, x, torch.tensor([0.0, 1.0]), method=method, options={"step_size": 1 / steps})


def sampling(batch: int, evaluations: int, rounds: int) -> Iterator[Row]:
    """Time so many evaluations by Euler's and by the midpoint rule."""
    net, x = network(), torch.randn(batch, 2, generator=torch.Generator().manual_seed(1))
    for method, each in (("euler", 1), ("midpoint", 2)):
        steps = evaluations // each
        runs: dict[str, Callable[[], object]] = {
            "bare calls": partial(bare_calls, net, x, evaluations),
            "workings generate": partial(generate, net, x, ConditionalOT(0.1), steps=steps, method=method),
            "torchdiffeq": partial(with_torchdiffeq, net, x, steps, method),
        }
        seconds = interleaved(runs, rounds)
        for name, time in seconds.items():
            yield {
                "problem": f"{method}, batch {batch}", "contender": name, "evaluations": evaluations,
                "ms": 1e3 * time, "times bare calls": time / seconds["bare calls"],
            }  # fmt: skip


# ---- pairings ------------------------------------------------------------------------------------------------------


def plain(x0: Tensor, x1: Tensor) -> Tensor:
    """SciPy's assignment on the plain costs."""
    return torch.from_numpy(linear_sum_assignment(squared_distances(x0, x1).numpy())[1])


def by_pot(x0: Tensor, x1: Tensor) -> Tensor:
    """POT's network simplex."""
    import ot

    weights = ot.unif(len(x0))
    return torch.from_numpy(ot.emd(weights, weights, squared_distances(x0, x1).numpy())).argmax(1)


def by_torchcfm(x0: Tensor, x1: Tensor) -> Tensor:
    """What torchcfm's matcher does for each batch: pairs drawn from POT's plan, with replacement."""
    from torchcfm.optimal_transport import OTPlanSampler

    _, paired = OTPlanSampler("exact").sample_plan(x0, x1)
    return torch.cdist(paired, x1).argmin(1)


def clouds(kind: str, n: int) -> tuple[Tensor, Tensor]:
    """Noise and data: eight Gaussians on a ring, the same as one far cluster, or 64 dimensions."""
    generator = torch.Generator().manual_seed(n)
    if kind == "64-d":
        return torch.randn(n, 64, generator=generator), 1 + 2 * torch.randn(n, 64, generator=generator)
    noise = torch.randn(n, 2, generator=generator)
    if kind == "ring":
        return noise, eight_gaussians(n, generator)
    return noise, torch.tensor([4.0, 0.0]) + 0.3 * torch.randn(n, 2, generator=generator)


def pairings(kind: str, n: int, rounds: int) -> Iterator[Row]:
    """Time one pairing of a batch; "extra cost" is relative to the least of all."""
    ways: dict[str, Pairing] = {"workings": optimal_pairing, "SciPy": plain}
    if PEERS:
        ways |= {"POT": by_pot, "torchcfm": by_torchcfm}
    x0, x1 = clouds(kind, n)
    cost, rows = squared_distances(x0, x1), torch.arange(n)
    totals = {name: float(cost[rows, pair(x0, x1)].sum()) for name, pair in ways.items()}
    seconds = interleaved({name: partial(pair, x0, x1) for name, pair in ways.items()}, rounds)
    for name, time in seconds.items():
        yield {
            "problem": f"{kind}, n = {n}", "contender": name, "ms": 1e3 * time,
            "times workings": time / seconds["workings"], "extra cost": totals[name] / min(totals.values()) - 1,
        }  # fmt: skip


# ---- the command ---------------------------------------------------------------------------------------------------


def run(quick: bool) -> Tables:
    """Measure everything; ``quick`` uses toy sizes, to see that it runs. Returns the rows of each table."""
    torch.set_num_threads(1)
    rounds = 1 if quick else 7
    sizes = (16, 160) if quick else (128, 256, 512, 1024)
    tables: dict[str, Callable[[], Iterator[Row]]] = {
        "training": lambda: (
            row for batch in ((8,) if quick else (256, 2048)) for row in training(batch, 2 if quick else 50, rounds)
        ),
        "sampling": lambda: (
            row for batch in ((4,) if quick else (256, 2048)) for row in sampling(batch, 4 if quick else 100, rounds)
        ),
        "pairing": lambda: (
            row for kind in ("ring", "cluster", "64-d") for n in sizes for row in pairings(kind, n, rounds)
        ),
    }
    return {title: list(rows()) for title, rows in tables.items()}


def store(tables: Tables) -> None:
    """Write the tables as records of the chapter."""
    timing.store("flow_matching", ("fit", "generate", "optimal_pairing", "VelocityMLP"), tables, PEER_PACKAGES)


if __name__ == "__main__":
    timing.command(__doc__, run, store)
