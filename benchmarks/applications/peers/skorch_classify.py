"""skorch around torch.nn.LSTM on pen digits or JapaneseVowels: the net of `Classifier`, trained as skorch's users do.

Two bidirectional layers of 96, the mean over the steps, dropout 0.5; Adam, batches of 32, the weights that were best on
the validation part (skorch's Checkpoint). Pen digits all have 8 steps, nothing is padded or packed; utterances are
padded to the longest and packed in the net.
"""

import time
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, Checkpoint
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from benchmarks.applications.peers.kept import Labelled, arguments, keep, labelled, latency, over_seeds

#: As many as `Classifier` has by default where sequences are few; more where they are many.
EPOCHS = {"pen digits": 30, "JapaneseVowels": 60}


class Net(nn.Module):
    """A bidirectional LSTM, its mean over the steps that count, a score for each class."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, 96, num_layers=2, bidirectional=True, dropout=0.5, batch_first=True)
        self.dropout, self.scores = nn.Dropout(0.5), nn.Linear(192, classes)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the scores, (batch, class)."""
        if lengths is None:
            return self.scores(self.dropout(self.lstm(x)[0].mean(1)))
        packed, _ = self.lstm(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        output, _ = pad_packed_sequence(packed, batch_first=True)  # zero after a sequence's end
        return self.scores(self.dropout(output.sum(1) / lengths.unsqueeze(1)))


class Clock(Callback):
    """The epochs, also those after the best, with the seconds until their end."""

    def on_train_begin(self, net: NeuralNetClassifier, **kwargs: object) -> None:
        """Begin."""
        self.began = time.process_time()
        self.curve: list[list[float]] = []

    def on_epoch_end(self, net: NeuralNetClassifier, **kwargs: object) -> None:
        """Write it down."""
        row = net.history[-1]
        self.curve.append([row["epoch"], time.process_time() - self.began, row["valid_loss"]])


def inputs(sequences: list[np.ndarray]) -> Any:
    """Return what `Net` takes: an array where all are as long, else one that is padded, and the lengths."""
    lengths = np.array([len(each) for each in sequences])
    if (lengths == lengths[0]).all():
        return np.stack(sequences)
    return {"x": pad_sequence([torch.from_numpy(each) for each in sequences], True).numpy(), "lengths": lengths}


def one(task: Labelled, seed: int) -> dict[str, Any]:
    """Train and measure."""
    (x, y), (held, held_y), (test, test_y) = task.train, task.validation, task.test
    torch.manual_seed(seed)
    clock = Clock()
    with TemporaryDirectory() as folder:
        net = NeuralNetClassifier(
            Net, module__channels=x[0].shape[1], module__classes=int(y.max()) + 1, criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam, lr=2e-3, batch_size=32, max_epochs=EPOCHS[task.name],
            iterator_train__shuffle=True, train_split=predefined_split(Dataset(inputs(held), held_y)), verbose=0,
            callbacks=[clock, Checkpoint(monitor="valid_loss_best", dirname=folder, load_best=True)],
        )  # fmt: skip
        began = time.process_time()
        net.fit(inputs(x), y)
        seconds = time.process_time() - began
    return {
        "weights": sum(weight.numel() for weight in net.module_.parameters()),
        "curve": clock.curve,
        "validation": min(row[2] for row in clock.curve),
        "test": float((net.predict(inputs(test)) == test_y).mean()),
        "seconds in all": seconds,
        "seconds of predict": latency(lambda: net.predict(inputs(test[:1]))),
    }


def main() -> None:
    """Run it."""
    asked = arguments("pendigits.csv, or the folder JapaneseVowels")
    task = labelled(asked.data)
    found = {
        "settings": f"Adam 2e-3, batches of 32, {EPOCHS[task.name]} epochs, best weights by validation loss",
        "curve": "epochs, seconds of training and looks, validation loss",
        **over_seeds(lambda seed: one(task, seed), asked.seeds),
    }
    keep(asked.out, f"{task.name}, accuracy", "skorch with torch.nn.LSTM", found, ["skorch"])


if __name__ == "__main__":
    main()
