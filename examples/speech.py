"""Tell recordings apart: `python examples/speech.py FOLDER`, a folder of wav files with a folder for each class.

Without a folder it makes one, of tones that rise and tones that fall. Needs `pip install "carrousel[audio]"`.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

import carrousel

RATE = 8000


def record(folder: Path, count: int = 30) -> None:
    """Write tones of different lengths, pitches and noise."""
    rng = np.random.default_rng(0)
    for name, way in (("rising", 1), ("falling", -1)):
        (folder / name).mkdir(parents=True)
        for take in range(count):
            time = np.arange(int(RATE * rng.uniform(0.3, 0.6))) / RATE
            pitch = rng.uniform(400, 800) + way * rng.uniform(200, 300) * (time - time.mean())
            tone = np.sin(2 * np.pi * np.cumsum(pitch) / RATE) + rng.normal(0, 0.3, len(time))
            soundfile.write(folder / name / f"{take}.wav", 0.3 * tone, RATE)


def learn(folder: Path) -> None:
    """Learn the recordings and say how well."""
    classifier = carrousel.Classifier(max_seconds=8, val_fraction=0.3, verbose=0)
    classifier.fit(folder)
    held_out = classifier.metrics_["validation"]
    print(
        f"{held_out['accuracy']:.1%} of {held_out['count']} held-out recordings right: {', '.join(classifier.classes_)}"
    )


if len(sys.argv) > 1:
    learn(Path(sys.argv[1]))
else:
    with TemporaryDirectory() as folder:
        record(Path(folder))
        learn(Path(folder))
