"""A run is a folder of plain files, written whole or not at all; reading one executes nothing."""

import ctypes
import hashlib
import json
import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from carrousel.errors import ModelError, OutputError
from carrousel.processes import is_first_process

if TYPE_CHECKING:  # torch takes seconds; what is no run is told before
    from torch import Tensor

__all__ = ["FORMAT", "Run", "check_free", "damaged", "read", "write"]

#: Raised when what the files hold changes; older versions refuse what is newer.
FORMAT = 1
CONFIG, WEIGHTS, PREPROCESS, METRICS = "config.json", "weights.safetensors", "preprocess.json", "metrics.json"
HISTORY = "history.csv"
#: The entry of config.json that tells whether the files that predictions depend on are those that were written.
SUMS = "sha256"
_NO_SUMS: Mapping[str, Any] = MappingProxyType({})

_PICKLES = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".bin"}
_TEXTS = {".csv", ".html", ".txt"}


@dataclass(frozen=True)
class Run:
    """What a folder holds.

    Attributes:
        config: kind, versions and the estimator's parameters.
        weights: name -> tensor.
        preprocess: what turns data into the network's inputs.
        metrics: what was measured.
        files: other files, name -> text.
    """

    config: Mapping[str, Any]
    weights: "Mapping[str, Tensor]"
    preprocess: Mapping[str, Any]
    metrics: Mapping[str, Any]
    files: Mapping[str, str]


def check_free(folder: Path, overwrite: bool) -> None:
    """Say before hours of training that the folder can not be written.

    Raises:
        OutputError: it exists, or nothing can be written beside it.
    """
    if folder.exists() and not overwrite:
        raise OutputError(
            f"{folder} - is there already - name another folder, or overwrite it, --force (overwrite=True)"
        )
    if overwrite and folder.exists() and not (folder / CONFIG).exists() and (folder.is_file() or any(folder.iterdir())):
        raise OutputError(f"{folder} - is not a run, it has no {CONFIG}; it is not overwritten - name another folder")
    parent = next(above for above in folder.absolute().parents if above.exists())
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise OutputError(f"{parent} - can not be written: {error.strerror} - name another folder") from error


def write(folder: Path, run: Run, overwrite: bool = False) -> None:
    """Write a run; after a crash at any moment there is the old folder or the new one, whole.

    Args:
        folder: where; the folders above it are made.
        run: what.
        overwrite: whether a run that is there may be replaced.

    Raises:
        OutputError: the folder is there already, or can not be written.
    """
    if not is_first_process():
        return
    from safetensors.torch import save

    check_free(folder, overwrite)
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    needed = {
        WEIGHTS: save({name: value.contiguous() for name, value in run.weights.items()}),
        PREPROCESS: _json(run.preprocess),
    }
    try:
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in needed.items()}
        _write_file(beside / CONFIG, _json({**run.config, SUMS: sums}))
        for name, content in needed.items():
            _write_file(beside / name, content)
        _write_file(beside / METRICS, _json(run.metrics))
        for name, text in run.files.items():
            _write_file(beside / name, text.encode())
        beside.chmod(0o777 & ~_umask())
        if folder.exists():
            _exchange(beside, folder)
        else:
            beside.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder} - can not be written: {error.strerror} - make room, or name another") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def read(folder: Path) -> Run:
    """Read a run.

    Args:
        folder: where it lies.

    Raises:
        ModelError: it is no run, damaged, or of a newer version.
    """
    if folder.suffix in _PICKLES or folder.is_file():
        raise ModelError(
            f"{folder} - is a file, expected the folder of a run - pickled models are not read: they could run any code"
        )
    if not (folder / CONFIG).is_file():
        raise ModelError(
            f"{folder} - {'has no ' + CONFIG if folder.is_dir() else 'is not there'} - name a run's folder"
        )
    config = _read_json(folder / CONFIG)
    if not isinstance(config.get("format"), int) or not isinstance(config.get("params"), dict) or "kind" not in config:
        raise ModelError(f"{folder / CONFIG} - was not written by carrousel - name a run's folder")
    if config["format"] > FORMAT:
        raise ModelError(
            f"{folder} - is of format {config['format']}, this version reads up to {FORMAT} - upgrade carrousel"
        )
    known = {CONFIG, WEIGHTS, PREPROCESS, METRICS}
    others = {path.name for path in folder.iterdir() if path.name not in known and path.suffix in _TEXTS}
    files = {name: _text(folder / name) for name in sorted(others | {HISTORY})}
    sums = config.get(SUMS, {})
    weights, preprocess = _read_weights(folder / WEIGHTS, sums), _read_json(folder / PREPROCESS, sums)
    return Run(config, weights, preprocess, _read_json(folder / METRICS), files)


