"""What forecaster, classifier and generator share: scikit-learn's protocol, training parameters, a folder to keep."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from torch import Tensor, nn

from carrousel.cell import Cell
from carrousel.errors import CarrouselError, MissingExtraError, ModelError, NotFittedError, OptionError, OptionTypeError
from carrousel.learn.history import History
from carrousel.learn.settings import Training, number
from carrousel.models import folder as runs
from carrousel.writing import write_whole

try:
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError as SklearnsNotFittedError
except ImportError as error:
    raise MissingExtraError(
        'carrousel - scikit-learn is not installed, the estimators need it - pip install "carrousel[fit]"'
    ) from error

__all__ = ["Estimator"]

#: Seeds are those of numpy and scikit-learn: multiplied by the numbers of epochs they are still torch's.
_SEEDS = 2**32


class _EstimatorNotFittedError(NotFittedError, SklearnsNotFittedError):
    """The same error for those who catch scikit-learn's."""


class Estimator(BaseEstimator):
    """An estimator around a recurrent network.

    A subclass stores its parameters in `__init__`, sets `net_`, `history_` and `metrics_` in `fit`, and says in
    `_preprocess` and `_restore` what its data went through.
    """

    #: "forecast", "classify" or "generate".
    kind: ClassVar[str]

    lr: float
    batch_size: int
    epochs: int
    patience: int | None
    max_seconds: float | None
    device: str
    seed: int
    threads: int | None
    verbose: int
    cell: str | Cell

    net_: nn.Module
    history_: History
    metrics_: dict[str, Any]
    report_: str
    #: Files that go into the run's folder too, name -> text.
    kept_: dict[str, str]

    #: Processes that train together, on each of so many machines: where it is trained, not what, so no parameters.
    devices: int = 1
    num_nodes: int = 1
    #: A folder for TensorBoard's event files.
    tensorboard: Path | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; NumPy's scalars, as grids of parameters have them, become Python's own."""
        super().__setattr__(name, value.item() if isinstance(value, np.generic) else value)

    def _training(self) -> Training:
        """How the network is trained."""
        where = type(self).__name__
        if not isinstance(self.cell, str | Cell):
            raise OptionTypeError(f"{where} - cell is {self.cell!r}, expected a name, a Cell or 'file.py:name'")
        seed = self.seed
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise OptionTypeError(f"{where} - seed is {seed!r}, expected a whole number - give one from 0")
        if not 0 <= seed < _SEEDS:
            raise OptionError(f"{where} - seed is {seed}, expected 0 to {_SEEDS - 1} - give another")
        number(where, "lr", self.lr)
        if self.max_seconds is not None:
            number(where, "max_seconds", self.max_seconds)
        names = ("lr", "epochs", "patience", "max_seconds", "device", "seed", "threads", "verbose")
        batch = self.batch_size
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise OptionError(f"{where} - batch_size is {batch!r}, expected a whole number from 1")
        return Training(**{name: getattr(self, name) for name in (*names, "devices", "num_nodes", "tensorboard")})

    @property
    def _batch_of_all(self) -> int:
        """Rows of a batch over all processes: each has `batch_size` of them."""
        return self.batch_size * self.devices * self.num_nodes

    def _check_fitted(self) -> None:
        if not hasattr(self, "net_"):
            raise _EstimatorNotFittedError(f"{type(self).__name__} - is not fitted yet - call fit() first")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write the fitted estimator as a folder of plain files.

        Args:
            folder: where; it must not be there yet.
            overwrite: whether a run that is there may be replaced.

        Returns:
            The folder.

        Raises:
            NotFittedError: there is nothing to write.
            OutputError: the folder is there already, or can not be written.
        """
        self._check_fitted()
        from carrousel import __version__

        config = {
            "format": runs.FORMAT,
            "kind": self.kind,
            "carrousel": __version__,
            "params": self._saved_params(),
            "stopped": self.history_.stopped,
        }
        files = {"history.csv": self.history_.to_csv(), **self._files()}
        run = runs.Run(config, self.net_.state_dict(), self._preprocess(), self.metrics_, files)
        runs.write(Path(folder), run, overwrite)
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto", cell: str | Cell | None = None) -> Self:
        """Read what `save` wrote; nothing of it is executed.

        Args:
            folder: of the run.
            device: "auto", "cpu", "cuda"...: where it trains when it is fitted again, whatever it was trained on. What
                is fitted or loaded predicts on the CPU.
            cell: the cell, where it is none of the registry.

        Raises:
            ModelError: it is no run of this kind, damaged, or of a newer version.
            OptionError: there is no such device.
        """
        return cls._of(runs.read(Path(folder)), folder, device, cell)

    @classmethod
    def _of(cls, run: runs.Run, folder: str | Path, device: str, cell: str | Cell | None) -> Self:
        """What a run holds; the folder is for messages."""
        Training(device=device)  # says what is wrong with it
        if run.config["kind"] != cls.kind:
            raise ModelError(
                f"{folder} - is a run of `{run.config['kind']}`, {cls.__name__} reads `{cls.kind}` - use carrousel.load"
            )
        params = dict(run.config["params"])
        if odd := sorted(set(params) - set(cls._get_param_names())):
            raise ModelError(
                f"{Path(folder) / runs.CONFIG} - is damaged: {cls.__name__} has no parameter {', '.join(odd)} - train "
                "again, or take a copy"
            )
        try:
            if cell is None and ":" in str(params["cell"]):
                raise ModelError(
                    f"{folder} - was trained with the cell {params['cell']} - pass it: cell={params['cell']!r}, on the "
                    f"command line --cell {params['cell']}"
                )
            params |= {"cell": cell or params["cell"], "device": device}
            estimator = cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in params.items()})
            estimator.metrics_ = dict(run.metrics)
            estimator.history_ = History.from_csv(run.files["history.csv"], run.config["stopped"])
            estimator.report_, estimator.kept_ = "", {}
            estimator._restore(run.preprocess, run.weights)
        except CarrouselError:
            raise
        except Exception as error:  # whatever comes of files that do not go together
            raise runs.damaged(Path(folder), error) from error
        return estimator

    def export_onnx(self, path: str | Path, *, opset: int = 18, overwrite: bool = False) -> Path:
        """Write the network as ONNX, and compare it with ours in ONNX Runtime before saying that it is written.

        It takes and gives numbers as the network has them: scaled, in windows or symbols; `preprocess.json` of a run
        says how data become these.

        Args:
            path: of the file.
            opset: version of the operators.
            overwrite: whether a file that is there may be replaced.

        Returns:
            The file.

        Raises:
            NotFittedError: there is nothing to write.
            OutputError: the file is there, or can not be written.
            BackendError: the model says something else than ours; no file is written.
            MissingExtraError: a library of `carrousel[onnx]` is not installed.
        """
        self._check_fitted()
        from carrousel.exchange import to_onnx
        from carrousel.models.exporting import example_of

        network, example, axes = example_of(self)
        return to_onnx(network, path, opset=opset, example=example, axes=axes, overwrite=overwrite)

    def report(self, path: str | Path | None = None, title: str | None = None) -> str:
        """Return the report as HTML that needs no other file; `save` keeps it with the run from now on.

        Args:
            path: where it is written, too.
            title: its heading; the name of the class by default.

        Raises:
            NotFittedError: nothing was learned yet.
            DataError: what a forecaster was fitted on is not there: it was loaded.
            OutputError: it can not be written.
            MissingExtraError: matplotlib is not installed.
        """
        self._check_fitted()
        self.report_ = self._html(title or type(self).__name__)
        if path is not None:
            write_whole({Path(path): self.report_.encode()})
        return self.report_

    def keep(self, name: str, text: str) -> None:
        """Write a text into the run's folder too, when it is saved.

        Args:
            name: of the file, with .txt or .csv.
            text: what it holds.
        """
        self.kept_[name] = text

    def _html(self, title: str) -> str:
        """The report."""
        raise NotImplementedError

    def _saved_params(self) -> dict[str, Any]:
        params: dict[str, Any] = {**self.get_params(deep=False), "device": str(self.device)}
        if isinstance(self.cell, Cell):
            params["cell"] = f":{self.cell.name}"
        return params

    def _files(self) -> dict[str, str]:
        """Files beside the weights, name -> text."""
        return {**self.kept_, **({"report.html": self.report_} if self.report_ else {})}

    def _preprocess(self) -> dict[str, Any]:
        """What turns data into the network's inputs, for JSON."""
        raise NotImplementedError

    def _restore(self, preprocess: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Build `net_` and what `_preprocess` gave."""
        raise NotImplementedError
