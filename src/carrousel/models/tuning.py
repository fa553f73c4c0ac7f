"""Search for the training parameters of an estimator, on Optuna."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sklearn.base import clone

from carrousel.errors import MissingExtraError, OptionError, TrainingError
from carrousel.models.estimator import Estimator

if TYPE_CHECKING:
    from optuna import Study, Trial

__all__ = ["SPACE", "Tuned", "tune"]

#: Draws one parameter: (trial, name) -> value.
Draw = Callable[["Trial", str], Any]

#: What is searched unless told otherwise.
SPACE: Mapping[str, Draw] = {
    "hidden_size": lambda trial, name: trial.suggest_categorical(name, [32, 64, 128, 256]),
    "num_layers": lambda trial, name: trial.suggest_int(name, 1, 2),
    "dropout": lambda trial, name: trial.suggest_float(name, 0.0, 0.5, step=0.1),
    "lr": lambda trial, name: trial.suggest_float(name, 3e-4, 1e-2, log=True),
    "batch_size": lambda trial, name: trial.suggest_categorical(name, [16, 32, 64, 128]),
}


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        best: the estimator with the best parameters, fitted.
        parameters: these parameters.
        trials: for each trial its number, validation loss (None if it failed), seconds and parameters; in order.
    """

    best: Estimator
    parameters: Mapping[str, Any]
    trials: list[dict[str, Any]]


def tune(
    estimator: Estimator,
    data: Any,
    y: Any = None,
    *,
    space: Mapping[str, Draw] = SPACE,
    trials: int = 20,
    timeout: float | None = None,
    storage: str | None = None,
    study: str = "carrousel",
    **fit: Any,
) -> Tuned:
    """Fit an estimator with many parameters and keep what was best on the data it holds out for validation.

    The first trial has the estimator's own parameters, so what is found is never worse than them on that part.

    Args:
        estimator: a Forecaster, Classifier or Generator; it is not changed.
        data, y: as in its `fit`.
        space: parameter -> what draws it from an Optuna trial.
        trials: fits in all, over all processes that share the storage.
        timeout: begin no trial after this time, in seconds.
        storage: Optuna's address of a database, where processes and machines search together and a search that was
            killed goes on; in memory if None.
        study: the search's name in the storage.
        **fit: passed on to `fit`.

    Raises:
        MissingExtraError: Optuna is not installed.
        OptionError: no trial was possible.

    Example:
        >>> import numpy as np
        >>> from carrousel import Forecaster
        >>> wave = np.sin(np.arange(300) / 4) + np.arange(300) / 100
        >>> small = Forecaster(horizon=2, context=8, hidden_size=4, epochs=1, verbose=0)
        >>> lr = {"lr": lambda trial, name: trial.suggest_float(name, 1e-3, 1e-2)}
        >>> len(tune(small, wave, space=lr, trials=2).trials)
        2

    Source:
        Akiba et al. (2019), Optuna.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError('tune - optuna is not installed - pip install "carrousel[tune]"') from error
    if trials < 1:
        raise OptionError(f"tune - trials is {trials}, expected at least 1 - give a larger number")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=estimator.seed if storage is None else None)
    search = optuna.create_study(storage=storage, study_name=study, load_if_exists=True, sampler=sampler)
    if not search.trials:
        own = estimator.get_params(deep=False)
        search.enqueue_trial({name: own[name] for name in space})
    given, best = (data,) if y is None else (data, y), list[Estimator]()

    def objective(trial: "Trial") -> float:
        candidate = clone(estimator).set_params(**{name: draw(trial, name) for name, draw in space.items()})
        candidate.fit(*given, **fit)
        loss: float = candidate.history_.best.validation
        if not best or loss < best[0].history_.best.validation:
            best[:] = [candidate]
        return loss

    finished = optuna.study.MaxTrialsCallback(trials, states=(optuna.trial.TrialState.COMPLETE,))
    left = trials - sum(trial.state.is_finished() for trial in search.trials)
    if left > 0:
        search.optimize(objective, n_trials=left, timeout=timeout, callbacks=[finished], catch=(TrainingError,))
    return _tuned(search, best, estimator, space, given, fit)


def _tuned(
    search: "Study",
    best: list[Estimator],
    estimator: Estimator,
    space: Mapping[str, Draw],
    data: tuple[Any, ...],
    fit: dict[str, Any],
) -> Tuned:
    done = [trial for trial in search.trials if trial.value is not None]
    if not done:
        raise OptionError(f"tune - none of {len(search.trials)} trials could be trained - look at one with fit()")
    parameters = dict(search.best_trial.params)
    found = best[0] if best else None
    if found is None or any(found.get_params(deep=False)[name] != parameters[name] for name in space):
        found = clone(estimator).set_params(**parameters)  # another process, or an earlier run, found it
        found.fit(*data, **fit)
    rows = [
        {
            "trial": trial.number,
            "validation": trial.value,
            "seconds": trial.duration.total_seconds() if trial.duration else None,
            **trial.params,
        }
        for trial in search.trials
    ]
    return Tuned(found, parameters, rows)
