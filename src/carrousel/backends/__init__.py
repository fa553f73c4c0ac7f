"""Backends: kernel text in, callable out. They know kernels, not cells and not modules."""

__all__ = ["EXECUTABLE"]

#: The backends that can run any cell, slowest last.
EXECUTABLE = ("eager",)
