"""Several seeds of the classifier's defaults on one task: mean, spread, seconds, versions; printed and as JSON."""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.applications.rounds import parser_of
from carrousel.models.classification.classifier import Classifier

__all__ = ["Split", "arguments", "measure", "say"]

_LIBRARIES = ("carrousel", "torch", "numpy", "scikit-learn", "pytorch-lightning")


class Split(NamedTuple):
    """Training and test: sequences and labels."""

    train: Any
    train_labels: Any
    test: Any
    test_labels: Any


def arguments(description: str, data: str) -> argparse.Namespace:
    """Return what the script was called with.

    Args:
        description: what it does.
        data: what its data is.
    """
    return parser_of(description, data, threads=1).parse_args()


def measure(split: Split, seeds: int, threads: int, make: Callable[..., Classifier] = Classifier) -> dict[str, Any]:
    """Train the defaults with some seeds and measure on the test part.

    Args:
        split: training and test.
        seeds: how many, from 0.
        threads: of torch.
        make: the classifier.

    Returns:
        Accuracies, their mean and spread (standard deviation), the majority class's, seconds of CPU and of the clock.
    """
    accuracies, clock, cpu, scores = [], [], [], {}
    torch.set_num_threads(threads)
    for seed in range(seeds):
        began = time.perf_counter(), time.process_time()
        fitted = make(seed=seed, threads=threads, verbose=0).fit(split.train, split.train_labels)
        clock.append(time.perf_counter() - began[0])
        cpu.append(time.process_time() - began[1])
        scores = fitted.evaluate(split.test, split.test_labels)
        accuracies.append(scores["accuracy"])
    return {
        "accuracies": accuracies,
        "mean": statistics.mean(accuracies),
        "spread": statistics.stdev(accuracies) if seeds > 1 else None,
        "balanced_accuracy_of_last": scores["balanced_accuracy"],
        "majority": scores["majority_accuracy"],
        "train": len(split.train),
        "test": scores["count"],
        "seconds": statistics.mean(clock),
        "cpu_seconds": statistics.mean(cpu),
    }


def say(task: str, results: dict[str, dict[str, Any]], published: dict[str, str], asked: argparse.Namespace) -> None:
    """Print the results and write them as JSON.

    Args:
        task: its name.
        results: name -> what `measure` returns.
        published: source -> number.
        asked: the script's arguments.
    """
    for name, found in results.items():
        spread = "" if found["spread"] is None else f" +- {found['spread']:.4f}"
        print(
            f"{task}, {name}: {found['mean']:.4f}{spread} of {found['test']:,} (majority {found['majority']:.3f}); "
            f"{found['cpu_seconds']:.0f} s of CPU, {found['seconds']:.0f} s by the clock, {asked.threads} threads"
        )
    for source, number in published.items():
        print(f"  published: {number}  {source}")
    versions = {library: metadata.version(library) for library in _LIBRARIES}
    machine = {"python": platform.python_version(), "cpu": platform.machine(), "threads": asked.threads}
    kept = {"task": task, "results": results, "published": published, "versions": versions, "machine": machine}
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(json.dumps(kept, indent=1, default=np.ndarray.tolist) + "\n", encoding="utf-8")
