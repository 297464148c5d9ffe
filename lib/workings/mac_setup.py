"""Set up a Mac, or what Linux shares with it: a plan that can be looked at, carried out, and repeated.

    python3 mac_setup.py                    show the plan for this machine, and change nothing
    python3 mac_setup.py --apply            carry it out step by step, asking before each
    python3 mac_setup.py --home /tmp/try    the same in another home, leaving the rest of the machine alone

This one file and the standard library of Python 3.9 are enough. A step is a list of actions, an action knows whether it
is still pending, and a step is done when none is: a second run finds nothing to do. Start-up files are edited, not
replaced; what is downloaded becomes a file that is shown before it runs; no password or token is ever asked for.
"""
# ruff: noqa: D102  (what an action's methods do is said once, in `Action`)

from __future__ import annotations

import argparse
import difflib
import hashlib
import os
import platform
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "STEPS", "Action", "Clone", "Download", "Edit", "Machine", "Planned", "Run", "Setting", "SetupError", "Step",
    "add_conda", "add_line", "add_oh_my_zsh", "add_plugins", "apply", "describe", "merge_plugins", "plan",
    "plugin_list", "replace_file", "set_theme", "unix_lines",
]  # fmt: skip

HOMEBREW = "https://raw.githubusercontent.com/Homebrew/install/HEAD/install.sh"
MINIFORGE = "https://github.com/conda-forge/miniforge/releases/latest/download/Miniforge3-{system}-{arch}.sh"
OH_MY_ZSH, ZSH_USERS = "https://github.com/ohmyzsh/ohmyzsh", "https://github.com/zsh-users/"
# the post's list less `sublime`, which needs that editor, and `vi-mode`, which changes what every key does
EASY = ("git", "web-search", "macos")
LAST = "zsh-syntax-highlighting"  # it wraps what is there when it is loaded
Ask = Callable[[str], str]


class SetupError(RuntimeError):
    """A step cannot be carried out, or did not do what it should have done; the message says what to do."""


# ---- the text of start-up files ------------------------------------------------------------------------------------

# one word of a zsh array: escapes, three kinds of quotes, expansions, and everything else that does not end it
_PIECE = r"""\\[^\r\n]|\$'(?:\\.|[^'\\])*'|'[^']*'|"(?:\\.|[^"\\])*"|\$\{[^}]*\}|\$\([^)]*\)|`[^`]*`|[^\s()'"\\`]"""
_TOKEN = re.compile(rf"(?P<space>(?:\s|\\\r?\n)+)|(?P<comment>#[^\r\n]*)|(?P<end>\))|(?P<word>(?:{_PIECE})+)", re.S)
_ASSIGNED = re.compile(r"^(?P<lead>[^\n#]*?)(?<![\w$./-])plugins(?P<sign>\+?=)(?P<open>\()?", re.M)
_SIMPLE = re.compile(r"(?:(?:export|typeset|declare)[ \t]+(?:-\w+[ \t]+)*)?")
_SOURCED = re.compile(r"^(?:[^\n#]*[ \t;&|{])?(?:source|\.)[ \t]+[^\n#;]*oh-my-zsh\.sh", re.M)
_THEME = re.compile(r"^[ \t]*ZSH_THEME=(?P<quote>[\"']?)(?P<theme>[^\"'\s#]*)(?P=quote)", re.M)


@dataclass(frozen=True)
class _Token:
    word: str  # without its quotes; empty for a comment
    start: int
    end: int


@dataclass(frozen=True)
class _Literal:
    """One ``plugins=(…)`` or ``plugins+=(…)`` that begins a line, so that it is no part of a condition."""

    resets: bool
    start: int  # after the opening parenthesis
    end: int  # before the closing one
    tokens: tuple[_Token, ...]


def _literal(text: str, start: int, resets: bool) -> _Literal:
    tokens: list[_Token] = []
    position = start
    while match := _TOKEN.match(text, position):
        if match["end"]:
            return _Literal(resets, start, match.start(), tuple(tokens))
        if word := match["word"]:  # one that holds an expansion stays as it is, since only zsh knows its value
            word = word if re.search(r"[$`{*?]", word) else "".join(shlex.split(word))
        if match["word"] or match["comment"]:
            tokens.append(_Token(word or "", match.start(), match.end()))
        position = match.end()
    line = text.count("\n", 0, start) + 1
    raise SetupError(f"the plugins=( of line {line} is not closed, or holds what cannot be read here: mend it by hand")


