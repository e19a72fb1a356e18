"""Begins a training in a process of its own, which goes on when this one ends. No Qt."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["CHILDREN", "launch"]

NICE = 10
CHILDREN: dict[Path, subprocess.Popen[bytes]] = {}
"""By the folder of their run, for whoever opens the project again in this napari."""


def launch(
    project_folder: Path, run: Path, arguments: Sequence[str], threads: int | None = None
) -> subprocess.Popen[bytes]:
    """Begin ``swin-umamba train``; what it prints goes to ``RUN/log.txt``.

    Parameters
    ----------
    project_folder, run
        DATASET and RUN.
    arguments
        What follows them.
    threads
        To compute with; None: all but one, which is left to the window.

    Raises
    ------
    OSError
        The log cannot be written, or the program not be started.
    """
    command = [sys.executable, "-m", "swin_umamba_training", "train", str(project_folder)]
    command += ["-o", str(run), *arguments]
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {
            "creationflags": subprocess.CREATE_NO_WINDOW
            | subprocess.CREATE_NEW_PROCESS_GROUP
            | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        }
    with (run / "log.txt").open("ab") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=_environment(threads),
            **options,
        )
    CHILDREN[run.absolute()] = child
    _lower_priority(child.pid)
    return child


def _environment(threads: int | None) -> dict[str, str]:
    """That of napari, with a processor left to the window."""
    number = threads or max(1, (os.cpu_count() or 2) - 1)
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        number = min(number, int(given))
    wanted = {"OMP_NUM_THREADS": str(number), "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    # napari's Qt plugins and event loop are none of its business, nor a figure's window.
    return {**os.environ, **wanted, "MPLBACKEND": "Agg"}


def _lower_priority(pid: int) -> None:
    if sys.platform == "win32":
        return
    with suppress(OSError):  # it has ended already
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
    # Where Linux groups processes by session, only the group's own nice value counts.
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(NICE))
