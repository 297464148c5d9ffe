"""For nbval: kernels start one after the other.

Each chooses free ports some seconds before it takes them, so that two that start at once may choose the same, and one
of them waits in vain (github.com/jupyter/jupyter_client/issues/487).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import nbval.kernel
from filelock import FileLock

start = nbval.kernel.start_new_kernel


def start_alone(*args: Any, **kwargs: Any) -> Any:
    """Start a kernel while no other process that runs chapters does."""
    with FileLock(Path(tempfile.gettempdir()) / "workings-kernel.lock"):
        return start(*args, **kwargs)


nbval.kernel.start_new_kernel = start_alone
