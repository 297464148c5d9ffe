"""`workings.neural_ode` beside torchdiffeq and torchode: time, evaluations and error in one run.

    python benchmarks/bench_neural_ode.py [--quick] [--write]

The limit is ``bare``: the same network called as often as the solver called it, and nothing else. "times bare" divides
a contender's median time by that of as many bare calls as it made itself; fewer evaluations therefore show in the
milliseconds, not there. Errors are against a reference at a tolerance of 1e-11 in float64.
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import timing
import torch
from ode_peers import FORWARD, GRADIENT, LINEAR, Counted, CountedFlow, Solver, diffeq, diffeq_log_prob, tanh_field
from timing import Row, Tables, interleaved, peak_growth
from torch import Tensor, nn

from workings.neural_ode import ContinuousFlow, MLPField

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-7}
TIGHT = 1e-11
PEER_PACKAGES = ("torchdiffeq", "torchode")
LogProb = Callable[[Tensor], Tensor]


@dataclass
class Case:
    """A field, the states it starts from and the times at which the solution is wanted."""

    name: str
    field: Counted
    y0: Tensor
    t: Tensor
    tolerance: float
    scale: float = 1.0

    def doubled(self) -> Case:
        """The same problem, to the last bit of its numbers, for the reference in float64."""
        return Case(self.name, copy.deepcopy(self.field).double(), self.y0.double(), self.t.double(), TIGHT, self.scale)


def case(batch: int, dtype: torch.dtype, *, outputs: int = 2, width: int = 64, mean: bool = False) -> Case:
    """The tanh network on [0, 1], from standard normal states.

    The loss is a sum of squares, whose adjoint is of the order of one, as the states are. Of their mean it would be so
    small that an absolute tolerance asks little of a reverse solve, which is then cheaper: ``mean`` shows that.
    """
    y0 = torch.randn(batch, 2, generator=torch.Generator().manual_seed(1)).to(dtype)
    name = f"batch {batch}, {str(dtype).removeprefix('torch.')}"
    name += f", {outputs} times" * (outputs > 2) + ", mean" * mean
    t, scale = torch.linspace(0, 1, outputs, dtype=dtype), 1 / y0.numel() if mean else 1.0
    return Case(name, tanh_field(width, dtype), y0, t, TOLERANCE[dtype], scale)


# ---- what is measured ----------------------------------------------------------------------------------------------


@torch.no_grad()
def states(solve: Solver, c: Case) -> Tensor:
    """The states at all times but the first."""
    at_all: Tensor = solve(c.field, c.y0, c.t, c.tolerance)
    return at_all[1:]


def gradient(solve: Solver, c: Case) -> tuple[Tensor, int]:
    """The gradient of the sum of squares, times ``c.scale``, to the start and the parameters, as one vector.

    Also the field's count of evaluations between the passes forward and backward.
    """
    y0 = c.y0.detach().requires_grad_()
    loss = c.scale * solve(c.field, y0, c.t, c.tolerance)[1:].square().sum()
    calls = c.field.calls
    return _flat(torch.autograd.grad(loss, (y0, *c.field.parameters()))), calls


@torch.no_grad()
def bare(c: Case, calls: int) -> None:
    """Evaluate the field ``calls`` times."""
    for _ in range(calls):
        c.field(c.t[0], c.y0)


def bare_vjp(c: Case, calls: int) -> None:
    """Evaluate the field and one vector-Jacobian product to state and parameters, ``calls`` times."""
    for _ in range(calls):
        y = c.y0.detach().requires_grad_()
        out = c.field(c.t[0], y)
        torch.autograd.grad(out, (y, *c.field.parameters()), out)


def _flat(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([x.detach().flatten() for x in tensors])


def relative(value: Tensor, truth: Tensor) -> float:
    """‖value − truth‖ / ‖truth‖ in float64."""
    return float((value.double() - truth).norm() / truth.norm())


# ---- tables --------------------------------------------------------------------------------------------------------


def compare(
    c: Case, runs: Mapping[str, Callable[[], object]], noted: Mapping[str, Row], limit: Callable[[Case, int], None],
    rounds: int,
) -> Iterator[Row]:  # fmt: skip
    """Time ``runs`` and the bare calls, interleaved; yield one row each with what is ``noted`` beside it."""
    calls = next(iter(noted.values()))["evaluations"]
    seconds = interleaved({"bare": partial(limit, c, calls), **runs}, rounds)
    per_call = seconds["bare"] / calls
    noted = {"bare": {"evaluations": calls}, **noted}
    for name, note in noted.items():
        share = seconds[name] / (per_call * note["evaluations"])
        overhead = 1e6 * (seconds[name] / note["evaluations"] - per_call)
        yield {
            "problem": c.name, "contender": name, **note,
            "ms": 1e3 * seconds[name], "times bare": share, "overhead, µs": overhead,
        }  # fmt: skip


def forward(c: Case, solvers: Mapping[str, Solver], truth: Tensor, rounds: int) -> Iterator[Row]:
    """Solving without gradients."""
    noted = {}
    for name, solve in solvers.items():
        before = c.field.calls
        error = relative(states(solve, c), truth)
        noted[name] = {"evaluations": c.field.calls - before, "error": error}
    return compare(c, {name: partial(states, solve, c) for name, solve in solvers.items()}, noted, bare, rounds)


def gradients(c: Case, solvers: Mapping[str, Solver], rounds: int) -> Iterator[Row]:
    """Solving and differentiating; "backward" counts the evaluations of the backward pass."""
    runs = {name: partial(gradient, solve, c) for name, solve in solvers.items()}
    truth, _ = gradient(diffeq, c.doubled())
    return compare(c, runs, note_gradients(c.field, runs, truth), bare_vjp, rounds)


def note_gradients(
    field: Counted, runs: Mapping[str, Callable[[], tuple[Tensor, int]]], truth: Tensor
) -> dict[str, Row]:
    """Run each once and note its evaluations and its error."""
    noted = {}
    for name, run in runs.items():
        begun = field.calls
        value, turned = run()
        noted[name] = {"evaluations": turned - begun, "backward": field.calls - turned, "error": relative(value, truth)}
    return noted


def linear(batch: int, rounds: int) -> Iterator[Row]:
    """ż = A z in 8 dimensions: the field costs next to nothing, so that the time is the solver's own."""
    generator = torch.Generator().manual_seed(2)
    a = torch.randn(8, 8, generator=generator, dtype=torch.float64)
    layer = nn.Linear(8, 8, bias=False).double()
    layer.weight = nn.Parameter(a - a.T - 0.5 * torch.eye(8, dtype=torch.float64))  # turns, and slowly decays
    y0 = torch.randn(batch, 8, generator=generator, dtype=torch.float64)
    t = torch.tensor([0.0, 5.0], dtype=torch.float64)
    c = Case(f"linear, batch {batch}, float64", Counted(layer), y0, t, 1e-7)
    truth = y0 @ torch.linalg.matrix_exp(5 * layer.weight.detach()).T
    return forward(c, LINEAR, truth, rounds)


