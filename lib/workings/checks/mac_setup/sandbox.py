"""A throw-away home without a network, where commands can be run and looked at, and stand-ins for what they fetch.

The stand-ins are a few lines each, written for this book. They do what matters here as the real ones do: oh-my-zsh
complains of plugins that it does not find, and its installer moves a ``.zshrc`` away and writes a new one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from workings.mac_setup import Machine

OH_MY_ZSH = r"""# a stand-in for oh-my-zsh, written for the book Workings
for plugin in $plugins; do
  for file in $ZSH/custom/plugins/$plugin/$plugin.plugin.zsh $ZSH/plugins/$plugin/$plugin.plugin.zsh; do
    [[ -f $file ]] && { source $file; continue 2 }
  done
  echo "[oh-my-zsh] plugin '$plugin' not found" >&2
done
omz() { echo "a stand-in" }
"""
TEMPLATE = """# a stand-in for oh-my-zsh's template, written for the book Workings
export ZSH="$HOME/.oh-my-zsh"
ZSH_THEME="robbyrussell"
# Example format: plugins=(rails git textmate)
plugins=(git)
source $ZSH/oh-my-zsh.sh
"""
INSTALLER = """#!/bin/sh
# a stand-in for what oh-my-zsh's installer does to a home, written for the book Workings
git clone --quiet https://github.com/ohmyzsh/ohmyzsh ~/.oh-my-zsh || exit 1
[ -e ~/.zshrc ] && mv ~/.zshrc ~/.zshrc.pre-oh-my-zsh
cp ~/.oh-my-zsh/templates/zshrc.zsh-template ~/.zshrc
"""
NO_NETWORK = """#!/bin/sh
echo "curl: (7) Failed to connect: this sandbox has no network" >&2
exit 7
"""
SHIPPED = ("git", "web-search", "macos", "sublime", "vi-mode")
MADE = "_zsh_autosuggest_start() { : }", "_zsh_highlight() { : }"
REPOSITORIES = {
    "ohmyzsh/ohmyzsh": {
        "oh-my-zsh.sh": OH_MY_ZSH,
        "templates/zshrc.zsh-template": TEMPLATE,
        "tools/install.sh": INSTALLER,
        **{f"plugins/{name}/{name}.plugin.zsh": f"LOADED+=({name})\n" for name in SHIPPED},
        "plugins/git/git.plugin.zsh": "LOADED+=(git)\nalias gst='git status'\n",
        "plugins/autojump/autojump.plugin.zsh": "LOADED+=(autojump)\n"
        "(( $+commands[autojump] )) || echo '[oh-my-zsh] autojump not found. Please install it first.'\n",
    },
    **{
        f"zsh-users/{name}": {f"{name}.plugin.zsh": f"LOADED+=({name})\n{made}\n"}
        for name, made in zip(("zsh-autosuggestions", "zsh-syntax-highlighting"), MADE, strict=True)
    },
}
NEEDS = ("git", "zsh", "bash")


def lacks() -> str:
    """Return which commands this machine lacks that a sandbox runs, or nothing."""
    return ", ".join(name for name in NEEDS if not shutil.which(name))


class Sandbox:
    """A home below a temporary folder, with its own commands first on the path and its own copies of repositories."""

    def __init__(self, repositories: bool = True) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="workings-")
        self.root = Path(self._folder.name).resolve()
        self.home, self.bin, self.copies = self.root / "home", self.root / "bin", self.root / "copies"
        for folder in (self.home, self.bin, self.copies):
            folder.mkdir()
        self.command("curl", NO_NETWORK)
        settings = f'[url "file://{self.copies}/"]\n\tinsteadOf = https://github.com/\n'
        (self.home / ".gitconfig").write_text(settings, encoding="utf-8")
        for name, files in REPOSITORIES.items() if repositories else ():
            self.repository(name, files)

    def close(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()

    def command(self, name: str, script: str) -> Path:
        """Put a command first on the path."""
        path = self.bin / name
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)
        return path

    def repository(self, name: str, files: dict[str, str]) -> Path:
        """Make a repository that ``git clone https://github.com/NAME`` finds here."""
        there = self.copies / name
        for file, text in files.items():
            (there / file).parent.mkdir(parents=True, exist_ok=True)
            (there / file).write_text(text, encoding="utf-8")
        who = "-c user.name=Nobody -c user.email=nobody@example.org"
        self.run(f"cd {there} && git init -q && git add . && git {who} commit -q -m 'A stand-in'")
        return there

    @property
    def env(self) -> dict[str, str]:
        """What commands find in their environment: nothing of the account's own."""
        away = "http://127.0.0.1:1"  # nobody listens there
        return {
            "HOME": str(self.home), "PATH": f"{self.bin}:{os.environ.get('PATH', os.defpath)}", "TERM": "dumb",
            "LC_ALL": "C.UTF-8", "http_proxy": away, "https_proxy": away, "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }  # fmt: skip

    def run(self, command: str, shell: str = "bash") -> subprocess.CompletedProcess[str]:
        """Run a line of a shell in the home, as if it had been typed or pasted there."""
        typed = [shell, "-c", command]
        return subprocess.run(
            typed, cwd=self.home, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )

    def start(self, command: str = ":") -> subprocess.CompletedProcess[str]:
        """Start zsh as a new terminal would, with all of its start-up files, and run a line."""
        return self.run(f"zsh -dlic {_quoted(command)}")

    def read(self, name: str) -> str:
        """Return the text of a file in the home, and nothing if there is none."""
        path = self.home / name
        return path.read_bytes().decode("utf-8", "surrogateescape") if path.is_file() else ""

    def write(self, name: str, text: str) -> Path:
        """Write a file in the home."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return path

    def machine(self, **fields: object) -> Machine:
        """Return this home as a machine for `workings.mac_setup`."""
        given = {"path": self.env["PATH"], "system": "Linux", "arch": "x86_64", "apart": True}
        who = {"name": "Ada Lovelace", "email": "ada@example.org"}
        return Machine(self.home, **{**given, **who, **fields})  # type: ignore[arg-type]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def snapshot(folder: Path) -> dict[str, tuple[str, int, bytes]]:
    """Return what a folder holds: kind, mode and content of each path below it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file"
        content = os.fsencode(path.readlink()) if kind == "link" else path.read_bytes() if kind == "file" else b""
        found[str(path.relative_to(folder))] = (kind, path.lstat().st_mode, content)
    return found
