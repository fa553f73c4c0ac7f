"""What users get wrong on the command line: one message, the exit code, nothing left behind."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from carrousel.cli import app

DAYS = [date(2024, 1, 1) + timedelta(days=day) for day in range(330)]
GOOD = "time,sold\n" + "".join(f"{day},{(3 * k + k // 10) % 7}\n" for k, day in enumerate(DAYS))
STACKED = "shop,time,sold\n" + "".join(f"{'AB'[k // 33]},{DAYS[k % 33]},{k % 7}\n" for k in range(66))


def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (None, [], "no such file"),
        ("", [], "0 data rows"),
        ("time,sold\n", [], "0 data rows"),
        (GOOD, ["--target", "sould"], "Did you mean sold?"),
        (GOOD, ["--horizon", "0"], "horizon"),
        (GOOD, ["--level", "120"], "level"),
        (
            GOOD,
            ["--future", "sold", "--target", "sold"],
            "future - 'sold' is the target; it cannot be a future covariate",
        ),
        (GOOD, ["--time", "sold"], "'sold' is the only column of numbers, and is taken as time: nothing remains to"),
        (GOOD, ["--future", "sold"], "nothing remains to forecast - name another with --future (future=), or leave it"),
        (
            GOOD,
            ["--target", "sold", "--id", "time"],
            "id - 'time' makes 330 series of 1 row each - name the column that",
        ),
        (
            STACKED,
            ["--id", "shop"],
            "the longest series - 33 rows; horizon 24 with context 4 needs at least 4 + 3 * 24",
        ),
        (GOOD.replace(",3\n", ",$10.04\n", 1), [], "'$10.04' is not a number - take '$' out of all its numbers, as in"),
        (GOOD.replace(",3\n", ",10.04%\n", 1), [], "take '%' out of all its numbers, as in 10.04, or name another"),
        (
            GOOD.replace(",", ";").replace(";3\n", ";€ 10,04\n", 1),
            [],
            "take '€' out of all its numbers, as in 10,04, or",
        ),
        (
            '{"sold": [1, 2, 3]}',
            [],
            "sales.csv - it looks like JSON, expected CSV or Parquet - give a table: a line of",
        ),
        ("Dear Sir, it was sold.", [], "sales.csv - it looks like text that is no table ('Dear Sir, it was sold.')"),
        (GOOD, ["--lr", "-1"], "lr is -1"),
        (GOOD, ["--device", "cuda:7"], "device 'cuda:7'"),
        (GOOD, ["--cell", "lstmm"], "Did you mean"),
        (GOOD, ["--windows", "0"], "greater than or equal to 1"),
        (GOOD.replace(",3\n", ",n/a\n", 1), [], "n/a"),
        (GOOD.replace(",3\n", ",\n", 1), [], "missing"),
        (GOOD.replace(",3\n", ",inf\n", 1), [], "inf"),
        (GOOD.replace("2024-03-05", "2024-33-05"), [], "2024-33-05"),
        (GOOD.replace("2024-03-05", "2024-03-04"), [], "2024-03-04"),
        (GOOD.replace("2024-03-05,2\n", ""), [], "1 missing day, the first after 2024-03-04 - --missing interpolate"),
        (GOOD.replace("2024-11-25", "2024-11-24 07:00"), [], "2024-11-24 and 2024-11-24 07:00 are in one step"),
        (GOOD.replace(",3", ",3,5"), [], "Expected 2 fields in line 3, saw 3 - give every line as many fields"),
        (GOOD.replace(",", ";").replace(";3", ";1.234,5"), [], "row 2 - '1.234,5' is not a number"),
        (GOOD.splitlines()[0] + "\n2024-01-01,1\n", [], "1 rows; horizon 24"),
        ("\n".join(GOOD.splitlines()[1:]), [], "its first line is numbers (2024-01-01, 0), expected names of columns"),
        (GOOD, ["--horizon", "24.5"], "Invalid value for '--horizon'"),
        (GOOD, ["--horizon", "10001"], "horizon - must be a whole number from 1 to 10000, got 10001"),
        (GOOD, ["--out", "sales.csv/run"], "sales.csv - can not be written: Not a directory"),
        pytest.param(
            GOOD,
            ["--out", "/sys/run"],
            "/sys - can not be written: ",
            marks=pytest.mark.skipif(not Path("/sys").exists(), reason="only there not even root can write"),
        ),
        (GOOD, ["--out", "sales.csv", "--force"], "sales.csv - is not a run, it has no config.json"),
        ("time,sold\n" + "".join(f"{day},3\n" for day in DAYS), [], "nothing to learn"),
        ("\n".join(GOOD.splitlines()[:20]), [], "rows"),
        ("time,sold,price\n" + "".join(f"{day},{k % 7},{k % 5}\n" for k, day in enumerate(DAYS)), [], "--target"),
    ],
)
def test_a_forecast_that_can_not_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, options: list[str], expected: str
) -> None:
    if content is not None:
        (tmp_path / "sales.csv").write_text(content)
    code, output = said(tmp_path, monkeypatch, "forecast", "sales.csv", *options)
    assert code == 2, output
    assert expected in output
    assert output.startswith(("carrousel: ", "Usage: "))
    assert [path.name for path in tmp_path.iterdir() if path.name != "sales.csv"] == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["generate", "text.txt"], "need"),
        (["generate", "none.txt"], "none.txt"),
        (["generate", "text.txt", "--level", "word"], "level"),
        (
            ["generate", "bytes.txt"],
            "byte 0xff at offset 0 is not UTF-8 - use --level byte (level='byte'), or save the",
        ),
        (
            ["forecast", "text.txt"],
            "text.txt - it has 0 data rows, only names (too, short) - give a file with a line of",
        ),
        (["generate", "text.txt", "--temperature", "-1"], "temperature"),
        (["classify", "none.csv"], "none.csv"),
        (["predict", "nowhere"], "nowhere - is not there"),
        (["predict", "text.txt"], "is a file, expected the folder of a run"),
        (["evaluate", "nowhere", "text.txt"], "nowhere - is not there"),
        (["info", "nowhere"], "nowhere - is not there"),
        (["tune", "forecast", "none.csv"], "none.csv"),
        (["export", "nowhere", "--to", "onnx"], "nowhere"),
    ],
)
def test_what_can_not_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: str) -> None:
    (tmp_path / "text.txt").write_text("too short")
    (tmp_path / "bytes.txt").write_bytes(b"\xff" * 2000)
    code, output = said(tmp_path, monkeypatch, *arguments)
    assert code == 2, output
    assert expected in output
    assert "Traceback" not in output


def test_an_own_cell_whose_file_ends_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sales.csv").write_text(GOOD)
    (tmp_path / "cells.py").write_text("import sys\n\nsys.exit()\n")
    code, output = said(tmp_path, monkeypatch, "forecast", "sales.csv", "--cell", "cells.py:mine", "--out", "run")
    assert code == 2
    assert output == "carrousel: cell - cells.py does not run: it raises SystemExit() when it is read - mend the file\n"


def test_a_recording_that_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("soundfile")
    (tmp_path / "words" / "up").mkdir(parents=True)
    (tmp_path / "words" / "up" / "zero.wav").write_bytes(b"")
    code, output = said(tmp_path, monkeypatch, "classify", "words", "--out", "run")
    assert code == 2
    assert output.startswith("carrousel: words/up/zero.wav - can not be read (Format not recognised) - write it again")


def test_a_run_from_forecast_to_prediction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sales.csv").write_text(GOOD)
    options = ["--horizon", "3", "--epochs", "1", "--hidden", "4", "--out", "run", "-q"]
    code, output = said(tmp_path, monkeypatch, "forecast", "sales.csv", *options)
    assert code == 0, output
    assert (tmp_path / "run" / "report.html").exists()
    code, output = said(tmp_path, monkeypatch, "predict", "run", "--out", "next.csv")
    assert code == 0, output
    assert (tmp_path / "next.csv").read_text().splitlines()[0] == "time,yhat,yhat_lo_90,yhat_hi_90"
    code, output = said(tmp_path, monkeypatch, "info", "run")
    assert code == 0, output
    assert "forecast" in output
    code, output = said(tmp_path, monkeypatch, "forecast", "sales.csv", *options)
    assert code == 2
    assert "is there already" in output


def test_tune_keeps_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sales.csv").write_text(GOOD)
    space = {"hidden_size": lambda trial, name: trial.suggest_int(name, 2, 4)}
    monkeypatch.setattr("carrousel.models.tuning.space_of", lambda estimator: space)
    arguments = ["tune", "forecast", "sales.csv", "--trials", "2", "--horizon", "2", "--max-seconds", "1"]
    code, output = said(tmp_path, monkeypatch, *arguments, "--out", "best")
    assert code == 0, output
    assert (tmp_path / "best" / "weights.safetensors").exists()
    trials = output[output.index("trial ") :].split("\n\n")[0].splitlines()[1:]
    assert len([line for line in trials if line.strip()[:1].isdigit()]) == 2
