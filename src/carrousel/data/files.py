"""People's files as tables: separator, decimal comma, byte-order mark and compression are found, not asked for."""

import csv
import difflib
import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carrousel.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["read_table"]

_SEPARATORS = (",", ";", "\t", "|")
#: Any number of blanks, as pandas is told.
_BLANKS = r"\s+"
#: How a file begins that is no text -> what it is, and what to do.
_NO_TEXT = {
    b"PK\x03\x04": "a packed or binary file, expected text - save it as CSV or .parquet",
    b"PAR1": "a packed or binary file, expected text - save it as CSV or .parquet",
    b"BZh": "packed with bzip2, expected text, which may be packed with gzip - unpack it with bunzip2",
    b"\xfd7zX": "packed with xz, expected text, which may be packed with gzip - unpack it with unxz",
    b"\xff\xfe": "text in UTF-16, expected UTF-8 - save it as UTF-8, for example with iconv -f UTF-16 -t UTF-8",
    b"\xfe\xff": "text in UTF-16, expected UTF-8 - save it as UTF-8, for example with iconv -f UTF-16 -t UTF-8",
    b"RIFF": "a recording (wav), expected a table - give `carrousel classify` a folder of recordings",
}
_PARQUET = (".parquet", ".pq")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


def read_table(path: str | Path) -> "DataFrame":
    """Read a CSV or Parquet file; `.gz` is unpacked.

    Empty fields and NaN are missing values. Any other text stays text, so that nothing is taken for missing in silence.

    Args:
        path: the file; its first line has the names of the columns.

    Returns:
        The table.

    Raises:
        DataError: there is no such file, it is no table, or it has no rows.
        MissingExtraError: pandas is not installed, or for Parquet pyarrow.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder, "rain.csv")
        ...     _ = file.write_text("day;mm\\n2020-01-01;0,5\\n2020-01-02;1,5\\n")
        ...     read_table(file)["mm"].tolist()
        [0.5, 1.5]
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError(
            'read - pandas is not installed, tables are read with it - pip install "carrousel[fit]"'
        ) from error
    file = _existing(Path(path))
    try:
        table = _read_parquet(file) if file.suffix.lower() in _PARQUET else _read_text(file)
    except pandas.errors.ParserError as error:
        raise DataError(
            f"{file.name} - {str(error).split('C error: ')[-1].strip()} - give every line as many fields"
        ) from error
    except PermissionError as error:
        raise DataError(f"{file.name} - it may not be read - change its permissions") from error
    if not len(table):
        raise DataError(f"{file.name} - it has 0 data rows - give a file with a line of names and lines of values")
    return table


def _existing(path: Path) -> Path:
    if path.is_dir():
        raise DataError(f"{path} - it is a folder, expected a CSV or Parquet file - name a file in it")
    if path.is_file():
        return path
    folder = path.parent
    others = [each.name for each in folder.iterdir()] if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, others, n=1, cutoff=0.5)
    todo = f"nearest name: '{near[0]}'" if near else "look for the right path"
    raise DataError(f"{path.name} - no such file in {folder.resolve()} - {todo}")


def _read_parquet(file: Path) -> Any:
    import pandas

    try:
        return pandas.read_parquet(file)
    except ImportError as error:
        raise MissingExtraError(
            f'{file.name} - pyarrow is not installed, Parquet is read with it - pip install "carrousel[fit]"'
        ) from error
    except (ValueError, OSError) as error:
        raise DataError(
            f"{file.name} - it is no Parquet file ({error}) - write it again, or give a CSV file"
        ) from error


def _read_text(file: Path) -> Any:
    import pandas

    start = file.read_bytes()[:4] if file.stat().st_size < 4 else _head(file, 4, packed=True)
    packed = start[:2] == b"\x1f\x8b"
    for magic, what in _NO_TEXT.items():
        if start.startswith(magic):
            raise DataError(f"{file.name} - it is {what}")
    lines = _first_lines(file, packed)
    separator = _separator(lines)
    _check_header(file, _fields(lines[:1], separator)[0], len(lines))
    _check_columns(file, lines, separator)
    try:
        return pandas.read_csv(
            file,
            sep=separator,
            decimal="," if _has_decimal_commas(lines, separator) else ".",
            encoding="utf-8-sig",
            compression="gzip" if packed else None,
            keep_default_na=False,
            na_values=["", "NaN", "nan"],
            index_col=False,
            skipinitialspace=True,
            low_memory=False,
        )
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error) from error


def _head(file: Path, size: int, packed: bool) -> bytes:
    """The first bytes; as they are in the file if it is taken as packed."""
    with file.open("rb") if packed else gzip.open(file) as stream:
        return stream.read(size)


def _first_lines(file: Path, packed: bool) -> list[str]:
    try:
        head = _head(file, 1 << 16, packed=not packed)
        text = head[: head.rfind(b"\n") + 1 or None].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error) from error
    except (OSError, EOFError) as error:
        raise DataError(f"{file.name} - it can not be unpacked ({error}) - pack it again with gzip") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{file.name} - it has 0 data rows - give a file with a line of names and lines of values")
    return lines[:200]


def _not_utf8(file: Path, error: UnicodeDecodeError) -> DataError:
    byte = error.object[error.start]
    return DataError(
        f"{file.name} - byte 0x{byte:02x} at offset {error.start} is not UTF-8 - save the file as UTF-8, for example "
        "with iconv"
    )


def _separator(lines: list[str]) -> str:
    """The one that cuts most lines into as many fields as the first, more fields first; a comma if none does.

    Blanks separate only where nothing else does, and every line has as many fields.
    """

    def score(separator: str) -> tuple[float, int]:
        counts = [len(fields) for fields in _fields(lines, separator)]
        same = sum(count == counts[0] for count in counts) / len(counts)
        return (same, counts[0]) if counts[0] > 1 else (0.0, 0)

    best = max(_SEPARATORS, key=score)
    return _BLANKS if score(best)[1] == 0 and score(_BLANKS)[0] == 1 else best


def _fields(lines: list[str], separator: str) -> list[list[str]]:
    return [line.split() for line in lines] if separator == _BLANKS else list(csv.reader(lines, delimiter=separator))


def _has_decimal_commas(lines: list[str], separator: str) -> bool:
    """Whether numbers are written 3,5: only where a comma separates nothing."""
    if separator == ",":
        return False
    fields = [field.strip() for row in _fields(lines[1:], separator) for field in row]
    numbers = [field for field in fields if _NUMBER.fullmatch(field)]
    return any(_DECIMAL_COMMA.fullmatch(field) for field in numbers) and not any("." in field for field in numbers)


def _is_value(text: str) -> bool:
    """Whether a text is a number, or digits without a letter as in a date."""
    digits = any(letter.isdigit() for letter in text) and not any(letter.isalpha() for letter in text)
    return digits or bool(_NUMBER.fullmatch(text))


def _check_header(file: Path, names: list[str], lines: int) -> None:
    if names and all(_is_value(name.strip()) for name in names) and lines > 1:
        raise DataError(
            f"{file.name} - its first line is numbers ({', '.join(names[:4])}), expected names of columns - "
            "put a line of names on top"
        )
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise DataError(f"{file.name} - the column '{double[0]}' is there twice - give every column its own name")


def _check_columns(file: Path, lines: list[str], separator: str) -> None:
    """One column without a number is several, in a way that is not known."""
    name, values = lines[0], lines[1:]
    if not values or any(separator in line for line in lines) or separator == _BLANKS:
        return
    if not any(_NUMBER.fullmatch(value.strip()) for value in values):
        raise DataError(
            f"{file.name} - it has one column, '{name}', and no number in it ('{values[0]}') - separate columns by a "
            "comma, semicolon, tab, bar, or by blanks, as many on every line"
        )
