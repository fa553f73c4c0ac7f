"""Processes: which this is of those that train together, and with what a signal ends it."""

import os

__all__ = ["INTERRUPTED", "TERMINATED", "is_first_process"]

#: The exit codes of a process that Ctrl-C or SIGTERM ends, as shells have them.
INTERRUPTED, TERMINATED = 130, 143


def is_first_process() -> bool:
    """Whether this is the process that writes and prints, of those that train together."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))
