"""Checks of the settings of learning systems, and of the sequences that they are shown."""

from collections.abc import Sequence

import torch

from carrousel.errors import InputShapeError, InputTypeError, OptionError, OptionTypeError
from carrousel.tasks.sequences import Sequences

__all__ = ["at_least", "fitting", "seeded"]


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


def fitting(sequences: Sequences, nets: int, inputs: int, outputs: int) -> None:
    """Raise InputShapeError or InputTypeError unless sequences fit nets of so many inputs and outputs."""
    x, lengths, target = sequences.x, sequences.lengths, sequences.target
    axes = "(time, net, batch, input)" if x.is_floating_point() else "(time, net, batch)"
    wanted = (nets, inputs) if x.is_floating_point() else (nets,)
    if x.dim() != 2 + len(wanted) or (x.shape[1], *x.shape[3:]) != wanted:
        raise InputShapeError(
            f"sequences - x has shape {tuple(x.shape)}, expected {axes} with {nets} nets and {inputs} inputs - "
            "give every network sequences of its own"
        )
    rows = x.shape[1:3]
    if lengths.shape != rows:
        raise InputShapeError(
            f"sequences - lengths has shape {tuple(lengths.shape)}, expected (net, batch) = {tuple(rows)} - "
            "give each sequence one length"
        )
    if target.is_floating_point():
        fits = target.shape in ((*rows, outputs), (*x.shape[:3], outputs))
    else:
        fits = target.shape == x.shape[:3]
    if not fits:
        raise InputShapeError(
            f"sequences - target has shape {tuple(target.shape)}, expected (net, batch, output) at the last steps, or "
            f"(time, net, batch, output) or numbers (time, net, batch) at every step, with {outputs} outputs - "
            "give targets for the same sequences as x"
        )
    if sequences.resets is not None and sequences.resets.shape != x.shape[:3]:
        raise InputShapeError(
            f"sequences - resets has shape {tuple(sequences.resets.shape)}, expected (time, net, batch) = "
            f"{tuple(x.shape[:3])} - say for each step whether the states begin anew"
        )
    for name, numbers, least, count in (("x", x, 0, inputs), ("target", target, -1, outputs)):
        if numbers.numel() and not numbers.is_floating_point():
            low, high = torch.stack(torch.aminmax(numbers)).tolist()
            if low < least or high >= count:
                raise InputTypeError(
                    f"sequences - {name} has symbols {low} to {high}, expected {least} to {count - 1} - "
                    f"number the symbols from 0, or give the system more {'inputs' if name == 'x' else 'outputs'}"
                )