def damaged(folder: Path, error: Exception) -> ModelError:
    """Return the error of a run whose files do not go together.

    Args:
        folder: where it lies.
        error: what came of it.
    """
    what, todo = f"{folder} - is damaged: {type(error).__name__}, {error}", "train again, or take a copy"
    if isinstance(error, KeyError):
        what = f"{folder} - is damaged: {error} is missing in its files"
    if isinstance(error, RuntimeError) and (problems := str(error).splitlines()[1:]):  # torch: a line for each tensor
        first = textwrap.shorten(problems[0], 160, placeholder=" ...")
        what = f"{folder / WEIGHTS} - is not of the net that {CONFIG} describes: {first.rstrip('.')}"
    return ModelError(f"{what} - {todo}")


def _write_file(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=True) + "\n").encode()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _exchange(new: Path, old: Path) -> None:
    """Swap two folders in one step, where the system can; the old one is then deleted by the caller."""
    if sys.platform == "linux":
        libc, here, exchange = ctypes.CDLL(None, use_errno=True), -100, 2
        if hasattr(libc, "renameat2") and libc.renameat2(here, bytes(new), here, bytes(old), exchange) == 0:
            return
    aside = new.with_name(new.name + "-old")
    old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} - can not be read: {error.strerror} - the run is damaged, train it again") from error


def _text(path: Path) -> str:
    content = _content(path)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} - is damaged: {error} - train again, or take a copy") from error


def _check_sum(path: Path, content: bytes, sums: Any) -> None:
    """Refuse a file that is not what was written; a run of a version that kept no sums is taken as it is."""
    found = hashlib.sha256(content).hexdigest()
    if not isinstance(sums, Mapping) or sums.get(path.name, found) != found:
        raise ModelError(f"{path} - is damaged: its SHA-256 is not the one in {CONFIG} - train again, or take a copy")


def _read_json(path: Path, sums: Mapping[str, Any] = _NO_SUMS) -> dict[str, Any]:
    content = _content(path)
    try:
        found = json.loads(content)
    except ValueError as error:
        raise ModelError(f"{path} - is damaged: {error} - train again, or take a copy") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} - holds {type(found).__name__}, expected names and values - train again")
    _check_sum(path, content, sums)
    return found


def _read_weights(path: Path, sums: Mapping[str, Any]) -> "dict[str, Tensor]":
    from safetensors.torch import load

    content = _content(path)
    try:
        found = load(content)
    except (SafetensorError, ValueError) as error:
        expected = _size(content)
        if expected is not None and expected != len(content):
            raise ModelError(
                f"{path} - is cut short (expected {expected:,} bytes, got {len(content):,}) - train again"
            ) from error
        raise ModelError(f"{path} - is damaged: {error} - train again, or take a copy") from error
    _check_sum(path, content, sums)
    return found


def _size(content: bytes) -> int | None:
    """How many bytes a safetensors file has, by its header."""
    header = int.from_bytes(content[:8], "little")
    try:
        entries = json.loads(content[8 : 8 + header])
        ends = (int(entry["data_offsets"][1]) for name, entry in entries.items() if name != "__metadata__")
        return 8 + header + max(ends)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
