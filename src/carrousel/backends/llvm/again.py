"""The same call again and again on the same memory: for nets whose sequence takes less time than a call's bookkeeping.

Sixteen nets of four units take 0.1 ms for a hundred steps forward and back; making tensors, plans and addresses for it
would take three times as long. Here all of them are made once, and the networks always lie in the lanes (`nets`).
"""

from array import array

import torch
from torch import Tensor

from carrousel.backends.llvm.call import arguments, call
from carrousel.backends.llvm.plan import Plan, lanes_for, plan_for
from carrousel.backends.llvm.signature import Problem, signature_of
from carrousel.backends.llvm.target import host
from carrousel.calculus.notation import HIDDEN, INPUT, Definition

__all__ = ["Again"]


class Again:
    """One layer of many nets over sequences of one shape, forward and back.

    Args:
        definition: the cell's.
        initial: state -> its value before the first step.
        sizes: time, nets, batch, inputs, hidden units.
        keep: whether `backward` will be called.
        dtype: float32 or float64.

    Attributes:
        x: the input, to be filled in: (time, group, batch, input, lane); net k is lane k % lanes of group k // lanes.
        parameters: group -> stacked parameter, to be filled in: (net, gates * hidden[, columns]).
        steps: inputs per step, to be filled in: (time, group, batch, step input, hidden, lane).
        output: (time, group, batch, hidden, lane).
        adjoint: the loss's derivative by the output, to be filled in; the same shape.
        gradients: the loss's derivative by the parameters.
        step_gradients: that by the inputs per step.
    """

    def __init__(
        self,
        definition: Definition,
        initial: dict[str, float],
        sizes: tuple[int, int, int, int, int],
        keep: bool,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        time, nets, batch, inputs, hidden = sizes
        self.dtype, self.definition = dtype, definition
        lanes = lanes_for(host(), 8 * dtype.itemsize, nets)
        groups = -(-nets // lanes)
        units = {INPUT: inputs, HIDDEN: hidden}
        self.x = self._new(time, groups, batch, inputs, lanes)
        self.steps = self._new(time, groups, batch, len(definition.step_inputs), hidden, lanes)
        self.parameters = {
            group.name: self._new(
                nets, len(group.gates) * units[group.rows], *([units[str(group.columns)]] if group.is_matrix else [])
            )
            for group in definition.groups
        }
        states = [self._new(groups, batch, hidden * lanes).fill_(initial[state]) for state in definition.states]
        problem = Problem(
            definition,
            self.x.flatten(-2),
            states,
            list(self.parameters.values()),
            [step.flatten(-2) for step in self.steps.unbind(3)],
            [],
            None,
            None,
            False,
            (),
            [nets, lanes],
        )
        given = [*problem.parameters, *states, *([self.steps] if definition.step_inputs else [])]
        shape = (time, groups, batch, hidden, lanes)
        self._forward(problem, given, keep, shape)
        if keep:
            self._backward(problem, given, shape)

    def _new(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=self.dtype)

    def _forward(self, problem: Problem, given: list[Tensor], keep: bool, shape: tuple[int, ...]) -> None:
        plan = plan_for(signature_of(problem, "forward", keep))
        self._histories = [self._new(*like.shape) for like in plan.histories]
        self._finals = [self._new(*like.shape) for like in plan.finals]
        self._kept = [self._new(*plan.kept.shape)] if plan.layout.kept else []
        self.output = self._histories[0].view(shape)
        self._forward_call = self._ready(plan, problem.x, [*given, *self._histories, *self._finals, *self._kept])

    def _backward(self, problem: Problem, given: list[Tensor], shape: tuple[int, ...]) -> None:
        plan = plan_for(signature_of(problem, "backward", True))
        self.adjoint = self._new(*shape)
        self._carries = [self._new(*like.shape) for like in plan.finals]
        self.gradients = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        once = zip(self.gradients.values(), plan.is_stored_once, strict=True)
        self._summed = [gradient for gradient, is_stored_once in once if not is_stored_once]
        tensors = [*given, *self._histories, *self._kept, self.adjoint, *self._carries, *self.gradients.values()]
        if plan.keeps_adjoints:
            adjoints = self._new(*plan.adjoints.shape)
            tensors.append(adjoints)
            parts = []
            for name in self.definition.step_inputs:
                start = plan.extents.before(plan.layout.adjoints.before(f"d{name}"))
                parts.append(adjoints[..., start : start + shape[-2] * shape[-1]].unflatten(-1, shape[-2:]))
            self.step_gradients = parts
        self._backward_call = self._ready(plan, problem.x, tensors)

    def _ready(self, plan: Plan, x: Tensor, tensors: list[Tensor]) -> tuple[Plan, "array[int]", list[Tensor]]:
        """A block of arguments, and the tensors that it points to: none of them may go."""
        scratch = torch.empty_like(plan.scratch)
        pieces = [scratch.data_ptr() + offset for offset in plan.offsets]
        words = arguments(plan, x, [tensor.data_ptr() for tensor in (x, *tensors)], pieces)
        return plan, words, [x, *tensors, scratch]

    def forward(self) -> None:
        """Run over the sequences: `x`, `steps` and `parameters` -> `output`."""
        plan, words, _ = self._forward_call
        call(plan, words)

    def backward(self) -> None:
        """Run back: `adjoint` -> `gradients` and `step_gradients`."""
        for values in (*self._carries, *self._summed):
            values.zero_()
        plan, words, _ = self._backward_call
        call(plan, words)
