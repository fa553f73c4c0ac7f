"""Nets that solved a task: an easy criterion is met soon; what is seen inside is what the net computes."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from carrousel.errors import OutputError, UnknownNameError
from carrousel.experiments.criteria import Recent
from carrousel.experiments.solved import BLOCK, TASKS, Solved, curve_figure, figure, inside, solved
from carrousel.experiments.tables import row_of
from carrousel.experiments.trials import Row
from carrousel.systems.through_time import ThroughTime
from carrousel.tasks.sequences import Sequences

SEEDS = (0, 1, 2)


def easy(task: str) -> Row:
    """The task's row, but 60 sequences more than a block are enough, whatever is said."""
    return replace(row_of(TASKS[task]), criterion=partial(Recent, within=10, window=BLOCK + 60))


@pytest.fixture(scope="module")
def nets() -> dict[str, Solved]:
    return {task: solved(task, seeds=SEEDS, row=easy(task)) for task in TASKS}


@pytest.mark.parametrize("task", TASKS)
def test_training_ends_when_the_criterion_is_met(nets: dict[str, Solved], task: str) -> None:
    net = nets[task]
    assert net.presented == BLOCK + 60
    assert net.errors.shape == (len(SEEDS), 2)
    assert net.weights.shape == (row_of(TASKS[task]).start((0,)).weights,)
    again = solved(task, seeds=SEEDS, row=easy(task))
    assert torch.equal(again.weights, net.weights)


def test_errors_are_means_of_blocks(nets: dict[str, Solved]) -> None:
    """The first block again, by hand."""
    row = easy("adding")
    nets_again, errors = row.start(SEEDS[:1]), []
    drawn = row.data(SEEDS[0]).training(BLOCK)
    for k in range(BLOCK):
        here = slice(k, k + 1)
        sequences = Sequences(drawn.x[:, None, here], drawn.lengths[None, here], drawn.target[None, here])
        errors.append((nets_again.learn(sequences) - sequences.target).abs().mean().item())
    assert nets["adding"].errors[0, 0].item() == pytest.approx(np.mean(errors), rel=1e-4)


@pytest.mark.parametrize("task", TASKS)
def test_inside_is_what_the_net_computes(nets: dict[str, Solved], task: str) -> None:
    seen = inside(nets[task], seed=5)
    row = row_of(TASKS[task])
    system = row.start((0,))
    assert isinstance(system, ThroughTime)
    system.w[0] = nets[task].weights
    drawn = row.data(5).test(1)
    outputs = system.predict(Sequences(drawn.x[:, None], drawn.lengths[None], drawn.target[None]))
    np.testing.assert_allclose(seen.outputs, outputs[0, 0], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(seen.x, drawn.x[:, 0])
    np.testing.assert_array_equal(seen.target, drawn.target[0])


@pytest.mark.parametrize("task", TASKS)
def test_carrousels_move_by_no_more_than_the_gate_lets_in(nets: dict[str, Solved], task: str) -> None:
    seen = inside(nets[task])
    assert seen.c.shape == (len(seen.x), 4)
    assert {gate: values.shape for gate, values in seen.gates.items()} == {g: (len(seen.x), 2) for g in "io"}
    moved = np.abs(np.diff(seen.c, axis=0, prepend=0))
    assert (moved <= 2 * seen.gates["i"].repeat(2, axis=1) + 1e-5).all()
    assert moved.max() > 0


def test_a_kept_net_is_found(nets: dict[str, Solved], tmp_path: Path) -> None:
    written = solved("adding", tmp_path / "new", SEEDS, easy("adding"))
    found = solved("adding", tmp_path / "new", seeds=())  # nothing could be trained
    assert torch.equal(found.weights, written.weights)
    assert torch.equal(found.errors, written.errors)
    assert found.presented == written.presented == nets["adding"].presented


def test_a_file_that_was_cut_is_written_anew(nets: dict[str, Solved], tmp_path: Path) -> None:
    (tmp_path / "solved-temporal-order.safetensors").write_bytes(b"cut")
    for _ in range(2):
        found = solved("temporal order", tmp_path, SEEDS, easy("temporal order"))
        assert torch.equal(found.weights, nets["temporal order"].weights)
    assert (tmp_path / "solved-temporal-order.safetensors").stat().st_size > 4 * found.weights.numel()


def test_unknown_task() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown task 'addin'; they are adding, temporal order. Did you mean add"
    ):
        solved("addin")


def test_folder_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"solved - can not write .*safetensors: .* - free space there, or name ano"):
        solved("adding", tmp_path / "file", SEEDS, easy("adding"))


def test_figures(nets: dict[str, Solved]) -> None:
    adding, order = (figure(inside(nets[task], seed=1)) for task in TASKS)
    seen = inside(nets["adding"], seed=1)
    x1, x2 = seen.x[seen.x[:, 1] == 1][:, 0]
    assert f">X1 = {x1:+.2f}<" in adding.svg
    assert f">X2 = {x2:+.2f}<" in adding.svg
    assert f"= {seen.target[0]:.3f}." in adding.caption
    symbols = inside(nets["temporal order"], seed=1)
    assert f"right is {'QRSU'[symbols.target.argmax()]}." in order.caption
    assert ">E<" in order.svg
    assert ">B<" in order.svg
    assert ">block 2<" in order.svg


def test_learning_curves(nets: dict[str, Solved]) -> None:
    found = curve_figure(list(nets.values()))
    assert ">temporal order: mean absolute error<" in found.svg
    assert "3 nets" in found.caption
