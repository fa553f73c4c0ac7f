"""Runs written as ONNX and C from the command line."""

from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from carrousel.cli.export import export
from carrousel.errors import CarrouselError
from carrousel.models import Classifier, Forecaster, Generator

X = [np.random.default_rng(k).normal(size=(4 + k % 3, 2)) for k in range(40)]
Y = [k % 2 for k in range(40)]


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(export)
    return CliRunner().invoke(app, [str(each) for each in arguments])


def message(result: Result) -> str:
    assert isinstance(result.exception, CarrouselError)
    return str(result.exception)


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fitted = Generator(hidden_size=8, epochs=1, verbose=0).fit("The quick brown fox jumps.\n" * 60)
    return fitted.save(tmp_path_factory.mktemp("runs") / "text")


def test_generator(generator: Path, tmp_path: Path) -> None:
    result = run(generator, "--out", tmp_path / "text.onnx")
    assert result.exit_code == 0, result.output
    assert "inputs: symbols (time, batch), h0 (1, batch, 8), c0 (1, batch, 8)" in result.output
    net = Generator.load(generator).net_
    session = onnxruntime.InferenceSession(tmp_path / "text.onnx")
    symbols, states = torch.randint(0, 20, (6, 3)), (torch.zeros(1, 3, 8), torch.zeros(1, 3, 8))
    for _ in range(2):  # a text goes on from the states
        expected, after = net(symbols, states)
        feeds = {"symbols": symbols.numpy(), "h0": states[0].detach().numpy(), "c0": states[1].detach().numpy()}
        scores, h, c = session.run(None, feeds)
        np.testing.assert_allclose(scores, expected.detach().numpy(), rtol=1e-5, atol=1e-5)
        states = torch.from_numpy(h), torch.from_numpy(c)
        np.testing.assert_allclose(c, after[1].detach().numpy(), rtol=1e-5, atol=1e-5)
    assert "is there already" in message(run(generator, "--out", tmp_path / "text.onnx"))


def test_generator_in_c(generator: Path, tmp_path: Path) -> None:
    result = run(generator, "--to", "c", "--out", tmp_path / "text")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.c", "text.h"]
    assert (
        "int8 weights move an output by up to"
        in run(generator, "--to", "c", "--int8", "--out", tmp_path / "small").output
    )


def test_classifier(tmp_path: Path) -> None:
    fitted = Classifier(hidden_size=8, epochs=1, verbose=0, pool="attention").fit(X, Y)
    place = fitted.save(tmp_path / "run")
    result = run(place)
    assert result.exit_code == 0, result.output
    x, lengths = torch.randn(6, 3, 2), torch.tensor([6, 1, 4])
    (scores,) = onnxruntime.InferenceSession(tmp_path / "run.onnx").run(
        None, {"x": x.numpy(), "lengths": lengths.numpy()}
    )
    np.testing.assert_allclose(scores, fitted.net_(x, lengths).detach().numpy(), rtol=1e-5, atol=1e-5)
    assert "this run has pool=attention and bidirectional=True, which need all steps" in message(
        run(place, "--to", "c")
    )


def test_classifier_in_c(tmp_path: Path) -> None:
    fitted = Classifier(hidden_size=8, epochs=1, verbose=0, pool="last", bidirectional=False).fit(X, Y)
    result = run(fitted.save(tmp_path / "run"), "--to", "c")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run.c").exists()


def test_forecaster(tmp_path: Path) -> None:
    fitted = Forecaster(horizon=3, context=24, hidden_size=8, epochs=1, verbose=0).fit(np.sin(np.arange(400) / 4))
    place = fitted.save(tmp_path / "run")
    result = run(place)
    assert result.exit_code == 0, result.output
    assert "inputs: known (row, 24)\n" in result.output
    session = onnxruntime.InferenceSession(tmp_path / "run.onnx")
    (said,) = session.run(None, {"known": np.zeros((5, 24), np.float32)})
    assert said.shape[:2] == (5, 3)
    assert "a forecast reads a whole window - use --to onnx" in message(run(place, "--to", "c"))


def test_forecaster_of_tables(tmp_path: Path) -> None:
    rows = 300
    table = {
        "time": [str(np.datetime64("2024-01-01T00") + k) for k in range(rows)],
        "y": np.sin(np.arange(rows) / 4),
        "wind": np.cos(np.arange(rows) / 5),
        "open": (np.arange(rows) % 7 < 5).astype(float),
    }
    options = {"horizon": 3, "context": 24, "hidden_size": 8, "epochs": 1, "verbose": 0, "missing": "mask"}
    fitted = Forecaster(past=["wind"], future=["open"], **options).fit(pd.DataFrame(table), target="y")
    result = run(fitted.save(tmp_path / "run"))
    assert result.exit_code == 0, result.output
    assert "known (row, 24), measured (row, 24), past (row, 24, 1), future (row, 27, 1), calendar" in result.output
