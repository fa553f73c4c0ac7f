"""Tables on the terminal and in files."""

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

__all__ = ["print_table"]


def print_table(table: Table) -> None:
    """Print a table; in a file no line is cut or wrapped, whatever its length."""
    _console(table).print(table, markup=False, highlight=False)


def _console(table: Table) -> Console:
    console = Console()
    if not console.is_terminal:
        unlimited = console.options.update(max_width=10_000)
        console.width = Measurement.get(console, unlimited, table).maximum
    return console
