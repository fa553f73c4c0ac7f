"""People's files as text: characters or bytes, and their numbers in a vocabulary."""

import codecs
import difflib
import glob
import gzip
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import AnyStr

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from carrousel.data.files import STDIN
from carrousel.errors import DataError, DataWarning, OptionError, OptionTypeError

__all__ = ["LEAST", "LEVELS", "Source", "Text", "Vocabulary", "read_text"]

#: What a symbol is.
LEVELS = ("char", "byte")

#: Symbols that are worth training on; a shorter string without line breaks is taken for a path.
LEAST = 1_000

#: A text itself, or the path, or paths, of files, folders and patterns.
Source = str | bytes | os.PathLike[str] | list[str | os.PathLike[str]] | tuple[str | os.PathLike[str], ...]

_LONGEST_PATH = 255
_GZIP = b"\x1f\x8b"
#: Marks of encodings that are not UTF-8; that of UTF-32 begins like that of UTF-16.
_OTHER_MARKS = {codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
#: Characters that become code points at a time.
_SLICE = 1 << 22


@dataclass(frozen=True)
class Text:
    """What was read.

    Attributes:
        content: a string of characters, or bytes.
        files: how many files it came from, 0 if it was given itself.
        newlines: how many line ends of other systems became "\\n".
    """

    content: str | bytes
    files: int = 0
    newlines: int = 0


@dataclass(frozen=True)
class Vocabulary:
    """The symbols of a text, numbered.

    Attributes:
        level: "char" or "byte".
        characters: those of a text, in the order of their code points; "" for bytes, which are their own numbers.

    Example:
        >>> vocabulary = Vocabulary.of("carrousel")
        >>> len(vocabulary), vocabulary.characters
        (8, 'acelorsu')
        >>> vocabulary.decode(vocabulary.encode("loss"))
        'loss'
    """

    level: str
    characters: str = ""

    @classmethod
    def of(cls, content: str | bytes) -> "Vocabulary":
        """Return the vocabulary of a text."""
        if isinstance(content, bytes):
            return cls("byte")
        seen = np.zeros(0x110000, bool)
        for codes in _codes(content):
            seen[codes] = True
        return cls("char", "".join(map(chr, np.flatnonzero(seen))))

    def __len__(self) -> int:
        return len(self.characters) if self.level == "char" else 256

    def encode(self, content: str | bytes, where: str = "text") -> Tensor:
        """Return the numbers of a text's symbols, (symbol,): of the smallest type that holds them all.

        Raises:
            DataError: it has characters that the vocabulary has not, or is of the other kind.
        """
        if self.level == "byte":
            octets = content.encode() if isinstance(content, str) else content
            return torch.from_numpy(np.frombuffer(octets, np.uint8).copy())
        if isinstance(content, bytes):
            raise DataError(f"{where} - bytes, but the model reads characters - give a string")
        numbers = np.full(0x110000, -1, np.int32)
        numbers[[ord(character) for character in self.characters]] = np.arange(len(self))
        kind = np.uint8 if len(self) <= 256 else np.int32
        parts = []
        for codes in _codes(content):
            part = numbers[codes]
            if (part < 0).any():
                unknown = "".join(sorted(set(content) - set(self.characters)))
                raise DataError(
                    f"{where} - it has {_listed(unknown)}, not among the {len(self)} characters that were learned - "
                    "leave them out, or train with --level byte (level='byte'), which knows every text"
                )
            parts.append(part.astype(kind))
        return torch.from_numpy(np.concatenate(parts) if parts else np.zeros(0, kind))

    def encode_most(self, content: str | bytes) -> Tensor:
        """Return the numbers of a text's symbols without a few that are not known, (symbol,); these are named.

        Raises:
            DataError: more than one character in a hundred is not known, or the text is of the other kind.
        """
        if self.level == "byte" or isinstance(content, bytes):
            return self.encode(content)
        unknown = "".join(sorted(set(content) - set(self.characters)))
        known = content.translate(dict.fromkeys(map(ord, unknown)))
        if (left_out := len(content) - len(known)) * 100 > len(content):
            return self.encode(content)  # which says what is wrong
        if left_out:
            warnings.warn(
                f"text - {left_out:,} of {len(content):,} characters were not learned and are left out: "
                f"{_listed(unknown)}",
                DataWarning,
                stacklevel=4,
            )
        return self.encode(known)

    def decode(self, numbers: Tensor | Iterable[int]) -> str:
        """Return the text of numbers; bytes that are no UTF-8 become the replacement character."""
        found = numbers.tolist() if isinstance(numbers, Tensor) else list(numbers)
        if self.level == "byte":
            return bytes(found).decode("utf-8", "replace")
        return "".join([self.characters[number] for number in found])

    def beginning(self) -> Tensor:
        """Return the symbol that a text without a prompt begins after, (1,): a line's end, else the first there is."""
        end = "\n" if self.level == "byte" or "\n" in self.characters else self.characters[0]
        return self.encode(end)

    def decoder(self) -> Callable[[int, bool], str]:
        """Return a function (number, whether it is the last) -> the text that is complete with it."""
        if self.level == "char":
            return lambda number, is_last: self.characters[number]
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return lambda number, is_last: decoder.decode(bytes([number]), is_last)


def read_text(source: Source, level: str = "char", pattern: str = "*") -> Text:
    """Read a text.

    A string with a line break, or of 1,000 characters and more, is the text itself; so are bytes. Anything else names
    files, folders, which are read with all that is in them but what is hidden, or patterns such as "src/**/*.py". Files
    follow each other in the order they are named, those of a folder in alphabetical order. Of characters, the mark that
    some editors begin a file with is left out, and "\\r\\n" and "\\r" become "\\n"; bytes stay as they are. What gzip
    packed is unpacked.

    Args:
        source: the text, or a path, or several; "-" is what comes through a pipe.
        level: "char" or "byte".
        pattern: the names of the files that are read in a folder.

    Raises:
        DataError: there is no such file, nothing in it, or bytes that are no characters.
        OptionError: there is no such level.
        OptionTypeError: the source is neither text nor paths.

    Example:
        >>> read_text("To be, or not to be,\\nthat is the question.\\n").content[-10:]
        'question.\\n'
    """
    if level not in LEVELS:
        raise OptionError(f"read - level is {level!r}, expected {' or '.join(LEVELS)} - choose one of them")
    if isinstance(source, bytes):
        return _of_contents([("text", source)], level, 0)
    if isinstance(source, str) and _is_text(source):
        return _of_contents([("text", source.encode(errors="surrogatepass"))], level, 0)
    files = [file for path in _paths(source) for file in _files(path, pattern)]
    return _of_contents([(str(file), _content(file)) for file in dict.fromkeys(files)], level, len(files))


def _is_text(source: str) -> bool:
    return len(source) >= LEAST or "\n" in source or "\r" in source


def _paths(source: Source) -> list[Path]:
    given = [source] if isinstance(source, str | os.PathLike) else source
    if not isinstance(given, list | tuple) or not all(isinstance(path, str | os.PathLike) for path in given):
        raise OptionTypeError(f"read - got a {type(source).__name__}, expected a text or paths - give a str or a Path")
    if not given:
        raise DataError("read - no path was given, expected at least one - name a file, a folder or a pattern")
    if not all(map(os.fspath, given)):
        raise DataError("read - the text is empty - give a text, or the path of one")
    return [Path(path).expanduser() for path in given]


def _files(path: Path, pattern: str) -> list[Path]:
    """The files that a path, folder or pattern names."""
    if len(str(path)) > _LONGEST_PATH:
        raise DataError(
            f"text - {len(str(path)):,} characters; need {LEAST:,} - give a longer text, or the path of one"
        )
    if path == STDIN:
        return [Path("/dev/stdin")]
    if path.is_dir():
        return _inside(path, pattern)
    if path.exists():
        return [path]
    if not glob.has_magic(str(path)):
        raise _missing(path)
    matches = sorted(Path(each) for each in glob.glob(str(path), recursive=True) if Path(each).is_file())
    if not matches:
        raise DataError(f"{path} - no file in {Path.cwd()} matches this pattern - try '**/*.txt'")
    return matches


def _inside(folder: Path, pattern: str) -> list[Path]:
    try:
        found = [each for each in folder.rglob(pattern) if each.is_file() and not _is_hidden(each.relative_to(folder))]
    except (ValueError, NotImplementedError) as error:
        raise OptionError(f"read - glob is {pattern!r}, expected a name such as '*.txt' - give one") from error
    if not found:
        raise DataError(f"{folder} - the folder has no file that matches {pattern!r} - try another --glob")
    return sorted(found)


def _missing(path: Path) -> DataError:
    folder = path.parent
    others = [each.name for each in folder.iterdir()] if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, others, n=1, cutoff=0.5)
    todo = f"nearest name: {near[0]!r}" if near else "look for the right path"
    return DataError(
        f"{str(path)!r} - no such file in {folder.resolve()} - {todo}; a text itself has {LEAST:,} characters or more"
    )


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def _content(file: Path) -> bytes:
    try:
        content = file.read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except (OSError, EOFError) as error:
        said = getattr(error, "strerror", None) or error
        raise DataError(f"{file} - can not be read: {said} - look at its permissions, or leave it out") from error


