"""The options of a classifier that neither its net nor its training checks."""

from collections.abc import Mapping
from typing import Any

from carrousel.data import missing, scaling
from carrousel.errors import OptionError
from carrousel.learn.settings import number
from carrousel.models.classification.net import POOLS

__all__ = ["check_options"]

#: Options that are numbers from 0, and what they are below.
_NUMBERS = {"dropout": 1.0, "val_fraction": 1.0, "noise": float("inf"), "shift": float("inf")}


def check_options(asked: Any) -> None:
    """Check the options of a classifier.

    Args:
        asked: has them as attributes.

    Raises:
        OptionError: one has a value that can not be.
        OptionTypeError: one is no number.
    """
    if asked.pool not in POOLS:
        raise OptionError(f"Classifier - pool is {asked.pool!r}, expected one of {', '.join(POOLS)} - mean is usual")
    if asked.class_weight not in (None, "balanced") and not isinstance(asked.class_weight, Mapping):
        raise OptionError(
            f"Classifier - class_weight is {asked.class_weight!r}, expected None, 'balanced' or a mapping - choose"
        )
    for name, below in _NUMBERS.items():
        value = getattr(asked, name)
        number("Classifier", name, value)
        if not 0 <= value < below:
            limit = "" if below == float("inf") else f" and below {below:g}"
            raise OptionError(f"Classifier - {name} is {value}, expected at least 0{limit} - give 0 for none")
    if isinstance(asked.epochs, str) and asked.epochs != "auto":
        raise OptionError(f"Classifier - epochs is {asked.epochs!r}, expected a whole number or 'auto' - choose one")
    if not isinstance(asked.refit, bool) and asked.refit != "auto":
        raise OptionError(f"Classifier - refit is {asked.refit!r}, expected True, False or 'auto' - choose one")
    missing.check_way(asked.missing)
    scaling.check_kind(asked.scaler)
