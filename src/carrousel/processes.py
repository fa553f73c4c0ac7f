"""Processes that train together: which of them this is."""

import os

__all__ = ["is_first_process"]


def is_first_process() -> bool:
    """Whether this is the process that writes and prints, of those that train together."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))
