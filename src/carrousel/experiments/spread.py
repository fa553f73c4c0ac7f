"""Trials over the cores, or over machines: populations of them, reported as they end."""

import importlib
import multiprocessing
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from carrousel.errors import MissingExtraError
from carrousel.experiments.tables import row_of
from carrousel.experiments.training import LANES, run
from carrousel.experiments.trials import Row, Trial

__all__ = ["Job", "jobs", "over_ray", "spread"]


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


def spread(work: Sequence[Job], workers: int, done: Callable[[Job], None] = lambda job: None) -> Iterator[Trial]:
    """Run jobs and yield their trials as they end.

    Args:
        work: the jobs, begun in this order.
        workers: processes; each computes on one thread.
        done: is called with every job that is over.
    """
    if workers == 1:
        for job in work:
            yield from _trials(job)
            done(job)
        return
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(workers, mp_context=context) as pool:
        ended: Any = manager.Queue()
        waiting: dict[Future[None], Job] = {pool.submit(_work, job, ended): job for job in work}
        try:
            while waiting:
                finished, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                yield from _drained(ended)
                for future in finished:
                    future.result()
                    done(waiting.pop(future))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def over_ray(address: str, work: Sequence[Job], done: Callable[[Job], None] = lambda job: None) -> Iterator[Trial]:
    """Run jobs on a Ray cluster, one core each, and yield the trials of each as it ends.

    Args:
        address: of the cluster, as `ray.init` takes it; its machines need this version of carrousel.
        work: the jobs, begun in this order.
        done: is called with every job that is over.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError(
            'reproduce - Ray is not installed, --ray needs it - pip install "carrousel[ray]", here and on the machines '
            "of the cluster"
        ) from error
    return _remote(ray, address, work, done)


def _remote(ray: Any, address: str, work: Sequence[Job], done: Callable[[Job], None]) -> Iterator[Trial]:
    ray.init(address=address)
    try:
        remote = ray.remote(num_cpus=1)(_all)
        waiting = {remote.remote(job): job for job in work}
        while waiting:
            (ended, *_), _ = ray.wait(list(waiting))
            yield from ray.get(ended)
            done(waiting.pop(ended))
    finally:
        ray.shutdown()


def _all(job: Job) -> list[Trial]:
    """What a machine does."""
    import torch

    torch.set_num_threads(1)
    return list(_trials(job))


def _drained(ended: Any) -> Iterator[Trial]:
    while True:
        try:
            yield ended.get_nowait()
        except queue.Empty:
            return


def _work(job: Job, ended: Any) -> None:
    """What a process does."""
    import torch

    torch.set_num_threads(1)
    for trial in _trials(job):
        ended.put(trial)


def _trials(job: Job) -> Iterator[Trial]:
    return run(row_of(job.row), job.seeds, job.limit)
