"""What every learning system does: start a population, see a sequence, learn, predict."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from carrousel.tasks.sequences import Sequences

__all__ = ["Nets", "System"]


class Nets(Protocol):
    """Networks of one shape that learn side by side, one trial of an experiment each.

    All states are zero where a sequence starts. A network whose sequence has ended is idle: its weights stay as they
    are, and what is returned for it is zero.
    """

    @property
    def weights(self) -> int:
        """The trainable weights of one network, as the papers count them."""

    def __len__(self) -> int:
        """Return how many networks there are."""

    def predict(self, sequences: Sequences) -> Tensor:
        """Compute the outputs; nothing is learned.

        Args:
            sequences: as `carrousel.tasks.sequences` has them, rows being (net, batch).

        Returns:
            (time, net, batch, output) if there is a target at every step, else the outputs at the last step of each
            sequence, (net, batch, output).
        """

    def learn(self, sequences: Sequences) -> Tensor:
        """Learn from sequences.

        Args:
            sequences: as in `predict`. The changes that the sequences of a batch ask for are summed.

        Returns:
            As `predict`: the outputs as they were before each change of the weights.
        """

    def replace(self, net: int, seed: int) -> None:
        """Put a fresh network in the place of one.

        Args:
            net: which one.
            seed: decides the weights of the fresh one.
        """


class System(Protocol):
    """The settings of a learning system."""

    def start(self, seeds: Sequence[int]) -> Nets:
        """Draw networks.

        Args:
            seeds: one for each network; the weights of a network depend on nothing else.

        Returns:
            As many networks as there are seeds.
        """
