"""Tested PyTorch mathematics on AI, physics and the brain: one module for each chapter of the book *Workings*."""

__version__ = "0.1.0"
