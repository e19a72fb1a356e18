"""Why a training ended before its time, in words, and what to do about it. No Qt."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Literal

from napari_swin_umamba.errors import is_out_of_memory
from napari_swin_umamba.plugin.annotate.training_state import TrainingState
from napari_swin_umamba.plugin.words import sentence

__all__ = ["Remedy", "Trouble", "explain_end"]

Remedy = Literal["less_memory", "resume", "restart", "careful", ""]
"""What a button can do: fewer and smaller patches; go on; begin anew; a lower learning rate."""

_ANEW = ("is not what it was when the run", "other images are held out", "cannot resume from")
_KILLED = getattr(signal, "SIGKILL", signal.SIGTERM)
_KEPT = "What was learned until the last check is kept."


@dataclass(frozen=True)
class Trouble:
    """What a person is told."""

    text: str
    details: str = ""
    remedy: Remedy = ""


def explain_end(state: TrainingState, log: str, returncode: int | None, resumable: bool) -> Trouble:
    """Say why a training ended that did not reach its end.

    Parameters
    ----------
    state
        What its events told.
    log
        What it printed, the end of it.
    returncode
        Of the process; None if it is not known (another napari had started it).
    resumable
        Whether its folder holds something to go on from.
    """
    said = state.message or _error_line(log)
    kind = state.failure if state.phase == "failed" else ""
    kept = f" {_KEPT}" if resumable else ""
    again: Remedy = "resume" if resumable else "restart"
    if kind == "memory" or is_out_of_memory(RuntimeError(said)):
        return Trouble(
            "The training ran out of memory. Train with smaller patches, or on the CPU, or close "
            f"other programs.{kept}",
            log,
            "less_memory",
        )
    if kind == "numbers":
        return Trouble(
            "The training broke down: its numbers ran out of range, though the learning rate was "
            f"lowered. Train again, more carefully.{kept}",
            said,
            "careful",
        )
    if kind == "interrupted":
        return Trouble(f"The training was interrupted.{kept}", "", again)
    if any(words in said for words in _ANEW):
        return Trouble(
            "This training cannot go on, for what is painted has changed since. Begin a new one.",
            said,
            "restart",
        )
    if kind == "input" or (not kind and said):
        return Trouble(f"{sentence(said)}{kept}", log if kind != "input" else "", again)
    if returncode == -_KILLED:
        return Trouble(
            "The training was ended by the system, as happens when memory is full. Close other "
            f"programs, or train with smaller patches.{kept}",
            log,
            "resume" if resumable else "less_memory",
        )
    code = "" if returncode is None else f" (exit code {returncode})"
    what = f": {said}" if said else ""
    return Trouble(
        f"The training ended unexpectedly{code}{what}.{kept} Copy the details and report it, if "
        "it happens again.",
        log,
        again,
    )


def _error_line(log: str) -> str:
    """The last line of a log that says what is wrong."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    for line in reversed(lines):
        if line.startswith("error: "):
            return line.removeprefix("error: ")
    named = [line for line in lines if line.split(":")[0].endswith(("Error", "Exception"))]
    return named[-1] if named else ""
