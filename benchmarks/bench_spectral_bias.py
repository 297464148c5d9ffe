"""`workings.spectral_bias` beside torch.func and neural-tangents: tangent kernels, empirical and in closed form.

    python benchmarks/bench_spectral_bias.py [--quick] [--write]

neural-tangents 0.6.5 is complete with jax 0.4.23 only, and so lives in an environment of its own: name its python in
``WORKINGS_NEURAL_TANGENTS`` to take it along. It is then timed in a process of its own, one before and one after ours.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import timing
import torch
from timing import Row, Tables, interleaved, peak_growth
from torch import Tensor

from workings.spectral_bias import MLP, empirical_ntk, jacobian_ntk, relu_ntk

OTHER = os.environ.get("WORKINGS_NEURAL_TANGENTS", "")
HIDDEN = (256,) * 4
SCRIPT = """
import json, sys, time, jax
from jax import random
import neural_tangents as nt
from neural_tangents import stax
n, rounds, layers = int(sys.argv[1]), int(sys.argv[2]), []
for _ in range(4):
    layers += [stax.Dense(256, parameterization="standard"), stax.Relu()]
init, apply, kernel = stax.serial(*layers, stax.Dense(1, parameterization="standard"))
_, weights = init(random.PRNGKey(0), (-1, 32))
structured = nt.NtkImplementation.STRUCTURED_DERIVATIVES
empirical = jax.jit(nt.empirical_ntk_fn(apply, implementation=structured, trace_axes=(), vmap_axes=0))
closed = jax.jit(lambda x: kernel(x, None, "ntk"))
x, found = random.normal(random.PRNGKey(1), (n, 32)), {}
for name, run in (("empirical", lambda: empirical(x, None, weights)), ("closed form", lambda: closed(x))):
    run().block_until_ready()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run().block_until_ready()
        times.append(time.perf_counter() - start)
    found[name] = times
print(json.dumps(found))
"""


def neural_tangents(n: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of neural-tangents' kernels, compiled, on one thread, in a process of its own."""
    flags = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [OTHER, "-c", SCRIPT, str(n), str(rounds)], capture_output=True, text=True, check=True,
        env={**os.environ, **flags},
    )  # fmt: skip
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def kernels(n: int, rounds: int) -> Iterator[Row]:
    """Time the kernels of an MLP 32-256-256-256-256-1 between n points: inner products of 206,081 slopes each."""
    net = MLP(32, HIDDEN, generator=torch.Generator().manual_seed(0))
    x = torch.randn(n, 32, generator=torch.Generator().manual_seed(1))
    runs: dict[str, dict[str, Callable[[], Tensor]]] = {
        "empirical": {"workings": partial(empirical_ntk, net, x), "torch.func": partial(jacobian_ntk, net, x)},
        "closed form": {"workings": partial(relu_ntk, x, hidden=HIDDEN)},
    }
    before = neural_tangents(n, rounds) if OTHER else {}
    seconds = {problem: interleaved(contenders, rounds) for problem, contenders in runs.items()}
    after = neural_tangents(n, rounds) if OTHER else {}
    for problem, times in seconds.items():
        memory = {name: peak_growth(run) for name, run in runs[problem].items()}
        if OTHER:
            times |= {"neural-tangents": median(before[problem] + after[problem])}
        for name, time in times.items():
            yield {
                "problem": f"{problem}, n = {n}", "contender": name, "ms": 1e3 * time,
                "times workings": time / times["workings"], "MB": memory.get(name, ""),
            }  # fmt: skip


def run(quick: bool) -> Tables:
    """Measure everything; ``quick`` uses toy sizes, to see that it runs. Returns the rows of each table."""
    torch.set_num_threads(1)
    sizes = (8,) if quick else (256, 512, 1024)
    return {"kernels": [row for n in sizes for row in kernels(n, 1 if quick else 5)]}


def store(tables: Tables) -> None:
    """Write the tables as records of the chapter."""
    timing.store("spectral_bias", ("empirical_ntk", "relu_ntk", "MLP"), tables)


if __name__ == "__main__":
    timing.command(__doc__, run, store)
