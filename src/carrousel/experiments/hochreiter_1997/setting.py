"""The LSTM of the paper as its experiments set it up, with a switch for everything that the text leaves open."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import Tensor

from carrousel.cell import Cell
from carrousel.cells import lstm_1997
from carrousel.systems import readout
from carrousel.systems.network import Network
from carrousel.systems.real_time import RealTime
from carrousel.systems.system import Nets
from carrousel.systems.through_time import ThroughTime
from carrousel.tasks.sequences import Sequences
from carrousel.transforms import variant

__all__ = ["SOURCE", "errors", "largest", "lstm", "sizes"]

SOURCE = "Hochreiter & Schmidhuber (1997)"


def lstm(
    inputs: int,
    outputs: int,
    blocks: int,
    block_size: int,
    rate: float,
    *,
    output_gates: Sequence[float] = (),
    input_gates: Sequence[float] = (),
    biased: bool | tuple[str, ...] = True,
    output_bias: bool = True,
    symbols: bool = False,
    scale: float = 0.1,
    factor: int = 1,
    linear: bool = False,
    g_range: float = 2,
    h_range: float = 1,
    full_gradient: bool = False,
    every_step: bool = False,
    recurrent: bool = True,
    fixed: tuple[str, ...] = (),
) -> Callable[[Sequence[int]], Nets]:
    """Return what starts LSTMs of the paper, seeds -> networks.

    Args:
        inputs: input units, or symbols.
        outputs: output units.
        blocks: memory cell blocks.
        block_size: memory cells of a block.
        rate: the learning rate alpha.
        output_gates: first biases of the output gates; random if there are none.
        input_gates: those of the input gates.
        biased: which hidden units have biases, as in `Network`.
        output_bias: whether the output units have biases.
        symbols: whether the inputs are one-hot.
        scale: weights are drawn from [-scale, scale].
        factor: 2 keeps the factor of the derivative of E = sum (t - y)^2, which equations (18)-(28) leave out.
        linear: linear output units; "all activation functions are logistic" (5.4).
        g_range: g is in [-g_range, g_range]: 2 in the text, 1 in the caption of Table 10.
        h_range: h is in [-h_range, h_range]: 1 in the text, 2 in the caption of Table 10.
        full_gradient: the gradient through time as it is; else truncated, as appendix A.1 says.
        every_step: weights change at every step, else at the end of each sequence; where the error is at the end only,
            that is the same.
        fixed: gates whose biases keep their first values.
        recurrent: whether hidden units receive the last activations of cells and gates, as wiring F of Table 10 says.
    """
    cell = lstm_1997.fully_wired(g_range, h_range) if recurrent else inputs_alone(g_range, h_range)
    start = {"o": output_gates, "i": input_gates}
    network = Network(
        cell if full_gradient else cell.truncated(),
        inputs,
        outputs,
        hidden=blocks * block_size,
        block_size=block_size,
        biased=biased,
        linear=linear,
        output_bias=output_bias,
        symbols=symbols,
        scale=scale,
        start={gate: tuple(biases) for gate, biases in start.items() if biases},
        fixed=fixed,
    )
    if every_step:
        return lambda seeds: RealTime(network, seeds, factor * rate)
    return lambda seeds: ThroughTime(network, seeds, factor * rate)


def inputs_alone(g_range: float, h_range: float) -> Cell:
    """Return the memory cell whose gates and cells receive from the inputs only."""
    return variant(
        lstm_1997.memory_cell(g_range, h_range),
        "lstm_1997_inputs_alone",
        "LSTM of 1997 whose hidden units receive from the inputs only.",
        i="sigmoid(W.i @ x + b.i)",
        o="sigmoid(W.o @ x + b.o)",
        z="2 * g_range * sigmoid(W.z @ x + b.z) - g_range",
    )


def largest(outputs: Tensor, sequences: Sequences) -> np.ndarray:
    """Return each sequence's largest absolute error of an output at its end, (net, batch)."""
    found: np.ndarray = (outputs - sequences.target).abs().amax(-1).numpy()
    return found


def errors(within: float) -> Callable[[Tensor, Sequences], Mapping[str, np.ndarray]]:
    """Return a measure: the share of sequences with an error of `within` or more, mean absolute and RMS error."""

    def measure(outputs: Tensor, sequences: Sequences) -> Mapping[str, np.ndarray]:
        difference = (outputs - sequences.target).abs()
        wrong = readout.misses(difference.amax(-1), within)
        return {
            "wrong": wrong.float().mean(1).numpy(),
            "mean absolute error": difference.mean((1, 2)).numpy(),
            "root mean squared error": difference.square().mean((1, 2)).sqrt().numpy(),
        }

    return measure


def sizes(quick: int, standard: int, full: int) -> Mapping[str, int]:
    """Size of a run -> a number; the row is left out where it is 0."""
    given = {"quick": quick, "standard": standard, "full": full}
    return {size: number for size, number in given.items() if number}
