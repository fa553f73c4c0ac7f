"""A network as C99: one step function with its weights, for where there is no Python."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from carrousel.errors import InputShapeError, InputTypeError, OptionError, OptionTypeError
from carrousel.exchange.c_text import text_of
from carrousel.exchange.c_text_words import is_name
from carrousel.exchange.to_c_parts import Embedded, Part, parts_of, rounded, run
from carrousel.nn.checks import flag
from carrousel.writing import write_whole

__all__ = ["CFiles", "to_c"]

#: Drawn inputs on which the error of int8 weights is measured, and the steps of each; the worst one counts.
_DRAWN, _STEPS = 8, 1000


@dataclass(frozen=True)
class CFiles:
    """What `to_c` has written.

    Attributes:
        source: the .c file.
        header: the .h file.
        input_size: values of x in a step.
        output_size: values of y.
        int8_error: how far int8 weights move an output at most, as a part of the largest output; None for float32
            weights.
    """

    source: Path
    header: Path
    input_size: int
    output_size: int
    int8_error: float | None


def to_c(
    module: nn.Module,
    path_prefix: str | PathLike[str],
    *,
    name: str = "model",
    int8: bool = False,
    sample: Tensor | None = None,
) -> CFiles:
    """Write a network as a self-contained C99 file and its header.

    The file holds the weights as constants and the network as

        void NAME_reset(NAME_state *state);
        void NAME_step(NAME_state *state, const float *x, float *y);

    written from the equations of its cells, each beside the line that computes it. It allocates nothing, needs nothing
    but a few functions of math.h, which its first lines name, and computes in float32. NAME_state is a plain struct:
    one for each sequence, to be copied or kept as its bytes.

    Where there is no math library, as with `-ffreestanding`, define NAME_MATH as the header to include in its place:
    `cc -std=c99 -ffreestanding -DMODEL_MATH='"mine.h"' -c model.c`.

    Args:
        module: a recurrent layer of carrousel in one direction, with any number of layers and any cell; or an
            nn.Sequential of such layers, torch.nn.LSTM, GRU and RNN, Linear, Embedding, and behind another part Tanh,
            Sigmoid and ReLU. Dropout is left out, as in evaluation. Weights of other types become float32. Nets with a
            forward of their own are put together from their parts: `nn.Sequential(net.embedding, net.recurrent,
            net.scores)` is the generator's.
        path_prefix: the files' path without `.c` and `.h`.
        name: NAME, what every public name of the files begins with.
        int8: keep matrices as bytes with one float32 scale a row, about a quarter of the memory; biases and peepholes
            stay float32, and so does all that is computed.
        sample: an input on which the error of int8 weights is measured; by default the worst of 8 times 1,000 steps of
            standard normal numbers, or of symbols, drawn with the seed 0.

    Returns:
        The files' paths, sizes, and the measured error of int8 weights. The network reads symbols if it begins with
        Embedding: x[0] is then the number of one.

    Shapes:
        - x, y: the input and output of one step, (input,) and (output,)
        - sample: (time, input), for symbols (time,)

    Raises:
        OptionTypeError: an argument is of the wrong type.
        OptionError: the name is none of C, or a part of the network has no C form: a bidirectional layer, a population,
            a cell with inputs per step.
        InputTypeError: a weight is not finite; the sample has no numbers.
        InputShapeError: the sample has another shape.
        OutputError: the files can not be written. None of them is then there, or both are the old ones.

    Example:
        >>> import tempfile, torch, carrousel
        >>> recurrent, readout = carrousel.Recurrent("peephole_lstm", 3, 8, num_layers=2), torch.nn.Linear(8, 2)
        >>> net = torch.nn.Sequential(recurrent, readout)
        >>> files = to_c(net, tempfile.mkdtemp() + "/net")
        >>> files.source.name, files.header.name, files.input_size, files.output_size
        ('net.c', 'net.h', 3, 2)

    Source:
        The cells' equations; int8 weights: rows scaled to 127, symmetric, as in Jacob et al. (2018), Quantization and
        training of neural networks for efficient integer-arithmetic-only inference, section 2, without their offsets.
    """
    source, header = _paths(path_prefix)
    if not isinstance(name, str) or not is_name(name):
        raise OptionError(f"to_c - name={name!r} can not begin names in C - use letters, digits and _")
    flag("to_c", "int8", int8)
    parts = parts_of(module)
    given = _checked(sample, parts)
    error, note = None, ""
    if int8:
        error = max(_error(parts, x) for x in given)
        drawn = f"{_DRAWN} times {_STEPS:,} steps of drawn inputs"
        on = drawn if sample is None else f"{len(given[0]):,} steps of given inputs"
        note = f"int8 weights: they move an output by up to {error:.2%} of the largest, measured on {on}."
    text = text_of(parts, name, header.name, int8, note)
    write_whole({source: text.source.encode("ascii"), header: text.header.encode("ascii")})
    return CFiles(source, header, parts[0].input_size, parts[-1].output_size, error)


def _paths(prefix: Any) -> tuple[Path, Path]:
    if not isinstance(prefix, str | PathLike):
        raise OptionTypeError(
            f"to_c - path_prefix is of type {type(prefix).__name__}, expected a path - give it without .c and .h"
        )
    path = Path(prefix)
    if path.suffix in (".c", ".h") or not path.name or not path.name.isascii() or set(path.name) & set('"\\\n'):
        raise OptionError(
            f"to_c - path_prefix is {str(path)!r}, expected a path that both files can have, .c and .h behind it - "
            "leave the suffix out, and use plain letters for the file"
        )
    return path.with_name(path.name + ".c"), path.with_name(path.name + ".h")


def _checked(sample: Any, parts: list[Part]) -> list[Tensor]:
    """The sample as (time, input), several that are drawn if there is none."""
    first, generator = parts[0], torch.Generator().manual_seed(0)
    if sample is None:
        if isinstance(first, Embedded):
            return list(torch.randint(len(first.table), (_DRAWN, _STEPS, 1), generator=generator))
        return list(torch.randn(_DRAWN, _STEPS, first.input_size, generator=generator))
    if not isinstance(sample, Tensor):
        raise OptionTypeError(f"to_c - sample is of type {type(sample).__name__}, expected a tensor - (time, input)")
    x = sample.detach().cpu()
    if isinstance(first, Embedded) and x.dim() == 1:
        x = x.unsqueeze(1)
    if x.dim() != 2 or x.shape[1] != first.input_size or not len(x):
        raise InputShapeError(
            f"to_c - sample has shape {tuple(sample.shape)}, expected (time, {first.input_size}) - "
            "give the steps of one sequence"
        )
    if isinstance(first, Embedded) and not (x.min() >= 0 and x.max() < len(first.table)):
        raise InputTypeError(f"to_c - sample has symbols beyond 0 to {len(first.table) - 1} - give their numbers")
    if not x.isfinite().all():
        raise InputTypeError("to_c - sample has a NaN or an infinite value - give numbers")
    return [x if isinstance(first, Embedded) else x.float()]


@torch.no_grad()
def _error(parts: list[Part], x: Tensor) -> float:
    """How far int8 weights move an output, as a part of the largest."""
    exact, moved = run(parts, x), run(rounded(parts), x)
    largest = float(exact.abs().max())
    return float((moved - exact).abs().max()) / largest if largest else 0.0
