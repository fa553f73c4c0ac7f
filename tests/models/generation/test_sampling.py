"""What is drawn."""

import pytest
import torch

from carrousel.errors import OptionError, OptionTypeError
from carrousel.models.generation.sampling import Sampling

SCORES = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()


def drawn(count: int = 4000, **options: float) -> list[float]:
    sampling = Sampling(seed=0, **options)
    return (torch.bincount(torch.tensor([sampling(SCORES) for _ in range(count)]), minlength=4) / count).tolist()


def test_temperature_one_draws_the_probabilities() -> None:
    assert drawn(temperature=1.0) == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)


def test_a_low_temperature_sharpens() -> None:
    squares = SCORES.exp() ** 2
    assert drawn(temperature=0.5) == pytest.approx((squares / squares.sum()).tolist(), abs=0.03)
    assert drawn(50, temperature=0) == [1, 0, 0, 0]
    assert drawn(50, temperature=1e-6) == [1, 0, 0, 0]


def test_the_likeliest_alone() -> None:
    assert drawn(temperature=1.0, top_k=2) == pytest.approx([0.625, 0.375, 0, 0], abs=0.03)
    assert drawn(50, temperature=1.0, top_k=1) == [1, 0, 0, 0]
    assert drawn(temperature=1.0, top_k=100) == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)
    assert drawn(temperature=1.0, top_p=0.6) == pytest.approx([0.625, 0.375, 0, 0], abs=0.03)
    assert drawn(50, temperature=1.0, top_p=0.01) == [1, 0, 0, 0]


def test_a_seed_draws_the_same_and_none_is_torchs() -> None:
    def some(seed: int | None) -> list[int]:
        sampling = Sampling(1.0, seed=seed)
        return [sampling(SCORES) for _ in range(30)]

    assert some(3) == some(3) != some(4)
    torch.manual_seed(1)
    first = some(None)
    assert some(None) != first
    torch.manual_seed(1)
    assert some(None) == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "temperature is -1, expected 0 or more"),
        ({"temperature": float("nan")}, "temperature is nan, expected 0 or more"),
        ({"temperature": float("inf")}, "temperature is inf, expected 0 or more"),
        ({"top_p": 0}, "top_p is 0, expected above 0 and at most 1"),
        ({"top_p": 1.5}, "top_p is 1.5, expected above 0 and at most 1"),
        ({"top_k": -1}, "top_k is -1, expected a whole number from 0"),
        ({"top_k": 2.5}, "top_k is 2.5, expected a whole number from 0"),
    ],
)
def test_numbers_out_of_range(options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Sampling(**options)


@pytest.mark.parametrize("options", [{"temperature": "hot"}, {"temperature": True}, {"top_p": None}])
def test_no_numbers(options: dict) -> None:
    with pytest.raises(OptionTypeError, match=r"expected a number, .* - give one"):
        Sampling(**options)
