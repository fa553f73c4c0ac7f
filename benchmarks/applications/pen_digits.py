"""Digits written on a tablet: `python -m benchmarks.applications.pen_digits pendigits.csv`.

Eight points (x, y) each; the first 7,494 rows train (30 writers), the other 3,498 test (14 other writers).
"""

from benchmarks.applications.classify_rounds import Split, arguments, facts, one
from benchmarks.applications.rounds import rounds, say
from carrousel.data.files import read_table

PUBLISHED = {
    "LSTM-FCN family, perhaps of another split: Karim et al., github.com/titu1994/MLSTM-FCN at 85100cc": 0.97,
}

_TRAINED = 7494


def main() -> None:
    """Run it."""
    asked = arguments("Pen digits", "pendigits.csv, whose columns are c1 to c16 and class")
    table = read_table(asked.data)
    x = table[[f"c{k}" for k in range(1, 17)]].to_numpy(float).reshape(-1, 8, 2)
    y = table["class"].to_numpy()
    split = Split(x[:_TRAINED], y[:_TRAINED], x[_TRAINED:], y[_TRAINED:])
    found = rounds(lambda seed: one(split, seed, asked.threads), asked)
    say("Pen digits, accuracy", found, published=PUBLISHED, asked=asked, **facts(split))


if __name__ == "__main__":
    main()
