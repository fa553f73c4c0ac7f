"""Saved weights: the gates' names lie beside them, so that a changed definition is refused, not permuted."""

import json
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from carrousel.cell import Cell
from carrousel.nn import operator
from carrousel.nn.torch_layout import Layout

__all__ = ["GatesBesideWeights"]


class GatesBesideWeights(Module):
    """A module whose state_dict says in which order its parameters stack the gates."""

    cell: Cell
    _layout: Layout

    @property
    def _names_gates(self) -> bool:
        """What torch does not have, other cells and biases of some gates only, keeps the gates' names."""
        return operator.mode_of(self.cell) is None or not isinstance(self._layout.bias, bool)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self._names_gates:
            destination[f"{prefix}gates"] = encode(json.dumps(self._layout.gate_names()))

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        if self._names_gates:
            saved = state_dict.pop(f"{prefix}gates", None)
            here = self._layout.gate_names()
            if saved is None:
                missing_keys.append(f"{prefix}gates")
            elif (there := _gates(saved)) != here:
                error_msgs.append(
                    f"{type(self).__name__} - the saved weights stack their gates as {there}, this cell as {here} - "
                    "load them into the cell that they were saved from"
                )
                return
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


def _gates(saved: Tensor) -> Any:
    try:
        return json.loads(decode(saved))
    except ValueError:  # no text, or not ours
        return "nothing readable"


def encode(text: str) -> Tensor:
    """Return a text as a tensor of bytes, so that it lies beside weights in any format."""
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def decode(tensor: Tensor) -> str:
    """Return the text of `encode`; the tensor may have been converted or averaged with the weights."""
    return bytes(round(value) for value in tensor.tolist()).decode()
