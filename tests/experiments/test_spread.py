"""Trials on many processes, which end with the first one; on a Ray cluster: the error without it, what is asked."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from typer.testing import CliRunner

from carrousel.cli import app
from carrousel.errors import MissingExtraError, OptionError, TrainingError
from carrousel.experiments.spread import Job, _interrupts_held_back, jobs, over_ray, spread
from carrousel.experiments.tables import row_of

MESSAGE = (
    'reproduce - Ray is not installed, --ray needs it - pip install "carrousel[ray]", here and on the machines of the '
    "cluster"
)


def test_without_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError) as caught:
        over_ray("auto", [])
    assert str(caught.value) == MESSAGE
    done = CliRunner().invoke(app, ["reproduce", "9", "--ray", "auto", "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert done.output.strip() == f"carrousel: {MESSAGE}"


def cluster_here(said: list[str]) -> ModuleType:
    """A cluster in this process, with Ray's own five functions."""
    cluster = ModuleType("ray")
    cluster.exceptions = SimpleNamespace(RayError=type("RayError", (Exception,), {}))

    class Remote:
        def __init__(self, function) -> None:
            self.function = function

        def remote(self, *given):
            return self.function, given

    cluster.init = lambda address: said.append(address)
    cluster.shutdown = lambda: said.append("shut down")
    cluster.remote = lambda num_cpus: Remote
    cluster.wait = lambda waiting: (waiting[-1:], waiting[:-1])
    cluster.get = lambda task: task[0](*task[1])
    return cluster


def test_the_trials_are_those_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setitem(sys.modules, "ray", cluster_here(said))
    work = [job for k in (0, 3) for job in jobs(row_of("9 / 6a / literal"), range(k, k + 3), 100)]
    ended: list[Job] = []
    found = {t.seed: (t.presentations, t.solved) for t in over_ray("cluster:1", work, ended.append)}
    assert found == {t.seed: (t.presentations, t.solved) for t in spread(work, 1)}
    assert ended == work[::-1]
    assert said == ["cluster:1", "shut down"]


def test_no_cluster_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(address: str) -> None:
        raise ConnectionError(f"Failed to connect to Ray cluster at {address}\nand more")

    cluster = cluster_here([])
    cluster.init = init
    monkeypatch.setitem(sys.modules, "ray", cluster)
    with pytest.raises(OptionError) as caught:
        list(over_ray("10.9.9.9:1", [Job("9 / 6a / literal", (0,), 100)]))
    assert str(caught.value) == (
        "reproduce - there is no Ray cluster at '10.9.9.9:1': ConnectionError: Failed to connect to Ray cluster at "
        "10.9.9.9:1 - begin one with `ray start --head`, and give --ray the address that it prints"
    )


def test_a_machine_of_the_cluster_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    cluster = cluster_here(said)

    def get(task: object) -> None:
        error = cluster.exceptions.RayError("ray::_all() (pid=1)\na traceback")
        error.cause = ModuleNotFoundError("No module named 'carrousel'")
        raise error

    cluster.get = get
    monkeypatch.setitem(sys.modules, "ray", cluster)
    with pytest.raises(TrainingError) as caught:
        list(over_ray("auto", [Job("9 / 6a / literal", (0,), 100)]))
    assert str(caught.value) == (
        "reproduce - a machine of the Ray cluster failed: ModuleNotFoundError: No module named 'carrousel' - they all "
        'need this version of carrousel, pip install "carrousel[ray]"; go on with --resume'
    )
    assert said == ["auto", "shut down"]


def test_processes_end_when_nobody_waits_for_their_trials() -> None:
    """As where the disk is full: the jobs behind the first one would take hours."""
    work = [Job("9 / 6a / literal", (0,), 100), *(Job("2b / RTRL rate 1.0 p=100 / rival", (k,), 10**9) for k in (1, 2))]
    trials = spread(work, 2)
    assert next(trials).seed == 0
    trials.close()
    assert multiprocessing.active_children() == []


def test_an_interrupt_waits_until_all_processes_have_begun() -> None:
    """Another thread may take it."""
    ended = []

    def interrupt() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        os.kill(os.getpid(), signal.SIGINT)

    def begin() -> None:
        with _interrupts_held_back():
            threading.Thread(target=interrupt).start()
            time.sleep(0.2)
            ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        begin()
    assert ended
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
