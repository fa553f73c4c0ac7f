"""Digits row by row and pixel by pixel: scikit-learn's 8 x 8 images, our stand-in for the 28 x 28 ones of the paper."""

import importlib
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor

from carrousel.errors import MissingExtraError
from carrousel.experiments.criteria import Below
from carrousel.experiments.hochreiter_1997.setting import sizes
from carrousel.experiments.le_2015.setting import BATCH, SOURCE, trained
from carrousel.experiments.trials import Published, Row
from carrousel.tasks.digits import CLASSES, digits
from carrousel.tasks.sequences import Sequences

__all__ = ["ROWS", "Images"]

#: Images of the test set; the other 1,500 are trained on.
TEST = 297

INPUTS = {"row": 8, "pixel": 1}
#: kind -> learning rate, of few that were tried; the gradient's norm is cut at 1
RATES = {"IRNN": 0.3, "LSTM": 3.0, "tanh RNN": 0.3}

SOLVED = 0.1


@cache
def _all(by: str) -> Sequences:
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ImportError as error:
        raise MissingExtraError(
            "reproduce - scikit-learn is not installed, its digits come with it - pip install scikit-learn"
        ) from error
    images, labels = datasets.load_digits(return_X_y=True)
    return digits(torch.as_tensor(images).view(-1, 8, 8) / 16, labels, by)


class Images:
    """Training and test images of one trial, in epochs of an order of its own.

    Args:
        by: "row" or "pixel".
        seed: of the trial.
    """

    def __init__(self, by: str, seed: int) -> None:
        self._images = _all(by)
        self._generator = torch.Generator().manual_seed(seed + 2**32)
        mixed = torch.randperm(len(self._images.lengths), generator=self._generator)
        self._test, self._training = mixed[:TEST], mixed[TEST:]
        self._left = self._training[:0]

    def training(self, count: int) -> Sequences:
        """Return the next images; each epoch has all of them once."""
        while len(self._left) < count:
            order = torch.randperm(len(self._training), generator=self._generator)
            self._left = torch.cat([self._left, self._training[order]])
        chosen, self._left = self._left[:count], self._left[count:]
        return self._chosen(chosen)

    def test(self, count: int) -> Sequences:
        """Return the test images, whatever the count."""
        return self._chosen(self._test)

    def _chosen(self, chosen: Tensor) -> Sequences:
        x, lengths, target, _, _ = self._images
        return Sequences(x[:, chosen], lengths[chosen], target[chosen])


def wrong(outputs: Tensor, sequences: Sequences) -> dict[str, np.ndarray]:
    """Return the share of images whose class is not the largest output, (net,)."""
    is_wrong = (outputs.argmax(-1) != sequences.target.argmax(-1)) | outputs.isnan().any(-1)
    return {"wrong": is_wrong.double().mean(1).numpy()}


def _row(kind: str, by: str) -> Row:
    forget = 1.0 if kind == "LSTM" else 0.0
    return Row(
        table="le-2015",
        name=f"digits by {by}, {kind}",
        reading="stand-in",
        published=Published({}, source=SOURCE),
        start=trained(kind, INPUTS[by], CLASSES, RATES[kind], 1.0, forget, linear=False, hidden=32),
        data=partial(Images, by),
        criterion=partial(Below, measure=wrong, bound={"wrong": SOLVED}),
        limit=sizes(20 * BATCH, 60_000 if by == "row" else 200_000, 1_000_000),
        trials=sizes(3, 10, 10),
        measure=wrong,
        block=20 * BATCH,
        batch=BATCH,
        needs="sklearn",
        note="not the paper's: 8 x 8 digits of scikit-learn, logistic outputs, squared error, 32 hidden units; solved "
        f"is fewer than {100 * SOLVED:g} % wrong of {TEST} test images. Nothing is published for it",
    )


ROWS = tuple(_row(kind, by) for by in INPUTS for kind in RATES)
