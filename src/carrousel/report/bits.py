"""What a net's bits per symbol say, beside those of counting."""

from collections.abc import Mapping
from typing import Any

__all__ = ["rows", "verdict"]

_NAMES = {"unigram_bits": "unigram (frequencies)", "five_gram_bits": "5-gram (Kneser-Ney)", "bits": "this net"}


def rows(metrics: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return the lines of the result table: name and bits per symbol.

    Args:
        metrics: `bits`, `unigram_bits` and `five_gram_bits`.
    """
    return [(name, float(metrics[key])) for key, name in _NAMES.items()]


def verdict(metrics: Mapping[str, Any]) -> str:
    """Say in a sentence whether the net is worth its while.

    Args:
        metrics: `bits` and `five_gram_bits`.

    Example:
        >>> verdict({"bits": 2.0, "five_gram_bits": 2.5})
        'The net needs 20 % fewer bits than counting 5-grams.'
        >>> verdict({"bits": 2.5, "five_gram_bits": 2.0})
        'The net is NOT better than counting 5-grams (2.500 bits, 2.000 bits): train longer, or on more text.'
    """
    net, counted = float(metrics["bits"]), float(metrics["five_gram_bits"])
    if net < counted:
        return f"The net needs {100 * (1 - net / counted):.0f} % fewer bits than counting 5-grams."
    return (
        f"The net is NOT better than counting 5-grams ({net:.3f} bits, {counted:.3f} bits): "
        "train longer, or on more text."
    )
