"""Tables on the terminal and in files."""

from collections.abc import Container, Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

__all__ = ["print_table", "short", "table_of"]


def table_of(columns: Sequence[str], lines: Iterable[Sequence[str]], text: Container[str] = ("",)) -> Table:
    """Lay out a table without rules.

    Args:
        columns: their headings.
        lines: a text for each column.
        text: headings of the columns that stand to the left; numbers stand to the right.
    """
    table = Table(box=None, show_header=any(columns), pad_edge=False, padding=(0, 3, 0, 0))
    for column in columns:
        table.add_column(column, justify="left" if column in text else "right")
    for line in lines:
        table.add_row(*line)
    return table


def print_table(table: Table) -> None:
    """Print a table; in a file no line is cut or wrapped, whatever its length."""
    _console(table).print(table, markup=False, highlight=False)


def short(value: Any) -> str:
    """Return a value as it stands in a table."""
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _console(table: Table) -> Console:
    console = Console()
    if not console.is_terminal:
        unlimited = console.options.update(max_width=10_000)
        console.width = Measurement.get(console, unlimited, table).maximum
    return console
