"""Trials on disk: what a kill leaves behind, what counts again, what does not."""

import json
from pathlib import Path

import pytest

from carrousel.errors import OutputError
from carrousel.experiments.record import FILE, Record
from carrousel.experiments.summary import summary, wilson
from carrousel.experiments.trials import Trial


def trial(seed: int, solved: bool = True, presentations: int = 800, limit: int = 1000, row: str = "4 / a") -> Trial:
    milestones = {"ST1": presentations - 100, "ST2": presentations} if solved else {"ST1": 500}
    return Trial(row, seed, milestones, solved, presentations, limit, {"wrong": 0.25} if solved else {}, 2.0)


def test_round_trip(tmp_path: Path) -> None:
    record = Record(tmp_path / "new" / "folder")
    written = [trial(2), trial(0, solved=False, presentations=1000), trial(1, row="other")]
    for one in written:
        record.add(one)
    again = Record(tmp_path / "new" / "folder", resume=True)
    assert again.of("4 / a") == [written[1], written[0]]
    assert again.of("other") == [written[2]]
    assert again.of("none") == []


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_was_cut_goes(tmp_path: Path, cut: int) -> None:
    record = Record(tmp_path)
    record.add(trial(0))
    record.add(trial(1))
    content = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content[:-cut])
    again = Record(tmp_path, resume=True)
    assert [t.seed for t in again.of("4 / a")] == [0]
    again.add(trial(1))
    assert (tmp_path / FILE).read_bytes() == content


def test_what_counts_again() -> None:
    import tempfile

    record = Record(Path(tempfile.mkdtemp()))
    record.add(trial(0, presentations=800, limit=1000))
    record.add(trial(1, solved=False, presentations=1000, limit=1000))
    assert record.find("4 / a", 0, 1000) is not None
    assert record.find("4 / a", 0, 5000) is not None  # solved within less
    assert record.find("4 / a", 0, 700) is None  # it would have failed
    assert record.find("4 / a", 1, 1000) is not None
    assert record.find("4 / a", 1, 5000) is None  # it might succeed
    assert record.find("4 / a", 1, 700) is None
    assert record.find("4 / a", 2, 1000) is None
    assert record.find("5 / a", 0, 1000) is None


def test_trials_are_not_overwritten(tmp_path: Path) -> None:
    Record(tmp_path).add(trial(0))
    with pytest.raises(OutputError) as caught:
        Record(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / FILE} - has 1 trials already - go on with --resume, or name another folder with --out"
    )


def test_a_folder_that_can_not_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError) as caught:
        Record(tmp_path / "file")
    assert str(caught.value) == f"{tmp_path / 'file'} - can not be used: File exists - name another folder with --out"


def test_lines_are_json(tmp_path: Path) -> None:
    Record(tmp_path).add(trial(3))
    (line,) = (tmp_path / FILE).read_text().splitlines()
    assert json.loads(line)["milestones"] == {"ST1": 700, "ST2": 800}


# ---------------------------------------------------------------------- what they say together


def test_summary() -> None:
    trials = [trial(0, presentations=800), trial(1, presentations=1000), trial(2, solved=False, presentations=2000)]
    found = summary(trials)
    assert (found.trials, found.solved, found.seconds) == (3, 2, 6.0)
    assert found.mean == {"ST1": (700 + 900 + 500) / 3, "ST2": 900}
    assert found.median == {"ST1": 700, "ST2": 1000}
    assert (found.least["ST2"], found.most["ST2"]) == (800, 1000)
    assert found.test == {"wrong": 0.25}
    assert found.interval == wilson(2, 3)


def test_median_of_a_row_that_fails() -> None:
    found = summary([trial(0), trial(1, solved=False), trial(2, solved=False)])
    assert found.median["ST2"] == float("inf")
    assert summary([]).interval == (0.0, 1.0)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (29, 30, 0.8333, 0.9941), (148, 150, 0.9527, 0.9963)],
)
def test_wilson(successes: int, trials: int, low: float, high: float) -> None:
    """Worked with the formula by hand, and 29 of 30 as statistics packages give it."""
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-4)
