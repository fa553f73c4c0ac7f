"""What happened in training."""

import csv
import io
import math
from dataclasses import asdict, dataclass, field, fields

from carrousel.errors import ModelError

__all__ = ["Epoch", "History"]


@dataclass(frozen=True)
class Epoch:
    """One pass over the training data.

    Attributes:
        epoch: its number, from 1.
        train: mean loss over the epoch, while the weights changed.
        validation: what the best weights are chosen by, smaller is better; the training loss where nothing is held out.
        lr: the learning rate at its end.
        seconds: since training began, in seconds.
    """

    epoch: int
    train: float
    validation: float
    lr: float
    seconds: float


@dataclass
class History:
    """The epochs, and why training stopped.

    Attributes:
        epochs: in order.
        stopped: "epochs", "patience", "time", "interrupted" or "not finite".
        step: the optimizer steps that were made.
    """

    epochs: list[Epoch] = field(default_factory=list)
    stopped: str = "epochs"
    step: int = 0

    @property
    def best(self) -> Epoch:
        """The epoch whose weights were kept."""
        return min(self.epochs, key=lambda epoch: epoch.validation if math.isfinite(epoch.validation) else math.inf)

    @property
    def seconds(self) -> float:
        """How long training took."""
        return self.epochs[-1].seconds if self.epochs else 0.0

    def __str__(self) -> str:
        if not self.epochs:
            return "not trained"
        last, why = self.epochs[-1], _WHY[self.stopped]
        kept = "" if self.best is last else f", the weights of epoch {self.best.epoch}, the best, restored"
        return f"{len(self.epochs)} epochs in {self.seconds:.0f} s ({why}){kept}"

    @property
    def curve(self) -> list[tuple[float, float, float]]:
        """For each epoch the seconds until its end, and the mean losses in training and validation."""
        return [(epoch.seconds, epoch.train, epoch.validation) for epoch in self.epochs]

    def to_csv(self) -> str:
        """Return a line for each epoch, under a line of names.

        Example:
            >>> print(History([Epoch(1, 0.5, 0.25, 0.002, 1.5)]).to_csv())
            epoch,train,validation,lr,seconds
            1,0.5,0.25,0.002,1.5
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, [column.name for column in fields(Epoch)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(epoch) for epoch in self.epochs)
        return text.getvalue()

    @classmethod
    def from_csv(cls, text: str, stopped: str = "epochs") -> "History":
        """Return the epochs that `to_csv` wrote, and why they stopped.

        Raises:
            ModelError: it did not write them.
        """
        rows = csv.DictReader(io.StringIO(text))
        try:
            epochs = [Epoch(int(row.pop("epoch")), **{name: float(row[name]) for name in row}) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"history.csv - line {rows.line_num} is no epoch - train again, or take a copy") from error
        return cls(epochs, stopped)


_WHY = {
    "epochs": "all of them",
    "patience": "no better for a while",
    "time": "the time is over",
    "interrupted": "interrupted",
    "not finite": "the gradient was not finite",
}
