"""Read a run of any kind."""

from pathlib import Path
from typing import TYPE_CHECKING

from carrousel.cell import Cell
from carrousel.errors import ModelError
from carrousel.models import folder as runs

if TYPE_CHECKING:
    from carrousel.models.estimator import Estimator

__all__ = ["load"]


def load(folder: str | Path, device: str = "auto", cell: str | Cell | None = None) -> "Estimator":
    """Read a run that `save` or the command line wrote.

    Args:
        folder: of the run.
        device: "auto", "cpu", "cuda"...: where it trains when it is fitted again, as in `Estimator.load`.
        cell: the cell it was trained with, where it is none of the registry: "file.py:name" or a cell.

    Returns:
        A fitted Forecaster, Classifier or Generator.

    Raises:
        ModelError: it is no run, damaged, or of a newer version.
        OptionError: there is no such device.
    """
    run = runs.read(Path(folder))
    from carrousel.models.classification.classifier import Classifier
    from carrousel.models.forecasting.forecaster import Forecaster
    from carrousel.models.generation.generator import Generator

    kinds: dict[str, type[Estimator]] = {kind.kind: kind for kind in (Forecaster, Classifier, Generator)}
    kind = run.config["kind"]
    if kind not in kinds:
        raise ModelError(f"{folder} - is a run of {kind!r}, expected one of {', '.join(kinds)} - upgrade carrousel")
    return kinds[kind]._of(run, folder, device, cell)
