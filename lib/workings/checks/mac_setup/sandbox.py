"""A throw-away home without a network, where commands can be run and looked at, and stand-ins for what they fetch.

The stand-ins are a few lines each, written for this book. They do what matters here as the real ones do: oh-my-zsh
complains of plugins that it does not find, and its installer moves a ``.zshrc`` away and writes a new one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

from workings.mac_setup import Machine, add_conda, apply

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
ONLINE = """#!/bin/sh
# a stand-in for curl in this sandbox: it knows two installers
while [ $# -gt 0 ]; do
  case "$1" in --output) out="$2"; shift;; http*) url="$1";; esac
  shift
done
case "$url" in
  *Miniforge3*) from={root}/miniforge.sh;;
  *) from={root}/copies/ohmyzsh/ohmyzsh/tools/install.sh;;
esac
cat "$from" > "${{out:-/dev/stdout}}"
"""
MINIFORGE = """#!/bin/sh
# a stand-in for Miniforge's installer, written for the book Workings; with -b it leaves start-up files alone
there=$HOME/miniforge3
[ "$1" = -b ] && there="$3"
mkdir -p "$there/bin"
cat > "$there/bin/conda" <<'END'
#!/bin/sh
[ "$1" = shell.zsh ] && echo 'conda() {{ echo a stand-in for conda }}' || echo a stand-in for conda
END
chmod +x "$there/bin/conda"
[ "$1" = -b ] || cat {root}/conda-block >> ~/.zshrc
"""
ASKED = """#!/bin/sh
# a keeper of passwords that counts how often it is asked for one
[ "$1" = get ] && { echo get >> "$HOME/asked"; echo username=ada; echo password=a-dummy-token; }
exit 0
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


def _more(name: str) -> str:
    return rf"sed -i.bak 's/^\(plugins=.*\))/\1 {name})/' ~/.zshrc"


# what the post asks its readers to paste or to type, in its order, on the parts of a Mac that a sandbox has
PASTED = (
    ("Homebrew's path", """echo 'eval "$(/opt/homebrew/bin/brew shellenv)"' >> ~/.zprofile"""),
    ("who you are", "git config --global user.name Ada Lovelace; git config --global user.email ada@example.org"),
    ("conda", "sh {root}/miniforge.sh"),
    ("oh-my-zsh", 'sh -c "$(curl -fsSL https://raw.github.com/ohmyzsh/ohmyzsh/master/tools/install.sh)"'),
    ("plugins", "sed -i.bak 's/^plugins=.*/plugins=(git sublime web-search macos vi-mode)/' ~/.zshrc"),
    ("autosuggestions", "{clone}zsh-autosuggestions; " + _more("zsh-autosuggestions")),
    ("highlighting", "{clone}zsh-syntax-highlighting; " + _more("zsh-syntax-highlighting")),
    ("autojump", _more("autojump")),
)
PLUGINS = "~/.oh-my-zsh/custom/plugins"


class Sandbox:
    """A home below a temporary folder, with its own commands first on the path and its own copies of repositories."""

    _open: ClassVar[list[tempfile.TemporaryDirectory[str]]] = []

    def __init__(self, repositories: bool = True) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="workings-")
        self._open.append(self._folder)
        self.root = Path(self._folder.name).resolve()
        self.home, self.bin, self.copies = self.root / "home", self.root / "bin", self.root / "copies"
        for folder in (self.home, self.bin, self.copies):
            folder.mkdir()
        self.command("curl", NO_NETWORK)
        settings = f'[url "file://{self.copies}/"]\n\tinsteadOf = https://github.com/\n'
        (self.home / ".gitconfig").write_text(settings, encoding="utf-8")
        for name, files in REPOSITORIES.items() if repositories else ():
            self.repository(name, files)

        block = add_conda("", f"{self.home}/miniforge3")
        (self.root / "conda-block").write_text(block, encoding="utf-8")
        (self.root / "miniforge.sh").write_text(MINIFORGE.format(root=self.root), encoding="utf-8")

    def online(self, there: bool = True) -> None:
        """Give the sandbox's curl its two installers, or take them away."""
        self.command("curl", ONLINE.format(root=self.root) if there else NO_NETWORK)

    def has(self, *commands: str) -> bool:
        """Return whether this machine has what is to run, and say what it lacks."""
        lacking = [name for name in commands if not shutil.which(name)]
        if lacking:
            print(f"This machine has no {' and no '.join(lacking)}: this cell is left out here.")
        return not lacking

    @contextmanager
    def host(self) -> Iterator[str]:
        """Serve the repositories on this machine alone; under ``/private`` to whoever gives a password."""
        for folder in self.copies.glob("*/*/.git"):
            self.run(f"git -C {folder} update-server-info")
        folder_of_copies = str(self.copies)

        class Host(SimpleHTTPRequestHandler):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments, directory=folder_of_copies)

            def do_GET(self) -> None:
                if self.path.startswith("/private") and not self.headers["Authorization"]:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="a sandbox"')
                    self.end_headers()
                    return
                self.path = self.path.removeprefix("/private")
                super().do_GET()

            def log_message(self, *arguments: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.command("git-credential-counted", ASKED)
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()

    def close(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()

    @classmethod
    def close_all(cls) -> None:
        """Remove the folders of all sandboxes."""
        while cls._open:
            cls._open.pop().cleanup()

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
            "LC_ALL": "C.UTF-8", "http_proxy": away, "https_proxy": away, "no_proxy": "127.0.0.1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }  # fmt: skip

    def run(self, command: str, shell: str = "bash") -> subprocess.CompletedProcess[str]:
        """Run a line of a shell in the home, as if it had been typed or pasted there."""
        typed = [shell, "-c", command]
        return subprocess.run(
            typed, cwd=self.home, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )

    def paste(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run one of the commands of `PASTED`."""
        clone = f"mkdir -p {PLUGINS}; cd {PLUGINS} && git clone -q https://github.com/zsh-users/"
        return self.run(command.replace("{root}", str(self.root)).replace("{clone}", clone))

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

    def apply(self, only: Sequence[str] = ()) -> list[str]:
        """Carry out the plan, or some of its steps, with a yes to every question, and return what did not get done."""
        with redirect_stdout(StringIO()):
            return apply(self.machine(), only=only, ask=lambda question: "y")

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
