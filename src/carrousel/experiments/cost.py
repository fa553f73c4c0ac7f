"""What learning costs: time and memory for each step and weight, against the size of the net and the lag; measured."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from carrousel.cells.lstm_1997 import lstm_1997_truncated
from carrousel.errors import OptionError
from carrousel.systems.bptt import BPTT
from carrousel.systems.network import Network
from carrousel.systems.real_time import RealTime
from carrousel.systems.rtrl import RTRL
from carrousel.systems.system import Nets
from carrousel.systems.through_time import ThroughTime
from carrousel.systems.wiring import Wiring
from carrousel.tasks.sequences import Sequences

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from carrousel.report.page import Picture

__all__ = ["HIDDEN", "LEARNERS", "LENGTH", "LENGTHS", "SIZES", "Cost", "Learner", "Point", "cost", "figures", "peak"]

INPUTS, OUTPUTS = 2, 1

#: Nets side by side, so that calls count little beside what they compute.
NETS = 16

#: The sizes of nets, at this length; the lengths of sequences, at this size.
SIZES, LENGTH = (2, 4, 8, 16, 32, 64), 50
LENGTHS, HIDDEN = (10, 30, 100, 300, 1000), 8

#: Steps of a stream that a system sees at a time which needs no more of the past.
PIECE = 10

#: The median of so many presentations is the time.
REPEATS = 7


@dataclass(frozen=True)
class Learner:
    """A way of learning.

    Attributes:
        start: hidden units -> nets.
        is_stepwise: whether it needs nothing of a sequence's past, which may then come in pieces.
    """

    start: Callable[[int], Nets]
    is_stepwise: bool = False


@dataclass(frozen=True)
class Point:
    """What was measured of one size and length.

    Attributes:
        hidden: units.
        length: steps.
        weights: of one net.
        microseconds: for each step and weight of a net.
        bytes: for each weight of a net: the largest amount of memory in use, without the sequences.
    """

    hidden: int
    length: int
    weights: int
    microseconds: float
    bytes: float


@dataclass(frozen=True)
class Cost:
    """What was measured, name of a way of learning -> points.

    Attributes:
        by_size: against the hidden units.
        by_length: against the steps of a sequence.
    """

    by_size: Mapping[str, tuple[Point, ...]]
    by_length: Mapping[str, tuple[Point, ...]]


def _lstm(hidden: int) -> Network:
    return Network(lstm_1997_truncated, INPUTS, OUTPUTS, hidden)


def _rivals(hidden: int) -> Wiring:
    return Wiring(INPUTS, hidden, OUTPUTS, shortcuts=False, bias=True)


#: The first two have the same gradient and differ in when they compute it.
LEARNERS: Mapping[str, Learner] = {
    "LSTM, truncated, step by step": Learner(lambda h: RealTime(_lstm(h), range(NETS), 0.01), is_stepwise=True),
    "LSTM, truncated, through time": Learner(lambda h: ThroughTime(_lstm(h), range(NETS), 0.01)),
    "BPTT": Learner(lambda h: BPTT(_rivals(h), 0.01).start(range(NETS))),
    "RTRL": Learner(lambda h: RTRL(_rivals(h), 0.01).start(range(NETS)), is_stepwise=True),
}


def cost(
    learners: Mapping[str, Learner] = LEARNERS,
    sizes: Sequence[int] = SIZES,
    lengths: Sequence[int] = LENGTHS,
    repeats: int = REPEATS,
) -> Cost:
    """Measure what a presentation costs.

    There is a target at every step. Memory is counted in tensors: what is alive at once at most, from the making of the
    nets to the end of their first sequence. The time is that of the presentations after it.

    Args:
        learners: name -> way of learning.
        sizes: hidden units, with sequences of LENGTH steps.
        lengths: steps of a sequence, with HIDDEN units.
        repeats: the time is the median of so many presentations.

    Returns:
        The points.

    Raises:
        OptionError: a number is below 1.

    Example:
        >>> short, long = cost({"BPTT": LEARNERS["BPTT"]}, sizes=(), lengths=(10, 100), repeats=1).by_length["BPTT"]
        >>> long.bytes > 3 * short.bytes
        True

    Source:
        Hochreiter & Schmidhuber (1997), section 4, "Computational complexity": O(1) per time step and weight.
    """
    if min(*sizes, *lengths, repeats, 1) < 1:
        raise OptionError(
            f"cost - got sizes {list(sizes)}, lengths {list(lengths)} and {repeats} repeats, expected at least 1 - "
            "give larger numbers"
        )
    return Cost(
        {name: tuple(_point(learner, size, LENGTH, repeats) for size in sizes) for name, learner in learners.items()},
        {name: tuple(_point(each, HIDDEN, length, repeats) for length in lengths) for name, each in learners.items()},
    )


def _point(learner: Learner, hidden: int, length: int, repeats: int) -> Point:
    pieces = _sequence(length, PIECE if learner.is_stepwise else length)
    met: list[Nets] = []

    def first() -> None:
        met.append(learner.start(hidden))
        _present(met[0], pieces)

    memory = peak(first, pieces)
    nets = met[0]
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        _present(nets, pieces)
        seconds.append(time.perf_counter() - began)
    weights = nets.weights * len(nets)
    return Point(hidden, length, nets.weights, 1e6 * statistics.median(seconds) / length / weights, memory / weights)


def _present(nets: Nets, pieces: Sequence[Sequences]) -> None:
    for piece in pieces:
        nets.learn(piece)


def _sequence(length: int, piece: int) -> list[Sequences]:
    """One sequence of random numbers for every net, cut into pieces; the states begin anew at its start."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(length, NETS, 1, INPUTS, generator=generator)
    target = torch.rand(length, NETS, 1, OUTPUTS, generator=generator)
    resets = torch.zeros(length, NETS, 1, dtype=torch.bool)
    resets[0] = True
    is_cut = piece < length
    return [
        Sequences(part, torch.full((NETS, 1), len(part)), wanted, resets=begun if is_cut else None)
        for part, wanted, begun in zip(x.split(piece), target.split(piece), resets.split(piece), strict=True)
    ]


