"""Cells under output units: weights, learning through time and in real time, growing."""

import pytest
import torch
from torch import Tensor

from carrousel import cells
from carrousel.cells.lstm_1997 import lstm_1997_input_gate
from carrousel.errors import OptionError
from carrousel.nn.population import Population
from carrousel.systems.grown import Grown
from carrousel.systems.influence import Influence
from carrousel.systems.network import Network
from carrousel.systems.real_time import RealTime
from carrousel.systems.sweep import Sweep
from carrousel.systems.through_time import ThroughTime
from carrousel.tasks.sequences import Sequences

NETS, TIME, INPUTS, OUTPUTS, DOUBLE = 3, 11, 3, 2, torch.float64


def network(cell: str = "lstm_1997_full", **options) -> Network:
    given = {"hidden": 4, "block_size": 2 if "1997" in cell else 1, "scale": 0.8, **options}
    return Network(cells.get(cell), INPUTS, OUTPUTS, **given)


def drawn(batch: int = 2, per_step: bool = False, symbols: int = 0) -> Sequences:
    generator = torch.Generator().manual_seed(7)
    rows = NETS, batch
    x = torch.randn(TIME, *rows, INPUTS, dtype=DOUBLE, generator=generator)
    if symbols:
        x = torch.randint(symbols, (TIME, *rows), generator=generator)
    lengths = torch.randint(3, TIME + 1, rows, generator=generator)
    lengths[0] = TIME
    if not per_step:
        return Sequences(x, lengths, torch.rand(*rows, OUTPUTS, dtype=DOUBLE, generator=generator))
    target = torch.randint(OUTPUTS, (TIME, *rows), generator=generator)
    return Sequences(x, lengths, target.masked_fill(torch.arange(TIME)[:, None, None] >= lengths, -1))


def loss_of(net: Network, w: Tensor, sequences: Sequences) -> tuple[Tensor, Tensor]:
    """Outputs and half of E, by layers and autograd."""
    x = sequences.x
    if net.symbols:
        x = torch.nn.functional.one_hot(x, net.inputs).double()
    layer = Population(
        net.cell,
        NETS,
        net.inputs,
        net.hidden,
        block_size=net.block_size,
        bias=net.biased,
        dtype=DOUBLE,
        backend="eager",
    )
    names = [name for name, _ in layer.named_parameters()]
    groups = [group for group in net.places if group not in ("output", "output bias", "shortcut")]
    given = {name: net.part(w, group) for name, group in zip(names, groups, strict=True)}
    h = torch.func.functional_call(layer, given, (x.transpose(0, 1),))[0].transpose(0, 1)
    y = torch.einsum("tnbh,noh->tnbo", h, net.part(w, "output"))
    if net.output_bias:
        y = y + net.part(w, "output bias")[:, None]
    if net.shortcut:
        y = y + torch.einsum("tnbi,noi->tnbo", x, net.part(w, "shortcut"))
    y = y if net.linear else y.sigmoid()
    if sequences.is_per_step:
        wanted = torch.nn.functional.one_hot(sequences.target.clamp(min=0), OUTPUTS)
        asked = (sequences.target >= 0).unsqueeze(-1)
        return y, 0.5 * ((wanted - y).square() * asked).sum()
    ends = sequences.lengths - 1
    y = y[ends, torch.arange(NETS).unsqueeze(1), torch.arange(ends.shape[1])]
    return y, 0.5 * (sequences.target - y).square().sum()


