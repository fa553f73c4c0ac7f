"""What all tasks have in common: seeds, shapes, padding, and what they say to sizes that can not be."""

import re
from collections.abc import Callable
from functools import partial

import pytest
import torch

from carrousel.errors import OptionError, OptionTypeError
from carrousel.tasks import lags, reber, temporal_order, timing
from carrousel.tasks.adding import adding, adding_irnn
from carrousel.tasks.multiplication import multiplication
from carrousel.tasks.sequences import Sequences
from carrousel.tasks.two_sequence import two_sequence
from tasks.sampling import assert_same, seeded, within

STRINGS = reber.reber(20, generator=seeded(0))

#: Generators that draw a batch of so many sequences.
DRAWN: dict[str, Callable[..., Sequences]] = {
    "reber": reber.reber,
    "stream": partial(reber.stream, strings=STRINGS, count=3),
    "continual reber": partial(reber.continual, steps=40),
    "noise_free": partial(lags.noise_free, p=7),
    "no_local_regularity": partial(lags.no_local_regularity, p=7),
    "very_long": partial(lags.very_long, q=7, p=9),
    "two_sequence": partial(two_sequence, minimal_length=20),
    "two_sequence, inputs": partial(two_sequence, minimal_length=20, noise="inputs"),
    "two_sequence, targets": partial(two_sequence, minimal_length=20, noise="targets"),
    "adding": partial(adding, minimal_length=20),
    "adding_irnn": partial(adding_irnn, length=20),
    "multiplication": partial(multiplication, minimal_length=20),
    "temporal_order": partial(temporal_order.temporal_order, minimal_length=20),
    "continual temporal_order": partial(temporal_order.continual, sequences=3, minimal_length=20),
    "measure_spike_delays": partial(timing.measure_spike_delays, spikes=5),
    "generate_timed_spikes": partial(timing.generate_timed_spikes, spikes=5),
}

every_task = pytest.mark.parametrize("name", DRAWN)

#: Size -> the least it can be, for each function that takes sizes.
SIZES: dict[Callable[..., object], dict[str, int]] = {
    reber.reber: {"batch_size": 1},
    reber.stream: {"batch_size": 1, "count": 1},
    reber.continual: {"batch_size": 1, "steps": 1},
    reber.training_and_test_sets: {"size": 1},
    lags.noise_free: {"batch_size": 1, "p": 2},
    lags.no_local_regularity: {"batch_size": 1, "p": 2},
    lags.very_long: {"batch_size": 1, "q": 1, "p": 1},
    two_sequence: {"batch_size": 1, "minimal_length": 1, "informative": 1},
    adding: {"batch_size": 1, "minimal_length": 20},
    adding_irnn: {"batch_size": 1, "length": 2},
    multiplication: {"batch_size": 1, "minimal_length": 20},
    temporal_order.temporal_order: {"batch_size": 1, "minimal_length": 20, "relevant": 2},
    temporal_order.continual: {"batch_size": 1, "sequences": 1, "minimal_length": 20, "relevant": 2},
    timing.measure_spike_delays: {"batch_size": 1, "period": 1, "spikes": 1},
    timing.generate_timed_spikes: {"batch_size": 1, "period": 1, "spikes": 1},
    timing.generate_periodic_function: {"batch_size": 1, "period": 1, "periods": 1},
}

every_size = pytest.mark.parametrize(
    ("task", "size", "least"), [(task, size, least) for task, sizes in SIZES.items() for size, least in sizes.items()]
)


def called(task: Callable[..., object], **sizes: object) -> object:
    """Call a task with the least of all sizes but those given."""
    strings = {"strings": STRINGS} if task is reber.stream else {}
    return task(**{**SIZES[task], **strings, **sizes})


@every_task
def test_seed_decides(name: str) -> None:
    first, again, other = (DRAWN[name](8, generator=seeded(seed)) for seed in (5, 5, 6))
    assert_same(first, again)
    assert first.x.shape != other.x.shape or not torch.equal(first.x, other.x)


@every_task
def test_without_a_generator_the_global_seed_decides(name: str) -> None:
    torch.manual_seed(2)
    first = DRAWN[name](4)
    torch.manual_seed(2)
    assert_same(first, DRAWN[name](4))


@every_task
def test_generator_leaves_the_global_random_numbers_alone(name: str) -> None:
    torch.manual_seed(2)
    expected = torch.rand(1)
    torch.manual_seed(2)
    DRAWN[name](4, generator=seeded(0))
    assert torch.equal(torch.rand(1), expected)


@every_task
def test_rows_differ(name: str) -> None:
    batch = DRAWN[name](16, generator=seeded(0))
    assert (batch.x != batch.x[:, :1]).any()


@every_task
def test_shapes(name: str) -> None:
    batch = DRAWN[name](6, generator=seeded(0))
    assert batch.lengths.shape == (6,)
    assert batch.lengths.dtype == torch.int64
    assert batch.x.shape[:2] == (int(batch.lengths.max()), 6)
    assert (batch.x.dtype, batch.x.dim()) in {(torch.int64, 2), (torch.float32, 3)}
    at_every_step = batch.target.shape[:2] == batch.x.shape[:2]
    if batch.target.dtype == torch.int64:
        assert batch.target.shape == batch.x.shape
    else:
        assert batch.target.dtype == torch.float32
        assert at_every_step or (batch.target.shape[0] == 6 and batch.target.dim() == 2)
    if batch.allowed is not None:
        assert batch.allowed.dtype == torch.bool
        assert batch.allowed.shape[:2] == batch.x.shape


@every_task
def test_nothing_stands_beyond_the_length(name: str) -> None:
    batch = DRAWN[name](64, generator=seeded(0))
    after = ~within(batch)
    assert (batch.x[after] == 0).all()
    if batch.target.shape[:2] == batch.x.shape[:2]:
        assert (batch.target[after] == (-1 if batch.target.dtype == torch.int64 else 0)).all()
    if batch.allowed is not None:
        assert not batch.allowed[after].any()
    if batch.resets is not None:
        assert not batch.resets[after].any()


@pytest.mark.parametrize("task", SIZES, ids=lambda task: f"{task.__module__}.{task.__name__}")
def test_least_sizes_are_enough(task: Callable[..., object]) -> None:
    called(task)


@every_size
def test_sizes_that_can_not_be(task: Callable[..., object], size: str, least: int) -> None:
    message = f"{task.__name__} - {size} is {least - 1}, expected at least {least} - give a larger number"
    with pytest.raises(OptionError, match=re.escape(message)):
        called(task, **{size: least - 1})


@every_size
@pytest.mark.parametrize("value", [2.0, True, "100"])
def test_sizes_of_the_wrong_type(task: Callable[..., object], size: str, least: int, value: object) -> None:
    message = f"{task.__name__} - {size} should be of type int, got: {type(value).__name__} - give a whole number"
    with pytest.raises(OptionTypeError, match=re.escape(message)):
        called(task, **{size: value})
