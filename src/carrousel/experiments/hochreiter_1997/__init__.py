"""Hochreiter & Schmidhuber (1997), Long short-term memory, Neural Computation 9(8), 1735-1780: Tables 1 to 9.

Where the paper is silent or contradicts itself the choice is a switch of `setting.lstm`; the rows called *literal*
take the text at its word, those called *closest* are the reading that comes nearest to the published numbers. They
were found after the numbers were known.
"""

from carrousel.experiments.hochreiter_1997 import (
    adding,
    lags,
    multiplication,
    reber,
    rivals,
    temporal_order,
    two_sequence,
)
from carrousel.experiments.trials import Table

__all__ = ["TABLES"]

TABLES = (
    Table("1", "embedded Reber grammar", (*rivals.REBER, *reber.ROWS)),
    Table("2", "noise-free sequences with long time lags", (*rivals.NOISE_FREE, *lags.TABLE_2)),
    Table("2b", "the same without local regularities", (*rivals.LOCAL_REGULARITY, *lags.TABLE_2B)),
    lags.TABLE_3,
    *two_sequence.TABLES,
    *adding.TABLES,
    *multiplication.TABLES,
    *temporal_order.TABLES,
)
