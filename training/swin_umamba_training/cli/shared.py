"""What the commands share: how they end, and how they print."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec, TypeVar

import typer
from rich.console import Console

from napari_swin_umamba.errors import Cancelled, InputError

__all__ = [
    "EXIT_FAILED",
    "EXIT_USAGE",
    "DeviceOption",
    "JsonOption",
    "console",
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


def user_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what a person can put right into one line and exit code 2, without a traceback.

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
        except (KeyboardInterrupt, Cancelled) as error:
            report_error("interrupted")
            raise typer.Exit(EXIT_FAILED) from error

    return run
