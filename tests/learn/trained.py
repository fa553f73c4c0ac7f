"""A network that is trained in the tests, in this process or as a program."""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from carrousel.learn import History, InOrder, Shuffled, Training, fit
from carrousel.processes import is_first_process


class Plane:
    """Points and their heights on a plane."""

    def __init__(self, count: int, seed: int = 1) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.randn(count, 4, generator=generator)
        self.y = self.x @ torch.tensor([1.0, -2.0, 0.5, 0.1])

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return self.x[rows], self.y[rows]


def losses(net: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return (net(batch[0]).squeeze(-1) - batch[1]).square()


def net_of(dropout: float = 0.1) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))


def train(
    folder: Path | None = None, resume: bool = False, dropout: float = 0.1, losses: Any = losses, **settings: Any
) -> tuple[nn.Module, History]:
    settings = {"lr": 0.01, "verbose": 0, "epochs": 5, **settings}
    net = net_of(dropout)
    sources = Shuffled(Plane(501), 10, 0), InOrder(Plane(101, seed=2), 40)
    return net, fit(net, losses, *sources, Training(**settings), folder=folder, resume=resume)


def weights_of(net: nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in net.parameters()])


if __name__ == "__main__":
    folder, devices, how = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    epochs = {"new": 12, "resume": 12, "slow": 100_000}[how]
    options = {"epochs": epochs, "patience": None, "devices": devices}
    net, history = train(folder, how == "resume", dropout=0.0 if folder.name in "12" else 0.1, **options)
    if is_first_process():
        print(*weights_of(net).double().tolist())
