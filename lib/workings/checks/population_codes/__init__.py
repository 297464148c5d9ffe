"""Checks of the equations of the chapter ``population_codes``."""

from workings.checks.population_codes import coding, combining, neurons

__all__ = ["coding", "combining", "neurons"]
