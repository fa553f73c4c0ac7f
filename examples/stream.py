"""A live signal, filtered sample by sample: an LSTM learns to take the noise off a sine, then walks with the samples.

Run it with `python examples/stream.py [steps of training]`.
"""

import sys
import time

import torch
from torch import Tensor, nn

import carrousel

RATE = 16_000


def signal(samples: int, pitch: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return a sine of one pitch with white noise, and the sine: each (sample,)."""
    drawn = torch.Generator().manual_seed(seed)
    clean = torch.sin(
        2 * torch.pi * pitch * torch.arange(samples) / RATE + 2 * torch.pi * torch.rand(1, generator=drawn)
    )
    return clean + 0.5 * torch.randn(samples, generator=drawn), clean


class Filter(nn.Module):
    """What is left of a sample without the noise.

    Shapes:
        - input: (time, batch, 1)
        - output: (time, batch, 1)
    """

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.recurrent, self.output = carrousel.LSTM(1, hidden), nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Filter whole signals."""
        filtered: Tensor = self.output(self.recurrent(x)[0])
        return filtered


def train(model: Filter, steps: int) -> None:
    """Learn from sines of all pitches between 200 and 800 Hz."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(steps):
        pitches = torch.empty(16).uniform_(200, 800, generator=torch.Generator().manual_seed(step))
        pairs = [signal(500, float(pitch), 16 * step + k) for k, pitch in enumerate(pitches)]
        noisy, clean = (torch.stack(side, dim=1)[..., None] for side in zip(*pairs, strict=True))
        optimizer.zero_grad()
        nn.functional.mse_loss(model(noisy), clean).backward()
        optimizer.step()


def main(steps: int = 150) -> None:
    """Train, then filter two seconds of a signal as if it came from a microphone."""
    torch.manual_seed(0)
    model = Filter()
    train(model, steps)
    noisy, clean = signal(2 * RATE, 440.0, -1)
    weight, bias = model.output.weight.detach()[0].numpy(), float(model.output.bias.detach())
    stream = model.eval().recurrent.stream()
    x, h = stream.x.numpy(), stream.output.numpy()  # they share the stream's memory
    filtered = []
    start = time.perf_counter()
    for sample in noisy.tolist():
        x[0] = sample
        stream.step()
        filtered.append(float(h @ weight) + bias)
    walked = time.perf_counter() - start
    error = [float((s - clean).square().mean()) for s in (noisy, torch.tensor(filtered))]
    with torch.no_grad():
        whole = model(noisy[:, None, None])[:, 0, 0]
    print(f"mean squared error: {error[0]:.3f} with noise, {error[1]:.3f} filtered")
    print(f"largest difference from the whole-sequence call: {(whole - torch.tensor(filtered)).abs().max():.1e}")
    print(f"{walked / len(noisy) * 1e6:.1f} us a sample; real-time factor at 16 kHz: {walked * RATE / len(noisy):.3f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
