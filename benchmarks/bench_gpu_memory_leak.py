"""What watching a training step costs: bare, the watch switched off, the watch, and a count of all tensors by hand.

    python benchmarks/bench_gpu_memory_leak.py [--quick] [--write]

The last is what one pastes in when memory climbs: after each step, go through all that Python's collector knows.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import timing
import torch
from timing import Row, Tables, interleaved
from torch import Tensor, nn

from workings.gpu_memory_leak import watch


def training(width: int, batch: int) -> Callable[[], None]:
    """Return a step of training of three layers."""
    net = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
    optimizer, x = torch.optim.SGD(net.parameters(), lr=1e-3), torch.randn(batch, width)

    def step() -> None:
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()

    return step


def count_by_hand(step: Callable[[], None]) -> int:
    """Run a step and count the tensors that Python's collector knows."""
    step()
    return sum(issubclass(type(one), Tensor) for one in gc.get_objects())


def cost(width: int, batch: int, steps: int, rounds: int) -> Iterator[Row]:
    """Time so many steps under each contender."""
    step = training(width, batch)
    off, on = watch(step, enabled=False), watch(step)
    contenders: dict[str, Callable[[], object]] = {
        "bare": lambda: [step() for _ in range(steps)],
        "watch, off": lambda: [off() for _ in range(steps)],
        "watch": lambda: [on() for _ in range(steps)],
        "counted by hand": lambda: [count_by_hand(step) for _ in range(steps)],
    }
    seconds = interleaved(contenders, rounds)
    for name, time in seconds.items():
        yield {
            "problem": f"width {width}, batch {batch}", "contender": name, "ms": 1e3 * time / steps,
            "times bare": time / seconds["bare"],
        }  # fmt: skip


def run(quick: bool) -> Tables:
    """Measure everything; ``quick`` uses toy sizes, to see that it runs. Returns the rows of each table."""
    torch.set_num_threads(1)
    sizes = [(4, 2)] if quick else [(64, 32), (512, 1024)]
    return {"watch": [row for size in sizes for row in cost(*size, *((2, 1) if quick else (5, 5)))]}


def store(tables: Tables) -> None:
    """Write the tables as records of the chapter."""
    timing.store("gpu_memory_leak", ("watch",), tables)


if __name__ == "__main__":
    timing.command(__doc__, run, store)
