"""Trials on disk: what a kill leaves behind, what counts again, what does not."""

import errno
import json
import os
from pathlib import Path

import pytest

from carrousel.errors import ModelError, OutputError
from carrousel.experiments.record import FILE, Record, held
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


def test_what_counts_again(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.add(trial(0, presentations=800, limit=1000))
    record.add(trial(1, solved=False, presentations=1000, limit=1000))
    assert record.find("4 / a", 0, 1000) == trial(0, presentations=800, limit=1000)
    assert record.find("4 / a", 0, 5000) == trial(0, presentations=800, limit=5000)  # solved within less
    assert record.find("4 / a", 1, 1000) == trial(1, solved=False, presentations=1000, limit=1000)
    assert record.find("4 / a", 1, 5000) is None  # it might succeed
    assert record.find("4 / a", 2, 1000) is None
    assert record.find("5 / a", 0, 1000) is None


def test_what_a_longer_trial_tells(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.add(Trial("4 / a", 0, {"ST1": 900}, False, 1000, 1000, {"wrong at ST1": 0.7}, 2.0))
    assert record.find("4 / a", 0, 950) == Trial("4 / a", 0, {"ST1": 900}, False, 950, 950, {"wrong at ST1": 0.7}, 1.9)
    assert record.find("4 / a", 0, 500) == Trial("4 / a", 0, {}, False, 500, 500, {}, 1.0)
    record.add(trial(1, presentations=800, limit=1000))
    assert record.find("4 / a", 1, 700) is None  # it failed, or was solved in the block that goes past its limit


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


# ---------------------------------------------------------------------- trials of several limits


def test_no_trial_takes_the_place_of_another(tmp_path: Path) -> None:
    record = Record(tmp_path)
    long = [trial(seed, presentations=800) for seed in range(3)]
    short = [trial(seed, solved=False, presentations=100, limit=100) for seed in range(2)]
    for one in [*long, *short]:
        record.add(one)
    for again in (record, Record(tmp_path, resume=True)):
        assert again.of("4 / a") == long  # those of the largest limit
        assert [again.find("4 / a", seed, 1000) for seed in range(3)] == long
        assert [again.find("4 / a", seed, 100) for seed in range(3)] == [*short, None]
    this = Record(tmp_path, resume=True, limits={"4 / a": 100})
    assert this.of("4 / a") == short
    assert Record(tmp_path, resume=True, limits={"4 / a": 50}).of("4 / a") == []


def test_a_trial_whose_last_block_went_past_its_limit_is_found(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.add(trial(0, presentations=1040, limit=1000))
    assert record.find("4 / a", 0, 1000) is not None
    assert record.find("4 / a", 0, 1020) is not None
    assert record.find("4 / a", 0, 5000) is not None
    assert record.find("4 / a", 0, 999) is None
    record.add(trial(1, solved=False, presentations=1040, limit=1000))
    assert record.find("4 / a", 1, 1000) is not None
    assert record.find("4 / a", 1, 1040) is None
    assert record.find("4 / a", 1, 900) is not None


def test_trials_that_do_not_count_now(tmp_path: Path) -> None:
    record = Record(tmp_path, limits={"4 / a": 1000})
    record.add(trial(0, solved=False, presentations=500, limit=500))
    record.add(trial(1, presentations=400, limit=500))  # would have ended the same
    record.add(trial(2))
    record.add(trial(3, solved=False, limit=500, row="other"))
    assert record.aside == 1
    assert Record(tmp_path, resume=True).aside == 0


def test_the_results_of_the_repository_are_read(tmp_path: Path) -> None:
    content = (Path(__file__).parents[2] / "docs" / "results" / "standard" / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content)
    record, lines = Record(tmp_path, resume=True), list(map(json.loads, content.splitlines()))
    assert sum(len(record.of(row)) for row in {line["row"] for line in lines}) == len(lines)
    assert (tmp_path / FILE).read_bytes() == content


# ---------------------------------------------------------------------- files that are no record, or can not be written

FIELDS = "row, seed, milestones, solved, presentations, limit, test, seconds"


def changed(**fields: object) -> bytes:
    return json.dumps({**vars(trial(0)), **fields}).encode()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"rubbish", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (changed()[:50], "it is not JSON"),
        (b'{"row": \xff}', "it is not UTF-8"),
        (b"[1, 2]", f"expected {FIELDS}, got [1, 2]"),
        (b'{"row": "4 / a"}', f"expected {FIELDS}, got row"),
        (b"{}", f"expected {FIELDS}, got nothing"),
        (changed(more=1), f"expected {FIELDS}, got {FIELDS}, more"),
        (changed(seed="one"), 'expected seed as int, got "one"'),
        (changed(solved=1), "expected solved as bool, got 1"),
        (changed(limit=None), "expected limit as int, got null"),
        (changed(test=[1]), "expected test as dict, got [1]"),
        (changed(milestones={"ST1": 1.5}), "expected milestones ST1 as int, got 1.5"),
        (changed(test={"wrong": "all"}), 'expected test wrong as float, got "all"'),
    ],
    ids=lambda given: given.decode("latin-1")[:20] if isinstance(given, bytes) else "",
)
def test_a_line_that_is_no_trial(tmp_path: Path, line: bytes, fault: str) -> None:
    content = changed() + b"\n" + line + b"\n" + changed(seed=1) + b"\n" + changed(seed=2)[:40]
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        Record(tmp_path, resume=True)
    assert str(caught.value) == (
        f"{tmp_path / FILE} line 2 - is no trial: {fault} - take the line out, or name another folder with --out"
    )
    assert (tmp_path / FILE).read_bytes() == content


def test_a_cut_line_goes_only_if_it_was_a_trial(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("notes")
    with pytest.raises(ModelError, match="line 1 - is no trial: it is not JSON"):
        Record(tmp_path, resume=True)
    assert (tmp_path / FILE).read_text() == "notes"


@pytest.mark.parametrize("content", [changed()[:40], changed() + b"\n" + changed(seed=1)[:40], b"notes"])
def test_nothing_is_cut_from_a_record_that_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(OutputError, match="trials already - go on with --resume"):
        Record(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


def test_a_file_that_can_not_be_opened(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    message = f"{tmp_path} - can not be used: Is a directory - name another folder with --out"
    for use in (lambda: Record(tmp_path), lambda: held(tmp_path).__enter__()):
        with pytest.raises(OutputError) as caught:
            use()
        assert str(caught.value) == message


def test_a_file_that_can_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(OutputError, match="- can not be used: Input/output error - name another folder with --out"):
        Record(tmp_path)


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    record = Record(tmp_path)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError) as caught:
        record.add(trial(0))
    assert str(caught.value) == (
        f"{tmp_path / FILE} - can not be written: No space left on device - free space there, and go on with --resume"
    )
    assert record.of("4 / a") == []


# ---------------------------------------------------------------------- two runs at once


def test_a_folder_is_held_by_one(tmp_path: Path) -> None:
    with held(tmp_path / "new"):
        with pytest.raises(OutputError) as caught, held(tmp_path / "new"):
            pytest.fail("held twice")
        with held(tmp_path / "other"):
            pass
    assert str(caught.value) == (
        f"{tmp_path / 'new'} - another run writes its trials there - wait for its end, or name another folder with "
        "--out"
    )
    with held(tmp_path / "new"):
        pass


def test_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", fail)
    with held(tmp_path), held(tmp_path):
        pass
    monkeypatch.setattr("carrousel.experiments.record.fcntl", None)
    with held(tmp_path), held(tmp_path):
        pass


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
