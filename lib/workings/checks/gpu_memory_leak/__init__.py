"""Checks of the equations of the chapter ``gpu_memory_leak``."""

from workings.checks.gpu_memory_leak import gradients, growth, references

__all__ = ["gradients", "growth", "references"]
