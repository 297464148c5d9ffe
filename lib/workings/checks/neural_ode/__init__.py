"""Checks of the equations of the chapter ``neural_ode``."""

from workings.checks.neural_ode import equation, flow, losses, solving

__all__ = ["equation", "flow", "losses", "solving"]
