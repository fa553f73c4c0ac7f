"""Several seeds, or parts, of one task: mean and spread, seconds, versions; printed and as JSON."""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import torch

__all__ = ["Round", "parser_of", "rounds", "say"]

_LIBRARIES = ("carrousel", "torch", "numpy", "pytorch-lightning", "scikit-learn")


class Round(NamedTuple):
    """One training.

    Attributes:
        test: what is measured.
        validation: what the best weights were chosen by, or the same on those rows.
        seconds: of training, by the clock.
        epochs: that were trained.
        cpu_seconds: of all threads, of everything.
        balanced: of classes, the accuracy in which each counts as much; None elsewhere.
        without: what was left out of training, where that is what differs; None elsewhere.
    """

    test: float
    validation: float
    seconds: float
    epochs: int
    cpu_seconds: float = 0.0
    balanced: float | None = None
    without: str | None = None


def parser_of(description: str, data: str | None = None, threads: int = 2) -> argparse.ArgumentParser:
    """Return what reads a script's arguments.

    Args:
        description: what the script does.
        data: what its data is; None if it needs none.
        threads: of torch, unless asked otherwise.
    """
    parser = argparse.ArgumentParser(description=description)
    if data is not None:
        parser.add_argument("data", type=Path, help=data)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    return parser


def rounds(
    one: Callable[[Any], Round], asked: argparse.Namespace, over: Sequence[Any] | None = None, what: str = "seed"
) -> list[Round]:
    """Run every seed, or whatever else differs, and print each.

    Args:
        one: what runs a seed.
        asked: the script's arguments.
        over: what `one` is called with, instead of the seeds.
        what: it is.
    """
    torch.set_num_threads(asked.threads)
    found = []
    for each in range(asked.seeds) if over is None else over:
        began = time.process_time()
        result = one(each)
        found.append(result._replace(cpu_seconds=time.process_time() - began))
        print(
            f"{what} {each}: test {result.test:.4f}, validation {result.validation:.4f}, {result.epochs} epochs",
            flush=True,
        )
    return found


def say(
    task: str,
    found: Sequence[Round],
    naive: Mapping[str, float],
    published: Mapping[str, float],
    asked: argparse.Namespace,
    **facts: Any,
) -> None:
    """Print the results beside the others, and write them as JSON.

    Args:
        task: its name, and the unit.
        found: the seeds.
        naive: name -> what is reached without a net.
        published: source -> number.
        asked: the script's arguments.
        **facts: what else is kept, as the sizes of the parts.
    """
    tests = [each.test for each in found]
    mean, spread = statistics.mean(tests), statistics.stdev(tests) if len(tests) > 1 else None
    seconds = statistics.mean(each.seconds for each in found)
    cpu = statistics.mean(each.cpu_seconds for each in found)
    print(f"{task}: {mean:.4f}{'' if spread is None else f' +- {spread:.4f}'}")
    print(f"  {seconds:.0f} s of training by the clock, {cpu:.0f} s of CPU in all, {asked.threads} threads")
    for name, number in naive.items():
        print(f"  {number:.4f}  {name}")
    for source, number in published.items():
        print(f"  published: {number}  {source}")
    kept = {
        "task": task,
        "mean": mean,
        "spread": spread,
        "mean_seconds": seconds,
        "mean_cpu_seconds": cpu,
        "rounds": [{k: value for k, value in each._asdict().items() if value is not None} for each in found],
        "naive": naive,
        "published": published,
        **facts,
        "threads": asked.threads,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "versions": {library: metadata.version(library) for library in _LIBRARIES},
    }
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
