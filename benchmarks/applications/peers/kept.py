"""What all scripts of this folder do alike; it needs torch and numpy, no other library."""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

__all__ = ["ETTH1", "Labelled", "Part", "arguments", "etth1", "keep", "labelled", "latency", "over_seeds", "spread"]

#: Rows of training, validation and test: 12, 4 and 4 months of 30 days.
ETTH1 = (8640, 2880, 2880)

#: Sequences (step, channel) and their classes, numbers from 0.
Part = tuple[list[np.ndarray], np.ndarray]


class Labelled(NamedTuple):
    """A task of classification, standardised by its training part, of which a tenth is drawn for validation."""

    name: str
    train: Part
    validation: Part
    test: Part


def arguments(data: str) -> argparse.Namespace:
    """Return what a script was called with; torch then has one thread.

    Args:
        data: what its data is.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path, help=data)
    parser.add_argument("--seeds", type=int, default=3)
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


def labelled(path: Path) -> Labelled:
    """Return pen digits or JapaneseVowels; the rows of the validation part are the same for all seeds.

    Args:
        path: pendigits.csv, whose columns are c1 to c16 and class; or the folder with JapaneseVowels_TRAIN.ts and
            JapaneseVowels_TEST.ts.
    """
    name, x, y, trained = _japanese_vowels(path) if path.is_dir() else _pen_digits(path)
    steps = np.concatenate(x[:trained])
    scaled = [((each - steps.mean(0)) / steps.std(0)).astype(np.float32) for each in x]
    order, held = np.random.default_rng(0).permutation(trained), -(-trained // 10)
    parts = order[held:], order[:held], np.arange(trained, len(x))
    return Labelled(name, *(([scaled[row] for row in rows], y[rows]) for rows in parts))


def _pen_digits(path: Path) -> tuple[str, list[np.ndarray], np.ndarray, int]:
    table = np.genfromtxt(path, delimiter=",", names=True)
    x = np.stack([table[f"c{k}"] for k in range(1, 17)], 1).reshape(-1, 8, 2)
    return "pen digits", list(x), table["class"].astype(np.int64), 7494


def _japanese_vowels(folder: Path) -> tuple[str, list[np.ndarray], np.ndarray, int]:
    """A line is an utterance: its channels and the speaker, 1 to 9, between colons."""
    texts = [(folder / f"JapaneseVowels_{part}.ts").read_text("utf-8") for part in ("TRAIN", "TEST")]
    train, test = ([line.split(":") for line in text.partition("@data\n")[2].splitlines()] for text in texts)
    x = [np.array([channel.split(",") for channel in line[:-1]], float).T for line in train + test]
    return "JapaneseVowels", x, np.array([int(line[-1]) - 1 for line in train + test]), len(train)


def latency(call: Callable[[], Any]) -> float:
    """Return the seconds of one call: the median of 20, after 3 that do not count."""
    found = []
    for _ in range(23):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return statistics.median(found[3:])


def over_seeds(one: Callable[[int], dict[str, Any]], seeds: int) -> dict[str, Any]:
    """Return the run of every seed, with mean and spread of each number that they have, but whole ones.

    Args:
        one: what runs a seed. Its curve has a row for each look at the validation part: epochs or steps, seconds until
            then, validation error; its validation is that of the weights that are kept.
        seeds: how many, from 0.
    """
    runs = []
    for seed in range(seeds):
        runs.append({"seed": seed, **one(seed)})
        print(json.dumps(runs[-1]), flush=True)
    numbers = [name for name, value in runs[0].items() if isinstance(value, float)]
    return {**{name: spread([run[name] for run in runs]) for name in numbers}, "runs": runs}


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """Return mean and standard deviation; of a single one there is none."""
    return {"mean": statistics.mean(values), "spread": statistics.stdev(values) if len(values) > 1 else None}


def keep(out: Path, task: str, name: str, found: dict[str, Any], libraries: Sequence[str]) -> None:
    """Put what was found into the file.

    Args:
        out: the file.
        task, name: of the task and of what did it.
        found: the numbers, and what they were measured with.
        libraries: whose versions are kept.
    """
    versions = {library: metadata.version(library) for library in ("torch", "numpy", *libraries)}
    machine = f"{platform.machine()}, Python {platform.python_version()}, 1 thread"
    kept = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    kept.setdefault(task, {})[name] = {**found, "machine": machine, "versions": versions}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
