"""skorch around torch.nn.LSTM on pen digits: the net of `Classifier`, trained as skorch's users do.

Two bidirectional layers of 96, the mean over the steps, dropout 0.5; Adam, batches of 32, 30 epochs, the weights that
were best on the validation part (skorch's Checkpoint). All sequences have 8 steps: nothing is padded or packed.
"""

import time
from tempfile import TemporaryDirectory

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, Checkpoint
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import Tensor, nn

from benchmarks.applications.peers.kept import arguments, keep, latency, pen_digits

EPOCHS = 30


class Net(nn.Module):
    """A bidirectional LSTM, its mean over the steps, a score for each digit."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 96, num_layers=2, bidirectional=True, dropout=0.5, batch_first=True)
        self.dropout, self.scores = nn.Dropout(0.5), nn.Linear(192, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores, (batch, 10)."""
        output, _ = self.lstm(x)
        return self.scores(self.dropout(output.mean(1)))


class Clock(Callback):
    """The epochs, also those after the best, with the seconds until their end."""

    def on_train_begin(self, net: NeuralNetClassifier, **kwargs: object) -> None:
        """Begin."""
        self.began, self.curve = time.process_time(), []

    def on_epoch_end(self, net: NeuralNetClassifier, **kwargs: object) -> None:
        """Write it down."""
        row = net.history[-1]
        self.curve.append([row["epoch"], time.process_time() - self.began, row["valid_loss"]])


def main() -> None:
    """Run it."""
    asked = arguments("pendigits.csv")
    train, held, test = pen_digits(asked.data)
    torch.manual_seed(0)
    clock = Clock()
    with TemporaryDirectory() as folder:
        net = NeuralNetClassifier(
            Net, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=2e-3, batch_size=32, max_epochs=EPOCHS,
            iterator_train__shuffle=True, train_split=predefined_split(Dataset(*held)), verbose=0,
            callbacks=[clock, Checkpoint(monitor="valid_loss_best", dirname=folder, load_best=True)],
        )  # fmt: skip
        began = time.process_time()
        net.fit(*train)
        seconds = time.process_time() - began
    one = test[0][:1]
    found = {
        "settings": f"Adam 2e-3, batches of 32, {EPOCHS} epochs, best weights by validation loss; 1 seed",
        "weights": sum(weight.numel() for weight in net.module_.parameters()),
        "curve of (epochs, seconds, validation loss)": clock.curve,
        "validation": min(row[2] for row in clock.curve),
        "test": float((net.predict(test[0]) == test[1]).mean()),
        "seconds in all": seconds,
        "seconds of predict, 1 sequence": latency(lambda: net.predict(one)),
    }
    keep(asked.out, "pen digits, accuracy", "skorch with torch.nn.LSTM", found, ["skorch"])


if __name__ == "__main__":
    main()
