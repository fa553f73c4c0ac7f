"""`carrousel generate`: what is printed, what is kept."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from carrousel.cli import app

QUICK = ["--hidden", "4", "--embed", "4", "--epochs", "1", "--length", "30", "--out", "run"]


def said(*options: str) -> str:
    Path("text.txt").write_text("The quick brown fox jumps. " * 60)
    done = CliRunner().invoke(app, ["generate", "text.txt", *QUICK, *options])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_it_prints_and_keeps() -> None:
    printed = said("--prompt", "The ")
    sample = Path("run/sample.txt").read_text()
    assert sample.startswith("The ")
    assert len(sample) == 34
    for text in (
        f"\n\n{sample}\n",
        "1,620 characters of 1 file",
        "5-gram",
        "The run: run",
        "The report: run/report.html",
    ):
        assert text in printed


def test_what_is_written_or_json_is_all_that_is_printed() -> None:
    assert said("-q", "--no-report") == Path("run/sample.txt").read_text() + "\n"
    assert json.loads(said("--json", "--no-report", "--force"))["run"] == "run"
    assert Path("run/sample.txt").exists()
