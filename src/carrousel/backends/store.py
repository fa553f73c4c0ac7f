"""Generated kernels on disk, texts and machine code: the text that is shown is the text that runs.

The folder is `$CARROUSEL_CACHE`, else `carrousel` in the user's cache folder. A file begins with a hash of its key and
its content. One that is damaged, foreign or of another version is never trusted: the kernel is generated again. A
folder that can not be written costs time, no more.
"""

import contextlib
import gc
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["folder", "entries", "clear", "fetch", "fetch_text", "issue", "was_issued"]

#: The oldest entries are dropped above this many bytes.
LIMIT = 256 * 2**20

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
    named = os.environ.get("XDG_CACHE_HOME", "")
    caches = Path(named) if os.path.isabs(named) else Path.home() / ".cache"  # the standard ignores relative paths
    return caches / "carrousel"


def entries() -> list[Path]:
    """Return the files of the cache, oldest first."""
    aged = []
    with contextlib.suppress(OSError, RuntimeError):
        for path in folder().glob("*.kernel"):
            with contextlib.suppress(OSError):  # another process may have deleted it
                aged.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(aged)]


def clear() -> int:
    """Delete every entry.

    Returns:
        How many were deleted.
    """
    count = 0
    for path in entries():
        with contextlib.suppress(OSError):  # another process may have deleted it
            path.unlink()
            count += 1
    return count


def fetch(key: str, make: Callable[[], bytes]) -> bytes:
    """Return what is stored under a key, or make, store and return it.

    Args:
        key: everything that the content depends on; for machine code also the CPU and the compiler.
        make: generates the content.

    Returns:
        The content.
    """
    stored = None
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: this user has no home
        stored = _load(folder(), key)
    if stored is None:
        with _no_collection():
            stored = make()
        with contextlib.suppress(OSError, RuntimeError):
            _save(folder(), key, stored)
    return stored


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Leave the garbage: expressions and texts are 100,000 objects that all stay, a fifth of the time goes to them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def fetch_text(key: str, make: Callable[[], str]) -> str:
    """Return the text stored under a key, or make, store and return it.

    Args:
        key: everything that the text depends on.
        make: generates the text.

    Returns:
        The text, issued (`was_issued` knows it).
    """
    return issue(fetch(key, lambda: make().encode()).decode())


def issue(text: str) -> str:
    """Note that a backend wrote this text, and return it."""
    _issued.add(_digest(text.encode()))
    return text


def was_issued(text: str) -> bool:
    """Whether a backend of this process wrote or fetched this text."""
    return _digest(text.encode()) in _issued


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _path(directory: Path, key: str) -> Path:
    return directory / f"{_digest(key.encode())}.kernel"


def _seal(key: str, content: bytes) -> bytes:
    """What a file of this key and content begins with: a file that was renamed or changed has another one."""
    return _digest(f"{_digest(key.encode())}\n".encode() + content).encode()


def _load(directory: Path, key: str) -> bytes | None:
    with _path(directory, key).open("rb") as file:
        if not _is_mine(os.fstat(file.fileno())):
            return None
        seal, _, content = file.read().partition(b"\n")
    return content if seal == _seal(key, content) else None


def _is_mine(file: os.stat_result) -> bool:
    """Whether nobody but this user can have written a file: kernels run, those of others are not trusted."""
    return not hasattr(os, "getuid") or (file.st_uid == os.getuid() and not file.st_mode & 0o022)


def _save(directory: Path, key: str, content: bytes) -> None:
    """Write atomically: two processes at once leave one whole file."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=directory, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines((_seal(key, content), b"\n", content))
        os.replace(temporary, _path(directory, key))
    except OSError:
        os.unlink(temporary)
        raise
    _trim()


def _trim() -> None:
    """Drop the oldest entries above the limit."""
    sizes = {path: path.stat().st_size for path in entries()}
    excess = sum(sizes.values()) - LIMIT
    for path, size in sizes.items():
        if excess <= 0:
            break
        path.unlink(missing_ok=True)
        excess -= size
