"""What does not fit into memory is said in words."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from carrousel.errors import OptionError

__all__ = ["enough_memory"]

#: What torch's allocator says in its RuntimeError, and what it says of a size that no machine has.
_SAID = ("allocate memory", "Storage size calculation overflowed", "invalid size")


@contextmanager
def enough_memory() -> Iterator[None]:
    """Say what to do where memory ends, which NumPy and torch say in a dozen lines of their own.

    Raises:
        OptionError: it ended.

    Example:
        >>> with enough_memory():
        ...     torch.zeros(2).tolist()
        [0.0, 0.0]
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        said = str(error).splitlines()[0].rpartition("Allocator: ")[2] if str(error) else "nothing is left"
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not any(text in said for text in _SAID):
            raise
        raise OptionError(
            f"fit - it does not fit into memory ({said}) - take fewer hidden units or layers, a smaller batch or a "
            "shorter context"
        ) from error
