"""Trials over the cores, or over machines: populations of them, reported as they end."""

import importlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from typing import Any

from carrousel.errors import MissingExtraError, OptionError, TrainingError
from carrousel.experiments.tables import row_of
from carrousel.experiments.training import LANES, run
from carrousel.experiments.trials import Row, Trial

__all__ = ["Job", "Trials", "jobs", "over_ray", "spread"]

#: Trials as they end; closed, it ends their processes.
Trials = Generator[Trial, None, None]

#: Where a process puts its trials.
_ended: "SimpleQueue[Trial]"


@dataclass(frozen=True)
class Job:
    """Trials of one row that run side by side.

    Attributes:
        row: its key.
        seeds: of the trials.
        limit: sequences after which a trial has failed.
    """

    row: str
    seeds: tuple[int, ...]
    limit: int


def jobs(row: Row, seeds: Sequence[int], limit: int) -> list[Job]:
    """Cut a row's trials into populations."""
    return [Job(row.key, tuple(seeds[k : k + LANES]), limit) for k in range(0, len(seeds), LANES)]


def spread(work: Sequence[Job], workers: int, done: Callable[[Job], None] = lambda job: None) -> Trials:
    """Run jobs and yield their trials as they end.

    Args:
        work: the jobs, begun in this order.
        workers: processes; each computes on one thread.
        done: is called with every job that is over.

    Raises:
        TrainingError: a process was killed.
    """
    if workers == 1:
        for job in work:
            yield from _trials(job)
            done(job)
        return
    try:
        yield from _side_by_side(work, workers, done)
    except BrokenProcessPool as error:
        raise TrainingError(
            f"reproduce - one of {workers} processes was killed; the memory may be too small for so many - go on with "
            "--resume and fewer --workers"
        ) from error


def _side_by_side(work: Sequence[Job], workers: int, done: Callable[[Job], None]) -> Trials:
    context = multiprocessing.get_context("spawn")
    ended = context.SimpleQueue()
    over, working = context.Pipe(duplex=False)
    # `working` is closed before the pool, and by the system when this process is killed: then the others end as well
    with over, ProcessPoolExecutor(workers, context, _begin, (ended, over)) as pool, working:
        with _interrupts_held_back():
            waiting: dict[Future[None], Job] = {pool.submit(_work, job): job for job in work}
        while waiting:
            finished, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            while not ended.empty():
                yield ended.get()
            for future in finished:
                future.result()
                done(waiting.pop(future))


def over_ray(address: str, work: Sequence[Job], done: Callable[[Job], None] = lambda job: None) -> Trials:
    """Run jobs on a Ray cluster, one core each, and yield the trials of each as it ends.

    Args:
        address: of the cluster, as `ray.init` takes it; its machines need this version of carrousel.
        work: the jobs, begun in this order.
        done: is called with every job that is over.

    Raises:
        MissingExtraError: Ray is not installed.
        OptionError: there is no cluster at this address.
        TrainingError: a machine of the cluster failed.
    """
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError(
            'reproduce - Ray is not installed, --ray needs it - pip install "carrousel[ray]", here and on the machines '
            "of the cluster"
        ) from error
    return _remote(ray, address, work, done)


def _remote(ray: Any, address: str, work: Sequence[Job], done: Callable[[Job], None]) -> Trials:
    try:
        ray.init(address=address)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise OptionError(
            f"reproduce - there is no Ray cluster at {address!r}: {_first_line(error)} - begin one with "
            "`ray start --head`, and give --ray the address that it prints"
        ) from error
    try:
        remote = ray.remote(num_cpus=1)(_all)
        waiting = {remote.remote(job): job for job in work}
        while waiting:
            (ended, *_), _ = ray.wait(list(waiting))
            yield from ray.get(ended)
            done(waiting.pop(ended))
    except ray.exceptions.RayError as error:
        raise TrainingError(
            f"reproduce - a machine of the Ray cluster failed: {_first_line(getattr(error, 'cause', None) or error)} - "
            'they all need this version of carrousel, pip install "carrousel[ray]"; go on with --resume'
        ) from error
    finally:
        ray.shutdown()


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _all(job: Job) -> list[Trial]:
    """What a machine does."""
    import torch

    torch.set_num_threads(1)
    return list(_trials(job))


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Hold Ctrl-C back: here until the end of the block, for ever in the processes that begin in it."""
    came: list[int] = []
    # a process inherits what its parent's thread blocks; a signal that another thread takes is noted and comes later
    is_first = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, lambda number, frame: came.append(number)) if is_first else None
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if is_first:
            signal.signal(signal.SIGINT, handler)
    if came:
        signal.raise_signal(signal.SIGINT)


def _begin(ended: "SimpleQueue[Trial]", over: Connection) -> None:
    """What a process begins with."""
    import torch

    global _ended
    _ended = ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that began this one ends it
    threading.Thread(target=_end_with, args=(over,), daemon=True).start()
    torch.set_num_threads(1)


def _end_with(over: Connection) -> None:
    """End this process with the one that began it, in the middle of a trial as well."""
    over.poll(None)
    os._exit(0)


def _work(job: Job) -> None:
    """What a process does."""
    for trial in _trials(job):
        _ended.put(trial)


def _trials(job: Job) -> Iterator[Trial]:
    return run(row_of(job.row), job.seeds, job.limit)
