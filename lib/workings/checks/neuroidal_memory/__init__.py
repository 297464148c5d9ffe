"""Checks of the equations of the chapter ``neuroidal_memory``."""

from workings.checks.neuroidal_memory import graph, noise, sizes

__all__ = ["graph", "noise", "sizes"]
