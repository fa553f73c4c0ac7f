"""Regularisers of layers: the same masks on every backend, off in evaluation, the bounds in both; bits that repeat."""

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import carrousel
from carrousel import backends, cells
from carrousel.backends.llvm import plan, threads
from carrousel.nn.regularisers import Regularisers
from carrousel.transforms import recurrent_dropout, zoneout
from nn.five import leaky_pair
from nn.twins import assert_same, everything, packed, sequence

TIME, BATCH, INPUT, HIDDEN = 6, 3, 2, 8
X = sequence(TIME, BATCH, INPUT)
COMPILED = backends.before_reference()


def recurrent(cell: str | carrousel.Cell = "lstm", **options: Any) -> carrousel.Recurrent:
    torch.manual_seed(1)
    return carrousel.Recurrent(cell, INPUT, HIDDEN, **{"dtype": torch.float64, **options})


def population(**options: Any) -> carrousel.Population:
    torch.manual_seed(1)
    return carrousel.Population("lstm", 2, INPUT, HIDDEN, dtype=torch.float64, **options)


def lstm(**options: Any) -> carrousel.LSTM:
    torch.manual_seed(1)
    return carrousel.LSTM(INPUT, HIDDEN, **{"dtype": torch.float64, **options})


#: All of them, in layers of all kinds.
REGULARISED: dict[str, Callable[[], nn.Module]] = {
    "LSTM": lambda: lstm(input_dropout=0.3, recurrent_dropout=0.3, zoneout=0.2, num_layers=2, bidirectional=True),
    "LSTM with bounds": lambda: lstm(cell_clip=0.2, gate_clip=0.4, zoneout={"c": 0.3}, proj_size=3, proj_clip=0.05),
    "GRU": lambda: carrousel.GRU(INPUT, HIDDEN, recurrent_dropout=0.4, zoneout=0.1, dtype=torch.float64),
    "GRU of 2014": lambda: recurrent("gru_2014", recurrent_dropout=0.4, num_layers=2, recompute=True),
    "sLSTM": lambda: recurrent("slstm", zoneout={"h": 0.1, "c": 0.2, "n": 0.2}, recurrent_dropout=0.3, cell_clip=2.0),
    "blocks": lambda: recurrent("lstm_1997", block_size=2, recurrent_dropout=0.3, zoneout=0.1, num_layers=2),
    "layer normalisation": lambda: recurrent("layer_norm_lstm", recurrent_dropout=0.3, zoneout=0.1, cell_clip=0.5),
    "peepholes": lambda: recurrent("peephole_lstm", recurrent_dropout=0.3, zoneout=0.1, gate_clip=0.4),
    "a cell of the tests": lambda: recurrent(leaky_pair, input_dropout=0.3, recurrent_dropout=0.3, zoneout={"m": 0.2}),
    "population": lambda: population(input_dropout=0.3, recurrent_dropout=0.3, zoneout=0.2),
}
regularised = pytest.mark.parametrize("name", REGULARISED)


def called(layer: Any, backend: str = "auto", seed: int = 7, **arguments: Any) -> dict[str, Tensor]:
    """Results and gradients of a call with this seed."""
    layer.backend = backend
    torch.manual_seed(seed)
    x = X.expand(2, -1, -1, -1) if isinstance(layer, carrousel.Population) else X
    return everything(layer, x.clone(), **arguments)


