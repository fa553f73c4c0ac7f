"""Trials on disk, one line each: a run that is killed loses no trial that was over, and counts none twice."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from carrousel.errors import ModelError, OutputError
from carrousel.experiments.trials import Trial

try:
    import fcntl
except ImportError:  # it is of Unix; elsewhere nobody notices a second run
    fcntl = None  # type: ignore[assignment]

__all__ = ["FILE", "Record", "held"]

FILE = "trials.jsonl"

#: What every line begins with.
_BEGIN = b'{"row": '

_KINDS = {
    "row": (str,),
    "seed": (int,),
    "milestones": (dict,),
    "solved": (bool,),
    "presentations": (int,),
    "limit": (int,),
    "test": (dict,),
    "seconds": (float, int),
}


class Record:
    """The trials of a folder.

    A seed of a row has one trial for each limit that it was run with; none takes another's place.

    Args:
        folder: is made if it does not exist.
        resume: whether trials that are there already count; else the folder must not have any.
        limits: row -> the limit of this run; `of` gives trials of the largest one there is where none is named.

    Raises:
        OutputError: the folder has trials, and they are not to be resumed; or it can not be written.
        ModelError: a line is no trial.

    Example:
        >>> import tempfile
        >>> record = Record(Path(tempfile.mkdtemp()))
        >>> record.add(Trial("4 / T=100 N=3 / literal", 0, {"ST1": 700}, True, 800, 1000, {"wrong": 0.0}, 1.5))
        >>> record.find("4 / T=100 N=3 / literal", 0, 1000).presentations
        800
    """

    def __init__(self, folder: Path, resume: bool = False, limits: Mapping[str, int] | None = None) -> None:
        self.path = folder / FILE
        self._limits = dict(limits or {})
        self._trials: dict[tuple[str, int], dict[int, Trial]] = {}
        _opened(folder).close()
        try:
            content = self.path.read_bytes()
            if content and not resume:
                raise OutputError(
                    f"{self.path} - has {len(content.splitlines())} trials already - go on with --resume, or name "
                    "another folder with --out"
                )
            for trial in _read(self.path, content):
                self._keep(trial)
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise _unusable(folder, error) from error

    def find(self, row: str, seed: int, limit: int) -> Trial | None:
        """Return a trial as it is with this limit, which another one may tell; None if there is none."""
        trials = self._trials.get((row, seed), {})
        return trials.get(limit) or next(filter(None, (_with(trial, limit) for trial in trials.values())), None)

    def of(self, row: str) -> list[Trial]:
        """Return the trials of a row that were run with one limit, by seed: with this run's, or with the largest."""
        by_seed = [trials for (name, _), trials in sorted(self._trials.items()) if name == row]
        limit = self._limits.get(row, max((max(trials) for trials in by_seed), default=0))
        return [trials[limit] for trials in by_seed if limit in trials]

    def add(self, trial: Trial) -> None:
        """Write a trial that is over.

        Raises:
            OutputError: there is no room for it.
        """
        line = json.dumps({**vars(trial), "milestones": dict(trial.milestones), "test": dict(trial.test)})
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"{self.path} - can not be written: {error.strerror} - free space there, and go on with --resume"
            ) from error
        self._keep(trial)

    @property
    def aside(self) -> int:
        """How many trials of this run's rows do not count in it, for they would have ended otherwise."""
        every = (trial for trials in self._trials.values() for trial in trials.values() if trial.row in self._limits)
        return sum(_with(trial, self._limits[trial.row]) is None for trial in every)

    def _keep(self, trial: Trial) -> None:
        self._trials.setdefault((trial.row, trial.seed), {}).setdefault(trial.limit, trial)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other runs from writing trials to a folder meanwhile, where the system has locks.

    Args:
        folder: is made if it does not exist.

    Raises:
        OutputError: another run holds it, or it can not be written.
    """
    with _opened(folder) as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OutputError(
                    f"{folder} - another run writes its trials there - wait for its end, or name another folder with "
                    "--out"
                ) from error
            except OSError:  # a file system without locks
                pass
        yield


def _opened(folder: Path) -> BinaryIO:
    """Open the file of trials to append to it: what can not be written is said before hours of training."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / FILE).open("ab")
    except OSError as error:
        raise _unusable(folder, error) from error


def _unusable(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"{folder} - can not be used: {error.strerror} - name another folder with --out")


def _with(trial: Trial, limit: int) -> Trial | None:
    """A trial as it is with another limit; None if it does not say, as one that was solved behind it, perhaps in time
    for the last block, which goes past the limit."""
    if trial.limit == limit:
        return trial
    if trial.solved and min(trial.limit, trial.presentations) <= limit:
        return replace(trial, limit=limit)
    if trial.solved or trial.limit < limit:
        return None
    milestones = {name: number for name, number in trial.milestones.items() if number <= limit}
    test = {name: value for name, value in trial.test.items() if name.rpartition(" at ")[2] in milestones}
    seconds = trial.seconds * limit / trial.presentations
    return replace(
        trial, milestones=milestones, solved=False, presentations=limit, limit=limit, test=test, seconds=seconds
    )


def _read(path: Path, content: bytes) -> list[Trial]:
    """Read the trials; a last line without its end was cut by a kill, and goes."""
    whole = content[: content.rfind(b"\n") + 1]
    lines, cut = whole.splitlines(), content[len(whole) :]
    if not cut.startswith(_BEGIN[: len(cut)]):
        lines.append(cut)  # nothing that a kill leaves behind
    trials = [_trial(line, f"{path} line {number}") for number, line in enumerate(lines, 1)]
    if cut:
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return trials


def _trial(line: bytes, where: str) -> Trial:
    try:
        fields = json.loads(line.decode("utf-8"))
        fault = _fault(fields)
    except UnicodeDecodeError:
        fault = "it is not UTF-8"
    except (ValueError, RecursionError):
        fault = "it is not JSON"
    if fault:
        raise ModelError(f"{where} - is no trial: {fault} - take the line out, or name another folder with --out")
    return Trial(**fields)


def _fault(fields: object) -> str:
    """What keeps the fields of a line from being a trial."""
    if not isinstance(fields, dict) or fields.keys() != _KINDS.keys():
        got = ", ".join(fields) if isinstance(fields, dict) else json.dumps(fields)
        return f"expected {', '.join(_KINDS)}, got {got[:100] or 'nothing'}"
    for name, kinds in _KINDS.items():
        if type(fields[name]) not in kinds:
            return f"expected {name} as {kinds[0].__name__}, got {json.dumps(fields[name])[:100]}"
    for name, kinds in (("milestones", (int,)), ("test", (float, int))):
        for key, number in fields[name].items():
            if type(number) not in kinds:
                return f"expected {name} {key} as {kinds[0].__name__}, got {json.dumps(number)[:100]}"
    return ""
