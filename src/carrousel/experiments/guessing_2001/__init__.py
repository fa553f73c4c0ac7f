"""Schmidhuber, Hochreiter & Bengio (2001), Evaluating benchmark problems by random guessing: the latch problem."""

from functools import partial
from itertools import product

from carrousel.experiments.criteria import AllRight
from carrousel.experiments.hochreiter_1997.setting import errors, sizes
from carrousel.experiments.trials import Drawn, Published, Row, Table
from carrousel.systems.guessing import GuessedLatches
from carrousel.tasks.latch import latch
from carrousel.tasks.sequences import Sequences

__all__ = ["TABLES"]

SOURCE = "Schmidhuber, Hochreiter & Bengio (2001)"
#: variant -> guesses
PUBLISHED = {"I": 6, "II": 22}
#: variant -> target of the first class
TARGETS = {"I": 0.8, "II": 1.0}
TRIALS, TRAINING, WITHIN = 40, 100, 0.5


class OneSet(Drawn):
    """The same training sequences, whatever is asked for."""

    def training(self, count: int) -> Sequences:
        """Return the training set."""
        if self._set is None:
            self._set = super().training(count)
        return self._set

    _set: Sequences | None = None


#: reading -> variance of the noise, note
READINGS = {"literal": (0.2, ""), "closest": (0.04, "; noise with a standard deviation, not a variance, of 0.2")}


def _row(variant: str, reading: str) -> Row:
    variance, note = READINGS[reading]
    return Row(
        table="guessing-2001",
        name=f"latch {variant}",
        reading=reading,
        published=Published({"solved": PUBLISHED[variant]}, 1.0, 3, TRIALS, {}, SOURCE),
        start=partial(GuessedLatches, has_free_inputs=variant == "I", tolerance=WITHIN),
        data=partial(OneSet, partial(latch, target=TARGETS[variant], variance=variance)),
        criterion=partial(AllRight, within=WITHIN),
        limit=sizes(60, 1_000, 10_000),
        trials=sizes(4, TRIALS, TRIALS),
        measure=errors(WITHIN),
        tested_on=256,
        block=TRAINING,
        batch=TRAINING,
        note=f"sequences are guesses, each judged on the same {TRAINING} training sequences; right is within {WITHIN} "
        f"of the target (both are assumptions){note}",
    )


TABLES = (
    Table("guessing-2001", "random weight guessing", tuple(_row(*each) for each in product(PUBLISHED, READINGS))),
)
