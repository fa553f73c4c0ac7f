"""Sequences of different lengths: packed as torch packs them, or padded with `lengths=`."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_packed_sequence, pad_sequence, unpack_sequence

import carrousel
from nn.twins import (
    BACKENDS,
    FOR_ANY_CELL,
    LAYERS,
    OTHER_CELL,
    assert_same,
    everything,
    ours,
    packed,
    sequence,
    states_for,
    tensors,
)

INPUT, HIDDEN, TIME = 2, 3, 6
LENGTHS = [[6, 4, 4, 1], [2, 6, 1, 4]]
WAYS = [*({"backend": backend} for backend in FOR_ANY_CELL), "other"]
OWN_WAYS = [*({"backend": backend} for backend in BACKENDS), "other"]


def layer(name: str, way: dict | str, **options: object) -> nn.Module:
    chosen = {"cell": OTHER_CELL[name]} if way == "other" else way
    return ours(name, INPUT, HIDDEN, 2, bidirectional=True, dtype=torch.float64, **chosen, **options)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("way", OWN_WAYS)
@pytest.mark.parametrize("name", LAYERS)
def test_packed_padded_and_one_by_one_agree(name: str, way: dict | str, lengths: list[int]) -> None:
    made = layer(name, way)
    x, hx = sequence(TIME, 4, INPUT), states_for(name, 4, 4, HIDDEN)
    output, state = made(packed(x, lengths), hx)
    assert isinstance(output, PackedSequence)
    padded, padded_state = made(x, hx, lengths=lengths)
    unpacked, found = pad_packed_sequence(output, total_length=TIME)
    assert found.tolist() == lengths
    assert_same((padded, padded_state), (unpacked, state))
    for row, length in enumerate(lengths):
        given = [s[:, row : row + 1].contiguous() for s in tensors(hx)]
        alone, after = made(x[:length, row : row + 1], tuple(given) if len(given) > 1 else given[0])
        assert_same(unpacked[:length, row : row + 1], alone)
        assert_same([s[:, row : row + 1] for s in tensors(state)], list(tensors(after)))


@pytest.mark.parametrize("way", OWN_WAYS)
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_packed_and_padded_agree(name: str, way: dict | str) -> None:
    lengths = torch.tensor([2, 6, 1, 4])
    made, x = layer(name, way), sequence(TIME, 4, INPUT)

    class Packing(nn.Module):
        """The way through a PackedSequence and back."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = made

        def forward(self, x: torch.Tensor) -> tuple:
            rows = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
            output, state = self.layer(rows)
            return pad_packed_sequence(output, total_length=TIME)[0], state

    class Padding(Packing):
        """The way with lengths."""

        def forward(self, x: torch.Tensor) -> tuple:
            return self.layer(x, lengths=lengths)

    assert_same(everything(Padding(), x.clone()), everything(Packing(), x.clone()))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_helpers_of_torch(name: str, backend: str) -> None:
    made = ours(name, INPUT, HIDDEN, backend=backend, dtype=torch.float64)
    rows = [sequence(length, INPUT) for length in (3, 6, 1)]
    output, _ = made(pack_sequence(rows, enforce_sorted=False))
    for row, result in zip(rows, unpack_sequence(output), strict=True):
        assert_same(result, made(row)[0])
    padded, _ = made(pad_sequence(rows), lengths=[len(row) for row in rows])
    assert_same(padded, pad_packed_sequence(output)[0])


@pytest.mark.parametrize("way", OWN_WAYS)
def test_packed_results_move_and_convert(way: dict | str) -> None:
    made = layer("LSTM", way)
    rows = packed(sequence(TIME, 4, INPUT), [2, 6, 1, 4])
    for to in (rows.double(), rows.to(torch.float64), rows.cpu(), rows.to("cpu")):
        output, _ = made(to)
        assert output.data.dtype == torch.float64
    assert output.float().data.dtype == torch.float32
    assert output.to(torch.float16).data.dtype == torch.float16
    halves = made.float()(rows.float())[0]
    assert halves.data.dtype == torch.float32
    assert not halves.is_cuda


@pytest.mark.parametrize("way", OWN_WAYS)
def test_batch_first_does_not_concern_packed_sequences(way: dict | str) -> None:
    rows = packed(sequence(TIME, 4, INPUT), [2, 6, 1, 4])
    expected = layer("GRU", way)(rows)
    assert_same(layer("GRU", way, batch_first=True)(rows), expected)


@pytest.mark.parametrize("backend", FOR_ANY_CELL)
def test_any_cell_takes_packed_sequences(backend: str) -> None:
    for cell in ("slstm", "irnn", "fgr"):
        made = carrousel.Recurrent(cell, INPUT, HIDDEN, 2, bidirectional=True, backend=backend, dtype=torch.float64)
        x = sequence(TIME, 4, INPUT)
        output, state = made(packed(x, [2, 6, 1, 4]))
        assert_same((pad_packed_sequence(output)[0], state), made(x, lengths=[2, 6, 1, 4]))


# ---------------------------------------------------------------------- what lengths and resets may be


@pytest.mark.parametrize(
    "lengths", [[2, 5, 0], (2, 5, 0), np.array([2, 5, 0]), torch.tensor([2, 5, 0], dtype=torch.uint16)]
)
def test_kinds_of_lengths(lengths: object) -> None:
    made = layer("LSTM", {"backend": "auto"})
    x = sequence(5, 3, INPUT)
    assert_same(made(x, lengths=lengths), made(x, lengths=torch.tensor([2, 5, 0])))


@pytest.mark.parametrize(
    "resets", [[[0], [0], [1], [0]], np.array([[0], [0], [1], [0]]), torch.tensor([[0], [0], [7], [0]])]
)
def test_kinds_of_resets(resets: object) -> None:
    made = layer("LSTM", {"backend": "auto"})
    x = sequence(4, 1, INPUT)
    expected = made(x, resets=torch.tensor([[False], [False], [True], [False]]))
    assert_same(made(x, resets=resets), expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LAYERS)
def test_lengths_and_resets_in_every_layout(name: str, way: dict | str) -> None:
    made = layer(name, way)
    x, resets = sequence(TIME, 3, INPUT), torch.rand(TIME, 3) < 0.4
    output, state = made(x, lengths=[4, 6, 0], resets=resets)
    for length in (4, [4], torch.tensor(4)):
        alone, after = made(x[:, 0], lengths=length, resets=resets[:, 0])
        assert_same(alone, output[:, 0])
        assert_same(list(tensors(after)), [s[:, 0] for s in tensors(state)])
    made.batch_first = True
    across, after = made(x.transpose(0, 1), lengths=[4, 6, 0], resets=resets.T)
    assert_same((across.transpose(0, 1), after), (output, state))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LAYERS)
def test_a_reset_is_a_sequence_of_its_own(name: str, way: dict | str) -> None:
    made = ours(name, INPUT, HIDDEN, dtype=torch.float64, **({"cell": OTHER_CELL[name]} if way == "other" else way))
    x = sequence(TIME, 1, INPUT).requires_grad_()
    resets = torch.zeros(TIME, 1, dtype=torch.bool)
    resets[4] = True
    output, state = made(x, resets=resets)
    assert_same(output[:4], made(x[:4])[0])
    assert_same((output[4:], state), made(x[4:]))
    gradient = torch.autograd.grad(output[4:].sum(), x)[0]
    assert not gradient[:4].any()
    assert gradient[4:].any()
