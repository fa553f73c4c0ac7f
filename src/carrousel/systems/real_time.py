"""Many nets that learn at every step: real-time recurrent learning of any cell under output units.

The steps run in a compiled kernel (`carrousel.systems.steps`). `backend="eager"` takes them one after the other in
plain tensors (`carrousel.systems.plain_steps`): slow, obvious, the reference.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from carrousel.errors import DtypeError, InputShapeError, InputTypeError, UnknownNameError
from carrousel.systems import readout
from carrousel.systems.checks import fitting
from carrousel.systems.judgement import Judgement
from carrousel.systems.network import Network
from carrousel.systems.plain_steps import PlainSteps
from carrousel.systems.rows import Rows, by_net, by_step
from carrousel.systems.steps import Steps
from carrousel.systems.sweep import Sweep
from carrousel.tasks.sequences import Sequences

__all__ = ["RealTime"]

_STEPS: dict[str, type[Steps] | type[PlainSteps]] = {"llvm": Steps, "eager": PlainSteps}


class RealTime(Rows):
    """Nets of one shape side by side whose weights change at every step that has a target.

    Args:
        network: what they look like.
        seeds: one for each net; its weights depend on nothing else.
        rate: the learning rate.
        dtype: of everything.
        backend: "llvm" for the compiled kernel, or "eager".
        judgement, decay: of streams that end, see `carrousel.systems.continual`.
        momentum: the share of its last change that is added to each change of a weight.
        together: whether streams that end are begun together, see `carrousel.systems.until_mistake`.

    Raises:
        OptionError: the cell has no tangent equations, or its gradient is truncated in part.
        UnknownNameError: there is no such backend.
        DtypeError: neither float32 nor float64.

    Example:
        >>> from carrousel import cells
        >>> network = Network(cells.get("lstm_1997_full"), 3, 3, 4, 2, symbols=True)
        >>> nets = RealTime(network, range(5), rate=0.1)
        >>> x = torch.tensor([0, 1, 2, 0]).view(4, 1, 1).expand(4, 5, 1)
        >>> nets.learn(Sequences(x, torch.full((5, 1), 4), x.roll(-1, 0))).shape
        torch.Size([4, 5, 1, 3])

    Source:
        Williams & Zipser (1989), Neural Computation 1(2), 270-280, without teacher forcing; of a truncated cell,
        Hochreiter & Schmidhuber (1997), appendix A.1.
    """

    def __init__(
        self,
        network: Network,
        seeds: Sequence[int],
        rate: float,
        dtype: torch.dtype = torch.float32,
        backend: str = "llvm",
        judgement: Judgement | None = None,
        decay: float = 1.0,
        momentum: float = 0.0,
        together: bool = False,
    ) -> None:
        if dtype not in (torch.float32, torch.float64):
            raise DtypeError(f"RealTime - dtype is {dtype}, expected float32 or float64 - learn in one of them")
        super().__init__(network, seeds, dtype)
        if backend not in _STEPS:
            raise UnknownNameError(f"RealTime - unknown backend {backend!r} - expected 'llvm' or 'eager'")
        self.rate = rate
        self.steps = _STEPS[backend](network, self.w, judgement, decay, momentum, together)
        self.w = self.steps.w
        self.sweep = Sweep(network, len(seeds), dtype)

    def replace(self, net: int, seed: int) -> None:
        """Put a new net in the place of another; if it learns from a stream, that begins with a reset."""
        super().replace(net, seed)
        self.steps.velocity[net] = 0

    def predict(self, sequences: Sequences) -> Tensor:
        """Compute the outputs at every step with the weights as they are, (time, net, batch, output)."""
        h = self.sweep.forward(self.w, sequences.x, keep=False)
        return by_step(readout.outputs(self.network, self.w, by_net(h), by_net(sequences.x)), len(h))

    def learn(self, sequences: Sequences) -> Tensor:
        """Learn while the sequences pass, one for each net; a stream (with resets) goes on where the last one ended.

        Returns:
            The outputs as they were before each change, (time, net, 1, output).
        """
        self._check(sequences)
        y, steps = self._take(sequences.x.squeeze(2), sequences.target.squeeze(2)), self.steps
        steps.rate.fill_(self.rate)
        if sequences.resets is None:
            steps.begin()
        else:
            steps.begin_anew(slice(len(y)), sequences.resets.squeeze(2))
        steps.run(0, len(y))
        return y.unsqueeze(2)

    def _take(self, x: Tensor, target: Tensor, is_over: Tensor | None = None) -> Tensor:
        """Lay out the steps to come, (time, net, ...); returns where their outputs will be, (time, net, output)."""
        values = one_hot(x, self.network.inputs).to(self.w.dtype) if self.network.symbols else x
        if self.learns is not None:
            self.steps.learns.copy_(self.learns)
        return self.steps.take(values, target, is_over)

    def _check(self, sequences: Sequences) -> None:
        network, x = self.network, sequences.x
        where = type(self).__name__
        if network.symbols == x.is_floating_point():
            wanted = "numbers of symbols" if network.symbols else "values"
            raise InputTypeError(f"{where} - x is of {x.dtype}, expected {wanted} - its network says so, symbols=")
        fitting(sequences, len(self), network.inputs, network.outputs)
        if x.shape[2] != 1 or not sequences.is_per_step:
            raise InputShapeError(
                f"{where} - x has shape {tuple(x.shape)} and target {tuple(sequences.target.shape)}, expected one "
                "sequence for each net, (time, net, 1), and a target at every step - the weights change at every step"
            )
