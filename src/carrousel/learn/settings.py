"""How something is trained."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from carrousel.errors import OptionError, OptionTypeError

__all__ = ["Training", "number"]

#: What torchrun, Slurm, MPI and LSF tell the processes that they start.
_LAUNCHERS = ("MASTER_ADDR", "SLURM_JOB_ID", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "LSB_JOBID")


@dataclass(frozen=True)
class Training:
    """How something is trained; the same settings give the same weights on the same machine.

    Attributes:
        epochs: at most so many passes over the training data.
        max_seconds: stop after this time, in seconds; the learning rate falls with it. None: no limit.
        patience: stop after so many epochs in a row without a better validation. None: never.
        lr: the highest learning rate of AdamW; it rises over the first 2 % and falls as a cosine.
        weight_decay: of AdamW.
        clip: the gradient's norm is cut to this.
        seed: of the order of the examples and of dropout, epoch by epoch.
        device: "auto", "cpu", "cuda", "cuda:1"...
        devices: processes, each with its part of every batch.
        num_nodes: machines, each started with torchrun or a scheduler.
        threads: of torch, None for as many as it has.
        verbose: 0 says nothing, 1 shows a bar on a terminal and a line an epoch elsewhere.
        tensorboard: a folder for TensorBoard's event files; None writes none.

    Raises:
        OptionError: a number is out of its range, there is no such device, or not so many.
        OptionTypeError: a number is none, or a whole one is not whole.
    """

    epochs: int = 100
    max_seconds: float | None = None
    patience: int | None = 8
    lr: float = 2e-3
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0
    device: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    threads: int | None = None
    verbose: int = 1
    tensorboard: Path | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "devices", "num_nodes", "threads"):
            _check_whole(name, getattr(self, name))
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise OptionTypeError(f"Training - seed is {self.seed!r}, expected a whole number - give one, such as 0")
        for name in ("lr", "clip", "max_seconds", "weight_decay"):
            _check_number(name, getattr(self, name))
        self.accelerator()
        _check_processes(self)

    def accelerator(self) -> tuple[str, int]:
        """Return the kind of device and the number of the first one.

        Raises:
            OptionError: this machine has no such device.
        """
        if self.device == "auto":
            return ("cuda", 0) if torch.cuda.is_available() else ("cpu", 0)
        try:
            device = torch.device(self.device)
        except (RuntimeError, TypeError) as error:
            raise OptionError(f"Training - device {self.device!r} - expected auto, cpu, cuda or cuda:1") from error
        if device.type not in ("cpu", "cuda"):
            raise OptionError(f"Training - device {self.device!r} - expected auto, cpu, cuda or cuda:1")
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if device.type == "cuda" and (device.index or 0) >= found:
            raise OptionError(f"Training - device {self.device!r}, this machine has {found} GPUs - use device='auto'")
        return device.type, device.index or 0


def _check_processes(settings: Training) -> None:
    """Refuse more processes than can run, which would wait for each other."""
    kind, first = settings.accelerator()
    found = torch.cuda.device_count() - first if kind == "cuda" else os.cpu_count() or 1
    if settings.devices > found:
        what = "GPUs from there on" if kind == "cuda" else "cores"
        raise OptionError(f"Training - devices is {settings.devices}, this machine has {found} {what} - take fewer")
    if settings.num_nodes > 1 and not any(name in os.environ for name in _LAUNCHERS):
        raise OptionError(
            f"Training - {settings.num_nodes} nodes, but nothing says how they find each other - start it on each with "
            f"torchrun --nnodes {settings.num_nodes} --node-rank K --master-addr ADDRESS, or with Slurm"
        )


def number(where: str, name: str, value: object) -> None:
    """Check that an option is a number.

    Args:
        where: begins the message.
        name: the option's.
        value: what it is.

    Raises:
        OptionTypeError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionTypeError(f"{where} - {name} is {value!r}, expected a number - give one")


def _check_number(name: str, value: Any) -> None:
    if value is None and name == "max_seconds":
        return
    number("Training", name, value)
    if name == "weight_decay" and not value >= 0:
        raise OptionError(f"Training - weight_decay is {value}, expected 0 or more - use 0 for none")
    if name != "weight_decay" and not value > 0:
        raise OptionError(f"Training - {name} is {value}, expected a number above 0 - give a larger number")


def _check_whole(name: str, value: object) -> None:
    if value is None and name in ("patience", "threads"):
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionTypeError(f"Training - {name} is {value!r}, expected a whole number - give one from 1")
    if value < 1:
        raise OptionError(f"Training - {name} is {value}, expected at least 1 - give a larger number")
