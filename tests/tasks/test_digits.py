"""Images become sequences of rows or pixels, in their order or in a fixed other one."""

import re

import numpy as np
import pytest
import torch

from carrousel.errors import InputShapeError, InputTypeError, OptionError, OptionTypeError, UnknownNameError
from carrousel.tasks.digits import digits
from tasks.sampling import seeded

IMAGES = torch.rand(5, 4, 3, generator=seeded(0))
LABELS = torch.tensor([3, 0, 9, 9, 1])


def test_rows_from_the_top() -> None:
    batch = digits(IMAGES, LABELS)
    assert batch.x.shape == (4, 5, 3)
    for row in range(4):
        assert torch.equal(batch.x[row], IMAGES[:, row])
    assert batch.lengths.tolist() == [4] * 5


def test_pixels_row_after_row() -> None:
    batch = digits(IMAGES, LABELS, "pixel")
    assert batch.x.shape == (12, 5, 1)
    assert torch.equal(batch.x[7, :, 0], IMAGES[:, 2, 1])
    assert torch.equal(batch.x[..., 0].T.view(5, 4, 3), IMAGES)
    assert batch.lengths.tolist() == [12] * 5


def test_target_is_the_class() -> None:
    target = digits(IMAGES, LABELS).target
    assert target.dtype == torch.float32
    assert torch.equal(target, torch.nn.functional.one_hot(LABELS, 10).float())
    assert digits(IMAGES, LABELS, classes=12).target.shape == (5, 12)


def test_permutation_is_the_same_for_all_images() -> None:
    order = torch.randperm(12, generator=seeded(1))
    plain, permuted = digits(IMAGES, LABELS, "pixel"), digits(IMAGES, LABELS, "pixel", permutation=order)
    assert not torch.equal(plain.x, permuted.x)
    assert torch.equal(permuted.x, plain.x[order])
    assert torch.equal(digits(IMAGES, LABELS, "pixel", permutation=order.tolist()).x, permuted.x)
    assert torch.equal(digits(IMAGES, LABELS, permutation=order).x, permuted.x.view(4, 3, 5).transpose(1, 2))


@pytest.mark.parametrize("by", ["row", "pixel"])
def test_arrays_of_bytes_become_numbers_up_to_one(by: str) -> None:
    grey = np.array([[[0, 255], [51, 102]]], dtype=np.uint8)
    batch = digits(grey, np.array([2]), by)
    assert batch.x.dtype == torch.float32
    torch.testing.assert_close(batch.x.flatten(), torch.tensor([0, 1, 0.2, 0.4]))


def test_other_numbers_stay() -> None:
    assert digits(torch.tensor([[[0, 16]]]), [1]).x.flatten().tolist() == [0, 16]


@pytest.mark.parametrize(
    ("error", "message", "changed"),
    [
        (UnknownNameError, "digits - unknown by 'pixels'; it is row or pixel. Did you mean pixel?", {"by": "pixels"}),
        (
            InputShapeError,
            "digits - images have shape (5, 12), expected (batch, rows, columns), none of them 0 - reshape the images",
            {"images": IMAGES.flatten(1)},
        ),
        (InputShapeError, "digits - images have shape (0, 4, 3), expected", {"images": IMAGES[:0], "labels": []}),
        (
            InputShapeError,
            "digits - labels have shape (4,), expected (5,) - give one per image",
            {"labels": LABELS[:4]},
        ),
        (
            InputTypeError,
            "digits - labels are torch.int64 from 0 to 9, expected whole numbers from 0 to 8 - number the classes from "
            "0 on, or give more classes",
            {"classes": 9},
        ),
        (InputTypeError, "digits - labels are torch.int64 from -1 to 8, expected", {"labels": LABELS - 1}),
        (InputTypeError, "digits - labels are torch.float32 from 0.0 to 9.0, expected", {"labels": LABELS.float()}),
        (
            OptionError,
            "digits - permutation has shape (11,) and dtype torch.int64, expected each of 0 to 11 once - draw one by "
            "torch.randperm",
            {"permutation": range(11)},
        ),
        (OptionError, "expected each of 0 to 11 once", {"permutation": [0, *range(11)]}),
        (OptionError, "shape (12,) and dtype torch.float32", {"permutation": torch.arange(12.0)}),
        (OptionError, "shape (3, 4) and dtype torch.int64", {"permutation": torch.arange(12).view(3, 4)}),
        (OptionError, "digits - classes is 0, expected at least 1 - give a larger number", {"classes": 0}),
        (
            OptionTypeError,
            "digits - classes should be of type int, got: float - give a whole number",
            {"classes": 10.0},
        ),
    ],
)
def test_mistakes(error: type[Exception], message: str, changed: dict) -> None:
    with pytest.raises(error, match=re.escape(message)):
        digits(**{"images": IMAGES, "labels": LABELS, **changed})
