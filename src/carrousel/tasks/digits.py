"""Images of digits as sequences: row by row or pixel by pixel, the pixels in their order or in a fixed other one."""

from typing import Any

import torch
from torch import Tensor

from carrousel.errors import InputShapeError, InputTypeError, OptionError, UnknownNameError, did_you_mean
from carrousel.nn.checks import whole_number
from carrousel.tasks.sequences import Sequences

__all__ = ["BY", "CLASSES", "digits"]

#: What a step of a sequence is.
BY = ("row", "pixel")

CLASSES = 10


def digits(images: Any, labels: Any, by: str = "row", *, permutation: Any = None, classes: int = CLASSES) -> Sequences:
    """Turn images into sequences, whose class is to be told at the last step.

    A step is a row of the image, from the top, or a pixel, row after row. Bytes become numbers from 0 to 1; numbers
    stay as they are.

    Args:
        images: an array or tensor of grey values.
        labels: the class of each image, from 0 on.
        by: "row" or "pixel".
        permutation: the order in which all images give their pixels: pixel `permutation[i]` comes at place i.
            `torch.randperm` draws one; None is row after row.
        classes: how many there are.

    Returns:
        x, lengths and target.

    Shapes:
        - images: (batch, rows, columns)
        - labels: (batch,)
        - permutation: (rows * columns,)
        - x: (time, batch, input), float32: (rows, batch, columns) by row, (rows * columns, batch, 1) by pixel
        - lengths: (batch,), int64, all equal
        - target: (batch, classes), 1 for the class and 0 for the others

    Raises:
        OptionTypeError: `classes` is not a whole number.
        OptionError: `classes` is below 1, or `permutation` is none.
        UnknownNameError: `by` is neither "row" nor "pixel".
        InputShapeError: the images are no batch of images, or there is not one label per image.
        InputTypeError: a label is no class.

    Example:
        >>> images = torch.tensor([[[0, 51], [102, 255]]], dtype=torch.uint8)
        >>> digits(images, [7]).x.squeeze(1)
        tensor([[0.0000, 0.2000],
                [0.4000, 1.0000]])
        >>> digits(images, [7], "pixel", permutation=[3, 0, 1, 2]).x.flatten()
        tensor([1.0000, 0.0000, 0.2000, 0.4000])

    Source:
        Le, Jaitly & Hinton (2015), A simple way to initialize recurrent networks of rectified linear units, section 4.
    """
    whole_number("digits", "classes", classes, 1)
    if by not in BY:
        raise UnknownNameError(f"digits - unknown by {by!r}; it is {' or '.join(BY)}.{did_you_mean(str(by), BY)}")
    images, labels = torch.as_tensor(images), torch.as_tensor(labels)
    if images.dim() != 3 or 0 in images.shape:
        raise InputShapeError(
            f"digits - images have shape {tuple(images.shape)}, expected (batch, rows, columns), none of them 0 - "
            "reshape the images"
        )
    if labels.shape != images.shape[:1]:
        raise InputShapeError(
            f"digits - labels have shape {tuple(labels.shape)}, expected ({len(images)},) - give one per image"
        )
    if not _are_whole(labels) or labels.min() < 0 or labels.max() >= classes:
        raise InputTypeError(
            f"digits - labels are {labels.dtype} from {labels.min()} to {labels.max()}, expected whole numbers from 0 "
            f"to {classes - 1} - number the classes from 0 on, or give more classes"
        )
    pixels = images.flatten(1)
    if permutation is not None:
        pixels = pixels[:, _order(permutation, pixels.shape[1])]
    x = pixels.float() / 255 if images.dtype == torch.uint8 else pixels.float()
    x = x.view(images.shape if by == "row" else (*pixels.shape, 1)).transpose(0, 1).contiguous()
    return Sequences(x, torch.full((len(images),), len(x)), torch.eye(classes)[labels.long()])


def _order(permutation: Any, pixels: int) -> Tensor:
    order = torch.as_tensor(permutation)
    if not _are_whole(order) or order.dim() != 1 or sorted(order.tolist()) != list(range(pixels)):
        raise OptionError(
            f"digits - permutation has shape {tuple(order.shape)} and dtype {order.dtype}, expected each of 0 to "
            f"{pixels - 1} once - draw one by torch.randperm"
        )
    return order.long()


def _are_whole(numbers: Tensor) -> bool:
    return not (numbers.is_floating_point() or numbers.is_complex() or numbers.dtype == torch.bool)
