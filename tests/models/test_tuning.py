"""Searches: what is drawn, told and kept; together in one storage, on a cluster, interrupted; and every message."""

import math
import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import optuna
import pytest
from sqlalchemy.exc import OperationalError

from carrousel import Classifier, Forecaster, Generator
from carrousel.errors import MissingExtraError, OptionError, OptionTypeError
from carrousel.models.estimator import Estimator
from carrousel.models.tuning import space_of, tune
from models.easy import easy
from models.searched import FAILS, Quick

PROGRAM = Path(__file__).with_name("searched.py")
BRIEF = {"epochs": 1, "max_seconds": 0.2, "verbose": 0}
KINDS = [
    (Forecaster(2, context=8, **BRIEF), (np.sin(np.arange(200) / 4),)),
    (Classifier(refit=False, **BRIEF), easy(12)),
    (Generator(**BRIEF), ("The quick brown fox. " * 60,)),
]
WHATEVER = {"hidden_size": 5, "num_layers": 3, "dropout": 0.55, "lr": 0.05, "batch_size": 7}


# ---------------------------------------------------------------------- what is searched


@pytest.mark.parametrize(("estimator", "data"), KINDS, ids=lambda value: getattr(value, "kind", ""))
def test_every_kind_begins_with_its_own_parameters_and_goes_on_with_others(estimator: Estimator, data: Any) -> None:
    before = estimator.get_params()
    found = tune(estimator, *data, n_trials=2)
    own, other = ({name: row[name] for name in found.parameters} for row in found.trials)
    assert own == {name: before[name] for name in WHATEVER}
    assert other != own
    assert found.best.history_.best.validation == min(row["validation"] for row in found.trials)
    assert found.parameters in (own, other)
    assert estimator.get_params() == before
    assert not hasattr(estimator, "net_")


@pytest.mark.parametrize("kind", [Forecaster, Classifier, Generator, lambda: Forecaster(**WHATEVER)])
def test_the_space_draws_the_own_parameters_whatever_they_are(kind: Any) -> None:
    estimator = kind()
    trial = optuna.trial.FixedTrial(estimator.get_params())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = {name: draw(trial, name) for name, draw in space_of(estimator).items()}
    assert drawn == {name: estimator.get_params()[name] for name in WHATEVER}


@pytest.mark.parametrize("sizes", [[8, 16], range(8, 17)])
def test_a_space_without_the_own_parameters_begins_with_what_it_draws(sizes: Any, recwarn: Any) -> None:
    def draw(trial: Any, name: str) -> int:
        lists = isinstance(sizes, list)
        return trial.suggest_categorical(name, sizes) if lists else trial.suggest_int(name, sizes[0], sizes[-1])

    found = tune(Quick(), [], space={"hidden_size": draw}, n_trials=3)
    assert all(row["hidden_size"] in sizes for row in found.trials)
    assert not [each for each in recwarn if "parameter" in str(each.message)]


# ---------------------------------------------------------------------- what becomes of trials


def test_the_best_is_kept_and_a_trial_that_failed_is_told() -> None:
    found = tune(Quick(), ["epochs", FAILS, "epochs", "epochs"], n_trials=4)
    losses = [row["validation"] for row in found.trials]
    assert losses[1] is None
    assert found.best.history_.best.validation == min(loss for loss in losses if loss is not None)
    assert found.best.lr == found.parameters["lr"]
    assert not found.is_interrupted
    header, *lines = found.to_csv().splitlines()
    assert header == "trial,validation,seconds,hidden_size,num_layers,dropout,lr,batch_size"
    assert [line.split(",")[:2] for line in lines][1] == ["1", ""]


def test_none_could_be_trained() -> None:
    with pytest.raises(OptionError, match=r"tune - none of 2 trials could be trained - look at one with fit\(\)"):
        tune(Quick(), [FAILS] * 2, n_trials=2)


def test_a_loss_that_is_not_finite_is_a_failure() -> None:
    with pytest.raises(OptionError, match="none of 1 trials"):
        tune(Quick(), [], n_trials=1, again=math.inf)


def test_time_is_over() -> None:
    assert len(tune(Quick(), [0.2], n_trials=50, timeout=0.1).trials) == 1


def test_each_trial_has_its_own_events() -> None:
    quick = Quick()
    quick.tensorboard = Path("events")
    assert tune(quick, [], n_trials=1).best.tensorboard == Path("events/trial-0")


# ---------------------------------------------------------------------- Ctrl-C


@pytest.mark.parametrize("how", ["interrupted", KeyboardInterrupt()])
def test_interrupted_it_stops_and_keeps_the_best(how: Any) -> None:
    found = tune(Quick(lr=0.003), ["epochs", how], n_trials=20)
    assert found.is_interrupted
    assert len(found.trials) == 2
    assert found.best.lr == 0.003
    assert found.best.history_.stopped == "epochs"


def test_interrupted_in_the_first_trial_it_keeps_what_that_has() -> None:
    found = tune(Quick(), ["interrupted"], n_trials=20)
    assert (found.is_interrupted, len(found.trials), found.best.history_.stopped) == (True, 1, "interrupted")


