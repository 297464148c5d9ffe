"""Writing a file in one move: links, modes and copies stay, and a kill at any moment leaves the old file or the new."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from workings import mac_setup
from workings.mac_setup import SetupError, replace_file

SCRIPT = Path(mac_setup.__file__ or "")
OLD, NEW = "old\n" * 5000, "new\n" * 9000
PLACES = ("mac_setup.py", "pathlib.py", "_local.py", "shutil.py")  # where something could write

KILLED = """
import importlib.util, os, signal, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("mac_setup", sys.argv[1])
mac_setup = sys.modules["mac_setup"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mac_setup)
moment = int(sys.argv[3])

def trace(frame, event, argument):
    global moment
    moment -= event == "line" and frame.f_code.co_filename.endswith(("mac_setup.py", "pathlib.py", "_local.py"))
    if moment <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return trace

sys.settrace(trace)
mac_setup.replace_file(Path(sys.argv[2]), "new\\n" * 9000, ".copy")
"""


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of what a folder holds."""
    return {p.name: (p.lstat().st_mode, p.read_bytes() if p.is_file() else b"") for p in folder.iterdir()}


def state(folder: Path) -> tuple[str, ...]:
    """Return what the file and its copy hold; a file that is not finished has another name."""
    return tuple(path.read_text() for path in sorted(folder.glob("zshrc*")))


def test_at_every_moment_the_file_is_the_old_one_or_the_new_one_and_so_is_its_copy(tmp_path: Path) -> None:
    """What a kill would leave is what can be read: look before each line of Python that runs."""
    path = tmp_path / "zshrc"
    path.write_text(OLD)
    seen: list[tuple[str, ...]] = [()]

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if event == "line" and frame.f_code.co_filename.endswith(PLACES) and state(tmp_path) != seen[-1]:
            seen.append(state(tmp_path))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        replace_file(path, NEW, ".copy")
    finally:
        sys.settrace(before)
    names = {(OLD,): "old", (OLD, OLD): "old with a copy", (NEW, OLD): "new with a copy"}
    met = list(dict.fromkeys([*seen[1:], state(tmp_path)]))
    assert [names.get(one, "something else") for one in met] == list(names.values())


@pytest.mark.parametrize("moment", [5, 60, 150, 240, 330, 420, 500])
def test_a_killed_process_leaves_the_old_file_and_never_half_a_copy(tmp_path: Path, moment: int) -> None:
    path = tmp_path / "zshrc"
    path.write_text(OLD)
    command = [sys.executable, "-I", "-S", "-c", KILLED, str(SCRIPT), str(path), str(moment)]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    assert state(tmp_path) in [(OLD,), (OLD, OLD), (NEW, OLD)]
    replace_file(path, NEW, ".copy")
    assert state(tmp_path) == (NEW, OLD)


@pytest.mark.parametrize("failing", ["fchmod", "fsync", "replace"])
def test_what_fails_on_the_way_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    before = snapshot(tmp_path)

    def fails(*arguments: object) -> None:
        raise OSError("no space left on the device")

    place: Any = Path if failing == "replace" else os
    monkeypatch.setattr(place, failing, fails)
    with pytest.raises(OSError, match="no space"):
        replace_file(path, "new")
    assert snapshot(tmp_path) == before


def test_the_content_is_on_the_disk_before_the_name_points_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    sync, replace = os.fsync, Path.replace
    path = tmp_path / "f"

    def synced(descriptor: int) -> None:
        assert os.pread(descriptor, 10, 0) == b"new"
        assert os.fstat(descriptor).st_mode & 0o777 == 0o600
        order.append("sync")
        sync(descriptor)

    def moved(self: Path, target: Path) -> Path:
        assert self.parent == target.parent  # another file system could not move it at once
        order.append("move")
        return replace(self, target)

    path.write_text("old")
    path.chmod(0o600)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", moved)
    replace_file(path, "new")
    assert order == ["sync", "move"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o640])
def test_the_mode_stays(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    path.chmod(mode)
    replace_file(path, "new", ".copy")
    assert [one.stat().st_mode & 0o777 for one in (path, tmp_path / "f.copy")] == [mode, mode]


def test_a_new_file_can_be_read_as_start_up_files_are(tmp_path: Path) -> None:
    replace_file(tmp_path / "new" / "f", "text", ".copy")
    assert (tmp_path / "new/f").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["f"]


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_stays_one_and_its_target_is_replaced(tmp_path: Path, relative: bool, there: bool) -> None:
    (tmp_path / "dots").mkdir()
    target, link = tmp_path / "dots" / "zshrc", tmp_path / ".zshrc"
    if there:
        target.write_text("old")
    link.symlink_to("dots/zshrc" if relative else target)
    replace_file(link, "new", ".copy")
    assert link.is_symlink()
    assert target.read_text() == link.read_text() == "new"
    assert sorted(path.name for path in target.parent.iterdir()) == ["zshrc", "zshrc.copy"][: 1 + there]


def test_the_copy_is_of_what_was_there_first_and_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"first\r\n\xff")
    for text in ("second", "third"):
        replace_file(path, text, ".copy")
    assert path.read_text() == "third"
    assert (tmp_path / "f.copy").read_bytes() == b"first\r\n\xff"


def test_bytes_that_are_no_utf_8_and_line_ends_of_windows_pass_through(tmp_path: Path) -> None:
    path, content = tmp_path / "f", b"a\r\nb\n\xff\xfe \xc3\xa9"
    path.write_bytes(content)
    replace_file(path, mac_setup._read(path))
    assert path.read_bytes() == content
    assert mac_setup._read(tmp_path / "none") == ""


@pytest.mark.parametrize("kind", ["read-only", "folder"])
def test_what_may_not_be_written_is_said_and_let_be(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "f"
    path.mkdir() if kind == "folder" else path.write_text("old")
    path.chmod(0o555)
    before = snapshot(tmp_path)
    with pytest.raises(SetupError, match=r"f is read-only, or no file; chmod u\+w"):
        replace_file(path, "new", ".copy")
    assert snapshot(tmp_path) == before
    if kind == "folder":
        with pytest.raises(SetupError, match="f cannot be read: Is a directory"):
            mac_setup._read(path)
