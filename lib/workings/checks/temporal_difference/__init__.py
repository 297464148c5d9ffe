"""Checks of the equations of the chapter ``temporal_difference``."""

from workings.checks.temporal_difference import limits, moments, updates

__all__ = ["limits", "moments", "updates"]
