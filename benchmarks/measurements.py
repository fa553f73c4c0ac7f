"""What is measured, as plain data: it becomes JSON and is read back."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Disagreement", "Growth", "Latency", "Report", "Roofs", "Shape", "Times", "Timing", "Transfer"]

#: Changes when a file of an older version can no longer be read.
FORMAT = 1


@dataclass(frozen=True)
class Shape:
    """Sizes of one call."""

    batch: int
    steps: int
    inputs: int
    hidden: int

    def __str__(self) -> str:
        return f"{self.batch} x {self.steps} x {self.inputs} x {self.hidden}"


@dataclass(frozen=True)
class Times:
    """Seconds of one call, over all timed calls of all rounds."""

    median: float
    lower: float  # quartiles
    upper: float
    least: float
    calls: int


@dataclass(frozen=True)
class Timing:
    """One side of one comparison.

    Attributes:
        part: the part of the program: "lstm", "cells", ...
        case: what is computed: a cell's name, "population", ...
        mode: "inference", "training" (gradients of all weights), "training_x" (and of the input).
        side: who computes it: "carrousel", "torch.nn", ...
        shape: sizes of the call.
        times: how long it takes.
        flops: floating-point operations of all matrix products of one call, 0 where not counted.
        nets: independent networks in one call.
        gates: gates of the cell that a matrix feeds.
        products: recurrent matrix products of one step; a gate that receives four states has four.
    """

    part: str
    case: str
    mode: str
    side: str
    shape: Shape
    times: Times
    flops: int = 0
    nets: int = 1
    gates: int = 0
    products: int = 0

    @property
    def gigaflops(self) -> float:
        """Matrix products only: GFLOP/s."""
        return self.flops / self.times.median / 1e9


@dataclass(frozen=True)
class Disagreement:
    """Two sides that do not compute the same, and are therefore not timed."""

    what: str


@dataclass(frozen=True)
class Transfer:
    """How fast a buffer is read again and again, by several threads each its own."""

    level: str
    bytes_per_thread: int
    threads: int
    gigabytes_per_second: float


@dataclass(frozen=True)
class Roofs:
    """The machine's limits.

    Attributes:
        lanes: float32 values in the widest vector.
        fma: threads -> GFLOP/s of independent multiply-adds in registers.
        read: bandwidths, level by level.
    """

    lanes: int
    fma: dict[str, float]
    read: tuple[Transfer, ...]

    def peak(self, threads: int) -> float:
        """GFLOP/s that this many threads can reach."""
        return self.fma.get(str(threads)) or max(self.fma.values())


@dataclass(frozen=True)
class Growth:
    """Memory of a process in which one side is called over and over with varying shapes."""

    side: str
    mode: str
    calls: tuple[int, ...]  # after so many calls ...
    megabytes: tuple[float, ...]  # ... the resident set was this large

    @property
    def grown(self) -> float:
        """MiB by which the last quarter of the samples lies above the second."""
        quarter = max(1, len(self.megabytes) // 4)
        early, late = self.megabytes[quarter : 2 * quarter] or self.megabytes[:1], self.megabytes[-quarter:]
        return sum(late) / len(late) - sum(early) / len(early)


@dataclass(frozen=True)
class Latency:
    """Seconds that half, 99 % and 99.9 % of many single steps do not exceed."""

    side: str
    shape: Shape
    p50: float
    p99: float
    p999: float
    steps: int


@dataclass
class Report:
    """Everything one run measured, and where."""

    environment: dict[str, Any] = field(default_factory=dict)
    timings: list[Timing] = field(default_factory=list)
    growths: list[Growth] = field(default_factory=list)
    roofs: Roofs | None = None
    skipped: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)

    def find(self, **wanted: Any) -> list[Timing]:
        """Return the timings with these attributes."""
        return [t for t in self.timings if all(getattr(t, name) == value for name, value in wanted.items())]

    def shapes(self, part: str) -> list[Shape]:
        """Return the shapes of a part, in the order of the run: how the pictures number them."""
        return list(dict.fromkeys(timing.shape for timing in self.find(part=part)))

    def add(self, other: "Report") -> None:
        """Take over what another run measured."""
        taken = max((r.environment.get("taken_by_others") or 0.0 for r in (self, other)), default=0.0)
        self.environment = {**(self.environment or other.environment), "taken_by_others": taken}
        self.timings += other.timings
        self.growths += other.growths
        self.latencies += other.latencies
        self.roofs = self.roofs or other.roofs
        self.skipped += [line for line in other.skipped if line not in self.skipped]
        self.wrong += other.wrong

    def write(self, path: Path) -> None:
        """Write JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"format": FORMAT, **dataclasses.asdict(self)}
        path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")

    @staticmethod
    def read(path: Path) -> "Report":
        """Read what `write` wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("format") != FORMAT:
            raise ValueError(f"{path} - has format {content.get('format')!r}, expected {FORMAT} - measure again")
        roofs = content["roofs"]
        return Report(
            content["environment"],
            [
                Timing(**{**timing, "shape": Shape(**timing["shape"]), "times": Times(**timing["times"])})
                for timing in content["timings"]
            ],
            [Growth(g["side"], g["mode"], tuple(g["calls"]), tuple(g["megabytes"])) for g in content["growths"]],
            roofs and Roofs(roofs["lanes"], roofs["fma"], tuple(Transfer(**t) for t in roofs["read"])),
            content["skipped"],
            content["wrong"],
            [Latency(**{**t, "shape": Shape(**t["shape"])}) for t in content.get("latencies", [])],
        )
