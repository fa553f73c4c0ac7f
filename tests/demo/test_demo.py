"""The demo from end to end, at a tiny size."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from carrousel import cells, demo
from carrousel.demo import forecast, long_lag
from carrousel.errors import OutputError

TINY = demo.Settings(
    forecast.Settings(context=24, hidden_size=2, epochs=1, batch_size=512, trainings=2),
    long_lag.Settings(minimal_length=20, hidden_size=2, updates=4, batch_size=8, tests=4, test_size=16),
)


def printed(out: Path) -> tuple[str, demo.Outcome]:
    page = io.StringIO()
    outcome = demo.run(out, Console(file=page), TINY)
    return page.getvalue(), outcome


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, demo.Outcome]:
    return printed(tmp_path_factory.mktemp("demo") / "new" / "folder")


def numbers(text: str, label: str) -> list[float]:
    line = next(line for line in text.splitlines() if line.startswith(label))
    return [float(number) for number in re.findall(r"-?\d+\.\d+", line.removeprefix(label))]


def test_equations_and_adjoint_are_printed_whole(ran: tuple[str, demo.Outcome]) -> None:
    lines = ran[0].splitlines()
    cell = cells.get("lstm")
    for line in (*str(cell).splitlines(), *str(cell.adjoint).splitlines()):
        assert line in lines


@pytest.mark.parametrize("name", [*forecast.BASELINES, "LSTM (mean of 2 trainings)"])
def test_table_of_forecasts_is_that_of_the_returned_forecasts(ran: tuple[str, demo.Outcome], name: str) -> None:
    report = ran[1].day_ahead
    values = report.lstm if name.startswith("LSTM") else report.baselines[name][None]
    off = values - report.held_out.future
    mae, rmse = np.abs(off).mean(), np.sqrt((off**2).mean((1, 2))).mean()
    naive = np.abs(report.held_out.known[:, -24:] - report.held_out.future).mean()
    assert numbers(ran[0], name) == [float(f"{mae:.2f}"), float(f"{rmse:.2f}"), float(f"{100 * (1 - mae / naive):.1f}")]


def test_units_and_verdicts_are_printed(ran: tuple[str, demo.Outcome]) -> None:
    text, outcome = ran
    assert "MAE (°C)" in text
    assert outcome.day_ahead.verdict in text
    assert outcome.adding.verdict in text


def test_table_of_errors_is_that_of_the_returned_errors(ran: tuple[str, demo.Outcome]) -> None:
    text, report = ran[0], ran[1].adding
    for row, sequences in enumerate(report.sequences):
        expected = [error[row] for error in report.error.values()] + [report.mean_error]
        assert [float(f"{value:.5f}") for value in expected] == numbers(text, f"{sequences:>9} ")


def test_pictures_lie_where_the_text_says(ran: tuple[str, demo.Outcome]) -> None:
    lines = ran[0].splitlines()
    for picture in ran[1].pictures:
        assert str(picture) in lines
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_same_seed_prints_the_same(ran: tuple[str, demo.Outcome], tmp_path: Path) -> None:
    again, _ = printed(tmp_path)
    for one, other in zip(*(text[: text.index("Pictures")].splitlines() for text in (ran[0], again)), strict=True):
        assert one == other


def test_threads_of_the_caller_come_back(tmp_path: Path) -> None:
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
