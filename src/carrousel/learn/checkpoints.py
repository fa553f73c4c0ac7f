"""Checkpoints: on the disk whole or not at all, and never the reason why training ends."""

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins import TorchCheckpointIO

from carrousel.errors import OutputError
from carrousel.writing import write_whole

__all__ = ["Checkpoints"]


class Checkpoints(TorchCheckpointIO):
    """How Lightning writes a checkpoint here: beside the old one, then in its place.

    Its own way begins in the system's folder for temporary files; from there to another disk a file is copied, and a
    kill meanwhile would leave half of it.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint; where it can not be written, say so and go on."""
        content, file = io.BytesIO(), Path(path)
        torch.save(checkpoint, content)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole({file: content.getvalue()})
        except OSError as error:
            what = str(error) if isinstance(error, OutputError) else f"{file.parent} - {error.strerror}"
            warnings.warn(f"{what}; training goes on, after a kill it would begin anew", stacklevel=1)
            with contextlib.suppress(OSError):
                file.parent.rmdir()  # if nothing is in it
