"""What counting does: the next symbol from the few before it, as a yardstick for the net."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["COUNTED", "NGrams"]

Ids = NDArray[np.int64]

#: Symbols that are counted at most, the last of the text: some seconds.
COUNTED = 10_000_000


class _Order(NamedTuple):
    """The n-grams of one length.

    Attributes:
        keys: (gram,), ascending: number of the context (the n-gram without its last symbol) times symbols, plus symbol.
        counts: (gram,) how often each was seen; below the longest length, after how many different symbols.
        totals: (context,) sum of the counts of a context's n-grams.
        kinds: (context,) how many n-grams a context has.
        discount: what is taken from each count and given to shorter contexts.
    """

    keys: Ids
    counts: Ids
    totals: NDArray
    kinds: NDArray
    discount: float


class NGrams:
    """Interpolated Kneser-Ney probabilities of the next symbol, given the order - 1 before it.

    Args:
        symbols: the training text, (symbol,); of a very long one the last ten million.
        order: length of the longest n-grams; 1 takes the frequencies of the symbols alone.
        vocabulary: how many symbols there are.

    Example:
        >>> text = np.array([0, 1, 2] * 100)
        >>> one, two = NGrams(text, order=1, vocabulary=3), NGrams(text, order=2, vocabulary=3)
        >>> round(one.nats(text, begin=10), 2), round(two.nats(text, begin=10), 2)  # ln 3, and next to nothing
        (1.1, 0.0)

    Source:
        Kneser & Ney (1995), Improved backing-off for m-gram language modeling; interpolated, with the discount
        n1 / (n1 + 2 n2), as in Chen & Goodman (1999), Computer Speech & Language 13(4), section 2.7 and 3.
    """

    def __init__(self, symbols: NDArray, order: int, vocabulary: int) -> None:
        text = np.asarray(symbols[-COUNTED:], np.int64)
        self.order, self.vocabulary = min(order, len(text)), vocabulary
        found: list[tuple[Ids, Ids]] = []  # of each length: keys and counts
        grams = np.zeros(len(text), np.int64)  # the number of each place's gram, of the length before
        contexts = np.zeros(len(text), np.int64)  # the same, at the place of the symbol that follows it
        for length in range(1, self.order + 1):
            keys, first, longer, counts = np.unique(
                contexts * vocabulary + text[length - 1 :], return_index=True, return_inverse=True, return_counts=True
            )
            if found:  # a shorter gram counts once for each symbol that was seen before it
                before, _ = found[-1]
                found[-1] = before, np.bincount(grams[first + 1], minlength=len(before))
            found.append((keys, counts))
            grams, contexts = longer, longer[:-1]
        sizes = [1, *(len(keys) for keys, _ in found)]
        self._orders = [_order(*of, size, vocabulary) for of, size in zip(found, sizes, strict=False)]

    def probabilities(self, symbols: NDArray, begin: int = 0) -> NDArray[np.float64]:
        """Return the probability of each symbol of a text from `begin` on, given those before it.

        Args:
            symbols: (symbol,).
            begin: the first one that is asked for.
        """
        text = np.asarray(symbols[max(0, begin - self.order) :], np.int64)
        result = np.full(len(text), 1 / self.vocabulary)
        contexts = np.zeros(len(text) + 1, np.int64)  # number of the context of each place, -1 for one never seen
        for order in self._orders:
            here = contexts[:-1]
            wanted = np.where(here >= 0, here * self.vocabulary + text, -1)
            at = np.searchsorted(order.keys, wanted).clip(max=len(order.keys) - 1)
            is_seen = order.keys[at] == wanted
            total = np.where(here >= 0, order.totals[here], 0.0)
            count = np.where(is_seen, order.counts[at], 0)
            kept = np.maximum(count - order.discount, 0.0)
            given = order.discount * np.where(here >= 0, order.kinds[here], 0)
            mixed = (kept + given * result) / np.maximum(total, 1e-300)
            result = np.where(total > 0, mixed, result)
            contexts = np.concatenate([[-1], np.where(is_seen, at, -1)])
        return result[len(text) - (len(symbols) - begin) :]

    def nats(self, symbols: NDArray, begin: int) -> float:
        """Return the mean of -log probability over a text's symbols from `begin` on, in nats."""
        return float(-np.log(self.probabilities(symbols, begin)).mean())


def _order(keys: Ids, counts: Ids, size: int, vocabulary: int) -> _Order:
    """The n-grams of one length, from keys and counts; `size` is the number of contexts."""
    contexts, once, twice = keys // vocabulary, int((counts == 1).sum()), int((counts == 2).sum())
    discount = once / (once + 2 * twice) if once else 0.5
    totals = np.bincount(contexts, counts, size)
    # the text's first n-gram, seen nowhere else, has no symbol before it: its count is 0
    kinds = np.bincount(contexts, counts > 0, size)
    return _Order(keys, counts, totals, kinds, min(discount, 0.95))
