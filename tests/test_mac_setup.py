"""The plan, and carrying it out: in throw-away homes, with the real zsh and git, and with fakes of what a Mac has.

The homes are those of the chapter's checks, which stand on `workings.book`.
"""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mac_setup_homes import Answers, Fakes, sandbox

from workings import mac_setup
from workings.checks.mac_setup.sandbox import REPOSITORIES, Sandbox, snapshot
from workings.mac_setup import LAST, STEPS, Machine, SetupError, apply, describe, main, plan, plugin_list

SCRIPT = Path(mac_setup.__file__ or "")
NAMES = [step.name for step in STEPS]
ZSHRC = [*NAMES[7:11], "prompt"]  # the steps that make a .zshrc on any machine
MAC_ONLY = {"homebrew", "brew-path", "git", "autojump"}
REAL = Path(pwd.getpwuid(os.getuid()).pw_dir)
DOTS = (".zshrc", ".zprofile", ".gitconfig", ".oh-my-zsh", "miniforge3", ".git-credentials", ".config/git/config")


def dots() -> list[Any]:
    """Return what could be touched in the real home by mistake."""
    there = [REAL / name for name in DOTS]
    return [(path.name, path.lstat().st_mtime_ns, path.lstat().st_size) for path in there if path.exists()]


@pytest.fixture(scope="module")
def stocked() -> Iterator[Sandbox]:
    yield from sandbox()


