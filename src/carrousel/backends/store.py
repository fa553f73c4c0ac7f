"""Generated kernels on disk, by content hash: the text that is shown is the text that runs.

The folder is `$CARROUSEL_CACHE`, else `carrousel` in the user's cache folder. A file that is damaged, foreign or of
another version is never trusted: the text is generated again. A folder that can not be written costs time, no more.
"""

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["folder", "entries", "clear", "fetch", "issue", "was_issued"]

#: The oldest entries are dropped above this many bytes.
LIMIT = 64 * 2**20

_issued: set[str] = set()


def folder() -> Path:
    """Return the folder of the cache; it may not exist yet."""
    named = os.environ.get("CARROUSEL_CACHE")
    if named:
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "carrousel"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "carrousel" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "carrousel"


def entries() -> list[Path]:
    """Return the files of the cache, oldest first."""
    with contextlib.suppress(OSError):
        return sorted(folder().glob("*.kernel"), key=lambda path: path.stat().st_mtime)
    return []


def clear() -> int:
    """Delete every entry.

    Returns:
        How many were deleted.
    """
    found = entries()
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def fetch(key: str, make: Callable[[], str]) -> str:
    """Return the text stored under a key, or make, store and return it.

    Args:
        key: everything that the text depends on.
        make: generates the text.

    Returns:
        The text, issued (`was_issued` knows it).
    """
    path = folder() / f"{_digest(key)}.kernel"
    stored = _load(path)
    if stored is None:
        stored = make()
        _save(path, stored)
    return issue(stored)


def issue(text: str) -> str:
    """Note that a backend wrote this text, and return it."""
    _issued.add(_digest(text))
    return text


def was_issued(text: str) -> bool:
    """Whether a backend of this process wrote or fetched this text."""
    return _digest(text) in _issued


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _load(path: Path) -> str | None:
    try:
        seal, _, text = path.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return text if seal == _digest(text) else None


def _save(path: Path, text: str) -> None:
    """Write atomically: two processes at once leave one whole file."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(f"{_digest(text)}\n{text}")
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
        _trim()


def _trim() -> None:
    found = entries()
    size = sum(path.stat().st_size for path in found)
    while size > LIMIT:
        size -= found[0].stat().st_size
        found.pop(0).unlink(missing_ok=True)
