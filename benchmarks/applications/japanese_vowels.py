"""Nine speakers by two vowels: `python -m benchmarks.applications.japanese_vowels FOLDER`.

270 utterances to train on and 370 to test, 7 to 29 steps of 12 coefficients, in the UEA archive's two files.
"""

from benchmarks.applications.classify_rounds import Split, arguments, facts, one
from benchmarks.applications.rounds import rounds, say
from carrousel.data.labelled import read

PUBLISHED = {
    "LSTM-FCN; MLSTM-FCN reaches 1.00 (rounded there): Karim et al., github.com/titu1994/MLSTM-FCN at 85100cc": 0.99,
}


def main() -> None:
    """Run it."""
    asked = arguments("JapaneseVowels", "folder with JapaneseVowels_TRAIN.ts and JapaneseVowels_TEST.ts")
    train, test = (read(asked.data / f"JapaneseVowels_{part}.ts") for part in ("TRAIN", "TEST"))
    split = Split(train.sequences, train.labels, test.sequences, test.labels)
    found = rounds(lambda seed: one(split, seed, asked.threads), asked)
    say("JapaneseVowels, accuracy", found, published=PUBLISHED, asked=asked, **facts(split))


if __name__ == "__main__":
    main()
