"""Draw the next symbol from its scores."""

import math

import torch
from torch import Tensor

from carrousel.errors import OptionError, OptionTypeError

__all__ = ["Sampling"]


class Sampling:
    """Draw symbols: the more at random the higher the temperature, from those that are likely enough.

    Args:
        temperature: scores are divided by it; 1 takes the net's own probabilities, 0 the likeliest symbol.
        top_k: only the k likeliest symbols can come; 0 for all.
        top_p: only the fewest symbols whose probabilities reach this sum can come; 1 for all.
        seed: the same seed draws the same symbols; None takes torch's global randomness.

    Raises:
        OptionError: a number is out of its range.
        OptionTypeError: it is no number.

    Example:
        >>> scores = torch.tensor([0.0, 3.0, 2.0, -1.0])
        >>> Sampling(temperature=0)(scores), {Sampling(top_k=2, seed=k)(scores) for k in range(20)}
        (1, {1, 2})

    Source:
        Top-p: Holtzman et al. (2020), The curious case of neural text degeneration, section 3.1.
    """

    def __init__(self, temperature: float = 0.8, top_k: int = 0, top_p: float = 1.0, seed: int | None = None) -> None:
        _check_number("temperature", temperature, "0 or more")
        _check_number("top_p", top_p, "above 0 and at most 1")
        if not 0 <= temperature < math.inf:
            raise OptionError(f"generate - temperature is {temperature}, expected 0 or more - 0.8 is a good one")
        if not 0 < top_p <= 1:
            raise OptionError(f"generate - top_p is {top_p}, expected above 0 and at most 1 - use 1 for all symbols")
        if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 0:
            raise OptionError(f"generate - top_k is {top_k!r}, expected a whole number from 0 - use 0 for all symbols")
        self.temperature, self.top_k, self.top_p = temperature, top_k, top_p
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __call__(self, scores: Tensor) -> int:
        """Draw one symbol from its scores (symbol,)."""
        if self.temperature == 0 or self.top_k == 1:
            return int(scores.argmax())
        scores = (scores - scores.max()) / self.temperature
        if 0 < self.top_k < len(scores):
            scores = scores.masked_fill(scores < scores.topk(self.top_k).values[-1], -math.inf)
        probabilities = scores.softmax(-1)
        if self.top_p < 1:
            ordered, places = probabilities.sort(descending=True)
            enough = ordered.cumsum(-1) - ordered >= self.top_p
            probabilities = probabilities.index_fill(0, places[enough], 0.0)
        return int(torch.multinomial(probabilities, 1, generator=self._generator))


def _check_number(name: str, value: object, expected: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionTypeError(f"generate - {name} is {value!r}, expected a number, {expected} - give one")
