"""Spoken digits: `python -m benchmarks.applications.spoken_digits recordings/`.

The Free Spoken Digit Dataset: 3,000 recordings `digit_speaker_take.wav` of six speakers. Its own split tests takes 0 to
4 of each; leaving one speaker out asks for a voice that was never heard.
"""

from pathlib import Path

import numpy as np

from benchmarks.applications.classify_rounds import Split, arguments, measure, say
from carrousel.data.audio import Audio
from carrousel.data.labelled import read

PUBLISHED = {"no LSTM's number is generally referred to": "none"}


def main() -> None:
    """Run it."""
    asked = arguments("Spoken digits", "folder with the 3,000 files")
    found = read(asked.data, audio=Audio(labels="name"))
    assert found.ids is not None
    names = [Path(each).stem.split("_") for each in found.ids]
    speakers, takes = np.array([name[1] for name in names]), np.array([int(name[2]) for name in names])

    def split(is_test: np.ndarray) -> Split:
        train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
        x, y = found.sequences, found.labels
        return Split(x.take(train), y[train], x.take(test), y[test])

    results = {"takes 0 to 4": measure(split(takes < 5), asked.seeds, asked.threads)}
    say("Spoken digits", results, PUBLISHED, asked)  # what follows takes twice as long
    for speaker in np.unique(speakers):
        results[f"without {speaker}"] = measure(split(speakers == speaker), 1, asked.threads)
    say("Spoken digits", results, PUBLISHED, asked)


if __name__ == "__main__":
    main()
