"""The steps of nets that learn in real time, on the kernel that is compiled for their cell: no Python between them.

Where every weight stands is in tables, made once (`Places`); what the nets are lies net beside net, as the kernel has
it.
"""

from array import array
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from carrousel.backends.llvm.real_time import real_time_kernel
from carrousel.backends.llvm.real_time_step import ARGUMENTS, COLUMNS
from carrousel.backends.llvm.target import host
from carrousel.systems.judgement import Judgement
from carrousel.systems.network import BIAS, OUTPUT, SHORTCUT, Network
from carrousel.systems.places import NOTHING, ONE, Places

__all__ = ["Steps"]


class Steps:
    """Many nets of one shape on their way over time.

    Args:
        network: what they look like.
        w: their first weights, (net, weight).
        judgement: of a step that ends the stream of a net; None where streams do not end.
        decay: what the rate of a net is multiplied with at every step of its stream.
        momentum: the share of its last change that is added to each change of a weight.
        together: whether a walk ends with the last of the streams, not with the first, and a net that begins anew
            begins a stream.

    Attributes:
        w: the weights, (net, weight): a view of what the kernel reads and writes, as the others are.
        velocity: their last changes, (net, weight).
        rate: of every net, (net, 1); 0 from the end of its stream on.
        goes_on: which nets are in the middle of a stream, (net,).
        survived: which have come to the end of their last stream, (net,), where they begin together.
    """

    def __init__(
        self,
        network: Network,
        w: Tensor,
        judgement: Judgement | None = None,
        decay: float = 1.0,
        momentum: float = 0.0,
        together: bool = False,
    ) -> None:
        self.network, self.nets, self.dtype = network, len(w), w.dtype
        dtype = str(w.dtype).removeprefix("torch.")
        self._ends_first = judgement is not None and not together
        of = judgement and judgement.of
        self._kernel = real_time_kernel(network.cell.definition, host().name, dtype, network.linear, of)
        self._stride = -(-self.nets // self._kernel.lanes) * self._kernel.lanes
        self._states_at = network.inputs + 1
        self._sizes, self._memory = self._lay_out_nets()
        self._sizes["together"] = int(together)
        self._memory["initial"] = torch.tensor(list(network.cell.initial.values()), dtype=w.dtype)
        self._memory["within"] = w.new_tensor([judgement.within if judgement else 0.0])
        self._memory |= {"decay": w.new_tensor([decay]), "momentum": w.new_tensor([momentum])}
        self._memory["first_rate"] = w.new_zeros(1)
        self._memory["end"] = torch.zeros(1, dtype=torch.int64)
        self._end, self._first_rate = (self._memory[name].numpy() for name in ("end", "first_rate"))
        self._memory["now"][network.inputs] = 1
        self.w = self._memory["w"][:-1, : self.nets].T
        self.w.copy_(w)
        seen = ("learns", "rate", "velocity")
        self.learns, self.rate, self.velocity = (self._memory[name][:, : self.nets].T for name in seen)
        self.goes_on, self.survived = (self._memory[name][0, : self.nets] for name in ("goes_on", "survived"))
        self.learns.fill_(1)
        self._time = -1
        self.begin()

    def _lay_out_nets(self) -> tuple[dict[str, int], dict[str, Tensor]]:
        """How large everything is; rows for all that nets have, and where their weights stand."""
        network, places = self.network, Places(self.network)
        columns = -(-places.columns // COLUMNS) * COLUMNS
        tables = {**_entries(places, self._states_at), **_fed(places), **_columns(places, columns)}
        tables |= _outputs(network, self._states_at)
        states, fed = len(network.cell.initial) * network.hidden, len(tables["fed_rows"])
        sizes = {
            "inputs": network.inputs,
            "hidden": network.hidden,
            "outputs": network.outputs,
            "weights": network.weights,
            "columns": columns,
            "fed": fed,
            "sources": len(tables["output_sources"]),
            "states_at": self._states_at,
            "stride": self._stride,
        }
        rows = {
            "rate": 1,
            "w": network.weights + 1,
            "learns": network.weights,
            "velocity": network.weights,
            "now": self._states_at + states,
            "influence": states * columns,
            "old_influence": states * columns,
            "net_inputs": len(places.gates) * network.hidden,
            "states": states,
            "derivatives": self._kernel.derivatives * network.hidden,
            "jacobian": states * fed,
            "deltas": network.outputs,
            "gradient": network.weights + 1,
            "goes_on": 1,
            "survived": 1,
        }
        memory = {name: self._rows(number) for name, number in rows.items()}
        return sizes, memory | {name: table.to(torch.int64).contiguous() for name, table in tables.items()}

    def _rows(self, *shape: int) -> Tensor:
        return torch.zeros(*shape, self._stride, dtype=self.dtype)

    def begin(self) -> None:
        """Put every state at its beginning."""
        states = self._memory["now"][self._states_at :].view(len(self._memory["initial"]), -1)
        states.copy_(self._memory["initial"].unsqueeze(1).expand_as(states))
        for name in ("influence", "old_influence"):
            self._memory[name].zero_()

    def take(self, x: Tensor, target: Tensor, is_over: Tensor | None = None) -> Tensor:
        """Lay out the steps to come.

        Args:
            x: (time, net, input).
            target: (time, net, output); or numbers of outputs, (time, net), -1 where nothing is asked.
            is_over: the steps before which streams have come to their end, (time, net).

        Returns:
            Where their outputs will be, (time, net, output).
        """
        if len(x) != self._time:
            self._lay_out(len(x))
        memory, nets = self._memory, self.nets
        if target.is_floating_point():
            memory["asked"].fill_(1)
        else:
            memory["asked"][:, :nets] = target >= 0
            target = one_hot(target.clamp(min=0), self.network.outputs)
        if is_over is not None:
            memory["asked"][:, :nets].masked_fill_(is_over, -1)
        torch.any(memory["asked"][:, :nets] > 0, 1, out=memory["is_asked"])
        memory["x"][..., :nets] = x.mT
        memory["target"][..., :nets] = target.mT
        memory["anew"].zero_()
        memory["is_anew"].zero_()
        memory["y"] = self._rows(len(x), self.network.outputs)
        self._words[_Y] = memory["y"].data_ptr()
        y: Tensor = memory["y"][..., :nets].mT
        return y

    def _lay_out(self, time: int) -> None:
        """Make memory for so many steps."""
        network = self.network
        self._memory |= {
            "x": self._rows(time, network.inputs),
            "target": self._rows(time, network.outputs),
            "asked": self._rows(time),
            "is_asked": torch.zeros(time, dtype=torch.uint8),
            "anew": self._rows(time),
            "is_anew": torch.zeros(time, dtype=torch.uint8),
            "y": self._rows(0),
        }
        self._time = time
        self._words = array("q", [0, time, *(self._word(name) for name in ARGUMENTS[2:])])

    def _word(self, name: str) -> int:
        return self._sizes[name] if name in self._sizes else self._memory[name].data_ptr()

    def begin_anew(self, t: int | slice, nets: Tensor) -> None:
        """Note which nets begin anew before some of the steps.

        Args:
            t: which steps.
            nets: bool, ([time,] net).
        """
        self._memory["anew"][t, ..., : self.nets] = nets.to(self.dtype)
        self._memory["is_anew"][t] = nets.any(-1).to(torch.uint8)

    def run(self, first: int, last: int, first_rate: float = 0.0) -> int:
        """Take the steps from `first` to before `last` of those laid out, or to the first (last) end of a stream.

        Args:
            first, last: which steps.
            first_rate: of streams that begin together.

        Returns:
            The step behind the last one that was taken.
        """
        groups, end = self._stride // self._kernel.lanes, first
        self._first_rate[0] = first_rate
        if groups > 1 and self._ends_first:
            last = first + 1  # none of them may run ahead of the others
        for group in range(groups):
            words = self._words[:]
            words[_FIRST], words[_LAST] = first, last
            for k in _PER_NET if group else ():
                words[k] += group * self._kernel.lanes * self.w.element_size()
            self._kernel.call(words.buffer_info()[0])
            end = max(end, int(self._end[0]))
        if end == self._time and end % 2:  # the two take turns, and the next step is again number 0
            memory = self._memory
            memory["influence"], memory["old_influence"] = memory["old_influence"], memory["influence"]
            self._words[_NEW], self._words[_OLD] = self._words[_OLD], self._words[_NEW]
        return end


_FIRST, _LAST, _Y, _NEW, _OLD = map(ARGUMENTS.index, ("first", "last", "y", "influence", "old_influence"))
_BESIDE = {
    *("x", "target", "asked", "anew", "y", "rate", "goes_on", "survived", "w", "learns", "velocity"),
    *("now", "influence", "old_influence", "net_inputs", "states", "derivatives", "jacobian", "deltas", "gradient"),
}
#: The numbers of the arguments that have something for every net.
_PER_NET = [k for k, name in enumerate(ARGUMENTS) if name in _BESIDE]


# ---------------------------------------------------------------------- tables


def _entries(places: Places, states_at: int) -> Mapping[str, Tensor]:
    """What each unit's gates sum up: weights, what they multiply, and the columns of their influence."""
    network, states = places.network, list(places.network.cell.initial)
    starts = {"x": 0, ONE: network.inputs, NOTHING: -1}
    starts |= {f"{state}_prev": states_at + k * network.hidden for k, state in enumerate(states)}
    operands = [starts[name] + torch.arange(places.size(name)) for name in places.operands]
    operand = torch.cat(operands).expand_as(places.index)
    is_there = (places.index < places.width) & (operand >= 0)
    gates, _, count = places.index.shape
    own = torch.arange(gates).view(-1, 1, 1) * count + torch.arange(count)
    columns = own.expand_as(places.index) if places.is_own else places.index
    ends = is_there.sum(-1).flatten().cumsum(0)
    return {
        "starts": pad(ends, (1, 0)),
        "places": places.index[is_there],
        "operands": operand[is_there],
        "own_columns": columns[is_there],
    }


def _fed(places: Places) -> Mapping[str, Tensor]:
    """What is fed back: rows of the influences, and for each gate and unit the weights that multiply them."""
    network, states = places.network, list(places.network.cell.initial)
    if places.is_own:
        return {"fed_rows": torch.zeros(0), "fed_places": torch.zeros(0)}
    rows = [states.index(s) * network.hidden + torch.arange(0, network.hidden, step) for s, step in places.fed]
    return {"fed_rows": _joined(rows), "fed_places": _or_zero(places)[..., places.fed_operands]}


def _columns(places: Places, columns: int) -> Mapping[str, Tensor]:
    """For each unit and column of the influences the weight that it is of; and those of the factors."""
    network = places.network
    own, every = _or_zero(places).transpose(0, 1).flatten(1), torch.arange(places.columns).expand(network.hidden, -1)
    weights = own if places.is_own else every
    return {
        "gradient_places": pad(weights, (0, columns - places.columns), value=network.weights),
        "factor_places": _joined(places.factors),
        "factor_columns": _joined(places.factor_columns),
    }


def _or_zero(places: Places) -> Tensor:
    """(gate, unit, operand) -> weight; that which is not there is the zero behind the last one."""
    return places.index.masked_fill(places.index == places.width, places.network.weights)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(parts)) if parts else torch.zeros(0)


def _outputs(network: Network, states_at: int) -> Mapping[str, Tensor]:
    """The weights of the output units, and what they multiply; the memory cells' outputs come first."""
    numbers = torch.arange(network.weights).unsqueeze(0)
    weights, sources = [network.part(numbers, OUTPUT)[0]], [states_at + torch.arange(network.hidden)]
    if network.shortcut:
        weights.append(network.part(numbers, SHORTCUT)[0])
        sources.append(torch.arange(network.inputs))
    if network.output_bias:
        weights.append(network.part(numbers, BIAS)[0].unsqueeze(1))
        sources.append(torch.tensor([network.inputs]))
    return {"output_places": torch.cat(weights, dim=1), "output_sources": torch.cat(sources)}
