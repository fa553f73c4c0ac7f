"""Le, Jaitly & Hinton (2015), A simple way to initialize recurrent networks of rectified linear units."""

from carrousel.experiments.le_2015 import adding, digits
from carrousel.experiments.trials import Table

__all__ = ["TABLES"]

TABLES = (Table("le-2015", "units that start as the identity", (*adding.ROWS, *digits.ROWS)),)
