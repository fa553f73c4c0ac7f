"""What every rival does alike: seeds, predicting, idle networks, streams, replacing, counts."""

from collections.abc import Callable

import pytest
import torch

from carrousel.errors import OptionError, OptionTypeError
from carrousel.systems.bptt import BPTT
from carrousel.systems.cascade_correlation import CascadeCorrelation
from carrousel.systems.chunker import Chunker
from carrousel.systems.elman import Elman
from carrousel.systems.guessing import Guessing
from carrousel.systems.rtrl import RTRL
from carrousel.systems.system import System
from carrousel.systems.wiring import Wiring
from carrousel.tasks.sequences import Sequences
from systems.drawn import INPUTS, KINDS, OUTPUTS, TIME, drawn

DOUBLE = torch.float64
LAYERED = Wiring(INPUTS, 2, OUTPUTS, dtype=DOUBLE)
FULLY = Wiring(INPUTS, 2, OUTPUTS, fully_recurrent=True, bias=True, dtype=DOUBLE)

SYSTEMS: dict[str, System] = {
    "rtrl": RTRL(LAYERED, 0.5),
    "rtrl, fully recurrent": RTRL(FULLY, 0.5),
    "bptt": BPTT(LAYERED, 0.5),
    "elman": Elman(LAYERED, 0.5),
    "cascade": CascadeCorrelation(INPUTS, OUTPUTS, hidden=2, patience=1, longest=2, dtype=DOUBLE),
    "chunker": Chunker(INPUTS, 2, targets=OUTPUTS, bias=True, time_code=2, dtype=DOUBLE),
    "guessing": Guessing(INPUTS, 2, OUTPUTS, dtype=DOUBLE),
}
#: These change their weights while a sequence runs.
ON_LINE = {"rtrl", "rtrl, fully recurrent", "elman", "chunker"}

every_system = pytest.mark.parametrize("name", SYSTEMS)
every_kind = pytest.mark.parametrize("kind", KINDS)
SEEDS = (3, 1, 4)
EPOCHS = 6  # enough for cascade-correlation's phases of two epochs to install both units


def part(sequences: Sequences, net: int, time: int = TIME) -> Sequences:
    """The sequences of one network, cut after some steps."""
    x, lengths, target, _, resets = sequences
    is_last_only = target.is_floating_point() and target.dim() == 3
    return Sequences(
        x[:time, net : net + 1],
        lengths[net : net + 1],
        target[net : net + 1] if is_last_only else target[:time, net : net + 1],
        resets=None if resets is None else resets[:time, net : net + 1],
    )


@every_system
@every_kind
def test_outputs_have_the_shape_of_the_targets(name: str, kind: str) -> None:
    nets, sequences = SYSTEMS[name].start(SEEDS), drawn(kind)
    shape = (3, 2, OUTPUTS) if kind == "last" else (TIME, 3, 2, OUTPUTS)
    for y in (nets.predict(sequences), nets.learn(sequences)):
        assert y.shape == shape
        assert y.dtype == DOUBLE
        assert ((y >= 0) & (y <= 1)).all()
    if kind != "last":
        ended = torch.arange(TIME).view(-1, 1, 1) >= sequences.lengths
        assert ended.any()
        assert (y[ended] == 0).all()


@every_system
@every_kind
def test_predicting_changes_nothing_and_learning_does(name: str, kind: str) -> None:
    nets, sequences = SYSTEMS[name].start(SEEDS), drawn(kind)
    first = nets.predict(sequences)
    assert torch.equal(nets.predict(sequences), first)
    said = nets.learn(sequences)
    if name not in ON_LINE:
        assert torch.equal(said, first)
    elif kind != "last":
        torch.testing.assert_close(said[0], first[0])  # no weight has changed yet
    changed = (nets.predict(sequences) != first).flatten(1)
    assert changed.any()


@every_system
@every_kind
@pytest.mark.parametrize("has_resets", [False, True])
def test_a_network_depends_on_its_own_seed_and_sequences(name: str, kind: str, has_resets: bool) -> None:
    together, sequences = SYSTEMS[name].start(SEEDS), drawn(kind, has_resets=has_resets)
    assert len(together) == len(SEEDS)
    for _ in range(EPOCHS):
        together.learn(sequences)
    for net, seed in enumerate(SEEDS):
        own = part(sequences, net)
        alone = SYSTEMS[name].start([seed])
        for _ in range(EPOCHS):
            alone.learn(own)
        expected = together.predict(sequences)
        expected = expected[net] if kind == "last" else expected[:, net]
        found = alone.predict(own)
        torch.testing.assert_close(found[0] if kind == "last" else found[:, 0], expected)


