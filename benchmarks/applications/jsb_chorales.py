"""Bach's chorales, frame by frame: `python -m benchmarks.applications.jsb_chorales JSB_Chorales.mat`.

229 chorales to train on, 76 to stop early on, 77 to test, as 88 keys that are down or up in each frame. An LSTM with a
logistic output for each key predicts the next frame; the measure is -log probability of a frame, in nats, averaged over
all frames but the first of each chorale. The file is that of Boulanger-Lewandowski et al. (2012), as Bai et al. (2018)
keep it.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from scipy.io import loadmat
from torch import Tensor
from torch.nn import Dropout, Linear, Module
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils.rnn import pad_sequence

from benchmarks.applications.rounds import Round, parser_of, rounds, say
from carrousel import Recurrent
from carrousel.backends.rows import within
from carrousel.learn import InOrder, Shuffled, Training, fit

KEYS = 88

PUBLISHED = {
    "LSTM, Bai, Kolter & Koltun (2018), Table 1, recalled": 8.45,
    "TCN, the same": 8.10,
}


class Frames(NamedTuple):
    """Chorales of a batch.

    Attributes:
        keys: (time, chorale, key), 1 for down.
        lengths: (chorale,)
    """

    keys: Tensor
    lengths: Tensor


class Chorales:
    """Chorales as `carrousel.learn` takes them.

    Args:
        pieces: each (time, key).
    """

    def __init__(self, pieces: list[Tensor]) -> None:
        self.pieces = pieces

    def __len__(self) -> int:
        return len(self.pieces)

    def batch(self, rows: Tensor) -> Frames:
        """Return some of them."""
        chosen = [self.pieces[int(row)] for row in rows]
        return Frames(pad_sequence(chosen), torch.tensor([len(piece) for piece in chosen]))


class PianoNet(Module):
    """Give each key a score of being down in the next frame."""

    def __init__(self, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.recurrent = Recurrent("lstm", KEYS, hidden_size)
        self.dropout, self.scores = Dropout(dropout), Linear(hidden_size, KEYS)

    def forward(self, keys: Tensor, lengths: Tensor) -> Tensor:
        """Return scores (time, chorale, key)."""
        output, _ = self.recurrent(keys, lengths=lengths)
        return self.scores(self.dropout(output))  # type: ignore[no-any-return]


def losses(net: PianoNet, frames: Frames) -> Tensor:
    """Return -log probability of each frame but the first of each chorale, (frame,)."""
    lengths = frames.lengths - 1
    scores = net(frames.keys[:-1], lengths)
    of_keys = binary_cross_entropy_with_logits(scores, frames.keys[1:], reduction="none")
    return of_keys.sum(-1)[within(lengths, len(scores))]


def read(path: Path) -> list[Chorales]:
    """Read the training, validation and test part."""
    file = loadmat(path)
    parts = [file[name].ravel() for name in ("traindata", "validdata", "testdata")]
    return [Chorales([torch.tensor(piece, dtype=torch.float32) for piece in part]) for part in parts]


def one(parts: list[Chorales], seed: int, threads: int) -> Round:
    """Train once; the test part is looked at once, with the weights that were best on the validation part."""
    train, validation, test = parts
    settings = Training(
        epochs=40, patience=10, lr=1e-2, weight_decay=0.1, seed=seed, threads=threads, device="cpu", verbose=0
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = PianoNet(hidden_size=200, dropout=0.4)
    history = fit(net, losses, Shuffled(train, 4, seed), InOrder(validation, 80), settings)
    with torch.no_grad():
        found = losses(net, test.batch(torch.arange(len(test))))
    return Round(float(found.mean()), history.best.validation, history.seconds, len(history.epochs))


def naive(parts: list[Chorales]) -> dict[str, float]:
    """What is reached without a net: each key's frequency; and whether it was down in the frame before."""
    train, _, test = (torch.cat([torch.cat([p[1:], p[:-1]], 1) for p in part.pieces]) for part in parts)
    now, before, truth, was = train[:, :KEYS], train[:, KEYS:], test[:, :KEYS], test[:, KEYS:]

    def nats(chance: Tensor) -> float:
        return float(-(truth * chance.log() + (1 - truth) * (1 - chance).log()).sum(-1).mean())

    down = (now.sum(0) + 0.5) / (len(now) + 1)
    kept = ((now * before).sum(0) + 0.5) / (before.sum(0) + 1)
    struck = ((now * (1 - before)).sum(0) + 0.5) / ((1 - before).sum(0) + 1)
    return {
        "frequency of each key": nats(down.expand_as(truth)),
        "key by key, from the last frame": nats(was * kept + (1 - was) * struck),
    }


def main() -> None:
    """Run it."""
    asked = parser_of("JSB chorales", "JSB_Chorales.mat").parse_args()
    parts = read(asked.data)
    found = rounds(lambda seed: one(parts, seed, asked.threads), asked)
    say("JSB chorales, nats a frame", found, naive(parts), PUBLISHED, asked)


if __name__ == "__main__":
    main()
