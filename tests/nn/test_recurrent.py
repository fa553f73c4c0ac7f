"""Recurrent runs any cell: torch's own as torch does, others in the same interface, with projections of any size."""

import numpy as np
import pytest
import torch
from torch import Tensor

import carrousel
from carrousel import cells
from carrousel.errors import DefinitionError, OptionTypeError, UnknownNameError
from nn.drawn import as_tuple
from nn.twins import assert_same, everything, sequence, theirs

TIME, BATCH, INPUT, HIDDEN = 5, 3, 2, 4


def layer(cell: carrousel.Cell | str, **options: object) -> carrousel.Recurrent:
    torch.manual_seed(1)
    return carrousel.Recurrent(cell, INPUT, HIDDEN, dtype=torch.float64, **options)


@pytest.mark.parametrize("backend", ["auto", "torch", "eager"])
@pytest.mark.parametrize(
    ("cell", "name", "options"),
    [
        ("lstm", "LSTM", {}),
        ("lstm", "LSTM", {"proj_size": 2}),
        ("np", "LSTM", {"bias": False}),
        ("gru", "GRU", {}),
        ("elman", "RNN", {}),
        ("elman_relu", "RNN", {"nonlinearity": "relu"}),
    ],
)
def test_torch_s_own_cells(cell: str, name: str, options: dict, backend: str) -> None:
    options = {**options, "num_layers": 2, "bidirectional": True, "batch_first": True}
    expected = theirs(name, INPUT, HIDDEN, dtype=torch.float64, **options)
    options.pop("nonlinearity", None)
    made = layer(cell, backend=backend, **options)
    made.load_state_dict(expected.state_dict())
    x = sequence(BATCH, TIME, INPUT)
    assert_same(everything(made, x.clone()), everything(expected, x.clone()))


@pytest.mark.parametrize("name", cells.names())
def test_a_sequence_may_be_cut_anywhere(name: str) -> None:
    made = layer(name, num_layers=2)
    x = sequence(TIME, BATCH, INPUT)
    whole, end = made(x)
    state, outputs = None, []
    for piece in (x[:2], x[2:2], x[2:3], x[3:]):
        output, state = made(piece, state)
        outputs.append(output)
    assert_same(torch.cat(outputs), whole)
    assert_same(state, end)


@pytest.mark.parametrize("name", cells.names())
def test_states_come_in_the_order_of_the_signature(name: str) -> None:
    made = layer(name, num_layers=2, bidirectional=True)
    _, state = made(sequence(TIME, BATCH, INPUT))
    assert isinstance(state, Tensor if len(made.cell.states) == 1 else tuple)
    assert [s.shape for s in as_tuple(state)] == [(4, BATCH, HIDDEN)] * len(made.cell.states)
    assert_same(made(sequence(TIME, BATCH, INPUT), list(as_tuple(state))), made(sequence(TIME, BATCH, INPUT), state))


def test_definitions_of_one_s_own() -> None:
    @carrousel.cell
    def mean(x, h_prev, W):
        h = 0.5 * h_prev + 0.5 * (W.h @ x)
        return h

    made = layer(mean)
    x, h = sequence(TIME, BATCH, INPUT), torch.zeros(BATCH, HIDDEN, dtype=torch.float64)
    output, state = made(x)
    for t in range(TIME):
        h = 0.5 * h + 0.5 * x[t] @ made.weight_ih_l0.T
        assert_same(output[t], h)
    assert_same(state[0], h)
    assert [name for name, _ in made.named_parameters()] == ["weight_ih_l0"]


# ---------------------------------------------------------------------- projections


@pytest.mark.parametrize("backend", ["auto", "eager"])
@pytest.mark.parametrize("proj_size", [1, 3, 4, 7])
def test_projections_of_any_size(proj_size: int, backend: str) -> None:
    made = layer("elman", num_layers=2, proj_size=proj_size, backend=backend)
    assert made.weight_hr_l0.shape == (proj_size, HIDDEN)
    assert made.weight_hh_l1.shape == (HIDDEN, proj_size)
    assert made.weight_ih_l1.shape == (HIDDEN, proj_size)
    x = sequence(TIME, BATCH, INPUT)
    output, state = made(x)
    assert state.shape == (2, BATCH, proj_size)
    seen = x
    for k in range(2):
        W, R, b, b_r, P = (w for name, w in made.named_parameters() if f"_l{k}" in name)
        h, outputs = torch.zeros(BATCH, proj_size, dtype=torch.float64), []
        for x_t in seen:
            h = torch.tanh(x_t @ W.T + b + h @ R.T + b_r) @ P.T
            outputs.append(h)
        seen = torch.stack(outputs)
    assert_same(output, seen)


@pytest.mark.parametrize("cell", ["lstm", "peephole_lstm", "slstm", "lstm_1997", "fgr"])
@pytest.mark.parametrize("proj_size", [2, 6])
def test_projections_of_cells_with_more_states(cell: str, proj_size: int) -> None:
    made = layer(cell, proj_size=proj_size, bidirectional=True, num_layers=2)
    output, states = made(sequence(TIME, BATCH, INPUT), lengths=[5, 0, 2])
    assert output.shape == (TIME, BATCH, 2 * proj_size)
    assert [s.shape[-1] for s in states] == [proj_size] + [HIDDEN] * (len(states) - 1)
    eager = layer(cell, proj_size=proj_size, bidirectional=True, num_layers=2, backend="eager")
    assert_same((output, states), eager(sequence(TIME, BATCH, INPUT), lengths=[5, 0, 2]))


def test_a_cell_that_reads_its_output_elementwise_has_no_projection() -> None:
    with pytest.raises(DefinitionError, match="gru"):
        layer("gru", proj_size=2)


# ---------------------------------------------------------------------- options


def test_options_of_numpy() -> None:
    made = layer("lstm", num_layers=2, dropout=np.float32(0.5))
    assert made.dropout == 0.5
    assert type(made.dropout) is float


@pytest.mark.parametrize(
    ("cell", "error"), [("ltsm", UnknownNameError), (torch.nn.LSTM, OptionTypeError), (None, OptionTypeError)]
)
def test_unknown_cells(cell: object, error: type) -> None:
    with pytest.raises(error, match=r"^cells\.get - "):
        carrousel.Recurrent(cell, INPUT, HIDDEN)


def test_printed_form() -> None:
    made = carrousel.Recurrent("peephole_lstm", 3, 4, 2, ("i",), True, 0.25, True, 6, backend="eager", init="keras")
    assert repr(made) == (
        "Recurrent('peephole_lstm', 3, 4, proj_size=6, num_layers=2, bias=('i',), batch_first=True, dropout=0.25, "
        "bidirectional=True, backend='eager', init='keras')"
    )
    assert repr(carrousel.Recurrent("gru_2014", 3, 4)) == "Recurrent('gru_2014', 3, 4)"
