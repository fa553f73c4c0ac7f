"""The nets of the paper, as they start, and how they are trained: batches, the gradient clipped, a fixed rate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from carrousel import cells
from carrousel.systems.network import Network
from carrousel.systems.system import Nets
from carrousel.systems.through_time import ThroughTime
from carrousel.tasks.sequences import Sequences

__all__ = ["BATCH", "SOURCE", "mean_squared_error", "trained"]

SOURCE = "Le, Jaitly & Hinton (2015)"

#: Sequences of a batch, and hidden units. The size of the batches is an assumption.
BATCH, HIDDEN = 16, 100

#: Standard deviation of first weights of the net of rectified linear units.
DEVIATION = 0.001

CELLS = {"IRNN": "irnn", "LSTM": "lstm", "tanh RNN": "elman"}


@dataclass(frozen=True)
class FromTheIdentity(Network):
    """A net whose recurrent weights start as the identity, its biases as zero, all other weights as small noise."""

    def draw(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Tensor:
        """Draw the weights of one net, (weight,)."""
        weights = DEVIATION * torch.randn(1, self.weights, generator=generator, dtype=torch.float64)
        self.part(weights, "R")[0] = torch.eye(self.hidden)
        self.part(weights, "b").zero_()
        return weights[0].to(dtype)


def trained(
    kind: str,
    inputs: int,
    outputs: int,
    rate: float,
    clip: float,
    forget: float = 0.0,
    *,
    linear: bool = True,
    hidden: int = HIDDEN,
) -> Callable[[Sequence[int]], Nets]:
    """Return what starts nets, seeds -> networks.

    Args:
        kind: of CELLS.
        inputs, outputs, hidden: units.
        rate: the learning rate, for the mean over a batch.
        clip: the largest norm of the gradient of the mean squared error over a batch.
        forget: first bias of the forget gates of an LSTM.
        linear: whether the outputs are linear, else logistic.
    """
    is_identity = kind == "IRNN"
    network = (FromTheIdentity if is_identity else Network)(
        cells.get(CELLS[kind]),
        inputs,
        outputs,
        hidden,
        linear=linear,
        scale=hidden**-0.5,  # an assumption for LSTM and tanh units
        start={"f": (forget,) * hidden} if kind == "LSTM" else {},
    )
    share = 2 / BATCH  # `ThroughTime` sums over the batch, and leaves out the factor 2 of the squared error
    return lambda seeds: ThroughTime(network, seeds, share * rate, clip / share)


def mean_squared_error(outputs: Tensor, sequences: Sequences) -> Mapping[str, np.ndarray]:
    """Return each net's mean squared error."""
    return {"mean squared error": (outputs - sequences.target).square().mean((1, 2)).numpy()}
