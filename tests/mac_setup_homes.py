"""Sandboxes for the tests of `mac_setup`, and a pretended Mac. (The sandbox stands on `workings.book`.)

The package is imported where it is needed only, so that planted errors are found in the copy that has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from zsh_judge import need_zsh

if TYPE_CHECKING:
    from workings.checks.mac_setup.sandbox import Sandbox
    from workings.mac_setup import Machine


class Answers:
    """Answers to questions, which are kept: yes to all, or as told by a word in the question or what it is about."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), list[str]()

    def __call__(self, question: str) -> str:
        self.asked.append(question)
        return self.answers.pop(0) if self.answers else "y"


FAKES = {  # each writes down how it was called; files in $STATE say what has happened so far
    "xcode-select": """[ "$1" = -p ] && { [ -e "$STATE/tools" ] && exit 0; exit 2; }
touch "$STATE/window"; [ -e "$STATE/slow" ] || touch "$STATE/tools"
""",
    "brew": """[ "$1" = list ] && { [ -e "$STATE/brewed-$3" ] && exit 0; exit 1; }
[ "$1" = install ] && touch "$STATE/brewed-$2"
[ "$2" = autojump ] && { printf '#!/bin/sh\\n' > "$BIN/$2"; chmod +x "$BIN/$2"; }
exit 0
""",
    "curl": """for last; do :; done
while [ $# -gt 0 ]; do [ "$1" = --output ] && out="$2"; shift; done
[ -e "$STATE/curl-fails" ] && { echo "curl: (22) 404" >&2; exit 22; }
[ -e "$STATE/curl-half" ] && { head -c 20 "$STATE/script" > "$out"; echo "curl: (18) closed" >&2; exit 18; }
[ -e "$STATE/curl-empty" ] && { : > "$out"; exit 0; }
[ -e "$STATE/curl-page" ] && { echo "<html>404</html>" > "$out"; exit 0; }
case "$last" in *Miniforge3*) cp "$STATE/conda-script" "$out";; *) cp "$STATE/brew-script" "$out";; esac
""",
    "chsh": """touch "$STATE/chsh"
""",
}
SCRIPTS = {
    "brew-script": """#!/bin/bash
# a fake installer of Homebrew
cp "$STATE/brew" "$BIN/brew"; chmod +x "$BIN/brew"
""",
    "conda": """#!/bin/sh
[ "$1" = shell.zsh ] && echo 'conda() { echo conda 1; }' || echo conda 1
""",
    "conda-script": """#!/bin/sh
# a fake installer of Miniforge: -b -p FOLDER
mkdir -p "$3/bin"; cp "$STATE/conda" "$3/bin/conda"; chmod +x "$3/bin/conda"
""",
}


class Fakes:
    """A sandbox with fake commands of a Mac, and what was asked of them."""

    def __init__(self, box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        from workings.mac_setup import Machine

        self.box, self.state = box, box.root / "state"
        self.state.mkdir()
        for name, text in FAKES.items():
            head = f'#!/bin/sh\necho "{name} $*" >> "{self.state}/calls"\nSTATE="{self.state}" BIN="{box.bin}"\n'
            box.command(name, head + text)
        (box.bin / "brew").rename(self.state / "brew")  # until it is installed
        for name, text in SCRIPTS.items():
            (self.state / name).write_text(text, encoding="utf-8")
        (self.state / "script").write_text(SCRIPTS["brew-script"], encoding="utf-8")
        monkeypatch.setenv("STATE", str(self.state))
        monkeypatch.setenv("BIN", str(box.bin))
        monkeypatch.delenv("ZDOTDIR", raising=False)
        monkeypatch.setattr(
            Machine, "login_shell", lambda machine: "/bin/zsh" if (self.state / "chsh").exists() else "/bin/bash"
        )

    def say(self, *states: str) -> None:
        for state in states:
            (self.state / state).touch()

    def unsay(self, state: str) -> None:
        (self.state / state).unlink()

    @property
    def calls(self) -> list[str]:
        there = self.state / "calls"
        return there.read_text(encoding="utf-8").splitlines() if there.exists() else []

    def mac(self, **fields: Any) -> Machine:
        """Return the sandbox's home on a Mac with Apple Silicon, as its owner's own."""
        return self.box.machine(**{"system": "Darwin", "arch": "arm64", "apart": False, **fields})


def sandbox() -> Iterator[Sandbox]:
    """Yield a sandbox with repositories and remove it."""
    from workings.checks.mac_setup.sandbox import Sandbox

    need_zsh()
    box = Sandbox()
    yield box
    box.close()
