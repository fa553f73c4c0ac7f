"""The long lag of the demo: what is trained, what is measured, what is said."""

import pytest
import torch

from carrousel.demo import long_lag
from carrousel.demo.long_lag import Adder, Report, Settings
from carrousel.nn import LSTM
from carrousel.tasks.adding import adding

TINY = Settings(minimal_length=20, hidden_size=4, updates=10, batch_size=8, tests=5, test_size=64)


@pytest.fixture(scope="module")
def report() -> Report:
    return long_lag.run(TINY, seed=0)


def test_adder_reads_the_output_of_the_last_pair() -> None:
    net, batch = Adder(LSTM(2, 4)), adding(6, 20)
    said = net(batch)
    for row, length in enumerate(batch.lengths.tolist()):
        alone, _ = net.layer(batch.x[:length, row])
        torch.testing.assert_close(net.readout(alone[-1]), said[row])


def test_padding_can_not_reach_back() -> None:
    net, batch = Adder(LSTM(2, 4)), adding(6, 20)
    said = net(batch)
    batch.x[torch.arange(len(batch.x))[:, None] >= batch.lengths] = 7.0
    assert torch.equal(net(batch), said)


def test_networks_have_one_size() -> None:
    assert {net.layer.hidden_size for net in long_lag.make(TINY).values()} == {4}


def test_errors_on_the_way(report: Report) -> None:
    assert report.sequences == [0, 16, 32, 48, 64, 80]
    assert list(report.error) == ["LSTM", "Elman net"]
    assert all(len(error) == len(report.sequences) for error in report.error.values())
    assert 0.02 < report.mean_error < 0.06  # the variance of the targets is about 1/24
    assert all(0 <= share <= 1 for share in report.correct.values())


def test_seed_decides(report: Report) -> None:
    again, other = (long_lag.run(TINY, seed) for seed in (0, 1))
    assert again.error == report.error
    assert again.correct == report.correct
    assert other.error != report.error


def test_progress_is_told_once_per_update() -> None:
    calls: list[None] = []
    long_lag.run(TINY, 0, lambda: calls.append(None))
    assert len(calls) == TINY.updates


def test_training_leaves_the_random_numbers_of_the_caller_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    long_lag.run(TINY, seed=0)
    assert torch.equal(torch.rand(1), expected)


def test_lstm_bridges_the_lag_and_the_elman_net_does_not() -> None:
    found = long_lag.run(Settings(minimal_length=100, updates=250, tests=2, test_size=256), seed=0)
    assert found.error["LSTM"][-1] < 0.1 * found.mean_error
    assert found.error["Elman net"][-1] > 0.9 * found.mean_error
    lines = found.verdict.splitlines()
    assert lines[0].startswith("The LSTM bridged the lag: an error")
    assert lines[1].startswith("The Elman net did not bridge the lag")


def test_verdict_is_computed() -> None:
    error = {"LSTM": [0.04, 0.0004], "Elman net": [0.04, 0.02]}
    made = Report(100, [0, 64], error, {"LSTM": 0.975, "Elman net": 0.25}, 0.04, adding(1, 100))
    assert made.verdict.splitlines() == [
        "The LSTM bridged the lag: an error 100 times smaller than the mean's, 97.5% of the test sequences right "
        "within 0.04.",
        "The Elman net bridged the lag in part: 50% of the mean's error, 25.0% of the test sequences right "
        "within 0.04.",
    ]
