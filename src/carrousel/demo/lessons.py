"""What the demo learns: temperatures, handwriting, a text. Each is what the command of that name does."""

from pathlib import Path

import numpy as np

from carrousel.datasets import handwritten_digits, python_manual, temperature_table
from carrousel.models import Classifier, Forecaster, Generator
from carrousel.models.estimator import Estimator

__all__ = ["day_ahead", "handwriting", "manual"]


def day_ahead(folder: Path, seconds: float, verbose: int) -> Forecaster:
    """Learn a year of hourly temperatures, forecast the next day, keep the run.

    Args:
        folder: for the run.
        seconds: for training.
        verbose: whether a bar is shown.
    """
    forecaster = Forecaster(24, missing="interpolate", max_seconds=seconds, verbose=verbose)
    forecaster.fit(temperature_table(), target="celsius", time="time")
    _unless_interrupted(forecaster)
    forecaster.keep("forecast.csv", forecaster.predict())
    forecaster.report(title="A day ahead: temperature at LaGuardia Airport, New York")
    forecaster.save(folder, overwrite=True)
    return forecaster


def handwriting(folder: Path, seconds: float, verbose: int) -> Classifier:
    """Learn handwritten digits, row by row, measure on a third that was not trained on, keep the run.

    Args:
        folder: for the run.
        seconds: for training.
        verbose: whether a bar is shown.
    """
    images, digits = handwritten_digits()
    is_test = np.arange(len(digits)) % 3 == 2
    classifier = Classifier(max_seconds=seconds, verbose=verbose, layout="NTC")
    classifier.fit(images[~is_test], digits[~is_test])
    _unless_interrupted(classifier)
    classifier.evaluate(images[is_test], digits[is_test])
    classifier.report(title="Handwritten digits, row by row")
    classifier.save(folder, overwrite=True)
    return classifier


def manual(folder: Path, seconds: float, verbose: int) -> Generator:
    """Learn to write like the manual of Python, keep the run.

    Args:
        folder: for the run.
        seconds: for training.
        verbose: whether a bar is shown.
    """
    generator = Generator(max_seconds=seconds, verbose=verbose).fit(python_manual())
    _unless_interrupted(generator)
    generator.report(title="Python's manual")
    generator.save(folder, overwrite=True)
    return generator


def _unless_interrupted(estimator: Estimator) -> None:
    """Go on with Ctrl-C: a fit ends with it in peace, and the demo would start its next lesson."""
    if estimator.history_.stopped == "interrupted":
        raise KeyboardInterrupt