SETTINGS = {
    "1997": {},
    "1997, two biases": {"biased": ("i", "o"), "output_bias": False},
    "LSTM of today, linear": {"cell": "lstm", "linear": True},
    "peepholes": {"cell": "peephole_lstm"},
    "shortcut": {"shortcut": True},
    "no biases": {"biased": False, "output_bias": False, "linear": True},
}


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("symbols", [0, 5, 40])
@pytest.mark.parametrize("setting", SETTINGS)
def test_through_time_takes_the_gradient_of_autograd(setting: str, symbols: int, per_step: bool) -> None:
    options = SETTINGS[setting]
    if symbols == 40 and options.get("cell", "1997") == "1997":
        options = {**options, "block_size": 2}
    net = network(**options)
    if symbols:
        net = Network(**{**vars_of(net), "inputs": symbols, "symbols": True})
    learner = ThroughTime(net, range(NETS), rate=0.25, dtype=DOUBLE)
    sequences = drawn(per_step=per_step, symbols=symbols)
    for _ in range(2):
        w = learner.w.clone().requires_grad_()
        y, loss = loss_of(net, w, sequences)
        (gradient,) = torch.autograd.grad(loss, w)
        torch.testing.assert_close(learner.predict(sequences), y.detach(), atol=1e-12, rtol=0)
        torch.testing.assert_close(learner.learn(sequences), y.detach(), atol=1e-12, rtol=0)
        torch.testing.assert_close(learner.w, (w - 0.25 * gradient).detach(), atol=1e-12, rtol=0)


def vars_of(net: Network) -> dict:
    return {name: getattr(net, name) for name in net.__dataclass_fields__}


def test_change_is_cut_at_its_norm() -> None:
    free, cut = (ThroughTime(network(), range(NETS), 1.0, clip=clip, dtype=DOUBLE) for clip in (None, 0.01))
    before = free.w.clone()
    for learner in (free, cut):
        learner.learn(drawn())
    change = free.w - before
    torch.testing.assert_close(cut.w - before, 0.01 * change / change.norm(dim=1, keepdim=True))


def test_weights_that_do_not_learn_stay() -> None:
    for learner in (
        ThroughTime(network(), range(NETS), 1.0, dtype=DOUBLE),
        RealTime(network(), range(NETS), 1.0, dtype=DOUBLE),
    ):
        learner.learns = torch.ones_like(learner.w)
        learner.learns[:, 10:30] = 0
        before = learner.w.clone()
        learner.learn(drawn(batch=1, per_step=True))
        assert torch.equal(learner.w[:, 10:30], before[:, 10:30])
        assert (learner.w[:, :10] != before[:, :10]).any()


# ---------------------------------------------------------------------- in real time


PEEPHOLES = ["peephole_lstm", "peephole_lstm_2002", "coupled_lstm", "nog"]


@pytest.mark.parametrize("truncated", [False, True])
@pytest.mark.parametrize(
    "cell", ["lstm_1997_full", "lstm_1997_full_truncated", "lstm_1997", "lstm", "elman", "irnn", *PEEPHOLES]
)
def test_influences_give_the_gradient_through_time(cell: str, truncated: bool) -> None:
    net = network(cell, hidden=6)
    if truncated:
        net = Network(**{**vars_of(net), "cell": net.cell.truncated()})
    w = torch.stack([net.draw(torch.Generator().manual_seed(k), DOUBLE) for k in range(NETS)])
    x, adjoints = torch.randn(2, TIME, NETS, 6, dtype=DOUBLE).unbind(0)
    sweep, influence = Sweep(net, NETS, DOUBLE), Influence(net, NETS, DOUBLE)
    h = sweep.forward(w, x[..., :INPUTS].unsqueeze(2), keep=True)
    found = 0
    for t in range(TIME):
        torch.testing.assert_close(influence.advance(w, x[t, :, :INPUTS]), h[t, :, 0], atol=1e-12, rtol=0)
        found = found + influence.gradient(adjoints[t])
    through_time = sweep.back(adjoints.unsqueeze(2))
    torch.testing.assert_close(found, through_time[:, : influence.width], atol=1e-12, rtol=1e-12)


