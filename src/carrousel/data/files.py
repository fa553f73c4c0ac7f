"""People's files as tables: separator, decimal comma, byte-order mark and compression are found, not asked for."""

import codecs
import csv
import difflib
import gzip
import re
import shutil
import textwrap
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TextIO

from carrousel.errors import DataError, DataWarning, MissingExtraError

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["STDIN", "find", "read_table"]

#: What names what comes through a pipe.
STDIN = Path("-")

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
    b"RIFF": "a recording (wav), expected a table - for `carrousel classify` and its runs, name the folder it lies in",
}
#: What reading a damaged gzip file raises.
_NOT_PACKED = (gzip.BadGzipFile, EOFError, zlib.error)
#: How a text begins that is no table -> what it is.
_OTHER_TEXT = {
    re.compile(r"[{\[]\s*([{\[\]}\"\d-]|$)"): "JSON",
    re.compile(r"<(!doctype|html|\?xml)\b", re.IGNORECASE): "HTML or XML",
}
#: The line with which Excel says what separates the columns.
_EXCEL = re.compile(r'"?sep=([^\w\s"]|\t)"?', re.IGNORECASE)
_PARQUET = (".parquet", ".pq")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


def read_table(path: str | Path) -> "DataFrame":
    """Read a CSV or Parquet file; `.gz` is unpacked.

    Empty fields and NaN are missing values. Any other text stays text, so that nothing is taken for missing in silence.
    Excel's first line `sep=;` says the separator; lines that begin with # are left out above the names, with a warning.

    Args:
        path: the file, "-" for what comes through a pipe; its first line has the names of the columns.

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
        import pandas  # noqa: F401  # said here, not where it is used
    except ImportError as error:
        raise MissingExtraError(
            'read - pandas is not installed, tables are read with it - pip install "carrousel[fit]"'
        ) from error
    try:
        with _kept(_table(Path(path))) as file:
            table = _read_parquet(file) if file.suffix.lower() in _PARQUET else _read_text(file)
    except PermissionError as error:
        raise DataError(f"{Path(path).name} - it may not be read - change its permissions") from error
    if not len(table):
        raise _no_rows(file, f", only names ({textwrap.shorten(', '.join(table.columns), 60, placeholder=' ...')})")
    return table


def _no_rows(file: Path, what: str = "") -> DataError:
    return DataError(f"{file.name} - it has 0 data rows{what} - give a file with a line of names and lines of values")


def find(path: Path) -> Path:
    """Return the path of what a user names, a file, folder or pipe.

    Raises:
        DataError: there is no such thing.
    """
    if path == STDIN:
        return Path("/dev/stdin")
    if path.exists():
        return path
    folder = path.parent
    others = [each.name for each in folder.iterdir()] if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, others, n=1, cutoff=0.5)
    todo = f"nearest name: '{near[0]}'" if near else "look for the right path"
    raise DataError(f"{path.name} - no such file in {folder.resolve()} - {todo}")


def _table(path: Path) -> Path:
    found = find(path)
    if found.is_dir():
        raise DataError(f"{path} - it is a folder, expected a CSV or Parquet file - name a file in it")
    return found


@contextmanager
def _kept(path: Path) -> Iterator[Path]:
    """A file that can be opened more than once: what comes through a pipe is kept until it was read."""
    if path.is_file():
        yield path
        return
    with TemporaryDirectory() as folder:
        kept = Path(folder, path.name)
        with path.open("rb") as pipe, kept.open("wb") as file:
            shutil.copyfileobj(pipe, file)
        yield kept


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
    told, above = _above_names(file, lines)
    lines = [line for line in lines[above:] if line.strip()]
    if not lines:
        raise _no_rows(file)
    separator = told or _separator(lines)
    _check_table(file, lines, separator)
    _check_header(file, _fields(lines[:1], separator)[0], len(lines))
    _check_columns(file, lines, separator)
    try:
        with _opened(file, packed) as stream:
            for _ in range(above):  # pandas would look for quotes in what it skips
                stream.readline()
            return pandas.read_csv(
                stream,
                sep=separator,
                decimal="," if _has_decimal_commas(lines, separator) else ".",
                keep_default_na=False,
                na_values=["", "NaN", "nan"],
                index_col=False,
                skipinitialspace=True,
                low_memory=False,
            )
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error) from error
    except _NOT_PACKED as error:
        raise _not_unpacked(file, error) from error
    except pandas.errors.ParserError as error:
        said = str(error).split("C error: ")[-1].strip()
        said = re.sub(r"line (\d+)", lambda found: f"line {int(found[1]) + above}", said)
        raise DataError(f"{file.name} - {said} - give every line as many fields") from error


def _opened(file: Path, packed: bool) -> TextIO:
    if packed:
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _head(file: Path, size: int, packed: bool) -> bytes:
    """The first bytes; as they are in the file if it is taken as packed."""
    with file.open("rb") if packed else gzip.open(file) as stream:
        return stream.read(size)


def _first_lines(file: Path, packed: bool) -> list[str]:
    try:
        head = _head(file, 1 << 16, packed=not packed)
        # a very long line may end within a character
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head[: head.rfind(b"\n") + 1 or None])
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error) from error
    except _NOT_PACKED as error:
        raise _not_unpacked(file, error) from error
    return re.split(r"\r\n?|\n", text, maxsplit=200)[:200]


def _above_names(file: Path, lines: list[str]) -> tuple[str | None, int]:
    """The separator that Excel's first line says, and how many lines stand above the names."""
    excel = _EXCEL.fullmatch(lines[0]) if lines else None
    said, begin = (excel[1], 1) if excel else (None, 0)
    filled = [k for k in range(begin, len(lines)) if lines[k].strip()]
    end = next((k for k in filled if not lines[k].startswith("#")), begin)
    comments = [k for k in filled if k < end]
    if comments and _are_names(lines[comments[-1]], [line for line in lines[end:] if line.strip()], said):
        end = comments.pop()
    if comments:
        words = ("lines", "begin", "are") if len(comments) > 1 else ("line", "begins", "is")
        what = "{} {} above the names {} with # and {} left out".format(len(comments), *words)
        warnings.warn(f"{file.name}: {what}", DataWarning, stacklevel=4)
    return said, end


