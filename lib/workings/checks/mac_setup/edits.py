"""Edits that can be repeated: nothing twice, nothing lost, nothing half written."""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from workings.book.ledger import verifies
from workings.checks.mac_setup.sandbox import TEMPLATE
from workings.mac_setup import (
    LAST,
    Edit,
    Machine,
    add_conda,
    add_line,
    add_oh_my_zsh,
    add_plugins,
    merge_plugins,
    plugin_list,
    replace_file,
    set_theme,
    unix_lines,
)

LINE = 'eval "$(/opt/homebrew/bin/brew shellenv zsh)"'
EDITS: dict[str, Callable[[str], str]] = {
    "a line": lambda text: add_line(text, LINE),
    "oh-my-zsh": add_oh_my_zsh,
    "plugins": lambda text: add_plugins(text, ["git", "macos"]),
    "highlighting": lambda text: add_plugins(text, [LAST]),
    "prompt": lambda text: set_theme(text, "af-magic"),
    "conda": lambda text: add_conda(text, "/opt/miniforge3"),
    "line ends": unix_lines,
}
FILES = {
    "none": "",
    "no line end": "alias g=git",
    "template": TEMPLATE,
    "already": add_conda(TEMPLATE.replace("(git)", f"(\n  macos  # mine\n  {LAST}\n)"), "/elsewhere"),
    "Windows": TEMPLATE.replace("\n", "\r\n"),
    "two lists": f"plugins=({LAST})\n[[ -n $A ]] && plugins+=(b)\nsource $ZSH/oh-my-zsh.sh\n",
}


def appended(text: str) -> str:
    """Return the text as ``echo … >>`` leaves it."""
    return text + LINE + "\n"


@verifies(
    "mac_setup:appended",
    tex=r"""\begin{aligned}
    \ell_n &= \ell_0 + n && \text{(appended)}, \\
    \ell_n &= \max(\ell_0, 1) && \text{(guarded)}
    \end{aligned}""",
    tolerance=0.0,
    wrong={"the other way round": {"swap": True}, "as if the first run did nothing": {"late": 1}},
)
def lines_after(device: torch.device, swap: bool = False, late: int = 0) -> float:
    """Count the lines after nought to four runs, from files that have none, one or two."""
    off = 0
    for start in range(3):
        pasted = added = (LINE + "\n") * start
        for n in range(5):
            printed = [start + max(n - late, 0), max(start, 1) if n > late else start]
            found = [text.count(LINE) for text in (pasted, added)]
            off += sum(a != b for a, b in zip(found[::-1] if swap else found, printed, strict=True))
            pasted, added = appended(pasted), add_line(added, LINE)
    return float(off)


@verifies(
    "mac_setup:idempotent",
    tex=r"f(f(x)) = f(x)",
    tolerance=0.0,
    wrong={"by appending": {"append": True}},
    kind="definition",
)
def idempotent(device: torch.device, append: bool = False) -> float:
    """Carry out each edit twice on each file, and count where the second changes something."""
    edits = {"appended": appended} if append else EDITS
    return float(sum(edit(edit(text)) != edit(text) for edit in edits.values() for text in FILES.values()))


@verifies(
    "mac_setup:done",
    tex=r"\text{done}(x) \;\Leftrightarrow\; f(x) = x",
    tolerance=0.0,
    wrong={"done if the file is there": {"there": True}, "done if it was run once": {"marked": True}},
    kind="definition",
)
def done(device: torch.device, there: bool = False, marked: bool = False) -> float:
    """Ask the library about files in a throw-away home, before an edit, after it, and after its owner undid it."""
    off = 0
    with tempfile.TemporaryDirectory() as folder:
        machine, path = Machine(Path(folder), "Linux", "x86_64", "", apart=True), Path(folder, ".zshrc")
        for edit in EDITS.values():
            action, has_run = Edit(".zshrc", edit), False
            for text in FILES.values():
                for now in (text, edit(text), text):
                    path.write_bytes(now.encode())
                    claimed = path.exists() if there else has_run if marked else not action.pending(machine)
                    off += claimed != (edit(now) == now)
                    has_run = True
    return float(off)


@verifies(
    "mac_setup:kept",
    tex=r"\text{lines}(x) \subseteq \text{lines}(f(x))",
    tolerance=0.0,
    wrong={"as the installer leaves it": {"installer": True}},
    kind="definition",
)
def kept(device: torch.device, installer: bool = False) -> float:
    """Count the lines that get lost, where an edit has no line of its own kind to change."""
    lost = 0
    for name in ("a line", "oh-my-zsh", "conda"):
        for text in FILES.values():
            left = (TEMPLATE if installer else EDITS[name](text)).splitlines()
            lost += sum(line not in left for line in text.splitlines())
    return float(lost)


@verifies(
    "mac_setup:merge",
    tex=r"""\begin{aligned}
    m(p, w) = {}& (p \setminus h) \frown (w \setminus p \setminus h) \\
    & \frown \bigl(h \cap (p \cup w)\bigr)
    \end{aligned}""",
    tolerance=0.0,
    wrong={"with highlighting where it stands": {"last": False}, "with what is wanted first": {"wanted_first": True}},
)
def merged(device: torch.device, last: bool = True, wanted_first: bool = False) -> float:
    """Write random lists as files, edit the files, and read the lists from them."""
    rng, off, names = random.Random(0), 0, ["git", "macos", "z", "fzf", LAST]
    for _ in range(200):
        p, w = (rng.sample(names, rng.randrange(len(names) + 1)) for _ in range(2))
        new = [name for name in w if name not in p]
        both = [*w, *(name for name in p if name not in w)] if wanted_first else [*p, *new]
        printed = [n for n in both if n != LAST] + [LAST] * (LAST in both) if last else both
        found = plugin_list(add_plugins(f"plugins=({' '.join(p)})\n", w))
        off += (found != printed) + (merge_plugins(p, w) != printed)
    return float(off)


def observed(write: Callable[[Path], None], old: str) -> list[str]:
    """Return what can be read in a file before each line of Python that runs while it is written, and at the end."""
    seen: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "zshrc")
        path.write_text(old, encoding="utf-8")

        def look(frame: FrameType, event: str, argument: object) -> Any:
            if event == "line" and frame.f_code.co_filename.endswith(("mac_setup.py", "pathlib.py", "_local.py")):
                seen.append(path.read_text(encoding="utf-8"))
            return look

        before = sys.gettrace()
        sys.settrace(look)
        try:
            write(path)
        finally:
            sys.settrace(before)
        return [*seen, path.read_text(encoding="utf-8")]


def in_place(path: Path, text: str) -> None:
    """Write a file as an editor or a redirection does: empty it, then fill it."""
    path.write_text(text, encoding="utf-8")


@verifies(
    "mac_setup:atomic",
    tex=r"x_t \in \{x,\, f(x)\} \quad \text{at every moment } t",
    tolerance=0.0,
    wrong={"written in place": {"moved": False}},
)
def atomic(device: torch.device, moved: bool = True) -> float:
    """Look at the file before each line that runs while the library writes it, and count other contents."""
    old, new = TEMPLATE, EDITS["conda"](TEMPLATE)
    write = replace_file if moved else in_place
    return float(sum(text not in (old, new) for text in observed(lambda path: write(path, new), old)))
