"""The demo from end to end, at a tiny size."""

import io
import re
from pathlib import Path

import pytest
import torch
from rich.console import Console

import carrousel
from carrousel import cells, demo
from carrousel.demo import long_lag
from carrousel.errors import MissingExtraError, OutputError

TINY = demo.Settings(
    forecast=0.2,
    handwriting=0.2,
    text=0.5,
    letters=20,
    adding=long_lag.Settings(minimal_length=20, hidden_size=2, updates=4, batch_size=8, tests=4, test_size=16),
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, demo.Outcome]:
    page, out = io.StringIO(), tmp_path_factory.mktemp("demo") / "new" / "folder"
    outcome = demo.run(out, Console(file=page), TINY)
    return page.getvalue(), outcome


def numbers(text: str, label: str) -> list[float]:
    line = next(line for line in text.splitlines() if line.startswith(label))
    return [float(number) for number in re.findall(r"-?\d+\.\d+", line.removeprefix(label))]


def test_equations_and_adjoint_are_printed_whole(ran: tuple[str, demo.Outcome]) -> None:
    lines = ran[0].splitlines()
    cell = cells.get("lstm")
    for line in (*str(cell).splitlines(), *str(cell.adjoint).splitlines()):
        assert line in lines


def test_tables_and_verdicts_are_printed(ran: tuple[str, demo.Outcome]) -> None:
    text, outcome = ran
    assert numbers(text, "LSTM ")[3] == float(f"{100 * outcome.skill:.1f}")
    assert numbers(text, "seasonal naive")[3] == 0.0
    nets = [line for line in text.splitlines() if line.startswith("this net")]
    assert f"{100 * outcome.accuracy:.1f} %" in nets[0]
    assert f"{outcome.bits:.3f}" in nets[1]
    assert outcome.adding.verdict in text


def test_table_of_errors_is_that_of_the_returned_errors(ran: tuple[str, demo.Outcome]) -> None:
    text, report = ran[0], ran[1].adding
    for row, sequences in enumerate(report.sequences):
        expected = [error[row] for error in report.error.values()] + [report.mean_error]
        assert [float(f"{value:.5f}") for value in expected] == numbers(text, f"{sequences:>9} ")


def test_reports_lie_where_the_text_says(ran: tuple[str, demo.Outcome]) -> None:
    lines = ran[0].splitlines()
    *pages, picture = ran[1].pages
    for page in (*pages, picture):
        assert str(page) in lines
    for page in pages:
        assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_runs_can_be_loaded(ran: tuple[str, demo.Outcome]) -> None:
    kinds = [carrousel.load(page.parent).kind for page in ran[1].pages[:3]]
    assert kinds == ["forecast", "classify", "generate"]


def test_threads_of_the_caller_come_back() -> None:
    torch.set_num_threads(2)
    with demo._one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


@pytest.mark.parametrize("below", ["", "deeper"])
def test_folder_that_can_not_be_written_is_refused_before_anything_is_printed(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    page = io.StringIO()
    with pytest.raises(OutputError, match=r"demo - can not write to the folder .*file.*: .* - name one .* --out"):
        demo.run(tmp_path / "file" / below, Console(file=page), TINY)
    assert page.getvalue() == ""


def test_a_missing_library_is_said_before_anything_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == "sklearn" else object())
    page = io.StringIO()
    with pytest.raises(MissingExtraError, match=r'demo - sklearn is not installed - pip install "carrousel\[fit\]"'):
        demo.run(tmp_path, Console(file=page), TINY)
    assert page.getvalue() == ""
