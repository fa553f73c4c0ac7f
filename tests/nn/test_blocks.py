"""Memory cell blocks of 1997: cells of one block share their gates. The oracle writes the paper's equations out."""

import pytest
import torch
from torch import Tensor, nn

import carrousel
from nn.twins import assert_same, everything, sequence

TIME, BATCH, INPUT = 5, 3, 2
SHAPES = [(1, 3), (2, 2), (3, 1), (2, 3)]  # blocks, memory cells of a block


class WrittenOut(nn.Module):
    """The equations of section 4 and of the experiments' full wiring, block by block."""

    def __init__(self, layer: carrousel.Recurrent, blocks: int) -> None:
        super().__init__()
        self.blocks, self.full = blocks, "full" in layer.cell.name
        for name, parameter in layer.named_parameters():
            self.register_parameter(name, nn.Parameter(parameter.detach().clone()))

    def forward(self, x: Tensor) -> tuple:
        sizes = (self.blocks, self.blocks, self.weight_hh_l0.shape[1])
        size = sizes[2] // self.blocks
        h = c = x.new_zeros(x.shape[1], sizes[2])
        i = o = x.new_zeros(x.shape[1], self.blocks)
        outputs = []
        for x_t in x:
            net = x_t @ self.weight_ih_l0.T + h @ self.weight_hh_l0.T + self.bias_ih_l0
            if self.full:
                net = net + i @ self.S_l0.T + o @ self.U_l0.T
            a_i, a_o, a_z = net.split(sizes, dim=-1)
            i, o = a_i.sigmoid(), a_o.sigmoid()
            c = c + i.repeat_interleave(size, dim=-1) * (4 * a_z.sigmoid() - 2)
            h = o.repeat_interleave(size, dim=-1) * (2 * c.sigmoid() - 1)
            outputs.append(h)
        states = (h, c, i, o) if self.full else (h, c)
        return torch.stack(outputs), tuple(state.unsqueeze(0) for state in states)


def layer(cell: str, blocks: int, size: int, **options: object) -> carrousel.Recurrent:
    torch.manual_seed(1)
    return carrousel.Recurrent(cell, INPUT, blocks * size, block_size=size, dtype=torch.float64, **options)


@pytest.mark.parametrize(("blocks", "size"), SHAPES)
@pytest.mark.parametrize("cell", ["lstm_1997", "lstm_1997_full"])
def test_results_and_gradients_are_those_of_the_paper(cell: str, blocks: int, size: int) -> None:
    made = layer(cell, blocks, size)
    x = sequence(TIME, BATCH, INPUT)
    assert_same(everything(made, x.clone()), everything(WrittenOut(made, blocks), x.clone()))


@pytest.mark.parametrize(("blocks", "size"), SHAPES)
def test_shapes(blocks: int, size: int) -> None:
    made = layer("lstm_1997_full", blocks, size)
    rows, cells = 2 * blocks + blocks * size, blocks * size
    assert {name: tuple(p.shape) for name, p in made.named_parameters()} == {
        "weight_ih_l0": (rows, INPUT),
        "weight_hh_l0": (rows, cells),
        "S_l0": (rows, blocks),
        "U_l0": (rows, blocks),
        "bias_ih_l0": (rows,),
    }
    output, states, trace = made(sequence(TIME, BATCH, INPUT), return_trace=("i", "z"))
    assert output.shape == (TIME, BATCH, cells)
    assert [s.shape[-1] for s in states] == [cells, cells, blocks, blocks]
    assert trace["i_l0"].shape[-1] == blocks
    assert trace["z_l0"].shape[-1] == cells
    assert torch.equal(trace["i_l0"][-1], states[2][0])


def test_given_gate_states_have_one_value_per_block() -> None:
    made = layer("lstm_1997_full", 2, 3)
    x = sequence(TIME, BATCH, INPUT)
    whole, end = made(x)
    start, middle = made(x[:2])
    rest, after = made(x[2:], middle)
    assert_same(torch.cat([start, rest]), whole)
    assert_same(after, end)


def test_one_cell_a_block_is_the_plain_cell() -> None:
    blocked, plain = layer("lstm_1997_full", 4, 1), carrousel.Recurrent("lstm_1997_full", INPUT, 4, dtype=torch.float64)
    plain.load_state_dict(blocked.state_dict())
    assert_same(blocked(sequence(TIME, BATCH, INPUT)), plain(sequence(TIME, BATCH, INPUT)))


@pytest.mark.parametrize("cell", ["lstm_1997", "lstm_1997_full"])
def test_truncated_blocks_have_the_same_values_and_other_gradients(cell: str) -> None:
    made, cut = layer(cell, 2, 2), layer(f"{cell}_truncated", 2, 2)
    x = sequence(TIME, BATCH, INPUT)
    results, truncated = everything(made, x.clone()), everything(cut, x.clone())
    assert_same([v for k, v in truncated.items() if "result" in k], [v for k, v in results.items() if "result" in k])
    assert not torch.allclose(truncated["gradient of weight_hh_l0"], results["gradient of weight_hh_l0"])


def test_drop_ins_layers_directions_and_populations_have_blocks() -> None:
    lstm = carrousel.LSTM(INPUT, 6, 2, bidirectional=True, cell="lstm_1997", block_size=3)
    assert lstm.weight_ih_l1.shape == (2 * 2 + 6, 12)
    assert lstm(torch.ones(TIME, BATCH, INPUT), lengths=[5, 0, 2])[0].shape == (TIME, BATCH, 12)
    nets = carrousel.Population("lstm_1997_full", 2, INPUT, 6, block_size=3, bidirectional=True)
    output, states = nets(torch.ones(2, TIME, BATCH, INPUT))
    assert output.shape == (2, TIME, BATCH, 12)
    assert [s.shape for s in states] == [(2, 2, BATCH, 6), (2, 2, BATCH, 6), (2, 2, BATCH, 2), (2, 2, BATCH, 2)]


def test_learned_gate_states_have_one_value_per_block() -> None:
    made = layer("lstm_1997_full", 2, 3, learn_initial_state=True)
    assert made.initial_i.shape == (1, 2)
    assert made.initial_c.shape == (1, 6)
    made(sequence(TIME, BATCH, INPUT))[0].sum().backward()
    assert made.initial_i.grad.all()