MEMORY = [
    "bare",
    "workings backprop",
    "workings discrete",
    "workings adjoint",
    "torchdiffeq backprop",
    "torchdiffeq adjoint",
]


def memory(batch: int, width: int, names: list[str]) -> Iterator[Row]:
    """Peak growth of the resident memory over one gradient, each contender in a process of its own."""
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    for name in names:
        command = [sys.executable, __file__, "--memory-of", name, str(batch), str(width)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        yield {"problem": f"batch {batch}, width {width}, float32", "contender": name, "MB": float(done.stdout)}


def memory_of(name: str, batch: int, width: int) -> float:
    """In a process of its own: the peak growth of one contender, in MB."""
    solve = partial(bare_vjp, calls=1) if name == "bare" else partial(gradient, GRADIENT[name])
    solve(case(2, torch.float32, width=width))  # what is loaded at the first call is not what is asked
    c = case(batch, torch.float32, width=width)
    return peak_growth(lambda: solve(c))


def flows(dim: int, batch: int, rounds: int) -> Iterator[Row]:
    """The gradient that a training step of a continuous flow needs: of the mean −log p, to the parameters.

    The usual way takes the trace by automatic differentiation, exactly in few dimensions and by Hutchinson's estimate
    in many, whose noise then shows in the error.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        field = CountedFlow(MLPField(dim, hidden=(64, 64)))
    generator = torch.Generator().manual_seed(4)
    x, noise = torch.randn(batch, dim, generator=generator), torch.randn(batch, dim, generator=generator).sign()
    usual = "exact" if dim <= 8 else "hutchinson"
    probe = None if usual == "exact" else noise
    ways: dict[str, LogProb] = {
        "workings closed, discrete": our_log_prob(field, "closed", "discrete"),
        "workings closed, backprop": our_log_prob(field, "closed", "backprop"),
        f"workings {usual}, discrete": our_log_prob(field, usual, "discrete"),
        f"torchdiffeq {usual}, adjoint": partial(diffeq_log_prob, field, adjoint=True, noise=probe, tolerance=1e-5),
        f"torchdiffeq {usual}, backprop": partial(diffeq_log_prob, field, adjoint=False, noise=probe, tolerance=1e-5),
    }
    exact = copy.deepcopy(field).double()
    truth, _ = training_gradient(our_log_prob(exact, "closed", "backprop", TIGHT), exact, x.double())
    runs = {name: partial(training_gradient, log_prob, field, x) for name, log_prob in ways.items()}
    c = Case(f"{dim} dimensions, batch {batch}, float32", field, x, x.new_tensor([1.0, 0.0]), 1e-5)
    return compare(c, runs, note_gradients(field, runs, truth), bare_vjp, rounds)


def our_log_prob(field: Counted, trace: str, how: str, tolerance: float = 1e-5) -> LogProb:
    """Log p(x) with this package; Hutchinson's noise is the same at each call."""
    dim = field.net.layers[-1].out_features
    flow = ContinuousFlow(field, dim, trace=trace, gradient=how, rtol=tolerance, atol=tolerance)
    return lambda x: flow.log_prob(x, generator=torch.Generator().manual_seed(5))


def training_gradient(log_prob: LogProb, field: Counted, x: Tensor) -> tuple[Tensor, int]:
    """The gradient of the mean −log p(x) to the field's parameters, as one vector, and the count in between."""
    loss = -log_prob(x).mean()
    calls = field.calls
    return _flat(torch.autograd.grad(loss, tuple(field.parameters()))), calls


# ---- the command ---------------------------------------------------------------------------------------------------


def run(quick: bool) -> Tables:
    """Measure everything; ``quick`` uses toy sizes, to see that it runs. Returns the rows of each table."""
    torch.set_num_threads(1)
    rounds = 1 if quick else 7
    cases = [case(batch, dtype) for batch in ((4,) if quick else (512, 16)) for dtype in TOLERANCE]
    averaged = case(4 if quick else 512, torch.float32, mean=True)
    many = [case(4 if quick else 64, d, outputs=n) for d in TOLERANCE for n in ((5,) if quick else (2, 10, 100))]
    outputs = {name: solve for name, solve in GRADIENT.items() if not name.startswith("torchode")}
    wide = (256, 64, MEMORY[1:3]) if quick else (8192, 256, MEMORY)
    tables: dict[str, Callable[[], Iterator[Row]]] = {
        "forward": lambda: (row for c in cases for row in forward(c, FORWARD, states(diffeq, c.doubled()), rounds)),
        "gradients": lambda: (row for c in [*cases, averaged] for row in gradients(c, GRADIENT, rounds)),
        "many output times": lambda: (row for c in many for row in gradients(c, outputs, rounds)),
        "overhead": lambda: linear(4 if quick else 64, rounds),
        "memory": lambda: memory(*wide),
        "flows": lambda: (
            row for dim in ((2, 9) if quick else (2, 64)) for row in flows(dim, 8 if quick else 512, rounds)
        ),
    }
    return {title: list(rows()) for title, rows in tables.items()}


def store(tables: Tables) -> None:
    """Write the tables as records of the chapter."""
    timing.store("neural_ode", ("odeint", "ContinuousFlow", "MLPField"), tables, PEER_PACKAGES)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory-of"]:  # a process of its own, started by `memory`
        torch.set_num_threads(1)
        print(memory_of(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    else:
        timing.command(__doc__, run, store)
