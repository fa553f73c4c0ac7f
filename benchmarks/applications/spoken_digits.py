"""Spoken digits: `python -m benchmarks.applications.spoken_digits recordings/ [--speakers]`.

The Free Spoken Digit Dataset: 3,000 recordings `digit_speaker_take.wav` of six speakers. Its own split tests takes 0 to
4 of each; leaving one speaker out asks for a voice that was never heard. No number of an LSTM is generally referred to.
"""

from pathlib import Path

import numpy as np

from benchmarks.applications.classify_rounds import Split, facts, one
from benchmarks.applications.rounds import Round, parser_of, rounds, say
from carrousel.data.audio import Audio
from carrousel.data.labelled import read


def main() -> None:
    """Run it."""
    parser = parser_of("Spoken digits", "folder with the 3,000 files")
    parser.add_argument("--speakers", action="store_true", help="leave one speaker out after the other")
    asked = parser.parse_args()
    found = read(asked.data, audio=Audio(labels="name"))
    assert found.ids is not None
    names = [Path(each).stem.split("_") for each in found.ids]
    speakers, takes = np.array([name[1] for name in names]), np.array([int(name[2]) for name in names])

    def split(is_test: np.ndarray) -> Split:
        train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
        x, y = found.sequences, found.labels
        return Split(x.take(train), y[train], x.take(test), y[test])

    def without(left: tuple[int, str]) -> Round:
        seed, speaker = left
        return one(split(speakers == speaker), seed, asked.threads)._replace(without=speaker)

    if asked.speakers:
        everyone = np.unique(speakers).tolist()
        pairs = [(seed, speaker) for seed in range(asked.seeds) for speaker in everyone]
        each, task = rounds(without, asked, pairs, "seed and speaker"), "Spoken digits, a speaker left out, accuracy"
        say(task, each, published={}, asked=asked, **facts(split(speakers == everyone[0])))
    else:
        parts = split(takes < 5)
        each = rounds(lambda seed: one(parts, seed, asked.threads), asked)
        say("Spoken digits, takes 0 to 4, accuracy", each, published={}, asked=asked, **facts(parts))


if __name__ == "__main__":
    main()
