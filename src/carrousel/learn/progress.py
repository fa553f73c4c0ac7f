"""How far training is: one bar on a terminal, a line an epoch elsewhere."""

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from carrousel.learn.history import History
from carrousel.learn.lesson import Keeper, Lesson
from carrousel.learn.settings import Training

__all__ = ["Progress"]


class Progress(Callback):
    """Shows epochs, losses and the time that is left, on standard error; only the first process does."""

    def __init__(self, settings: Training) -> None:
        self.settings, self.console = settings, Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[losses]}"))
        self.bar = Bar(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self.console, transient=True)
        self.task = self.bar.add_task("training", total=1.0, losses="")

    def on_train_start(self, trainer: Trainer, lesson: LightningModule) -> None:
        """Show the bar, or the names of the columns."""
        if not trainer.is_global_zero:
            return
        if self.console.is_terminal:
            self.bar.start()
        else:
            self._print(f"{'epoch':>5} {'train':>10} {'validation':>10} {'best':>5} {'seconds':>8}")

    def on_train_batch_end(self, trainer: Trainer, lesson: LightningModule, *args: Any) -> None:
        """Move the bar."""
        assert isinstance(lesson, Lesson)
        if trainer.is_global_zero and self.console.is_terminal:
            self.bar.update(self.task, completed=lesson.progress)

    def on_train_epoch_end(self, trainer: Trainer, lesson: LightningModule) -> None:
        """Show the losses of the epoch."""
        if not trainer.is_global_zero:
            return
        history = _kept_by(trainer)
        last, best = history.epochs[-1], history.best
        if self.console.is_terminal:
            said = f"epoch {last.epoch}: {last.train:.4f}, validation {last.validation:.4f}, best {best.validation:.4f}"
            self.bar.update(self.task, losses=said)
        else:
            mark = "*" if best is last else ""
            values = f"{last.epoch:5} {last.train:10.4f} {last.validation:10.4f} {mark:>5} {last.seconds:8.1f}"
            self._print(values)

    def on_train_end(self, trainer: Trainer, lesson: LightningModule) -> None:
        """Take the bar away; to who pressed Ctrl-C say what is done with it."""
        self.bar.stop()
        if trainer.is_global_zero and _kept_by(trainer).stopped == "interrupted":
            self._print("interrupted: the best weights are measured and kept; Ctrl-C again stops at once")

    def on_exception(self, trainer: Trainer, lesson: LightningModule, exception: BaseException) -> None:
        """Take the bar away."""
        self.bar.stop()

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def _kept_by(trainer: Trainer) -> History:
    """What happened so far."""
    return next(found for found in trainer.callbacks if isinstance(found, Keeper)).history  # type: ignore[attr-defined]
