"""Digits written on a tablet: `python -m benchmarks.applications.pen_digits pendigits.csv`.

Eight points (x, y) each; the first 7,494 rows train (30 writers), the other 3,498 test (14 other writers). Beside it
scikit-learn's digits, 8 x 8 pixels read row by row, a quarter held out.
"""

from benchmarks.applications.classify_rounds import Split, arguments, measure, say
from carrousel.data.files import read_table
from carrousel.data.shipped import handwritten_digits

PUBLISHED = {
    "LSTM-FCN family, perhaps of another split: Karim et al., github.com/titu1994/MLSTM-FCN at 85100cc": "0.97",
}

_TRAINED = 7494


def main() -> None:
    """Run it."""
    asked = arguments("Pen digits", "pendigits.csv, whose columns are c1 to c16 and class")
    table = read_table(asked.data)
    x = table[[f"c{k}" for k in range(1, 17)]].to_numpy(float).reshape(-1, 8, 2)
    y = table["class"].to_numpy()
    pen = Split(x[:_TRAINED], y[:_TRAINED], x[_TRAINED:], y[_TRAINED:])
    results = {
        "pen": measure(pen, asked.seeds, asked.threads),
        "scikit-learn's digits by rows": measure(digits_by_rows(), asked.seeds, asked.threads),
    }
    say("PenDigits", results, PUBLISHED, asked)


def digits_by_rows() -> Split:
    """Return scikit-learn's 1,797 digits as sequences of 8 rows of 8 pixels."""
    from sklearn.model_selection import train_test_split

    images, digits = handwritten_digits()
    train, test, of_train, of_test = train_test_split(images, digits, random_state=0, stratify=digits)
    return Split(train, of_train, test, of_test)


if __name__ == "__main__":
    main()
