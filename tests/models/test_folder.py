"""A run on disk: what it holds, written whole or not at all, read without executing, and every message."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from carrousel.errors import ModelError, OutputError
from carrousel.models import folder as runs
from carrousel.models.folder import Run, check_free, read, write
from carrousel.processes import is_first_process


def run_of(value: float = 1.0) -> Run:
    config = {"format": runs.FORMAT, "kind": "forecast", "carrousel": "0.1.0", "params": {}}
    return Run(
        config, {"w": torch.full((3, 2), value).t()}, {"mean": [1.5]}, {"mae": value}, {"history.csv": "epoch\n"}
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "run", run_of())
    return tmp_path / "run"


def refused(folder: Path, text: str) -> None:
    with pytest.raises(ModelError, match=re.escape(text)) as caught:
        read(folder)
    assert str(caught.value).count(str(folder)) == 1  # no message in a message


def test_what_is_written_is_read(folder: Path) -> None:
    run, found = run_of(), read(folder)
    assert set(found.config.pop("sha256")) == {"weights.safetensors", "preprocess.json"}
    assert (found.config, found.preprocess, found.metrics, found.files) == (
        run.config,
        run.preprocess,
        run.metrics,
        run.files,
    )
    assert torch.equal(found.weights["w"], run.weights["w"])


def test_nothing_else_is_left_beside_it(folder: Path) -> None:
    assert [path.name for path in folder.parent.iterdir()] == ["run"]
    write(folder, run_of(2.0), overwrite=True)
    assert [path.name for path in folder.parent.iterdir()] == ["run"]
    assert read(folder).metrics["mae"] == 2.0


def test_it_is_not_overwritten_unasked(folder: Path) -> None:
    with pytest.raises(OutputError, match=r"run - is there already - name another folder, or overwrite it"):
        write(folder, run_of(2.0))
    assert read(folder).metrics["mae"] == 1.0


def test_what_is_no_run_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("words")
    with pytest.raises(OutputError, match=r"thesis - is not a run, it has no config.json; it is not overwritten"):
        write(tmp_path / "thesis", run_of(), overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "words"


def test_a_write_that_fails_leaves_the_old_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        if path.name == "metrics.json":
            raise OSError(28, "No space left on device")
        path.write_bytes(content)

    monkeypatch.setattr(runs, "_write_file", full)
    with pytest.raises(OutputError, match=r"run - can not be written: No space left on device - make room"):
        write(folder, run_of(2.0), overwrite=True)
    assert read(folder).metrics["mae"] == 1.0
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_a_folder_below_a_file_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"can not be written: .* - name another folder"):
        check_free(tmp_path / "file" / "run", overwrite=False)


@pytest.mark.skipif(not Path("/sys").exists(), reason="only Linux has a folder in which not even root can write")
def test_a_folder_that_may_not_be_written() -> None:
    with pytest.raises(OutputError, match=r"^/sys - can not be written: .* - name another folder$"):
        check_free(Path("/sys/run"), overwrite=False)


def test_only_the_first_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not is_first_process()
    write(tmp_path / "run", run_of())
    assert not (tmp_path / "run").exists()


def test_no_folder(tmp_path: Path) -> None:
    refused(tmp_path / "none", "none - is not there - name a run's folder")


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    refused(tmp_path, "has no config.json - name a run's folder")


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "model.pt")
    refused(tmp_path / "model.pt", "is a file, expected the folder of a run - pickled models are not read")


def test_a_config_of_something_else(folder: Path) -> None:
    (folder / "config.json").write_text('{"layers": 3}')
    refused(folder, "config.json - was not written by carrousel - name a run's folder")


def test_a_newer_format(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({**run_of().config, "format": runs.FORMAT + 1}))
    refused(folder, f"is of format {runs.FORMAT + 1}, this version reads up to {runs.FORMAT} - upgrade carrousel")


def test_weights_that_are_cut_short(folder: Path) -> None:
    save_file({"w": torch.zeros(1000)}, folder / "weights.safetensors")
    content = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(content[:2000])
    refused(folder, f"weights.safetensors - is cut short (expected {len(content):,} bytes, got 2,000)")


def test_weights_that_are_none(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(b"nonsense, and more of it")
    refused(folder, "weights.safetensors - is damaged")


def test_a_file_is_missing(folder: Path) -> None:
    (folder / "preprocess.json").unlink()
    refused(folder, "preprocess.json - can not be read: No such file or directory - the run is damaged")


def test_no_history(folder: Path) -> None:
    (folder / "history.csv").unlink()
    refused(folder, "history.csv - can not be read: No such file or directory - the run is damaged, train it again")


def test_a_text_that_is_none(folder: Path) -> None:
    (folder / "history.csv").write_bytes(b"\xff\xfe")
    refused(folder, "history.csv - is damaged: 'utf-8' codec can't decode byte 0xff")


@pytest.mark.parametrize(("text", "said"), [("{", "is damaged: Expecting"), ("[1]", "holds list, expected names")])
def test_a_damaged_file(folder: Path, text: str, said: str) -> None:
    (folder / "metrics.json").write_text(text)
    refused(folder, f"metrics.json - {said}")


@pytest.mark.parametrize("name", ["preprocess.json", "weights.safetensors"])
def test_a_file_of_another_run(folder: Path, name: str) -> None:
    other = write_and_read(folder.with_name("other"), name)
    (folder / name).write_bytes(other)
    refused(folder, f"{name} - is damaged: its SHA-256 is not the one in config.json - train again, or take a copy")


def write_and_read(folder: Path, name: str) -> bytes:
    write(folder, Run({**run_of().config}, {"w": torch.zeros(3, 2)}, {"mean": None}, {}, {"history.csv": "epoch\n"}))
    return (folder / name).read_bytes()


def test_a_run_of_a_version_that_kept_no_sums(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["sha256"]
    (folder / "config.json").write_text(json.dumps(config))
    assert read(folder).metrics["mae"] == 1.0


@pytest.mark.parametrize("params", [None, "lstm", 3])
def test_a_config_without_parameters(folder: Path, params: object) -> None:
    (folder / "config.json").write_text(json.dumps({**run_of().config, "params": params}))
    refused(folder, "config.json - was not written by carrousel")
