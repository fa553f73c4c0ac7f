"""A long lag: an LSTM and an Elman net learn the adding problem side by side."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from carrousel.nn import LSTM, RNN
from carrousel.nn.init import chrono
from carrousel.tasks.adding import CORRECT_WITHIN, adding
from carrousel.tasks.sequences import Sequences

__all__ = ["Adder", "Report", "Settings", "make", "run"]


@dataclass(frozen=True)
class Settings:
    """What is trained; both networks have the same size, optimiser and batches.

    Attributes:
        minimal_length: T of the adding problem; the shortest lag is T/2.
        hidden_size: units of each network.
        updates, batch_size, learning_rate: of Adam. The paper's own optimiser is plain gradient descent, one sequence
            at a time, and needs a hundred thousand sequences and more.
        tests: how often the error is measured on the way.
        test_size: sequences that the error is measured on; none of them is trained on.
    """

    minimal_length: int = 500
    hidden_size: int = 16
    updates: int = 600
    batch_size: int = 64
    learning_rate: float = 1e-2
    tests: int = 20
    test_size: int = 512


class Adder(nn.Module):
    """A recurrent layer with one linear output, read at the end of each sequence.

    Args:
        layer: a carrousel.LSTM or carrousel.RNN.

    Shapes:
        - batch.x: (time, batch, 2)
        - returned: (batch, 1)

    Example:
        >>> Adder(LSTM(2, 4))(adding(3, 20)).shape
        torch.Size([3, 1])
    """

    def __init__(self, layer: LSTM | RNN) -> None:
        super().__init__()
        self.layer = layer
        self.readout = nn.Linear(layer.hidden_size, 1)
        nn.init.constant_(self.readout.bias, 0.5)  # the mean of the targets

    def forward(self, batch: Sequences) -> Tensor:
        """Return what the network says at the last pair of each sequence."""
        output, _ = self.layer(batch.x)
        last = output[batch.lengths - 1, torch.arange(len(batch.lengths))]  # what comes after it can not reach back
        said: Tensor = self.readout(last)
        return said


def make(settings: Settings) -> dict[str, Adder]:
    """Make the two networks.

    The gates of the LSTM begin open for about the lag (chrono initialisation); an Elman net has no gates to set.

    Args:
        settings: sizes.

    Returns:
        "LSTM" and "Elman net".

    Source:
        Elman (1990), Cognitive Science 14, 179-211; Tallec & Ollivier (2018), Can recurrent neural networks warp time?
    """
    return {
        "LSTM": Adder(LSTM(2, settings.hidden_size, init=chrono(settings.minimal_length))),
        "Elman net": Adder(RNN(2, settings.hidden_size)),
    }


@dataclass(frozen=True)
class Report:
    """How the errors fell.

    Attributes:
        minimal_length: T.
        sequences: how many training sequences had been seen at each test.
        error: name -> mean squared error on the test sequences at each test.
        correct: name -> share of the test sequences that are right within 0.04 at the end.
        mean_error: the mean squared error of always saying 0.5, the mean of the targets.
        example: one batch of a single sequence, to look at.
    """

    minimal_length: int
    sequences: list[int]
    error: dict[str, list[float]]
    correct: dict[str, float]
    mean_error: float
    example: Sequences

    @property
    def verdict(self) -> str:
        """One line per network on whether it bridged the lag."""
        return "\n".join(self._said(name) for name in self.error)

    def _said(self, name: str) -> str:
        ratio = self.error[name][-1] / self.mean_error
        right = f"{self.correct[name]:.1%} of the test sequences right within {CORRECT_WITHIN}"
        if ratio < 0.1:
            return f"The {name} bridged the lag: an error {1 / ratio:,.0f} times smaller than the mean's, {right}."
        if ratio < 0.9:
            return f"The {name} bridged the lag in part: {ratio:.0%} of the mean's error, {right}."
        return f"The {name} did not bridge the lag: {ratio:.0%} of the mean's error, {right}."


def run(settings: Settings, seed: int, advance: Callable[[], None] = lambda: None) -> Report:
    """Train both networks on the same batches.

    Args:
        settings: sizes and the optimiser's options.
        seed: of weights and sequences.
        advance: called after every update of both networks.

    Returns:
        The errors on the way and at the end.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        test = adding(settings.test_size, settings.minimal_length)
        example = adding(1, settings.minimal_length)
        nets = make(settings)
        optimisers = {name: torch.optim.Adam(net.parameters(), settings.learning_rate) for name, net in nets.items()}
        sequences: list[int] = []
        error: dict[str, list[float]] = {name: [] for name in nets}
        for update in range(settings.updates + 1):
            if update * settings.tests // settings.updates > (update - 1) * settings.tests // settings.updates:
                sequences.append(update * settings.batch_size)
                for name, net in nets.items():
                    error[name].append(_squared_error(net, test).item())
            if update == settings.updates:
                break
            batch = adding(settings.batch_size, settings.minimal_length)
            for name, net in nets.items():
                _update(net, optimisers[name], batch)
            advance()
        return Report(
            settings.minimal_length,
            sequences,
            error,
            {name: _share_correct(net, test) for name, net in nets.items()},
            float(((test.target - 0.5) ** 2).mean()),
            example,
        )


def _update(net: Adder, optimiser: torch.optim.Optimizer, batch: Sequences) -> None:
    loss = nn.functional.mse_loss(net(batch), batch.target)
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimiser.step()


@torch.no_grad()
def _squared_error(net: Adder, test: Sequences) -> Tensor:
    return nn.functional.mse_loss(net(test), test.target)


@torch.no_grad()
def _share_correct(net: Adder, test: Sequences) -> float:
    return float(((net(test) - test.target).abs() < CORRECT_WITHIN).float().mean())
