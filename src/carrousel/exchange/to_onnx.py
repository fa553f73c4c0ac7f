"""Write layers and the networks around them as files of ONNX."""

import copy
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import Module, RNNBase, RNNCellBase

from carrousel.errors import (
    BackendError,
    InputTypeError,
    MissingExtraError,
    OptionError,
    OptionTypeError,
    OutputError,
)
from carrousel.nn.layers import Layers
from carrousel.nn.population import Population
from carrousel.writing import write_whole

if TYPE_CHECKING:
    from carrousel.exchange.onnx_check import Call

__all__ = ["OPSETS", "to_onnx"]

#: Versions of the operators that can be written.
OPSETS = range(18, 23)

_LIBRARIES = ("onnx", "onnx_ir", "onnxruntime", "onnxscript")


def to_onnx(
    module: Module,
    path: str | PathLike[str],
    *,
    opset: int = 18,
    lengths: bool = False,
    example: Tensor | Sequence[Tensor] | Mapping[str, Tensor] | None = None,
    axes: Sequence[Sequence[str | None]] | None = None,
    verify: bool = True,
    overwrite: bool = False,
) -> Path:
    """Write a module as a file of ONNX that runs without Python, after comparing it with the module.

    A layer whose equations are those of the operator LSTM, GRU or RNN (with peepholes, coupled gates, bounded
    pre-activations, other activations) becomes that operator, in both directions where it has two. Any other cell, and
    any projected one, becomes a Scan over its equations. Weights are written as float32; dropout is off.

    Args:
        module: a layer of carrousel, or a network around such layers.
        path: the file, ending in .onnx.
        opset: version of the operators, from 18 to 22.
        lengths: for a layer: whether the model has the input `lengths`.
        example: for a network: what its forward takes, one tensor each, in its order; with names, the model's inputs
            have these, else the names in forward.
        axes: for a network: the names of each example's axes whose size may vary, None for one that may not; one name
            is one size. By default the first two are time and batch, of a tensor with one axis the batch.
        verify: whether the model is run in ONNX Runtime on two shapes before it is written.
        overwrite: whether a file that is there may be replaced.

    Returns:
        The file.

    Shapes:
        A layer's model has inputs and outputs
        - input: (time, batch, input), with batch_first (batch, time, input)
        - lengths: (batch,) int64, from 0 to time
        - `<name>_t`: an input per step of the cell, as input with hidden units for features
        - h0, c0, ...: (layers * directions, batch, size), whatever `state_batch_first` says, one for each state of the
          cell, under its name; they may be
          left out, and are then what the cell begins with (ONNX Runtime notes when it loads them that they are no
          constants: they are to be given or not)
        - output: as input, with directions * size features
        - hn, cn, ...: as h0, c0, ...

        A network's outputs are called output, output1, output2, ...

    Raises:
        OptionTypeError, OptionError: the module has no layer of carrousel, or an option can not be.
        InputTypeError: a weight is no number.
        OutputError: the file is there, or can not be written.
        BackendError: the model can not be written, or computes something else than the module; no file is written.
        MissingExtraError: a library of `carrousel[onnx]` is not installed.

    Example:
        >>> import tempfile, onnxruntime, carrousel
        >>> lstm = carrousel.LSTM(3, 5, cell="peephole_lstm")
        >>> path = to_onnx(lstm, Path(tempfile.mkdtemp()) / "lstm.onnx", lengths=True)
        >>> x, lengths = torch.randn(7, 2, 3), torch.tensor([7, 4])
        >>> session = onnxruntime.InferenceSession(path)
        >>> output, h, c = session.run(None, {"input": x.numpy(), "lengths": lengths.numpy()})
        >>> torch.allclose(torch.from_numpy(output), lstm(x, lengths=lengths)[0], atol=1e-5)
        True

    Source:
        ONNX, operators LSTM, GRU, RNN and Scan. `clip` is read as ONNX Runtime does: it bounds the pre-activations, and
        not what the last activation of an LSTM reads.
    """
    where = "to_onnx"
    _check_module(where, module)
    _check_options(where, opset, lengths, verify)
    path = _checked_path(where, path, overwrite)
    _check_installed(where)
    _check_weights(where, module)
    plain = copy.deepcopy(module).cpu().float().eval().requires_grad_(False)
    if isinstance(plain, Layers):
        plain.state_batch_first = False  # the model's states are as ONNX has them
        content, calls = _of_layers(where, plain, opset, lengths, example, axes)
    else:
        content, calls = _of_network(where, plain, opset, lengths, example, axes)
    if verify:
        from carrousel.exchange.onnx_check import check

        check(where, content, calls)
    write_whole({path: content})
    return path


