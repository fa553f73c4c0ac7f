"""The command line itself: its name, its version, and how it says what went wrong."""

import errno
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from carrousel.errors import BackendError, CarrouselError, TrainingError
from carrousel.processes import INTERRUPTED, TERMINATED, is_first_process

__all__ = ["app", "main"]

_RUN_FAILED, _BAD_INPUT = 1, 2
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class _Reporting(TyperGroup):
    """Says in one message, without a traceback, what a command raised, and in one line what it warns of."""

    def invoke(self, ctx: Any) -> Any:
        with _interrupts() as interrupted, warnings.catch_warnings():
            warnings.showwarning = _say_warning
            try:
                return super().invoke(ctx)
            except BaseException as error:
                ended = ("\ncarrousel: interrupted", INTERRUPTED) if interrupted.is_set() else _ended_by(error)
                if ended is None:
                    raise
                message, code = ended
                typer.echo(message, err=True)
                raise typer.Exit(code) from error


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Remember a Ctrl-C: what it hits makes another error of it, a half-imported library or Lightning's exit."""
    seen = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield seen  # whoever calls us looks after it
        return

    def note(number: int, frame: Any) -> None:
        seen.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def _ended_by(error: BaseException) -> tuple[str, int] | None:
    """The message and the exit code of an error that is not a mistake of ours."""
    if isinstance(error, CarrouselError):
        failed = isinstance(error, BackendError | TrainingError) or _is_full(error.__cause__)
        return f"carrousel: {error}", _RUN_FAILED if failed else _BAD_INPUT
    if isinstance(error, OSError) and _is_full(error):
        return f"carrousel: output - can not be written: {error.strerror} - make room", _RUN_FAILED
    if isinstance(error, KeyboardInterrupt):
        return "\ncarrousel: interrupted", INTERRUPTED
    if isinstance(error, SystemExit) and error.code == TERMINATED:
        return "carrousel: terminated", TERMINATED
    return None


def _say_warning(message: Warning | str, *args: Any, **kwargs: Any) -> None:
    typer.echo(f"warning: {message}", err=True)


def _is_full(error: BaseException | None) -> bool:
    """Whether there is no room for what is written."""
    return isinstance(error, OSError) and error.errno in _FULL


app = typer.Typer(
    cls=_Reporting,
    name="carrousel",
    help="The LSTM family, compiled: a cell is written once, as the equations of its paper.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; of processes that train together only the first one says something."""
    with ExitStack() as stack:
        if not is_first_process():
            nowhere = stack.enter_context(Path(os.devnull).open("w"))
            stack.enter_context(redirect_stdout(nowhere))
            stack.enter_context(redirect_stderr(nowhere))
        try:
            app()
        except SystemExit as end:
            if end.code == INTERRUPTED:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more must not change how it ends
            raise


def _print_version(wanted: bool) -> None:
    if wanted:
        from carrousel import __version__

        typer.echo(f"carrousel {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass
