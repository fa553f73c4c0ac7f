"""A graph of ONNX while it is written: nodes, and the constants and weights that they read."""

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor

__all__ = ["Graph"]


class Graph:
    """Nodes in order, and what they read.

    Args:
        nodes: where nodes are appended.
        prefix: begins the names of the values, None to leave them to whoever keeps the nodes.
        initializers: where weights are appended, None to write them as constants.
    """

    def __init__(
        self,
        nodes: list[ir.Node] | None = None,
        prefix: str | None = None,
        initializers: list[ir.Value] | None = None,
    ) -> None:
        self.nodes = [] if nodes is None else nodes
        self.prefix, self.initializers = prefix, initializers
        self._count = 0

    def op(self, kind: str, *inputs: ir.Value | None, name: str | None = None, **attributes: Any) -> ir.Value:
        """Append a node with one result."""
        return self.ops(kind, [name], *inputs, **attributes)[0]

    def ops(
        self, kind: str, names: Sequence[str | None], *inputs: ir.Value | None, **attributes: Any
    ) -> Sequence[ir.Value]:
        """Append a node with a result for each name; the graph names what is None."""
        made = ir.convenience.convert_attributes(attributes)
        node = ir.Node("", kind, list(inputs), made, outputs=[ir.Value(name=self._named(name)) for name in names])
        self.nodes.append(node)
        return node.outputs

    def _named(self, name: str | None) -> str | None:
        if self.prefix is None:
            return name
        self._count += name is None
        return self.prefix + (name or str(self._count))

    def constant(self, value: Any, dtype: torch.dtype = torch.float32) -> ir.Value:
        """Append a small constant."""
        return self.op("Constant", value=_tensor(torch.as_tensor(value, dtype=dtype)))

    def integers(self, *values: int) -> ir.Value:
        """Append a constant list of whole numbers: axes, sizes, places."""
        return self.constant(list(values), torch.int64)

    def weight(self, name: str, value: Tensor) -> ir.Value:
        """Add a tensor that is kept beside the nodes, if the graph has such."""
        if self.initializers is None:
            return self.constant(value)
        tensor = _tensor(value, name)
        made = ir.Value(name=name, shape=ir.Shape(value.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
        self.initializers.append(made)
        return made


def _tensor(value: Tensor, name: str | None = None) -> ir.TensorProtocol:
    return ir.tensor(value.detach().contiguous().numpy(), name=name)
