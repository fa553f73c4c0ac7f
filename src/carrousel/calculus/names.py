"""Names: which ones a definition can not give, and fresh ones for what it leaves unnamed."""

import keyword
from collections.abc import Collection, Container

from carrousel.functions import TABLE

__all__ = ["clash", "fresh"]

#: What the text of a kernel calls its own.
_KERNEL = {"outer", "inf", "nan"}


def clash(name: str, others: Collection[str]) -> str | None:
    """Say why a definition can not use a name; None if it can.

    Args:
        name: of an argument, a state or a quantity.
        others: the definition's other names.

    Returns:
        What is wrong with the name.
    """
    if name in TABLE:
        return f"{name} is a function of carrousel.functions"
    if name in _KERNEL:
        return f"{name} is a name that the generated kernels use themselves"
    if name.startswith("_"):
        return f"{name} begins with an underscore; such names belong to the generated kernels"
    if keyword.iskeyword(f"d{name}"):
        return f"the derivative of the loss by {name} would be called d{name}, which is a word of Python"
    if name.startswith("d") and name[1:] in others:
        return f"{name} is the name of an adjoint: the derivative of the loss by {name[1:]}"
    if f"d{name}" in others:
        return f"the derivative of the loss by {name} would be called d{name}, and that name is taken"
    return None


def fresh(name: str, taken: Container[str]) -> str:
    """Return the name, with a number behind it if the name or that of its adjoint is taken."""
    free, count = name, 1
    while free in taken or f"d{free}" in taken:
        count += 1
        free = f"{name}{count}"
    return free
