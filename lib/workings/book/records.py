"""Recorded results: what takes too long for a chapter is run by ``make record`` and shown with where it came from."""

from __future__ import annotations

import json
import math
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from html import escape
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workings.book.codehash import code_hash
from workings.book.output import measured, publish
from workings.book.parameters import current

MOST = 200_000  # bytes of one record


@dataclass(frozen=True)
class Record:
    """A recorded result with its provenance.

    ``values`` maps each measured quantity to a list with one entry a seed (a number, or a list of numbers); ``code``
    names the functions whose source (with all that they use in this package) the hash covers.
    """

    chapter: str
    name: str
    command: str
    profile: str
    parameters: dict[str, Any]
    seeds: list[int]
    values: dict[str, Any]
    code: list[str]
    hash: str
    commit: str
    device: str
    driver: str
    versions: dict[str, str]
    date: str

    @property
    def is_stale(self) -> bool:
        """Whether the code that was run has changed since."""
        try:
            return code_hash(self.code) != self.hash
        except ValueError:  # a function that is gone has changed
            return True

    def array(self, key: str) -> np.ndarray:
        """Return one quantity as an array, seeds first."""
        if key not in self.values:
            raise ValueError(f"record {self.name!r} holds no {key!r}; it holds {', '.join(self.values)}")
        return np.asarray(self.values[key], dtype=np.float64)


def results_folder() -> Path:
    """Return the folder of records: beside the package's source in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "results"
    return inside if inside.is_dir() else package.parents[1] / "results"


def read(chapter: str, name: str) -> Record:
    """Read a record. Raises ``FileNotFoundError`` naming the command that makes it."""
    path = results_folder() / chapter / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(f"no record {name!r} of {chapter!r}; make it with: make record CHAPTER={chapter}")
    return Record(**json.loads(path.read_text(encoding="utf-8")))


def write(
    chapter: str,
    name: str,
    values: Mapping[str, Any],
    *,
    code: Sequence[str],
    command: str,
    parameters: Mapping[str, Any],
    seeds: Sequence[int] = (),
    profile: str = "default",
    device: str | torch.device = "cpu",
    peers: Sequence[str] = (),
) -> Path:
    """Write ``results/<chapter>/<name>.json`` with its provenance, whole or not at all; return its path.

    Args:
        chapter: the chapter that shows it.
        name: the record's name.
        values: quantity → list with one entry a seed (or a table's rows).
        code: ``module:function`` names; their source and what it uses in this package are hashed.
        command: the command that repeats it.
        parameters: what it was run with.
        seeds: the seeds, in the order of the values.
        profile: ``quick``, ``default`` or ``full``.
        device: where it ran.
        peers: distributions it compares with, whose versions are recorded too; one that is not installed is left out.

    Raises:
        ValueError: values that are not finite numbers or short lists of them, or a record over 200 kB.

    """
    name_of_device, driver = _device(torch.device(device))
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
    versions |= {peer: version(peer) for peer in peers if any(distributions(name=peer))}
    record = Record(
        chapter, name, command, profile, dict(parameters), list(seeds),
        {key: _rounded(column, key) for key, column in values.items()}, list(code), code_hash(code),
        _commit(), name_of_device, driver, versions,
        datetime.now(timezone.utc).strftime("%Y-%m-%d"),
    )  # fmt: skip
    text = json.dumps(asdict(record), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    size = len(text.encode())
    if size > MOST:
        raise ValueError(f"record {name!r} has {size} bytes; at most {MOST} are allowed: store fewer points")
    path = results_folder() / chapter / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
    return path


def recorded(name: str) -> Record:
    """Show the record ``name`` of the current chapter as a card with its provenance, and return it for plotting."""
    if not current().chapter:
        raise ValueError(f"recorded({name!r}) does not know its chapter: call begin(...) first")
    record = read(current().chapter, name)
    state = "stale: its code has changed since" if record.is_stale else "recorded"
    publish(f"{state}: {name}", _card(record), {"recorded": {"name": name, "stale": record.is_stale}})
    return record


def _rounded(value: Any, key: str) -> Any:
    """Return numbers to 6 digits: more would be noise, and weight."""
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_rounded(item, key) for item in value]
    if isinstance(value, Mapping):  # a row of a table
        return {name: _rounded(item, f"{key}, {name}") for name, item in value.items()}
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.6g}")
    if value is None or isinstance(value, int | str):  # None: what a row of a table does not have
        return value
    raise ValueError(
        f"record quantity {key!r} holds {value!r}; a record holds finite numbers, words, lists and rows of them"
    )


def _commit() -> str:
    """Return the commit, "-dirty" where code differs from it: records, written one after another, are not code."""
    git = ["git", "-C", str(Path(__file__).parent)]
    code = ["status", "--porcelain", "--untracked-files=no", "--", ":/lib", ":/benchmarks"]
    try:
        commit, changed = (
            subprocess.run([*git, *command], capture_output=True, text=True, check=True).stdout.strip()
            for command in (["rev-parse", "--short=12", "HEAD"], code)
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("-dirty" if changed else "")


def _device(device: torch.device) -> tuple[str, str]:
    if device.type != "cuda":
        return f"{platform.machine()} CPU, {torch.get_num_threads()} threads", "none"
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        driver = "unknown"
    return torch.cuda.get_device_name(device), driver


def _card(record: Record) -> str:
    rows = {
        "command": record.command,
        "parameters": ", ".join(f"{k} = {v}" for k, v in record.parameters.items()) or "none",
        "seeds": ", ".join(map(str, record.seeds)) or "none",
        "device": f"{record.device}, driver {record.driver}",
        "versions": ", ".join(f"{k} {v}" for k, v in record.versions.items()),
        "commit": record.commit,
    }
    table = "".join(f"<tr><th scope='row'>{k}</th><td>{escape(v)}</td></tr>" for k, v in rows.items())
    status, state = ("stale", "has changed") if record.is_stale else ("fresh", "is unchanged")
    says = f"Recorded on {measured(record.date)}: {escape(record.name)}. Its code {state} since."
    return (
        f'<div class="wk-card wk-record" data-status="{status}" id="record-{escape(record.name)}">'
        f'<span class="wk-mark">●</span> <span class="wk-says">{says}</span><details>'
        f'<summary>Where it comes from</summary><div class="wk-scroll"><table>{table}</table></div></details></div>'
    )
