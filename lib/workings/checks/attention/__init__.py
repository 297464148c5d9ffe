"""Checks of the equations of the chapter ``attention``."""

from workings.checks.attention import alignment, decoding, recurrent

__all__ = ["alignment", "decoding", "recurrent"]
