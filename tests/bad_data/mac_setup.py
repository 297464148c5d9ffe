"""The text of start-up files, files, and plans for a machine on which no command is found: valid calls."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any

from bad_data import Case
from bad_data.rules import gives
from workings import mac_setup as mac

HOME = Path("/no/such/home")
MACHINE = mac.Machine(HOME, "Linux", "x86_64", path="", apart=True)
TEXT = 'ZSH_THEME="robbyrussell"\nplugins=(git)\nsource "$ZSH/oh-my-zsh.sh"\n'


def never(machine: mac.Machine) -> bool:
    return False


def same_text(text: str) -> str:
    return text


def replaced(path: Any, text: Any, backup: Any) -> Any:
    """Return what lies in a folder after a file in it was replaced."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "zshrc").write_text("before")
        mac.replace_file(Path(folder) / path if isinstance(path, Path) else path, text, backup)
        return sorted((file.name, file.read_text()) for file in Path(folder).rglob("*") if file.is_file())


def says(action: type[Any], **fields: Any) -> Case:
    """Return the case of an action: what it says that it would do."""
    case = Case(lambda **given: list(action(**given).says(MACHINE, {})), **fields)
    return case.hints(**{name: "text" for name, value in fields.items() if not callable(value)})


def applied(machine: Any, only: Any, skip: Any) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return mac.apply(machine, only, skip, ask=lambda question: "n")


def states(planned: Any) -> Any:
    return [(one.step.name, one.state, one.why) for one in planned]


STEPS = [step.name for step in mac.STEPS]
ALL = {"only": "-text", "skip": "-text"}
CASES = {
    "Clone": says(mac.Clone, url="https://example.org/a", folder=".a"),
    "Download": says(mac.Download, url="https://example.org/a.sh", arguments=("-b",), unless=never).omit("outside"),
    "Edit": says(mac.Edit, name=".zshrc", change=same_text),
    "Machine": Case(
        lambda **fields: str(mac.Machine(**fields).start_up(".zshrc")), home=HOME, system="Linux", arch="x86_64",
        path="/a", apart=True, name="A", email="a@b", backup=".old",
    ).hints(
        home="-missing", system="text", arch="text", path="text -empty", name="text -empty", email="text -empty",
        backup="text -empty",
    ),
    "Machine.here": Case(
        lambda home, name, email: [str((made := mac.Machine.here(home, name, email)).home), made.name, made.email],
        home=HOME, name="A", email="a@b",
    ).hints(home="-missing", name="text -empty", email="text -empty"),
    "Machine.which": Case(MACHINE.which, command="git").hints(command="text"),
    "Machine.start_up": Case(lambda name: str(MACHINE.start_up(name)), name=".zshrc").hints(name="text"),
    "Machine.run": Case(
        lambda command: MACHINE.run(*command).returncode, command=("no_such_command", "-v")
    ).hints(command="text").omit("quiet"),
    "Run": says(mac.Run, command=("true",), unless=never).omit("outside"),
    "Setting": says(mac.Setting, key="user.name", value="A", question="Who?"),
    "add_conda": Case(text=TEXT, prefix="/opt/conda").hints(text="text", prefix="text"),
    "add_line": Case(text=TEXT, line="alias g=git", like="alias g=").hints(text="text", line="text", like="text"),
    "add_oh_my_zsh": Case(text=TEXT).hints(text="text"),
    "add_plugins": Case(text=TEXT, wanted=["macos"]).hints(text="text", wanted="text"),
    "apply": Case(applied, machine=MACHINE, only=[STEPS[0]], skip=[STEPS[1]]).omit("ask"),
    "describe": Case(lambda planned: list(mac.describe(MACHINE, planned)), planned=mac.plan(MACHINE)).omit(
        "machine"
    ).hints(planned="object"),
    "merge_plugins": Case(have=["zsh-syntax-highlighting", "git"], wanted=["git", "macos"]).hints(
        have="text", wanted="text"
    ),
    "plan": Case(lambda only, skip: states(mac.plan(MACHINE, only, skip)), only=[STEPS[0]], skip=[STEPS[1]]).omit(
        "machine"
    ),
    "plugin_list": Case(text=TEXT).hints(text="text").rule("text", "empty", gives([])),
    "replace_file": Case(replaced, path=Path("zshrc"), text=TEXT, backup=".old").hints(text="text", backup="text"),
    "set_theme": Case(text=TEXT, theme="af-magic").hints(text="text", theme="text"),
    "unix_lines": Case(text="a\r\nb\n").hints(text="text").rule("text", "empty", gives("")),
}  # fmt: skip
NO_DATA = {
    "Action": "abstract",
    "Planned": "a finding",
    "SetupError": "an error",
    "Step": "a line of the plan",
    "Step.lacks": "a machine",
    "Step.pending": "a machine",
    **{
        f"{action}.{method}": "a machine"
        for action in ("Action", "Clone", "Download", "Edit", "Run", "Setting")
        for method in ("pending", "says", "carry_out")
    },
}
CASES["add_plugins"].rule("wanted", "empty", gives(TEXT)).rule("text", "empty", gives(mac.add_plugins("", ["macos"])))
CASES["merge_plugins"].rule("have", "empty", gives(["git", "macos"])).rule(
    "wanted", "empty", gives(["git", "zsh-syntax-highlighting"])
)
CASES["plan"].rule("only", "empty", gives(states(mac.plan(MACHINE, skip=[STEPS[1]])))).rule(
    "skip", "empty", gives(states(mac.plan(MACHINE, only=[STEPS[0]])))
)
CASES["apply"].rule("only", "empty", gives([])).rule("skip", "empty", gives([]))
CASES["add_line"].rule("text", "empty", gives("alias g=git\n")).rule("like", "empty", gives(TEXT + "alias g=git\n"))
CASES["add_conda"].rule("text", "empty", gives(mac.add_conda("\n", "/opt/conda")[1:]))
CASES["replace_file"].rule("text", "empty", gives([("zshrc", ""), ("zshrc.old", "before")])).rule(
    "path", "missing", gives([("else", TEXT), ("zshrc", "before")])
).rule("backup", "empty", gives([("zshrc", TEXT)]))
CASES["add_oh_my_zsh"].rule("text", "empty", gives(mac.add_oh_my_zsh("x\n").removesuffix("\nx\n")))
CASES["set_theme"].rule("text", "empty", gives('ZSH_THEME="af-magic"\n'))
