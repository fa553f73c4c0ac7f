"""Input that is odd but right is read, with a line of warning where it was changed; the rest is refused by name."""

import bz2
import gzip
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from carrousel.cli import app
from carrousel.models.folder import FORMAT

SMALL = ["--hidden", "4", "--epochs", "1", "--no-report", "-q", "--out", "run"]
SOLD = [(3 * day + day // 10) % 7 + 0.5 for day in range(330)]
DAYS = [f"2024-{1 + day // 28:02}-{1 + day % 28:02}" for day in range(330)]
LINES = [f"{day},{sold}" for day, sold in zip(DAYS, SOLD, strict=True)]
PLAIN = "\n".join(["day,sold", *LINES])

Call = Callable[..., str]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command in an empty folder and return what it says."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        return done.output

    return call


def forecast(call: Call, content: str | bytes, *options: str, code: int = 0) -> str:
    Path("sales.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return call("forecast", "sales.csv", "--horizon", "3", "--missing", "ffill", *SMALL, *options, code=code)


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", ";").replace(".", ","),
        "\ufeff" + PLAIN.replace("\n", "\r\n"),
        gzip.compress(PLAIN.encode()),
        "sep=;\r\n" + PLAIN.replace(",", ";").replace(".", ","),
    ],
    ids=["semicolon", "decimal comma", "byte-order mark", "gzip", "Excel"],
)
def test_however_it_is_written(call: Call, content: str | bytes) -> None:
    assert forecast(call, content) == "run\n"
    said = Path("run/forecast.csv").read_text()
    forecast(call, PLAIN, "--force")
    assert Path("run/forecast.csv").read_text() == said


def test_what_comes_through_a_pipe(call: Call) -> None:
    forecast(call, PLAIN)
    said = call("predict", "run")
    with piped(PLAIN):
        call("forecast", "-", "--horizon", "3", "--missing", "ffill", *SMALL[:-2])
    (run,) = Path("carrousel-runs").glob("stdin-*")
    assert call("predict", str(run)) == said
    with piped("To be, or not to be?\n" * 60):
        call("generate", "-", *SMALL, "--force")
    assert json.loads(call("info", "run", "--json"))["metrics"]["symbols"] == 21 * 60


@contextmanager
def piped(content: str) -> Iterator[None]:
    """Give the process some content on its standard input."""
    before, (reader, writer) = os.dup(0), os.pipe()
    os.write(writer, content.encode())
    os.close(writer)
    os.dup2(reader, 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(reader)
        os.close(before)


def test_comments_above_the_names_are_said_in_one_line(call: Call) -> None:
    said = forecast(call, "# sold in our shops\n# by day\n" + PLAIN)
    assert said == "warning: sales.csv: 2 lines above the names begin with # and are left out\nrun\n"


def test_columns_in_unicode_and_like_an_option(call: Call) -> None:
    table = [f"{line},7" for line in LINES]
    assert forecast(call, "\n".join(["時刻,--force,naïve °C", *table]), "--target=--force") == "run\n"
    assert Path("run/forecast.csv").read_text().startswith("時刻,yhat,")
    forecast(call, "\n".join(["時刻,a,naïve °C", *table]), "--target", "b", code=2)


def test_rows_that_are_sorted_are_said_in_one_line(call: Call) -> None:
    said = forecast(call, "\n".join(["day,sold", *LINES[1:], LINES[0]]))
    assert said == "warning: sorted 330 rows by day\nrun\n"


def test_the_hour_that_daylight_saving_repeats(call: Call) -> None:
    hours = [f"2024-10-{26 + hour // 24} {hour % 24:02}:00" for hour in range(144)]
    hours.insert(hours.index("2024-10-27 03:00"), "2024-10-27 02:00")
    table = "\n".join(["hour,sold", *(f"{hour},{k % 24 + k % 5}" for k, hour in enumerate(hours))])
    assert "the hour after 2024-10-27 02:00 is repeated: taken for a change" in forecast(call, table)
    zoned = [f"{hour.replace(' ', 'T')}{'+02:00' if k <= 26 else '+01:00'}" for k, hour in enumerate(hours)]
    table = "\n".join(["hour,sold", *(f"{hour},{k % 24 + k % 5}" for k, hour in enumerate(zoned))])
    assert forecast(call, table, "--force") == "run\n"


def test_a_series_that_is_too_short_and_one_that_never_changes(call: Call) -> None:
    shops = [f"{name},{line}" for name in "AB" for line in LINES]
    short = [f"C,{line}" for line in LINES[:5]]
    constant = [f"D,{day},3" for day in DAYS]
    said = forecast(call, "\n".join(["shop,day,sold", *shops, *short, *constant]), "--id", "shop")
    assert "warning: 1 of 4 series have less than" in said
    assert "are left out: C" in said
    assert "'sold' of series 'D' never changes in the training part" in said


def test_files_that_are_no_table(call: Call) -> None:
    assert "it is packed with bzip2" in forecast(call, bz2.compress(PLAIN.encode()), code=2)
    assert "it is text in UTF-16, expected UTF-8" in forecast(call, PLAIN.encode("utf-16"), code=2)
    assert "it is a recording (wav), expected a table" in forecast(call, b"RIFF\0\0\0\0WAVE", code=2)
    assert "it has one column, 'day:sold', and no number in it" in forecast(call, PLAIN.replace(",", ":"), code=2)
    assert "'10,000.00' has separators of thousands" in forecast(call, PLAIN.replace("0.5", '"10,000.00"'), code=2)


def test_numbers_that_are_too_large(call: Call) -> None:
    said = forecast(call, PLAIN, "--hidden", "9999999999999", code=2)
    assert "fit - it does not fit into memory (" in said
    assert said.endswith(" - take fewer hidden units or layers, a smaller batch or a shorter context\n")
    assert "devices is 9999, this machine has" in forecast(call, PLAIN, "--devices", "9999", code=2)
    assert "2 nodes, but nothing says how they find each other" in forecast(call, PLAIN, "--nodes", "2", code=2)
    assert "seed is 99999999999999999999999, expected 0 to" in forecast(call, PLAIN, "--seed", "9" * 23, code=2)
    said = forecast(call, PLAIN, "--windows", "500", "--batch", "5000")
    assert "warning: batch_size - 5000, there are" in said
    assert re.search(r"warning: windows - \d+ of 500 have the \d+ rows before them that a forecast needs: only", said)


def test_two_frequencies_in_one_table(call: Call) -> None:
    months = [f"B,{day},1" for day in DAYS if day.endswith("-01")]
    table = "\n".join(["shop,day,sold", *(f"A,{line}" for line in LINES[:28]), *months])
    assert "but from 2024-01-01 in series 'B' one every month" in forecast(call, table, "--id", "shop")


def test_a_backtest_has_the_values_of_the_file(call: Call) -> None:
    forecast(call, PLAIN, "--windows", "1")
    y = [line.split(",")[2] for line in Path("run/backtest.csv").read_text().splitlines()]
    assert y == ["y", *(str(sold) for sold in SOLD[-3:])]


def test_a_loss_that_is_no_number_ends_with_1(call: Call) -> None:
    assert "the gradient is not finite at step" in forecast(call, PLAIN, "--lr", "1e30", code=1)
    assert {path.name for path in Path().iterdir()} == {"sales.csv"}


def test_a_library_that_is_not_there(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    assert 'pip install "carrousel[fit]"' in forecast(call, PLAIN, code=2)


# ---------------------------------------------------------------------- what a run is asked


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a past and a future input."""
    folder = tmp_path_factory.mktemp("runs")
    table = [f"{line},{k % 3},{k % 2}" for k, line in enumerate(LINES)]
    (folder / "sales.csv").write_text("\n".join(["day,sold,rain,holiday", *table]))
    (folder / "ahead.csv").write_text("\n".join(["day,holiday", *(f"2024-12-{day},0" for day in range(23, 26))]))
    options = ["--target", "sold", "--past", "rain", "--future", "holiday", "--missing", "ffill", "--horizon", "3"]
    small = [*SMALL[:-1], str(folder / "run")]
    assert CliRunner().invoke(app, ["forecast", str(folder / "sales.csv"), *options, *small]).exit_code == 0
    return folder


def test_inputs_that_are_not_there(call: Call, trained: Path) -> None:
    run, ahead = str(trained / "run"), str(trained / "ahead.csv")
    assert len(call("predict", run, "--future-data", ahead).splitlines()) == 4
    assert "future column 'holiday' - it is needed for 3 steps after 2024-12-22; got 0" in call("predict", run, code=2)
    Path("sales.csv").write_text(PLAIN)
    said = call("predict", run, "sales.csv", "--future-data", ahead, code=2)
    assert "the data has 1 of them (missing: rain, holiday)" in said


def test_inputs_that_are_too_few_are_said_before_training(call: Call, trained: Path) -> None:
    given = (trained / "ahead.csv").read_text().splitlines()[:3]
    Path("ahead.csv").write_text("\n".join(given))
    options = ["--target", "sold", "--future", "holiday", "--missing", "ffill", "--horizon", "3", "--out", "short"]
    said = call("forecast", str(trained / "sales.csv"), *options, "--future-data", "ahead.csv", code=2)
    assert "future column 'holiday' - it is needed for 3 steps after 2024-12-22; got 2" in said
    assert [path.name for path in Path().iterdir()] == ["ahead.csv"]


def test_a_run_that_is_damaged_or_foreign(call: Call, trained: Path, tmp_path: Path) -> None:
    def predict(name: str, change: Callable[[bytes], bytes]) -> str:
        files = {path.name: path.read_bytes() for path in (trained / "run").iterdir()}
        (tmp_path / "run").mkdir(exist_ok=True)
        for each, content in files.items():
            (tmp_path / "run" / each).write_bytes(change(content) if each == name else content)
        return call("predict", "run", code=2)

    assert "weights.safetensors - is cut short (expected" in predict("weights.safetensors", lambda old: old[:-9])
    assert "config.json - was not written by carrousel" in predict("config.json", lambda _: b"{}")
    newer = f'"format": {FORMAT + 1}'.encode()
    said = predict("config.json", lambda old: re.sub(rb'"format": \d+', newer, old))
    assert f"is of format {FORMAT + 1}, this version reads up to {FORMAT} - upgrade carrousel" in said
    assert "preprocess.json - is damaged" in predict("preprocess.json", lambda old: old[:-9])
    changed = predict("preprocess.json", lambda old: old.replace(b'"sold"', b'"gold"'))
    assert "preprocess.json - is damaged: its SHA-256 is not the one in config.json" in changed
    changed = predict("config.json", lambda old: old.replace(b'"forecast"', b'"classify"'))
    assert "config.json - is damaged: Classifier has no parameter calendar" in changed


def test_few_new_rows_are_measured_from_the_runs_own(call: Call, trained: Path) -> None:
    new = [f"2024-12-{day},1.5,1,0" for day in range(23, 27)]
    Path("new.csv").write_text("\n".join(["day,sold,rain,holiday", *new]))
    assert json.loads(call("evaluate", str(trained / "run"), "new.csv", "--json"))["windows"] == 2
    Path("new.csv").write_text("\n".join(["day,sold,rain,holiday", *new[:2]]))
    assert "and horizon 3 need" in call("evaluate", str(trained / "run"), "new.csv", code=2)


# ---------------------------------------------------------------------- sequences and texts


@pytest.mark.parametrize(
    ("X", "lengths", "y", "expected"),
    [
        (np.zeros((4, 5, 1)), None, [0, 1, 0], "4 sequences but 3 labels"),
        (np.zeros((4, 5, 1)), [0, 5, 5, 5], [0, 1, 0, 1], "expected whole numbers from 1"),
        (np.zeros((4, 5, 1)), [6, 5, 5, 5], [0, 1, 0, 1], "does not fit 4 lengths up to 6"),
        (np.full((4, 5, 1), np.nan), None, [0, 1, 0, 1], "is missing (NaN)"),
    ],
)
def test_sequences_that_do_not_fit(call: Call, X: np.ndarray, lengths: object, y: list[int], expected: str) -> None:
    held = {"X": X, "y": y} if lengths is None else {"X": X, "y": y, "lengths": lengths}
    np.savez("steps.npz", **held)
    assert expected in call("classify", "steps.npz", *SMALL, code=2)


def test_channels_that_differ(call: Call) -> None:
    Path("steps.ts").write_text("@classLabel true a b\n@data\n1,2:3,4:a\n1,2:b\n")
    assert "sequence 1 - has 1 channels, sequence 0 has 2" in call("classify", "steps.ts", *SMALL, code=2)


def test_a_class_with_one_example(call: Call) -> None:
    rows = [f"{k},{t},{k % 2 + t / 9},{'ab'[k % 2] if k else 'rare'}" for k in range(21) for t in range(4)]
    Path("steps.csv").write_text("\n".join(["id,time,x,label", *rows]))
    assert "warning: only 1 example of class rare" in call("classify", "steps.csv", "--layers", "1", *SMALL)


def test_texts_that_are_none(call: Call) -> None:
    Path("text.txt").write_bytes(b"abc abd \xff" * 200)
    assert "byte 0xff at offset 8 is not UTF-8" in call("generate", "text.txt", *SMALL, code=2)
    Path("text.txt").write_text("abc abd " * 200)
    assert "prompt - it has 'x', not among the" in call("generate", "text.txt", "--prompt", "xa", *SMALL, code=2)


def test_an_own_cell_is_named_in_the_command_that_is_printed(call: Call) -> None:
    Path("cells.py").write_text(
        "from carrousel import cell\nfrom carrousel.functions import tanh\n\n\n@cell\n"
        "def mine(x, h_prev, W, R, b):\n    h = tanh(W.h @ x + b.h + R.h @ h_prev)\n    return h\n"
    )
    Path("sales.csv").write_text(PLAIN)
    wanted = ["--horizon", "3", "--missing", "ffill", "--hidden", "4", "--epochs", "1", "--no-report", "--out", "run"]
    said = call("forecast", "sales.csv", "--cell", "cells.py:mine", *wanted)
    (command,) = re.findall(r"carrousel (predict run) NEW_ROWS.csv (--cell cells.py:mine)$", said, flags=re.MULTILINE)
    call(*command[0].split(), "sales.csv", *command[1].split())
    refused = call("predict", "run", "sales.csv", code=2)
    assert "on the command line --cell cells.py:mine" in " ".join(refused.split())
