"""Blocks of memory that torch's operations made, and what became of them; nothing here keeps one alive."""

from __future__ import annotations

import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

NOT_THE_USERS = (str(Path(torch.__file__).parent), str(Path(__file__).parent), "<frozen")


@dataclass
class Block:
    """The memory behind one or more tensors, from the operation that made it until nothing refers to it.

    Attributes:
        storage: a weak reference, which C++ keeps: it sees tensors that have no name in Python too.
        tensors: weak references to the tensors that share it.
        bytes: its size.
        born: the call in which it was made, from 0.
        operation: what made it.
        shape: of the tensor that it was made for.
        dtype: of the tensor that it was made for.
        line: the user's line that made it.

    """

    storage: StorageWeakRef
    bytes: int
    born: int
    operation: str
    shape: tuple[int, ...]
    dtype: str
    line: str
    tensors: list[weakref.ref[Tensor]] = field(default_factory=list)

    @property
    def is_alive(self) -> bool:
        """Whether something still refers to it."""
        return not self.storage.expired()

    @property
    def kind(self) -> tuple[str, str, tuple[int, ...], str]:
        """What blocks of different calls have in common."""
        return self.line, self.operation, self.shape, self.dtype


class Blocks(TorchDispatchMode):
    """Sees every operation of torch while it is entered, and remembers which memory it made.

    Attributes:
        call: the number of the watched call.
        alive: the blocks that were alive when `count` was last called.
        dead: of those that outlived their call, how many were born in one call and found dead after another, and their
            bytes.

    """

    def __init__(self) -> None:
        super().__init__()
        self.call = 0
        self.known: dict[int, Block] = {}
        self.dead: Counter[tuple[int, int, int]] = Counter()  # born, died, bytes

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Do not load torch's compiler, which takes seconds, only to keep it away from here."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and look at what it returns."""
        out = func(*args, **(kwargs or {}))
        made = [t for t in tree_flatten(out)[0] if isinstance(t, Tensor)]
        if made:  # torch.tensor makes its memory before it calls lift_fresh
            fresh = func is torch.ops.aten.lift_fresh.default
            given = {
                s for t in tree_flatten((args, kwargs))[0] if isinstance(t, Tensor) and (s := address(t)) and not fresh
            }
            for tensor in made:
                for part in (tensor._indices(), tensor._values()) if tensor.is_sparse else (tensor,):
                    self._see(part, given, func)
        return out

    def _see(self, tensor: Tensor, given: set[int], func: Any) -> None:
        """Remember the memory behind a tensor, unless it came with the arguments and was made elsewhere."""
        place = address(tensor)
        if not place:
            return
        if place not in self.known:
            if place in given:
                return
            storage = tensor.untyped_storage()
            self.known[place] = Block(
                StorageWeakRef(storage), storage.nbytes(), self.call, str(func.overloadpacket.__name__),
                tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), users_line(),
            )  # fmt: skip
        self.known[place].tensors.append(weakref.ref(tensor))

    def count(self) -> tuple[int, int]:
        """End a call: forget what died in it, and return the number and the bytes of the blocks that live."""
        for place, block in list(self.known.items()):
            if block.is_alive:
                block.tensors = [t for t in block.tensors if t() is not None]
                continue
            del self.known[place]
            if block.born < self.call:
                self.dead[block.born, self.call, block.bytes] += 1
        self.call += 1
        return len(self.known), sum(block.bytes for block in self.known.values())

    def sweep(self) -> int:
        """Forget the blocks that died since `count`, as if they had never been, and return their bytes."""
        gone = [place for place, block in self.known.items() if not block.is_alive]
        return sum(self.known.pop(place).bytes for place in gone)

    def outlived(self, age: int) -> tuple[list[int], list[int]]:
        r"""Return, after each call, the number and the bytes of blocks that are ``age`` calls old or older.

        Equation gpu_memory_leak:outlived of the chapter.
        """
        counts, sizes = [0] * self.call, [0] * self.call
        for born, died, size, number in self._lives():
            for call in range(born + age, died):
                counts[call] += number
                sizes[call] += number * size
        return counts, sizes

    def _lives(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield the call of birth, the call in which it was found dead (or the next), bytes, and how many such."""
        yield from ((born, died, size, number) for (born, died, size), number in self.dead.items())
        alive = Counter((block.born, block.bytes) for block in self.known.values())
        yield from ((born, self.call, size, number) for (born, size), number in alive.items())


def address(tensor: Tensor) -> int:
    """Return the address of a tensor's storage, 0 if it has none of its own."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):
        return 0


def users_line() -> str:
    """Return ``file:line in function`` of the innermost frame outside torch and this package; "" if there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(NOT_THE_USERS):
            return f"{file}:{frame.f_lineno} in {frame.f_code.co_name}"
        frame = frame.f_back
    return ""
