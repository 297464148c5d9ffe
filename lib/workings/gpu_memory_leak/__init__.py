"""Memory leaks in PyTorch: find the cycles that Python cannot see, watch a training step for what it leaves behind.

>>> import torch
>>> layer = torch.nn.Linear(4, 3)
>>> x = layer(torch.ones(2, 4))
>>> x /= torch.norm(x, dim=-1, keepdim=True)
>>> print(find_cycles(x)[0].saver, "holds what", find_cycles(x)[0].overwriter, "made")
LinalgVectorNormBackward0 holds what DivBackward0 made
>>> break_cycles(x)
1
"""

from workings.gpu_memory_leak.cycles import Cycle, break_cycles, find_cycles
from workings.gpu_memory_leak.graph import Edge, ReferenceGraph, reference_graph
from workings.gpu_memory_leak.growth import Growth, fit_growth, smallest_leak
from workings.gpu_memory_leak.holders import holder
from workings.gpu_memory_leak.normalize import normalize_, normalize_gradient
from workings.gpu_memory_leak.operations import (
    NEEDS,
    OPERATIONS,
    Activations,
    Operation,
    Outcome,
    judge,
    leave_behind,
    raises,
)
from workings.gpu_memory_leak.picture import Picture, picture
from workings.gpu_memory_leak.watch import Report, Stays, Watch, watch
from workings.typed import check_types

__all__ = [
    "NEEDS",
    "OPERATIONS",
    "Activations",
    "Cycle",
    "Edge",
    "Growth",
    "Operation",
    "Outcome",
    "Picture",
    "ReferenceGraph",
    "Report",
    "Stays",
    "Watch",
    "break_cycles",
    "find_cycles",
    "fit_growth",
    "holder",
    "judge",
    "leave_behind",
    "normalize_",
    "normalize_gradient",
    "picture",
    "raises",
    "reference_graph",
    "smallest_leak",
    "watch",
]

check_types(__name__)
