"""Make a hosted notebook ready for a chapter: install the data packages it needs, and see whether versions will do."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

from packaging.requirements import Requirement


def ready(*packages: str) -> None:
    """Install the data packages that are missing, and say what the chapter will run on.

    Nothing else is installed or changed, so that torch and NumPy stay those of the runtime.

    Args:
        packages: requirements as pip takes them, such as ``"scikit-learn>=1.3"``.

    Raises:
        RuntimeError: a package cannot be installed, or the runtime has too old a version of what `workings` needs.

    """
    missing = [package for package in packages if _fault(package)]
    if missing:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *missing]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(
                f"could not install {', '.join(missing)}, which this chapter needs:\n{done.stderr.strip()}"
            )
    unmet = [fault for need in importlib.metadata.requires("workings") or [] if (fault := _fault(need))]
    if unmet:
        raise RuntimeError(
            f"this runtime will not do: {'; '.join(unmet)}. Choose a newer one, or install what is missing"
        )
    print(_summary())


def _fault(requirement: str) -> str:
    """Return what is wrong with a requirement here, in words, or nothing; what only extras need is not asked for."""
    need = Requirement(requirement)
    if need.marker and not need.marker.evaluate({"extra": ""}):
        return ""
    try:
        version = importlib.metadata.version(need.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{need.name} is missing"
    return "" if need.specifier.contains(version, prereleases=True) else f"{need} is needed, {version} is here"


def _summary() -> str:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
    python = ".".join(map(str, sys.version_info[:2]))
    return f"workings {importlib.metadata.version('workings')}, torch {torch.__version__} on {device}, Python {python}"
