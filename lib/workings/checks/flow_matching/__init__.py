"""Checks of the equations of the chapter ``flow_matching``."""

from workings.checks.flow_matching import objectives, paths, views

__all__ = ["objectives", "paths", "views"]
