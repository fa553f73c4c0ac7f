"""The bars that the compiled CPU kernels have to pass, and whether a report does."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.measurements import Report, Shape, Timing

__all__ = ["Bar", "check", "geometric_mean", "per_unit", "speed_ups"]

#: MiB that a process may grow between the second and the last quarter of its calls: the allocator breathes.
_BREATH = 4.0
_OURS = "carrousel"
_MODES = ("inference", "training")


@dataclass(frozen=True)
class Bar:
    """One bar: what is asked, what was measured.

    Attributes:
        name: what is compared.
        required: the limit.
        is_least: whether the limit is the least that is asked, else the most.
        measured: None if the report does not say.
        unit: printed after both numbers.
        detail: where the measured value was found, or why there is none.
    """

    name: str
    required: float
    is_least: bool
    measured: float | None
    unit: str = "x"
    detail: str = ""

    @property
    def held(self) -> bool | None:
        """Whether the bar is passed; None if it was not measured."""
        if self.measured is None:
            return None
        return self.measured >= self.required if self.is_least else self.measured <= self.required


def geometric_mean(values: Iterable[float]) -> float:
    """Return the n-th root of the product of n positive values."""
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms))


def speed_ups(
    report: Report, part: str, mode: str, peers: Sequence[str], ours: str = _OURS
) -> dict[tuple[str, Shape], float]:
    """Return (case, shape) -> the time of the fastest of the peers over ours, where ours and a peer were measured."""
    ratios = {}
    for own in report.find(part=part, mode=mode, side=ours):
        same = report.find(part=part, mode=mode, case=own.case, shape=own.shape, nets=own.nets)
        times = [timing.times.median for timing in same if timing.side in peers]
        if times:
            ratios[own.case, own.shape] = min(times) / own.times.median
    return ratios


def check(report: Report) -> list[Bar]:
    """Return every bar, measured or not."""
    wrong = float(len(report.wrong)) if report.timings or report.wrong else None
    right = Bar("cases in which the sides do not agree", 0, False, wrong, "", "" if wrong is None else "of all parts")
    return [
        *_lstm_bars(report),
        *_cell_bars(report),
        *_length_bars(report),
        *_process_bars(report),
        *_trial_bars(report),
        right,
    ]


def _least(name: str, required: float, ratios: dict[tuple[str, Shape], float]) -> Bar:
    """Every ratio has to reach a limit."""
    if not ratios:
        return Bar(name, required, True, None, detail="not measured")
    (case, shape), value = min(ratios.items(), key=lambda item: item[1])
    return Bar(name, required, True, value, detail=f"least: {case} at {shape}")


def _mean(name: str, required: float, ratios: dict[tuple[str, Shape], float]) -> Bar:
    """The ratios' geometric mean has to reach a limit."""
    if not ratios:
        return Bar(name, required, True, None, detail="not measured")
    return Bar(name, required, True, geometric_mean(ratios.values()), detail=f"geometric mean of {len(ratios)}")


def _lstm_bars(report: Report) -> list[Bar]:
    training = speed_ups(report, "lstm", "training", ["torch.nn"])
    both = ["torch.nn", "ONNX Runtime"]
    inference = speed_ups(report, "lstm", "inference", both)
    if not report.find(part="lstm", side="ONNX Runtime"):
        inference = {}
    return [
        _mean("LSTM, training: beside torch.nn.LSTM", 2.5, training),
        _least("LSTM, training: at every shape", 1.2, training),
        _mean("LSTM, inference: beside the better of torch.nn.LSTM and ONNX Runtime", 1.6, inference),
        _least("LSTM, inference: at every shape", 1.0, inference),
    ]


def per_unit(report: Report, mode: str, unit: Callable[[Timing], float]) -> dict[str, dict[Shape, float]]:
    """Return cell -> shape -> its time per gate (or another unit) over the plain LSTM's at the same shape."""
    timings = report.find(part="cells", mode=mode, side=_OURS)
    plain = {t.shape: t.times.median / unit(t) for t in timings if t.case == "lstm"}
    found: dict[str, dict[Shape, float]] = {}
    for t in timings:
        if t.case != "lstm" and t.shape in plain:
            found.setdefault(t.case, {})[t.shape] = t.times.median / unit(t) / plain[t.shape]
    return found


def _cell_bars(report: Report) -> list[Bar]:
    bars = []
    for mode in _MODES:
        name = f"cells, {mode}: time per gate beside our plain LSTM's"
        means = {cell: geometric_mean(r.values()) for cell, r in per_unit(report, mode, lambda t: t.products).items()}
        if means:
            worst = max(means, key=lambda cell: means[cell])
            bars.append(Bar(name, 1.3, False, means[worst], detail=f"most: {worst}, geometric mean over the shapes"))
        else:
            bars.append(Bar(name, 1.3, False, None, detail="not measured"))
    for peer, sides, required in (
        ("the torch loop", ["torch loop", "eager"], 15.0),
        ("the JAX scan", ["JAX scan"], 2.5),
    ):
        for mode in _MODES:
            bars.append(_mean(f"cells, {mode}: beside {peer}", required, speed_ups(report, "cells", mode, sides)))
    return bars


def _length_bars(report: Report) -> list[Bar]:
    padded, ours = ["carrousel, padded"], "carrousel, lengths="
    return [
        _least(f"lengths=, {mode}: beside the padded call", 1.0, speed_ups(report, "lengths", mode, padded, ours))
        for mode in _MODES
    ]


def _trial_bars(report: Report) -> list[Bar]:
    """Steps per second of every trial, of those that run together."""
    bars = []
    for required, short in ((300, True), (800, False)):
        ours = [t for t in report.find(part="trials", side=_OURS) if (t.shape.steps < 500) is short]
        rate = ours[0].shape.steps / ours[0].times.median / 1000 if ours else None
        detail = f"{ours[0].nets} trials at {ours[0].shape}" if ours else "not measured"
        name = f"adding, T={100 if short else 1000}: steps a second of each trial"
        bars.append(Bar(name, required, True, rate, " thousand", detail))
    return bars


def _process_bars(report: Report) -> list[Bar]:
    bars = []
    for kind, required in (("empty cache", 1000.0), ("filled cache", 50.0)):
        calls = report.find(part="compile", side=f"first call, {kind}")
        slowest = max(calls, key=lambda t: t.times.median, default=None)
        measured = 1e3 * slowest.times.median if slowest else None
        detail = slowest.mode if slowest else "not measured"
        bars.append(Bar(f"first call for a new cell, {kind}", required, False, measured, " ms", detail))
    ours = [growth for growth in report.growths if growth.side.startswith(_OURS)]
    most = max(ours, key=lambda growth: growth.grown, default=None)
    detail = f"{most.side}, {most.mode}, {most.calls[-1]} calls" if most else "not measured"
    grown = max(0.0, most.grown) if most else None
    return [*bars, Bar("memory over calls of varying shapes grows", _BREATH, False, grown, " MiB", detail)]
