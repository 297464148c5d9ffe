"""Progress bars where somebody looks at them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from IPython.core.getipython import get_ipython

T = TypeVar("T")
QUIET = "WORKINGS_QUIET"  # set by refresh, nbval and papermill runs, whose outputs are kept


def progress(items: Iterable[T], description: str = "") -> Iterator[T]:
    """Yield ``items`` behind a ``tqdm.auto`` bar; silent when ``WORKINGS_QUIET`` is set or nobody looks."""
    if os.environ.get(QUIET) or (get_ipython() is None and not sys.stderr.isatty()):
        yield from items
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:  # the bar is a convenience: the work goes on without it
        yield from items
        return
    yield from tqdm(items, desc=description, leave=False)
