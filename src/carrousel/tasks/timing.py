"""Timing: measure the delays of spikes (MSD), generate timed spikes (GTS), generate periodic functions (PFG)."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from carrousel.errors import OptionError, UnknownNameError, did_you_mean
from carrousel.nn.checks import whole_number
from carrousel.tasks.sequences import Sequences

__all__ = [
    "CORRECT_WITHIN",
    "FUNCTIONS",
    "FUNCTION_CORRECT_WITHIN",
    "INPUTS",
    "OUTPUTS",
    "generate_periodic_function",
    "generate_timed_spikes",
    "measure_spike_delays",
]

INPUTS = OUTPUTS = 1

#: MSD and GTS: a stream ends at the first output that is this far from its target.
CORRECT_WITHIN = 0.49

#: PFG: the same.
FUNCTION_CORRECT_WITHIN = 0.3

#: Name -> the function's value at a share of its period in [0, 1); each lies between 0 and 1.
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "cosine": lambda phase: (1 - torch.cos(2 * math.pi * phase)) / 2,
    "triangle": lambda phase: 1 - (2 * phase - 1).abs(),
    "rectangle": lambda phase: (phase > 0.5).to(phase.dtype),
}


def measure_spike_delays(
    batch_size: int,
    period: int = 10,
    delays: Sequence[int] = (0, 1),
    spikes: int = 100,
    *,
    generator: torch.Generator | None = None,
) -> Sequences:
    """Draw streams of spikes whose delays are to be told (MSD; with a single spike NMSD).

    Spike n comes at step T(n) = T(n - 1) + F + I(n), F being the period, T(0) = 0 and the first step number 1; the
    delay I(n) is drawn from a set. The input is 1 at a spike and 0 elsewhere; the target at spike n is I(n).

    Assumptions: the target is 0 between spikes; a stream ends with its last spike.

    Args:
        batch_size: the number of streams.
        period: F, at least 1.
        delays: the set that each I(n) is drawn from, all equally likely.
        spikes: how many each stream has.
        generator: the source of randomness; the same seed gives the same batch. None is torch's global one.

    Returns:
        x, lengths and target.

    Shapes:
        - x, target: (time, batch, 1) with time the longest stream
        - lengths: (batch,), int64

    Raises:
        OptionTypeError: a size or a delay is not a whole number.
        OptionError: a size is below 1, a delay is negative, or there is none.

    Example:
        >>> x, _, target, _, _ = measure_spike_delays(1, 3, spikes=3, generator=torch.Generator().manual_seed(1))
        >>> x.flatten().int().tolist()
        [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1]
        >>> target.flatten().int().tolist()
        [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]

    Source:
        Gers, Schraudolph & Schmidhuber (2002), Learning precise timing with LSTM recurrent networks, JMLR 3, 115-143.
    """
    delay, spike = _draw("measure_spike_delays", batch_size, period, delays, spikes, generator)
    x, target = torch.zeros(2, int(spike.max()) + 1, batch_size, 1)
    rows = torch.arange(batch_size)
    x[spike, rows, 0] = 1
    target[spike, rows, 0] = delay.float()
    return Sequences(x, spike[-1] + 1, target)


def generate_timed_spikes(
    batch_size: int,
    period: int = 10,
    delays: Sequence[int] = (0, 1),
    spikes: int = 100,
    *,
    generator: torch.Generator | None = None,
) -> Sequences:
    """Draw delays for which spikes are to be generated (GTS): measuring spike delays with the roles swapped.

    The target is 1 at a spike and 0 elsewhere; spikes come as in `measure_spike_delays`.

    Assumption: the input is I(n) at the first step of interval n, which is the one after spike n - 1, and 0 elsewhere.
    With the delays (0,) it is silent.

    Args:
        batch_size: the number of streams.
        period, delays, spikes: as in `measure_spike_delays`.
        generator: the source of randomness; the same seed gives the same batch. None is torch's global one.

    Returns:
        x, lengths and target.

    Shapes:
        - x, target: (time, batch, 1) with time the longest stream
        - lengths: (batch,), int64

    Raises:
        OptionTypeError: a size or a delay is not a whole number.
        OptionError: a size is below 1, a delay is negative, or there is none.

    Example:
        >>> x, _, target, _, _ = generate_timed_spikes(1, 3, spikes=3, generator=torch.Generator().manual_seed(1))
        >>> x.flatten().int().tolist()
        [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        >>> target.flatten().int().tolist()
        [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1]

    Source:
        Gers, Schraudolph & Schmidhuber (2002).
    """
    delay, spike = _draw("generate_timed_spikes", batch_size, period, delays, spikes, generator)
    x, target = torch.zeros(2, int(spike.max()) + 1, batch_size, 1)
    rows = torch.arange(batch_size)
    x[spike - period - delay + 1, rows, 0] = delay.float()
    target[spike, rows, 0] = 1
    return Sequences(x, spike[-1] + 1, target)


def generate_periodic_function(
    batch_size: int, function: str = "cosine", period: int = 10, periods: int = 100
) -> Sequences:
    """Return streams on which a periodic function is to be generated without any input (PFG).

    With F the period, the values are (1 - cos(2 pi t / F)) / 2; a triangle that rises from 0 to 1 in the first half of
    the period and falls in the second; a rectangle that is 0 in the first half, its middle included, and 1 in the
    second. Nothing is drawn: all rows are the same.

    Assumptions: no input is an input of 0; the first step is t = 0.

    Args:
        batch_size: the number of streams.
        function: "cosine", "triangle" or "rectangle".
        period: F, at least 1.
        periods: how many each stream has.

    Returns:
        x, lengths and target.

    Shapes:
        - x, target: (time, batch, 1) with time = period * periods
        - lengths: (batch,), int64

    Raises:
        OptionTypeError: a size is not a whole number.
        OptionError: a size is below 1.
        UnknownNameError: there is no function of that name.

    Example:
        >>> generate_periodic_function(1, "triangle", 4, 2).target.flatten().tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.5, 1.0, 0.5]

    Source:
        Gers, Schraudolph & Schmidhuber (2002).
    """
    for option, size in (("batch_size", batch_size), ("period", period), ("periods", periods)):
        whole_number("generate_periodic_function", option, size, 1)
    if function not in FUNCTIONS:
        raise UnknownNameError(
            f"generate_periodic_function - unknown function {function!r}; they are {', '.join(FUNCTIONS)}."
            f"{did_you_mean(str(function), FUNCTIONS)}"
        )
    step = torch.arange(period * periods)
    values = FUNCTIONS[function](step % period / period)
    target = values[:, None, None].repeat(1, batch_size, 1)
    return Sequences(torch.zeros_like(target), torch.full((batch_size,), len(target)), target)


def _draw(
    where: str, batch_size: int, period: int, delays: Sequence[int], spikes: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """The delays, and the steps of the spikes counted from 0; both (spike, batch)."""
    for option, size in (("batch_size", batch_size), ("period", period), ("spikes", spikes)):
        whole_number(where, option, size, 1)
    if not delays:
        raise OptionError(f"{where} - delays is {delays!r}, expected at least one - give a sequence such as (0, 1)")
    for value in delays:
        whole_number(where, "each of delays", value, 0)
    delay = torch.tensor(delays)[torch.randint(len(delays), (spikes, batch_size), generator=generator)]
    return delay, (period + delay).cumsum(0) - 1
