"""Trials of a search: what Optuna asks for, fitted here or on a Ray cluster, and told."""

import importlib
import math
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from sklearn.base import clone

from carrousel.errors import MissingExtraError, OptionError, TrainingError, did_you_mean
from carrousel.models.estimator import Estimator

if TYPE_CHECKING:
    from optuna import Study, Trial

__all__ = ["Draw", "Search", "here", "over_ray"]

#: Draws one parameter: (trial, name) -> value.
Draw = Callable[["Trial", str], Any]
#: A trial with what is fitted for it; and with what was, None where nothing could be learned.
Task = tuple["Trial", Estimator]
Fitted = tuple["Trial", Estimator | None]
#: Arguments of `fit`, by place and by name.
Given = tuple[tuple[Any, ...], dict[str, Any]]


class Search:
    """A study whose trials are fits of an estimator.

    Attributes:
        best: what was best of what was fitted for it here.
    """

    def __init__(
        self, study: "Study", estimator: Estimator, space: Mapping[str, Draw], trials: int, timeout: float | None
    ) -> None:
        self.study, self.estimator, self.space, self.trials = study, estimator, space, trials
        self.until = time.monotonic() + (math.inf if timeout is None else timeout)
        self.asked: list[Trial] = []
        self.best: Estimator | None = None
        own = estimator.get_params(deep=False)
        for name in space:
            if name not in own:
                kind = type(estimator).__name__
                raise OptionError(
                    f"tune - {kind} has no parameter {name!r}.{did_you_mean(name, own)} - name one it has"
                )
        self.own = {name: own[name] for name in space}

    def tasks(self) -> Iterator[Task]:
        """Yield trials, each with what is to be fitted for it, until there are enough."""
        if not self.study.trials and self._draws_own():
            self.study.enqueue_trial(self.own, skip_if_exists=True)
        while time.monotonic() < self.until and self._count() < self.trials:
            trial = self.study.ask()
            self.asked.append(trial)
            yield trial, self._candidate(trial)

    def tell(self, trial: "Trial", fitted: Estimator | None) -> None:
        """Note how good a fit is; None failed."""
        loss = math.nan if fitted is None else fitted.history_.best.validation
        if not math.isfinite(loss):
            self.study.tell(trial, state=_failed())
            return
        self.study.tell(trial, loss)
        if self.best is None or loss < self.best.history_.best.validation:
            self.best = fitted

    def give_up(self) -> None:
        """Note that trials failed that are still under way."""
        for trial in self.asked:
            self.study.tell(trial, state=_failed(), skip_if_finished=True)

    def unfitted(self, parameters: Mapping[str, Any]) -> Estimator:
        """Return an estimator with these parameters."""
        return clone(self.estimator).set_params(**parameters)  # type: ignore[no-any-return]

    def _draws_own(self) -> bool:
        """Whether the space can draw the estimator's own parameters."""
        from optuna.trial import FixedTrial

        probe: Any = FixedTrial(self.own)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Optuna only warns of a number that is out of its range
                return all(draw(probe, name) == self.own[name] for name, draw in self.space.items())
        except (ValueError, UserWarning):
            return False

    def _count(self) -> int:
        """Trials that are over, here or elsewhere, or were begun here."""
        over = {trial.number for trial in self.study.trials if trial.state.is_finished()}
        return len(over | {trial.number for trial in self.asked})

    def _candidate(self, trial: "Trial") -> Estimator:
        try:
            candidate = self.unfitted({name: draw(trial, name) for name, draw in self.space.items()})
        except ValueError as error:  # Optuna's, where the study began with other choices
            name = self.study.study_name
            raise OptionError(f"tune - study {name!r}: {error} - give each search a study of its own") from error
        if self.estimator.tensorboard is not None:
            candidate.tensorboard = self.estimator.tensorboard / f"trial-{trial.number}"
        return candidate


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL


def here(tasks: Iterator[Task], given: Given) -> Generator[Fitted]:
    """Fit one after the other, and yield each."""
    for trial, candidate in tasks:
        yield trial, _fitted(candidate, given)


def over_ray(address: str, tasks: Iterator[Task], given: Given) -> Generator[Fitted]:
    """Fit on a Ray cluster, on each of its cores a trial; yield each as it ends."""
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError(
            'tune - Ray is not installed, --ray needs it - pip install "carrousel[ray,tune]", here and on the machines '
            "of the cluster"
        ) from error
    try:
        ray.init(address=address)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(
            f"tune - no Ray cluster at {address!r}: {reason} - begin one with: ray start --head"
        ) from error
    try:
        remote, put = ray.remote(num_cpus=1)(_fitted_there), ray.put(given)
        at_once = max(1, int(ray.cluster_resources().get("CPU", 1)))
        waiting: dict[Any, Trial] = {}
        while True:
            for trial, candidate in islice(tasks, at_once - len(waiting)):
                waiting[remote.remote(candidate, put)] = trial
            if not waiting:
                return
            (ended, *_), _ = ray.wait(list(waiting))
            yield waiting.pop(ended), ray.get(ended)
    finally:
        ray.shutdown()


def _fitted_there(candidate: Estimator, given: Given) -> Estimator | None:
    """What a core of a cluster does."""
    import torch

    torch.set_num_threads(1)
    return _fitted(candidate, given)


def _fitted(candidate: Estimator, given: Given) -> Estimator | None:
    data, fit = given
    try:
        return candidate.fit(*data, **fit)  # type: ignore[no-any-return]
    except TrainingError:
        return None
