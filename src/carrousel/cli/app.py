"""The command line itself: its name, its version, and how it says what went wrong."""

import errno
import os
import warnings
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from carrousel.errors import BackendError, CarrouselError, TrainingError
from carrousel.processes import is_first_process

__all__ = ["INTERRUPTED", "app", "main"]

_RUN_FAILED, _BAD_INPUT, INTERRUPTED = 1, 2, 130
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class _Reporting(TyperGroup):
    """Says in one message, without a traceback, what a command raised, and in one line what it warns of."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _say_warning
                return super().invoke(ctx)
        except CarrouselError as error:
            typer.echo(f"carrousel: {error}", err=True)
            failed = isinstance(error, BackendError | TrainingError) or _is_full(error.__cause__)
            raise typer.Exit(_RUN_FAILED if failed else _BAD_INPUT) from error
        except OSError as error:
            if not _is_full(error):
                raise
            typer.echo(f"carrousel: output - can not be written: {error.strerror} - make room", err=True)
            raise typer.Exit(_RUN_FAILED) from error
        except KeyboardInterrupt as error:
            typer.echo("\ncarrousel: interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from error


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
        app()


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
