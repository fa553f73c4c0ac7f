"""Many nets that learn at every step: real-time recurrent learning of any cell under output units.

The steps run in a compiled kernel (`carrousel.systems.steps`). `backend="eager"` takes them one after the other in
plain tensors (`carrousel.systems.plain_steps`): slow, obvious, the reference.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from carrousel.errors import DtypeError, InputShapeError, InputTypeError, UnknownNameError
from carrousel.systems import readout
from carrousel.systems.checks import fitting
from carrousel.systems.network import Network
from carrousel.systems.plain_steps import PlainSteps
from carrousel.systems.rows import Rows, by_net, by_step
from carrousel.systems.steps import Steps
from carrousel.systems.sweep import Sweep
from carrousel.tasks.sequences import Sequences

__all__ = ["Continual", "RealTime"]

_STEPS: dict[str, type[Steps] | type[PlainSteps]] = {"llvm": Steps, "eager": PlainSteps}


class RealTime(Rows):
    """Nets of one shape side by side whose weights change at every step that has a target.

    Args:
        network: what they look like.
        seeds: one for each net; its weights depend on nothing else.
        rate: the learning rate.
        dtype: of everything.
        backend: "llvm" for the compiled kernel, or "eager".

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
    ) -> None:
        if dtype not in (torch.float32, torch.float64):
            raise DtypeError(f"RealTime - dtype is {dtype}, expected float32 or float64 - learn in one of them")
        super().__init__(network, seeds, dtype)
        if backend not in _STEPS:
            raise UnknownNameError(f"RealTime - unknown backend {backend!r} - expected 'llvm' or 'eager'")
        self.rate = rate
        self.steps = _STEPS[backend](network, self.w)
        self.w = self.steps.w
        self.sweep = Sweep(network, len(seeds), dtype)

    def predict(self, sequences: Sequences) -> Tensor:
        """Compute the outputs at every step with the weights as they are, (time, net, batch, output)."""
        h = self.sweep.forward(self.w, sequences.x, keep=False)
        return by_step(readout.outputs(self.network, self.w, by_net(h), by_net(sequences.x)), len(h))

    def learn(self, sequences: Sequences) -> Tensor:
        """Learn while the sequences pass, one for each net; a stream (with resets) goes on where the last one ended.

        Returns:
            The outputs as they were before each change, (time, net, 1, output).
        """
        y, steps = self._take(sequences), self.steps
        steps.rate.fill_(self.rate)
        if sequences.resets is None:
            steps.begin()
        else:
            steps.begin_anew(slice(len(y)), sequences.resets.squeeze(2))
        steps.run(0, len(y))
        return y.unsqueeze(2)

    def _take(self, sequences: Sequences) -> Tensor:
        """Lay out the steps of sequences; returns where their outputs will be, (time, net, output)."""
        self._check(sequences)
        x = sequences.x.squeeze(2)
        values = one_hot(x, self.network.inputs).to(self.w.dtype) if self.network.symbols else x
        if self.learns is not None:
            self.steps.learns.copy_(self.learns)
        return self.steps.take(values, sequences.target.squeeze(2))

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


class Continual(RealTime):
    """The same on streams that nobody cuts into sequences: a stream ends at its first wrong output, the next begins.

    A net whose stream has ended is idle until its next sequence begins; there the next stream begins.

    Args:
        network, seeds, rate, dtype, backend: as of `RealTime`.
        wrong: (outputs, targets) of a step -> which are wrong, (net, output) -> (net,).
        decay: the rate is multiplied by this at every step of a stream, and is `rate` again where one begins.
        longest: steps after which a stream ends without a mistake.
        has_resets: whether states begin anew with every sequence of a stream, an "external reset".

    Attributes:
        begun: streams that each net began in the last `learn`, (net,).

    Example:
        >>> from carrousel import cells
        >>> network = Network(cells.get("lstm_1997_truncated"), 3, 3, 4, 2, symbols=True)
        >>> nets = Continual(network, range(5), 0.1, wrong=lambda y, target: target == 2)
        >>> x = torch.tensor([0, 1, 2, 0, 1, 2]).view(6, 1, 1).expand(6, 5, 1)
        >>> _ = nets.learn(Sequences(x, torch.full((5, 1), 6), x.roll(-1, 0), resets=x == 0))
        >>> nets.begun.tolist()
        [2, 2, 2, 2, 2]

    Source:
        Gers, Schmidhuber & Cummins (2000), Learning to forget, Neural Computation 12(10), 2451-2471: weights change at
        every step, a stream ends with a wrong prediction.
    """

    def __init__(
        self,
        network: Network,
        seeds: Sequence[int],
        rate: float,
        wrong: Callable[[Tensor, Tensor], Tensor],
        *,
        decay: float = 1.0,
        longest: int = 100_000,
        has_resets: bool = False,
        dtype: torch.dtype = torch.float32,
        backend: str = "llvm",
    ) -> None:
        super().__init__(network, seeds, rate, dtype, backend)
        self.wrong, self.decay, self.longest, self.has_resets = wrong, decay, longest, has_resets
        self.begun = torch.zeros(len(seeds), dtype=torch.long)
        self._goes_on = torch.zeros(len(seeds), dtype=torch.bool)
        self._share = torch.zeros(len(seeds), 1, dtype=dtype)
        self._age = torch.zeros(len(seeds), dtype=torch.long)

    def learn(self, sequences: Sequences) -> Tensor:
        """Learn while the streams pass, one for each net; `resets` says where their sequences begin.

        Returns:
            The outputs as they were before each change, (time, net, 1, output).
        """
        if sequences.resets is None:
            raise InputTypeError("Continual - resets is None, expected (time, net, 1) - say where sequences begin")
        y, target, self.begun = self._take(sequences), sequences.target.squeeze(2), torch.zeros_like(self.begun)
        for t, starts in enumerate(sequences.resets.squeeze(2)):
            begins = starts & ~self._goes_on
            if (resets := starts if self.has_resets else begins).any():
                self.steps.begin_anew(t, resets)
                self._begin(begins)
            torch.mul(self._share, self.rate, out=self.steps.rate)
            self.steps.run(t, t + 1)
            self._age += 1
            self._goes_on &= ~self.wrong(y[t], target[t]) & (self._age < self.longest)
            self._share.mul_(self.decay).mul_(self._goes_on.unsqueeze(1))
        return y.unsqueeze(2)

    def _begin(self, begins: Tensor) -> None:
        self.begun += begins
        self._goes_on |= begins
        self._age[begins], self._share[begins] = 0, 1

    def replace(self, net: int, seed: int) -> None:
        """Put a new net in the place of another; its first stream begins with its next sequence."""
        super().replace(net, seed)
        self._goes_on[net], self._share[net] = False, 0
