"""Sequences cut into steps, and every message about sequences that do not fit."""

import pytest
import torch

from carrousel.errors import InputShapeError, InputTypeError
from carrousel.systems.bptt import BPTT
from carrousel.systems.lesson import Lesson
from carrousel.systems.wiring import Wiring
from carrousel.tasks.sequences import Sequences
from systems.drawn import INPUTS, KINDS, OUTPUTS, TIME, drawn, targets, values

NETS = BPTT(Wiring(INPUTS, 1, OUTPUTS), 0.1).start([1, 2, 3])


def lesson(sequences: Sequences) -> Lesson:
    return Lesson(sequences, 3, INPUTS, OUTPUTS, sources=5, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
def test_targets_and_where_there_are_some(kind: str) -> None:
    sequences = drawn(kind)
    cut = lesson(sequences)
    target, told = targets(sequences)
    assert torch.equal(cut.told.unsqueeze(-1), told)
    assert torch.equal(cut.target * told, target * told)
    assert torch.equal(cut.values(), values(sequences))


def test_steps_say_only_what_is_not_the_rule() -> None:
    x = torch.zeros(4, 3, 1, dtype=torch.int64)
    target = torch.tensor([0, -1, 1, 1]).view(4, 1, 1).repeat(1, 3, 1)
    target[3, 2] = -1
    resets = torch.zeros(4, 3, 1, dtype=torch.bool)
    resets[2, 1] = True
    first, silent, anew, ragged = lesson(Sequences(x, torch.tensor([[4], [4], [3]]), target, resets=resets)).steps()
    assert first.target is not None
    assert first.told is None
    assert first.kept is None
    assert silent.target is None
    assert anew.kept is not None
    assert anew.kept.flatten().tolist() == [1, 0, 1]
    assert ragged.told is not None
    assert ragged.told.flatten().tolist() == [1, 1, 0]


def test_symbols_become_rows_of_all_networks_weights() -> None:
    x = torch.tensor([[[0, 1], [2, 0], [1, 1]]])
    step = lesson(Sequences(x, torch.ones(3, 2, dtype=torch.int64), x.clamp(max=1))).steps()[0]
    assert step.x.tolist() == [0, 1, 5 + 2, 5, 10 + 1, 10 + 1]


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (
            "values",
            {"x": torch.zeros(TIME, 3, 2, 4)},
            r"x has shape \(7, 3, 2, 4\), expected \(time, net, batch, input",
        ),
        ("values", {"x": torch.zeros(TIME, 2, 2, INPUTS)}, r"x has shape .* with 3 nets and 3 inputs - give every net"),
        (
            "symbols",
            {"x": torch.zeros(TIME, 3, dtype=torch.int64)},
            r"x has shape \(7, 3\), expected \(time, net",
        ),
        (
            "values",
            {"lengths": torch.ones(3)},
            r"lengths has shape \(3,\), expected \(net, batch\) = \(3, 2\) - give each",
        ),
        (
            "values",
            {"target": torch.zeros(3, 2, 9)},
            r"target has shape \(3, 2, 9\), expected .* with 2 outputs - give ta",
        ),
        ("symbols", {"target": torch.zeros(TIME, 3, dtype=torch.int64)}, r"target has shape \(7, 3\), expected"),
        (
            "symbols",
            {"resets": torch.zeros(TIME, 3, dtype=torch.bool)},
            r"resets has shape \(7, 3\), expected .* \(7, 3",
        ),
    ],
)
def test_shapes_that_do_not_fit(kind: str, change: dict, message: str) -> None:
    sequences = drawn(kind)._replace(**change)
    for call in (NETS.predict, NETS.learn):
        with pytest.raises(InputShapeError, match=f"sequences - {message}"):
            call(sequences)


@pytest.mark.parametrize(
    ("name", "number", "message"),
    [
        ("x", 3, r"x has symbols 0 to 3, expected 0 to 2 - number the symbols from 0, or give the system more inputs"),
        ("x", -1, r"x has symbols -1 to \d, expected 0 to 2"),
        ("target", 2, r"target has symbols -1 to 2, expected -1 to 1 - .* or give the system more outputs"),
        ("target", -2, r"target has symbols -2 to 1, expected -1 to 1"),
    ],
)
def test_symbols_out_of_range(name: str, number: int, message: str) -> None:
    sequences = drawn("symbols")
    numbers = getattr(sequences, name).clone()
    numbers[0, 0, 0] = number
    with pytest.raises(InputTypeError, match=f"sequences - {message}"):
        NETS.learn(sequences._replace(**{name: numbers}))