def _literals(text: str) -> tuple[list[_Literal], bool]:
    """Return the literals in force where oh-my-zsh is loaded, and whether another kind of assignment is the last."""
    found: list[_Literal] = []
    sourced, other = _SOURCED.search(text), False
    for match in _ASSIGNED.finditer(text, 0, sourced.start() if sourced else len(text)):
        other = not (match["open"] and _SIMPLE.fullmatch(match["lead"]))
        if not other:
            literal = _literal(text, match.end(), match["sign"] == "=")
            found = [literal] if literal.resets else [*found, literal]
    return found, other


def plugin_list(text: str) -> list[str]:
    r"""Return the plugins that a ``.zshrc`` gives to oh-my-zsh, as far as its text alone tells.

    >>> plugin_list("plugins=(git  # aliases\n  'vi-mode'\n)\nplugins+=(macos)\n")
    ['git', 'vi-mode', 'macos']
    """
    return [token.word for literal in _literals(text)[0] for token in literal.tokens if token.word]


def merge_plugins(have: Sequence[str], wanted: Iterable[str]) -> list[str]:
    """Return a list of what is there and what is wanted, in the order in which it works.

    What is there keeps its order, what is missing follows, and syntax highlighting comes last
    (equation ``mac_setup:merge``). Source: the FAQ of zsh-syntax-highlighting.

    Args:
        have: the plugins so far.
        wanted: those that shall be there.

    >>> merge_plugins(["zsh-syntax-highlighting", "git"], ["git", "macos"])
    ['git', 'macos', 'zsh-syntax-highlighting']

    """
    merged = [*have, *(name for name in dict.fromkeys(wanted) if name not in have)]
    return [name for name in merged if name != LAST] + [LAST] * (LAST in merged)


def add_plugins(text: str, wanted: Iterable[str]) -> str:
    """Return a ``.zshrc`` whose list of plugins also holds those wanted, merged as `merge_plugins` does.

    The list may stand on one line or many, with comments and quotes, and be continued by ``plugins+=(…)``; all else in
    the file stays as it is. Raises ``SetupError`` for a list that cannot be read.

    >>> add_plugins("plugins=(git zsh-syntax-highlighting)", ["macos"])
    'plugins=(git macos zsh-syntax-highlighting)'
    """
    literals, other = _literals(text)
    have = plugin_list(text)
    goal = merge_plugins(have, wanted)
    if goal == have and not (other and LAST in have):
        return text
    if other or not literals:  # a line of our own, which adds to a list that is made by other means
        text = _before_oh_my_zsh(text, "plugins+=()" if other or literals else "plugins=()")
        literals = _literals(text)[0]
    words, list_ = [token for literal in literals for token in literal.tokens if token.word], literals[-1]
    new = [name for name in goal if name not in have and name != LAST]
    if have.count(LAST) == 1 and words[-1].word == LAST and words[-1] in list_.tokens:
        place, gap = words[-1].start, _gap(text, list_, words[-1])
        return text[:place] + "".join(name + gap for name in new) + text[place:]
    edits = [(*_with_its_space(text, token), "") for token in words if token.word == LAST]
    kept = [token for token in list_.tokens if token.word != LAST]
    place = kept[-1].end if kept else list_.start
    gap = _gap(text, list_, kept[-1] if kept else None)
    added = "".join(gap + name for name in new + [LAST] * (LAST in goal))
    edits.append((place, place, added if kept or gap != " " else added[1:]))
    for start, end, by in sorted(edits, reverse=True):
        text = text[:start] + by + text[end:]
    return text


def _gap(text: str, literal: _Literal, beside: _Token | None) -> str:
    """Return what stands between two words of a list: a space, or a line's end and the indentation of its lines."""
    if "\n" not in text[literal.start : literal.end]:
        return " "
    line = text.rfind("\n", literal.start, beside.start) + 1 if beside else 0
    indent = text[line : beside.start] if beside and line else "  "
    return _newline(text) + ("  " if indent.strip() else indent)


