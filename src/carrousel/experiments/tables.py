"""All tables of all papers, by key."""

from functools import cache

from carrousel.errors import UnknownNameError, did_you_mean
from carrousel.experiments import gers_2000, gers_2002, guessing_2001, hochreiter_1997, le_2015
from carrousel.experiments.trials import Row, Table

__all__ = ["chosen", "row_of", "tables"]


@cache
def tables() -> dict[str, Table]:
    """Return the tables, by key, in the order of the papers."""
    papers = (hochreiter_1997, gers_2000, guessing_2001, gers_2002, le_2015)
    return {table.key: table for paper in papers for table in paper.TABLES}


def chosen(keys: list[str]) -> list[Table]:
    """Return some tables, all if no key is given.

    Raises:
        UnknownNameError: there is no such table.
    """
    known = tables()
    for key in keys:
        if key not in known:
            raise UnknownNameError(
                f"reproduce - unknown table {key!r}; they are {', '.join(known)}.{did_you_mean(key, known)}"
            )
    return [table for key, table in known.items() if key in keys or not keys]


@cache
def _rows() -> dict[str, Row]:
    return {row.key: row for table in tables().values() for row in table.rows}


def row_of(key: str) -> Row:
    """Return a row by its key."""
    return _rows()[key]
