"""Nets that solved a task, and what their gates and carrousels do over one sequence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from carrousel.errors import OutputError, UnknownNameError, did_you_mean
from carrousel.experiments.layer import layer_of
from carrousel.experiments.tables import row_of
from carrousel.experiments.training import LANES, side_by_side
from carrousel.experiments.trials import Row
from carrousel.systems import readout
from carrousel.systems.network import Network
from carrousel.systems.through_time import ThroughTime
from carrousel.tasks.sequences import Sequences
from carrousel.tasks.temporal_order import CLASSES, SYMBOLS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from carrousel.report.page import Picture

__all__ = ["TASKS", "Inside", "Solved", "curve_figure", "figure", "inside", "solved"]

#: task -> key of the row that says what is trained and when it is solved.
TASKS = {"adding": "7 / T=100 / closest", "temporal order": "9 / 6a / literal"}

#: Presentations between two points of the learning curves.
BLOCK = 200


@dataclass(frozen=True)
class Solved:
    """A net that met the criterion of its row, and how its population learned.

    Attributes:
        task: of TASKS.
        weights: those of the first net that solved the task, (weight,).
        presented: sequences until then.
        errors: mean absolute error of every block of BLOCK sequences, (net, block).
    """

    task: str
    weights: Tensor
    presented: int
    errors: Tensor


@dataclass(frozen=True)
class Inside:
    """One sequence, and what it does to a net.

    Attributes:
        task: of TASKS.
        x: the inputs, (time, input), or symbols, (time,).
        gates: "i" and "o" -> (time, block).
        c: the states of the carrousels, (time, hidden).
        outputs: at the last step, (output,).
        target: what they should be, (output,).
    """

    task: str
    x: np.ndarray
    gates: Mapping[str, np.ndarray]
    c: np.ndarray
    outputs: np.ndarray
    target: np.ndarray


def solved(
    task: str, folder: Path | None = None, seeds: Sequence[int] = range(LANES), row: Row | None = None
) -> Solved:
    """Return a net that solved a task: trained now, or kept by an earlier call.

    Args:
        task: "adding" or "temporal order".
        folder: where nets are kept; None for nowhere.
        seeds: the nets that are trained side by side until one of them has met the criterion.
        row: says what is trained and when it is solved, if it is not the row of TASKS.

    Raises:
        UnknownNameError: there is no such task.
        OutputError: the net can not be written.
    """
    row = row or _row(task)
    path = None if folder is None else folder / f"solved-{task.replace(' ', '-')}.safetensors"
    if path is not None and (kept := _kept(task, path)) is not None:
        return kept
    found = _train(task, row, seeds)
    if path is not None:
        tensors = {"weights": found.weights, "errors": found.errors, "presented": torch.tensor(found.presented)}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(save(tensors))
        except OSError as error:
            raise OutputError(
                f"solved - can not write {path}: {error.strerror} - free space there, or name another folder with --out"
            ) from error
    return found


def _row(task: str) -> Row:
    if task not in TASKS:
        raise UnknownNameError(
            f"solved - unknown task {task!r}; they are {', '.join(TASKS)}.{did_you_mean(task, TASKS)}"
        )
    return row_of(TASKS[task])


def _kept(task: str, path: Path) -> Solved | None:
    """A kept net; None where there is none, or the file was cut: it is trained and written anew."""
    try:
        tensors = load(path.read_bytes())
    except (OSError, SafetensorError):
        return None
    return Solved(task, tensors["weights"], int(tensors["presented"]), tensors["errors"])


def _train(task: str, row: Row, seeds: Sequence[int]) -> Solved:
    """Train nets side by side until the first of them has met the row's criterion."""
    nets = row.start(seeds)
    assert isinstance(nets, ThroughTime), type(nets)
    data, criterion = [row.data(seed) for seed in seeds], row.criterion(len(seeds))
    for net, drawn in enumerate(data):
        criterion.begin(net, drawn)
    errors: list[Tensor] = []
    while True:
        block = side_by_side([drawn.training(BLOCK) for drawn in data])
        total = torch.zeros(len(seeds))
        for k in range(BLOCK):
            sequences = _presentation(block, k)
            outputs = nets.learn(sequences)
            total += (outputs - sequences.target).abs().mean((1, 2))
            criterion.see(outputs, sequences)
            met = criterion.met() == len(criterion.milestones)
            if met.any():
                errors.append(total / (k + 1))
                presented = (len(errors) - 1) * BLOCK + k + 1
                return Solved(task, nets.w[int(met.argmax())].clone(), presented, torch.stack(errors, 1))
        errors.append(total / BLOCK)


def _presentation(block: Sequences, k: int) -> Sequences:
    here = slice(k, k + 1)
    return Sequences(block.x[:, :, here], block.lengths[:, here], block.target[:, here])


def inside(net: Solved, seed: int = 0) -> Inside:
    """Run a net over one fresh sequence and look at its gates and states.

    Args:
        net: what was trained.
        seed: decides the sequence.
    """
    row = _row(net.task)
    nets = row.start((0,))
    assert isinstance(nets, ThroughTime), type(nets)
    network: Network = nets.network
    drawn = row.data(seed).test(1)
    layer = layer_of(network, net.weights)
    x = torch.nn.functional.one_hot(drawn.x, network.inputs).float() if network.symbols else drawn.x
    with torch.no_grad():
        h, _, trace = layer(x, return_trace=("i", "o", "c"))
        asked = drawn.x[-1:].transpose(0, 1)
        outputs = readout.outputs(network, net.weights[None], h[-1:].transpose(0, 1), asked)
    seen = {name.removesuffix("_l0"): values[:, 0].numpy() for name, values in trace.items()}
    gates = {gate: seen[gate] for gate in ("i", "o")}
    return Inside(net.task, drawn.x[:, 0].numpy(), gates, seen["c"], outputs[0, 0].numpy(), drawn.target[0].numpy())


