"""Sequences of pairs have the statistics of section 5.4 of the paper, in every reading of a marked first pair."""

import re

import pytest
import torch
from torch import Tensor

from carrousel.errors import UnknownNameError
from carrousel.tasks import marked_pairs
from carrousel.tasks.adding import adding
from carrousel.tasks.marked_pairs import FIRST_PAIR, MarkedPairs
from carrousel.tasks.multiplication import multiplication
from tasks.sampling import assert_mean, assert_share, assert_uniform, last, seeded, within

T = 100
SEQUENCES = 20_000
NEUTRAL = 0.25  # a value that no draw has, so that it can be told from them
READINGS = ("hidden", "hidden_first", "marked", "discounted", "counted")

every_reading = pytest.mark.parametrize("reading", READINGS)

_DRAWN: dict[str, MarkedPairs] = {}


def drawn(reading: str) -> MarkedPairs:
    """Numbers from -1 to 1; all readings but "hidden_first" have the same marks and values before the first pair's."""
    if reading not in _DRAWN:
        _DRAWN[reading] = marked_pairs.draw("pairs", SEQUENCES, T, reading, -1.0, NEUTRAL, seeded(1))
    return _DRAWN[reading]


def marked(pairs: MarkedPairs) -> Tensor:
    return pairs.x[..., 1] == 1


def on_first_pair(pairs: MarkedPairs) -> Tensor:
    """Whether a mark fell on the first pair, seen or not."""
    return marked(pairs)[0] | (marked(pairs).sum(0) == 1)


def test_readings_are_listed() -> None:
    assert FIRST_PAIR == READINGS


@every_reading
def test_lengths_are_uniform(reading: str) -> None:
    assert_uniform(drawn(reading).lengths, range(T, T + T // 10 + 1))


@every_reading
def test_values_are_uniform(reading: str) -> None:
    value = drawn(reading).x[7, :, 0]
    assert value.min() >= -1
    assert value.max() < 1
    for below in (-0.5, 0.0, 0.5):
        assert_share(value < below, (below + 1) / 2)
    assert_mean(drawn(reading).x[1:T, ::100, 0] ** 2, 1 / 3)


@every_reading
def test_markers(reading: str) -> None:
    pairs = drawn(reading)
    marker, first_is_marked = pairs.x[..., 1], marked(pairs)[0]
    assert torch.equal(marker[0] == -1, ~first_is_marked)
    assert (last(marker, pairs.lengths) == -1).all()
    marks, ends = marked(pairs).sum(0), (marker == -1).sum(0)
    assert torch.equal(ends, 2 - first_is_marked.long())
    assert ((marker == 0).sum(0) + marks + ends == len(marker)).all()
    assert (marks == 2).all() or reading.startswith("hidden")
    assert ((marks == 2) | (marks == 1)).all()


@every_reading
def test_first_mark_is_among_the_first_ten_and_the_second_among_the_unmarked_half(reading: str) -> None:
    marks = marked(drawn(reading))
    assert not marks[T // 2 :].any()
    second = {first: 1 / (T // 2 - 1) for first in range(10)}  # the second mark's chance at a place, given the first
    if reading == "hidden_first":
        second |= {first: 1 / (T // 2 - 2) for first in range(1, 10)}
    for step in range(1, T // 2):
        share = sum(1 if first == step else second[first] for first in range(10)) / 10
        assert_share(marks[step], share)


@every_reading
def test_first_pair_is_marked_as_often_as_drawn(reading: str) -> None:
    share = 1 / 10 + (0 if reading == "hidden_first" else 9 / 10 / (T // 2 - 1))
    assert_share(on_first_pair(drawn(reading)), share)


@pytest.mark.parametrize(
    ("reading", "seen", "value_stays", "counts"),
    [
        ("hidden", False, False, False),
        ("hidden_first", False, False, False),
        ("marked", True, False, False),
        ("discounted", True, True, False),
        ("counted", True, True, True),
    ],
)
def test_what_becomes_of_a_marked_first_pair(reading: str, seen: bool, value_stays: bool, counts: bool) -> None:
    pairs = drawn(reading)
    concerned = on_first_pair(pairs)
    assert (marked(pairs)[0][concerned] == seen).all()
    value = pairs.x[0, :, 0]
    assert torch.equal(value == NEUTRAL, torch.zeros_like(concerned) if value_stays else concerned)
    number = torch.where(pairs.first == NEUTRAL, pairs.first, pairs.second)[concerned, 0]
    if counts:
        assert not (pairs.first == NEUTRAL).any()
        assert not (pairs.second == NEUTRAL).any()
    else:
        assert (number == NEUTRAL).all()


@every_reading
def test_numbers_are_those_that_are_marked(reading: str) -> None:
    """The sum of X1 and X2 is that of the visible marks, but for what a first pair counts as."""
    pairs = drawn(reading)
    value = pairs.x[..., 0].clone()
    concerned = on_first_pair(pairs)
    if reading != "counted":
        value[0][concerned] = NEUTRAL
    counted = marked(pairs)
    counted[0] |= concerned
    torch.testing.assert_close((pairs.first + pairs.second)[:, 0], (value * counted).sum(0))


@every_reading
def test_first_number_is_that_of_the_first_ten_pairs(reading: str) -> None:
    """Where the second mark is beyond the first ten pairs, the order is plain to see."""
    pairs = drawn(reading)
    late = marked(pairs)[10:].any(0)
    second = (pairs.x[10:, :, 0] * marked(pairs)[10:]).sum(0)
    torch.testing.assert_close(pairs.second[late, 0], second[late])


def test_second_mark_is_never_the_first_pair_where_only_the_first_may_be() -> None:
    assert not (drawn("hidden_first").second == NEUTRAL).any()
    assert (drawn("hidden").second == NEUTRAL).any()


@every_reading
def test_lag_is_at_least_half_the_minimal_length(reading: str) -> None:
    pairs = drawn(reading)
    last_mark = torch.where(marked(pairs), torch.arange(len(pairs.x))[:, None], 0).amax(0)
    assert (pairs.lengths - 1 - last_mark).min() == T // 2


def test_steps_after_the_length_are_zero() -> None:
    pairs = drawn("hidden")
    assert (pairs.x[~within(pairs)] == 0).all()


@pytest.mark.parametrize("task", [adding, multiplication])
def test_unknown_reading(task) -> None:
    message = (
        f"{task.__name__} - unknown first_pair 'mark'; the readings are hidden, hidden_first, marked, discounted, "
        "counted. Did you mean marked?"
    )
    with pytest.raises(UnknownNameError, match=re.escape(message)):
        task(2, first_pair="mark")
