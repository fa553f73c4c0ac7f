"""Files that people have: separators, decimal commas, byte-order marks, gzip, and what is no table."""

import bz2
import gzip
import lzma
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas
import pytest

from carrousel.data.files import read_table
from carrousel.errors import DataError, DataWarning

PLAIN = "day,rain\n2020-01-01,0.5\n2020-01-02,1.5\n"


def file_of(folder: Path, content: str | bytes, name: str = "rain.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.replace(",", ";").replace(".", ","),
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace(",", ", "),
        PLAIN.replace(",", "   "),
        "sep=;\n" + PLAIN.replace(",", ";"),
        '\ufeff"sep=\t"\r\n' + PLAIN.replace(",", "\t").replace(".", ","),
    ],
    ids=[
        "comma",
        "semicolon",
        "tab",
        "bar",
        "decimal comma",
        "byte-order mark",
        "windows",
        "spaces",
        "blanks",
        "Excel",
        "Excel's tab",
    ],
)
def test_text(tmp_path: Path, content: str) -> None:
    table = read_table(file_of(tmp_path, content))
    assert list(table.columns) == ["day", "rain"]
    assert table["rain"].tolist() == [0.5, 1.5]


def test_gzip_and_parquet(tmp_path: Path) -> None:
    packed = file_of(tmp_path, gzip.compress(PLAIN.encode()), "rain.csv.gz")
    misnamed = file_of(tmp_path, gzip.compress(PLAIN.encode()), "rain.csv")
    expected = read_table(packed)
    pandas.testing.assert_frame_equal(read_table(misnamed), expected)
    expected.to_parquet(tmp_path / "rain.parquet")
    pandas.testing.assert_frame_equal(read_table(tmp_path / "rain.parquet"), expected)


@pytest.mark.parametrize(
    ("above", "said"),
    [
        ('# a "quote\n\n#,"and another\n', "2 lines above the names begin with # and are left out"),
        ("sep=,\r\n# one\r\n", "1 line above the names begins with # and is left out"),
    ],
)
def test_comments_above_the_names(tmp_path: Path, above: str, said: str) -> None:
    with pytest.warns(DataWarning, match=f"^rain.csv: {said}$"):
        table = read_table(file_of(tmp_path, above + PLAIN))
    assert table["rain"].tolist() == [0.5, 1.5]
    with (
        pytest.warns(DataWarning),
        pytest.raises(DataError, match=f"in line {len(above.splitlines()) + 3}, saw 3"),
    ):
        read_table(file_of(tmp_path, above + PLAIN.replace("1.5", "1,5")))


def test_names_that_begin_with_a_hash_are_no_comment(tmp_path: Path) -> None:
    assert read_table(file_of(tmp_path, "#" + PLAIN)).columns.tolist() == ["#day", "rain"]
    with pytest.warns(DataWarning, match="1 line above the names"):
        assert read_table(file_of(tmp_path, "# mm\n# id,x\nu,1\n")).columns.tolist() == ["# id", "x"]


def test_unicode_and_awkward_names(tmp_path: Path) -> None:
    table = read_table(file_of(tmp_path, "時刻,--force,naïve °C\n1,2,3\n"))
    assert list(table.columns) == ["時刻", "--force", "naïve °C"]


def test_one_column_of_numbers(tmp_path: Path) -> None:
    assert read_table(file_of(tmp_path, "air temperature\n1.5\n2\n"))["air temperature"].tolist() == [1.5, 2.0]


