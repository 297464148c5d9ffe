"""What all tests share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

# what several test files use lies beside them
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The device to test on: the environment variable WORKINGS_DEVICE, the CPU without it."""
    return torch.device(os.environ.get("WORKINGS_DEVICE", "cpu"))
