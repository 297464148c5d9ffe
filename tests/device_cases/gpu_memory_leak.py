"""Normalization, and what makes and overwrites activations, on a device."""

from __future__ import annotations

from typing import Any

from device_cases import On, slopes
from workings import gpu_memory_leak as leaks


def normalized(on: On) -> Any:
    x, g = on(3, 4).requires_grad_(), on(3, 4)
    y = leaks.normalize_(x * 1)
    return y, slopes(y * g, x), leaks.normalize_gradient(x, g)


def overwritten(on: On) -> Any:
    activations = leaks.Activations(on.device, 4, 3, on.cpu)
    x = leaks.OPERATIONS[0].run(activations())
    found, refused = leaks.find_cycles(x), leaks.raises(leaks.OPERATIONS[0].run(activations()))
    return x, len(found), leaks.break_cycles(x), refused, leaks.raises(activations())


CASES = {
    "normalize_ normalize_gradient": normalized,
    "Activations find_cycles break_cycles raises": overwritten,
}
# counts references and bytes, and computes nothing on a device; tests/test_gpu_memory_leak.py runs it on a GPU
CPU_ONLY = {
    "Cycle", "Edge", "Growth", "Operation", "Outcome", "Picture", "ReferenceGraph", "Report", "Stays", "Watch",
    "fit_growth", "holder", "judge", "leave_behind", "picture", "reference_graph", "smallest_leak", "watch",
}  # fmt: skip
