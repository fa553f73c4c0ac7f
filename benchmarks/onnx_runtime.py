"""ONNX Runtime: one recurrent operator with the weights of a torch layer."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module

from benchmarks.measurements import Shape
from benchmarks.timing import agree

__all__ = ["available", "inference"]

#: cell -> operator, ONNX's order of the gates in ours, its attributes.
_OPERATORS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "lstm": ("LSTM", (0, 3, 1, 2), {}),
    "gru": ("GRU", (1, 0, 2), {"linear_before_reset": 1}),
    "elman": ("RNN", (0,), {}),
}


def available() -> bool:
    """Whether ONNX Runtime can be measured."""
    return find_spec("onnx") is not None and find_spec("onnxruntime") is not None


def inference(name: str, layer: Module, x: Tensor, threads: int) -> Callable[[], object] | None:
    """Return a call of ONNX Runtime with input and output in memory of their own, checked against the layer.

    Args:
        name: the cell.
        layer: the layer whose weights it gets, with PyTorch's names.
        x: (steps, batch, inputs).
        threads: of its pool.

    Returns:
        One call; None if ONNX has no operator for the cell.
    """
    if name not in _OPERATORS or not available():
        return None
    import onnxruntime

    steps, batch, inputs = x.shape
    hidden = layer.get_parameter("weight_hh_l0").shape[1]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    model = _model(name, layer, Shape(batch, steps, inputs, hidden))
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    output = onnxruntime.OrtValue.ortvalue_from_shape_and_type([steps, 1, batch, hidden], np.float32, "cpu")
    binding.bind_ortvalue_input("X", onnxruntime.OrtValue.ortvalue_from_numpy(x.numpy(), "cpu"))
    binding.bind_ortvalue_output("Y", output)

    def call() -> None:
        session.run_with_iobinding(binding)

    call()
    with torch.inference_mode():
        agree(f"{name} of ONNX Runtime", output.numpy()[:, 0], layer(x)[0])
    return call


def _model(name: str, layer: Module, shape: Shape) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    operator, order, attributes = _OPERATORS[name]

    def stacked(weight: str) -> np.ndarray:
        gates = layer.get_parameter(weight).detach().numpy().reshape(len(order), shape.hidden, -1)
        return np.ascontiguousarray(gates[list(order)].reshape(len(order) * shape.hidden, -1)[None])

    biases = [stacked(f"bias_{kind}_l0").reshape(1, -1) for kind in ("ih", "hh")]
    initial = {"W": stacked("weight_ih_l0"), "R": stacked("weight_hh_l0"), "B": np.concatenate(biases, axis=1)}
    node = helper.make_node(operator, ["X", *initial], ["Y"], hidden_size=shape.hidden, **attributes)
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        name,
        [helper.make_tensor_value_info("X", kind, [shape.steps, shape.batch, shape.inputs])],
        [helper.make_tensor_value_info("Y", kind, [shape.steps, 1, shape.batch, shape.hidden])],
        [numpy_helper.from_array(value, letter) for letter, value in initial.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content
