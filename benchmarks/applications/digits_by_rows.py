"""scikit-learn's 1,797 digits, 8 x 8 pixels read row by row: `python -m benchmarks.applications.digits_by_rows`.

A quarter is held out. No number of an LSTM is generally referred to.
"""

from sklearn.model_selection import train_test_split

from benchmarks.applications.classify_rounds import Split, facts, one
from benchmarks.applications.rounds import parser_of, rounds, say
from carrousel.datasets import handwritten_digits


def main() -> None:
    """Run it."""
    asked = parser_of("Digits by rows").parse_args()
    images, digits = handwritten_digits()
    train, test, of_train, of_test = train_test_split(images, digits, random_state=0, stratify=digits)
    split = Split(train, of_train, test, of_test)
    found = rounds(lambda seed: one(split, seed, asked.threads), asked)
    say("scikit-learn's digits by rows, accuracy", found, published={}, asked=asked, **facts(split))


if __name__ == "__main__":
    main()