def test_a_stream_is_its_strings_one_after_the_other() -> None:
    """With a reset before each string, and learning at every step."""
    net = network(symbols=True)
    strings = [drawn(batch=1, per_step=True, symbols=INPUTS) for _ in range(3)]
    whole = [s._replace(lengths=torch.full((NETS, 1), TIME), target=s.target.clamp(min=0)) for s in strings]
    one, other = (RealTime(net, range(NETS), 0.5, dtype=DOUBLE) for _ in range(2))
    apart = torch.cat([one.learn(s) for s in whole])
    resets = torch.zeros(3 * TIME, NETS, 1, dtype=torch.bool)
    resets[::TIME] = True
    x, target = (torch.cat([getattr(s, name) for s in whole]) for name in ("x", "target"))
    stream = Sequences(x, torch.full((NETS, 1), 3 * TIME), target, resets=resets)
    halves = [Sequences(x[p], stream.lengths, target[p], resets=resets[p]) for p in (slice(0, 15), slice(15, None))]
    joined = torch.cat([other.learn(half) for half in halves])
    torch.testing.assert_close(joined, apart, atol=1e-12, rtol=0)
    torch.testing.assert_close(one.w, other.w, atol=1e-12, rtol=0)


def test_nets_beyond_their_end_are_idle() -> None:
    """What follows a short sequence does not change its net."""
    net = network(symbols=True)
    sequences = drawn(batch=1, per_step=True, symbols=INPUTS)
    last = int(sequences.lengths[1])
    assert last < TIME
    one, other = (RealTime(net, range(NETS), 0.5, dtype=DOUBLE) for _ in range(2))
    one.learn(sequences)
    other.learn(Sequences(sequences.x[:last], sequences.lengths.clamp(max=last), sequences.target[:last]))
    torch.testing.assert_close(one.w[1], other.w[1], atol=1e-12, rtol=0)


def test_a_gradient_that_is_stopped_in_part() -> None:
    half = cells.get("lstm_1997_full").definition.text.replace("lstm_1997_full", "half")
    half = half.replace("S.i @ i_prev", "S.i @ stop_gradient(i_prev)").replace(
        "S.o @ i_prev", "S.o @ stop_gradient(i_prev)"
    )
    half = half.replace("S.z @ i_prev", "S.z @ stop_gradient(i_prev)")
    from carrousel.cell import from_text

    like = cells.get("lstm_1997_full")
    net = Network(from_text(half, like.definition.constants, like), INPUTS, OUTPUTS, 4)
    with pytest.raises(OptionError) as caught:
        Influence(net, 2)
    assert str(caught.value) == (
        "half(g_range=2, h_range=1) - real-time recurrent learning, but the gradient is stopped at some products and "
        "not at others - stop it at all with cell.truncated(), or at none"
    )


# ---------------------------------------------------------------------- weights


@pytest.mark.parametrize(
    ("network", "weights"),
    [
        (Network(cells.get("lstm_1997_full"), 7, 7, 4, biased=("i", "o"), output_bias=False), 264),
        (Network(cells.get("lstm_1997_full"), 7, 7, 6, 2, biased=("i", "o"), output_bias=False), 276),
        (Network(lstm_1997_input_gate, 101, 101, 1, output_bias=False, shortcut=True, symbols=True), 10504),
        (Network(cells.get("lstm_1997_full"), 54, 2, 2, biased=False, output_bias=False, symbols=True), 364),
        (Network(cells.get("lstm_1997_full"), 1, 1, 3, output_bias=False), 102),
        (Network(cells.get("lstm_1997_full"), 2, 1, 4, 2), 93),
        (Network(cells.get("lstm_1997_full"), 8, 8, 6, 2), 308),
    ],
)
def test_weights_are_counted_as_in_table_10(network: Network, weights: int) -> None:
    assert network.weights == weights
    assert ThroughTime(network, [0], 1.0).w.shape == (1, weights)


