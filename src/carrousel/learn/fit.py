"""Train a network: Lightning's loop around losses, with the best weights kept."""

import logging
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from carrousel.errors import MissingExtraError, OptionError, OutputError, TrainingError
from carrousel.learn.batches import Source
from carrousel.learn.history import History
from carrousel.learn.settings import Training
from carrousel.processes import TERMINATED

if TYPE_CHECKING:
    from carrousel.learn.lesson import Keeper

__all__ = ["Losses", "checkpoint_of", "fit"]

#: (net, what a source draws) -> one loss for each of its rows, (row,).
Losses = Callable[[Any, Any], Tensor]


def fit(
    net: nn.Module,
    losses: Losses,
    training: Source,
    validation: Source | None,
    settings: Training,
    *,
    folder: Path | None = None,
    resume: bool = False,
) -> History:
    """Train a network in place; afterwards it has the weights that were best in validation.

    Args:
        net: what is trained.
        losses: the loss of each row of a batch, (row,).
        training: the batches to learn from.
        validation: the batches that the best weights are chosen on; by the training loss if None.
        settings: how long, how fast, on what.
        folder: where a checkpoint is kept after every epoch; none is kept if None.
        resume: go on from that checkpoint; at the end the weights are those of a run that was never stopped. Where
            none was written yet training begins anew, with a warning.

    Returns:
        The epochs and why it stopped. Ctrl-C once stops after the batch and keeps the best weights, twice stops at
        once.

    Raises:
        TrainingError: the gradient was not finite before anything was learned.
        OptionError: resume without a folder, from a damaged checkpoint or from one of another net.
        OutputError: nothing can be written where TensorBoard's files are asked for.
        MissingExtraError: Lightning is not installed.
        SystemExit: SIGTERM came.
    """
    try:
        from pytorch_lightning import Trainer
    except ImportError as error:
        raise MissingExtraError(
            'fit - pytorch-lightning is not installed, training needs it - pip install "carrousel[fit]"'
        ) from error
    from carrousel.learn.checkpoints import Checkpoints
    from carrousel.learn.lesson import Keeper, Lesson

    checkpoint = checkpoint_of(folder)
    goes_on = resume and _is_there(checkpoint)
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        stack.enter_context(_threads(settings.threads))
        stack.enter_context(torch.random.fork_rng())
        interrupted = stack.enter_context(_first_interrupt())
        lesson = Lesson(net, losses, training, validation, settings)
        if checkpoint is not None and goes_on:
            _check(checkpoint, lesson)
        keeper = Keeper(checkpoint, settings, interrupted)
        trainer = Trainer(**_options(settings, keeper), plugins=[Checkpoints()])
        try:
            trainer.fit(lesson, ckpt_path=str(checkpoint) if goes_on else None, weights_only=True)
        except SystemExit as error:  # Lightning makes an exit of a second Ctrl-C, and a success of SIGTERM
            raise KeyboardInterrupt if interrupted.is_set() else SystemExit(TERMINATED) from error
        except FloatingPointError as error:
            if keeper.best is None:
                raise TrainingError(
                    f"fit - the gradient is not finite at step {trainer.global_step} (lr {settings.lr:g}) - "
                    f"try lr {_smaller(settings.lr):g}, and look for huge values in the data"
                ) from error
            keeper.history.stopped = "not finite"
            warnings.warn(
                f"the gradient was not finite at step {trainer.global_step} (lr {settings.lr:g}); the best weights so "
                f"far are kept; try lr {_smaller(settings.lr):g}",
                stacklevel=2,
            )
    if interrupted.is_set():  # also in the last batch, or while Lightning was ending
        keeper.history.stopped = "interrupted"
    keeper.history.step = trainer.global_step
    net.load_state_dict(keeper.best or net.state_dict())
    net.cpu().eval()
    return keeper.history


def checkpoint_of(folder: Path | None) -> Path | None:
    """The file that a resumed run goes on from."""
    return None if folder is None else folder / "last.ckpt"


def _smaller(lr: float) -> float:
    """A learning rate that may do where this one does not."""
    return min(lr / 4, 0.01)


def _is_there(checkpoint: Path | None) -> bool:
    """Whether a run that is to go on can; one that was stopped before its first epoch was over begins anew."""
    if checkpoint is None:
        raise OptionError("fit - resume without a folder - name the folder that its checkpoints lie in")
    if not checkpoint.exists():
        warnings.warn(f"no checkpoint in {checkpoint.parent} to go on from: training begins anew", stacklevel=3)
    return checkpoint.exists()


def _check(checkpoint: Path, lesson: torch.nn.Module) -> None:
    """Refuse a checkpoint that is damaged, or of another net."""
    try:
        kept = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
        shapes = {name: tuple(value.shape) for name, value in kept.items()}
    except Exception as error:  # whatever the bytes make torch raise
        raise OptionError(
            f"fit - {checkpoint} can not be read ({type(error).__name__}): it is damaged, or no checkpoint of ours - "
            "leave out resume to begin anew"
        ) from error
    wanted = {name: tuple(value.shape) for name, value in lesson.state_dict().items()}
    if shapes != wanted:
        name = next(n for n in (*wanted, *shapes) if shapes.get(n) != wanted.get(n))
        raise OptionError(
            f"fit - {checkpoint} is of another net: {name} is {shapes.get(name)} there and {wanted.get(name)} here - "
            "give the options and the data that it was begun with, or leave out resume to begin anew"
        )


def _options(settings: Training, keeper: "Keeper") -> dict[str, Any]:
    """What Lightning's Trainer is made with."""
    kind, first = settings.accelerator()
    return {
        "accelerator": "gpu" if kind == "cuda" else "cpu",
        "devices": list(range(first, first + settings.devices)) if kind == "cuda" else settings.devices,
        "num_nodes": settings.num_nodes,
        "strategy": _strategy(kind, settings.devices * settings.num_nodes),
        "max_epochs": settings.epochs,
        "callbacks": [keeper, *([_progress(settings)] if settings.verbose else [])],
        "logger": _logger(settings.tensorboard),
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
        "enable_checkpointing": False,
        "num_sanity_val_steps": 0,
        "inference_mode": False,
    }


def _strategy(kind: str, processes: int) -> Any:
    if processes == 1:
        return "auto"
    from pytorch_lightning.strategies import DDPStrategy

    return DDPStrategy(process_group_backend="gloo" if kind == "cpu" else "nccl")


def _progress(settings: Training) -> Any:
    from carrousel.learn.progress import Progress

    return Progress(settings)


def _logger(folder: Path | None) -> Any:
    if folder is None:
        return False
    try:
        import tensorboard  # noqa: F401
        from pytorch_lightning.loggers import TensorBoardLogger
    except ImportError as error:
        raise MissingExtraError('fit - tensorboard is not installed - pip install "carrousel[tensorboard]"') from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"{folder} - can not be written: {error.strerror} - name another for TensorBoard") from error
    return TensorBoardLogger(folder, name="", version="")


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's remarks on the machine and on data loaders say nothing to a user of carrousel."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", module="lightning_fabric")
        yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _first_interrupt() -> Iterator[threading.Event]:
    """The first Ctrl-C only sets the event; the next one is what it always was."""
    seen = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: Any) -> None:
        seen.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)