# ---------------------------------------------------------------------- memory


def peak(work: Callable[[], None], given: Sequence[Sequences] = ()) -> int:
    """Count the bytes of tensors that are alive at once, at most, while something is done.

    Args:
        work: does it.
        given: what was there before is not counted.

    Example:
        >>> peak(lambda: torch.zeros(1000).add_(1).sum())
        4004
    """
    with _Counting([part for sequences in given for part in sequences if part is not None]) as counting:
        work()
    return int(counting.most)


class _Counting(TorchDispatchMode):
    """Looks at every tensor that an operation returns."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        super().__init__()
        self._given = {tensor.untyped_storage().data_ptr() for tensor in given}
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                if storage.data_ptr() not in self._given:
                    self._alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self._alive = {key: entry for key, entry in self._alive.items() if not entry[0].expired()}
        self.most = max(self.most, sum(size for _, size in self._alive.values()))
        return result


# ---------------------------------------------------------------------- pictures


def figures(measured: Cost) -> tuple["Picture", ...]:
    """Draw time and memory, against the size and against the lag.

    Args:
        measured: what was measured.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from carrousel.report.figures import canvas, legend, picture

    drawn = []
    for points, by, label, title in (
        (measured.by_length, "length", "steps of a sequence", "Cost against the lag"),
        (measured.by_size, "hidden", "hidden units", "Cost against the size of the net"),
    ):
        drawing, (above, below) = canvas([2.4, 2.7], is_shared=True)
        _curves(above, points, by, "microseconds", "microseconds per step and weight")
        _curves(below, points, by, "bytes", "bytes per weight")
        below.set_xlabel(label)
        legend(below)
        fixed = f"{HIDDEN} hidden units" if by == "length" else f"sequences of {LENGTH} steps"
        caption = (
            f"Measured on this machine, {NETS} nets side by side, {fixed}, a target at every step; medians. Memory: "
            "the most bytes of tensors alive at once, the sequences not counted. Step by step and RTRL see the "
            f"sequence in pieces of {PIECE} steps and keep nothing of the past. In nets this small a part of the time "
            "is calls, not arithmetic."
        )
        drawn.append(picture(drawing, title, caption))
    return tuple(drawn)


def _curves(axes: "Axes", points: Mapping[str, tuple[Point, ...]], by: str, what: str, title: str) -> None:
    from carrousel.report.figures import COLOURS, log_axis

    log_axis(axes, "x")
    log_axis(axes, "y", has_thirds=True)
    for colour, (name, curve) in zip(COLOURS, points.items(), strict=False):
        places = [getattr(point, by) for point in curve]
        axes.plot(places, [getattr(point, what) for point in curve], "o-", color=colour, ms=4, lw=2, label=name)
        axes.set_xticks(places, [f"{place:,}" for place in places])
    axes.set_title(title, loc="left", fontsize=9)