def _of_contents(contents: Sequence[tuple[str, bytes]], level: str, files: int) -> Text:
    """One text of all contents; a file whose last line has no end gets one, where another follows."""
    if not any(content.strip() for _, content in contents):
        what = contents[0][0] if len(contents) == 1 else f"{len(contents)} files"
        raise DataError(f"{what} - there is nothing but white space in it - give a text")
    if level == "byte":
        return Text(_joined([content for _, content in contents], b"\n"), files)
    texts = [_characters(name, content) for name, content in contents]
    newlines = sum(text.count("\r\n") + text.replace("\r\n", "").count("\r") for text in texts if "\r" in text)
    if newlines:
        warnings.warn(f"{newlines:,} line ends of another system (\\r\\n) became \\n", DataWarning, stacklevel=3)
        texts = [text.replace("\r\n", "\n").replace("\r", "\n") for text in texts]
    return Text(_joined(texts, "\n"), files, newlines)


def _joined(contents: Sequence[AnyStr], end: AnyStr) -> AnyStr:
    return end[:0].join([c if c.endswith(end) or not c else c + end for c in contents[:-1]] + [contents[-1]])


def _characters(name: str, content: bytes) -> str:
    for mark, encoding in _OTHER_MARKS.items():
        if content.startswith(mark):
            raise DataError(
                f"{name} - it is {encoding}, not UTF-8 - save it as UTF-8, or use --level byte (level='byte')"
            )
    if (place := content.find(b"\0")) >= 0:
        raise DataError(
            f"{name} - byte 0x00 at offset {place}: no text file - leave it out, as with --glob '*.txt' (glob=), or "
            "use --level byte (level='byte')"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name} - byte 0x{content[error.start]:02x} at offset {error.start} is not UTF-8 - "
            "use --level byte (level='byte'), or save the file as UTF-8"
        ) from error


def _codes(content: str) -> Iterable[NDArray[np.uint32]]:
    """The code points of a string, slice by slice."""
    for start in range(0, len(content), _SLICE):
        yield np.frombuffer(content[start : start + _SLICE].encode("utf-32-le", "surrogatepass"), np.uint32)


def _listed(characters: str, most: int = 8) -> str:
    shown = ", ".join(map(repr, characters[:most]))
    return shown if len(characters) <= most else f"{shown} and {len(characters) - most} more"
