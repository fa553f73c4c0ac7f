"""Layers of different sizes with residual connections between them: compose modules.

Run it with `python examples/stack.py`.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

import carrousel


class ResidualStack(nn.Module):
    """A stack of recurrent layers; from the second on, each adds its output to its input.

    Args:
        cell: a name of the registry or a Cell.
        sizes: input_size, then the hidden size of each layer.

    Shapes:
        - input: (time, batch, sizes[0])
        - output: (time, batch, sizes[-1])
    """

    def __init__(self, cell: str, sizes: list[int]) -> None:
        super().__init__()
        pairs = list(pairwise(sizes))
        self.layers = nn.ModuleList(carrousel.Recurrent(cell, i, h) for i, h in pairs)
        self.shortcuts = nn.ModuleList(nn.Identity() if i == h else nn.Linear(i, h, bias=False) for i, h in pairs)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Run the stack."""
        for k, (layer, shortcut) in enumerate(zip(self.layers, self.shortcuts, strict=True)):
            output, _ = layer(x, lengths=lengths)
            x = output + shortcut(x) if k else output
        return x


if __name__ == "__main__":
    stack = ResidualStack("peephole_lstm", [3, 64, 32, 32])
    print(stack)
    print(tuple(stack(torch.randn(20, 4, 3), lengths=torch.tensor([20, 11, 5, 0])).shape))
