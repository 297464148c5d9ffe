"""Checks of the equations of the chapter ``mac_setup``, and the sandbox in which its commands run."""

from workings.checks.mac_setup import edits, graph

__all__ = ["edits", "graph"]
