"""What Lightning runs: a step, a validation, and what is kept of them. With `progress` and
`checkpoints` the only file of its classes."""

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from carrousel.learn.batches import Source
from carrousel.learn.history import Epoch, History
from carrousel.learn.settings import Training

__all__ = ["Keeper", "Lesson"]

#: The part of training over which the learning rate rises.
_WARM_UP = 0.02


class Lesson(LightningModule):
    """A network, its losses and its batches, as Lightning takes them."""

    def __init__(
        self,
        net: nn.Module,
        losses: Any,
        training: Source,
        validation: Source | None,
        settings: Training,
    ) -> None:
        super().__init__()
        self.net, self.losses, self.settings = net, losses, settings
        self.training_batches, self.validation_batches = training, validation
        self.totals = {"train": [0.0, 0], "validation": [0.0, 0]}  # sum of losses, rows
        self.began = time.perf_counter()

    def train_dataloader(self) -> "_Epochs":
        """The batches to learn from."""
        return _Epochs(self, self.training_batches)

    def val_dataloader(self) -> "_Epochs | list":
        """The batches that the best weights are chosen on."""
        return [] if self.validation_batches is None else _Epochs(self, self.validation_batches)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; biases and gains do not decay."""
        weights = [p for p in self.parameters() if p.requires_grad and p.dim() > 1]
        others = [p for p in self.parameters() if p.requires_grad and p.dim() <= 1]
        groups: list[dict[str, Any]] = [
            {"params": weights, "weight_decay": self.settings.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW([group for group in groups if group["params"]], lr=self.settings.lr)

    def on_train_epoch_start(self) -> None:
        """Dropout of an epoch depends on the seed, the epoch and the process alone."""
        torch.manual_seed((self.settings.seed * 1_000_003 + self.current_epoch) * 1_009 + self.global_rank)
        self.totals["train"] = [0.0, 0]

    def on_validation_epoch_start(self) -> None:
        """Count anew."""
        self.totals["validation"] = [0.0, 0]

    def training_step(self, batch: Any, index: int) -> Tensor:
        """The loss of a batch."""
        self._set_rate(index)
        return self._loss(batch, "train")

    def validation_step(self, batch: Any, index: int) -> None:
        """Count the losses of a batch."""
        self._loss(batch, "validation")

    def configure_gradient_clipping(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """Clip; the gradient is that of all processes together, so that all stop alike where it is not finite."""
        norm = nn.utils.clip_grad_norm_(self.parameters(), self.settings.clip)
        if not torch.isfinite(norm):
            raise FloatingPointError

    def mean(self, part: str) -> float:
        """The mean loss of the epoch's "train" or "validation" rows so far, over all processes."""
        total = torch.tensor(self.totals[part], dtype=torch.float64)
        if self.trainer.world_size > 1:
            total = self.trainer.strategy.reduce(total.to(self.device), reduce_op="sum")
        return float(total[0] / total[1])

    @property
    def seconds(self) -> float:
        """How long training has taken."""
        return time.perf_counter() - self.began

    @property
    def progress(self) -> float:
        """How much of training is over, 0 to 1."""
        return self._progress(self.trainer.fit_loop.epoch_loop.batch_idx + 1)

    def _progress(self, batches: int) -> float:
        done = (self.current_epoch + batches / max(1, len(self.training_batches))) / self.settings.epochs
        # in thousandths: a limit that is far off changes not a bit
        elapsed = int(1000 * self.seconds / (self.settings.max_seconds or math.inf)) / 1000
        return min(1.0, max(done, elapsed))

    def _loss(self, batch: Any, part: str) -> Tensor:
        values, share = batch
        losses = self.losses(self.net, values)
        total = losses.sum()
        if share:
            self.totals[part][0] += float(total.detach())
            self.totals[part][1] += len(losses)
        loss: Tensor = total * share
        return loss

    def _set_rate(self, index: int) -> None:
        """Rise over the first steps, then fall as a cosine, to a hundredth."""
        done = self._progress(index)
        rise = min(1.0, (done + 1e-3) / (_WARM_UP + 1e-3))
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.settings.lr * rise * (0.505 + 0.495 * math.cos(math.pi * done))


class _Epochs:
    """A source as Lightning iterates it: the epoch and the process are known when it begins."""

    def __init__(self, lesson: Lesson, source: Source) -> None:
        self.lesson, self.source = lesson, source

    def __len__(self) -> int:
        return len(self.source)

    def __iter__(self) -> Iterator[Any]:
        # when the first batch is asked for: a resumed run makes the iterator before it knows its epoch
        trainer = self.lesson.trainer
        yield from self.source(trainer.current_epoch, trainer.global_rank, trainer.world_size)


class Keeper(Callback):
    """Keeps the best weights and the history, says when to stop, and writes the checkpoint of every epoch."""

    def __init__(self, checkpoint: Path | None, settings: Training, interrupted: threading.Event) -> None:
        self.checkpoint, self.settings, self.interrupted = checkpoint, settings, interrupted
        self.best: dict[str, Tensor] | None = None
        self.history = History()
        self.earlier = 0.0  # seconds of the run that is gone on with

    def on_train_start(self, trainer: Trainer, lesson: LightningModule) -> None:
        """Start the clock, where an interrupted run left it."""
        assert isinstance(lesson, Lesson)
        lesson.began = time.perf_counter() - self.earlier

    def on_train_batch_end(self, trainer: Trainer, lesson: LightningModule, *args: Any) -> None:
        """Stop in the middle of an epoch where time is over or the user wants."""
        assert isinstance(lesson, Lesson)
        over = lesson.seconds >= (self.settings.max_seconds or math.inf)
        if trainer.world_size > 1:
            over = bool(trainer.strategy.reduce_boolean_decision(over or self.interrupted.is_set(), all=False))
        if over or self.interrupted.is_set():
            self.history.stopped = "interrupted" if self.interrupted.is_set() else "time"
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: Trainer, lesson: LightningModule) -> None:
        """Write the epoch down; Lightning has validated by now."""
        assert isinstance(lesson, Lesson)
        train = lesson.mean("train")
        validation = train if lesson.validation_batches is None else lesson.mean("validation")
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        epoch = Epoch(len(self.history.epochs) + 1, train, validation, rate, lesson.seconds)
        self.history.epochs.append(epoch)
        if math.isfinite(validation) and (self.best is None or self.history.best is epoch):
            self.best = {name: value.detach().cpu().clone() for name, value in lesson.net.state_dict().items()}
        if not trainer.should_stop and epoch.epoch - self.history.best.epoch >= (self.settings.patience or math.inf):
            self.history.stopped = "patience"
            trainer.should_stop = True
        # an epoch that was cut short is not gone on from: it is trained again, whole
        if self.checkpoint is not None and self.history.stopped not in ("time", "interrupted"):
            trainer.save_checkpoint(self.checkpoint)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: tensors and numbers."""
        return {
            "best": self.best,
            "epochs": [list(astuple(epoch)) for epoch in self.history.epochs],
            "stopped": self.history.stopped,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best = state["best"]
        self.history = History([Epoch(*epoch) for epoch in state["epochs"]], state["stopped"])
        self.earlier = self.history.seconds
