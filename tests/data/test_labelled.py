"""Labelled sequences of tables and files."""

import gzip
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest

from carrousel.data.labelled import Columns, is_table, read
from carrousel.errors import DataError, DataWarning, OptionError

LONG = pd.DataFrame(
    {"id": ["u", "u", "w", "w", "w"], "x": [1.0, 2, 3, 4, 5], "y2": [0, 1, 0, 1, 0], "label": list("aabbb")}
)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pl.LazyFrame])
def test_a_long_frame(kind):
    found = read(kind(LONG.to_dict("list")))
    assert found.columns == Columns("label", "id", None, ("x", "y2"))
    assert found.sequences[1].tolist() == [[3, 0], [4, 1], [5, 0]]
    assert found.labels.tolist() == ["a", "b"]
    assert found.ids.tolist() == ["u", "w"]


def test_rows_of_a_sequence_need_not_stand_together():
    found = read(LONG.iloc[[2, 0, 3, 1, 4]])
    assert found.ids.tolist() == ["w", "u"]
    assert found.sequences[0][:, 0].tolist() == [3, 4, 5]


@pytest.mark.parametrize("index", ["id", ["id", "time"]])
def test_an_index_that_says_something_is_columns(index):
    table = LONG.assign(time=[0, 1, 0, 1, 2])
    found, expected = read(table.set_index(index)), read(table)
    assert (found.columns, found.ids.tolist()) == (expected.columns, expected.ids.tolist())
    np.testing.assert_array_equal(found.sequences.steps, expected.sequences.steps)


def test_time_orders_them_and_is_no_channel():
    frame = LONG.assign(when=pd.to_datetime("2020-01-01") + pd.to_timedelta([1, 0, 0, 2, 1], "h"))
    with pytest.warns(DataWarning, match="sorted 5 rows by when"):
        found = read(frame, Columns(time="when", id="id"))
    assert found.sequences.steps[:, 0].tolist() == [2, 1, 3, 5, 4]
    assert found.rows.tolist() == [1, 0, 2, 4, 3]
    seconds = read(LONG.assign(time=[0.0, 0.5, 0.0, 0.25, 0.5]))
    assert seconds.sequences.channels == 2


def test_labels_that_change_are_one_per_step():
    found = read(LONG.assign(label=list("abbbb")))
    assert [each.tolist() for each in found.labels] == [["a", "b"], ["b", "b", "b"]]


def test_a_wide_frame_is_a_series_per_row():
    frame = pd.DataFrame({"": [1, 2], "t0": [1.0, 3], "t1": [2.0, np.nan], "class": ["a", "b"]})
    found = read(frame)
    assert found.sequences.lengths.tolist() == [2, 1]
    assert found.labels.tolist() == ["a", "b"]
    pairs = read(pd.DataFrame(np.arange(8).reshape(2, 4)).rename(columns=str).assign(y=[0, 1]), Columns(interleaved=2))
    assert pairs.sequences[1].tolist() == [[4, 5], [6, 7]]


