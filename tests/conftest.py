"""What all tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

# what several test files use lies beside them
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "book")]
from simulated import NAME, simulated  # noqa: E402

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def device() -> Iterator[torch.device]:
    """The device to test on: the environment variable WORKINGS_DEVICE, the CPU without it.

    With "simulated" it is one that computes on the CPU and refuses what CUDA refuses, for tests without a GPU.
    """
    name = os.environ.get("WORKINGS_DEVICE", "cpu")
    with simulated() if name == NAME else nullcontext(torch.device(name)) as found:
        yield found


@pytest.fixture(scope="module")
def elsewhere(device: torch.device) -> torch.device:
    """A device that is not the CPU: that of WORKINGS_DEVICE, or CUDA."""
    if device.type == "cpu" and torch.cuda.is_available():
        device = torch.device("cuda")
    if device.type == "cpu":
        pytest.skip("there is no second device; test_devices.py runs these on a simulated one, in its own process")
    return device


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the book once, or take the one that WORKINGS_SITE names."""
    if "WORKINGS_SITE" in os.environ:
        return Path(os.environ["WORKINGS_SITE"]).resolve()
    there = tmp_path_factory.mktemp("book")
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", "-q", "-W", "-n", "--keep-going"]
    done = subprocess.run([*command, "--path-output", str(there), "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"the book does not build without warnings:\n{done.stderr[-3000:]}"
    return there / "_build/html"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for all pages of a test file; playwright allows no second one beside it."""
    from reader import browser

    with browser() as started:
        yield started


def pytest_collectstart() -> None:
    """Draw the same too where a file of tests draws while it is imported, whatever was imported before."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Draw the same in every run, whatever ran before: what a test leaves to torch's own generator too."""
    torch.manual_seed(0)
