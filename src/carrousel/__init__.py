"""The LSTM family, compiled: a cell is written once, as the equations of its paper.

Names load on first use, so that `import carrousel` imports neither torch nor SymPy.
"""

import importlib
from typing import TYPE_CHECKING, Any

# `carrousel.cell` is the decorator; imported here, it takes the place of the submodule of the same name.
from carrousel.cell import Cell, cell

if TYPE_CHECKING:
    from carrousel import cells, datasets, errors, exchange, functions
    from carrousel.models import Classifier, Forecaster, Generator, load, tune
    from carrousel.nn import (
        GRU,
        LSTM,
        RNN,
        GRUCell,
        LSTMCell,
        Population,
        Recurrent,
        RNNCell,
        State,
        WeightDrop,
        convert,
        tbptt,
    )

__version__ = "0.1.0"

__all__ = [
    "cell",
    "Cell",
    "cells",
    "functions",
    "exchange",
    "errors",
    "Recurrent",
    "LSTM",
    "GRU",
    "RNN",
    "LSTMCell",
    "GRUCell",
    "RNNCell",
    "Population",
    "State",
    "tbptt",
    "WeightDrop",
    "convert",
    "Forecaster",
    "Classifier",
    "Generator",
    "load",
    "tune",
    "datasets",
]

_MODULES = ("cells", "datasets", "errors", "exchange", "functions", "nn", "transforms")
_LAYERS = (
    *("GRU", "GRUCell", "LSTM", "LSTMCell", "Population", "RNN", "RNNCell", "Recurrent"),
    *("State", "WeightDrop", "convert", "tbptt"),
)
_ESTIMATORS = ("Classifier", "Forecaster", "Generator", "load", "tune")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"carrousel.{name}")
    if name in _LAYERS:
        return getattr(importlib.import_module("carrousel.nn"), name)
    if name in _ESTIMATORS:
        return getattr(importlib.import_module("carrousel.models"), name)
    raise AttributeError(f"module 'carrousel' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, "__version__"})
