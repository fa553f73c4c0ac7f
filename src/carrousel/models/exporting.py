"""Estimators as something to export: their networks, with example inputs by name."""

from typing import Any

import torch
from torch import Tensor, nn

from carrousel.data.windows import Batch

__all__ = ["example_of"]

_Written = tuple[nn.Module, dict[str, Tensor], list[list[str | None]]]


def example_of(estimator: Any) -> _Written:
    """Return what a fitted estimator is exported from.

    Args:
        estimator: a Forecaster, Classifier or Generator.

    Returns:
        The network, an example of each input by name, and the names of the axes whose size may differ.
    """
    return _WRITTEN[estimator.kind](estimator)


def _classifier(estimator: Any) -> _Written:
    net = estimator.net_
    example = {"x": torch.randn(7, 2, net.recurrent.input_size), "lengths": torch.tensor([7, 4])}
    return net, example, [["time", "batch", None], ["batch"]]


def _generator(estimator: Any) -> _Written:
    class Continued(nn.Module):
        """The net with its states side by side, one argument for each."""

        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, symbols: Tensor, *states: Tensor) -> Any:
            return self.net(symbols, states if len(states) > 1 else states[0])

    net = estimator.net_
    symbols = torch.zeros(7, 2, dtype=torch.int64)
    with torch.no_grad():
        _, after = net(symbols)
    names = [f"{name}0" for name in net.recurrent.cell.states]
    states = after if isinstance(after, tuple) else (after,)
    example = {"symbols": symbols, **dict(zip(names, states, strict=True))}
    return Continued(net), example, [["time", "batch"], *([None, "batch", None] for _ in names)]


def _forecaster(estimator: Any) -> _Written:
    net, panel = estimator.net_, estimator.memory_
    context, whole, targets = net.context, net.context + net.horizon, panel.target.shape[1]
    sizes: dict[str, tuple[int, ...]] = {
        "known": (context,),
        "level": (),
        "measured": (context,) if net.has_mask else (),
        "past": (context, panel.past.shape[1]),
        "future": (whole, panel.future.shape[1]),
        "calendar": (whole, 2 * len(estimator.plan_.cycles)),
        "static": (panel.static.shape[1] + (targets if targets > 1 else 0),),
    }
    unread = {"level"} | {
        name for name, size in sizes.items() if 0 in size or (name == "measured" and not net.has_mask)
    }

    class Windows(nn.Module):
        """The net with what it reads side by side; what no window has is left out."""

        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, *parts: Tensor) -> Tensor:
            given = dict(zip((name for name in sizes if name not in unread), parts, strict=True))
            rows = parts[0].shape[0]
            empty = {name: parts[0].new_zeros(rows, *sizes[name]) for name in unread}
            asked = parts[0].new_zeros(rows, 0)
            said: Tensor = self.net(Batch(**given, **empty, asked=asked, counts=asked))
            return said

    example = {name: torch.randn(3, *size) for name, size in sizes.items() if name not in unread}
    return Windows(), example, [["row", *(None for _ in x.shape[1:])] for x in example.values()]


_WRITTEN = {"classify": _classifier, "generate": _generator, "forecast": _forecaster}
