"""Public functions on a device that is not the CPU: CUDA where there is one, and else one that refuses what CUDA does.

Each topic has its cases in `device_cases`. A case is run on both devices and must give the same there, as tensors of
the device that it was asked to compute on.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from operator import methodcaller
from typing import Any

import device_cases
import numpy as np
import pytest
import torch
from device_cases import On
from torch import Tensor
from torch.utils._pytree import tree_leaves

TOPICS = sorted(module.name for module in pkgutil.iter_modules(device_cases.__path__))


def module_of(topic: str) -> Any:
    return importlib.import_module(f"device_cases.{topic}")


ALL = [(topic, names) for topic in TOPICS for names in module_of(topic).CASES]


@pytest.mark.parametrize(("topic", "names"), ALL, ids=[f"{topic}:{names.split()[0]}" for topic, names in ALL])
def test_it_computes_elsewhere_what_it_computes_here(topic: str, names: str, elsewhere: torch.device) -> None:
    case = module_of(topic).CASES[names]
    here, there = (tree_leaves(case(On(device))) for device in (torch.device("cpu"), elsewhere))
    assert len(here) == len(there)
    for ours, theirs in zip(here, there, strict=True):
        if isinstance(ours, Tensor):
            assert ours.device.type == "cpu"
            assert theirs.device.type == elsewhere.type, "a result is on another device than its arguments"
            rtol, atol = (None, None) if ours.dtype == torch.float32 else (1e-8, 1e-10)
            torch.testing.assert_close(theirs.detach().cpu(), ours.detach(), rtol=rtol, atol=atol)
        else:
            assert theirs == pytest.approx(ours, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("topic", TOPICS)
def test_every_public_name_has_a_case_or_needs_none(topic: str) -> None:
    cases, public = module_of(topic), set(importlib.import_module(f"workings.{topic}").__all__)
    covered = {name for names in cases.CASES for name in names.split()}
    constants = {name for name in public if name.isupper() and name not in covered}
    assert covered - public == set(), "a case names what is not public"
    assert covered & cases.CPU_ONLY == set()
    assert public - covered - cases.CPU_ONLY - constants == set(), "no case, and not among what needs none"


def test_what_a_gpu_refuses_is_refused(elsewhere: torch.device) -> None:
    """So that the cases above can fail without one."""
    here, there, drawn = torch.ones(3), torch.ones(3, device=elsewhere), torch.Generator().manual_seed(0)
    refused: list[Callable[[], Any]] = [
        lambda: here + there,
        lambda: torch.cat((here, there)),
        lambda: torch.stack((torch.tensor(1.0), there[0])),
        lambda: here[torch.tensor([1], device=elsewhere)],
        lambda: there @ here,
        lambda: torch.rand(3, device=elsewhere, generator=drawn),
        lambda: torch.nn.Linear(3, 1).to(elsewhere)(here),
    ]
    for one in refused:
        with pytest.raises(RuntimeError, match=r"device|cpu"):
            one()
    for numpy in (np.asarray, methodcaller("numpy")):
        with pytest.raises(TypeError, match="convert"):
            numpy(there)
    # and what is none of its business is not
    assert (there + torch.tensor(1.0))[torch.tensor([0, 2])].tolist() == [2, 2]


@pytest.mark.skipif("WORKINGS_DEVICE" in os.environ, reason="these tests have a device")
def test_all_this_holds_on_a_simulated_device() -> None:
    """In a process of its own: torch can be told of a device only before its first gradient."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    run = subprocess.run(
        command, env=os.environ | {"WORKINGS_DEVICE": "simulated"}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout
    assert "passed" in run.stdout
