"""The cell that an estimator is asked to use: of the registry, or of the user's own file."""

import importlib.util
from pathlib import Path

from carrousel.cell import Cell
from carrousel.cells import get
from carrousel.errors import CarrouselError, OptionError, OptionTypeError, UnknownNameError, did_you_mean

__all__ = ["find"]


def find(cell: str | Cell) -> Cell:
    """Return a cell.

    Args:
        cell: a name of the registry, "file.py:name" of a cell in a file, which is run, or a cell itself.

    Raises:
        UnknownNameError: there is no such cell.
        OptionError: the file can not be read, or what has the name is no cell.
        OptionTypeError: it is neither a text nor a cell.

    Example:
        >>> find("gru").name
        'gru'
    """
    if isinstance(cell, Cell):
        return cell
    if not isinstance(cell, str):
        raise OptionTypeError(f"cell - is {cell!r}, expected a name, path/to/file.py:name, or a Cell - give one")
    path, separator, name = cell.rpartition(":")
    if not separator:
        return get(cell)
    return _of_file(Path(path), name)


def _of_file(path: Path, name: str) -> Cell:
    if not path.is_file():
        raise OptionError(f"cell - no file {str(path)!r} in {Path.cwd()} - expected path/to/file.py:name")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise OptionError(f"cell - {str(path)!r} is no Python file - expected path/to/file.py:name")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, ImportError, NameError) as error:
        raise OptionError(f"cell - {path} does not run: {error} - mend the file") from error
    except CarrouselError:
        raise
    except (Exception, SystemExit) as error:  # the user's own code may raise anything, and end Python too
        raise OptionError(f"cell - {path} does not run: it raises {error!r} when it is read - mend the file") from error
    cells = {key: value for key, value in vars(module).items() if isinstance(value, Cell)}
    if name not in cells:
        known = ", ".join(cells) or "none"
        raise UnknownNameError(f"cell - {path} has no cell {name!r}; it has {known}.{did_you_mean(name, cells)}")
    return cells[name]
