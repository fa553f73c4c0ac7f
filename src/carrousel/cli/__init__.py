"""The command line. Commands import what they need: `--help` and `--version` load neither torch nor SymPy."""

from carrousel.cli import look, papers  # noqa: F401  # commands enter the app as they are defined
from carrousel.cli.app import app, main

__all__ = ["app", "main"]
