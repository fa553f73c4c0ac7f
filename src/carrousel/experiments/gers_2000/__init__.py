"""Gers, Schmidhuber & Cummins (2000), Learning to forget, Neural Computation 12(10), 2451-2471: Tables 2 and 3.

The settings are known to us from others' accounts of the paper, the numbers of Table 2 from a quotation, those of
Table 3 from memory.
"""

from carrousel.experiments.gers_2000 import reber, temporal_order
from carrousel.experiments.trials import Table

__all__ = ["TABLES"]

TABLES = (
    Table(
        "gers-2000",
        "continual prediction, the embedded Reber grammar and temporal order",
        (*reber.ROWS, *temporal_order.ONE_BY_ONE, *temporal_order.CONTINUAL),
    ),
)
