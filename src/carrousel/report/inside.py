"""What goes on in recurrent layers over one example: gates, the carrousel's state, how far back the error reaches."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from carrousel.nn.recurrent import Recurrent
from carrousel.report.figures import COLOURS, GREY, canvas, legend, log_axis, picture
from carrousel.report.page import Picture, Section

__all__ = ["Inside", "inside", "look_inside"]

Array = NDArray[np.float64]

#: Gates that are drawn, at most, and units.
_GATES, _UNITS = 4, 96

_SHARES = (0.5, 0.9)


@dataclass(frozen=True)
class Inside:
    """What the last layer did over one sequence.

    Attributes:
        gates: name -> (step, unit).
        state_name: of the state that is carried furthest, c of an LSTM.
        state: (step, unit).
        reach: (step,), the norm of the derivative of the error by the input of each step.
    """

    gates: dict[str, Array]
    state_name: str
    state: Array
    reach: Array

    def steps_back(self, share: float) -> int:
        """Return how many of the last steps make up this share of the gradient, of all steps' norms added."""
        back = np.cumsum(self.reach[::-1])
        return int(np.searchsorted(back, share * back[-1]) + 1) if back[-1] > 0 else 0


def look_inside(layer: Recurrent, x: Tensor, error: Callable[[Tensor], Tensor], states: Any = None) -> Inside:
    """Run recurrent layers over one sequence and keep what they did.

    Args:
        layer: of any cell.
        x: the sequence, (time, 1, input).
        error: from the layer's output (time, 1, size) to the error of the net that the layer is in, one number.
        states: before the first step; those of the layer's start if None.

    Returns:
        Gates and state of the last layer, read forwards, and the gradient.

    Example:
        >>> layer = Recurrent("lstm", input_size=2, hidden_size=3)
        >>> found = look_inside(layer, torch.randn(5, 1, 2), lambda output: output[-1].sum())
        >>> sorted(found.gates), found.state_name, found.reach.shape
        (['f', 'i', 'o'], 'c', (5,))
    """
    cell = layer.cell
    gates = [name for name in _gates(layer) if name in cell.traceable]
    states_there = [name for name in cell.states if name in cell.traceable]
    state = "c" if "c" in states_there else states_there[-1]
    last = f"_l{layer.num_layers - 1}"
    x = x.detach().clone().requires_grad_()
    batch_first, layer.batch_first = layer.batch_first, False
    try:
        with torch.enable_grad():
            output, _, trace = layer(x, states, return_trace=(*gates, state))
            (gradient,) = torch.autograd.grad(error(output), x)
    finally:
        layer.batch_first = batch_first
    found = {name: trace[name + last].detach()[:, 0].numpy().astype(float) for name in (*gates, state)}
    reach = gradient[:, 0].norm(dim=-1).numpy().astype(float)
    return Inside({name: found[name] for name in gates}, state, found[state], reach)


def inside(found: Inside, what: str, step: str = "step", text: tuple[str, ...] = ()) -> Section:
    """Return what was found as a part of a page.

    Args:
        found: what `look_inside` found.
        what: the example, in words.
        step: what one step of the layers is, in words.
        text: paragraphs before the pictures.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    half, most = (found.steps_back(share) for share in _SHARES)
    said = (
        f"The last layer over one example: {what}. Half of the gradient of its error comes from the last {half} of "
        f"{len(found.reach)} steps, nine tenths from the last {most}."
    )
    pictures = (_state(found, step), *([_gate_lines(found, step)] if found.gates else []), _reach(found, step))
    return Section("Inside the net", (*text, said), pictures=pictures)


def _gates(layer: Recurrent) -> list[str]:
    """The quantities between 0 and 1 that open and close: what has a bias and the name of a gate."""
    biased = {gate for group in layer.cell.groups if group.name in ("b", "bR") for gate in group.gates}
    known: list[str] = [name for name in ("i", "f", "o", "r", "u", "z") if name in biased]
    # the letter z is the input of an LSTM, and a gate of a GRU
    return [name for name in known if name != "z" or "c" not in layer.cell.states][:_GATES]


def _state(found: Inside, step: str) -> Picture:
    """Units in the order of how steadily they carry: what changes slowly is at the top."""
    values = found.state
    change = np.abs(np.diff(values, axis=0)).sum(0) / (np.abs(values).sum(0) + 1e-12)
    values = values[:, np.argsort(change)][:, :_UNITS].T
    largest = max(float(np.quantile(np.abs(values), 0.99)), 1e-9)
    strength = np.clip(np.abs(values) / largest, 0, 1)
    colours = np.empty((*values.shape, 4))
    # deeper is larger; nothing is drawn at zero, so that it is read by day and by night
    for sign, colour in ((1, COLOURS[0]), (-1, COLOURS[1])):
        colours[values * sign >= 0, :3] = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    colours[..., 3] = strength
    drawing, (axes,) = canvas([3.2])
    axes.grid(visible=False)
    shown = (0.5, values.shape[1] + 0.5, values.shape[0] + 0.5, 0.5)
    axes.imshow(colours, aspect="auto", interpolation="nearest", extent=shown)
    axes.set(xlabel=step, ylabel="unit")
    caption = (
        f"The state {found.state_name} of every unit: blue above zero, orange below, deeper is larger (up to "
        f"{largest:.2g}); the units that change least are on top."
    )
    return picture(drawing, f"The carrousel: state {found.state_name}", caption)


def _gate_lines(found: Inside, step: str) -> Picture:
    drawing, (axes,) = canvas([2.6])
    steps = np.arange(1, len(found.reach) + 1)
    for colour, (name, values) in zip(COLOURS, found.gates.items(), strict=False):
        low, middle, high = np.quantile(values, (0.1, 0.5, 0.9), axis=1)
        axes.fill_between(steps, low, high, color=colour, alpha=0.15, lw=0)
        axes.plot(steps, middle, color=colour, lw=2, label=f"{name}: {_WORDS.get(name, 'gate')}")
    axes.set_ylim(0, 1)
    axes.set_xlabel(step)
    legend(axes, columns=min(3, len(found.gates)))
    return picture(drawing, "Gates", "The median over the units, and the range of eight tenths of them; 1 is open.")


_WORDS = {
    "i": "input gate",
    "f": "forget gate",
    "o": "output gate",
    "r": "reset gate",
    "u": "update gate",
    "z": "update gate",
}


def _reach(found: Inside, step: str) -> Picture:
    drawing, (axes,) = canvas([2.4])
    back = np.arange(len(found.reach))
    values = np.maximum(found.reach[::-1], 1e-30)
    if values.max() > 1e-20:
        log_axis(axes, "y")
        axes.set_ylim(max(values.min(), values.max() * 1e-8) / 2, values.max() * 2)
    axes.plot(back, values, color=COLOURS[2], lw=2, marker="." if len(back) < 60 else "")
    for share in _SHARES:
        axes.axvline(found.steps_back(share) - 1, color=GREY, lw=1.2, ls="--")
    axes.set_xlabel(f"{step}s before the last")
    caption = (
        "The norm of the derivative of the error by the input of each step. Dashed: where half, and nine tenths, of it "
        "is reached."
    )
    return picture(drawing, "How far back the error reaches", caption)
