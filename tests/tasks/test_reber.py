"""Strings of the embedded Reber grammar: an automaton of their own accepts them, their statistics are the grammar's."""

import re
from collections import Counter
from functools import cache

import pytest
import torch

from carrousel.tasks.reber import SYMBOLS, continual, reber, stream, training_and_test_sets
from carrousel.tasks.sequences import Sequences
from tasks.sampling import DEVIATIONS, assert_mean, assert_share, assert_uniform, seeded, spelled, within

STRINGS = 20_000

#: Reber's grammar as one expression. After B: T S* X, or P T* V, each then wanders between the two middle states.
#: From the state after X: S leaves, X T* V leads to the state after V. From there: V leaves, P X T* V comes back.
_FROM_V = "(?:PXT*V)*(?:V|PS)"
REBER = f"B(?:TS*X(?:S|XT*V{_FROM_V})|PT*V{_FROM_V})E"
EMBEDDED = re.compile(f"BT{REBER}TE|BP{REBER}PE")


def whole_strings(batch: Sequences) -> list[str]:
    """Each string with its last symbol, which is the last target."""
    return [
        spelled(batch.x[:length, row], SYMBOLS) + spelled(batch.target[length - 1 : length, row], SYMBOLS)
        for row, length in enumerate(batch.lengths.tolist())
    ]


@cache
def legal_after(prefix: str) -> str:
    """The symbols that may follow, by trial: those with which the prefix can be completed to a whole string."""
    return "".join(symbol for symbol in SYMBOLS if completes(prefix + symbol))


@cache
def completes(prefix: str) -> bool:
    """Whether some string begins so: the shortest ways out of any state have at most seven symbols."""
    ways_out = ("", "E", "{0}E", "E{0}E", "SE{0}E", "VE{0}E", "XSE{0}E", "VVE{0}E", "TXSE{0}E", "BTXSE{0}E")
    ends = {way.format(second) for way in ways_out for second in "TP"} | {"TBTXSETE", "BTBTXSETE"}
    return any(EMBEDDED.fullmatch(prefix + end) for end in ends)


@pytest.fixture(scope="module")
def drawn() -> Sequences:
    return reber(STRINGS, generator=seeded(1))


def test_every_string_is_accepted(drawn: Sequences) -> None:
    strings = set(whole_strings(drawn))
    assert len(strings) > 1000
    assert [string for string in strings if not EMBEDDED.fullmatch(string)] == []


@pytest.mark.parametrize(
    "string",
    ["BTBTXSEPE", "BTBTXSET", "BTBTXPETE", "BPBPVSEPE", "BTBSXSETE", "BTBTXXSETE", "TBTBTXSETE"],
)
def test_other_strings_are_not(string: str) -> None:
    assert not EMBEDDED.fullmatch(string)


def test_target_is_the_next_symbol(drawn: Sequences) -> None:
    inside = within(drawn)[1:]
    assert torch.equal(drawn.target[:-1][inside], drawn.x[1:][inside])
    assert (drawn.target[drawn.lengths - 1, torch.arange(STRINGS)] == SYMBOLS.index("E")).all()


def test_shortest_strings_are_a_quarter(drawn: Sequences) -> None:
    length = drawn.lengths + 1
    assert length.min() == 9
    assert_share(length == 9, 1 / 4)


def test_mean_length_is_twelve(drawn: Sequences) -> None:
    assert_mean(drawn.lengths + 1, 12)


def test_lengths_have_the_distribution_of_the_automaton(drawn: Sequences) -> None:
    """A walk of its own over the customary figure: nodes after B, TS, PT, X, V, and the two exits."""
    arcs = {"B": ("S", "T"), "S": ("S", "X"), "T": ("T", "V"), "X": ("T", "out"), "V": ("X", "out")}
    at, expected = Counter({"B": 1.0}), {}
    for length in range(6, 40):  # two symbols before Reber's string, its B, what the nodes read, its E, two after it
        following = Counter()
        for node, share in at.items():
            for to in arcs[node]:
                following[to] += share / 2
        expected[length + 1] = following.pop("out", 0.0)
        at = following
    assert sum(expected.values()) > 0.999
    for length in range(9, 25):
        assert_share(drawn.lengths + 1 == length, expected[length])


def test_second_symbol_comes_again_before_the_last(drawn: Sequences) -> None:
    second_last = drawn.x[drawn.lengths - 1, torch.arange(STRINGS)]
    assert torch.equal(drawn.x[1], second_last)
    assert_share(drawn.x[1] == SYMBOLS.index("T"), 1 / 2)


def test_allowed_is_right_at_every_position() -> None:
    batch = reber(100, generator=seeded(2))
    for row, length in enumerate(batch.lengths.tolist()):
        string = spelled(batch.x[:length, row], SYMBOLS)
        for step in range(length):
            allowed = "".join(s for s, may in zip(SYMBOLS, batch.allowed[step, row].tolist(), strict=True) if may)
            assert allowed == legal_after(string[: step + 1]), string[: step + 1]


def test_both_ways_out_of_a_state_are_equally_likely(drawn: Sequences) -> None:
    has_choice = drawn.allowed.sum(-1) == 2
    first_allowed = drawn.allowed.int().argmax(-1)
    assert_share((drawn.target == first_allowed)[has_choice], 1 / 2)
    assert (drawn.allowed.sum(-1)[within(drawn)] >= 1).all()