def test_text_for_missing_stays_text(tmp_path: Path) -> None:
    table = read_table(file_of(tmp_path, "y\n1\nn/a\n\nNA\n"))
    assert table["y"].tolist() == ["1", "n/a", "NA"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "rain.csv - it has 0 data rows - give a file with a line of names and lines of values"),
        (
            "day,rain\n",
            "rain.csv - it has 0 data rows, only names (day, rain) - give a file with a line of names and lines",
        ),
        ("1,2\n3,4\n", "rain.csv - its first line is numbers (1, 2), expected names of columns - put a line of names"),
        ("2020-01-01,2\n2020-01-02,4\n", "rain.csv - its first line is numbers (2020-01-01, 2), expected names"),
        ("a,b,a\n1,2,3\n", "rain.csv - the column 'a' is there twice - give every column its own name"),
        ("a,b\n1,2\n1,2,3,4\n", "rain.csv - Expected 2 fields in line 3, saw 4 - give every line as many fields"),
        (b"a,b\n1,\xff\n", "rain.csv - byte 0xff at offset 6 is not UTF-8 - save the file as UTF-8"),
        (b"PK\x03\x04abcdef", "rain.csv - it is a packed or binary file, expected text - save it as CSV or .parquet"),
        (
            bz2.compress(PLAIN.encode()),
            "rain.csv - it is packed with bzip2, expected text, which may be packed with gzip",
        ),
        (
            lzma.compress(PLAIN.encode()),
            "rain.csv - it is packed with xz, expected text, which may be packed with gzip",
        ),
        (
            PLAIN.encode("utf-16"),
            "rain.csv - it is text in UTF-16, expected UTF-8 - save it as UTF-8, for example with",
        ),
        (
            b"RIFF\x00\x00\x00\x00WAVE",
            "rain.csv - it is a recording (wav), expected a table - for `carrousel classify`",
        ),
        (
            "day mm\n2020-01-01 00:00 1.5\n",
            "rain.csv - it has one column, 'day mm', and no number in it ('2020-01-01 00:00 1.5') - separate "
            "columns by a comma, semicolon, tab, bar, or by blanks, as many on every line",
        ),
        (
            "day:mm\n1:2\n",
            "rain.csv - it has one column, 'day:mm', and no number in it ('1:2') - separate columns by a",
        ),
        (b"\x1f\x8b\x08\x00broken", "rain.csv - it can not be unpacked ("),
        (gzip.compress(bytes(range(65, 91)) * 4000)[:-9], "rain.csv - it can not be unpacked ("),
        ("sep=;\n", "rain.csv - it has 0 data rows - give a file with a line of names and lines of values"),
        ('{"day": [1, 2], "rain": [3, 4]}', "rain.csv - it looks like JSON, expected CSV or Parquet - give a table: a"),
        ('[\n {"day": 1,\n  "rain": 3}\n]\n', "rain.csv - it looks like JSON, expected CSV or Parquet - give a table"),
        ('["' + "é" * 40_000 + '"]', "rain.csv - it looks like JSON"),
        ("<!DOCTYPE html>\n<html>a,1</html>\n", "rain.csv - it looks like HTML or XML, expected CSV or Parquet"),
        (
            "Dear Sir, it rained.",
            "rain.csv - it looks like text that is no table ('Dear Sir, it rained.'), expected CSV",
        ),
        (
            "Dear Sir,\nit rained, and I, too, was wet.\nYours\n",
            "rain.csv - it looks like text that is no table ('Dear",
        ),
    ],
)
def test_what_is_no_table(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        read_table(file_of(tmp_path, content))


def test_what_comes_through_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(pipe.write_bytes, gzip.compress(PLAIN.encode()))
        table = read_table(pipe)
        assert writing.result() > 0
    pandas.testing.assert_frame_equal(table, read_table(file_of(tmp_path, PLAIN)))


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    file_of(tmp_path, PLAIN)
    with pytest.raises(DataError, match=re.escape(f"rian.csv - no such file in {tmp_path} - nearest name: 'rain.csv'")):
        read_table(tmp_path / "rian.csv")
    with pytest.raises(DataError, match=r"no such file in .* - look for the right path"):
        read_table(tmp_path / "no" / "x.csv")
    with pytest.raises(DataError, match=r"it is a folder, expected a CSV or Parquet file"):
        read_table(tmp_path)
    with pytest.raises(DataError, match=r"rain\.parquet - it is no Parquet file"):
        read_table(file_of(tmp_path, PLAIN, "rain.parquet"))
