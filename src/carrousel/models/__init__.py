"""Forecaster, Classifier and Generator: what `fit` and `predict` are called on."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carrousel.models.classification.classifier import Classifier
    from carrousel.models.forecasting.forecaster import Forecaster
    from carrousel.models.generation.generator import Generator
    from carrousel.models.loading import load
    from carrousel.models.tuning import tune

__all__ = ["Classifier", "Forecaster", "Generator", "load", "tune"]


_PLACES = {
    "Forecaster": "forecasting.forecaster",
    "Classifier": "classification.classifier",
    "Generator": "generation.generator",
    "load": "loading",
    "tune": "tuning",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"carrousel.models.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'carrousel.models' has no attribute {name!r}")
