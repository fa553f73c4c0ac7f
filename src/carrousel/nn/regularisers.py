"""Regularisers of a layer: the equations of training and of evaluation, and the masks that training draws."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from carrousel.cell import Cell
from carrousel.errors import OptionError, UnknownNameError
from carrousel.transforms import clip_cell, clip_gates, clip_projection, projected, recurrent_dropout, zoneout
from carrousel.transforms.regularisers import positive, probability

__all__ = ["Regularisers"]


@dataclass(frozen=True)
class Regularisers:
    """What keeps a layer from fitting too closely, as changes of its cell's equations: every backend has them.

    Masks are drawn above the backends from torch's generator, so that a seed gives the same on each of them. A kernel
    reads its masks step by step: one that is drawn once for a sequence is still copied for every step.

    Attributes:
        input_dropout: probability of dropping a feature of the input, for a whole sequence.
        recurrent_dropout: probability of dropping a value of the previous output where matrices multiply it, for a
            whole sequence; each layer and direction draws its own.
        zoneout: probability that a unit keeps its previous value, drawn at every step; one for all states, or state ->
            probability. In evaluation the expected mix of both values.
        cell_clip: bound of the cell state c, in evaluation too, as the following.
        gate_clip: bound of the pre-activations.
        proj_clip: bound of the projected output.

    Source:
        Gal & Ghahramani (2016), A theoretically grounded application of dropout in recurrent neural networks; Krueger
        et al. (2017), Zoneout; `cell_clip` and `proj_clip` of TensorFlow 1's LSTMCell, `clip` of ONNX.
    """

    input_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    zoneout: float | Mapping[str, float] = 0.0
    cell_clip: float | None = None
    gate_clip: float | None = None
    proj_clip: float | None = None

    def checked(self, where: str, cell: Cell, proj_size: int) -> "Regularisers":
        """Return these regularisers if a layer of the cell can have them, or raise.

        Args:
            where: the layer's name.
            cell: its cell.
            proj_size: size of its projection, 0 for none.

        Raises:
            OptionTypeError: a probability or bound is no number.
            OptionError: it has no such value, or the cell has nothing that it could be for.
            UnknownNameError: zoneout names no state.
        """
        for name in ("input_dropout", "recurrent_dropout"):
            probability(where, name, getattr(self, name))
        for name in ("cell_clip", "gate_clip", "proj_clip"):
            if getattr(self, name) is not None:
                positive(where, name, getattr(self, name))
        self._check_states(where, cell, proj_size)
        for state, rate in self._zoneout(cell).items():
            self._check_zoneout(where, cell, proj_size, state, rate)
        return self if not isinstance(self.zoneout, Mapping) else replace(self, zoneout=dict(self.zoneout))

    def _check_states(self, where: str, cell: Cell, proj_size: int) -> None:
        if self.cell_clip is not None and "c" not in cell.states:
            raise OptionError(
                f"{where} - cell_clip={self.cell_clip}, but the states of {cell.name} are {', '.join(cell.states)} - "
                "leave cell_clip out, it bounds a state c"
            )
        if self.proj_clip is not None and not proj_size:
            raise OptionError(f"{where} - proj_clip={self.proj_clip} without a projection - give proj_size too")
        if self.recurrent_dropout and proj_size:
            raise OptionError(
                f"{where} - recurrent_dropout={self.recurrent_dropout} with proj_size={proj_size}: a mask has "
                "hidden_size values, the projected output has not - leave one of the two out"
            )

    def _check_zoneout(self, where: str, cell: Cell, proj_size: int, state: str, rate: object) -> None:
        if state not in cell.states:
            raise UnknownNameError(
                f"{where} - zoneout names {state!r}, the states of {cell.name} are {', '.join(cell.states)} - "
                "name some of them"
            )
        is_projected = bool(proj_size) and state == cell.states[0]
        if probability(where, f"zoneout of {state}", rate) and (is_projected or math.isinf(cell.initial[state])):
            why = "is projected" if is_projected else f"begins at {cell.initial[state]}"
            raise OptionError(
                f"{where} - zoneout of {state}, which {why} - name the states that can keep their values: "
                'zoneout={"c": 0.1}'
            )

    def _zoneout(self, cell: Cell) -> Mapping[str, float]:
        """State -> probability, as given."""
        return self.zoneout if isinstance(self.zoneout, Mapping) else dict.fromkeys(cell.states, self.zoneout)

    def _rates(self, cell: Cell) -> dict[str, float]:
        """State -> probability, for the states that have one."""
        return {state: rate for state, rate in self._zoneout(cell).items() if rate}

    # ------------------------------------------------------------------ the equations

    def shown(self) -> list[str]:
        """Return the options that differ from the defaults as `name=value`."""
        chosen = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return [f"{name}={value}" for name, value in chosen.items()]

    def at_work(self, training: bool) -> bool:
        """Whether a call differs from one without regularisers."""
        return bool(self.in_equations(training) or (training and self.input_dropout))

    def in_equations(self, training: bool) -> list[str]:
        """Return the options that make the cell another one, as `name=value`."""
        elsewhere = ("input_dropout",) if training else ("input_dropout", "recurrent_dropout")
        return [option for option in self.shown() if not option.startswith(elsewhere)]

    def cells(self, cell: Cell, proj_size: int) -> tuple[Cell, Cell]:
        """Return the cell of evaluation and that of training, one and the same if training has no masks.

        Args:
            cell: the layer's.
            proj_size: size of its projection, 0 for none.
        """
        if self.gate_clip is not None:
            cell = clip_gates(cell, self.gate_clip)
        if self.cell_clip is not None:
            cell = clip_cell(cell, self.cell_clip)
        expected = masked = cell
        rates = self._rates(cell)
        for rate in dict.fromkeys(rates.values()):
            expected = zoneout(expected, *(state for state in rates if rates[state] == rate), rate=rate)
        if rates:
            masked = zoneout(masked, *rates)
        if self.recurrent_dropout:
            masked = recurrent_dropout(masked)
        evaluated = self._projected(expected, proj_size)
        return evaluated, evaluated if masked is expected else self._projected(masked, proj_size)

    def _projected(self, cell: Cell, proj_size: int) -> Cell:
        if proj_size and not cell.definition.projected:
            cell = projected(cell)
        return cell if self.proj_clip is None else clip_projection(cell, self.proj_clip)

    # ------------------------------------------------------------------ the masks of training

    def dropped(self, x: Tensor) -> Tensor:
        """Drop features of the input (time, *rows, input), the same at every step."""
        return x * _dropout(self.input_dropout, x.shape[1:], x) if self.input_dropout else x

    def step_inputs(self, cell: Cell, given: Sequence[Tensor], hidden_size: int, x: Tensor) -> list[Tensor]:
        """Draw the masks of one layer in one direction.

        Args:
            cell: the cell of training.
            given: the inputs per step that its user gives.
            hidden_size: hidden units.
            x: (time, *rows, input).

        Returns:
            All inputs per step in the order of the signature, each (time, *rows, hidden).
        """
        shape = (*x.shape[1:-1], hidden_size)
        found: dict[str, Tensor] = {}
        if self.recurrent_dropout:
            mask = _dropout(self.recurrent_dropout, shape, x)
            found[f"mask_{cell.states[0]}_t"] = mask.expand(len(x), *shape)
        for state, rate in self._rates(cell).items():
            found[f"keep_{state}_t"] = _chance(rate, (len(x), *shape), x).to(x.dtype)
        names = [name for name in cell.definition.step_inputs if name not in found]
        found |= dict(zip(names, given, strict=True))
        return [found[name] for name in cell.definition.step_inputs]


def _chance(probability: float, shape: Sequence[int], like: Tensor) -> Tensor:
    """Booleans that are true with a probability, the same ones for every dtype."""
    return torch.rand(*shape, dtype=torch.float32, device=like.device) < probability


def _dropout(probability: float, shape: Sequence[int], like: Tensor) -> Tensor:
    """A mask whose expected value is one."""
    return (~_chance(probability, shape, like)).to(like.dtype) / (1 - probability)
