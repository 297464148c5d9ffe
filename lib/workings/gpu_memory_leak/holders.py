"""Which names in Python hold a tensor: a list and the variable that names it, an attribute, a frame of a traceback."""

from __future__ import annotations

import gc
import inspect
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any

DEPTH = 5  # references from a name to a tensor


def holder(target: Any, ignore: Iterable[Any] = ()) -> str:
    """Return the way from a name to ``target``, in words, as Python's collector sees it; "" if no name holds it.

    Args:
        target: any object that the collector tracks.
        ignore: objects that do not count, such as the caller's own lists.

    Returns:
        Such as ``"losses in module train → list"``.

    >>> import torch
    >>> class Log: pass
    >>> log = Log(); log.kept = [torch.ones(2)]
    >>> holder(log.kept[0])
    'attribute kept of Log → list'

    """
    skip = {id(one) for one in ignore}
    level: list[tuple[Any, tuple[str, ...]]] = [(target, ())]
    seen = {id(target)}
    for _ in range(DEPTH):
        for held, below in level:  # the collector does not look into functions that are running
            for frame in _running():
                name = _local(frame, held)
                if name and not _is_ours(frame) and id(frame) not in skip:
                    return " → ".join((name, *below))
        objects = [one for one, _ in level]
        above = gc.get_referrers(*objects)
        skip |= {id(objects), id(level), id(above), id(seen)}
        new = []
        for referrer in above:
            if id(referrer) in skip or id(referrer) in seen or _is_ours(referrer):
                continue
            seen.add(id(referrer))
            held, below = next(((o, w) for o, w in level if _refers(referrer, o)), (None, ()))
            if held is None:
                continue
            name = _name(referrer, held)
            if name and isinstance(referrer, types.FrameType):
                by = holder(referrer, ignore=[*above, objects, level, below, above])  # who keeps a frame that has ended
                return " → ".join((by, name, *below)) if by else " → ".join((name, *below))
            if name:
                return " → ".join((name, *below))
            new.append((referrer, (_kind(referrer), *below) if _kind(referrer) else below))
        level = new
        skip |= {id(level), id(new)}
        if not level:
            break
    return ""


def _running() -> Iterator[types.FrameType]:
    """Yield the frames that are being executed, the innermost first."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _local(frame: types.FrameType, held: Any) -> str:
    """Return which local of a frame something is, in words, and leave no snapshot of the locals behind."""
    if frame.f_code.co_name == "<module>":
        return _entry(frame.f_globals, held, f"in module {frame.f_globals['__name__']}")
    found = _entry(frame.f_locals, held, f"in a frame of {frame.f_code.co_name}")
    if sys.version_info < (3, 13) and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        frame.f_locals.clear()  # a copy that the frame would keep
    return found


def _is_ours(referrer: Any) -> bool:
    """Return whether this is a frame of this package, which only looks."""
    return isinstance(referrer, types.FrameType) and referrer.f_globals.get("__name__", "").startswith(
        "workings.gpu_memory_leak"
    )


def _refers(referrer: Any, held: Any) -> bool:
    return any(one is held for one in gc.get_referents(referrer))


def _kind(referrer: Any) -> str:
    return "" if isinstance(referrer, dict | types.CellType) else type(referrer).__name__


def _name(referrer: Any, held: Any) -> str:
    """Return the name under which a namespace holds something, or nothing if ``referrer`` is no namespace."""
    if isinstance(referrer, types.FrameType):
        return _local(referrer, held)
    if isinstance(referrer, types.ModuleType):
        return _entry(vars(referrer), held, f"in module {referrer.__name__}")
    if isinstance(referrer, dict):
        if "__name__" in referrer and "__builtins__" in referrer:
            return _entry(referrer, held, f"in module {referrer['__name__']}")
        owner = next((o for o in gc.get_referrers(referrer) if getattr(o, "__dict__", None) is referrer), None)
        return _attribute(owner, referrer, held) if owner is not None else ""
    if isinstance(referrer, BaseException | type):
        return ""
    own = getattr(referrer, "__dict__", None)
    return _attribute(referrer, own, held) if isinstance(own, dict) else ""


def _attribute(owner: Any, namespace: dict[str, Any], held: Any) -> str:
    name = next((n for n, v in namespace.items() if v is held), "")
    if not name:
        return ""
    whose = owner.__name__ if isinstance(owner, types.FunctionType) else type(owner).__name__
    return f"attribute {name} of {whose}"


def _entry(namespace: Any, held: Any, where: str) -> str:
    name = next((n for n, v in namespace.items() if v is held and n.isidentifier()), "")
    return f"{name} {where}" if name else ""
