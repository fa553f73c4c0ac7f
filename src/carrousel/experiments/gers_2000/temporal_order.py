"""Noisy temporal order, one sequence at a time and continually (Table 3): what forget gates cost and give."""

from functools import partial
from typing import Any

import torch

from carrousel.experiments.criteria import Recent
from carrousel.experiments.gers_2000.setting import BLOCKS, SOURCE, STANDARD, continual, forgetting, network
from carrousel.experiments.hochreiter_1997.setting import sizes
from carrousel.experiments.streams import Endless, Unbroken
from carrousel.experiments.trials import Drawn, Published, Row
from carrousel.systems.judgement import Judgement
from carrousel.systems.through_time import ThroughTime
from carrousel.tasks import temporal_order
from carrousel.tasks.sequences import Sequences

__all__ = ["CONTINUAL", "ONE_BY_ONE", "WRONG"]

#: method -> share of trials with perfect streams, training streams until then, the rest's sequences. From memory.
PUBLISHED: dict[str, tuple[float, int | None, float]] = {
    "standard LSTM": (0.0, None, 4.6),
    "forget gates": (0.24, 18_077, 12.2),
    "forget gates, rate decays": (0.37, 22_654, 11.8),
}
#: The learning rate falls to this share of itself with every sequence.
DECAY = 0.9
TRIALS, RATE, FORGET = 100, 0.5, 5.0

#: Sequences of a stream; its length on average, in steps.
SEQUENCES, STEPS = 100, 105

OUTPUTS = len(temporal_order.CLASSES[3])

WRONG = Judgement("largest", within=temporal_order.CORRECT_WITHIN)


def whole(*, generator: torch.Generator) -> Sequences:
    """Draw a stream for training."""
    return temporal_order.continual(1, SEQUENCES, resets=True, generator=generator)


def _row(method: str) -> Row:
    success, presentations, rest = PUBLISHED[method]
    memory_cell = STANDARD if method == "standard LSTM" else forgetting
    net = network(memory_cell, temporal_order.INPUTS, OUTPUTS, (FORGET,) * BLOCKS)
    decay = DECAY ** (1 / STEPS) if "decays" in method else 1.0
    return Row(
        table="gers-2000",
        name=f"continual temporal order, {method}",
        reading="literal",
        published=Published(
            {} if presentations is None else {"solved": presentations},
            success,
            None,
            TRIALS,
            {},
            f"{SOURCE}, Table 3, whose numbers we have from memory",
        ),
        start=continual(net, RATE, WRONG, decay=decay, longest=SEQUENCES * STEPS),
        data=partial(Endless, whole, temporal_order.continual),
        criterion=partial(Unbroken, wrong=WRONG, lengths=(3, SEQUENCES)),
        limit=sizes(2, 0, 100_000),
        trials=sizes(3, 0, TRIALS),
        block=1_000,
        note=f"sequences are training streams; learning rate {RATE} as with the grammar, forget gates start at "
        f"{FORGET:g} (assumptions)"
        + (f"; it falls to {DECAY} of itself in the course of every sequence" if "decays" in method else "")
        + f". Published besides: the rest say {rest} sequences right",
    )


#: first bias of the forget gates -> what the paper says
SPEED = {5.0: "as fast as standard LSTM", 1.0: "about three times slower than standard LSTM"}


def _row_one_by_one(forget: float) -> Row:
    net = network(forgetting, temporal_order.INPUTS, OUTPUTS, (forget,) * BLOCKS)
    given: dict[str, Any] = {"relevant": 3}
    return Row(
        table="gers-2000",
        name=f"temporal order, forget gates start at {forget:g}",
        reading="literal",
        published=Published({}, source=SOURCE),
        start=lambda seeds: ThroughTime(net, seeds, 0.1),
        data=partial(Drawn, partial(temporal_order.temporal_order, **given)),
        criterion=partial(Recent, within=temporal_order.CORRECT_WITHIN, mean=0.1),
        limit=sizes(2_000, 300_000, 5_000_000),
        trials=sizes(3, 10, 10),
        note=f"experiment 6b of 1997, learning rate 0.1 as there; {SPEED[forget]}, the paper says",
    )


CONTINUAL = tuple(_row(method) for method in PUBLISHED)
ONE_BY_ONE = tuple(_row_one_by_one(forget) for forget in SPEED)
