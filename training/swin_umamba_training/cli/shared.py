"""What the commands share: how they end, and how they print."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from typer.core import TyperGroup

from napari_swin_umamba.errors import Cancelled, DownloadError, InputError

__all__ = [
    "EXIT_FAILED",
    "EXIT_USAGE",
    "AcceptHashOption",
    "CheckpointOption",
    "DeviceOption",
    "FoldsOption",
    "JsonOption",
    "OneLineErrors",
    "console",
    "fold_names",
    "output_path",
    "print_json",
    "print_line",
    "report_error",
    "user_errors",
]

EXIT_FAILED = 1
EXIT_USAGE = 2

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
DeviceOption = Annotated[
    str, typer.Option("--device", help="Where to compute: auto, cpu, cuda or mps.")
]
CheckpointOption = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        metavar="NAME",
        help="Of a trained-model folder of nnU-Net: the checkpoint to use. Default: the final one, "
        "else the best, else the highest number.",
        show_default=False,
    ),
]
FoldsOption = Annotated[
    str | None,
    typer.Option(
        "--folds",
        metavar="0,1,…|all",
        help="Of a trained-model folder of nnU-Net: the folds to average. Default: all numbered "
        "ones, or 'all'.",
        show_default=False,
    ),
]

AcceptHashOption = Annotated[
    bool,
    typer.Option(
        "--accept-hash",
        help="Take a weights file that is not the published one, if its tensors are the same.",
    ),
]

# click's: newer typer carries its own copy of click, so it cannot be imported by name.
_USAGE_ERROR: Any = typer.BadParameter.__base__

P = ParamSpec("P")
R = TypeVar("R")


def console() -> Console:
    """Console for people, on stderr: stdout is for results, which may go into a pipe."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_line(text: str) -> None:
    """Print a result as it is, without colours or wrapping."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_json(value: Any) -> None:
    """Print a result for programs, on one line."""
    print_line(json.dumps(value))


def report_error(message: str) -> None:
    """Print one line to stderr that begins with ``error:``."""
    console().print(f"error: {' '.join(message.split())}", style="bold red", markup=False)


def output_path(text: str) -> Path:
    """Take a file or folder for results; an empty name would mean the current folder."""
    if not text.strip():
        raise typer.BadParameter(f"give the name of a file or folder, not '{text}'")
    return Path(text)


def fold_names(text: str | None) -> list[str] | None:
    """Split what was given with ``--folds``; None if nothing was."""
    return None if text is None else [part for part in text.replace(",", " ").split() if part]


class OneLineErrors(TyperGroup):
    """The program, saying in one line what is wrong with a flag, as the commands do."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the program; see :meth:`click.Command.main`."""
        standalone = extra.pop("standalone_mode", True)
        extra["standalone_mode"] = False
        if not standalone:
            return super().main(*args, **extra)
        try:
            code = super().main(*args, **extra)
        except _USAGE_ERROR as error:
            if message := _usage_message(error):
                report_error(message)
            sys.exit(EXIT_USAGE)
        except typer.Abort:
            report_error("interrupted")
            sys.exit(EXIT_FAILED)
        sys.exit(code if isinstance(code, int) else 0)


def _usage_message(error: Any) -> str:
    """What is wrong, the value received, and where to look; empty if the help was printed."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return ""
    message = error.format_message().rstrip(".")
    if isinstance(error.__cause__, ValidationError):
        value = str(error.__cause__.errors()[0]["input"])
        message += "" if f"'{value}'" in message else f", not '{value}'"
    return f"{message} (see {error.ctx.command_path} --help)" if error.ctx else message


def user_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what a person can put right into one line and exit code 2, without a traceback.

    A download that failed is one line, too, and exit code 1.

    Parameters
    ----------
    command
        A command of the program.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except InputError as error:
            report_error(str(error))
            raise typer.Exit(EXIT_USAGE) from error
        except DownloadError as error:
            report_error(str(error))
            raise typer.Exit(EXIT_FAILED) from error
        except (KeyboardInterrupt, Cancelled) as error:
            report_error("interrupted")
            raise typer.Exit(EXIT_FAILED) from error

    return run
