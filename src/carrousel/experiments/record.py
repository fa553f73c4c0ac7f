"""Trials on disk, one line each: a run that is killed loses no trial that was over, and counts none twice."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from carrousel.errors import OutputError
from carrousel.experiments.trials import Trial

__all__ = ["FILE", "Record"]

FILE = "trials.jsonl"


class Record:
    """The trials of a folder.

    Args:
        folder: is made if it does not exist.
        resume: whether trials that are there already count; else the folder must not have any.

    Raises:
        OutputError: the folder has trials, and they are not to be resumed; or it can not be written.

    Example:
        >>> import tempfile
        >>> record = Record(Path(tempfile.mkdtemp()))
        >>> record.add(Trial("4 / T=100 N=3 / literal", 0, {"ST1": 700}, True, 800, 1000, {"wrong": 0.0}, 1.5))
        >>> record.find("4 / T=100 N=3 / literal", 0, 1000).presentations
        800
    """

    def __init__(self, folder: Path, resume: bool = False) -> None:
        self.path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._trials = _read(self.path)
        except OSError as error:
            raise OutputError(
                f"{folder} - can not be used: {error.strerror} - name another folder with --out"
            ) from error
        if self._trials and not resume:
            raise OutputError(
                f"{self.path} - has {len(self._trials)} trials already - go on with --resume, or name another folder "
                "with --out"
            )

    def find(self, row: str, seed: int, limit: int) -> Trial | None:
        """Return a trial, None if there is none or it ended earlier than it would under this limit."""
        trial = self._trials.get((row, seed))
        if trial is None or (trial.presentations if trial.solved else trial.limit) > limit:
            return None
        return trial if trial.solved or trial.limit == limit else None

    def of(self, row: str) -> list[Trial]:
        """Return all trials of a row, by seed."""
        return [trial for (name, _), trial in sorted(self._trials.items()) if name == row]

    def add(self, trial: Trial) -> None:
        """Write a trial that is over."""
        line = json.dumps({**vars(trial), "milestones": dict(trial.milestones), "test": dict(trial.test)})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._trials[trial.row, trial.seed] = trial


def _read(path: Path) -> dict[tuple[str, int], Trial]:
    """Read the trials; a last line without its end was cut by a kill, and goes."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        with path.open("r+b") as file:
            file.truncate(len(whole))
    trials: dict[tuple[str, int], Trial] = {}
    for line in whole.decode("utf-8").splitlines():
        fields: Mapping[str, object] = json.loads(line)
        trial = Trial(**fields)  # type: ignore[arg-type]
        trials[trial.row, trial.seed] = trial
    return trials