def _of_layers(
    where: str, layers: Layers, opset: int, lengths: bool, example: object, axes: object
) -> tuple[bytes, "Sequence[Call]"]:
    """The model of layers, and the calls that it is compared on."""
    if example is not None or axes is not None:
        raise OptionError(
            f"{where} - {type(layers).__name__} is a layer, whose inputs are known - leave example= and axes= out"
        )
    import onnx_ir

    from carrousel.exchange.onnx_check import layer_calls
    from carrousel.exchange.onnx_layers import layers_model

    model = onnx_ir.to_proto(layers_model(layers, opset, lengths))
    return model.SerializeToString(), layer_calls(layers, lengths)


def _of_network(
    where: str,
    network: Module,
    opset: int,
    lengths: bool,
    example: Tensor | Sequence[Tensor] | Mapping[str, Tensor] | None,
    axes: Sequence[Sequence[str | None]] | None,
) -> tuple[bytes, "Sequence[Call]"]:
    """The model of a network, and the calls that it is compared on."""
    if lengths:
        raise OptionError(
            f"{where} - lengths=True is for a layer, {type(network).__name__} takes what its forward takes - "
            "leave it out, and put lengths into example="
        )
    if example is None:
        raise OptionError(
            f"{where} - {type(network).__name__} is no layer, what it takes is not known - "
            "give example=, a tensor for each argument of its forward"
        )
    from carrousel.exchange.onnx_program import network_model

    return network_model(where, network, opset, example, axes)


# ---------------------------------------------------------------------- wrong use


def _check_module(where: str, module: object) -> None:
    if not isinstance(module, Module):
        raise OptionTypeError(f"{where} - expected a module, got {type(module).__name__} - give a layer of carrousel")
    if isinstance(module, Population):
        raise OptionError(f"{where} - a Population is many nets - write one of them, with Population.net(k)")
    if isinstance(module, RNNCellBase):
        raise OptionError(
            f"{where} - {type(module).__name__} is a single step - write the layer of the same cell, on one step"
        )
    if isinstance(module, RNNBase) and not isinstance(module, Layers):
        raise OptionError(
            f"{where} - {type(module).__name__} is torch's own - convert it first: carrousel.convert(module)"
        )
    inside = [each for each in module.modules() if isinstance(each, Layers)]
    if not inside or any(isinstance(each, Population) for each in inside):
        raise OptionError(
            f"{where} - {type(module).__name__} has no layer of carrousel that can be written - "
            "write others with torch.onnx.export"
        )


def _check_options(where: str, opset: object, lengths: object, verify: object) -> None:
    if isinstance(opset, bool) or not isinstance(opset, int):
        raise OptionTypeError(f"{where} - opset is {opset!r}, expected a whole number - give one, or leave it out")
    if opset not in OPSETS:
        raise OptionError(
            f"{where} - unsupported opset {opset}, expected {OPSETS[0]} to {OPSETS[-1]} - leave it out for {OPSETS[0]}"
        )
    for name, value in (("lengths", lengths), ("verify", verify)):
        if not isinstance(value, bool):
            raise OptionTypeError(
                f"{where} - {name} is {value!r}, expected True or False - they are given to the model"
            )


def _checked_path(where: str, given: object, overwrite: bool) -> Path:
    if not isinstance(given, str | PathLike):
        raise OptionTypeError(f"{where} - path is of type {type(given).__name__}, expected a path - end it in .onnx")
    path = Path(given)
    if path.suffix != ".onnx":
        raise OptionError(f"{path} - ends in {path.suffix!r}, expected .onnx - rename it to {path.stem}.onnx")
    if path.is_dir():
        raise OutputError(f"{path} - is a folder, expected the name of a file - name a file in it")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} - is there already - name another file, or overwrite it, --force (overwrite=True)")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"{path.absolute().parent} - is no folder - make it, or name another")
    return path


def _check_installed(where: str) -> None:
    missing = [library for library in _LIBRARIES if find_spec(library) is None]
    if missing:
        raise MissingExtraError(
            f'{where} - {", ".join(missing)} is not installed, ONNX needs it - pip install "carrousel[onnx]"'
        )


def _check_weights(where: str, module: Module) -> None:
    for name, value in module.state_dict().items():
        if value.is_meta:
            raise BackendError(f"{where} - {name} is on the device meta and has no values - load weights first")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise InputTypeError(
                f"{where} - {name} holds {int((~torch.isfinite(value)).sum())} values that are nan or infinite - "
                "train again, or load weights from before they went wrong"
            )
