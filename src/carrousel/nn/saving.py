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
        """Cells that torch does not have keep their gates' names beside the weights."""
        return operator.mode_of(self.cell) is None

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
            elif (there := json.loads(decode(saved))) != here:
                error_msgs.append(
                    f"{type(self).__name__} - the saved weights stack their gates as {there}, this cell as {here} - "
                    "load them into the cell that they were saved from"
                )
                return
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


def encode(text: str) -> Tensor:
    """Return a text as a tensor of bytes, so that it lies beside weights in any format."""
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def decode(tensor: Tensor) -> str:
    """Return the text of `encode`."""
    return bytes(tensor.tolist()).decode()
