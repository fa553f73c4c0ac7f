"""The threads that kernels run on: the OpenMP team that torch itself uses.

After every torch call its workers spin for a while; a pool of our own would fight them for the cores. The C entry
`GOMP_parallel` of the OpenMP library that torch has loaded takes a generated function directly. Where there is none,
a pool of Python threads does the same. After a fork OpenMP hangs, so a forked child runs on one thread.
"""

import ctypes
import functools
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from carrousel.backends.forks import is_forked

__all__ = ["Team", "available", "team"]


def available() -> int:
    """Return how many threads a kernel may use: torch's, one after a fork."""
    return 1 if is_forked() else torch.get_num_threads()


class Team:
    """What runs a function on several threads.

    Attributes:
        name: what it is, in words.
        can_wait: whether its threads can wait for each other quickly, at every step of a sequence.
        words: addresses of the functions that tell a thread its number, the size of the team, and that wait.
    """

    name: str
    can_wait: bool
    words: tuple[int, int, int]

    def run(self, entry: int, team_entry: int, arguments: int, threads: int) -> None:
        """Call a kernel on some threads; `arguments` is the address of its block of arguments."""
        raise NotImplementedError


class OpenMP(Team):
    """The team of the OpenMP library that torch has loaded."""

    can_wait = True

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library, self.name = library, f"the team of {library._name}"
        self.words = _addresses(library, ("omp_get_thread_num", "omp_get_num_threads", "GOMP_barrier"))
        self._parallel = library.GOMP_parallel
        self._parallel.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        self._parallel.restype = None

    def run(self, entry: int, team_entry: int, arguments: int, threads: int) -> None:
        """Call `team_entry(arguments)` on every thread of a team."""
        self._parallel(team_entry, arguments, threads, 0)


class Pool(Team):
    """Python threads, where there is no OpenMP library to call."""

    name = "Python threads, there is no OpenMP library"
    can_wait = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._barrier: threading.Barrier | None = None
        self._wait = ctypes.CFUNCTYPE(None)(self._wait_for_all)
        self.words = (0, 0, ctypes.cast(self._wait, ctypes.c_void_p).value or 0)

    def _wait_for_all(self) -> None:
        assert self._barrier is not None
        self._barrier.wait()

    def run(self, entry: int, team_entry: int, arguments: int, threads: int) -> None:
        """Call `entry(arguments, thread, threads)` for every thread."""
        call = ENTRY(entry)
        with self._lock, ThreadPoolExecutor(threads) as pool:
            self._barrier = threading.Barrier(threads)
            list(pool.map(lambda k: call(arguments, k, threads), range(threads)))


#: The type of `sequence(arguments, thread, threads)`.
ENTRY: Callable[[int], Any] = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


def _addresses(library: ctypes.CDLL, names: Sequence[str]) -> tuple[int, int, int]:
    a, b, c = (ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in names)
    return a, b, c


@functools.cache
def team() -> Team:
    """Return the team of this process."""
    for path in _loaded_libraries():
        try:
            return OpenMP(ctypes.CDLL(path))
        except (OSError, AttributeError):  # not a library, or one without GNU's entry
            continue
    return Pool()


def _loaded_libraries() -> list[str]:
    """The OpenMP libraries that this process has loaded already; torch's is one of them."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        beside = sorted((Path(torch.__file__).parent / "lib").glob("*omp*"))
        return [str(path) for path in beside]
    paths = dict.fromkeys(line.split(maxsplit=5)[-1] for line in lines)
    found = [path for path in paths if re.match(r"lib(gomp|iomp5|omp)\b.*\.so", path.rpartition("/")[2])]
    return sorted(found, key=lambda path: "/torch/" not in path)
