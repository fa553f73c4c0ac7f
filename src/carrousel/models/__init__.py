"""Forecaster, Classifier and Generator: what `fit` and `predict` are called on."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carrousel.models.classifier import Classifier
    from carrousel.models.forecaster import Forecaster
    from carrousel.models.generator import Generator
    from carrousel.models.loading import load

__all__ = ["Classifier", "Forecaster", "Generator", "load"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        module = "loading" if name == "load" else name.lower()
        return getattr(importlib.import_module(f"carrousel.models.{module}"), name)
    raise AttributeError(f"module 'carrousel.models' has no attribute {name!r}")
