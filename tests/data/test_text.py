"""Texts of every sort, and what is no text."""

import gzip
import os
from pathlib import Path

import pytest
import torch

from carrousel.data.text import LEAST, Vocabulary, read_text
from carrousel.errors import DataError, DataWarning, OptionError, OptionTypeError


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# ---------------------------------------------------------------------- vocabulary


@pytest.mark.parametrize("content", ["hello", "Grüße, 世界 \U0001f600", "\n", ""])
def test_what_is_encoded_is_decoded(content: str) -> None:
    for vocabulary in (Vocabulary.of(content + "x"), Vocabulary("byte")):
        assert vocabulary.decode(vocabulary.encode(content)) == content


def test_numbers_take_as_little_memory_as_they_can() -> None:
    assert Vocabulary.of("abc").encode("cab").dtype == torch.uint8
    many = "".join(map(chr, range(300, 900)))
    assert Vocabulary.of(many).encode(many).tolist() == list(range(600))


def test_slices_of_long_texts_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carrousel.data.text._SLICE", 3)
    vocabulary = Vocabulary.of("abcdefgh")
    assert vocabulary.characters == "abcdefgh"
    assert vocabulary.encode("hgfedcba").tolist() == [7, 6, 5, 4, 3, 2, 1, 0]


def test_unknown_characters_are_listed() -> None:
    with pytest.raises(
        DataError, match=r"prompt - it has 'x', 'ü', not among the 3 characters .* --level byte \(level='byte'\)"
    ):
        Vocabulary.of("abc").encode("aüx", "prompt")
    with pytest.raises(DataError, match="and 2 more"):
        Vocabulary.of("abc").encode("0123456789")


def test_bytes_are_no_characters() -> None:
    with pytest.raises(DataError, match="bytes, but the model reads characters - give a string"):
        Vocabulary.of("abc").encode(b"abc")


def test_a_character_of_several_bytes_is_decoded_when_it_is_whole() -> None:
    decode, octets = Vocabulary("byte").decoder(), "é!".encode()
    assert [decode(octet, False) for octet in octets] == ["", "é", "!"]
    assert decode(octets[0], True) == "\ufffd"


def test_a_text_begins_after_a_line_end() -> None:
    assert Vocabulary.of("ab\n\tc").beginning().tolist() == [1]
    assert Vocabulary.of("GATC").beginning().tolist() == [0]
    assert Vocabulary("byte").beginning().tolist() == [10]


# ---------------------------------------------------------------------- where a text comes from


def test_a_string_is_a_text_or_a_path(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "from the file")
    assert read_text(str(file)).content == "from the file"
    assert read_text("two\nlines").content == "two\nlines"
    assert read_text("x" * LEAST).content == "x" * LEAST
    assert read_text(b"octets", "byte").content == b"octets"


def test_folders_and_patterns_are_read_in_order_without_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", "inner/c.py", "notes.md", ".git/d.py", "__pycache__/e.py"):
        write(tmp_path / name, name)
    everything = read_text(tmp_path)
    assert everything.content == "a.py\nb.py\ninner/c.py\nnotes.md"
    assert everything.files == 4
    assert read_text(tmp_path, pattern="*.py").content == "a.py\nb.py\ninner/c.py"
    assert read_text(str(tmp_path / "**" / "*.md")).content == "notes.md"
    assert read_text([tmp_path / "notes.md", tmp_path / "a.py"]).content == "notes.md\na.py"


def test_marks_and_line_ends_of_other_systems(tmp_path: Path) -> None:
    file = write(tmp_path / "dos.txt", b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    with pytest.warns(DataWarning, match="2 line ends of another system"):
        found = read_text(file)
    assert found.content == "one\ntwo\nthree\n"
    assert found.newlines == 2
    assert read_text(file, "byte").content == file.read_bytes()


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    assert read_text(write(tmp_path / "a.txt.gz", gzip.compress(b"packed\n"))).content == "packed\n"
    with pytest.raises(DataError, match="can not be read"):
        read_text(write(tmp_path / "b.gz", gzip.compress(b"packed\n" * 100)[:20]))


# ---------------------------------------------------------------------- what is no text


def test_a_missing_file_and_the_nearest_name(tmp_path: Path) -> None:
    write(tmp_path / "novel.txt", "x")
    with pytest.raises(DataError, match=r"no such file in .* nearest name: 'novel.txt'; .* 1,000 characters"):
        read_text(tmp_path / "novle.txt")
    with pytest.raises(DataError, match="look for the right path"):
        read_text("To be, or not to be")


def test_an_empty_folder_and_patterns_that_match_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the folder has no file that matches '\\*' - try another --glob"):
        read_text(tmp_path)
    write(tmp_path / "a.txt", "x")
    with pytest.raises(DataError, match=r"no file that matches '\*.py'"):
        read_text(tmp_path, pattern="*.py")
    with pytest.raises(DataError, match=r"no file in .* matches this pattern - try"):
        read_text(str(tmp_path / "*.csv"))


@pytest.mark.parametrize("level", ["char", "byte"])
def test_nothing_in_it(tmp_path: Path, level: str) -> None:
    with pytest.raises(DataError, match=r"empty.txt - there is nothing but white space in it - give a text"):
        read_text(write(tmp_path / "empty.txt", ""), level)
    write(tmp_path / "blank.txt", " \n\n")
    with pytest.raises(DataError, match="2 files - there is nothing but white space"):
        read_text(tmp_path, level)
    with pytest.raises(DataError, match="nothing but white space"):
        read_text(b"", level)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"abc\xffdef",
            r"byte 0xff at offset 3 is not UTF-8 - use --level byte \(level='byte'\), or save the file as UTF-8",
        ),
        (
            b"\x89PNG\r\n\x1a\n\0",
            r"byte 0x00 at offset 8: no text file - leave it out, as with --glob .*use --level byte \(level='byte'\)",
        ),
        ("Grüße".encode("utf-16"), r"it is UTF-16, not UTF-8 - save it as UTF-8, or use --level byte \(level='byte'\)"),
        (b"\xff\xfe\0\0a\0\0\0", r"it is UTF-32, not UTF-8"),
    ],
)
def test_binary_files(tmp_path: Path, content: bytes, message: str) -> None:
    file = write(tmp_path / "file", content)
    with pytest.raises(DataError, match=message):
        read_text(file)
    assert read_text(file, "byte").content == content


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    file = write(tmp_path / "secret.txt", "x")
    file.chmod(0)
    with pytest.raises(DataError, match=r"secret.txt - can not be read: Permission denied"):
        read_text(file)


@pytest.mark.parametrize("source", [3, None, [1, 2], {"a": 1}, {"a.txt"}])
def test_neither_text_nor_path(source: object) -> None:
    with pytest.raises(OptionTypeError, match="expected a text or paths - give a str or a Path"):
        read_text(source)  # type: ignore[arg-type]


def test_no_path_an_empty_one_and_an_impossible_one() -> None:
    with pytest.raises(DataError, match="no path was given"):
        read_text([])
    with pytest.raises(DataError, match="the text is empty - give a text"):
        read_text("")
    with pytest.raises(DataError, match="no such file"):
        read_text("a\0b")
    with pytest.raises(DataError, match="text - 999 characters; need 1,000 - give a longer text, or the path of one"):
        read_text("x" * (LEAST - 1))


def test_a_pattern_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"glob is '/etc/\*', expected a name such as '\*.txt' - give one"):
        read_text(tmp_path, pattern="/etc/*")


def test_unknown_level() -> None:
    with pytest.raises(OptionError, match="level is 'word', expected char or byte - choose one of them"):
        read_text("a\nb", "word")
