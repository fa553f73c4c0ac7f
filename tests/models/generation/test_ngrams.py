"""Probabilities of counting: they sum to one, and are those of the formula."""

import math
from collections import Counter

import numpy as np
import pytest

from carrousel.models.generation.ngrams import NGrams


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("context", [[], [0], [3, 3, 3, 3, 3], [4, 4, 4], [0, 1, 2, 3, 0], "first"])
def test_probabilities_sum_to_one(order: int, context: object) -> None:
    text = np.random.default_rng(0).integers(0, 4, 60)
    given = list(text[:4]) if context == "first" else context
    grams = NGrams(text, order, vocabulary=5)
    total = sum(grams.probabilities(np.array([*given, symbol]), len(given))[0] for symbol in range(5))
    assert total == pytest.approx(1.0, abs=1e-12)


def test_bigrams_are_those_of_the_formula() -> None:
    """Written out for one length: counts of pairs, and in how many pairs a symbol is the second."""
    text = np.array([0, 1, 0, 2, 0, 1, 1, 2, 0, 1, 0, 3])
    pairs = Counter(zip(text[:-1].tolist(), text[1:].tolist(), strict=True))
    seconds = Counter(second for _, second in pairs)

    def discount(counts: Counter) -> float:
        once, twice = (sum(count == n for count in counts.values()) for n in (1, 2))
        return once / (once + 2 * twice)

    def one(symbol: int) -> float:
        d = min(0.95, discount(seconds))
        total = sum(seconds.values())
        return max(seconds[symbol] - d, 0) / total + d * len(seconds) / total / 5

    def two(first: int, symbol: int) -> float:
        d = min(0.95, discount(pairs))
        of_first = {second: count for (f, second), count in pairs.items() if f == first}
        total = sum(of_first.values())
        return max(of_first.get(symbol, 0) - d, 0) / total + d * len(of_first) / total * one(symbol)

    grams = NGrams(text, order=2, vocabulary=5)
    for first in (0, 1, 2):
        for symbol in range(5):
            assert grams.probabilities(np.array([first, symbol]), 1)[0] == pytest.approx(two(first, symbol), rel=1e-12)


def test_unigram_is_the_entropy_of_the_frequencies() -> None:
    text = np.random.default_rng(0).choice(3, 30_000, p=[0.5, 0.25, 0.25])
    assert NGrams(text, 1, 3).nats(text, 1) / math.log(2) == pytest.approx(1.5, abs=0.01)


def test_more_context_knows_more_and_nothing_is_learned_from_what_is_judged() -> None:
    rng = np.random.default_rng(0)
    text = np.cumsum(rng.choice([1, 2], 3000)) % 7
    one, two, five = (NGrams(text[:2000], order, 7).nats(text, 2000) for order in (1, 2, 5))
    assert one > math.log(7) - 0.05
    assert abs(two - math.log(2)) < 0.03
    assert two < five < two + 0.1
    fresh = np.concatenate([text[:2000], rng.integers(0, 7, 1000)])
    assert NGrams(text[:2000], 5, 7).nats(fresh, 2000) > 2


def test_symbols_and_contexts_that_were_never_seen() -> None:
    text = np.array([0, 1] * 50)
    found = NGrams(text, 5, vocabulary=1000).probabilities(np.array([999, 999, 0]), 0)
    assert (found > 0).all()
    assert found[1] < 1e-2


def test_texts_shorter_than_the_order() -> None:
    assert NGrams(np.array([0, 1]), 5, 2).order == 2


def test_only_the_end_of_a_very_long_text_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carrousel.models.generation.ngrams.COUNTED", 100)
    text = np.concatenate([np.zeros(500, int), np.ones(100, int)])
    assert NGrams(text, 1, 2).probabilities(np.array([1]))[0] > 0.99
