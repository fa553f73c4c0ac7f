"""Sequences of different lengths, one after the other, and the many forms in which people hold them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.data.missing import fill
from carrousel.data.numbers import LARGEST, to_array
from carrousel.errors import DataError, OptionError

__all__ = ["LAYOUTS", "Ragged", "complete", "ragged"]

Numbers = NDArray[np.float64]
Integers = NDArray[np.int64]

#: The order of the axes: N sequences, T steps, C channels. "auto" takes the one that the shape leaves open.
LAYOUTS = ("auto", "NTC", "NCT")


@dataclass(frozen=True)
class Ragged:
    """Sequences of different lengths, one after the other.

    Attributes:
        steps: (step, channel), the steps of all sequences.
        lengths: (sequence,), how many of them each one has, at least 1.

    Example:
        >>> x = Ragged(np.arange(5.0)[:, None], np.array([2, 3]))
        >>> len(x), x.channels, x[1].tolist()
        (2, 1, [[2.0], [3.0], [4.0]])
    """

    steps: Numbers
    lengths: Integers

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, sequence: int) -> Numbers:
        """Return one sequence, (step, channel)."""
        start = self.starts[sequence]
        return self.steps[start : start + self.lengths[sequence]]

    @property
    def channels(self) -> int:
        """How many numbers a step has."""
        return int(self.steps.shape[1])

    @property
    def starts(self) -> Integers:
        """The first step of each sequence, (sequence,)."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def owners(self) -> Integers:
        """The sequence that each step belongs to, (step,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, sequences: Any) -> "Ragged":
        """Return some of the sequences.

        Args:
            sequences: their numbers, (chosen,).
        """
        return Ragged(self.steps[self.steps_of(sequences)], self.lengths[np.asarray(sequences)])

    def steps_of(self, sequences: Any) -> Integers:
        """Return the rows of `steps` that some of the sequences have, one sequence after the other.

        Args:
            sequences: their numbers, (chosen,).
        """
        chosen = np.asarray(sequences, np.int64)
        lengths = self.lengths[chosen]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return np.asarray(np.repeat(self.starts[chosen], lengths) + within)


def ragged(data: Any, layout: str = "auto") -> Ragged:
    """Take sequences in any of the forms that people hold them in.

    Args:
        data: a list of (T, C) arrays of any lengths T; of 1-D series, which have one channel; an array (N, T, C); an
            array or frame (N, T), one series with one channel in each row; or Ragged.
        layout: "NTC", or "NCT" where channels come before steps, as in a list of (C, T) arrays. "auto" takes NTC
            unless the shape speaks for the other order.

    Returns:
        The sequences, their numbers in double precision.

    Raises:
        DataError: there are no sequences, one has no steps, channels differ, a number is missing or infinite, or the
            shape leaves the layout open.
        OptionError: there is no such layout.

    Example:
        >>> x = ragged([[[1, 2], [3, 4]], [[5, 6]]])
        >>> x.lengths.tolist(), x.channels
        ([2, 1], 2)
        >>> ragged(np.zeros((4, 10, 3))).lengths.tolist()
        [10, 10, 10, 10]
    """
    if layout not in LAYOUTS:
        raise OptionError(f"layout - got {layout!r}, expected one of {', '.join(LAYOUTS)} - NTC: channels last")
    if isinstance(data, Ragged):
        return _checked(data)
    found = _of_list(data, layout) if _is_list(data) else _of_array(_array(data, "X"), layout)
    return _checked(found)


def _is_list(data: Any) -> bool:
    """Whether sequences may have lengths of their own: a list, or numpy's array of objects."""
    if isinstance(data, list | tuple):
        return bool(data) and not (np.isscalar(data[0]) and not isinstance(data[0], str))
    return isinstance(data, np.ndarray) and data.dtype == object and data.ndim == 1 and len(data) > 0


