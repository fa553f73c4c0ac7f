"""The classifier's defaults on pen digits, on the same parts as skorch: the net is the same, the training its own.

The validation part is given, so that nothing is trained anew on it. Each row of the curve is a training of its own, for
the learning rate falls towards its end; the last has the default number of epochs.
"""

import time

from benchmarks.applications.peers.kept import arguments, keep, latency, pen_digits
from carrousel import Classifier


def main() -> None:
    """Run it."""
    asked = arguments("pendigits.csv")
    train, held, test = pen_digits(asked.data)
    Classifier(epochs=1, verbose=0).fit(train[0][:100], train[1][:100])  # loads what is loaded on first use
    curve = []
    for epochs in (2, 4, 8, "auto"):
        classifier = Classifier(epochs=epochs, refit=False, threads=1, device="cpu", verbose=0)
        began = time.process_time()
        classifier.fit(*train, val=held)
        seconds, history = time.process_time() - began, classifier.history_
        curve.append([len(history.epochs), seconds, history.best.validation])
    one = test[0][:1]
    found = {
        "settings": "defaults, refit=False; 1 seed; a training for each row of the curve",
        "weights": sum(weight.numel() for weight in classifier.net_.parameters()),
        "curve of (epochs, seconds, validation loss)": curve,
        "validation": classifier.history_.best.validation,
        "test": classifier.score(*test),
        "seconds in all": seconds,
        "seconds of predict, 1 sequence": latency(lambda: classifier.predict(one)),
    }
    keep(asked.out, "pen digits, accuracy", "carrousel", found, ["carrousel"])


if __name__ == "__main__":
    main()
