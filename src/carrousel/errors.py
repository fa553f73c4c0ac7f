"""All errors of carrousel. One form: where - what is wrong, expected and got - what to do.

Each class also is the built-in class that PyTorch raises in the same place, so code written for `torch.nn` that
catches `ValueError` or `RuntimeError` goes on working.
"""

import difflib
from collections.abc import Iterable

__all__ = [
    "CarrouselError",
    "DefinitionError",
    "UnknownNameError",
    "OptionError",
    "OptionTypeError",
    "InputShapeError",
    "InputTypeError",
    "DtypeError",
    "BackendError",
    "MissingExtraError",
    "OutputError",
    "DataError",
    "DataWarning",
    "ModelError",
    "NotFittedError",
    "TrainingError",
]


class CarrouselError(Exception):
    """The class that every error of carrousel inherits."""


class DefinitionError(CarrouselError, ValueError):
    """A cell's definition breaks the notation.

    Args:
        cell: the cell's name.
        line: the line in the file that holds the definition, None for a text that is in no file.
        equation: the offending line's text.
        what: what is wrong, with expected and got.
        todo: what to do about it.
    """

    def __init__(self, cell: str, line: int | None, equation: str, what: str, todo: str) -> None:
        self.cell, self.line, self.equation, self.what, self.todo = cell, line, equation, what, todo
        where = cell if line is None else f"{cell} (line {line})"
        super().__init__(f"{where}:  {equation}\n  {what}\n  {todo}")

    def __reduce__(self) -> tuple:
        return type(self), (self.cell, self.line, self.equation, self.what, self.todo)


class UnknownNameError(CarrouselError, ValueError):
    """A name (of a cell, backend, initialiser, trace...) that nothing answers to."""


class OptionError(CarrouselError, ValueError):
    """An option has a value that can not be."""


class OptionTypeError(CarrouselError, TypeError):
    """An option has a value of the wrong type."""


class InputShapeError(CarrouselError, RuntimeError):
    """A tensor has the wrong shape."""


class InputTypeError(CarrouselError, ValueError):
    """A tensor has the wrong dtype or values."""


class DtypeError(InputTypeError, RuntimeError):
    """A tensor has another dtype than the weights: ValueError in torch.nn, RuntimeError in torch's operators."""


class BackendError(CarrouselError, RuntimeError):
    """A backend can not do what is asked of it; the message names one that can."""


class MissingExtraError(CarrouselError, ImportError):
    """A library of an optional extra is not installed."""


class OutputError(CarrouselError, OSError):
    """A file can not be written."""


class DataError(CarrouselError, ValueError):
    """Something is wrong with the user's data."""


class DataWarning(UserWarning):
    """Something in the user's data was changed or left out, and the work went on."""


class ModelError(CarrouselError, ValueError):
    """A saved run is damaged, of another kind or of a newer version."""


class NotFittedError(CarrouselError, ValueError, AttributeError):
    """An estimator is asked for what only `fit` gives it; the two classes are those of scikit-learn's error."""


class TrainingError(CarrouselError, RuntimeError):
    """Training can not go on; what was best so far is kept."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ' Did you mean ...?' for the known name nearest to `name`, '' where none is near."""
    by_lower_case = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.5)
    return f" Did you mean {by_lower_case[near[0]]}?" if near else ""
