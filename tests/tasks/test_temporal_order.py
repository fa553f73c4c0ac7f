"""Temporal order: symbols, positions and classes of section 5.6 of the paper, and the continual form."""

import re

import pytest
import torch

from carrousel.errors import OptionError
from carrousel.tasks.sequences import Sequences
from carrousel.tasks.temporal_order import CLASSES, SYMBOLS, continual, temporal_order
from tasks.sampling import assert_share, assert_uniform, last, seeded, spelled, within

SEQUENCES = 20_000
START, TRIGGER, X, Y = (SYMBOLS.index(symbol) for symbol in "EBXY")

#: First and last position of each symbol that matters, the first symbol of a sequence being number 1.
POSITIONS = {2: [(10, 20), (50, 60)], 3: [(10, 20), (33, 43), (66, 76)]}

#: The classes as the paper lists them.
NAMES = {
    2: {"XX": "Q", "XY": "R", "YX": "S", "YY": "U"},
    3: {"XXX": "Q", "XXY": "R", "XYX": "S", "XYY": "U", "YXX": "V", "YXY": "A", "YYX": "B", "YYY": "C"},
}

both = pytest.mark.parametrize("relevant", [2, 3])

_DRAWN: dict[int, Sequences] = {}


def drawn(relevant: int) -> Sequences:
    if relevant not in _DRAWN:
        _DRAWN[relevant] = temporal_order(SEQUENCES, relevant, generator=seeded(1))
    return _DRAWN[relevant]


@both
def test_start_and_trigger(relevant: int) -> None:
    batch = drawn(relevant)
    assert (batch.x[0] == START).all()
    assert (last(batch.x, batch.lengths) == TRIGGER).all()
    inside = within(batch)
    assert ((batch.x == START) & inside).sum() == SEQUENCES
    assert (batch.x == TRIGGER).sum() == SEQUENCES


@both
def test_lengths_are_uniform(relevant: int) -> None:
    assert_uniform(drawn(relevant).lengths, range(100, 111))


@both
def test_positions_are_uniform_in_their_zones(relevant: int) -> None:
    matters = (drawn(relevant).x == X) | (drawn(relevant).x == Y)
    assert (matters.sum(0) == relevant).all()
    position = matters.T.nonzero()[:, 1].view(SEQUENCES, relevant) + 1
    for column, (least, most) in enumerate(POSITIONS[relevant]):
        assert_uniform(position[:, column], range(least, most + 1))


@both
def test_distractors_are_uniform(relevant: int) -> None:
    batch = drawn(relevant)
    assert_uniform(batch.x[1:9].flatten()[::4], range(4, 8))
    others = within(batch) & (batch.x > Y)
    assert others.sum() == (batch.lengths - 2 - relevant).sum()


@both
def test_class_is_the_order(relevant: int) -> None:
    batch = drawn(relevant)
    assert batch.target.shape == (SEQUENCES, 2**relevant)
    assert (batch.target.sum(1) == 1).all()
    chosen = batch.target.argmax(1)
    assert_uniform(chosen, range(2**relevant))
    for row in range(300):
        order = "".join(symbol for symbol in spelled(batch.x[:, row], SYMBOLS) if symbol in "XY")
        assert CLASSES[relevant][chosen[row]] == NAMES[relevant][order]


@pytest.mark.parametrize(("relevant", "lag"), [(2, 40), (3, 24)])
def test_shortest_lag_is_the_published_one(relevant: int, lag: int) -> None:
    batch = drawn(relevant)
    matters = (batch.x == X) | (batch.x == Y)
    last_position = torch.where(matters, torch.arange(len(batch.x))[:, None], 0).amax(0)
    assert (batch.lengths - 1 - last_position).min() == lag


@both
def test_other_lengths_are_in_proportion(relevant: int) -> None:
    batch = temporal_order(2000, relevant, 20, generator=seeded(0))
    assert_uniform(batch.lengths, range(20, 23))
    matters = (batch.x == X) | (batch.x == Y)
    assert (matters.sum(0) == relevant).all()
    first = matters.int().argmax(0) + 1
    assert_uniform(first, range(2, 5))


# ---------------------------------------------------------------------- continual


@both
def test_streams_are_sequences_end_to_end(relevant: int) -> None:
    streams = continual(5, 20, relevant, generator=seeded(0))
    assert streams.resets is None
    pattern = re.compile("E([a-d]+)" + "([XY])([a-d]+)" * relevant + "B")
    for row, length in enumerate(streams.lengths.tolist()):
        symbols = spelled(streams.x[:length, row], SYMBOLS)
        assert re.fullmatch(f"(?:{pattern.pattern})+", symbols)
        matches = list(pattern.finditer(symbols))
        assert len(matches) == 20
        assert all(100 <= len(match[0]) <= 110 for match in matches)
        at_ends = {match.end() - 1: NAMES[relevant]["".join(match.groups()[1::2])] for match in matches}
        said = streams.target[:length, row]
        assert {step: CLASSES[relevant][said[step]] for step in (said >= 0).nonzero().flatten().tolist()} == at_ends


def test_paper_has_streams_of_a_hundred_sequences_of_eight_classes() -> None:
    streams = continual(1, generator=seeded(0))
    assert (streams.target >= 0).sum() == 100
    assert streams.target.unique().tolist() == [-1, *range(8)]
    assert_share(streams.target[streams.target >= 0] >= 4, 1 / 2)


@pytest.mark.parametrize("task", [temporal_order, continual])
def test_other_numbers_of_symbols(task) -> None:
    message = f"{task.__name__} - relevant is 4, expected 2 or 3 - give 2 for 6a, 3 for 6b"
    with pytest.raises(OptionError, match=re.escape(message)):
        task(2, relevant=4)


def test_continual_streams_may_mark_their_sequences() -> None:
    streams = continual(5, 10, resets=True, generator=seeded(0))
    assert streams.resets is not None
    assert (streams.resets.sum(0) == 10).all()
    assert torch.equal(streams.resets[1:], (streams.target[:-1] >= 0) & streams.resets[1:])
    assert (streams.x[streams.resets] == SYMBOLS.index("E")).all()
    assert continual(5, 10).resets is None
