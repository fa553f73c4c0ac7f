"""The error classes: what built-in class each one is, that they are documented and survive pickling, their form."""

import copy
import inspect
import pickle

import pytest

from carrousel import errors
from carrousel.errors import CarrouselError, DefinitionError, did_you_mean

#: class -> the built-in class that PyTorch raises in the same place.
PARENTS = {
    "CarrouselError": Exception,
    "DefinitionError": ValueError,
    "UnknownNameError": ValueError,
    "OptionError": ValueError,
    "OptionTypeError": TypeError,
    "InputShapeError": RuntimeError,
    "InputTypeError": ValueError,
    "DtypeError": RuntimeError,
    "BackendError": RuntimeError,
    "MissingExtraError": ImportError,
    "OutputError": OSError,
    "DataError": ValueError,
    "ModelError": ValueError,
    "NotFittedError": ValueError,
    "TrainingError": RuntimeError,
}

every_class = pytest.mark.parametrize("name", PARENTS)


def example(name: str) -> CarrouselError:
    kind = getattr(errors, name)
    if kind is DefinitionError:
        return kind("lstm", 14, "o = sigmod(c)", "`sigmod` is not a function", "Did you mean sigmoid?")
    return kind("LSTM - input has 4 features, expected 3 - pass x of shape (time, batch, 3)")


def test_every_class_is_public() -> None:
    classes = {name for name, found in vars(errors).items() if inspect.isclass(found) and issubclass(found, Exception)}
    assert classes == set(errors.__all__) == {*PARENTS, "DataWarning"}
    assert issubclass(errors.DataWarning, UserWarning)


@every_class
def test_parents(name: str) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, CarrouselError)
    assert issubclass(kind, PARENTS[name])


@every_class
def test_docstring(name: str) -> None:
    kind = getattr(errors, name)
    assert kind.__doc__ is not None
    assert kind.__doc__ != kind.__base__.__doc__
    assert kind.__doc__.splitlines()[0].endswith(".")


@every_class
def test_copies(name: str) -> None:
    error = example(name)
    for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_definition_error_has_cell_line_equation_what_and_todo() -> None:
    error = example("DefinitionError")
    assert str(error) == "lstm (line 14):  o = sigmod(c)\n  `sigmod` is not a function\n  Did you mean sigmoid?"
    assert (error.cell, error.line, error.equation) == ("lstm", 14, "o = sigmod(c)")
    assert (error.what, error.todo) == ("`sigmod` is not a function", "Did you mean sigmoid?")


def test_definition_error_without_a_line() -> None:
    assert str(DefinitionError("lstm", None, "h = 1", "wrong", "right")).startswith("lstm:  h = 1\n")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sigmod", " Did you mean sigmoid?"),
        ("TANH", " Did you mean tanh?"),
        ("yonder", ""),
        ("tanhh", " Did you mean tanh?"),
    ],
)
def test_did_you_mean(name: str, expected: str) -> None:
    assert did_you_mean(name, ["sigmoid", "tanh"]) == expected