# ---------------------------------------------------------------------- sets


def test_no_test_string_is_in_the_training_set() -> None:
    for seed in range(3):
        training, test = training_and_test_sets(seeded(seed))
        assert len(training.lengths) == len(test.lengths) == 256
        assert not set(whole_strings(training)) & set(whole_strings(test))
        assert all(EMBEDDED.fullmatch(string) for string in whole_strings(training) + whole_strings(test))


def test_training_set_is_a_random_draw_with_duplicates() -> None:
    training, _ = training_and_test_sets(seeded(0))
    assert torch.equal(training.x, reber(256, generator=seeded(0)).x)
    assert len(set(whole_strings(training))) < 256


def test_test_set_is_the_harder_one() -> None:
    training, test = training_and_test_sets(seeded(0))
    assert test.lengths.float().mean() > training.lengths.float().mean() + 2


def test_sets_of_another_size() -> None:
    training, test = training_and_test_sets(seeded(0), size=2000)  # so large a set knows almost all short strings
    assert len(training.lengths) == len(test.lengths) == 2000
    assert not set(whole_strings(training)) & set(whole_strings(test))


def test_seed_decides_the_sets() -> None:
    first, again, other = (training_and_test_sets(seeded(seed)) for seed in (0, 0, 1))
    assert [whole_strings(each) for each in first] == [whole_strings(each) for each in again]
    assert [whole_strings(each) for each in first] != [whole_strings(each) for each in other]


# ---------------------------------------------------------------------- streams


def test_stream_resets_before_each_string_of_the_set() -> None:
    training, _ = training_and_test_sets(seeded(0))
    streams = stream(3, training, 50, generator=seeded(1))
    known = {string[:-1] for string in whole_strings(training)}
    for row, length in enumerate(streams.lengths.tolist()):
        symbols = spelled(streams.x[:length, row], SYMBOLS)
        begins = streams.resets[:, row].nonzero().flatten().tolist()
        assert len(begins) == 50
        parts = [symbols[a:b] for a, b in zip(begins, [*begins[1:], length], strict=True)]
        assert all(part in known for part in parts)


def test_stream_draws_with_replacement_and_equally() -> None:
    ten = Sequences(torch.arange(10)[None], torch.ones(10, dtype=torch.int64), torch.zeros(1, 10, dtype=torch.int64))
    assert_uniform(stream(100, ten, 200, generator=seeded(0)).x, range(10))


def test_continual_streams_are_strings_end_to_end() -> None:
    streams = continual(20, 500, generator=seeded(0))
    assert streams.resets is None
    assert streams.lengths.tolist() == [500] * 20
    assert streams.x.shape == streams.target.shape == (500, 20)
    for row in range(20):
        symbols = spelled(streams.x[:, row], SYMBOLS)
        end = 0
        while match := EMBEDDED.match(symbols, end):
            end = match.end()
        assert completes(symbols[end:])
        assert 500 - end < 60


def test_continual_target_is_the_next_symbol_and_allowed() -> None:
    streams = continual(20, 500, generator=seeded(0))
    assert torch.equal(streams.target[:-1], streams.x[1:])
    assert streams.allowed.gather(-1, streams.target[..., None]).all()
    after_end = streams.allowed[streams.x == SYMBOLS.index("E")].unique(dim=0)
    only_begin = torch.tensor([symbol == "B" for symbol in SYMBOLS])
    ends_reber = torch.stack([torch.tensor([symbol == second for symbol in SYMBOLS]) for second in "TP"])
    assert {tuple(row) for row in after_end.tolist()} == {
        tuple(row) for row in [only_begin.tolist(), *ends_reber.tolist()]
    }


def test_continual_strings_have_the_mean_length_of_strings() -> None:
    steps, rows = 20_000, 5
    symbols = continual(rows, steps, generator=seeded(0)).x
    starts = (symbols[:-1] == SYMBOLS.index("E")) & (symbols[1:] == SYMBOLS.index("B"))
    strings = steps * rows / 12
    deviation = 3.36 / 12 * strings**0.5  # of the number of strings, 3.36 being the deviation of their lengths
    assert abs(starts.sum().item() - strings) < DEVIATIONS * deviation + rows


@pytest.mark.parametrize("steps", [1, 8, 9, 10])
def test_short_continual_streams(steps: int) -> None:
    streams = continual(3, steps, generator=seeded(0))
    assert streams.x.shape == (steps, 3)
    assert (streams.x[0] == 0).all()


def test_continual_streams_of_whole_strings() -> None:
    """With marks where strings begin; the symbol after the last one is the next string's B."""
    whole = continual(20, 100, is_whole=True, resets=True, generator=seeded(0))
    cut = continual(20, 100, resets=True, generator=seeded(0))
    assert (whole.lengths >= 100).all()
    assert len(set(whole.lengths.tolist())) > 1
    for field in ("x", "target", "allowed", "resets"):
        assert torch.equal(getattr(whole, field)[:100], getattr(cut, field))
    assert whole.resets is not None
    assert whole.resets[0].all()
    for row, length in enumerate(whole.lengths.tolist()):
        x, starts = whole.x[:length, row], whole.resets[:length, row]
        assert SYMBOLS[x[-1]] == "E"
        assert SYMBOLS[whole.target[length - 1, row]] == "B"
        assert [SYMBOLS[number] for number in x[starts.roll(-1)]] == ["E"] * int(starts.sum())
