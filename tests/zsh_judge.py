"""zsh as the judge of what a start-up file says."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest


def need_zsh() -> None:
    """Skip where there is no zsh; under CI its absence is an error."""
    if not all(map(shutil.which, ("zsh", "git"))):
        say = "the tests of start-up files need zsh and git: apt-get install zsh git"
        if os.environ.get("CI"):
            pytest.fail(say)
        pytest.skip(say)


def zsh_lists(folder: Path, texts: Sequence[str]) -> list[list[str]]:
    """Return what `plugins` holds after zsh has read each text, up to where oh-my-zsh would be loaded."""
    for i, text in enumerate(texts):
        (folder / f"{i:04d}.zsh").write_bytes(text.encode("utf-8", "surrogateescape"))
    loop = 'for f in *.zsh; do (plugins=(); . ./$f; print -rn -- "${(pj:\\t:)plugins}"); print; done'
    env = {"HOME": str(folder), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "MAC": "1"}
    done = subprocess.run(["zsh", "-fc", loop], cwd=folder, env=env, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    lists = [line.split("\t") if line else [] for line in done.stdout.split("\n")[:-1]]
    assert len(lists) == len(texts)
    return lists
