"""The command that takes a run out of Python."""

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carrousel.errors import OptionError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["export"]


class Form(enum.StrEnum):
    """What a run is written as."""

    onnx = "onnx"
    c = "c"


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)],
    to: Annotated[Form, typer.Option(help="A file of ONNX, or a .c and a .h file in C99.")] = Form.onnx,
    out: Annotated[
        Path | None, typer.Option(help="The file; for C without .c and .h.", show_default="beside the run")
    ] = None,
    opset: Annotated[int, typer.Option(help="ONNX: version of the operators.")] = 18,
    int8: Annotated[bool, typer.Option("--int8", help="C: keep matrices as bytes.")] = False,
    force: Annotated[bool, typer.Option("--force", help="ONNX: replace a file that is there.")] = False,
    cell: Annotated[
        str | None, typer.Option(help="file.py:name, where the cell is one of yours.", show_default=False)
    ] = None,
) -> None:
    """Write the network of a run as ONNX or C, to run without Python."""
    from carrousel.models import load

    estimator: Any = load(run, cell=cell)
    place = out or run.absolute().with_name(run.absolute().name + (".onnx" if to is Form.onnx else ""))
    if to is Form.onnx:
        _write_onnx(estimator, place, opset, force)
    else:
        _write_c(estimator, place, int8)
    typer.echo(f"{_TAKES[estimator.kind]}; {run / 'preprocess.json'} says how data become these numbers")


#: What the networks read and say.
_TAKES = {
    "forecast": "reads windows of scaled values, and says their quantiles, scaled and less the level",
    "classify": "reads scaled channels step by step, and says a score for each class, before the softmax",
    "generate": "reads the numbers of symbols, and says a score for each as the next, before the softmax",
}


def _write_onnx(estimator: Any, place: Path, opset: int, force: bool) -> None:
    from carrousel.models.exporting import example_of

    path = estimator.export_onnx(place, opset=opset, overwrite=force)
    typer.echo(f"wrote {path}: equal to the run's network in ONNX Runtime on two shapes")
    _, example, axes = example_of(estimator)
    shown = [f"{name} ({_shown(x, names)})" for (name, x), names in zip(example.items(), axes, strict=True)]
    typer.echo(f"inputs: {', '.join(shown)}")


def _shown(x: "Tensor", names: list[str | None]) -> str:
    return ", ".join(name or str(size) for name, size in zip(names, x.shape, strict=True))


def _write_c(estimator: Any, place: Path, int8: bool) -> None:
    from torch.nn import Sequential

    from carrousel.exchange import to_c

    network = estimator.net_
    if estimator.kind == "forecast":
        raise OptionError("export - the C form goes step by step, a forecast reads a whole window - use --to onnx")
    if estimator.kind == "classify":
        if network.pool not in ("last", "none") or network.recurrent.bidirectional:
            raise OptionError(
                f"export - the C form goes step by step, this run has pool={network.pool} and "
                f"bidirectional={network.recurrent.bidirectional}, which need all steps - use --to onnx"
            )
        network = Sequential(network.recurrent, network.scores)
    else:
        network = Sequential(network.embedding, network.recurrent, network.scores)
    files = to_c(network, place, int8=int8)
    moved = "" if files.int8_error is None else f"; int8 weights move an output by up to {files.int8_error:.2%}"
    typer.echo(f"wrote {files.source} and {files.header}: {files.input_size} in, {files.output_size} out{moved}")
