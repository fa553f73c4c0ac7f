"""How much of an error is left some steps earlier: measured in nets as they start, and bounded where it must vanish."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from carrousel.cells.elman import simple_recurrent
from carrousel.errors import OptionError
from carrousel.functions import sigmoid
from carrousel.nn.init import Stack, chrono, torch_uniform
from carrousel.nn.recurrent import Recurrent

if TYPE_CHECKING:
    from carrousel.report.page import Picture

__all__ = ["BOUNDED", "CELLS", "LAGS", "Flow", "error_flow", "figure", "hochreiter_bound"]

INPUTS, HIDDEN = 2, 16
LAGS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000)

#: Steps before the first state that is asked for: there nothing is left of the zeros that the states begin with.
WARM_UP = 100

#: The largest derivative of the logistic function.
LARGEST_SLOPE = 0.25


def _small(stack: Stack) -> None:
    """Draw everything from [-0.1, 0.1], as most experiments of 1997 do."""
    for parameter in stack.parameters.values():
        torch.nn.init.uniform_(parameter, -0.1, 0.1)


def _net(cell: object, **options: object) -> Callable[[], Recurrent]:
    return lambda: Recurrent(cell, INPUTS, HIDDEN, dtype=torch.float64, **options)  # type: ignore[arg-type]


#: The net whose bound is drawn.
BOUNDED = "Elman, logistic"

#: name -> a net with its usual initial weights: PyTorch's, the paper's where it has its own.
CELLS: Mapping[str, Callable[[], Recurrent]] = {
    BOUNDED: _net(simple_recurrent(sigmoid), init=torch_uniform),
    "Elman, tanh": _net("elman"),
    "IRNN": _net("irnn"),
    "LSTM 1997": _net("lstm_1997", init=_small),
    "LSTM 1997, truncated": _net("lstm_1997_truncated", init=_small),
    "LSTM 2000, forget bias 1": _net("lstm", forget_bias=1.0),
    "LSTM 2000, chrono": _net("lstm", init=chrono(max(LAGS))),
    "LSTM 2002, peepholes": _net("peephole_lstm", forget_bias=1.0),
}


@dataclass(frozen=True)
class Flow:
    """Norms of gradients.

    Attributes:
        lags: steps between the loss and the state.
        norms: name of a net -> the norm of the loss's derivative by all states, (seed, lag).
        bound: Hochreiter's, for the net called BOUNDED, (seed, lag); None if it was not measured.
    """

    lags: tuple[int, ...]
    norms: Mapping[str, np.ndarray]
    bound: np.ndarray | None


def error_flow(
    cells: Mapping[str, Callable[[], Recurrent]] = CELLS, lags: Sequence[int] = LAGS, seeds: Sequence[int] = range(5)
) -> Flow:
    """Measure how a loss at the end of a sequence depends on the states some steps earlier.

    The loss is the product of the last output with a random vector of norm 1, the inputs are uniform in [-1, 1]. What
    is differentiated by are all states of the layer at that step: h, and c where there is one. The gradient is the one
    that the layer's own backward computes, in double precision: of a truncated cell the truncated one.

    Args:
        cells: name -> draws a layer from torch's global generator.
        lags: steps back.
        seeds: one for each net.

    Returns:
        The norms, net by net.

    Raises:
        OptionError: there are no seeds, or a lag is below 1.

    Example:
        >>> flow = error_flow({"Elman, tanh": CELLS["Elman, tanh"]}, lags=(1, 50), seeds=(0,))
        >>> near, far = flow.norms["Elman, tanh"][0]
        >>> bool(far < 1e-3 * near)
        True

    Source:
        Hochreiter & Schmidhuber (1997), section 3.1; Hochreiter (1991).
    """
    if not seeds or not lags or min(lags) < 1:
        raise OptionError(
            f"error_flow - got seeds {list(seeds)} and lags {list(lags)}, expected at least one of each, and lags of "
            "1 step or more - give others"
        )
    ordered = tuple(sorted(set(lags)))
    norms, bound = {}, []
    for name, draw in cells.items():
        rows = []
        for seed in seeds:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                layer = draw()
            rows.append(_norms(layer, ordered, seed))
            if name == BOUNDED:
                bound.append(hochreiter_bound(layer.get_parameter("weight_hh_l0").detach(), ordered))
        norms[name] = np.array(rows)
    return Flow(ordered, norms, np.array(bound) if bound else None)


def _norms(layer: Recurrent, lags: Sequence[int], seed: int) -> list[float]:
    """One net: the sequence is cut at every lag, so that the states there can be asked for."""
    generator = torch.Generator().manual_seed(seed)
    dtype = torch.float64
    x = 2 * torch.rand(WARM_UP + lags[-1] + 1, 1, layer.input_size, generator=generator, dtype=dtype) - 1
    direction = torch.randn(layer.hidden_size, generator=generator, dtype=dtype)
    pieces = [WARM_UP, *[far - near for far, near in itertools.pairwise(reversed((0, *lags)))]]
    state, met = None, []
    for piece in x.split([pieces[0] + 1, *pieces[1:]]):
        _, state = layer(piece, state)
        met.append(state if isinstance(state, tuple) else (state,))
    loss = met[-1][0].flatten() @ (direction / direction.norm())
    earlier = [part for states in met[:-1] for part in states]
    found = torch.autograd.grad(loss, earlier, allow_unused=True, materialize_grads=True)
    parts = len(met[0])
    by_cut = [torch.cat([g.flatten() for g in found[k : k + parts]]) for k in range(0, len(found), parts)]
    return [float(gradient.norm()) for gradient in reversed(by_cut)]


def hochreiter_bound(recurrent: Tensor, lags: Sequence[int]) -> list[float]:
    """Compute what no error between two units can exceed: n (f'max ||W||)^q.

    The norm of the matrix is its largest singular value; which one is meant makes no difference to the argument.

    Args:
        recurrent: the weights W between the units.
        lags: the steps q.

    Shapes:
        - recurrent: (hidden, hidden)

    Example:
        >>> hochreiter_bound(2 * torch.eye(3), (1, 2))
        [1.5, 0.75]

    Source:
        Hochreiter & Schmidhuber (1997), section 3.1, for logistic units, f'max = 1/4.
    """
    factor = LARGEST_SLOPE * float(torch.linalg.matrix_norm(recurrent, 2))
    return [len(recurrent) * factor**lag for lag in lags]


def figure(flow: Flow) -> "Picture":
    """Draw the norms against the lag: medians over the nets.

    Args:
        flow: what was measured.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    from carrousel.report.figures import COLOURS, INK, canvas, legend, log_axis, picture

    least, most = 1e-12, 1e3
    drawing, (axes,) = canvas([4.4])
    log_axis(axes, "x")
    log_axis(axes, "y")
    axes.set_ylim(least, most)
    axes.set_xlim(flow.lags[0], flow.lags[-1])
    for colour, (name, norms) in zip(COLOURS, flow.norms.items(), strict=False):
        axes.plot(flow.lags, np.median(norms, 0), color=colour, lw=2, label=name)
    if flow.bound is not None:
        axes.plot(
            flow.lags, np.median(flow.bound, 0), color=INK, lw=1.4, ls=(0, (4, 3)), label=f"bound, {BOUNDED}", zorder=4
        )
    axes.set_xlabel("lag, steps")
    axes.set_title("norm of the gradient", loc="left", fontsize=9)
    legend(axes)
    nets = len(next(iter(flow.norms.values())))
    return picture(
        drawing,
        "Error flow: how much of an error is left some steps earlier",
        "The norm of the derivative of a loss at the last step by all states some steps earlier, in nets with their "
        f"usual initial weights and random inputs; {HIDDEN} units, medians of {nets} nets. Dashed: Hochreiter's bound "
        "n (f'max ||W||)^q for the logistic Elman nets.",
    )