@every_system
@every_kind
def test_a_network_whose_sequence_has_ended_is_idle(name: str, kind: str) -> None:
    sequences, probe = drawn(kind, batch=1, seed=2), drawn(kind, nets=1, is_ragged=False, seed=9)
    short = int(sequences.lengths.argmin())
    time = int(sequences.lengths[short])
    assert time < TIME
    padded, cut = (SYSTEMS[name].start([7]) for _ in range(2))
    for _ in range(EPOCHS):
        padded.learn(part(sequences, short))
        cut.learn(part(sequences, short, time))
    torch.testing.assert_close(padded.predict(probe), cut.predict(probe))


@every_system
def test_resets_cut_a_stream_into_strings(name: str) -> None:
    stream = drawn("values", batch=1, is_ragged=False)
    resets = torch.zeros(TIME, 3, 1, dtype=torch.bool)
    resets[4] = True
    nets = SYSTEMS[name].start(SEEDS)
    whole = nets.predict(stream._replace(resets=resets))
    for start, stop in ((0, 4), (4, TIME)):
        string = Sequences(stream.x[start:stop], torch.full((3, 1), stop - start), stream.target[start:stop])
        torch.testing.assert_close(nets.predict(string), whole[start:stop])


@every_system
def test_replacing_puts_a_fresh_network_in_one_place(name: str) -> None:
    nets, sequences = SYSTEMS[name].start(SEEDS), drawn("values")
    for _ in range(EPOCHS):
        nets.learn(sequences)
    learned = nets.predict(sequences)
    nets.replace(1, 8)
    fresh = SYSTEMS[name].start([3, 8, 4]).predict(sequences)
    found = nets.predict(sequences)
    torch.testing.assert_close(found[:, 1], fresh[:, 1])
    torch.testing.assert_close(found[:, [0, 2]], learned[:, [0, 2]])
    assert not torch.equal(found[:, 1], learned[:, 1])


@pytest.mark.parametrize(
    ("system", "weights"),
    [
        (RTRL(Wiring(7, 3, 7, fully_recurrent=True), 0.05), 170),
        (RTRL(Wiring(7, 12, 7, fully_recurrent=True), 0.1), 494),
        (Elman(Wiring(7, 15, 7, shortcuts=False), 0.1), 435),
        (RTRL(Wiring(5, 1, 5), 1.0), 36),
        (RTRL(Wiring(11, 1, 11), 1.0), 144),
        (BPTT(Wiring(101, 1, 101), 1.0), 10404),
        (Chunker(101, 1), 10506),
        (Guessing(1, 3, 1), 5 * 4 + 3),
        (Guessing(1, 3, 1, sparse=True), 3 * 4 + 5),
        (CascadeCorrelation(7, 7, hidden=7), 7 * 15 + 7 * 9 + 21),
    ],
)
def test_weights_are_counted_as_in_the_tables(system: System, weights: int) -> None:
    assert system.start([0]).weights == weights


@every_system
def test_no_seeds(name: str) -> None:
    with pytest.raises(OptionError, match="start - got no seeds, expected one for each network - give at least one"):
        SYSTEMS[name].start([])


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: RTRL(LAYERED, -1.0), OptionError, "RTRL - rate is -1.0, expected at least 0.0 - give a larger one"),
        (lambda: BPTT(LAYERED, "1"), OptionTypeError, "BPTT - rate is '1', expected a number - give one of at least"),
        (lambda: Elman(LAYERED, -0.1), OptionError, "Elman - rate is -0.1"),
        (lambda: Wiring(0, 1, 1), OptionError, "Wiring - inputs is 0, expected at least 1"),
        (lambda: Wiring(1, 1.0, 1), OptionTypeError, r"Wiring - hidden is 1.0, expected a whole number"),
        (lambda: Wiring(1, 1, True), OptionTypeError, "Wiring - outputs is True, expected a whole number"),
        (lambda: Wiring(1, 1, 1, initial=float("nan")), OptionError, "Wiring - initial is nan, expected at least 0.0"),
        (lambda: Guessing(1, 0, 1), OptionError, "Wiring - hidden is 0"),
        (lambda: Guessing(1, 1, 1, tolerance=-1), OptionError, "Guessing - tolerance is -1"),
        (lambda: Chunker(1, 1, reach=-1), OptionError, "Chunker - reach is -1, expected at least 0"),
        (lambda: Chunker(1, 1, threshold=-1.0), OptionError, "Chunker - threshold is -1.0"),
        (lambda: CascadeCorrelation(1, 1, candidates=0), OptionError, "CascadeCorrelation - candidates is 0"),
        (lambda: CascadeCorrelation(1, 1, growth=-1.0), OptionError, "CascadeCorrelation - growth is -1.0"),
    ],
)
def test_settings_that_can_not_be(make: Callable[[], object], kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        make()
