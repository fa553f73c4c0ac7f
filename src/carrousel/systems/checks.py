"""Checks of the settings of learning systems."""

from collections.abc import Sequence

from carrousel.errors import OptionError, OptionTypeError

__all__ = ["seeded", "at_least"]


def seeded(seeds: Sequence[int]) -> int:
    """Check that there are seeds, and count them.

    Args:
        seeds: one for each network.

    Raises:
        OptionError: there are none.
    """
    if not len(seeds):
        raise OptionError("start - got no seeds, expected one for each network - give at least one")
    return len(seeds)


def at_least(where: str, option: str, value: float, least: float) -> None:
    """Check a setting.

    Args:
        where: the class whose setting it is.
        option: its name.
        value: what was given.
        least: the smallest value that can be; an int asks for a whole number.

    Raises:
        OptionTypeError: the value is no number, or not the whole number that is asked for.
        OptionError: the value is too small.
    """
    kinds = int if isinstance(least, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        kind = "a whole number" if kinds is int else "a number"
        raise OptionTypeError(f"{where} - {option} is {value!r}, expected {kind} - give one of at least {least}")
    if not value >= least:
        raise OptionError(f"{where} - {option} is {value}, expected at least {least} - give a larger one")
