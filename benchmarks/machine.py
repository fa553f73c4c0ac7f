"""Where a run took place: the machine, its caches, and the versions of everything."""

import os
import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.plan import Plan

__all__ = ["QUIET", "Neighbours", "cache_sizes", "cores", "environment", "restrict"]

_LIBRARIES = ("carrousel", "torch", "numpy", "llvmlite", "onnx", "onnxruntime", "jax", "jaxlib", "sympy")
#: How the names of the features begin that decide how many numbers a CPU computes at once.
_SIMD = ("sse", "avx", "f16c", "fma", "amx", "neon", "fp16", "sve")
#: Share of the machine that other processes may take before the figures are doubtful.
QUIET = 0.02
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def restrict(threads: int) -> None:
    """Leave the process no more cores than threads, so that no library takes more than it was told."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[:threads])


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Neighbours:
    """How much of the machine other processes took while this one measured."""

    def __init__(self) -> None:
        self._start = self._ticks()

    @staticmethod
    def _ticks() -> tuple[float, float, float] | None:
        """All time of all cores, busy time of all processes, this one's and its children's; in seconds."""
        try:
            fields = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:9]
        except OSError:
            return None
        user, nice, system, idle, waiting, *rest = (int(field) / os.sysconf("SC_CLK_TCK") for field in fields)
        busy = user + nice + system + sum(rest)
        return busy + idle + waiting, busy, sum(os.times()[:4])

    def share(self) -> float | None:
        """Return the share of all cores that others took since the start; None where the system does not say."""
        now = self._ticks()
        if now is None or self._start is None:
            return None
        every, busy, own = (after - before for after, before in zip(now, self._start, strict=True))
        return max(0.0, busy - own) / every if every else 0.0


def environment(plan: Plan, available: int) -> dict[str, Any]:
    """Return what a reader needs to place the figures.

    Args:
        plan: the run's options.
        available: cores before `restrict`.
    """
    import torch
    from llvmlite import binding

    from carrousel import backends

    features = sorted(n for n, has in binding.get_host_cpu_features().items() if has and n.startswith(_SIMD))
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        "machine": _model(),
        "llvm_cpu": binding.get_host_cpu_name(),
        "cores": available,
        "simd": features,
        "caches": cache_sizes(),
        "threads": plan.threads,
        "torch_threads": torch.get_num_threads(),
        "repeat": plan.rounds,
        "quick": plan.quick,
        "backend": plan.backend,
        "backends": list(backends.names()),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _LIBRARIES}},
    }


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def cache_sizes() -> dict[str, int]:
    """Return level -> bytes of the data caches that one core sees, usual sizes where the system does not say."""
    sizes = {"L1": 32 * 2**10, "L2": 2**20, "L3": 16 * 2**20}
    units = {"K": 2**10, "M": 2**20}
    for folder in _CACHES.glob("index*"):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind in ("Data", "Unified"):
            sizes[f"L{level}"] = int(size[:-1]) * units[size[-1]]
    return dict(sorted(sizes.items()))
