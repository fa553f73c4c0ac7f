"""Hochreiter & Schmidhuber (1997), Long short-term memory, Neural Computation 9(8), 1735-1780: Tables 1 to 9.

Where the paper is silent or contradicts itself the choice is a switch of `setting.lstm`; the rows called *literal*
take the text at its word, those called *closest* are the reading that comes nearest to the published numbers. They
were found after the numbers were known.
"""

from carrousel.experiments.hochreiter_1997 import adding, lags, multiplication, reber, temporal_order, two_sequence

__all__ = ["TABLES"]

TABLES = (
    *reber.TABLES,
    *lags.TABLES,
    *two_sequence.TABLES,
    *adding.TABLES,
    *multiplication.TABLES,
    *temporal_order.TABLES,
)
