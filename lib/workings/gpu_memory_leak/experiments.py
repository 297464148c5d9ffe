"""What needs a GPU: the table of statements and the hunted line, with CUDA's allocator as the witness."""

from __future__ import annotations

import weakref
from typing import Any

import torch

from workings.gpu_memory_leak.cycles import break_cycles
from workings.gpu_memory_leak.operations import OPERATIONS, Activations, judge, leave_behind, raises


def climb(device: torch.device, calls: int, rows: int, features: int, seed: int, apart: bool) -> dict[str, Any]:
    """Return what a loop over the printed line (or its form ``apart``) leaves behind, call by call.

    Live bytes of tensors; on a GPU also what CUDA's allocator has handed out, beyond what it had after the first call,
    and how much of that came back when the cycles were broken.
    """
    activations = Activations(device, rows, features, torch.Generator().manual_seed(seed))
    made, live, allocated = leave_behind(OPERATIONS[0], activations, calls, apart)
    break_cycles(*(x for one in made if (x := one()) is not None))
    after = torch.cuda.memory_allocated() if activations.inputs.is_cuda else 0
    return {"live": live, "allocated": [a - allocated[0] for a in allocated], "freed": allocated[-1] - after}


def statements(seed: int, device: torch.device, calls: int, rows: int, features: int) -> dict[str, Any]:
    """Count, for each of `OPERATIONS`, activations alive after ``calls`` calls, and see whether a backward pass raises.

    Weak references and torch's error only, so that it runs in an old torch too.
    """
    activations = Activations(device, rows, features, torch.Generator().manual_seed(seed))
    alive, raised = [], []
    for operation in OPERATIONS:
        made = [weakref.ref(operation.run(activations())) for _ in range(calls)]
        there = [x for one in made if (x := one()) is not None]
        alive.append(len(there))
        for x in there:
            x.detach_()
        raised.append(int(raises(operation.run(activations()))))
    return {"code": [operation.code for operation in OPERATIONS], "alive": alive, "raises": raised}


def cuda(seed: int, device: torch.device, calls: int, long: int, rows: int, features: int) -> dict[str, Any]:
    """Judge every statement on a device, and let the printed line and its fix run ``long`` times.

    For each statement, in the order of `OPERATIONS`: activations alive after ``calls`` calls, bytes left behind a call
    by tensors and by CUDA's allocator (0 on a CPU), and whether a backward pass raises (1) or not (0).
    """
    activations = Activations(device, rows, features, torch.Generator().manual_seed(seed))
    found = [judge(operation, activations, calls) for operation in OPERATIONS]
    values: dict[str, Any] = {
        "alive": [one.alive for one in found],
        "bytes": [one.bytes for one in found],
        "allocated": [one.allocated or 0.0 for one in found],
        "raises": [int(one.raises) for one in found],
        "cycles": [len(one.cycles) for one in found],
    }
    for name, apart in (("leak", False), ("fix", True)):
        curves = climb(device, long, rows, features, seed, apart)
        values |= {f"{name}_{key}": value for key, value in curves.items()}
    return values


RECORDED: dict[str, dict[str, Any]] = {
    "statements": {
        "run": statements,
        "seeds": range(1),
        "profiles": {
            "quick": {"calls": 3, "rows": 16, "features": 8},
            "default": {"calls": 60, "rows": 1024, "features": 256},
        },
    },
    "cuda": {
        "run": cuda,
        "seeds": range(2),
        "profiles": {
            "quick": {"calls": 3, "long": 10, "rows": 16, "features": 8},
            "default": {"calls": 20, "long": 60, "rows": 1024, "features": 256},
        },
    },
}
