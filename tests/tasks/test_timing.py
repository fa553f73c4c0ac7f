"""The timing tasks of Gers, Schraudolph & Schmidhuber (2002): spikes where they belong, functions with their shapes."""

import itertools
import re

import pytest
import torch

from carrousel.errors import OptionError, OptionTypeError, UnknownNameError
from carrousel.tasks.timing import (
    FUNCTIONS,
    generate_periodic_function,
    generate_timed_spikes,
    measure_spike_delays,
)
from tasks.sampling import assert_uniform, seeded

every_function = pytest.mark.parametrize("function", FUNCTIONS)
both = pytest.mark.parametrize("task", [measure_spike_delays, generate_timed_spikes])


def intervals(spikes: torch.Tensor) -> list[list[int]]:
    """Steps from spike to spike in each stream, the first from the stream's beginning."""
    found = []
    for stream in spikes[..., 0].T:
        times = [0, *(stream.nonzero().flatten() + 1).tolist()]
        found.append([b - a for a, b in itertools.pairwise(times)])
    return found


@pytest.mark.parametrize("delays", [(0, 1), (0, 1, 2), (0, 7)])
def test_spikes_come_after_the_period_and_their_delay(delays: tuple[int, ...]) -> None:
    batch = measure_spike_delays(200, 10, delays, 20, generator=seeded(0))
    found = torch.tensor(intervals(batch.x))
    assert found.shape == (200, 20)
    assert set((found - 10).unique().tolist()) == set(delays)
    assert torch.equal(batch.lengths, found.sum(1))
    assert ((batch.x == 0) | (batch.x == 1)).all()


def test_delays_are_equally_likely() -> None:
    batch = measure_spike_delays(200, 10, (0, 1, 2), 50, generator=seeded(0))
    assert_uniform(torch.tensor(intervals(batch.x)) - 10, range(3))


def test_measured_delay_is_the_target_at_its_spike() -> None:
    batch = measure_spike_delays(50, 10, (0, 1, 5), 20, generator=seeded(0))
    at_spikes = batch.x == 1
    assert (batch.target[~at_spikes] == 0).all()
    for row, found in enumerate(intervals(batch.x)):
        assert batch.target[:, row][at_spikes[:, row]].tolist() == [interval - 10 for interval in found]


def test_single_interval() -> None:
    batch = measure_spike_delays(50, 10, spikes=1, generator=seeded(0))
    assert set(batch.lengths.tolist()) == {10, 11}
    assert (batch.x.sum(0) == 1).all()
    rows = torch.arange(50)
    assert torch.equal(batch.target[batch.lengths - 1, rows, 0], batch.lengths - 10.0)


def test_generating_swaps_the_roles() -> None:
    """The same seed draws the same spikes: what is measured in one task is generated in the other."""
    measured = measure_spike_delays(50, 10, (0, 1, 5), 20, generator=seeded(0))
    generated = generate_timed_spikes(50, 10, (0, 1, 5), 20, generator=seeded(0))
    assert torch.equal(generated.target, measured.x)
    assert torch.equal(generated.lengths, measured.lengths)
    torch.testing.assert_close(generated.x.sum(0), measured.target.sum(0))


def test_delay_to_generate_is_told_at_the_first_step_of_its_interval() -> None:
    batch = generate_timed_spikes(50, 10, (3, 5), 20, generator=seeded(0))
    for row, found in enumerate(intervals(batch.target)):
        step = 0
        for interval in found:
            told = batch.x[step : step + interval, row, 0].tolist()
            assert told == [interval - 10] + [0] * (interval - 1)
            step += interval


def test_stable_train_needs_no_input() -> None:
    batch = generate_timed_spikes(2, 10, (0,), 5)
    assert (batch.x == 0).all()
    assert intervals(batch.target) == [[10] * 5] * 2


@both
def test_no_delays(task) -> None:
    message = f"{task.__name__} - delays is (), expected at least one - give a sequence such as (0, 1)"
    with pytest.raises(OptionError, match=re.escape(message)):
        task(2, delays=())


@both
def test_negative_delay(task) -> None:
    message = f"{task.__name__} - each of delays is -1, expected at least 0 - give a larger number"
    with pytest.raises(OptionError, match=re.escape(message)):
        task(2, delays=(0, -1))


@both
def test_delay_of_the_wrong_type(task) -> None:
    message = f"{task.__name__} - each of delays should be of type int, got: float - give a whole number"
    with pytest.raises(OptionTypeError, match=re.escape(message)):
        task(2, delays=(0, 0.5))


# ---------------------------------------------------------------------- periodic functions


@every_function
@pytest.mark.parametrize("period", [10, 25])
def test_functions_repeat_and_have_no_input(function: str, period: int) -> None:
    batch = generate_periodic_function(3, function, period, 4)
    assert batch.x.shape == batch.target.shape == (4 * period, 3, 1)
    assert (batch.lengths == 4 * period).all()
    assert (batch.x == 0).all()
    assert torch.equal(batch.target[period:], batch.target[:-period])
    assert torch.equal(batch.target[:, 0], batch.target[:, 2])


@pytest.mark.parametrize(
    ("function", "values"),
    [
        ("cosine", [0, 0.0955, 0.3455, 0.6545, 0.9045, 1, 0.9045, 0.6545, 0.3455, 0.0955]),
        ("triangle", [0, 0.2, 0.4, 0.6, 0.8, 1, 0.8, 0.6, 0.4, 0.2]),
        ("rectangle", [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]),
    ],
)
def test_one_period_of_each_function(function: str, values: list[float]) -> None:
    found = generate_periodic_function(1, function, 10, 1).target.flatten()
    torch.testing.assert_close(found, torch.tensor(values, dtype=torch.float32), atol=5e-5, rtol=0)


def test_triangle_of_an_odd_period_is_steady() -> None:
    values = generate_periodic_function(1, "triangle", 25, 2).target.flatten()
    steps = values.diff().abs()
    assert steps.max() <= 2 / 25 + 1e-6
    assert values.max() == pytest.approx(24 / 25)


def test_rectangle_of_an_odd_period() -> None:
    values = generate_periodic_function(1, "rectangle", 25, 1).target.flatten()
    assert values.tolist() == [0] * 13 + [1] * 12


def test_unknown_function() -> None:
    message = (
        "generate_periodic_function - unknown function 'cos'; they are cosine, triangle, rectangle. "
        "Did you mean cosine?"
    )
    with pytest.raises(UnknownNameError, match=re.escape(message)):
        generate_periodic_function(1, "cos")