def test_a_column_that_numbers_the_rows_of_a_wide_frame_is_no_step():
    found = read(pd.DataFrame({"id": [7, 8], "t0": [1, 3], "t1": [2, 4], "label": ["a", "b"]}))
    assert found.sequences.lengths.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("frame", "asked", "error", "match"),
    [
        (LONG.iloc[:0], Columns(), DataError, "0 data rows"),
        (LONG.drop(columns="label"), Columns(), DataError, r"choose --label \(label=\) among: id, x, y2"),
        (LONG.assign(target=1), Columns(), DataError, "choose --label .* among: label, target"),
        (
            LONG,
            Columns(label="lable"),
            DataError,
            "no column 'lable'; columns are id, x, y2, label. Did you mean label",
        ),
        (LONG, Columns(id="who"), DataError, "no column 'who'"),
        (LONG, Columns(id="x", time="x"), OptionError, "'x' has two roles"),
        (LONG, Columns(time="x"), OptionError, "'x' orders the steps of a sequence - name its column with --id"),
        (LONG[["id", "label"]], Columns(), DataError, "no column is left for the numbers"),
        (LONG.assign(x=["1", "2", "n/a", "4", "5"]), Columns(), DataError, "column 'x' row 3 - 'n/a' is not a number"),
        (LONG.assign(x=[1, 2, np.inf, 4, 5]), Columns(), DataError, "column 'x' row 3 - it is inf"),
        (LONG.assign(label=["a", None, "b", "b", "b"]), Columns(), DataError, "column 'label' row 2 - is empty"),
        (LONG.assign(time=[0, 1, 0, 0, 1]), Columns(), DataError, "column 'time' row 3 - time 0 is there twice .* 'w'"),
        (LONG.assign(time=[0, 1, 0.5, np.nan, 1]), Columns(), DataError, "column 'time' row 4 - is nan"),
        (LONG.assign(time=["2020-01-01"] * 4 + ["31/31/2020"]), Columns(), DataError, "'31/31/2020' is not a date"),
        (LONG.rename(columns={"y2": "x"}), Columns(), DataError, "'x' is there twice - rename one"),
        (
            LONG.assign(id=[("u", 1)] * 5),
            Columns(),
            DataError,
            r"column 'id' row 1 - is \('u', 1\), expected a text or",
        ),
        (LONG.set_axis(range(4), axis=1), Columns(), DataError, r"table - columns are \[0, 1, 2, 3\], expected names"),
        (pd.DataFrame({"a": [1], "b": [2], "y": [0]}), Columns(interleaved=3), DataError, "not a multiple of 3"),
        (pd.DataFrame({"a": [1], "y": [0]}), Columns(interleaved=0), OptionError, "channels - got 0"),
        (pd.DataFrame({"a": [1, None], "y": [0, 1]}), Columns(), DataError, "row 2 - has no number"),
    ],
)
def test_wrong_tables(frame, asked, error, match):
    with pytest.raises(error, match=match):
        read(frame, asked)


TRAINED = Columns("label", "id", None, ("x", "y2"))


@pytest.mark.parametrize(
    ("frame", "known", "match"),
    [
        (
            LONG.drop(columns=["x", "y2"]),
            replace(TRAINED, channels=tuple(f"c{k}" for k in range(1, 17))),
            r"data - the model was fitted on 16 columns \(c1, c2, c3, c4, c5, c6, c7, ..., c16\); the data has 0 of "
            r"them \(missing: c1, c2, c3, c4, c5, c6, c7, ..., c16\) - add them",
        ),
        (LONG.drop(columns="y2"), TRAINED, r"2 columns \(x, y2\); the data has 1 of them \(missing: y2\) - add them"),
        (
            LONG.rename(columns={"label": "Label"}),
            TRAINED,
            "table - has no column 'label', which was the label in training; columns are id, x, y2, Label. Did you "
            r"mean Label\? - call the label 'label' here too",
        ),
        (
            LONG.drop(columns="id"),
            TRAINED,
            "no column 'id', which was the id in training; .* call the id 'id' here too",
        ),
        (
            LONG.rename(columns={"label": "kind"}),
            None,
            "label - no column is surely the label, and the model was fitted on no table that would tell its name - "
            "call it 'label'; columns are id, x, y2, kind",
        ),
        (LONG.assign(target=1), None, "would tell its name - keep only one of label, target$"),
    ],
)
def test_tables_that_are_not_like_the_training(frame, known, match):
    with pytest.raises(DataError, match=match):
        read(frame, known)


def test_a_table_without_labels_is_like_the_training():
    assert read(LONG.drop(columns="label"), TRAINED, labelled=False).labels is None


def test_wrong_files(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "nothing.csv")
    (tmp_path / "empty.csv").write_text("id,x,label\n")
    with pytest.raises(DataError, match="0 data rows"):
        read(tmp_path / "empty.csv")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError, match=r"text.npz - (is no .npz file|holds pickled)"):
        read(tmp_path / "text.npz")
    np.savez(tmp_path / "held.npz", X=np.array([[1], [1, 2]], dtype=object), y=[0, 1])
    with pytest.raises(DataError, match="pickled objects, which could run any code"):
        read(tmp_path / "held.npz")
    np.savez(tmp_path / "named.npz", data=[1.0])
    with pytest.raises(DataError, match="has the arrays data, expected X and y"):
        read(tmp_path / "named.npz")
    np.savez(tmp_path / "cut.npz", X=np.zeros((2, 3, 1)), lengths=[4, 1], y=[0, 1])
    with pytest.raises(DataError, match=r"X \(2, 3, 1\) does not fit 2 lengths up to 4"):
        read(tmp_path / "cut.npz")
    np.savez(tmp_path / "zero.npz", X=np.zeros((2, 3, 1)), lengths=[0, 1], y=[0, 1])
    with pytest.raises(DataError, match=r"lengths are int64 .* from 0, expected whole numbers from 1"):
        read(tmp_path / "zero.npz")


