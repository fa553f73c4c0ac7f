"""The LSTMs of the paper: with and without forget gates, or with states that decay."""

from collections.abc import Callable, Sequence

from carrousel.cell import Cell, cell
from carrousel.cells import lstm_1997
from carrousel.functions import sigmoid
from carrousel.systems.continual import Continual
from carrousel.systems.judgement import Judgement
from carrousel.systems.network import Network
from carrousel.systems.system import Nets
from carrousel.transforms import variant

__all__ = ["BLOCKS", "SOURCE", "STANDARD", "continual", "forgetting", "network"]

SOURCE = "Gers, Schmidhuber & Cummins (2000)"

#: Memory cell blocks, and cells of a block.
BLOCKS, SIZE = 4, 2

#: Standard LSTM: only cells feed back.
STANDARD = lstm_1997.lstm_1997


@cell(shared=("i", "f", "o"))
def forgetting(x, h_prev, c_prev, W, R, b):
    """LSTM with forget gates, g in [-2, 2] and h in [-1, 1]; only cells feed back.

    Source: Gers, Schmidhuber & Cummins (2000), Learning to forget, Neural Computation 12(10), 2451-2471.
    """
    i = sigmoid(W.i @ x + R.i @ h_prev + b.i)
    f = sigmoid(W.f @ x + R.f @ h_prev + b.f)
    o = sigmoid(W.o @ x + R.o @ h_prev + b.o)
    z = 4 * sigmoid(W.z @ x + R.z @ h_prev + b.z) - 2
    c = f * c_prev + i * z
    h = o * (2 * sigmoid(c) - 1)
    return h, c


def decaying(share: float) -> Cell:
    """Return standard LSTM whose states keep a share of themselves at every step."""
    return variant(STANDARD, "lstm_decay", f"States keep {share} of themselves.", c=f"{share} * c_prev + i * z")


def network(memory_cell: Cell, inputs: int, outputs: int, forget: Sequence[float] = ()) -> Network:
    """Return the net of the paper.

    Args:
        memory_cell: of its hidden layer.
        inputs: symbols.
        outputs: output units.
        forget: first biases of the forget gates, by default 0.5, 1, 1.5, 2.
    """
    staggered = tuple(0.5 * (block + 1) for block in range(BLOCKS))
    start = {"i": tuple(-bias for bias in staggered), "o": tuple(-bias for bias in staggered)}
    has_forget_gates = memory_cell is forgetting
    return Network(
        memory_cell.truncated(),
        inputs,
        outputs,
        hidden=BLOCKS * SIZE,
        block_size=SIZE,
        biased=("i", "f", "o") if has_forget_gates else ("i", "o"),
        shortcut=True,
        symbols=True,
        scale=0.2,
        start={**start, "f": tuple(forget or staggered)} if has_forget_gates else start,
    )


def continual(
    net: Network,
    rate: float,
    wrong: Judgement,
    *,
    decay: float = 1.0,
    longest: int = 100_000,
    has_resets: bool = False,
) -> Callable[[Sequence[int]], Nets]:
    """Return what starts nets on streams, seeds -> networks; arguments as of `Continual`."""
    return lambda seeds: Continual(net, seeds, rate, wrong, decay=decay, longest=longest, has_resets=has_resets)
