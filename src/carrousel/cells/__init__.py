"""The registry of cells: one paper, one file. Cells are read on first use."""

import importlib

from carrousel.cell import Cell
from carrousel.errors import OptionTypeError, UnknownNameError, did_you_mean

__all__ = ["get", "name_of", "names"]

#: registry name -> (module, attribute)
_REGISTRY = {
    "elman": ("elman", "elman"),
    "elman_relu": ("elman", "elman_relu"),
    "irnn": ("irnn", "irnn"),
    "lstm_1997": ("lstm_1997", "lstm_1997"),
    "lstm_1997_truncated": ("lstm_1997", "lstm_1997_truncated"),
    "lstm_1997_full": ("lstm_1997", "lstm_1997_full"),
    "lstm_1997_full_truncated": ("lstm_1997", "lstm_1997_full_truncated"),
    "lstm_1997_input_gate": ("lstm_1997", "lstm_1997_input_gate"),
    "lstm": ("lstm", "lstm"),
    "peephole_lstm": ("peephole_lstm", "peephole_lstm"),
    "peephole_lstm_2002": ("peephole_lstm", "peephole_lstm_2002"),
    "coupled_lstm": ("coupled_lstm", "coupled_lstm"),
    "nig": ("odyssey", "nig"),
    "nfg": ("odyssey", "nfg"),
    "nog": ("odyssey", "nog"),
    "niaf": ("odyssey", "niaf"),
    "noaf": ("odyssey", "noaf"),
    "np": ("odyssey", "np"),
    "cifg": ("odyssey", "cifg"),
    "fgr": ("odyssey", "fgr"),
    "layer_norm_lstm": ("layer_norm_lstm", "layer_norm_lstm"),
    "layer_norm_lstm_per_gate": ("layer_norm_lstm", "layer_norm_lstm_per_gate"),
    "gru": ("gru", "gru"),
    "gru_2014": ("gru_2014", "gru_2014"),
    "slstm": ("slstm", "slstm"),
}


def names() -> tuple[str, ...]:
    """Return the names of the registry.

    Returns:
        The names, cells of one paper together.

    Example:
        >>> from carrousel import cells
        >>> cells.names()[:3]
        ('elman', 'elman_relu', 'irnn')
    """
    return tuple(_REGISTRY)


def get(cell: Cell | str) -> Cell:
    """Return a cell by its registry name; a Cell is returned as it is.

    Args:
        cell: a name of `names()`, or a Cell.

    Returns:
        The Cell.

    Raises:
        UnknownNameError: no cell has this name.
        OptionTypeError: it is neither a name nor a Cell.

    Example:
        >>> from carrousel import cells
        >>> cells.get("peephole_lstm").states
        ('h', 'c')
    """
    if isinstance(cell, Cell):
        return cell
    if not isinstance(cell, str):
        raise OptionTypeError(
            f"cells.get - expected a Cell or a registry name, got {cell!r} - decorate the function with @carrousel.cell"
        )
    if cell not in _REGISTRY:
        raise UnknownNameError(
            f"cells.get - unknown cell {cell!r}; cells are {', '.join(_REGISTRY)}.{did_you_mean(cell, _REGISTRY)}"
        )
    module, attribute = _REGISTRY[cell]
    found = getattr(importlib.import_module(f"carrousel.cells.{module}"), attribute)
    assert isinstance(found, Cell)
    return found


def name_of(cell: Cell) -> str:
    """Return the registry name of a cell, or the cell's own name if it is none of the registry.

    Args:
        cell: any cell.

    Returns:
        The name.

    Example:
        >>> from carrousel import cells
        >>> cells.get("lstm_1997").name
        'lstm_1997(g_range=2, h_range=1)'
        >>> cells.name_of(cells.get("lstm_1997"))
        'lstm_1997'
    """
    return next((name for name in _REGISTRY if get(name) == cell), cell.name)
