"""Out of Python and in: networks as C and ONNX, weights of PyTorch, Keras, TensorFlow 1 and ONNX."""

from typing import TYPE_CHECKING, Any

# Imported here, each function takes the place of the file of the same name.
from carrousel.exchange.from_keras import from_keras
from carrousel.exchange.from_onnx import from_onnx
from carrousel.exchange.from_tf1 import from_tf1
from carrousel.exchange.from_torch import from_torch
from carrousel.exchange.to_c import to_c
from carrousel.exchange.to_onnx import to_onnx

if TYPE_CHECKING:
    from carrousel.exchange.onnx_program import onnx_ready, onnx_translations

__all__ = [
    "to_c",
    "to_onnx",
    "from_torch",
    "from_keras",
    "from_tf1",
    "from_onnx",
    "onnx_ready",
    "onnx_translations",
]


def __getattr__(name: str) -> Any:
    if name in ("onnx_ready", "onnx_translations"):  # what they need is an optional extra
        from carrousel.exchange import onnx_program

        return getattr(onnx_program, name)
    raise AttributeError(f"module 'carrousel.exchange' has no attribute {name!r}")
