"""A whole sequence with its plans at hand: what a call looks up is looked up once for inputs of one shape.

Eight units take a thousand steps in less time than it takes to find out what to call. Here a call checks that nothing
has changed, makes its results, fills in addresses, and goes.
"""

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from carrousel.backends.llvm import call
from carrousel.backends.llvm.operator import are_plain, pulled_back, register, wants_reference
from carrousel.backends.llvm.plan import plan_for
from carrousel.backends.llvm.signature import Problem, signature_of
from carrousel.backends.llvm.target import VARIABLE
from carrousel.backends.llvm.threads import available
from carrousel.calculus.notation import INPUT, Definition

__all__ = ["Ready"]


class Ready:
    """One layer in one direction: every step of every row, from states that are the same in every call.

    Args:
        definition: the cell's.
        x: (time, batch, input), of the shape and dtype of the inputs to come.
        states: the states before the first step, each (batch, size); nobody writes to them.
        weights: as the operator's parameters, of the shapes of those to come.
        keep: whether backwards will follow.

    Attributes:
        identity: the text that stands for the definition in the operator's arguments.
        states: as given.
        has_kept: whether the forward keeps more than states.
        is_whole: whether outputs and states fill whole registers; only then it can be run.
    """

    def __init__(
        self, definition: Definition, x: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor], keep: bool
    ) -> None:
        problem = Problem(definition, x, states, weights, (), (), None, None, False, (), ())
        self.identity, self.states = register(definition), [state.contiguous() for state in states]
        self._signature = signature_of(problem, "forward", keep)
        self._plan = plan = plan_for(self._signature)
        self._backward = plan_for(self._signature._replace(direction="backward")) if keep else plan
        self._finals = [like.unsqueeze(0) for like in plan.finals]
        self._shapes = [x.shape, *(weight.shape for weight in weights)]
        self.has_kept = bool(plan.layout.kept)
        pads = any(plan.missing[size] for size in plan.state_sizes)
        self.is_whole = not pads and not plan.is_empty and bool(plan.layout.projections)

    def fits(self, tensors: Sequence[Tensor]) -> bool:
        """Whether it is ready for an input and weights.

        Args:
            tensors: x and the weights, of the same dtype as before.
        """
        signature = self._signature
        return (
            [tensor.shape for tensor in tensors] == self._shapes
            and available() == signature.threads
            and os.environ.get(VARIABLE, "") == signature.isa
            and all([tensor.is_cpu and not tensor.is_neg() for tensor in tensors])
            and all([tensor.is_contiguous() for tensor in tensors[1:]])
        )

    def run(self, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Run over a sequence.

        Args:
            tensors: x and the weights, such as it fits.

        Returns:
            The output (time, batch, size), and the states after the last step, each (1, batch, size).
        """
        if not self._signature.keep:
            output, finals, _ = self.walk(tensors)
            return output, *finals
        found: tuple[Tensor, ...] = _apply(self, *tensors)
        return found

    def walk(self, tensors: Sequence[Tensor]) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Run forward; return the output, the final states, and what the backward needs besides the output."""
        plan = self._plan
        histories, finals = list(map(call.memory, plan.histories)), list(map(call.memory, self._finals))
        kept = [call.memory(plan.kept)] if plan.layout.kept else []
        call.run(plan, tensors[0], [*tensors[1:], *self.states, *histories, *finals, *kept])
        return histories[0], finals, [*histories[1:], *kept]

    def walk_back(
        self, tensors: Sequence[Tensor], kept: Sequence[Tensor], loss: Sequence[Tensor | None], wants_x: bool
    ) -> list[Tensor | None]:
        """Run the adjoint.

        Args:
            tensors: x and the weights.
            kept: the output and what else the forward kept.
            loss: the loss's derivatives by what `run` returned, None for zero.
            wants_x: whether that by x is asked for.

        Returns:
            Those by x and the weights.
        """
        plan = self._backward
        output, *finals = loss
        carries = [
            torch.zeros_like(like) if final is None else final.reshape(like.shape).clone()
            for like, final in zip(plan.finals, finals, strict=True)
        ]
        gradients = [
            (call.memory if is_stored_once else torch.zeros_like)(like)
            for like, is_stored_once in zip(plan.parameters, plan.is_stored_once, strict=True)
        ]
        dx = [call.memory(plan.dx)] if wants_x else []
        output = torch.zeros_like(plan.histories[0]) if output is None else output.contiguous()
        call.run(plan, tensors[0], [*tensors[1:], *self.states, *kept, output, *carries, *gradients, *dx])
        return [call.cut(plan, dx[0], INPUT) if wants_x else None, *gradients]


class _Recorded(torch.autograd.Function):
    """A run with its gradient."""

    @staticmethod
    def forward(ctx: Any, ready: Ready, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run over the sequence and keep what the backward needs."""
        output, finals, kept = ready.walk(tensors)
        ctx.save_for_backward(*tensors, output, *kept)
        ctx.ready, ctx.count = ready, len(tensors)
        ctx.set_materialize_grads(False)
        return output, *finals

    @staticmethod
    def backward(ctx: Any, *loss: Tensor | None) -> Any:
        """Run the adjoint; as the operator does where more is asked for than this."""
        ready, everything, wants_x = ctx.ready, ctx.saved_tensors, ctx.needs_input_grad[1]
        tensors, kept = everything[: ctx.count], everything[ctx.count :]
        given = [gradient for gradient in loss if gradient is not None]
        if not wants_reference() and are_plain(given) and ready.fits(tensors):
            return None, *ready.walk_back(tensors, kept, loss, wants_x)
        x, *weights = tensors
        output, *finals = loss
        finals = [None if final is None else final[0] for final in finals]
        states, nothing = len(ready.states), [] if ready.has_kept else [x.new_empty(0)]
        counts, rest = (states, len(weights), 0, 0), (False, (), ())
        all_tensors = [x, None, None, *ready.states, *weights, *kept, *nothing]
        dx, _, _, *found = pulled_back(ready.identity, counts, rest, all_tensors, [output, *finals], wants_x)
        return None, dx, *found[states:]


#: `apply` without its look for wrappers of torch.func, which never come here.
_apply = super(torch.autograd.Function, _Recorded).apply
