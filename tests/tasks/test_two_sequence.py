"""The two-sequence problem has the statistics of section 5.3 of the paper, and its best classifier's error."""

import math
import re

import pytest
import torch

from carrousel.errors import OptionError, UnknownNameError
from carrousel.tasks.two_sequence import noise_free_target, two_sequence
from tasks.sampling import assert_mean, assert_share, assert_uniform, last, seeded, within

SEQUENCES = 20_000
T = 20

every_noise = pytest.mark.parametrize("noise", ["none", "inputs", "targets"])


def drawn(noise: str, informative: int = 3, minimal_length: int = T):
    return two_sequence(SEQUENCES, minimal_length, informative, noise, generator=seeded(1))


@every_noise
def test_lengths_and_classes(noise: str) -> None:
    batch = drawn(noise)
    assert batch.x.shape == (T + T // 10, SEQUENCES, 1)
    assert batch.target.shape == (SEQUENCES, 1)
    assert_uniform(batch.lengths, range(T, T + T // 10 + 1))


@pytest.mark.parametrize("noise", ["none", "targets"])
@pytest.mark.parametrize("informative", [1, 3])
def test_first_elements_are_the_class(noise: str, informative: int) -> None:
    batch = drawn(noise, informative)
    first = batch.x[:informative, :, 0]
    assert (first.abs() == 1).all()
    assert (first == first[0]).all()
    assert (batch.x[informative].abs() != 1).all()
    assert_share(first[0] == 1, 1 / 2)


@every_noise
def test_other_elements_have_variance_two_tenths(noise: str) -> None:
    batch = drawn(noise)
    others = batch.x[3:][within(batch)[3:]]
    assert_mean(others, 0)
    assert_mean(others**2, 0.2)
    assert_mean(others**4, 3 * 0.2**2)
    elements = last(batch.x, batch.lengths)
    assert_mean(elements**2, 0.2)


def test_target_is_one_for_class_one() -> None:
    batch = drawn("none")
    assert torch.equal(batch.target, (batch.x[0] == 1).float())


def test_noisy_inputs_have_variance_two_tenths_about_their_class() -> None:
    batch = drawn("inputs")
    assert_share(batch.target == 1, 1 / 2)
    assert ((batch.target == 0) | (batch.target == 1)).all()
    noise = batch.x[:3, :, 0] - (2 * batch.target[:, 0] - 1)
    assert_mean(noise, 0)
    assert_mean(noise**2, 0.2)
    assert_mean(noise[0] * noise[1], 0)


def test_noisy_targets_have_variance_one_tenth_about_theirs() -> None:
    batch = drawn("targets")
    clean = noise_free_target(batch.x)
    assert torch.equal(clean, torch.where(batch.x[0] == 1, 0.2, 0.8))
    assert_mean(batch.target - clean, 0)
    assert_mean((batch.target - clean) ** 2, 0.1)
    assert_mean((batch.target - clean) * batch.x[0], 0)


def test_noise_free_targets_of_a_population() -> None:
    batch = two_sequence(6, T, noise="targets", generator=seeded(0))
    nets = batch.x.unflatten(1, (2, 3))
    assert torch.equal(noise_free_target(nets), noise_free_target(batch.x).unflatten(0, (2, 3)))


@pytest.mark.parametrize(("informative", "published"), [(1, 0.0127), (3, None)])
def test_error_of_the_best_classifier(informative: int, published: float | None) -> None:
    """It goes by the sign of the sum of the first elements, Gaussian with mean N and variance 0.2 N."""
    expected = (1 - math.erf((informative / 0.2) ** 0.5 / 2**0.5)) / 2
    if published is not None:
        assert round(expected, 4) == published
    batch = two_sequence(200_000, 10, informative, "inputs", generator=seeded(2))
    said = (batch.x[:informative].sum(0) > 0).float()
    assert_share(said != batch.target, expected)


def test_unknown_noise() -> None:
    message = "two_sequence - unknown noise 'target'; there is none, inputs, targets. Did you mean targets?"
    with pytest.raises(UnknownNameError, match=re.escape(message)):
        two_sequence(2, noise="target")


def test_elements_that_tell_must_fit() -> None:
    message = "two_sequence - minimal_length is 4, expected at least 5 - give a larger number"
    with pytest.raises(OptionError, match=re.escape(message)):
        two_sequence(2, 4, 5)
