"""Training: what the weights depend on, what is kept, when it stops; killed and gone on with; on two processes."""

import math
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from carrousel.errors import ModelError, OptionError, OptionTypeError, OutputError, TrainingError
from carrousel.learn import Epoch, History, InOrder, Shuffled, Training, fit
from learn.trained import losses, net_of, train, weights_of

#: A file that trains: python trained.py FOLDER DEVICES RESUME, and prints the weights.
PROGRAM = Path(__file__).with_name("trained.py")


def run(*arguments: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(PROGRAM), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)


def weights_from(process: subprocess.Popen) -> torch.Tensor:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return torch.tensor([float(number) for number in out.split()], dtype=torch.float64)


def test_learns_and_keeps_the_best_weights() -> None:
    net, history = train(epochs=8)
    assert history.epochs[-1].validation < 0.7 * history.epochs[0].validation
    rows = InOrder(_validation(), 1000)(0, 0, 1)
    with torch.no_grad():
        values, _ = next(iter(rows))
        assert float(losses(net, values).mean()) == pytest.approx(history.best.validation, rel=1e-5)


def _validation() -> object:
    from learn.trained import Plane

    return Plane(101, seed=2)


def test_the_same_settings_give_the_same_weights_and_leave_random_numbers_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, _ = train(epochs=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    again, _ = train(epochs=2)
    other, _ = train(epochs=2, seed=1)
    assert torch.equal(weights_of(first), weights_of(again))
    assert not torch.equal(weights_of(first), weights_of(other))


def test_patience_stops_it() -> None:
    _, history = train(epochs=50, lr=1e-12, patience=2)
    assert history.stopped == "patience"
    assert history.epochs[-1].epoch - history.best.epoch == 2
    assert "no better for a while" in str(history)


def test_time_stops_it_in_the_middle_of_an_epoch() -> None:
    _, history = train(epochs=10_000, max_seconds=0.3, patience=None)
    assert history.stopped == "time"
    assert len(history.epochs) < 1000
    assert history.epochs[-1].lr < 1e-3  # it fell with the time


def test_the_rate_rises_and_falls() -> None:
    _, history = train(epochs=20, patience=None)
    rates = [epoch.lr for epoch in history.epochs]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.02 * rates[0]


def test_a_gradient_that_is_not_finite_keeps_the_best_weights() -> None:
    calls = []

    def failing(net: torch.nn.Module, batch: tuple) -> torch.Tensor:
        calls.append(1)
        return losses(net, batch) * (math.nan if len(calls) > 300 else 1.0)

    with pytest.warns(UserWarning, match=r"the gradient was not finite at step \d+ \(lr 0.01\).*try lr 0.0025"):
        net, history = train(epochs=20, losses=failing)
    assert history.stopped == "not finite"
    assert weights_of(net).isfinite().all()


def test_a_gradient_that_is_never_finite() -> None:
    with pytest.raises(TrainingError, match=r"fit - the gradient is not finite at step 0 \(lr 0.01\) - try lr 0.0025"):
        train(epochs=2, losses=lambda net, batch: losses(net, batch) * math.inf)


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"no checkpoint in .* to go on from: training begins anew"):
        net, _ = train(folder=tmp_path / "anew", resume=True)
    assert torch.equal(weights_of(net), weights_of(train()[0]))
    with pytest.raises(OptionError, match=r"fit - resume without a folder - name the folder"):
        train(resume=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"devices": 9999}, r"Training - devices is 9999, this machine has \d+ cores - take fewer"),
        ({"num_nodes": 2}, r"Training - 2 nodes, but nothing says how they find each other - start it .*torchrun"),
    ],
)
def test_processes_that_would_wait_for_ever(
    options: dict[str, int], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(OptionError, match=said):
        Training(**options)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half of it", pickle.dumps({"state_dict": Path("here")}, 2)])
def test_a_damaged_checkpoint(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(OptionError, match=r"last.ckpt can not be read \(\w+\): it is damaged.*leave out resume"):
        train(folder=tmp_path, resume=True)


@pytest.mark.parametrize("kept", [{}, {"net.0.weight": torch.zeros(7)}])
def test_a_checkpoint_of_another_net(kept: dict, tmp_path: Path) -> None:
    torch.save({"state_dict": kept}, tmp_path / "last.ckpt")
    with pytest.raises(
        OptionError, match=r"last.ckpt is of another net: .* is .* there and .* here - give the options"
    ):
        train(folder=tmp_path, resume=True)


def test_a_killed_run_is_gone_on_with_to_the_same_weights(tmp_path: Path) -> None:
    whole = weights_from(run(str(tmp_path / "whole"), "1", "new"))
    killed = run(str(tmp_path / "killed"), "1", "new")
    checkpoint = tmp_path / "killed" / "last.ckpt"
    while not checkpoint.exists():
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    epochs = len(torch.load(checkpoint, weights_only=True)["callbacks"]["Keeper"]["epochs"])
    assert epochs < 12  # it was killed on its way
    assert torch.equal(weights_from(run(str(tmp_path / "killed"), "1", "resume")), whole)


def test_interrupted_once_it_stops_and_keeps_the_best_weights(tmp_path: Path) -> None:
    process = run(str(tmp_path), "1", "slow")
    while not (tmp_path / "last.ckpt").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert weights_from(process).isfinite().all()


def test_interrupted_twice_it_stops_at_once() -> None:
    def interrupting(net: torch.nn.Module, batch: tuple) -> torch.Tensor:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return losses(net, batch)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):  # not the SystemExit that Lightning makes of it
        train(losses=interrupting)
    assert signal.getsignal(signal.SIGINT) is before


def test_two_processes_equal_one_with_the_double_batch(tmp_path: Path) -> None:
    one, two = weights_from(run(str(tmp_path / "1"), "1", "new")), weights_from(run(str(tmp_path / "2"), "2", "new"))
    assert torch.allclose(one, two, rtol=0, atol=1e-5)


def test_every_row_counts_once_whatever_the_processes() -> None:
    class Rows:
        def __len__(self) -> int:
            return 11

        def batch(self, rows: torch.Tensor) -> list[int]:
            return rows.tolist()

    for world in (1, 2, 3):
        source = Shuffled(Rows(), 5, seed=3)
        parts = [list(source(7, rank, world)) for rank in range(world)]
        rows = sorted(row for part in parts for batch, share in part if share for row in batch)
        assert rows == list(range(11))
        for step in zip(*parts, strict=True):  # the mean over processes of the weighted sums is the batch's mean
            assert sum(len(batch) * share for batch, share in step) / world == pytest.approx(1)


def test_history_as_a_table() -> None:
    history = History([Epoch(1, 0.5, 0.4, 0.01, 1.0), Epoch(2, 0.4, 0.5, 0.005, 2.25)], "interrupted")
    assert str(history) == "2 epochs in 2 s (interrupted), the weights of epoch 1, the best, restored"
    assert History.from_csv(history.to_csv()).epochs == history.epochs


def test_tensorboard_only_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train(epochs=1)
    assert list(tmp_path.iterdir()) == []
    train(epochs=1, tensorboard=tmp_path / "events")
    assert next((tmp_path / "events").iterdir()).name.startswith("events.out")


@pytest.mark.parametrize("name", ["/proc/x", "file/events"])
def test_events_that_can_not_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    said = f"{tmp_path / name} - can not be written: No.* - name another for TensorBoard"  # no file, or folder
    with pytest.raises(OutputError, match=f"^{said}$"):
        train(epochs=1, tensorboard=tmp_path / name)


@pytest.mark.parametrize(
    ("name", "value", "error", "said"),
    [
        ("lr", "x", OptionTypeError, "lr is 'x', expected a number - give one"),
        ("lr", None, OptionTypeError, "lr is None, expected a number - give one"),
        ("clip", True, OptionTypeError, "clip is True, expected a number - give one"),
        ("max_seconds", "5", OptionTypeError, "max_seconds is '5', expected a number - give one"),
        ("weight_decay", [0], OptionTypeError, "weight_decay is [0], expected a number - give one"),
        ("seed", 1.5, OptionTypeError, "seed is 1.5, expected a whole number - give one, such as 0"),
        ("epochs", 2.0, OptionTypeError, "epochs is 2.0, expected a whole number - give one from 1"),
        ("max_seconds", 0, OptionError, "max_seconds is 0, expected a number above 0 - give a larger number"),
        ("lr", math.nan, OptionError, "lr is nan, expected a number above 0 - give a larger number"),
        ("weight_decay", -1, OptionError, "weight_decay is -1, expected 0 or more - use 0 for none"),
    ],
)
def test_settings_that_can_not_be(name: str, value: object, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(f'Training - {said}')}$"):
        Training(**{name: value})


@pytest.mark.parametrize("text", ["epoch,train\n1,x\n", "a,b\n1,2\n", "epoch,train\n1,2,3\n"])
def test_a_history_that_is_none(text: str) -> None:
    with pytest.raises(ModelError, match=r"history.csv - line 2 is no epoch - train again, or take a copy"):
        History.from_csv(text)


@pytest.mark.parametrize("verbose", [0, 1])
def test_a_line_an_epoch_where_there_is_no_terminal(capfd: pytest.CaptureFixture, verbose: int) -> None:
    train(epochs=2, verbose=verbose)
    out, err = capfd.readouterr()
    assert out == ""
    lines = [line.split() for line in err.splitlines() if line.strip()]
    assert [line[0] for line in lines] == (["epoch", "1", "2"] if verbose else [])


def test_the_network_ends_on_the_cpu_and_does_not_drop(tmp_path: Path) -> None:
    net, _ = train(epochs=1)
    assert not net.training
    assert isinstance(fit(net_of(), losses, *_sources(), Training(epochs=1, verbose=0)), History)


def _sources() -> tuple[Shuffled, InOrder]:
    return Shuffled(_validation(), 10, 0), InOrder(_validation(), 10)