def _with_its_space(text: str, token: _Token) -> tuple[int, int]:
    """Return where a word stands with the space before it, after it if it comes first, or with a line of its own."""
    start, end = len(text[: token.start].rstrip(" \t")), len(text) - len(text[token.end :].lstrip(" \t"))
    if text[start - 1] not in "(\n":
        return start, token.end
    if text[start - 1] == "\n" and text[end : end + 2].strip("\r")[:1] == "\n":
        return len(text[: start - 1].removesuffix("\r")), token.end
    return token.start, end


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _before_oh_my_zsh(text: str, line: str) -> str:
    """Put a line before the one that loads oh-my-zsh, or at the end."""
    sourced = _SOURCED.search(text)
    if not sourced:
        return add_line(text, line)
    return text[: sourced.start()] + line + _newline(text) + text[sourced.start() :]


def add_line(text: str, line: str, like: str = "") -> str:
    """Return a start-up file that has a line: it is added at the end if no line is like it.

    Args:
        text: the file's text.
        line: the line, or several.
        like: a pattern; a line that begins with it is taken for this one. The line itself if empty.

    >>> once = add_line("alias l=ls", "alias g=git")
    >>> once == add_line(once, "alias g=git")
    True

    """
    if re.search(rf"^[ \t]*(?:{like or re.escape(line)})", text, re.M):
        return text
    end = _newline(text)
    return text + (end if text and not text.endswith("\n") else "") + line.replace("\n", end) + end


def add_oh_my_zsh(text: str) -> str:
    r"""Return a ``.zshrc`` that loads oh-my-zsh, at its top, so that the lines of its owner have the last word.

    >>> add_oh_my_zsh("alias g=git\n").splitlines()[-1]
    'alias g=git'
    """
    if _SOURCED.search(text):
        return text
    block = 'export ZSH="$HOME/.oh-my-zsh"\nZSH_THEME="robbyrussell"\nplugins=(git)\nsource "$ZSH/oh-my-zsh.sh"\n'
    return block.replace("\n", _newline(text)) + (_newline(text) + text if text else "")


def set_theme(text: str, theme: str) -> str:
    """Return a ``.zshrc`` with a theme in place of the one oh-my-zsh comes with; any other is its owner's choice.

    Args:
        text: the file's text.
        theme: the theme's name.

    >>> set_theme('ZSH_THEME="robbyrussell"', "af-magic")
    'ZSH_THEME="af-magic"'

    """
    found = list(_THEME.finditer(text))
    if not found:
        return _before_oh_my_zsh(text, f'ZSH_THEME="{theme}"')
    if found[-1]["theme"] != "robbyrussell":
        return text
    start, end = found[-1].span("theme")
    return text[:start] + theme + text[end:]


def add_conda(text: str, prefix: str) -> str:
    """Return a start-up file with the block by which conda is found, between the marks that conda itself looks for.

    Args:
        text: the file's text; a block that is there stays, for whichever conda.
        prefix: where conda is installed.

    >>> add_conda("", "/opt/conda").splitlines()[0]
    '# >>> conda initialize >>>'

    """
    conda, mark = shlex.quote(f"{prefix}/bin"), "# >>> conda initialize >>>"
    block = f"""{mark}
# !! Contents within this block are managed by 'conda init' !!
__conda_setup="$({conda}/conda shell.zsh hook 2> /dev/null)"
if [ $? -eq 0 ]; then
    eval "$__conda_setup"
else
    export PATH={conda}:"$PATH"
fi
unset __conda_setup
# <<< conda initialize <<<"""
    return add_line(text, block, like=re.escape(mark))


def unix_lines(text: str) -> str:
    r"""Return a text with the line ends that zsh can read: it takes the return of Windows for part of a word.

    >>> unix_lines("plugins=(git)\r\n")
    'plugins=(git)\n'
    """
    return text.replace("\r\n", "\n")


# ---- files ---------------------------------------------------------------------------------------------------------


