"""Functions from Cell to Cell: regularisers, clips, cut gradients, variants.

A transform rewrites the definition's text, so that every backend has it and `print` shows it.
"""

from carrousel.transforms.forms import PROJECTION, looked_up, projected, variant
from carrousel.transforms.gradients import detached, truncated
from carrousel.transforms.regularisers import clip_cell, clip_gates, clip_projection, recurrent_dropout, zoneout

__all__ = [
    "PROJECTION",
    "truncated",
    "detached",
    "variant",
    "recurrent_dropout",
    "zoneout",
    "clip_cell",
    "clip_gates",
    "clip_projection",
    "projected",
    "looked_up",
]
