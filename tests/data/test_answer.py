"""Answers in the form of the question."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from carrousel.data.answer import answer, to_csv
from carrousel.data.labelled import Columns, read

VALUES = {"label": np.array(["a", "b"])}
STEPS = {"label": np.array(["a", "b", "c"])}
LONG = {"id": ["w", "u", "u"], "t": [0, 1, 0], "x": [1.0, 2.0, 3.0]}


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_a_frame(kind):
    with pytest.warns(match="sorted"):
        asked = read(kind(LONG), Columns(id="id", time="t"), labelled=False)
    one = answer(asked, VALUES, per_step=False)
    assert isinstance(one, kind)
    assert to_csv(one) == "id,label\nw,a\nu,b\n"
    each = answer(asked, STEPS, per_step=True)
    assert to_csv(each) == "id,t,label\nw,0,a\nu,1,c\nu,0,b\n"  # sorted by time b comes first; the rows are as asked


def test_a_wide_frame():
    asked = read(pd.DataFrame({"t0": [1.0, 2], "t1": [3.0, 4]}), labelled=False)
    assert to_csv(answer(asked, VALUES, per_step=False)) == "label\na\nb\n"


def test_a_file_that_is_no_table(tmp_path):
    np.savez(tmp_path / "x.npz", X=np.zeros((3, 1)), lengths=[1, 2])
    asked = read(tmp_path / "x.npz", labelled=False)
    assert to_csv(answer(asked, VALUES, per_step=False)) == "id,label\n0,a\n1,b\n"
    assert to_csv(answer(asked, STEPS, per_step=True)) == "id,label\n0,a\n1,b\n1,c\n"