def _array(data: Any, name: str) -> Numbers:
    """Numbers in double precision, of anything that numpy or torch understands."""
    if hasattr(data, "toarray") and hasattr(data, "nnz"):
        raise DataError(f"{name} - is a sparse matrix, sequences are dense - pass X.toarray()")
    try:
        array = to_array(data)
        if np.iscomplexobj(array):
            raise DataError(f"{name} - Complex data not supported - pass real and imaginary part as two channels")
        if array.dtype.kind in "Mm":
            raise DataError(f"{name} - holds times ({array.dtype}), not numbers - pass arrays of numbers")
        return np.asarray(array, np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        what = f"holds {_first_text(data)}, not numbers" if _first_text(data) else f"is no array of numbers: {error}"
        raise DataError(f"{name} - {what} - pass arrays of numbers") from error


def _first_text(data: Any) -> str:
    """The first value that is no number, as it is shown in a message."""
    for value in np.asarray(data, object).ravel():
        if isinstance(value, str):
            try:
                float(value)
            except ValueError:
                return repr(value)
    return ""


def _of_array(array: Numbers, layout: str) -> Ragged:
    if array.ndim == 1:
        raise DataError(
            f"X - has shape {array.shape}, Expected 2D array, got 1D array instead, which is one series - "
            "Reshape your data: pass a list of series, or X.reshape(1, -1, 1) for a single one"
        )
    if array.ndim not in (2, 3):
        raise DataError(f"X - has shape {array.shape}, expected (N, T, C) or (N, T) - pass a list of (T, C) arrays")
    if 0 in array.shape:
        what = "0 sequences, Found array with 0 sample(s)" if not len(array) else "sequences without steps or channels"
        if array.ndim == 2 and len(array):
            what = f"0 feature(s) (shape=({len(array)}, 0)) while a minimum of 1 is required: sequences of 0 steps"
        raise DataError(f"X - has shape {array.shape}: {what} - pass at least one of each")
    if array.ndim == 2:
        array = array[:, :, None]
    elif _channels_first(array.shape, layout):
        array = array.transpose(0, 2, 1)
    n, time, channels = array.shape
    return Ragged(np.ascontiguousarray(array).reshape(n * time, channels), np.full(n, time))


def _channels_first(shape: tuple[int, ...], layout: str) -> bool:
    """Whether an array is (N, C, T): said, or plain as with one step of many channels."""
    _, second, third = shape
    if layout != "auto":
        return layout == "NCT"
    if 1 < second < third:
        raise DataError(
            f"X - shape {shape} leaves open which axis is time - pass --layout NCT (layout='NCT') for "
            f"{second} channels and {third} steps, or NTC for {second} steps and {third} channels"
        )
    return second == 1 < third


def _of_list(data: Sequence[Any], layout: str) -> Ragged:
    _check_names(data)
    sequences = [_array(each, f"sequence {k}") for k, each in enumerate(data)]
    for k, each in enumerate(sequences):
        if each.ndim not in (1, 2):
            raise DataError(f"sequence {k} - has shape {each.shape}, expected (T, C), or (T,) - one array per sequence")
    sequences = [each[:, None] if each.ndim == 1 else each.T if layout == "NCT" else each for each in sequences]
    for k, each in enumerate(sequences):
        if not len(each):
            raise DataError(f"sequence {k} - has 0 steps, expected at least 1 - leave it out, with its label")
    channels = sequences[0].shape[1]
    if layout == "auto" and _look_turned(sequences):
        raise DataError(
            f"sequences - have shapes {sequences[0].shape}, {_another(sequences)}...: as (T, C) their channels differ "
            f"- pass --layout NCT (layout='NCT') for {len(sequences[0])} channels"
        )
    for k, each in enumerate(sequences):
        if each.shape[1] != channels:
            raise DataError(
                f"sequence {k} - has {each.shape[1]} channels, sequence 0 has {channels} - give all the same channels"
            )
    return Ragged(np.concatenate(sequences), np.array([len(each) for each in sequences]))


def _check_names(data: Sequence[Any]) -> None:
    """Frames have names for their channels, which numbers alone would mix up."""
    names = [list(each.columns) if hasattr(each, "columns") else None for each in data]
    for k, each in enumerate(names):
        if each is not None and names[0] is not None and each != names[0]:
            raise DataError(
                f"sequence {k} - its columns are {each[:5]}, those of sequence 0 are {names[0][:5]} - "
                "give all the same, in the same order"
            )


def _look_turned(sequences: list[Numbers]) -> bool:
    """Whether the first axis is the same everywhere and the second is not: (C, T) arrays."""
    return len({len(s) for s in sequences}) == 1 and len({s.shape[1] for s in sequences}) > 1 and len(sequences) > 2


def _another(sequences: list[Numbers]) -> tuple[int, ...]:
    return next(each.shape for each in sequences if each.shape != sequences[0].shape)


def _checked(x: Ragged) -> Ragged:
    if not len(x):
        raise DataError("X - has 0 sequences, expected at least 1 - pass a list of (T, C) arrays")
    if not x.channels:
        raise DataError("X - sequences have 0 channels, expected at least 1 - one number per step at least")
    return x


def complete(x: Ragged, way: str, masked: NDArray[np.bool_], names: Sequence[str] = ()) -> Ragged:
    """Return sequences in which no number is missing.

    Args:
        x: the sequences, NaN where a number is missing.
        way: one of `carrousel.data.missing.WAYS`.
        masked: (channel,), those that get a channel more, which is 1 where the number was missing.
        names: of the channels, for messages.

    Raises:
        DataError: a number is infinite, or nearly; or missing, and the way is "error".

    Example:
        >>> gap = Ragged(np.array([[1.0], [np.nan], [3.0]]), np.array([3]))
        >>> complete(gap, "mask", np.array([True])).steps.tolist()
        [[1.0, 0.0], [1.0, 1.0], [3.0, 0.0]]
    """
    wrong = np.abs(x.steps) > LARGEST
    if way == "error":
        wrong |= np.isnan(x.steps)
    if wrong.any():
        step, channel = (int(place[0]) for place in np.nonzero(wrong))
        sequence, value = int(x.owners[step]), x.steps[step, channel]
        name = repr(names[channel]) if len(names) else str(channel)
        too_large = "infinity" if np.isinf(value) else f"above {LARGEST:g}"
        what = "is missing (NaN)" if np.isnan(value) else f"is {value} ({too_large})"
        todo = "choose --missing (missing=) ffill, interpolate or mask" if np.isnan(value) else "replace or drop it"
        raise DataError(f"sequence {sequence} step {step - x.starts[sequence]} channel {name} - {what} - {todo}")
    filled = fill(x.steps, np.append(x.starts, len(x.steps)), way)
    return Ragged(np.concatenate([filled, np.isnan(x.steps)[:, masked]], 1), x.lengths)
