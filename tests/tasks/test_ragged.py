"""Lengths are drawn uniformly; streams hold their sequences one after the other, unchanged."""

import pytest
import torch

from carrousel.errors import InputShapeError
from carrousel.tasks.adding import adding
from carrousel.tasks.ragged import beyond, draw_lengths, end_to_end
from carrousel.tasks.reber import reber
from carrousel.tasks.timing import measure_spike_delays
from tasks.sampling import assert_uniform, seeded

ORDER = torch.tensor([[0, 2, 2], [4, 4, 2], [1, 3, 2]])


@pytest.mark.parametrize(("minimal", "values"), [(100, range(100, 111)), (25, range(25, 28)), (9, range(9, 10))])
def test_lengths_are_uniform(minimal: int, values: range) -> None:
    assert_uniform(draw_lengths(20_000, minimal, seeded(0)), values)


def test_beyond_begins_at_the_length() -> None:
    assert beyond(torch.tensor([0, 2, 3]), 3).int().tolist() == [[1, 0, 0], [1, 0, 0], [1, 1, 0]]


@pytest.mark.parametrize("task", [reber, measure_spike_delays])
def test_streams_hold_their_sequences(task) -> None:
    parts = task(5, generator=seeded(0))
    streams = end_to_end(parts, ORDER, resets=True)
    assert torch.equal(streams.lengths, parts.lengths[ORDER].sum(0))
    assert len(streams.x) == streams.lengths.max()
    for column, numbers in enumerate(ORDER.T.tolist()):
        step = 0
        for number in numbers:
            length = int(parts.lengths[number])
            for part, whole in zip(parts[:4:2], streams[:4:2], strict=True):
                assert torch.equal(whole[step : step + length, column], part[:length, number])
            assert streams.resets[step : step + length, column].tolist() == [True] + [False] * (length - 1)
            step += length


def test_allowed_symbols_go_along() -> None:
    parts = reber(5, generator=seeded(0))
    streams = end_to_end(parts, ORDER, resets=False)
    begin = int(parts.lengths[0])
    end = begin + int(parts.lengths[4])
    assert torch.equal(streams.allowed[begin:end, 0], parts.allowed[: end - begin, 4])


def test_continual_streams_have_no_resets() -> None:
    assert end_to_end(reber(5), ORDER, resets=False).resets is None


def test_cut_streams_are_the_beginnings_of_whole_ones() -> None:
    parts = reber(5, generator=seeded(0))
    whole, cut = (end_to_end(parts, ORDER, resets=True, steps=steps) for steps in (None, 20))
    assert cut.lengths.tolist() == [20, 20, 20]
    for a, b in zip(whole, cut, strict=True):
        assert a is whole.lengths or torch.equal(a[:20], b)


def test_streams_shorter_than_the_cut_stay_whole() -> None:
    parts = reber(5, generator=seeded(0))
    assert torch.equal(end_to_end(parts, ORDER, resets=True, steps=10**6).lengths, parts.lengths[ORDER].sum(0))


def test_targets_at_the_end_only_can_not_be_joined() -> None:
    message = r"end_to_end - targets have shape \(4, 1\), expected \(\d+, 4, ...\), one at every step - join"
    with pytest.raises(InputShapeError, match=message):
        end_to_end(adding(4), torch.tensor([[0, 1]]), resets=False)
