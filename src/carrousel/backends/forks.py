"""Whether this process is a forked child. Read early: a backend that is loaded in the child could not know."""

import os

__all__ = ["is_forked"]

_forked = False


def _note() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note)


def is_forked() -> bool:
    """Whether this process was forked from one that had read this module."""
    return _forked
