"""Check every equation on your own machine: ``python -m workings.book.check [--device cuda] [chapter …]``."""

from __future__ import annotations

import argparse
import platform
import sys
import time

import torch

from workings.book.ledger import chapters, run_checks


def main(arguments: list[str] | None = None) -> int:
    """Print a table of residuals; return 1 if an equation does not hold here."""
    parser = argparse.ArgumentParser(prog="python -m workings.book.check", description=__doc__)
    parser.add_argument(
        "chapters", nargs="*", metavar="chapter", help=f"of {', '.join(chapters())}; all if none is named"
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.chapters) - set(chapters()))
    if unknown:
        parser.error(f"no chapter {', '.join(unknown)}; there are {', '.join(chapters())}")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: this torch sees no CUDA device")
    device = torch.device(options.device)
    print(f"python {platform.python_version()}, torch {torch.__version__}, {device}")
    start, count, faults = time.perf_counter(), 0, 0
    for chapter in options.chapters or chapters():
        for row in run_checks(chapter, device):
            count += 1
            wrong = min(row["wrong"].values())
            verdict = "✗ " + "; ".join(row["faults"]) if row["faults"] else "✓"
            faults += bool(row["faults"])
            print(f"{row['label']:48s} residual {row['residual']:8.1e}  wrong form ≥ {wrong:8.1e}  {verdict}")
    print(f"{faults} of {count} checks failed ({time.perf_counter() - start:.1f} s)")
    return 1 if faults or not count else 0


if __name__ == "__main__":
    sys.exit(main())