def _are_names(comment: str, below: list[str], separator: str | None) -> bool:
    """Whether a line that begins with # has the names of the columns, as NumPy writes them."""
    separator = separator or _separator(below)
    names, first = (_fields([line], separator)[0] for line in (comment, below[0]))
    return len(names) == len(first) and any(_is_value(field.strip()) for field in first)


def _not_unpacked(file: Path, error: Exception) -> DataError:
    return DataError(f"{file.name} - it can not be unpacked ({error}) - pack it again with gzip")


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
    best = max(_SEPARATORS, key=lambda separator: _alike(lines, separator))
    return _BLANKS if _alike(lines, best)[1] == 0 and _alike(lines, _BLANKS)[0] == 1 else best


def _alike(lines: list[str], separator: str) -> tuple[float, int]:
    """The part of the lines that have as many fields as the first, and how many these are; 0 if it has only one."""
    counts = [len(fields) for fields in _fields(lines, separator)]
    same = sum(count == counts[0] for count in counts) / len(counts)
    return (same, counts[0]) if counts[0] > 1 else (0.0, 0)


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


def _check_table(file: Path, lines: list[str], separator: str) -> None:
    """JSON, web pages and prose have separators too, and would be read as some strange table."""
    first = lines[0].strip()
    what = next((name for begin, name in _OTHER_TEXT.items() if begin.match(first)), None)
    if what is None and _is_prose(lines, separator):
        what = f"text that is no table ('{textwrap.shorten(first, 40, placeholder=' ...')}')"
    if what is not None:
        raise DataError(
            f"{file.name} - it looks like {what}, expected CSV or Parquet - give a table: a line of names and lines of "
            "values"
        )


def _is_prose(lines: list[str], separator: str) -> bool:
    """Whether lines have many words, hardly any with a digit, and are not cut into as many fields each."""
    words = [word for line in lines for word in line.split()]
    numbers = sum(any(letter.isdigit() for letter in word) for word in words)
    is_regular = len(lines) > 1 and _alike(lines, separator)[0] > 0.9
    return len(words) >= 3 * len(lines) and numbers < 0.05 * len(words) and not is_regular


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
