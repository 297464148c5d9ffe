"""Checks of the equations of the chapter ``implicit_reparameterization``."""

from workings.checks.implicit_reparameterization import estimators, families, mechanism

__all__ = ["estimators", "families", "mechanism"]
