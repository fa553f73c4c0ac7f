"""Sides that take turns: each round every side is called, so that what disturbs the machine disturbs all of them."""

import contextlib
import gc
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.measurements import Disagreement, Times, Timing
from benchmarks.plan import Plan

__all__ = ["DisagreementError", "agree", "attempt", "compare", "summary"]

#: Seconds of timed calls of one side in one round, and calls at most.
_BLOCK, _MOST_CALLS = 0.02, 200
#: Seconds of one side over all rounds: a slow side stops after it, but not before three rounds.
_BUDGET, _LEAST_ROUNDS = 1.5, 3
#: The worker threads of the side before spin for a while after their work: they are given time to sleep.
_PAUSE = 0.03
#: Seconds of calls that are not counted after it: caches and branch predictors have to know the side again, and a
#: virtual core that slept through the pause takes up to 0.15 s until it is as fast as before.
_RISE = 0.1


class DisagreementError(AssertionError):
    """Two sides do not compute the same."""


def agree(what: str, got: ArrayLike, expected: ArrayLike, tolerance: float = 1e-3) -> None:
    """Raise DisagreementError unless two results are equal; relative to the largest value above 1."""
    left, right = np.asarray(got), np.asarray(expected)
    if left.shape != right.shape:
        raise DisagreementError(f"{what} - has shape {left.shape}, expected {right.shape}")
    scale = max(1.0, float(np.abs(right).max(initial=0)))
    apart = float(np.abs(left - right).max(initial=0)) / scale
    if not apart <= tolerance:
        raise DisagreementError(f"{what} - differs by {apart:.1e}, expected at most {tolerance:.0e}")


def attempt(
    measure: Callable[..., Iterable[Timing | Disagreement]], *arguments: Any
) -> Iterator[Timing | Disagreement]:
    """Measure one case; a disagreement is a finding and ends this case, not the run."""
    try:
        yield from measure(*arguments)
    except DisagreementError as error:
        yield Disagreement(str(error))


def compare(sides: Mapping[str, Callable[[], Any]], plan: Plan) -> dict[str, Times]:
    """Time the sides in turns.

    Every side is warmed up; each round begins with another one. Before its timed calls a side waits until the threads
    of its predecessor sleep, and makes some calls that are not counted.

    Args:
        sides: name -> one call.
        plan: how many rounds.

    Returns:
        Name -> its times.
    """
    names = list(sides)
    estimates = {name: _warm_up(side) for name, side in sides.items()}
    rounds = {name: _rounds(seconds, plan) for name, seconds in estimates.items()}
    samples: dict[str, list[float]] = {name: [] for name in names}
    with _no_garbage_collection():
        for turn in range(max(rounds.values())):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                if turn < rounds[name]:
                    samples[name] += _block(sides[name], estimates[name], plan)
    return {name: summary(seconds) for name, seconds in samples.items()}


def _warm_up(side: Callable[[], Any]) -> float:
    """Seconds of the fastest of some calls; the first one, which may compile a kernel, does not count."""
    side()
    fastest = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        side()
        seconds = time.perf_counter() - start
        fastest = min(fastest, seconds)
        if seconds > 5 * _BLOCK:
            break
    return fastest


def _rounds(seconds: float, plan: Plan) -> int:
    return min(plan.rounds, max(_LEAST_ROUNDS, int(_BUDGET / max(seconds, _BLOCK))))


def _block(side: Callable[[], Any], seconds: float, plan: Plan) -> list[float]:
    calls = 1 if plan.quick else max(1, min(_MOST_CALLS, int(_BLOCK / max(seconds, 1e-7))))
    if seconds < 5 * _BLOCK:  # a spinning neighbour is nothing beside a longer call
        if not plan.quick:
            _wait(_PAUSE)
        started = time.perf_counter()
        side()
        while not plan.quick and time.perf_counter() < started + _RISE:
            side()
    samples = []
    for _ in range(calls):
        start = time.perf_counter()
        side()
        samples.append(time.perf_counter() - start)
    return samples


def _wait(seconds: float) -> None:
    """Let the workers of the side before fall asleep, but keep this core: a virtual one that sleeps wakes up slower."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def summary(seconds: list[float]) -> Times:
    """Return median, quartiles and least of some samples."""
    if len(seconds) == 1:
        (only,) = seconds
        return Times(only, only, only, only, 1)
    lower, median, upper = statistics.quantiles(seconds, n=4, method="inclusive")
    return Times(median, lower, upper, min(seconds), len(seconds))
