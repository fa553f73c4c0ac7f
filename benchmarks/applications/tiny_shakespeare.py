"""A million characters of Shakespeare: `python -m benchmarks.applications.tiny_shakespeare input.txt`.

The generator with its default settings: 120 s of training on the first nine tenths; nats per character of the last
tenth, which also chooses the best weights, as it does in the numbers published for this text.
"""

import math

from benchmarks.applications.rounds import Round, parser_of, rounds, say
from carrousel.models.generation.generator import Generator

PUBLISHED = {
    "Transformer on a CPU, about 3 minutes: nanoGPT's README at 3adf61e; drawn parts of the last tenth": 1.88,
    "Transformer on an A100: the same": 1.4697,
}


def main() -> None:
    """Run it."""
    asked = parser_of("Tiny Shakespeare", "input.txt, 1,115,394 characters").parse_args()
    counted: dict[str, float] = {}

    def one(seed: int) -> Round:
        fitted = Generator(seed=seed, threads=asked.threads, verbose=0).fit(asked.data)
        for name in ("unigram", "five_gram"):
            counted[name] = fitted.metrics_[f"{name}_bits"] * math.log(2)
        history = fitted.history_
        return Round(fitted.metrics_["nats"], history.best.validation, history.seconds, len(history.epochs))

    found = rounds(one, asked)
    say("Tiny Shakespeare, nats a character", found, counted, PUBLISHED, asked)


if __name__ == "__main__":
    main()