def unchanged(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


# ---------------------------------------------------------------------- the same masks


@regularised
def test_a_seed_gives_the_same_on_every_backend(name: str) -> None:
    layer = REGULARISED[name]()
    for mode in (True, False):
        layer.train(mode)
        for backend in COMPILED:
            assert_same(called(layer, backend), called(layer, "eager"))


@regularised
def test_training_draws(name: str) -> None:
    layer = REGULARISED[name]()
    assert unchanged(called(layer), called(layer))
    assert not unchanged(called(layer), called(layer, seed=8))
    layer.eval()
    assert unchanged(called(layer), called(layer, seed=8))


def test_every_dtype_has_the_same_masks() -> None:
    options = Regularisers(input_dropout=0.4, recurrent_dropout=0.4, zoneout=0.3)
    cell, found = options.cells(cells.get("lstm"), 0)[1], []
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        torch.manual_seed(2)
        x = torch.ones(TIME, BATCH, INPUT, dtype=dtype)
        found.append([options.dropped(x), *options.step_inputs(cell, (), HIDDEN, x)])
        assert all(mask.dtype == dtype for mask in found[-1])
    for masks in found[1:]:
        assert all(torch.equal(mask != 0, first != 0) for mask, first in zip(masks, found[0], strict=True))


# ---------------------------------------------------------------------- what the masks are


def test_masks() -> None:
    """One for a sequence, with the expectation 1; zoneout's at every step."""
    options = Regularisers(input_dropout=0.25, recurrent_dropout=0.5, zoneout={"c": 0.1, "h": 0.0})
    cell = options.cells(cells.get("lstm"), 0)[1]
    assert cell == recurrent_dropout(zoneout(cells.get("lstm"), "c"))
    torch.manual_seed(2)
    x = torch.ones(20, 30, 40, dtype=torch.float64)
    masks = dict(zip(cell.definition.step_inputs, options.step_inputs(cell, (), 50, x), strict=True))
    assert {name: mask.shape for name, mask in masks.items()} == {
        "mask_h_t": (20, 30, 50),
        "keep_c_t": (20, 30, 50),
    }
    for mask, rate in ((options.dropped(x), 0.25), (masks["mask_h_t"], 0.5)):
        assert torch.equal(mask, mask[:1].expand_as(mask))
        assert mask.unique().tolist() == [0, 1 / (1 - rate)]
        assert abs(float((mask[0] == 0).double().mean()) - rate) < 0.05
        assert not torch.equal(mask[:, 0], mask[:, 1])
    keep = masks["keep_c_t"]
    assert keep.unique().tolist() == [0, 1]
    assert abs(float(keep.mean()) - 0.1) < 0.01
    assert not torch.equal(keep[0], keep[1])


def test_layers_run_the_equations_of_the_transforms() -> None:
    """What the layer draws, given as inputs per step to a layer of the transformed cell."""
    layer = recurrent(input_dropout=0.5, recurrent_dropout=0.4, zoneout=0.3)
    spelled = recurrent(recurrent_dropout(zoneout(cells.get("lstm"))))
    spelled.load_state_dict({**layer.state_dict(), "gates": spelled.state_dict()["gates"]})
    torch.manual_seed(7)
    x = layer.regularisers.dropped(X)
    masks = layer.regularisers.step_inputs(spelled.cell, (), HIDDEN, x)
    expected = spelled(x, step_inputs=dict(zip(spelled.cell.definition.step_inputs, masks, strict=True)))
    torch.manual_seed(7)
    assert_same(layer(X), expected)


def test_own_inputs_per_step_stand_beside_the_masks() -> None:
    cell = zoneout(cells.get("lstm"), "h")
    layer = recurrent(cell, recurrent_dropout=0.4, zoneout={"c": 0.3})
    keep = torch.rand(TIME, BATCH, HIDDEN, dtype=torch.float64)
    found = called(layer, "eager", step_inputs={"keep_h_t": keep})
    for backend in COMPILED:
        assert_same(called(layer, backend, step_inputs={"keep_h_t": keep}), found)
    assert not unchanged(called(layer, step_inputs={"keep_h_t": 1 - keep}), found)


def test_layers_and_directions_draw_their_own() -> None:
    layer = recurrent(recurrent_dropout=0.5, num_layers=2, bidirectional=True)
    torch.manual_seed(7)
    layer(X)
    after = torch.get_rng_state()
    torch.manual_seed(7)
    for _ in range(4):
        torch.rand(BATCH, HIDDEN)
    assert torch.equal(torch.get_rng_state(), after)


def test_packed_sequences_have_the_masks_of_their_rows() -> None:
    layer = lstm(input_dropout=0.3, recurrent_dropout=0.3, zoneout=0.2)
    lengths = [6, 4, 1]
    torch.manual_seed(7)
    output, states = layer(X, lengths=lengths)
    torch.manual_seed(7)
    output_of_packed, states_of_packed = layer(packed(X, lengths))
    padded, _ = nn.utils.rnn.pad_packed_sequence(output_of_packed)
    assert_same((padded, states_of_packed), (output, states))


# ---------------------------------------------------------------------- evaluation


def test_dropout_is_off_in_evaluation() -> None:
    options = {"input_dropout": 0.5, "recurrent_dropout": 0.5}
    for made, plain in ((recurrent(**options), recurrent()), (lstm(**options), lstm())):
        made.eval()
        before = torch.get_rng_state()
        assert unchanged(called(made), called(plain))
        torch.set_rng_state(before)
        made(X)
        assert torch.equal(torch.get_rng_state(), before)
        assert made._layout.cell is plain._layout.cell


def test_zoneout_in_evaluation_is_the_expected_mix() -> None:
    layer = recurrent(zoneout={"h": 0.25, "c": 0.1}).eval()
    spelled = recurrent(zoneout(cells.get("lstm")))
    spelled.load_state_dict({**layer.state_dict(), "gates": spelled.state_dict()["gates"]})
    every = torch.ones(TIME, BATCH, HIDDEN, dtype=torch.float64)
    assert_same(layer(X), spelled(X, step_inputs={"keep_h_t": 0.25 * every, "keep_c_t": 0.1 * every}))


def test_rates_of_zero_are_no_regularisers() -> None:
    layer = recurrent(input_dropout=0, recurrent_dropout=0.0, zoneout={"h": 0.0, "c": 0})
    assert layer._training_layout is layer._layout
    assert layer._layout.cell is cells.get("lstm")
    before = torch.get_rng_state()
    layer(X)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("training", [True, False])
def test_bounds_are_there_in_training_and_evaluation(training: bool) -> None:
    layer = recurrent("peephole_lstm", cell_clip=0.05, proj_size=3, proj_clip=0.01).train(training)
    output, (h, c), trace = layer(X, return_trace=("c", "h"))
    assert float(trace["c_l0"].detach().abs().max()) == 0.05
    assert float(output.detach().abs().max()) == 0.01
    assert torch.equal(output[-1], h[0])
    assert torch.equal(trace["c_l0"][-1], c[0])
    gates = recurrent("elman", gate_clip=0.1).train(training)(X)[0]
    assert float(gates.detach().abs().max()) == pytest.approx(float(torch.tensor(0.1, dtype=torch.float64).tanh()))


@pytest.mark.parametrize("name", ["LSTM with bounds", "GRU", "sLSTM", "blocks", "layer normalisation"])
def test_steps_and_streams_are_evaluation(name: str) -> None:
    layer = REGULARISED[name]().eval()
    with torch.no_grad():
        expected, _ = layer(X)
        state, stream, outputs = None, layer.stream(BATCH), []
        for x in X:
            output, state = layer.step(x, state)
            outputs.append(output)
            torch.testing.assert_close(stream.step(x), output)
    assert_same(torch.stack(outputs), expected)


# ---------------------------------------------------------------------- the module stays what it is


@regularised
def test_parameters_stay(name: str) -> None:
    layer = REGULARISED[name]()
    plain = copy.copy(layer)
    plain.regularisers = Regularisers()
    plain._make_layout()
    assert plain._layout.shapes(INPUT) == layer._layout.shapes(INPUT) == layer._training_layout.shapes(INPUT)
    assert plain._layout.gate_names() == layer._layout.gate_names() == layer._training_layout.gate_names()


def test_saved_weights_fit_with_and_without() -> None:
    made, plain = lstm(zoneout=0.1, recurrent_dropout=0.1), torch.nn.LSTM(INPUT, HIDDEN, dtype=torch.float64)
    assert list(made.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(made.state_dict())
    other = recurrent("peephole_lstm", zoneout=0.1)
    recurrent("peephole_lstm").load_state_dict(other.state_dict())


def test_stand_ins_draw_the_same_weights() -> None:
    torch.manual_seed(1)
    plain = torch.nn.LSTM(INPUT, HIDDEN, dtype=torch.float64)
    for mine, other in zip(lstm(zoneout=0.1, input_dropout=0.1).parameters(), plain.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_torch_s_operator_has_input_dropout() -> None:
    made = lstm(input_dropout=0.5, backend="torch")
    assert_same(called(made, "torch"), called(made, "eager"))
    made = lstm(recurrent_dropout=0.5).eval()
    assert_same(called(made, "torch"), called(made, "eager"))


def test_copies_and_nets_keep_them() -> None:
    layer = lstm(zoneout={"h": 0.1}, cell_clip=3.0)
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert copied.regularisers == layer.regularisers
        assert unchanged(called(copied), called(layer))
    nets = population(zoneout=0.2, cell_clip=0.1)
    assert nets.net(0).regularisers == nets.select([1]).regularisers == nets.regularisers
    nets.eval()
    assert_same(nets.net(1).eval()(X), [value[1] for value in _flat(nets(X.expand(2, -1, -1, -1)))])


def _flat(result: Any) -> list[Tensor]:
    output, states = result
    return [output, *states]


def test_shown() -> None:
    shown = repr(lstm(input_dropout=0.1, zoneout={"c": 0.5}, gate_clip=2))
    assert shown.endswith("input_dropout=0.1, zoneout={'c': 0.5}, gate_clip=2)")
    assert "zoneout" not in repr(lstm(zoneout=0.0))


def test_given_mapping_is_copied() -> None:
    rates = {"c": 0.5}
    layer = lstm(zoneout=rates)
    rates["c"] = 0.9
    assert layer.regularisers.zoneout == {"c": 0.5}


def test_in_one_compiled_graph() -> None:
    layer = recurrent(recurrent_dropout=0.3, zoneout=0.2, input_dropout=0.2, dtype=torch.float32)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.manual_seed(7)
    expected = layer(X.float())
    torch.manual_seed(7)
    assert_same(compiled(X.float()), expected, "layers in float32")


# ---------------------------------------------------------------------- the same bits


@pytest.fixture
def _as_before() -> Iterator[None]:
    """No test leaves its threads, or plans that were made for them."""
    yield
    torch.set_num_threads(1)
    threads.team.cache_clear()
    plan.plan_for.cache_clear()


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize("cell", ["lstm", "layer_norm_lstm"])
def test_bits_repeat_for_any_number_of_threads(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SMALL", 0)  # even this little work is shared
    plan.plan_for.cache_clear()
    layer = recurrent(cell, recurrent_dropout=0.3, zoneout=0.2, input_dropout=0.2, dtype=torch.float32)
    found = []
    for count in (1, 1, 2, 2):
        torch.set_num_threads(count)
        torch.manual_seed(7)
        found.append(everything(layer, X.float().repeat(1, 5, 1)))
    assert all(unchanged(found[0], again) for again in found[1:])