def test_first_weights() -> None:
    net = network(scale=0.1, start={"i": (-3, -6), "o": (1, 2)})
    w = torch.stack([net.draw(torch.Generator().manual_seed(k)) for k in range(200)])
    bias = net.part(w, "b")
    assert torch.equal(bias[:, :2], torch.tensor([[-3.0, -6.0]]).expand(200, 2))
    assert torch.equal(bias[:, 2:4], torch.tensor([[1.0, 2.0]]).expand(200, 2))
    rest = torch.cat([net.part(w, "W").flatten(), bias[:, 4:].flatten(), net.part(w, "output").flatten()])
    assert rest.abs().max() <= 0.1
    assert abs(rest.mean()) < 5 * 0.1 / (3 * len(rest)) ** 0.5
    assert abs(rest.square().mean() - 0.01 / 3) < 5 * 0.01 * (4 / 45 / len(rest)) ** 0.5
    assert torch.equal(net.draw(torch.Generator().manual_seed(5), DOUBLE).float(), w[5])


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (
            {"i": (-3, -6, -9)},
            "lstm_1997_full(g_range=2, h_range=1) - 3 first biases for i, expected 2, one for each unit; "
            "got (-3, -6, -9) - give 2 numbers",
        ),
        (
            {"f": (1, 1)},
            "lstm_1997_full(g_range=2, h_range=1) - first biases for 'f', but those with a bias are i, o, z - "
            "name one of them, or give it a bias",
        ),
    ],
)
def test_first_biases_that_do_not_fit(start: dict, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        ThroughTime(network(start=start), [0], 1.0)
    assert str(caught.value) == message


@pytest.mark.parametrize("kind", [ThroughTime, RealTime])
def test_a_net_depends_on_its_seed_alone(kind: type) -> None:
    one, other = kind(network(), [4, 5, 6], 0.5), kind(network(), [9, 5, 8], 0.5)
    sequences = drawn(batch=1, per_step=True)
    sequences = sequences._replace(x=sequences.x.float())
    for learner in (one, other):
        learner.learn(sequences)
    assert torch.equal(one.w[1], other.w[1])
    other.replace(0, 4)
    assert torch.equal(other.w[0], kind(network(), [4], 0.5).w[0])
    assert len(one) == 3


# ---------------------------------------------------------------------- growing


def test_cells_are_added_when_the_error_stops_falling() -> None:
    net = Network(lstm_1997_input_gate, 4, 2, 1, output_bias=False, shortcut=True, symbols=True, scale=0.5)
    grown = Grown(ThroughTime(net, range(NETS), 0.5), window=5)
    first = ThroughTime(net, range(NETS), 0.5).w
    hidden = net.places["output"].stop
    assert (net.part(grown.w, "output") == 0).all()
    sequences = drawn(batch=1, per_step=True, symbols=4)
    errors = []
    while not grown.is_grown.any():
        before = grown.w.clone()
        assert torch.equal(before[:, : net.places["output"].start], first[:, : net.places["output"].start])
        y = grown.learn(sequences)
        wanted = torch.nn.functional.one_hot(sequences.target.clamp(min=0), 2)
        errors.append(((wanted - y).square() * (sequences.target >= 0).unsqueeze(-1)).mean((0, 2, 3)))
        assert len(errors) < 1000
    means = torch.stack(errors).unflatten(0, (-1, 5)).mean(1)
    assert torch.equal(grown.is_grown, means[-1] > 0.98 * means[-2])
    assert (means[1:-1] <= 0.98 * means[:-2]).all()
    added = grown.is_grown
    assert torch.equal(grown.w[added, :hidden], first[added, :hidden])
    grown.learn(sequences)
    assert (grown.w[added, :hidden] != first[added, :hidden]).any()
    grown.replace(0, 99)
    assert not grown.is_grown[0]
    assert (net.part(grown.w, "output")[0] == 0).all()


def test_fixed_biases_stay() -> None:
    nets = ThroughTime(network(fixed=("o",)), range(NETS), 1.0, dtype=DOUBLE)
    before = nets.w.clone()
    nets.learn(drawn())
    changed = nets.network.part((nets.w != before).double(), "b")
    free = ThroughTime(network(), range(NETS), 1.0, dtype=DOUBLE)
    free.learn(drawn())
    apart = nets.network.part((nets.w != free.w).double(), "b")
    assert torch.equal(apart, 1 - changed)  # the others change as they would
    assert int(apart.sum()) == NETS * 2  # two blocks, an output gate each
