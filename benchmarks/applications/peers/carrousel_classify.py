"""The classifier's defaults on pen digits or JapaneseVowels, on the same parts as skorch: the net is the same.

The validation part is given, so that nothing is trained anew on it. Each row of the curve is a training of its own, for
the learning rate falls towards its end; the last has the default number of epochs.
"""

import time
from typing import Any

from benchmarks.applications.peers.kept import Labelled, arguments, keep, labelled, latency, over_seeds
from carrousel import Classifier


def one(task: Labelled, seed: int) -> dict[str, Any]:
    """Train and measure."""

    def fitted(epochs: int | str) -> tuple[Classifier, list[float]]:
        classifier = Classifier(epochs=epochs, seed=seed, threads=1, device="cpu", verbose=0)
        began = time.process_time()
        classifier.fit(*task.train, val=task.validation)
        seconds, history = time.process_time() - began, classifier.history_
        return classifier, [len(history.epochs), seconds, history.best.validation]

    classifier, last = fitted("auto")
    new = task.test[0][:1]
    return {
        "weights": sum(weight.numel() for weight in classifier.net_.parameters()),
        "curve": [*(fitted(epochs)[1] for epochs in (2, 4, 8, 16, 32) if epochs < last[0]), last],
        "validation": last[2],
        "test": classifier.score(*task.test),
        "seconds in all": last[1],
        "seconds of predict": latency(lambda: classifier.predict(new)),
    }


def main() -> None:
    """Run it."""
    asked = arguments("pendigits.csv, or the folder JapaneseVowels")
    task = labelled(asked.data)
    Classifier(epochs=1, verbose=0).fit(task.train[0][:100], task.train[1][:100])  # loads what is loaded on first use
    found = {
        "settings": "defaults",
        "curve": "epochs, seconds of a whole fit with so many, validation loss",
        **over_seeds(lambda seed: one(task, seed), asked.seeds),
    }
    keep(asked.out, f"{task.name}, accuracy", "carrousel", found, ["carrousel"])


if __name__ == "__main__":
    main()
