"""What all scripts of this folder do alike; it needs torch and numpy, no other library."""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = ["ETTH1", "arguments", "etth1", "keep", "latency", "pen_digits"]

#: Rows of training, validation and test: 12, 4 and 4 months of 30 days.
ETTH1 = (8640, 2880, 2880)
_TRAINED, _HELD = 7494, 750


def arguments(data: str) -> argparse.Namespace:
    """Return what a script was called with; torch then has one thread.

    Args:
        data: what its data is.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path, help=data)
    parser.add_argument("--out", type=Path, required=True, help="a JSON file that all these scripts write to")
    torch.set_num_threads(1)
    return parser.parse_args()


def etth1(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return times and oil temperatures, standardised by the training part.

    Args:
        path: ETTh1.csv.
    """
    table = np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="utf-8", max_rows=sum(ETTH1))
    values = table["OT"].astype(float)
    training = values[: ETTH1[0]]
    return table["date"].astype("datetime64[s]"), (values - training.mean()) / training.std()


def pen_digits(path: Path) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Return (sequences, labels) of training, validation and test; validation is drawn from the training part.

    Args:
        path: pendigits.csv, whose columns are c1 to c16 and class.
    """
    table = np.genfromtxt(path, delimiter=",", names=True)
    x = np.stack([table[f"c{k}"] for k in range(1, 17)], 1).reshape(-1, 8, 2).astype(np.float32)
    x = (x - x[:_TRAINED].mean((0, 1))) / x[:_TRAINED].std((0, 1))
    y = table["class"].astype(np.int64)
    order = np.random.default_rng(0).permutation(_TRAINED)
    parts = order[_HELD:], order[:_HELD], np.arange(_TRAINED, len(x))
    return tuple((x[rows], y[rows]) for rows in parts)


def latency(call: Callable[[], Any]) -> float:
    """Return the seconds of one call: the median of 20, after 3 that do not count."""
    found = []
    for _ in range(23):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return statistics.median(found[3:])


def keep(out: Path, task: str, name: str, found: dict[str, Any], libraries: Sequence[str]) -> None:
    """Print what was found, and put it into the file.

    Args:
        out: the file.
        task, name: of the task and of what did it.
        found: the numbers, and what they were measured with.
        libraries: whose versions are kept.
    """
    versions = {library: metadata.version(library) for library in ("torch", "numpy", *libraries)}
    machine = f"{platform.machine()}, Python {platform.python_version()}, 1 thread"
    print(json.dumps(found, indent=1))
    kept = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    kept.setdefault(task, {})[name] = {**found, "machine": machine, "versions": versions}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
