"""Both sides of each task: `python -m benchmarks.applications.peers.compare peers.json` prints a table of each.

The same validation error is the worst that a run of either side ends with, so that all of them come to it: what is kept
are the seconds of each seed until it is first there.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.applications.peers.kept import spread

__all__ = ["same_error", "table"]

_SAME = "seconds to the same validation error"
_ROWS = ("validation", _SAME, "test", "seconds in all", "seconds of predict")


def same_error(sides: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return for each side the error, and the seconds until it is reached, seed by seed.

    Args:
        sides: what `kept.over_seeds` gave, by name.

    Example:
        >>> curves = {"a": [[1, 2.0, 0.5], [2, 4.0, 0.25]], "b": [[1, 3.0, 0.75], [2, 5.0, 0.5]]}
        >>> sides = {side: {"runs": [{"curve": curve, "validation": curve[-1][2]}]} for side, curve in curves.items()}
        >>> {side: (found["error"], found["runs"]) for side, found in same_error(sides).items()}
        {'a': (0.5, [2.0]), 'b': (0.5, [5.0])}
    """
    worst = max(run["validation"] for side in sides.values() for run in side["runs"])
    found = {}
    for name, side in sides.items():
        seconds = [next(at for _, at, error in run["curve"] if error <= worst) for run in side["runs"]]
        found[name] = {"error": worst, **spread(seconds), "runs": seconds}
    return found


def table(task: str, sides: Mapping[str, Mapping[str, Any]]) -> str:
    """Return mean and spread of both sides, as Markdown.

    Args:
        task: its name.
        sides: as in `same_error`, with what that gave.
    """
    lines = [f"| {task} | {' | '.join(sides)} |", "|---" * (len(sides) + 1) + "|"]
    for row in _ROWS:
        cells = [_text(side[row]) for side in sides.values()]
        name = f"{row} ({next(iter(sides.values()))[row]['error']:.4f})" if row == _SAME else row
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _text(found: Mapping[str, Any]) -> str:
    return f"{found['mean']:.4g}" + (f" +- {found['spread']:.2g}" if found["spread"] is not None else "")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path, help="what the other scripts wrote")
    file = parser.parse_args().file
    kept = json.loads(file.read_text(encoding="utf-8"))
    for task, sides in kept.items():
        for name, found in same_error(sides).items():
            sides[name][_SAME] = found
        print(table(task, sides), end="\n\n")
    file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
