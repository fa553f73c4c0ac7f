"""Folders of recordings: log-mel energies of short frames, and the class that a file's place or name says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carrousel.data.labelled import Labelled
from carrousel.data.ragged import Ragged
from carrousel.errors import DataError, MissingExtraError, OptionError

__all__ = ["LABELS", "Audio", "log_mel", "read_folder"]

#: Where a recording's class stands: auto takes the folders if there are any.
LABELS = ("auto", "folder", "name")

_SUFFIXES = (".wav", ".flac", ".ogg")


@dataclass(frozen=True)
class Audio:
    """How recordings become sequences.

    Attributes:
        labels: "folder", the class is the name of the folder that a file lies in; "name", it is the file's name up to
            the first underscore, as in `7_jackson_32.wav`; "auto", by folder if there are any.
        mels: triangular filters, equally wide on the mel scale.
        rate: samples per second that all files have; found in the first file if None.
    """

    labels: str = "auto"
    mels: int = 40
    rate: int | None = None


def log_mel(samples: NDArray[np.float32], rate: int, mels: int = 40) -> NDArray[np.float64]:
    """Return the logarithms of a recording's mel energies, in frames of 25 ms every 10 ms.

    Args:
        samples: (sample,), between -1 and 1.
        rate: samples per second.
        mels: filters.

    Returns:
        The energies.

    Shapes:
        - result: (frame, mels)

    Raises:
        MissingExtraError: kaldi-native-fbank is not installed.

    Example:
        >>> tone = np.sin(np.arange(8000) * 0.3).astype("float32")
        >>> log_mel(tone, 8000, mels=20).shape
        (100, 20)

    Source:
        Davis & Mermelstein (1980), IEEE Trans. ASSP 28(4), before the cosine transform; computed as Kaldi does.
    """
    try:
        import kaldi_native_fbank as kaldi
    except ImportError as error:
        raise MissingExtraError(
            'log_mel - kaldi-native-fbank is not installed, recordings need it - pip install "carrousel[audio]"'
        ) from error
    options = kaldi.FbankOptions()
    options.frame_opts.samp_freq = rate
    options.frame_opts.dither = 0.0  # no random numbers: a file always has the same features
    options.frame_opts.snip_edges = False  # frames to the very end, so that none is too short for one
    options.mel_opts.num_bins = mels
    bank = kaldi.OnlineFbank(options)
    bank.accept_waveform(rate, (samples * 32768.0).tolist())  # Kaldi counts in steps of 16 bits
    bank.input_finished()
    frames = [bank.get_frame(k) for k in range(bank.num_frames_ready)]
    return np.array(frames, np.float64).reshape(len(frames), mels)


def read_folder(folder: Path, audio: Audio, labelled: bool = True) -> Labelled:
    """Read all recordings below a folder.

    Args:
        folder: where they lie.
        audio: how they become sequences.
        labelled: whether they must have classes.

    Raises:
        DataError: there are none, one can not be read, or they have no classes.
        OptionError: an option can not be.
        MissingExtraError: a library is not installed.
    """
    if audio.labels not in LABELS:
        raise OptionError(
            f"labels - got {audio.labels!r}, expected one of {', '.join(LABELS)} - choose one with --labels-from "
            "(labels=)"
        )
    if isinstance(audio.mels, bool) or not isinstance(audio.mels, int) or not 1 <= audio.mels <= 128:
        raise OptionError(f"mels - got {audio.mels!r}, expected a whole number from 1 to 128 - 40 is usual")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not paths:
        raise DataError(f"{folder} - holds no {', '.join(_SUFFIXES)} files - name the folder above the recordings")
    labels = _labels(folder, paths, audio, labelled)
    sequences, rate = [], audio.rate
    for path in paths:
        samples, found = _samples(path)
        rate = rate or found
        if found != rate:
            raise DataError(
                f"{path} - has {found:,} samples per second, expected {rate:,} as in the others - "
                "convert all files to one rate"
            )
        sequences.append(log_mel(samples, rate, audio.mels))
    steps = Ragged(np.concatenate(sequences), np.array([len(each) for each in sequences]))
    ids = np.array([str(path.relative_to(folder)) for path in paths])
    return Labelled(steps, labels, ids, tuple(f"mel {k}" for k in range(audio.mels)), rate=rate)


def _labels(folder: Path, paths: list[Path], audio: Audio, labelled: bool) -> NDArray[Any] | None:
    below = [path for path in paths if path.parent != folder]
    by_folder = audio.labels == "folder" or (audio.labels == "auto" and bool(below))
    if by_folder and len(below) == len(paths):
        return np.array([path.parent.name for path in paths])
    if not by_folder and all("_" in path.stem for path in paths):
        return np.array([path.stem.split("_")[0] for path in paths])
    if not labelled:
        return None
    if by_folder:
        stray = next(path for path in paths if path.parent == folder)
        raise DataError(
            f"{stray} - lies in no folder of a class - move it, or take the class from the file's name, as in "
            "7_jackson_32.wav, with --labels-from name (labels='name')"
        )
    stray = next(path for path in paths if "_" not in path.stem)
    raise DataError(
        f"{stray} - has no class in its name, which ends at the first underscore - rename it, or sort the files "
        "into a folder for each class"
    )


def _samples(path: Path) -> tuple[NDArray[np.float32], int]:
    """A recording's samples, the mean of its channels, and how many there are in a second."""
    try:
        import soundfile
    except ImportError as error:
        raise MissingExtraError(
            f'{path} - soundfile is not installed, recordings are read with it - pip install "carrousel[audio]"'
        ) from error
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (RuntimeError, OSError) as error:
        what = getattr(error, "error_string", str(error)).rstrip(".")  # without the path once more
        raise DataError(f"{path} - can not be read ({what}) - write it again, or leave it out") from error
    if not len(samples):
        raise DataError(f"{path} - has 0 samples - leave it out")
    return samples.mean(1), int(rate)
