"""`carrousel classify`: what is printed, what is kept, how it ends."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import carrousel
from carrousel.cli.app import app as whole
from carrousel.cli.classify import classify
from models.easy import easy

runner = CliRunner()


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command in an empty folder that has the table steps.csv."""
    monkeypatch.chdir(tmp_path)
    X, y = easy(24)
    lines = [
        f"s{k},{t},{a},{b},{name}" for k, (x, name) in enumerate(zip(X, y, strict=True)) for t, (a, b) in enumerate(x)
    ]
    (tmp_path / "steps.csv").write_text("\n".join(["id,time,a,b,label", *lines]))
    app = typer.Typer(cls=whole.info.cls)
    app.command()(classify)
    app.callback()(lambda: None)

    def call(*arguments, code=0):
        quick = ("--hidden", "4", "--layers", "1", "--dropout", "0", "--epochs", "2")
        found = runner.invoke(app, ["classify", *arguments, *quick])
        assert found.exit_code == code, found.output
        return found

    return call


def test_what_it_prints_and_keeps(run, tmp_path):
    said = run("steps.csv", "--test", "steps.csv", "--out", "run").stdout
    for text in (
        "24 sequences of 3 to 9 steps, 2 channels; 3 of them held out",
        "3 classes, one label per sequence: high, low, middle",
        "columns: label 'label', id 'id', time 'time'",
        "On the test data",
        "always high, the commonest",
        "Confused most",
        "then anew on all of them, 2 epochs",
        "The run: run",
        "The predictions: run/predictions.csv",
        "carrousel predict run DATA",
    ):
        assert text in said
    kept = {path.name for path in (tmp_path / "run").iterdir()}
    assert kept >= {
        "config.json",
        "weights.safetensors",
        "preprocess.json",
        "metrics.json",
        "history.csv",
    }
    assert kept >= {"report.html", "predictions.csv"}
    assert (
        (tmp_path / "run" / "predictions.csv").read_text().startswith("id,label,predicted,p_high,p_low,p_middle\ns0,")
    )
    assert not (tmp_path / "run.unfinished").exists()
    assert len(carrousel.load(tmp_path / "run").predict("steps.csv")) == 24


def test_json_is_all_that_is_printed(run):
    found = json.loads(run("steps.csv", "--json", "--no-report", "--out", "run").stdout)
    assert found["run"] == "run"
    assert found["validation"]["count"] == 3
    assert len(Path("run/predictions.csv").read_text().splitlines()) == 1 + 3  # of what was held out, without test data


def test_a_run_is_not_overwritten_unasked(run):
    assert run("steps.csv", "-q", "--out", "run").stdout.strip() == "run"
    assert "run - is there already" in run("steps.csv", "--out", "run", code=2).stderr
    run("steps.csv", "-q", "--out", "run", "--force")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.csv"], "nothing.csv - no such file"),
        (["steps.csv", "--label", "lable"], "Did you mean label"),
        (["steps.csv", "--id", "who"], "no column 'who'"),
        (["steps.csv", "--pool", "max"], "pool is 'max'"),
        (["steps.csv", "--cell", "lstn"], "lstm"),
        (["steps.csv", "--class-weight", "some"], "class_weight is 'some'"),
        (["steps.csv", "--test", "other.csv"], "test label 'z' was not in training"),
        (["steps.csv", "--test", "narrow.csv"], "fitted on 2 columns (a, b); the data has 1 of them (missing: b)"),
        (["one.csv"], "only class 'a' in y"),
        (["wide.npz"], "pass --layout NCT (layout='NCT') for 6 channels and 100 steps"),
        (["steps.csv", "--device", "cuda:7"], "device 'cuda:7'"),
    ],
)
def test_wrong_input_ends_with_2_and_leaves_nothing(run, tmp_path, arguments, message):
    (tmp_path / "other.csv").write_text("id,time,a,b,label\n1,0,0.5,1,z\n")
    (tmp_path / "narrow.csv").write_text("id,time,a,label\n1,0,0.5,low\n")
    (tmp_path / "one.csv").write_text("id,a,label\n1,0.5,a\n2,0.5,a\n")
    np.savez(tmp_path / "wide.npz", X=np.zeros((4, 6, 100)), y=[0, 1, 0, 1])
    found = run(*arguments, "--out", "run", code=2)
    assert message in found.stderr
    assert "Traceback" not in found.stderr
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("run", ".run"))]
