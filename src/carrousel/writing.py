"""Files that are written whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from carrousel.errors import OutputError

__all__ = ["write_whole"]


def write_whole(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together; each is on the disk under another name before the first takes its place.

    Args:
        contents: path -> bytes. A file that is there already is replaced; a device or a pipe is written to.

    Raises:
        OutputError: a file can not be written; none of them is then changed.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_whole({folder / "a.txt": b"one", folder / "b.txt": b"two"})
        >>> sorted(path.name for path in folder.iterdir())
        ['a.txt', 'b.txt']
    """
    beside: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            if path.is_dir():
                raise IsADirectoryError(0, "it is a folder")
            if path.exists() and not path.is_file():
                path.write_bytes(content)
                continue
            place = path.resolve()  # what a link leads to
            handle, name = tempfile.mkstemp(prefix=f".{place.name}-", dir=place.parent)
            beside[place] = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside[place].chmod(0o644)
        for place, written in beside.items():
            written.replace(place)
    except OSError as error:
        raise OutputError(f"{path} - can not be written: {error.strerror} - name another place") from error
    finally:
        for written in beside.values():
            with contextlib.suppress(FileNotFoundError):
                written.unlink()
