"""What a run is asked that is of another kind, or data that is unlike its own: said by name, in one message."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import carrousel
from carrousel.cli import app

SMALL = {"hidden_size": 4, "epochs": 1, "verbose": 0}
NAMES = [f"c{k}" for k in range(1, 17)]
TEXT = "the quick brown fox jumps over the lazy dog. " * 30

Ask = Callable[..., str]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each kind, with a classifier's that was on no table, and with tables."""
    folder = tmp_path_factory.mktemp("runs")
    lines = [f"s{k // 3},{','.join(str(k % (j + 2)) for j in range(16))},{'ab'[k // 3 % 2]}" for k in range(60)]
    (folder / "wide.csv").write_text("\n".join([f"id,{','.join(NAMES)},kind", *lines]))
    (folder / "good.csv").write_text("time,sold,price\n" + "".join(f"{k},{k % 7},{k % 5}\n" for k in range(90)))
    few = [line.split(",") for line in (folder / "wide.csv").read_text().splitlines()]
    (folder / "narrow.csv").write_text("\n".join(",".join(row[:5] + row[6:]) for row in few))
    (folder / "renamed.csv").write_text((folder / "wide.csv").read_text().replace("kind", "kinds", 1))
    X, y = np.random.default_rng(0).normal(size=(20, 6, 2)), np.arange(20) % 2
    carrousel.Forecaster(3, context=8, **SMALL).fit(np.arange(90.0) % 7).save(folder / "forecast")
    classifier = carrousel.Classifier(num_layers=1, **SMALL).fit(folder / "wide.csv", label="kind")
    classifier.save(folder / "classify")
    carrousel.Classifier(num_layers=1, **SMALL).fit(X, y).save(folder / "arrays")
    carrousel.Generator(embed=4, seq_len=16, **SMALL).fit(TEXT).save(folder / "generate")
    return folder


@pytest.fixture
def ask(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run a command beside the runs, and return what it says."""
    monkeypatch.chdir(runs)

    def ask(*arguments: str, code: int = 2) -> str:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == code, done.output
        return done.output

    return ask


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["forecast", "--prompt", "x"], "`forecast` and takes DATA, --horizon, --future-data; got --prompt"),
        (["forecast", "--length", "500", "--proba"], "got --proba, --length"),  # 500 is the default
        (["classify", "wide.csv", "--horizon", "3"], "`classify` and takes DATA, --proba; got --horizon"),
        (["classify", "wide.csv", "--future-data", "good.csv"], "got --future-data"),
        (["classify", "wide.csv", "--temperature", "0"], "got --temperature"),
        (["generate", "--horizon", "3"], "--prompt, --length, --temperature, --top-k, --top-p, --seed; got --horizon"),
        (["generate", "good.csv", "--proba"], "got DATA, --proba"),
    ],
)
def test_an_option_of_another_kind_of_run(ask: Ask, arguments: list[str], expected: str) -> None:
    said = ask("predict", *arguments)
    assert said.startswith(f"carrousel: predict - {arguments[0]} is a run of `{arguments[0]}` and takes ")
    assert said.endswith(f"{expected} - leave that out\n")
    assert said.count("\n") == 1


def test_the_options_of_its_own_kind(ask: Ask) -> None:
    assert len(ask("predict", "forecast", "--horizon", "2", code=0).splitlines()) == 1 + 2
    assert ask("predict", "classify", "wide.csv", "--proba", code=0).startswith("id,p_a,p_b\n")
    assert len(ask("predict", "generate", "--prompt", "the", "--length", "5", "--seed", "1", code=0)) == 3 + 5 + 1


def test_a_prompt_that_is_not_known_is_not_printed(ask: Ask) -> None:
    said = ask("predict", "generate", "--prompt", "fox €")
    assert said.startswith("carrousel: prompt - it has '€', not among the")
    assert said.endswith("leave them out, or train with --level byte (level='byte'), which knows every text\n")


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_data_with_other_columns_than_in_fit(ask: Ask, command: str) -> None:
    names = "c1, c2, c3, c4, c5, c6, c7, ..., c16"
    fitted = f"carrousel: data - the model was fitted on 16 columns ({names}); the data has"
    assert ask(command, "classify", "good.csv") == f"{fitted} 0 of them (missing: {names}) - add them\n"
    assert ask(command, "classify", "narrow.csv") == f"{fitted} 15 of them (missing: c5) - add them\n"


def test_data_without_the_label(ask: Ask) -> None:
    said = ask("evaluate", "classify", "renamed.csv")
    assert said.startswith("carrousel: table - has no column 'kind', which was the label in training; columns are id, ")
    assert said.endswith(". Did you mean kinds? - call the label 'kind' here too\n")
    assert ask("evaluate", "arrays", "good.csv") == (
        "carrousel: label - no column is surely the label, and the model was fitted on no table that would tell its "
        "name - call it 'label'; columns are time, sold, price\n"
    )
    assert ask("predict", "classify", "renamed.csv", code=0).startswith("id,kind\n")


def test_without_a_run_the_machine_is_shown(ask: Ask) -> None:
    assert ask("info", code=0) == ask("doctor", code=0)
    assert "info - there is no JSON of the machine - name a RUN, or leave out --json" in ask("info", "--json")


def test_a_file_that_is_there_is_not_overwritten_unasked(ask: Ask, runs: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("mine")
    said = ask("predict", "forecast", "--out", str(mine))
    assert said == f"carrousel: {mine} - is there already - name another file, or overwrite it, --force\n"
    assert mine.read_text() == "mine"
    ask("predict", "forecast", "--out", str(mine), "--force", code=0)
    assert mine.read_text().startswith("yhat")