def test_interrupted_with_nothing_to_keep(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/search.db"
    with pytest.raises(KeyboardInterrupt):
        tune(Quick(), [KeyboardInterrupt()], storage=storage)
    (trial,) = optuna.load_study(study_name="carrousel", storage=storage).trials
    assert trial.state == optuna.trial.TrialState.FAIL  # no trial is left that seems to go on


# ---------------------------------------------------------------------- together


def test_two_processes_search_together(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/search.db"
    command = [sys.executable, str(PROGRAM), storage, "12"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    fits = [int(out.split()[0]) for out, _ in said]
    trials = optuna.load_study(study_name="carrousel", storage=storage).trials
    assert 12 <= len(trials) <= 13  # both may be in their last one at once
    assert all(trial.state == optuna.trial.TrialState.COMPLETE for trial in trials)
    assert min(fits) > 0
    assert len(trials) <= sum(fits) <= len(trials) + 1  # one of them fits the other's best once more


def test_a_database_whose_tables_another_process_is_making(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, original = [], optuna.create_study

    def create(**options: Any) -> optuna.Study:
        calls.append(options)
        if len(calls) < 3:
            raise OperationalError("CREATE TABLE studies", None, Exception("table studies already exists"))
        return original(**options)

    monkeypatch.setattr(optuna, "create_study", create)
    assert len(tune(Quick(), [], n_trials=1, storage=f"sqlite:///{tmp_path}/search.db").trials) == 1


def test_a_search_goes_on_where_it_ended(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/search.db"
    first = tune(Quick(), [], n_trials=4, storage=storage)
    again = tune(Quick(), [], n_trials=6, storage=storage)
    assert again.trials[:4] == first.trials
    assert len(again.trials) == 6
    assert tune(Quick(), [], n_trials=6, storage=storage).parameters == again.parameters  # fitted anew, no more trials


# ---------------------------------------------------------------------- on a cluster


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError) as caught:
        tune(Quick(), [], ray="auto")
    assert str(caught.value) == (
        'tune - Ray is not installed, --ray needs it - pip install "carrousel[ray,tune]", here and on the machines of '
        "the cluster"
    )


def cluster(cores: int, said: list[str]) -> ModuleType:
    """A cluster in this process, with Ray's own seven functions; what was begun last ends first."""
    ray = ModuleType("ray")

    class Remote:
        def __init__(self, function: Any) -> None:
            self.function = function

        def remote(self, *given: Any) -> Any:
            said.append("begun")
            return lambda: self.function(*given)

    def get(task: Any) -> Any:
        said.append("ended")
        return task()

    def wait(waiting: list[Any]) -> Any:
        return waiting[-1:], waiting[:-1]

    ray.init, ray.shutdown = lambda address: said.append(address), lambda: said.append("shut down")
    ray.remote, ray.put, ray.wait, ray.get = lambda num_cpus: Remote, lambda value: value, wait, get
    ray.cluster_resources = lambda: {"CPU": float(cores)}
    return ray


def test_a_cluster_fits_a_trial_on_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setitem(sys.modules, "ray", cluster(2, said))
    found = tune(Quick(), ["epochs", FAILS], n_trials=4, ray="cluster:1")
    assert said == ["cluster:1", "begun", "begun", *["ended", "begun"] * 2, "ended", "ended", "shut down"]
    losses = [row["validation"] for row in found.trials]
    assert losses.count(None) == 1
    assert found.best.history_.best.validation == min(loss for loss in losses if loss is not None)


def test_a_cluster_is_shut_down_by_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setitem(sys.modules, "ray", cluster(3, said))
    found = tune(Quick(), ["epochs", KeyboardInterrupt()], n_trials=9, ray="auto")
    assert found.is_interrupted
    assert said[-1] == "shut down"
    assert sum(row["validation"] is not None for row in found.trials) == 1


def test_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = cluster(1, [])

    def init(address: str) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nPlease look")

    ray.init = init
    monkeypatch.setitem(sys.modules, "ray", ray)
    said = (
        "tune - no Ray cluster at 'auto': Could not find any running Ray instance. - begin one with: ray start --head"
    )
    with pytest.raises(OptionError, match=f"^{re.escape(said)}$"):
        tune(Quick(), [], ray="auto")


# ---------------------------------------------------------------------- what can not be


@pytest.mark.parametrize(
    ("parameters", "options", "error", "said"),
    [
        ({}, {"n_trials": 0}, OptionError, "n_trials (--trials) is 0, expected at least 1 - give a larger number"),
        (
            {},
            {"n_trials": 2.5},
            OptionTypeError,
            "n_trials (--trials) is 2.5, expected a whole number - give one from 1",
        ),
        ({"hidden_size": "x"}, {}, OptionTypeError, "tune - hidden_size is 'x', expected a number - give one"),
        ({"lr": 0}, {}, OptionError, "lr is 0, expected a number above 0"),
        ({}, {"space": {"hiden_size": max}}, OptionError, "Quick has no parameter 'hiden_size'. Did you mean hidden"),
        ({}, {"storage": "nonsense://x"}, OptionError, "storage 'nonsense://x' can not be used: Can't load plugin"),
        ({}, {"storage": "sqlite:////no/such.db"}, OptionError, "unable to open database file - give an address such"),
    ],
)
def test_what_can_not_be(parameters: dict, options: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        tune(Quick(**parameters), [], **options)


def test_processes_that_train_one_net_do_not_search() -> None:
    quick = Quick()
    quick.devices = 2
    with pytest.raises(OptionError, match="devices is 2, num_nodes 1, expected 1: each trial is fitted by one process"):
        tune(quick, [])


def test_a_study_of_something_else(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/search.db"
    tune(Quick(), [], n_trials=1, storage=storage)
    with pytest.raises(OptionError, match="study 'carrousel' is one of 'forecast', not 'generate' - give it another"):
        tune(Generator(), "", storage=storage)
    with pytest.raises(OptionError, match=r"study 'carrousel': .*dynamic.* - give each search a study of its own"):
        tune(Quick(hidden_size=5), [], n_trials=2, storage=storage)


def test_without_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r'tune - optuna is not installed - pip install "carrousel\[tune\]"'):
        tune(Quick(), [])