def _read(path: Path) -> str:
    """Return a file's text, byte for byte, and nothing for a file that is not there."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}") from error


def replace_file(path: Path, text: str, backup: str = "") -> None:
    """Put a text in place of a file in one move, so that a kill at any moment leaves the old file or the new one.

    A symbolic link stays one, and its target is replaced; the mode stays. Equation ``mac_setup:atomic``. Raises
    ``SetupError`` for a file that is read-only or none.

    Args:
        path: the file.
        text: its new text.
        backup: appended to the file's name for a copy of what was there; no copy if empty. A copy that is there stays.

    """
    target, mode = path.resolve(), 0o644
    if target.exists():
        mode = stat.S_IMODE(target.stat().st_mode)
        if not target.is_file() or not mode & stat.S_IWUSR:  # root could write it all the same, but somebody meant it
            raise SetupError(f"{path} is read-only, or no file; chmod u+w it if this may edit it")
        copy = target.with_name(target.name + backup)
        if not copy.exists():
            _in_one_move(copy, target.read_bytes(), mode)
    target.parent.mkdir(parents=True, exist_ok=True)
    _in_one_move(target, text.encode("utf-8", "surrogateescape"), mode)


def _in_one_move(target: Path, content: bytes, mode: int) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)  # the content is on the disk before the name points to it
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink()
        raise


# ---- the machine ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """Where a plan is carried out: the home, what kind of machine it is, and where commands are looked for."""

    home: Path
    system: str  # as `uname -s` says: Darwin, Linux
    arch: str  # as `uname -m` says: arm64, x86_64, aarch64
    path: str
    apart: bool = False  # another home than the account's: only what lives in it is touched
    name: str = ""
    email: str = ""
    backup: str = ".before-mac_setup"

    @classmethod
    def here(cls, home: Path | None = None, name: str = "", email: str = "") -> Machine:
        """Look at the machine that this runs on."""
        system, arch = platform.system(), platform.machine()
        if system == "Darwin" and arch == "x86_64":  # so says a Python for Intel on Apple Silicon, too
            silicon = subprocess.run(["sysctl", "-in", "hw.optional.arm64"], capture_output=True, text=True)
            arch = "arm64" if silicon.stdout.strip() == "1" else arch
        path, backup = os.environ.get("PATH", os.defpath), time.strftime(".before-mac_setup-%Y%m%d-%H%M%S")
        return cls((home or Path.home()).absolute(), system, arch, path, bool(home), name, email, backup)

    @property
    def prefix(self) -> str:
        """Where Homebrew lives: on Intel in a folder that is on the path of every Mac, on Apple Silicon not."""
        return "/opt/homebrew" if self.arch == "arm64" else "/usr/local"

    def login_shell(self) -> str:
        """Return the account's login shell; $SHELL is only what it was when the terminal was opened."""
        import pwd  # only Unix has it

        return pwd.getpwuid(os.getuid()).pw_shell

    def which(self, command: str) -> str:
        """Return where a command is, or nothing."""
        more = f":{self.prefix}/bin" if self.system == "Darwin" else ""
        return shutil.which(command, path=self.path + more) or ""

    def start_up(self, name: str) -> Path:
        """Return where zsh looks for a start-up file: in $ZDOTDIR, if that is set for this home."""
        return Path(self.home if self.apart else os.environ.get("ZDOTDIR") or self.home) / name

    def run(self, *command: str, quiet: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command, without a shell, in this home; unless it is ``quiet`` it may talk to whoever sits here."""
        kept = {k: v for k, v in os.environ.items() if not (self.apart and k.startswith(("XDG_", "GIT_", "ZDOTDIR")))}
        own = {"HOME": str(self.home), "PATH": self.path, "GIT_TERMINAL_PROMPT": "0", "DISABLE_AUTO_UPDATE": "true"}
        silent, pipe = (subprocess.DEVNULL, subprocess.PIPE) if quiet else (None, None)
        where = self.which(command[0]) or command[0]
        try:
            return subprocess.run(
                [where, *command[1:]], env={**kept, **own}, stdin=silent, stdout=pipe, stderr=pipe, encoding="utf-8",
                errors="replace",
            )  # fmt: skip
        except OSError as error:
            return subprocess.CompletedProcess(command, 127, "", str(error))

    def has_tools(self) -> bool:
        """Whether git and curl are there; on a fresh Mac they are stubs that open a window when they are run."""
        if self.system == "Darwin":
            return self.run("xcode-select", "-p").returncode == 0
        return bool(self.which("git") and self.which("curl"))


# ---- actions -------------------------------------------------------------------------------------------------------


class Action:
    """Something that a step would run or write."""

    outside = False  # whether it changes more than the home

    def pending(self, machine: Machine) -> bool:
        """Whether it would still change something."""
        raise NotImplementedError

    def says(self, machine: Machine, texts: dict[Path, str]) -> Iterator[str]:
        """Say in lines what it would do; ``texts`` holds what earlier actions would have made of files."""
        raise NotImplementedError

    def carry_out(self, machine: Machine, ask: Ask) -> None:
        """Do it. Raises ``SetupError`` if that fails."""
        raise NotImplementedError


@dataclass(frozen=True)
class Run(Action):
    """Run a command unless something is so already."""

    command: tuple[str, ...]
    unless: Callable[[Machine], bool]
    outside: bool = True

    def pending(self, machine: Machine) -> bool:
        return not self.unless(machine)

    def says(self, machine: Machine, texts: dict[Path, str]) -> Iterator[str]:
        yield f"run    {shlex.join(self.command)}"

    def carry_out(self, machine: Machine, ask: Ask) -> None:
        status = machine.run(*self.command, quiet=False).returncode
        if status:
            raise SetupError(f"{shlex.join(self.command)} failed with status {status}")


@dataclass(frozen=True)
class Setting(Action):
    """Give git a global setting that it lacks; another stays, unless it would keep passwords as plain text."""

    key: str
    value: str
    question: str

    def pending(self, machine: Machine) -> bool:
        if not machine.has_tools():
            return True
        there = machine.run("git", "config", "--global", "--get", self.key).stdout.split()
        return not there or (self.key == "credential.helper" and there[0] == "store")

    def says(self, machine: Machine, texts: dict[Path, str]) -> Iterator[str]:
        yield f"run    {shlex.join(['git', 'config', '--global', self.key, self.value or f'<{self.question}>'])}"

    def carry_out(self, machine: Machine, ask: Ask) -> None:
        value = self.value or ask(f"  {self.question}: ").strip()
        if not value or not value.isprintable() or (self.key == "user.email" and "@" not in value):
            raise SetupError(f"{value!r} will not do for {self.key}")
        done = machine.run(
            "git", "config", "--global", "--replace-all", self.key, value
        )  # one argument, spaces and all
        if done.returncode:
            raise SetupError(f"git did not take {self.key}: {done.stderr.strip()}")


@dataclass(frozen=True)
class Clone(Action):
    """Clone a public repository; the folder gets its name when it is complete."""

    url: str
    folder: str  # below the home

    def pending(self, machine: Machine) -> bool:
        return not (machine.home / self.folder).exists()

    def says(self, machine: Machine, texts: dict[Path, str]) -> Iterator[str]:
        yield f"clone  {self.url} into ~/{self.folder}"

    def carry_out(self, machine: Machine, ask: Ask) -> None:
        there = machine.home / self.folder
        partial = there.with_name(there.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        done = machine.run("git", "clone", "--quiet", "--depth", "1", self.url, str(partial))
        if done.returncode:
            raise SetupError(f"git could not clone {self.url}: {done.stderr.strip()}")
        partial.replace(there)


@dataclass(frozen=True)
class Download(Action):
    """Download a script to a file, see that it is one, show it, and run it if that is wanted."""

    url: str
    arguments: tuple[str, ...]
    unless: Callable[[Machine], bool]
    outside: bool = True

    def pending(self, machine: Machine) -> bool:
        return not self.unless(machine)

    def says(self, machine: Machine, texts: dict[Path, str]) -> Iterator[str]:
        yield f"fetch  {self.url}"
        yield f"run    {shlex.join(['bash', '<that file>', *self.arguments])}  once you have seen it"

    def carry_out(self, machine: Machine, ask: Ask) -> None:
        with tempfile.TemporaryDirectory(prefix=".mac_setup-", dir=machine.home) as folder:
            script = Path(folder, self.url.rpartition("/")[2])
            options = ("--fail", "--silent", "--show-error", "--location", "--proto", "=https", "--output", str(script))
            done = machine.run("curl", *options, self.url)
            content = script.read_bytes() if script.exists() else b""
            if done.returncode or not content.startswith(b"#!"):
                why = done.stderr.strip() or f"{len(content)} bytes that are no script"
                raise SetupError(f"no script came from {self.url}: {why} (status {done.returncode})")
            print(f"  {len(content)} bytes in {script}\n  SHA-256 {hashlib.sha256(content).hexdigest()}")
            lines, shown = content[: 2**16].decode("utf-8", "replace").splitlines(), 10
            print(*(f"  | {line[:100]}" for line in lines[:shown]), sep="\n")
            while (answer := ask("  Run it? [y]es, [n]o, [m]ore of it: ").strip().lower()[:1]) == "m":
                print(*(f"  | {line[:100]}" for line in lines[shown : shown + 100]), sep="\n")
                shown += 100
            if answer != "y":
                raise SetupError("not run, as you said")
            status = machine.run("bash", str(script), *self.arguments, quiet=False).returncode
            if status:
                raise SetupError(f"{script.name} failed with status {status}")


@dataclass(frozen=True)
class Edit(Action):
    """Change a start-up file by a function of its text that changes nothing the second time."""

    name: str
    change: Callable[[str], str]

    def pending(self, machine: Machine) -> bool:
        text = _read(machine.start_up(self.name))
        return self.change(text) != text

    def says(self, machine: Machine, texts: dict[Path, str]) -> Iterator[str]:
        path = machine.start_up(self.name)
        before = texts.setdefault(path, _read(path))
        texts[path] = self.change(before)
        yield f"edit   ~/{self.name}"
        lines = difflib.unified_diff(before.splitlines(), texts[path].splitlines(), n=1, lineterm="")
        yield from (f"       {line}" for line in lines if line[:3] not in ("---", "+++") and line[:2] != "@@")

    def carry_out(self, machine: Machine, ask: Ask) -> None:
        path = machine.start_up(self.name)
        replace_file(path, self.change(_read(path)), machine.backup)


# ---- the steps -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One step: what it needs, what it would do, what to look at afterwards, and why a machine may not have it."""

    name: str
    title: str
    needs: tuple[str, ...]
    actions: Callable[[Machine], Sequence[Action]]
    check: tuple[str, ...]
    lacks: Callable[[Machine], str] = lambda machine: ""
    later: str = "its commands returned, and yet it is not done"

    def pending(self, machine: Machine) -> list[Action]:
        """Return its actions that would still change something; it is done when there is none."""
        return [action for action in self.actions(machine) if action.pending(machine)]


def _only_mac(why: str) -> Callable[[Machine], str]:
    return lambda machine: "" if machine.system == "Darwin" else why


def _brew(formula: str) -> Run:
    installed = ("brew", "list", "--versions", formula)
    return Run(("brew", "install", formula), lambda m: bool(m.which("brew")) and not m.run(*installed).returncode)


def _plugin(name: str) -> list[Action]:
    clone = Clone(ZSH_USERS + name, f".oh-my-zsh/custom/plugins/{name}")
    return [clone, Edit(".zshrc", lambda text: add_plugins(text, [name]))]


def _helper(machine: Machine) -> str:
    return "osxkeychain" if machine.system == "Darwin" else "cache --timeout=3600"  # in memory, for an hour


def _zsh(machine: Machine) -> list[Action]:
    shell = Run(("chsh", "-s", machine.which("zsh")), lambda m: m.apart or m.login_shell().endswith("/zsh"))
    there = Run(("zsh", "--version"), lambda m: bool(m.which("zsh")))
    return [there, shell, *(Edit(name, unix_lines) for name in (".zprofile", ".zshrc"))]


def _easy(machine: Machine) -> list[Action]:
    names = [name for name in EASY if name != "macos" or machine.system == "Darwin"]
    return [Edit(".zshrc", lambda text: add_plugins(text, names))]


def _miniforge(machine: Machine) -> list[Action]:
    there = machine.home / "miniforge3"
    url = MINIFORGE.format(system="MacOSX" if machine.system == "Darwin" else machine.system, arch=machine.arch)
    return [Download(url, ("-b", "-p", str(there)), lambda m: (there / "bin/conda").exists(), outside=False)]


def _no_conda(machine: Machine) -> str:
    known = ("arm64", "x86_64") if machine.system == "Darwin" else ("x86_64", "aarch64", "ppc64le")
    return "" if machine.arch in known else f"there is no installer for {machine.system} on {machine.arch}"


STEPS = (
    Step("tools", "the command line tools: git, curl, compilers", (),
         lambda m: [Run(("xcode-select", "--install"), Machine.has_tools)], ("git", "--version"),
         _only_mac("have your distribution's package manager install git and curl"),
         "go through the window that has opened, then run this again"),
    Step("homebrew", "the package manager Homebrew", ("tools",),
         lambda m: [Download(HOMEBREW, (), lambda m: bool(m.which("brew")))], ("brew", "--version"),
         lambda m: "Linux has package managers of its own" if m.system != "Darwin" else "" if m.arch == "arm64" else
         "its installer takes Apple Silicon alone since September 2026; one that is in /usr/local would be used"),
    Step("brew-path", "Homebrew's commands in every new shell", ("homebrew",),
         lambda m: [Edit(".zprofile", lambda text: add_line(text, f'eval "$({m.prefix}/bin/brew shellenv zsh)"',
                                                            r"[^#\n]*\bbrew shellenv"))],
         ("zsh", "-lc", "command -v brew"), _only_mac("without Homebrew there is nothing to find")),
    Step("git", "a newer git than Apple's", ("homebrew",), lambda m: [_brew("git")], ("git", "--version"),
         _only_mac("your distribution's git is the one")),
    Step("identity", "who you are in commits", ("tools",),
         lambda m: [Setting("user.name", m.name, "your name, as commits shall show it"),
                    Setting("user.email", m.email, "an email address that your GitHub account has")],
         ("git", "config", "--global", "user.name")),
    Step("credentials", "where git keeps tokens", ("tools",),
         lambda m: [Setting("credential.helper", _helper(m), "")], ("git", "config", "--global", "credential.helper")),
    Step("zsh", "zsh as the login shell, and start-up files that it can read", (), _zsh, ("zsh", "--version"),
         lambda m: "" if m.which("zsh") else "have your distribution's package manager install zsh"),
    Step("oh-my-zsh", "the framework oh-my-zsh", ("tools", "zsh"),
         lambda m: [Clone(OH_MY_ZSH, ".oh-my-zsh"), Edit(".zshrc", add_oh_my_zsh)], ("zsh", "-lic", "typeset -f omz")),
    Step("plugins", "plugins that come with it", ("oh-my-zsh",), _easy, ("zsh", "-lic", "alias gst")),
    Step("autosuggestions", "suggestions from the history, as you type", ("oh-my-zsh",),
         lambda m: _plugin("zsh-autosuggestions"), ("zsh", "-lic", "typeset -f _zsh_autosuggest_start")),
    Step("highlighting", "colours for what you type", ("oh-my-zsh",),
         lambda m: _plugin(LAST), ("zsh", "-lic", "typeset -f _zsh_highlight")),
    Step("autojump", "jumps to folders that you use", ("brew-path", "oh-my-zsh"),
         lambda m: [_brew("autojump"), Edit(".zshrc", lambda text: add_plugins(text, ["autojump"]))],
         ("zsh", "-lic", "autojump --version"),
         _only_mac("install autojump with your distribution's package manager, then add it to plugins=(…)")),
    Step("prompt", "the prompt af-magic", ("oh-my-zsh",),
         lambda m: [Edit(".zshrc", lambda text: set_theme(text, "af-magic"))], ("zsh", "-lic", "print $ZSH_THEME")),
    Step("miniforge", "Python environments, with conda and mamba", ("tools",), _miniforge,
         ("~/miniforge3/bin/conda", "--version"), _no_conda),
    Step("conda", "conda in every new shell", ("miniforge", "zsh"),
         lambda m: [Edit(".zshrc", lambda text: add_conda(text, str(m.home / "miniforge3")))],
         ("zsh", "-lic", "conda --version")),
)  # fmt: skip


# ---- the plan, and carrying it out ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Planned:
    """A step and its state: ``done``, ``to do``, ``waits``, ``left out``, ``not here`` or ``by hand``, and why."""

    step: Step
    state: str
    why: str = ""


def _look(step: Step, machine: Machine, met: set[str], chosen: Callable[[str], bool]) -> Planned:
    try:
        pending = step.pending(machine)
    except SetupError as error:
        return Planned(step, "not here", why) if (why := step.lacks(machine)) else Planned(step, "by hand", str(error))
    if not pending:
        return Planned(step, "done")
    if not chosen(step.name):
        return Planned(step, "left out")
    if why := step.lacks(machine):
        return Planned(step, "not here", why)
    if machine.apart and any(action.outside for action in pending):
        return Planned(step, "not here", "it changes more than a home, and --home leaves the rest alone")
    if lacking := [need for need in step.needs if need not in met]:
        return Planned(step, "waits", "for " + ", ".join(lacking))
    return Planned(step, "to do")


def _chosen(only: Iterable[str], skip: Iterable[str]) -> Callable[[str], bool]:
    only, skip, names = set(only), set(skip), [step.name for step in STEPS]
    if unknown := sorted((only | skip) - set(names)):
        raise ValueError(f"there is no step {', '.join(unknown)}; the steps are {', '.join(names)}")
    return lambda name: name not in skip and (not only or name in only)


def plan(machine: Machine, only: Iterable[str] = (), skip: Iterable[str] = ()) -> list[Planned]:
    """Return what is to become of each step, in an order in which each comes after what it needs; change nothing.

    Equation ``mac_setup:order``. Raises ``ValueError`` for a step that there is not.

    Args:
        machine: where.
        only: names of the steps that are wanted; all if empty.
        skip: names of steps that are not.

    """
    chosen, met, found = _chosen(only, skip), set[str](), list[Planned]()
    for step in STEPS:
        found.append(_look(step, machine, met, chosen))
        if found[-1].state in ("done", "to do"):
            met.add(step.name)
    return found


def describe(machine: Machine, planned: Sequence[Planned]) -> Iterator[str]:
    """Return lines that say a plan: each step, and for those to do what would be run and written.

    Args:
        machine: where.
        planned: what `plan` found.

    """
    texts: dict[Path, str] = {}
    yield f"The plan for {machine.home} on {machine.system}, {machine.arch}:"
    for number, one in enumerate(planned, 1):
        yield f"{number:3d}  {one.step.name:<16}{one.state}{': ' if one.why else ''}{one.why}"
        if one.state == "to do":
            lines = (line for action in one.step.pending(machine) for line in action.says(machine, texts))
            yield from (f"       {line}" for line in [*lines, f"check  {shlex.join(one.step.check)}"])


def apply(machine: Machine, only: Iterable[str] = (), skip: Iterable[str] = (), ask: Ask = input) -> list[str]:
    """Carry out what `plan` finds, asking before each step; what fails stops only the steps that need it.

    Returns the names of the steps that were begun and are not done. Raises ``ValueError`` for a step that there is not.

    Args:
        machine: where.
        only: names of the steps that are wanted; all if empty.
        skip: names of steps that are not.
        ask: puts a question and returns the answer.

    """
    chosen, met, unfinished = _chosen(only, skip), set[str](), list[str]()
    for step in STEPS:
        one = _look(step, machine, met, chosen)
        if one.state == "to do":
            try:
                one = _carry_out(step, machine, ask)
            except (SetupError, OSError) as error:
                one = Planned(step, "failed", str(error))
                unfinished.append(step.name)
        if one.state == "done":
            met.add(step.name)
        print(f"{step.name}: {one.state}{': ' if one.why else ''}{one.why}")
    return unfinished


def _carry_out(step: Step, machine: Machine, ask: Ask) -> Planned:
    texts: dict[Path, str] = {}
    print(f"\n{step.name}: {step.title}")
    print(*(f"  {line}" for action in step.pending(machine) for line in action.says(machine, texts)), sep="\n")
    if ask("  Do this? [y]es, [n]o: ").strip().lower()[:1] != "y":
        return Planned(step, "left out", "as you said")
    for action in step.pending(machine):
        action.carry_out(machine, ask)
    if step.pending(machine):
        raise SetupError(step.later)
    checked = machine.run(*(part.replace("~", str(machine.home)) for part in step.check))
    if checked.returncode:
        raise SetupError(f"{shlex.join(step.check)} says: {(checked.stderr or checked.stdout).strip()}")
    return Planned(step, "done", "".join(checked.stdout.strip().splitlines()[:1]))


def main(arguments: Sequence[str] | None = None, machine: Machine | None = None, ask: Ask = input) -> int:
    """Show the plan, or carry it out; return 1 if a step was begun and is not done."""
    parser = argparse.ArgumentParser(prog="mac_setup", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--apply", action="store_true", help="carry it out, asking before each step")
    parser.add_argument("--only", nargs="+", default=[], metavar="STEP", help="these steps alone")
    parser.add_argument("--skip", nargs="+", default=[], metavar="STEP", help="all but these steps")
    parser.add_argument("--home", type=Path, metavar="DIR", help="another home; the rest of the machine is left alone")
    parser.add_argument("--name", default="", help="your name, for commits")
    parser.add_argument("--email", default="", help="your email address, for commits")
    options = parser.parse_args(arguments)
    here = machine or Machine.here(options.home, options.name, options.email)
    try:
        if not here.home.is_dir():
            raise ValueError(f"there is no folder {here.home}")
        if not options.apply:
            print(*describe(here, plan(here, options.only, options.skip)), sep="\n")
            print("Nothing was changed. --apply carries it out, asking before each step.")
            return 0
        if here.home.stat().st_uid != os.geteuid():
            raise ValueError(f"{here.home} belongs to somebody else: run this as its owner, without sudo")
        return 1 if apply(here, options.only, options.skip, ask) else 0
    except ValueError as error:
        parser.error(str(error))
    except (EOFError, KeyboardInterrupt):
        print("\nStopped. What was done stays done; run this again to go on.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
