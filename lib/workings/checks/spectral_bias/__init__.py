"""Checks of the equations of the chapter ``spectral_bias``."""

from workings.checks.spectral_bias import features, kernels, training

__all__ = ["features", "kernels", "training"]