def test_other_separators_gzip_and_unicode(tmp_path):
    path = tmp_path / "schritte.csv.gz"
    path.write_bytes(gzip.compress("\ufeffid;größe;label\n1;0,5;a\n1;1,5;a\n2;2,5;b\n".encode()))
    found = read(path)
    assert found.sequences.steps[:, 0].tolist() == [0.5, 1.5, 2.5]
    assert found.names == ("größe",)


def test_npz(tmp_path):
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    np.savez(tmp_path / "same.npz", X=x, y=list("aba"))
    assert read(tmp_path / "same.npz").sequences.lengths.tolist() == [4, 4, 4]
    steps = np.array(list("aabbabababab")).reshape(3, 4)
    np.savez(tmp_path / "padded.npz", X=x, lengths=[4, 2, 1], y=steps)
    padded = read(tmp_path / "padded.npz")
    assert (padded.sequences[1] == x[1, :2]).all()
    assert [len(each) for each in padded.labels] == [4, 2, 1]
    np.savez(tmp_path / "turned.npz", X=x.transpose(0, 2, 1), lengths=[4, 2, 1])
    turned = read(tmp_path / "turned.npz", labelled=False, layout="NCT")
    assert (turned.sequences.steps == padded.sequences.steps).all()
    np.savez(tmp_path / "flat.npz", X=padded.sequences.steps, lengths=[4, 2, 1], y=list("aabbaba"))
    flat = read(tmp_path / "flat.npz")
    assert (flat.sequences.steps == padded.sequences.steps).all()
    assert [each.tolist() for each in flat.labels] == [list("aabb"), list("ab"), ["a"]]


def test_what_is_a_table():
    assert is_table(LONG)
    assert is_table(pl.DataFrame({"a": [1]}))
    assert is_table("steps.csv")
    assert not is_table([[1.0]])
    assert not is_table(np.zeros((2, 3)))


HEAD = "@problemName Waves\n@timeStamps false\n@classLabel true a b\n@data\n"


def test_ts_files(tmp_path):
    path = tmp_path / "waves.ts"
    path.write_text("# a comment\n" + HEAD + "1,2,?:4,5,6:a\n\n7:9:b\n")
    found = read(path)
    assert found.sequences.lengths.tolist() == [3, 1]
    assert np.isnan(found.sequences[0][2, 0])
    assert found.labels.tolist() == ["a", "b"]
    path.write_text(HEAD.replace("true a b", "false") + "1,2:4,5\n")
    assert read(path).labels is None
    assert read(path).sequences.channels == 2


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("1,2:a\n", "line 1 - stands before @data"),
        (HEAD, "0 data rows"),
        (HEAD + "1,x:a\n", "line 5 - could not convert string to float: 'x'"),
        (HEAD + "1,2:3:a\n", r"line 5 - its channels have \[1, 2\] steps"),
        (HEAD.replace("timeStamps false", "timeStamps true"), "line 2 - has time stamps, which are not read"),
    ],
)
def test_wrong_ts_files(text, match, tmp_path):
    path = tmp_path / "waves.ts"
    path.write_text(text)
    with pytest.raises(DataError, match=match):
        read(path)


def test_time_that_begins_anew_tells_sequences_apart() -> None:
    rows = [(f"s{k}", t, k + t, "ab"[k % 2]) for k in range(6) for t in range(k + 3)]
    table = pd.DataFrame(rows, columns=["utterance", "t", "x", "class"])
    found = read(table)
    assert (found.columns.id, found.columns.time, found.columns.channels) == ("utterance", "t", ("x",))
    assert found.sequences.lengths.tolist() == [3, 4, 5, 6, 7, 8]
    with pytest.raises(DataError, match=r"id - 't' begins anew in the blocks of several columns.*: utterance, said"):
        read(table.assign(said=table.utterance))


def test_rows_with_a_date_each_are_no_sequences() -> None:
    table = pd.DataFrame({"time": pd.date_range("2024", periods=9), "load": np.arange(9.0), "label": [*"aabbaabba"]})
    for frame in (table, table.assign(time=table.time.astype(str))):
        with pytest.raises(
            DataError, match=r"column 'time' - it says when each row was.*with --id \(id=\); to forecast"
        ):
            read(frame, Columns())
        with pytest.raises(DataError, match=r"of which sequence no column says - call it 'id'; to forecast"):
            read(frame)
    assert read(table.assign(time=np.arange(9))).columns.channels == ("time", "load")
