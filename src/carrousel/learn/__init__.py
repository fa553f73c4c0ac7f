"""Training, on PyTorch Lightning: `fit` and what it takes. Lightning is imported when something is trained."""

from carrousel.learn.batches import Examples, InOrder, Shuffled, Source
from carrousel.learn.fit import fit
from carrousel.learn.history import Epoch, History
from carrousel.learn.settings import Training

__all__ = ["Epoch", "Examples", "History", "InOrder", "Shuffled", "Source", "Training", "fit"]
