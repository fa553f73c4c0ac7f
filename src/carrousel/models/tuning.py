"""Search for the training parameters of an estimator, on Optuna: here, in many processes, on a Ray cluster."""

import csv
import io
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from carrousel.errors import MissingExtraError, OptionError, OptionTypeError
from carrousel.learn.settings import Training, number
from carrousel.models.estimator import Estimator
from carrousel.models.searching import Draw, Given, Search, here, over_ray

if TYPE_CHECKING:
    from optuna import Study

__all__ = ["Tuned", "space_of", "tune"]

#: Hidden units that are tried besides the estimator's own.
_SIZES = {"forecast": (32, 64, 128, 256), "classify": (32, 64, 128, 256), "generate": (128, 256, 512)}


#: How often a database is tried again, and after how many seconds.
_ATTEMPTS, _PAUSE = 4, 0.25


def space_of(estimator: Estimator) -> dict[str, Draw]:
    """Return what is searched unless told otherwise; the estimator's own parameters are among it.

    Args:
        estimator: a Forecaster, Classifier or Generator.

    Raises:
        OptionError, OptionTypeError: one of its parameters can not be.
    """
    own = estimator.get_params(deep=False)
    for name in ("hidden_size", "num_layers", "dropout", "batch_size"):
        number("tune", name, own[name])
    Training(lr=own["lr"])  # says what is wrong with it
    sizes = sorted({*_SIZES[estimator.kind], own["hidden_size"]})
    batches = sorted({16, 32, 64, 128, own["batch_size"]})
    return {
        "hidden_size": lambda trial, name: trial.suggest_categorical(name, sizes),
        "num_layers": lambda trial, name: trial.suggest_int(name, 1, max(2, own[name])),
        "dropout": lambda trial, name: trial.suggest_float(name, 0.0, max(0.5, own[name])),
        "lr": lambda trial, name: trial.suggest_float(name, min(3e-4, own[name]), max(1e-2, own[name]), log=True),
        "batch_size": lambda trial, name: trial.suggest_categorical(name, batches),
    }


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        best: the estimator with the best parameters, fitted.
        parameters: these parameters.
        trials: for each trial its number, validation loss (None if it failed), seconds and parameters; in order.
        is_interrupted: whether Ctrl-C ended it; the best is that of the trials until then.
    """

    best: Estimator
    parameters: Mapping[str, Any]
    trials: list[dict[str, Any]]
    is_interrupted: bool = False

    def to_csv(self) -> str:
        """Return a line for each trial, under a line of names."""
        text = io.StringIO()
        names = ["trial", "validation", "seconds", *self.parameters]
        writer = csv.DictWriter(text, names, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(self.trials)
        return text.getvalue()


def tune(
    estimator: Estimator,
    data: Any,
    y: Any = None,
    *,
    space: Mapping[str, Draw] | None = None,
    n_trials: int = 20,
    timeout: float | None = None,
    storage: str | None = None,
    study: str = "carrousel",
    ray: str | None = None,
    **fit: Any,
) -> Tuned:
    """Fit an estimator with many parameters and keep what was best on the data it holds out for validation.

    The first trial has the estimator's own parameters, if the space can draw them, so what is found is never worse than
    them on that part.

    Args:
        estimator: a Forecaster, Classifier or Generator; it is not changed.
        data, y: as in its `fit`.
        space: parameter -> what draws it from an Optuna trial; `space_of` the estimator if None.
        n_trials: fits in all, over all processes that share the storage.
        timeout: begin no trial after this time, in seconds.
        storage: Optuna's address of a database, where processes and machines search together and a search that was
            killed goes on; in memory if None.
        study: the search's name in the storage.
        ray: the address of a Ray cluster, as `ray.init` takes it, each core of which fits a trial; its machines need
            this version of carrousel, and files that `data` names. Here, one after the other, if None.
        **fit: passed on to `fit`.

    Raises:
        MissingExtraError: Optuna or Ray is not installed.
        OptionError: no trial was possible, or there is no such storage or cluster.

    Example:
        >>> import numpy as np
        >>> from carrousel import Forecaster
        >>> wave = np.sin(np.arange(300) / 4) + np.arange(300) / 100
        >>> small = Forecaster(horizon=2, context=8, hidden_size=4, epochs=1, verbose=0)
        >>> lr = {"lr": lambda trial, name: trial.suggest_float(name, 1e-3, 1e-2)}
        >>> len(tune(small, wave, space=lr, n_trials=2).trials)
        2

    Source:
        Akiba et al. (2019), Optuna.
    """
    _check(estimator, n_trials)
    searched = space_of(estimator) if space is None else space
    search = Search(_study_of(estimator, storage, study), estimator, searched, n_trials, timeout)
    given = (data,) if y is None else (data, y), fit
    fits = here(search.tasks(), given) if ray is None else over_ray(ray, search.tasks(), given)
    is_interrupted = False
    try:
        with closing(fits):
            for trial, candidate in fits:
                search.tell(trial, candidate)
                if candidate is not None and candidate.history_.stopped == "interrupted":
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        if search.best is None:
            raise
        is_interrupted = True
    finally:
        search.give_up()
    return _tuned(search, given, is_interrupted)


def _check(estimator: Estimator, n_trials: int) -> None:
    if isinstance(n_trials, bool) or not isinstance(n_trials, int):
        raise OptionTypeError(f"tune - n_trials (--trials) is {n_trials!r}, expected a whole number - give one from 1")
    if n_trials < 1:
        raise OptionError(f"tune - n_trials (--trials) is {n_trials}, expected at least 1 - give a larger number")
    if estimator.devices * estimator.num_nodes > 1:
        raise OptionError(
            f"tune - devices is {estimator.devices}, num_nodes {estimator.num_nodes}, expected 1: each trial is fitted "
            "by one process - begin the same search in several processes, with a storage"
        )


def _study_of(estimator: Estimator, storage: str | None, name: str) -> "Study":
    """A new search, or the one that is in the storage already."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError('tune - optuna is not installed - pip install "carrousel[tune]"') from error
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError  # Optuna's own way to databases

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=estimator.seed if storage is None else None)
    begin = partial(optuna.create_study, storage=storage, study_name=name, load_if_exists=True, sampler=sampler)
    try:
        for _ in range(_ATTEMPTS):
            with suppress(DBAPIError):  # tables that another process is just making
                study = begin()
                break
            time.sleep(_PAUSE)
        else:
            study = begin()
    except (SQLAlchemyError, optuna.exceptions.OptunaError, ImportError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(
            f"tune - storage {storage!r} can not be used: {reason} - give an address such as sqlite:///tuning.db"
        ) from error
    kind = study.user_attrs.get("kind", estimator.kind)
    if kind != estimator.kind:
        raise OptionError(f"tune - study {name!r} is one of {kind!r}, not {estimator.kind!r} - give it another name")
    study.set_user_attr("kind", kind)
    return study


def _tuned(search: Search, given: Given, is_interrupted: bool) -> Tuned:
    study, best = search.study, search.best
    if all(trial.value is None for trial in study.trials):
        raise OptionError(f"tune - none of {len(study.trials)} trials could be trained - look at one with fit()")
    if not is_interrupted and (best is None or study.best_value < best.history_.best.validation):
        best = search.unfitted(study.best_params)  # another process, or an earlier search, found it
        data, fit = given
        best.fit(*data, **fit)
        is_interrupted = best.history_.stopped == "interrupted"
    assert best is not None
    rows = [
        {
            "trial": trial.number,
            "validation": trial.value,
            "seconds": trial.duration.total_seconds() if trial.duration else None,
            **trial.params,
        }
        for trial in study.trials
    ]
    return Tuned(best, {name: getattr(best, name) for name in search.space}, rows, is_interrupted)