@pytest.fixture
def box(stocked: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A fresh home beside shared repositories; what lies outside it must stay as it was."""
    decoy = tmp_path / "decoy"
    decoy.mkdir()
    for name in DOTS[:3]:
        (decoy / name).write_text("# not to be touched\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(decoy))
    monkeypatch.setenv("ZDOTDIR", str(decoy))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(decoy / ".gitconfig"))
    before = dots(), snapshot(decoy), snapshot(stocked.copies)
    git = stocked.home / ".gitconfig"
    mine = git.read_bytes()
    yield stocked
    assert (dots(), snapshot(decoy), snapshot(stocked.copies)) == before
    shutil.rmtree(stocked.home)
    stocked.home.mkdir()
    git.write_bytes(mine)
    shutil.rmtree(stocked.root / "state", ignore_errors=True)
    for command in stocked.bin.iterdir():
        if command.name != "curl":
            command.unlink()


@pytest.fixture
def fakes(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fakes]:
    curl = (box.bin / "curl").read_text(encoding="utf-8")
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    yield Fakes(box, monkeypatch)
    box.command("curl", curl)


def states(machine: Machine, **choice: Any) -> dict[str, str]:
    return {one.step.name: one.state for one in plan(machine, **choice)}


QUICK_GIT = """#!/bin/sh
[ "$1" = clone ] || exec {git} "$@"
cp -r {copies}/${{5#https://github.com/}} "$6"
"""


# ---- the file alone ------------------------------------------------------------------------------------------------


def test_the_file_is_python_3_9_with_the_standard_library_alone() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 9))
    roots = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    roots |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert roots <= {
        "__future__", "argparse", "collections.abc", "dataclasses", "difflib", "hashlib", "os", "pathlib", "platform",
        "pwd", "re", "shlex", "shutil", "stat", "subprocess", "sys", "tempfile", "time",
    }  # fmt: skip
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = {keyword.arg for call in calls for keyword in call.keywords}
    assert not named & {"strict", "slots", "kw_only", "delete_on_close", "walk_up", "follow_symlinks", "newline"}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not attributes & {"pairwise", "batched", "walk", "hardlink_to", "file_digest", "chdir", "with_segments"}
    assert not [node for node in ast.walk(tree) if type(node).__name__ in ("Match", "TryStar", "TypeAlias")]
    annotations = {
        id(n) for node in ast.walk(tree) for n in ast.walk(node) if isinstance(node, ast.AnnAssign | ast.arg)
    }
    evaluated = [n for n in ast.walk(tree) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.BitOr)]
    unions = [n for n in evaluated if isinstance(n.right, ast.Constant) and n.right.value is None]
    returns = {
        id(n)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.returns
        for n in ast.walk(node.returns)
    }
    assert {id(n) for n in unions} <= annotations | returns


@pytest.mark.skipif(not shutil.which("python3.9"), reason="there is no python3.9 here")
def test_python_3_9_shows_the_plan(tmp_path: Path) -> None:
    copy = shutil.copy(SCRIPT, tmp_path / "mac_setup.py")
    done = subprocess.run(["python3.9", "-I", copy, "--home", str(tmp_path)], capture_output=True, text=True)
    if "pyenv" in done.stderr:
        pytest.skip("python3.9 is a name without a Python")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("how", [[str(SCRIPT)], ["-m", "workings.mac_setup"]])
def test_without_options_the_plan_is_shown_and_nothing_is_changed(box: Sandbox, how: list[str]) -> None:
    box.write(".zshrc", "plugins=(git)\n")
    before = snapshot(box.root)
    env = {**box.env, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(SCRIPT.parents[1])}
    done = subprocess.run([sys.executable, "-S", *how], env=env, cwd=box.home, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"The plan for {box.home} on ")
    assert lines[-1] == "Nothing was changed. --apply carries it out, asking before each step."
    assert [line.split()[1] for line in lines if line[:3].strip().isdigit()] == NAMES
    assert snapshot(box.root) == before


GUARD = """
import os, runpy, sys
root, script = sys.argv[1:3]
def guard(event, arguments):
    writes = event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writes or event in ("os.rename", "os.remove", "os.mkdir", "os.chmod", "os.symlink", "os.link", "os.truncate"):
        for path in arguments[:2 if event in ("os.rename", "os.link") else 1]:
            if isinstance(path, (str, bytes)):
                real = os.path.realpath(os.fsdecode(path))
                if not (real + "/").startswith(root + "/") and real != "/dev/null":
                    os.write(2, f"{event} outside: {real}".encode())
                    os._exit(9)
sys.addaudithook(guard)
sys.argv = [script, *sys.argv[3:]]
runpy.run_path(script, run_name="__main__")
"""


def test_in_another_home_nothing_outside_is_written_and_nothing_outside_attempted(box: Sandbox) -> None:
    command = [sys.executable, "-B", "-S", "-c", GUARD, str(box.home), str(SCRIPT), "--home", str(box.home), "--apply"]
    env = {**os.environ, "PATH": box.env["PATH"]}
    who = ["--name", "Ada Lovelace", "--email", "ada@example.org"]
    done = subprocess.run([*command, *who], env=env, input="y\n" * 30, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 1  # this sandbox has no network, so that miniforge fails
    assert "miniforge: failed: no script came from https://" in done.stdout
    assert "curl: (7)" in done.stdout
    assert "chsh" not in done.stdout
    assert "oh-my-zsh: done" in done.stdout
    assert not list(box.home.glob(".mac_setup-*"))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--only", "plugin"], "there is no step plugin; the steps are tools, homebrew,"),
        (["--skip", "b", "a"], "there is no step a, b; the steps"),
        (["--home", "/no/such/folder"], "there is no folder /no/such/folder"),
        (["--yes"], "unrecognized arguments: --yes"),
    ],
)
def test_what_there_is_not_is_said(arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert why in capsys.readouterr().err


def test_with_sudo_it_would_make_files_that_their_owner_cannot_change(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: box.home.stat().st_uid + 1)
    assert main([], box.machine()) == 0
    with pytest.raises(SystemExit, match="2"):
        main(["--apply"], box.machine(), Answers())
    assert "belongs to somebody else: run this as its owner, without sudo" in capsys.readouterr().err


# ---- the plan ------------------------------------------------------------------------------------------------------


def test_each_step_comes_after_what_it_needs() -> None:
    for i, step in enumerate(STEPS):
        assert set(step.needs) <= set(NAMES[:i]), step.name
    assert len(set(NAMES)) == len(NAMES)


def test_a_plan_on_linux_says_what_is_not_there_and_attempts_nothing_of_it(box: Sandbox) -> None:
    found = states(box.machine())
    assert {name for name, state in found.items() if state == "not here"} == MAC_ONLY
    assert {found["tools"], found["zsh"]} == {"done"}
    assert {state for name, state in found.items() if name not in MAC_ONLY | {"tools", "zsh"}} == {"to do"}
    text = "\n".join(describe(box.machine(), plan(box.machine())))
    assert "brew install" not in text
    assert "xcode-select" not in text
    assert "macos" not in text  # the plugin


def test_what_a_machine_lacks_is_said_and_what_needs_it_waits(box: Sandbox) -> None:
    bare = box.machine(path=str(box.bin))
    found = {one.step.name: one for one in plan(bare)}
    assert (found["tools"].state, found["zsh"].state) == ("not here", "not here")
    assert "package manager install git and curl" in found["tools"].why
    assert "package manager install zsh" in found["zsh"].why
    assert (found["identity"].state, found["identity"].why) == ("waits", "for tools")
    assert (found["oh-my-zsh"].state, found["oh-my-zsh"].why) == ("waits", "for tools, zsh")
    assert found["plugins"].why == "for oh-my-zsh"
    riscv = {one.step.name: one for one in plan(box.machine(arch="riscv64"))}
    assert (riscv["miniforge"].state, riscv["miniforge"].why) == (
        "not here",
        "there is no installer for Linux on riscv64",
    )
    assert riscv["conda"].state == "waits"


def test_only_and_skip_leave_out_the_rest_and_what_is_done_counts(box: Sandbox) -> None:
    some = states(box.machine(), only=["identity", "plugins"], skip=["identity"])
    assert some["plugins"] == "waits"
    assert some["identity"] == some["prompt"] == "left out"
    assert some["zsh"] == "done"
    apply(box.machine(), only=["oh-my-zsh"], ask=Answers())
    assert states(box.machine(), only=["plugins"])["plugins"] == "to do"


def test_on_a_mac_with_intel_homebrew_is_used_where_it_is_and_not_installed(fakes: Fakes) -> None:
    fakes.say("tools")
    intel = fakes.mac(arch="x86_64")
    found = {one.step.name: one for one in plan(intel)}
    assert (found["homebrew"].state, found["brew-path"].state, found["autojump"].state) == (
        "not here",
        "waits",
        "waits",
    )
    assert "takes Apple Silicon alone since September 2026" in found["homebrew"].why
    assert found["oh-my-zsh"].state == found["miniforge"].state == "to do"
    shutil.copy(fakes.state / "brew", fakes.box.bin / "brew")
    found = {one.step.name: one for one in plan(intel)}
    assert (found["homebrew"].state, found["brew-path"].state, found["autojump"].state) == ("done", "to do", "to do")
    assert '+eval "$(/usr/local/bin/brew shellenv zsh)"' in "\n".join(describe(intel, plan(intel)))


def test_on_a_fresh_mac_the_plan_runs_no_stub_and_knows_the_prefix(fakes: Fakes) -> None:
    mac = fakes.mac()
    fakes.box.command("git", f"#!/bin/sh\ntouch {fakes.state}/window\nexit 1\n")
    text = "\n".join(describe(mac, plan(mac)))
    assert set(states(mac).values()) == {"to do"}
    assert not (fakes.state / "window").exists()
    assert set(fakes.calls) == {"xcode-select -p"}
    assert '+eval "$(/opt/homebrew/bin/brew shellenv zsh)"' in text
    assert "Miniforge3-MacOSX-arm64.sh" in text
    assert "chsh -s /" in text
    assert "credential.helper osxkeychain" in text
    assert "plugins=(git web-search macos)" in text


def test_a_python_for_intel_on_apple_silicon_is_not_taken_for_a_mac_with_intel(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    answers = ["1\n", "0\n", ""]

    def sysctl(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, answers.pop(0), "")

    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(subprocess, "run", sysctl)
    assert [Machine.here().arch for _ in range(3)] == ["arm64", "x86_64", "x86_64"]
    assert asked == [["sysctl", "-in", "hw.optional.arm64"]] * 3


def test_this_machine_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    here = Machine.here()
    assert (here.home, here.apart, here.path) == (tmp_path, False, os.environ["PATH"])
    assert here.system == os.uname().sysname
    assert here.login_shell() == pwd.getpwuid(os.getuid()).pw_shell
    other = Machine.here(Path("try"), "Ada", "a@b")
    assert (other.home, other.apart, other.name, other.email) == (tmp_path / "try", True, "Ada", "a@b")
    monkeypatch.setenv("ZDOTDIR", "/elsewhere")
    assert (here.start_up(".zshrc"), other.start_up(".zshrc")) == (Path("/elsewhere/.zshrc"), tmp_path / "try/.zshrc")


# ---- carrying it out on Linux, with the real zsh and git -------------------------------------------------------------


def test_three_runs_are_one_run_and_zsh_finds_what_was_promised(
    box: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    box.write(".zshrc", "# mine\nalias gst='echo mine'\nexport PATH=$HOME/bin:$PATH")
    answers = Answers()
    assert apply(box.machine(), ask=answers) == ["miniforge"]  # without a network
    assert "conda: waits: for miniforge" in capsys.readouterr().out
    assert len(answers.asked) == len(NAMES) - len(MAC_ONLY) - 3  # tools and zsh are there, conda waits
    first = snapshot(box.home)
    for _ in range(2):
        again = Answers()
        assert apply(box.machine(backup=".another-copy"), skip=["miniforge"], ask=again) == []
        assert again.asked == []
        assert snapshot(box.home) == first
    started = box.start("print $LOADED; alias gst; git config user.name")
    assert started.stderr == ""
    assert started.stdout.splitlines() == [
        f"git web-search zsh-autosuggestions {LAST}",
        "gst='echo mine'",
        "Ada Lovelace",
    ]
    assert box.read(".zshrc.before-mac_setup") == "# mine\nalias gst='echo mine'\nexport PATH=$HOME/bin:$PATH"
    assert box.read(".zshrc").endswith("\n\n# mine\nalias gst='echo mine'\nexport PATH=$HOME/bin:$PATH")
    assert 'ZSH_THEME="af-magic"' in box.read(".zshrc")
    assert list(states(box.machine()).values()).count("done") == len(NAMES) - len(MAC_ONLY) - 2


FILES = {
    "missing": None,
    "empty": "",
    "windows": "ZSH=~/.oh-my-zsh\r\nplugins=(git\r\n  vi-mode\r\n)\r\nsource $ZSH/oh-my-zsh.sh\r\nalias a=b\r\n",
    "many lines": f"ZSH=~/.oh-my-zsh\nplugins=(\n  git # aliases\n  {LAST} # last :)\n)\n. $ZSH/oh-my-zsh.sh\n",
    "a condition": "plugins=(git)\n[[ -n $HOME ]] && plugins+=(sublime)\nZSH=~/.oh-my-zsh\n. $ZSH/oh-my-zsh.sh\n",
}


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("file", FILES)
def test_zsh_starts_without_complaint_from_whatever_was_there(box: Sandbox, file: str, linked: bool) -> None:
    text = FILES[file]
    if text is not None:
        there = box.write("dots/zshrc" if linked else ".zshrc", text)
        there.chmod(0o600)
        if linked:
            (box.home / ".zshrc").symlink_to("dots/zshrc")
    assert apply(box.machine(), only=["zsh", *ZSHRC], ask=Answers()) == []
    started = box.start("print -l $LOADED")
    assert started.stderr == ""
    loaded = started.stdout.split()
    assert loaded[-1] == LAST
    assert loaded.count(LAST) == 1
    assert {"git", "web-search", "zsh-autosuggestions"} <= set(loaded)
    if text is not None:
        assert (box.home / ".zshrc").is_symlink() == linked
        assert (box.home / ".zshrc").stat().st_mode & 0o777 == 0o600
        assert box.read(("dots/" if linked else ".") + "zshrc.before-mac_setup") == text


def test_a_no_is_a_no_and_what_needs_it_waits(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(box.home)
    answers = Answers("n", "", "no", "N")
    assert apply(box.machine(), ask=answers, skip=["miniforge"]) == []
    assert len(answers.asked) == 3
    out = capsys.readouterr().out
    assert "oh-my-zsh: left out: as you said" in out
    assert "plugins: waits: for oh-my-zsh" in out
    assert snapshot(box.home) == before


def test_before_each_step_it_is_said_what_it_would_do(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    shown = []

    def ask(question: str) -> str:
        shown.append(capsys.readouterr().out)
        return "y"

    box.write(".zshrc", "plugins=(a)\nsource $HOME/.oh-my-zsh/oh-my-zsh.sh\n")
    apply(box.machine(), only=["oh-my-zsh", "plugins"], ask=ask)
    assert f"clone  {mac_setup.OH_MY_ZSH} into ~/.oh-my-zsh" in shown[0]
    assert "edit   ~/.zshrc\n         -plugins=(a)\n         +plugins=(a git web-search)" in shown[1]


def test_the_dry_run_shows_edits_one_upon_the_other_and_they_are_what_is_done(box: Sandbox) -> None:
    text = "\n".join(describe(box.machine(), plan(box.machine(), only=ZSHRC)))
    promised = [line.strip() for line in text.splitlines() if line.strip().startswith("+plugins=")]
    apply(box.machine(), only=ZSHRC, ask=Answers())
    assert promised[-1] == f"+plugins=({' '.join(plugin_list(box.read('.zshrc')))})"
    assert len(promised) == 4


@pytest.mark.parametrize("broken", ["plugins=(git\nsource $HOME/.oh-my-zsh/oh-my-zsh.sh\n", None])
def test_a_file_that_cannot_be_edited_stops_its_steps_and_no_others(
    box: Sandbox, broken: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if broken is None:  # read-only: somebody meant it
        box.write(".zshrc", "alias a=b\n").chmod(0o444)
    else:
        box.write(".zshrc", broken)
    before = box.read(".zshrc")
    main([], box.machine())
    assert main(["--apply", "--skip", "miniforge"], box.machine(), Answers()) == 1
    out = capsys.readouterr().out
    assert ("oh-my-zsh: failed: " + ("" if broken else str(box.home / ".zshrc")) + " is read-only" in out) == (
        not broken
    )
    assert ("plugins: by hand: the plugins=( of line 1 is not closed" in out) == bool(broken)
    assert "autojump: not here: install autojump" in out
    assert "identity: done" in out
    assert box.read(".zshrc") == before


def test_a_check_that_fails_is_said(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    box.write(".zprofile", "exit 3\n")
    assert apply(box.machine(), only=["oh-my-zsh", "plugins"], ask=Answers()) == ["oh-my-zsh"]
    out = capsys.readouterr().out
    assert "oh-my-zsh: failed: zsh -lic 'typeset -f omz' says:" in out
    assert "plugins: waits: for oh-my-zsh" in out


def test_interrupted_at_every_write_and_every_command_it_can_go_on(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop it at the first, the second, … move of a file or command; a further run must end as one run does."""
    box.command("zsh", "#!/bin/sh\nexit 0\n")  # a clone is a copy, too, so that there is time for all moments
    box.command("git", QUICK_GIT.format(copies=box.copies, git=shutil.which("git")))
    keep, run, move = snapshot(box.home), Machine.run, Path.replace
    calls, stop = 0, 0

    def counted(original: Any) -> Any:
        def stand_in(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == stop:
                raise KeyboardInterrupt
            return original(*arguments, **options)

        return stand_in

    def fresh() -> None:
        shutil.rmtree(box.home)
        box.home.mkdir()
        (box.home / ".gitconfig").write_bytes(keep[".gitconfig"][2])
        box.write(".zshrc", "alias a=b\n").chmod(0o600)

    def kept() -> dict[str, Any]:
        return {k: v for k, v in snapshot(box.home).items() if "/.git/" not in k}

    chosen = ["identity", "oh-my-zsh", "plugins"]
    fresh()
    monkeypatch.setattr(Machine, "run", counted(run))
    monkeypatch.setattr(Path, "replace", counted(move))
    assert main(["--apply", "--only", *chosen], box.machine(), Answers()) == 0
    whole, end = kept(), calls
    assert end > 10
    for at in range(1, end + 1):
        fresh()
        calls, stop = 0, at
        assert main(["--apply", "--only", *chosen], box.machine(), Answers()) == 1
        assert box.read(".zshrc") != ""
        stop = 0
        assert main(["--apply", "--only", *chosen], box.machine(), Answers()) == 0
        assert kept() == whole, at


def test_a_clone_that_was_killed_is_begun_anew(box: Sandbox) -> None:
    box.write(".oh-my-zsh.partial/half", "x")
    assert apply(box.machine(), only=["oh-my-zsh"], ask=Answers()) == []
    assert (box.home / ".oh-my-zsh/oh-my-zsh.sh").exists()
    assert not (box.home / ".oh-my-zsh.partial").exists()
    assert not (box.home / ".oh-my-zsh/half").exists()


def test_a_clone_that_fails_is_said_and_leaves_no_folder(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    with (box.home / ".gitconfig").open("a") as file:
        file.write('[url "file:///nowhere/"]\n\tinsteadOf = https://github.com/ohmyzsh/\n')
    assert apply(box.machine(), only=["oh-my-zsh", "prompt"], ask=Answers()) == ["oh-my-zsh"]
    assert f"oh-my-zsh: failed: git could not clone {mac_setup.OH_MY_ZSH}: " in capsys.readouterr().out
    assert not (box.home / ".oh-my-zsh").exists()
    assert box.read(".zshrc") == ""


# ---- git -----------------------------------------------------------------------------------------------------------


def test_a_name_of_two_words_is_one_name_and_settings_that_are_there_stay(box: Sandbox) -> None:
    box.run("git config --global user.email mine@example.org")
    assert apply(box.machine(name="", email=""), only=["identity"], ask=Answers("y", " Ada King Lovelace ")) == []
    assert box.run("git config --global user.name").stdout == "Ada King Lovelace\n"
    assert box.run("git config --global user.email").stdout == "mine@example.org\n"
    assert states(box.machine())["identity"] == "done"


@pytest.mark.parametrize(("name", "email"), [(" ", "a@b"), ("Ada\x00", "a@b"), ("Ada\nx", "a@b"), ("Ada", "ada")])
def test_what_is_no_name_or_address_is_refused(box: Sandbox, name: str, email: str) -> None:
    assert apply(box.machine(name="", email=""), only=["identity"], ask=Answers("y", name, email)) == ["identity"]
    assert states(box.machine())["identity"] == "to do"


@pytest.mark.parametrize(
    ("there", "after"),
    [
        ("", "cache --timeout=3600"), ("store", "cache --timeout=3600"), ("store --file=x", "cache --timeout=3600"),
        ("osxkeychain", "osxkeychain"), ("manager", "manager"), ("cache", "cache"),
    ],
)  # fmt: skip
def test_tokens_are_never_kept_as_plain_text_and_another_keeper_stays(box: Sandbox, there: str, after: str) -> None:
    if there:
        box.run(f"git config --global credential.helper '{there}'")
    assert apply(box.machine(), only=["credentials"], ask=Answers()) == []
    assert box.run("git config --global credential.helper").stdout.strip() == after


def test_a_name_that_is_called_store_is_a_name(box: Sandbox) -> None:
    box.run("git config --global user.name store; git config --global user.email a@b")
    assert states(box.machine())["identity"] == "done"


def test_no_secret_is_asked_for_or_written(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    token = "ghp_0123456789abcdef"
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "HOMEBREW_GITHUB_API_TOKEN"):
        monkeypatch.setenv(name, token)
    answers = Answers()
    apply(box.machine(name="", email=""), ask=lambda q: answers(q) if "[y]es" in q else "ada@example.org")
    asked = " ".join(answers.asked).lower()
    assert not {word for word in ("password", "token", "secret") if word in asked}
    for path, (kind, _, content) in snapshot(box.home).items():
        assert token.encode() not in content, path
        assert kind != "file" or "history" not in path


# ---- a pretended Mac -----------------------------------------------------------------------------------------------


def test_on_a_mac_everything_is_installed_in_order_and_a_second_run_has_nothing_to_do(fakes: Fakes) -> None:
    answers = Answers()
    assert apply(fakes.mac(), ask=answers) == []
    done = [call for call in fakes.calls if call.split()[1] in ("--install", "install", "-s", "--fail")]
    assert [call.split()[0] for call in done] == ["xcode-select", "curl", "brew", "chsh", "brew", "curl"]
    assert done[0] == "xcode-select --install"
    assert done[2::2] == ["brew install git", "brew install autojump"]
    for call, url in ((done[1], mac_setup.HOMEBREW), (done[5], "Miniforge3-MacOSX-arm64.sh")):
        assert "--proto =https" in call
        assert call.endswith(url)
    assert (fakes.box.home / "miniforge3/bin/conda").exists()
    assert plugin_list(fakes.box.read(".zshrc")) == [
        "git",
        "web-search",
        "macos",
        "zsh-autosuggestions",
        "autojump",
        LAST,
    ]
    assert fakes.box.read(".zprofile") == 'eval "$(/opt/homebrew/bin/brew shellenv zsh)"\n'
    assert fakes.box.run("git config --global credential.helper").stdout == "osxkeychain\n"
    before, count = snapshot(fakes.box.home), len(fakes.calls)
    again = Answers()
    assert apply(fakes.mac(), ask=again) == []
    assert (again.asked, snapshot(fakes.box.home)) == ([], before)
    assert not [call for call in fakes.calls[count:] if call.split()[1] not in ("-p", "list")]


def test_tools_that_are_still_being_installed_are_waited_for(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    fakes.say("slow")
    assert apply(fakes.mac(), ask=Answers(), only=["tools", "homebrew", "identity"]) == ["tools"]
    out = capsys.readouterr().out
    assert "tools: failed: go through the window that has opened, then run this again" in out
    assert "homebrew: waits: for tools" in out
    assert "identity: waits: for tools" in out
    fakes.say("tools")
    assert apply(fakes.mac(), ask=Answers(), only=["tools", "homebrew"]) == []


@pytest.mark.parametrize(
    ("state", "why"),
    [("fails", "curl: (22) 404"), ("half", "curl: (18) closed"), ("empty", "0 bytes that are no script"),
     ("page", "17 bytes that are no script")],
)  # fmt: skip
def test_what_is_no_script_does_not_run(fakes: Fakes, capsys: pytest.CaptureFixture[str], state: str, why: str) -> None:
    fakes.say("tools", f"curl-{state}")
    answers = Answers()
    assert apply(fakes.mac(), ask=answers, only=["homebrew", "brew-path"]) == ["homebrew"]
    out = capsys.readouterr().out
    assert f"homebrew: failed: no script came from {mac_setup.HOMEBREW}: " in out
    assert why in out
    assert "brew-path: waits: for homebrew" in out
    assert len(answers.asked) == 1
    assert not (fakes.box.bin / "brew").exists()
    fakes.unsay(f"curl-{state}")
    assert apply(fakes.mac(), ask=Answers(), only=["homebrew"]) == []


def test_a_script_is_shown_before_it_runs_and_runs_only_if_wanted(
    fakes: Fakes, capsys: pytest.CaptureFixture[str]
) -> None:
    fakes.say("tools")
    script = (fakes.state / "brew-script").read_text() + "".join(f"# line {i}\n" for i in range(300))
    (fakes.state / "brew-script").write_text(script)
    assert apply(fakes.mac(), ask=Answers("y", "m", "n"), only=["homebrew"]) == ["homebrew"]
    out = capsys.readouterr().out
    assert "homebrew: failed: not run, as you said" in out
    shown = [line[4:] for line in out.splitlines() if line.startswith("  | ")]
    assert shown == script.splitlines()[:110]
    assert hashlib.sha256(script.encode()).hexdigest() in out
    assert not (fakes.box.bin / "brew").exists()
    assert not list(fakes.box.home.glob(".mac_setup*"))
    assert apply(fakes.mac(), ask=Answers("y", ""), only=["homebrew"]) == ["homebrew"]


def test_an_installer_or_a_command_that_fails_is_said(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    fakes.say("tools")
    (fakes.state / "brew-script").write_text("#!/bin/sh\nexit 4\n")
    assert apply(fakes.mac(), ask=Answers(), only=["homebrew"]) == ["homebrew"]
    fakes.box.command("chsh", "#!/bin/sh\nexit 1\n")
    assert apply(fakes.mac(), ask=Answers(), only=["zsh"]) == ["zsh"]
    (fakes.state / "brew-script").write_text("#!/bin/sh\nexit 0\n")
    assert apply(fakes.mac(), ask=Answers(), only=["homebrew"]) == ["homebrew"]
    out = capsys.readouterr().out
    assert "homebrew: failed: install.sh failed with status 4" in out
    assert "homebrew: failed: its commands returned, and yet it is not done" in out
    assert "zsh: failed: chsh -s " in out


def test_another_home_on_a_mac_leaves_the_mac_alone(fakes: Fakes) -> None:
    fakes.say("tools")
    found = {one.step.name: one for one in plan(fakes.mac(apart=True))}
    alone = {name for name, one in found.items() if "leaves the rest alone" in one.why}
    assert alone == {"homebrew", "git", "autojump"}
    assert found["brew-path"].state == "waits"
    assert {found[name].state for name in ("oh-my-zsh", "identity", "miniforge", "plugins")} == {"to do"}
    assert found["zsh"].state == "done"
    fakes.unsay("tools")
    assert {one.state for one in plan(fakes.mac(apart=True))} <= {"not here", "waits", "done", "to do"}


def test_an_end_of_input_stops_it(box: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(question: str) -> str:
        raise EOFError

    assert main(["--apply"], box.machine(), ask) == 1
    assert "run this again to go on" in capsys.readouterr().out


def test_what_names_its_place_is_a_public_repository_over_https() -> None:
    assert mac_setup.OH_MY_ZSH.removeprefix("https://github.com/") in REPOSITORIES
    assert all(url.startswith("https://") for url in (mac_setup.HOMEBREW, mac_setup.MINIFORGE, mac_setup.ZSH_USERS))
    with pytest.raises(SetupError):
        raise SetupError("said")