# ---------------------------------------------------------------------- pictures


def figure(seen: Inside) -> "Picture":
    """Draw inputs, gates and carrousel states over the sequence.

    Args:
        seen: what was looked at.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from carrousel.report.figures import COLOURS, canvas, legend, picture

    drawing, panels = canvas([1.35, 1.15, 1.9, 1.5], is_shared=True)
    steps = np.arange(1, len(seen.x) + 1)
    if seen.task == "adding":
        _draw_pairs(panels[0], steps, seen)
    else:
        _draw_symbols(panels[0], steps, seen)
    cells_of_a_block = seen.c.shape[1] // seen.gates["i"].shape[1]
    for axes, gate, name in ((panels[1], "i", "input gates"), (panels[3], "o", "output gates")):
        for block, values in enumerate(seen.gates[gate].T):
            axes.plot(steps, values, color=COLOURS[block], lw=1.6, label=f"block {block + 1}")
        axes.set_ylim(-0.03, 1.03)
        axes.set_title(name, loc="left", fontsize=9)
    for cell, values in enumerate(seen.c.T):
        block = cell // cells_of_a_block
        dashes = "-" if cell % cells_of_a_block == 0 else (0, (4, 1.5))
        panels[2].plot(steps, values, color=COLOURS[block], lw=1.8, ls=dashes)
    panels[2].set_title("state c of the carrousels, one line a cell", loc="left", fontsize=9)
    panels[3].set_xlabel("step")
    legend(panels[3])
    return picture(
        drawing,
        f"Inside a net that solved {seen.task}: what opens the gates, what the carrousels keep",
        f"One sequence that the net was not trained on. {_answer(seen)} Colours are memory cell blocks; their cells "
        "share the gates.",
    )


def _draw_pairs(axes: "Axes", steps: np.ndarray, seen: Inside) -> None:
    from carrousel.report.figures import COLOURS, GREY

    value, marker = seen.x.T
    axes.vlines(steps, 0, value, color=GREY, lw=0.7, alpha=0.6)
    for number, at in enumerate(np.flatnonzero(marker == 1), start=1):
        axes.vlines(steps[at], 0, value[at], color=COLOURS[3], lw=2)
        axes.plot(steps[at], value[at], "o", color=COLOURS[3], ms=5)
        axes.annotate(
            f"X{number} = {value[at]:+.2f}",
            (steps[at], value[at]),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=COLOURS[3],
            fontsize=8.5,
        )
    axes.set_ylim(-1.2, 1.2)
    axes.set_title("inputs: values, the marked ones in colour", loc="left", fontsize=9)


def _draw_symbols(axes: "Axes", steps: np.ndarray, seen: Inside) -> None:
    from carrousel.report.figures import COLOURS, GREY

    axes.set_ylim(-1, 4.6)
    axes.set_yticks(range(4), SYMBOLS[4:])
    for step, symbol in zip(steps, (SYMBOLS[number] for number in seen.x), strict=True):
        if symbol in "abcd":
            axes.plot(step, "abcd".index(symbol), "|", color=GREY, ms=5)
            continue
        colour = COLOURS[3] if symbol in "XY" else GREY
        axes.axvline(step, color=colour, lw=1.4)
        axes.annotate(symbol, (step, 4.1), xytext=(3, 0), textcoords="offset points", color=colour, fontsize=9)
    axes.grid(visible=False)
    axes.set_title("inputs: symbols, those that matter in colour", loc="left", fontsize=9)


def _answer(seen: Inside) -> str:
    if seen.task == "adding":
        return f"It answers {seen.outputs[0]:.3f}; right is 0.5 + (X1 + X2) / 4 = {seen.target[0]:.3f}."
    classes = CLASSES[len(seen.target).bit_length() - 1]
    said = ", ".join(f"{name} {value:.2f}" for name, value in zip(classes, seen.outputs, strict=True))
    return f"It answers {said}; right is {classes[int(seen.target.argmax())]}."


def curve_figure(nets: Sequence[Solved]) -> "Picture":
    """Draw the learning curves of populations.

    Args:
        nets: one for each task.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from carrousel.report.figures import COLOURS, canvas, log_axis, picture, thousands

    drawing, panels = canvas([2.1] * len(nets))
    for axes, net in zip(panels, nets, strict=True):
        blocks = net.errors.numpy()
        places = BLOCK * np.arange(1, blocks.shape[1] + 1)
        places[-1] = net.presented
        axes.plot(places, blocks.T, color=COLOURS[8], lw=0.7, alpha=0.6)
        axes.plot(places, np.median(blocks, 0), color=COLOURS[0], lw=2.2)
        log_axis(axes, "y", has_thirds=True)
        thousands(axes)
        axes.set_xlim(0, net.presented)
        axes.set_title(f"{net.task}: mean absolute error", loc="left", fontsize=9)
    panels[-1].set_xlabel("training sequences")
    return picture(
        drawing,
        "Learning curves",
        f"Mean absolute error at the end of the training sequences, {BLOCK} at a time, until the first net met the "
        f"criterion. Grey: {nets[0].errors.shape[0]} nets, blue: their median.",
    )
