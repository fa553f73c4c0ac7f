"""The `.ts` files of the UEA and UCR archives: a line per sequence, channels between colons."""

from pathlib import Path

import numpy as np

from carrousel.data.labelled import Labelled
from carrousel.data.ragged import ragged
from carrousel.errors import DataError

__all__ = ["read_ts"]


def read_ts(path: Path) -> Labelled:
    """Read a `.ts` file without time stamps; `?` is a missing value, sequences may have any lengths.

    Args:
        path: the file.

    Raises:
        DataError: a line can not be read.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "waves.ts")
        ...     _ = file.write_text("@classLabel true a b\\n@data\\n1,2,3:4,5,6:a\\n7,8:9,0:b\\n")
        ...     found = read_ts(file)
        >>> found.sequences[1].tolist(), found.labels.tolist()
        ([[7.0, 9.0], [8.0, 0.0]], ['a', 'b'])

    Source:
        Bagnall et al. (2018), The UEA multivariate time series classification archive.
    """
    sequences, labels, is_labelled, begun = [], [], True, False
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith(("#", "%")):
            continue
        if text.startswith("@"):
            word, *rest = text.lower().split()
            begun = begun or word == "@data"
            is_labelled = rest[:1] != ["false"] if word == "@classlabel" else is_labelled
            if word == "@timestamps" and rest[:1] == ["true"]:
                raise DataError(f"{path.name} line {number} - has time stamps, which are not read - write a CSV file")
            continue
        if not begun:
            raise DataError(f"{path.name} line {number} - stands before @data - give a .ts file of the UEA archive")
        *channels, label = text.split(":") if is_labelled else [*text.split(":"), ""]
        sequences.append(_sequence(channels, f"{path.name} line {number}"))
        labels.append(label)
    if not sequences:
        raise DataError(f"{path.name} - it has 0 data rows - give at least one sequence after @data")
    names = tuple(f"dimension {k}" for k in range(sequences[0].shape[1]))
    return Labelled(ragged(sequences, "NTC"), np.array(labels) if is_labelled else None, None, names)


def _sequence(channels: list[str], where: str) -> np.ndarray:
    try:
        values = [[np.nan if text.strip() == "?" else float(text) for text in line.split(",")] for line in channels]
    except ValueError as error:
        raise DataError(f"{where} - {error} - correct it; numbers stand between commas") from error
    lengths = {len(line) for line in values}
    if len(lengths) != 1:
        raise DataError(f"{where} - its channels have {sorted(lengths)} steps - give all the same")
    return np.array(values).T
