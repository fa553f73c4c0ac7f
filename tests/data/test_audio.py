"""Folders of recordings."""

import re

import numpy as np
import pytest

from carrousel.data.audio import Audio, log_mel
from carrousel.data.labelled import read
from carrousel.errors import DataError, OptionError

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("kaldi_native_fbank")


def tone(path, hertz, seconds=0.1, rate=8000, channels=1):
    samples = 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, np.tile(samples[:, None], (1, channels)), rate)


def test_a_higher_tone_has_its_energy_in_a_higher_filter():
    time = np.arange(4000) / 8000
    low, high = (log_mel(np.sin(2 * np.pi * hertz * time).astype("float32"), 8000) for hertz in (300, 2000))
    assert low.shape == (50, 40)
    assert low.mean(0).argmax() < high.mean(0).argmax()


def test_the_same_recording_has_the_same_features_twice():
    noise = np.random.default_rng(0).normal(size=800).astype("float32") / 9
    assert (log_mel(noise, 8000) == log_mel(noise, 8000)).all()


def test_class_of_folder_and_of_name(tmp_path):
    tone(tmp_path / "up" / "7_ann_0.wav", 900, channels=2)
    tone(tmp_path / "down" / "8_bob_0.wav", 300, seconds=0.005)
    found = read(tmp_path)
    assert found.labels.tolist() == ["down", "up"]
    assert found.ids.tolist() == ["down/8_bob_0.wav", "up/7_ann_0.wav"]
    assert found.sequences.lengths.tolist() == [1, 10]  # shorter than a frame of 25 ms is one frame
    assert found.rate == 8000
    assert read(tmp_path, audio=Audio(labels="name")).labels.tolist() == ["8", "7"]
    assert read(tmp_path / "up").labels.tolist() == ["7"]
    assert read(tmp_path, audio=Audio(mels=20)).sequences.channels == 20


def test_wrong_recordings(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.wav"):
        read(tmp_path)
    tone(tmp_path / "a" / "x.wav", 300)
    tone(tmp_path / "b" / "x.wav", 300, rate=16000)
    with pytest.raises(DataError, match=r"b.x.wav - has 16,000 samples per second, expected 8,000 as in the others"):
        read(tmp_path)
    tone(tmp_path / "b" / "x.wav", 300)
    tone(tmp_path / "stray.wav", 300)
    with pytest.raises(DataError, match=r"stray.wav - lies in no folder .* --labels-from name \(labels='name'\)"):
        read(tmp_path)
    with pytest.raises(DataError, match=r"\.wav - has no class in its name"):
        read(tmp_path, audio=Audio(labels="name"))
    assert read(tmp_path, labelled=False).labels is None
    (tmp_path / "stray.wav").unlink()
    (tmp_path / "a" / "x.wav").write_text("no sound")
    message = f"{tmp_path / 'a' / 'x.wav'} - can not be read (Format not recognised) - write it again, or leave it out"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read(tmp_path)
    soundfile.write(tmp_path / "a" / "x.wav", np.zeros((0, 1)), 8000)
    with pytest.raises(DataError, match=f"^{re.escape(str(tmp_path / 'a' / 'x.wav'))} - has 0 samples - leave it out$"):
        read(tmp_path)


def test_wrong_options(tmp_path):
    with pytest.raises(
        OptionError, match="labels - got 'file', expected one of auto, folder, name - choose one with --labels-from"
    ):
        read(tmp_path, audio=Audio(labels="file"))
    with pytest.raises(OptionError, match="mels - got 0, expected a whole number from 1 to 128"):
        read(tmp_path, audio=Audio(mels=0))
