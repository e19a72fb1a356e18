"""A training as a program of its own: begun, followed, stopped, found again. No Qt.

It is the command line in another process, and goes on when napari is closed. All that is known of
it lies in its folder: ``events.jsonl`` tells what happens, the file ``stop`` ends it, ``live`` asks
for the weights of the moment, ``log.txt`` holds what it prints (docs/decisions/0077).
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.event_tail import EventTail
from napari_swin_umamba.plugin.annotate.training_end import Trouble, explain_end
from napari_swin_umamba.plugin.annotate.training_launch import CHILDREN, launch
from napari_swin_umamba.plugin.annotate.training_state import TrainingState
from napari_swin_umamba.project import FolderLock

__all__ = ["TrainingProcess", "last_run", "new_run_folder", "running_elsewhere"]

_LOG_BYTES = 20_000


class TrainingProcess:
    """A training of a project, running or over.

    Parameters
    ----------
    project_folder
        Of the project.
    run
        The training's folder.
    """

    def __init__(self, project_folder: Path, run: Path) -> None:
        self.project_folder, self.run = project_folder, run
        self.state = TrainingState()
        self._tail = EventTail(run / "events.jsonl")
        self._child: subprocess.Popen[bytes] | None = CHILDREN.get(run.absolute())
        self._lock = FolderLock(project_folder, "train", "being trained")
        self._stop_file = run / "stop"
        self._stopping = False

    @classmethod
    def start(
        cls, project_folder: Path, run: Path, arguments: Sequence[str], threads: int | None = None
    ) -> TrainingProcess:
        """Begin a training.

        Parameters
        ----------
        project_folder, run
            As above.
        arguments
            More of ``swin-umamba train``: ``["--minutes", "5"]``, ``["--resume"]``.
        threads
            To compute with; None: all but one, which is left to the window.

        Raises
        ------
        InputError
            The folder cannot be written, or the program not be started.
        """
        process = cls(project_folder, run)
        resumed = "--resume" in arguments
        if resumed:
            process.poll()  # what happened before belongs to it
        try:
            run.mkdir(parents=True, exist_ok=True)
            process._child = launch(project_folder, run, arguments, threads)
        except OSError as error:
            if not resumed:  # or else it would be found as a training that ended early
                with suppress(OSError):
                    (run / "log.txt").unlink(missing_ok=True)
                    run.rmdir()
            raise InputError(
                f"the training cannot be begun in {run}: {error.strerror or error}"
            ) from error
        process.state.phase = "starting"
        process.state.message = process.state.failure = ""
        return process

    @property
    def pid(self) -> int | None:
        """Of the process, if it was begun here."""
        return self._child.pid if self._child is not None else None

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stopping

    @property
    def resumable(self) -> bool:
        """Whether its folder holds what it could go on from."""
        return (self.run / "last.ckpt").is_file() and (self.run / "config.json").is_file()

    @property
    def live_model(self) -> Path:
        """The weights of the moment, while they are asked for."""
        return self.run / "live.safetensors"

    @property
    def best_model(self) -> Path:
        """The best model so far."""
        return self.run / "model.safetensors"

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        if self._child is not None:
            return self._child.poll() is None
        holder = self._lock.holder() or {}
        return self._lock.is_taken() and holder.get("run") == str(self.run.absolute())

    def poll(self) -> bool:
        """Take what was written since; return whether there was anything."""
        found = False
        while True:
            for event in self._tail.read():
                self.state.take(event)
                found = True
            if self._tail.at_end:
                return found

    def stop(self) -> None:
        """Ask it to end: the best model is kept and judged. Before the first step it just ends.

        Raises
        ------
        InputError
            The file that asks cannot be written.
        """
        self._stopping = True
        if self.state.phase in ("starting", "preparing"):
            with suppress(OSError):
                self._stop_file.touch()  # whoever opens the project again knows why it ended
            self._terminate()
            return
        try:
            self._stop_file.touch()
        except OSError as error:
            raise InputError(
                f"cannot write {self._stop_file}: {error.strerror or error}"
            ) from error

    def ask_for_live(self, wanted: bool) -> None:
        """Have the weights of the moment written now and then, or not any more."""
        with suppress(OSError):  # then nothing is live; the training is none the worse
            if wanted:
                (self.run / "live").touch()
            else:
                (self.run / "live").unlink(missing_ok=True)
                self.live_model.unlink(missing_ok=True)

    def trouble(self) -> Trouble | None:
        """Why it ended early; None if it runs, reached its end or was asked to end."""
        if self.state.phase == "done" or self.alive:
            return None
        self.poll()
        asked = self._stopping or self._stop_file.exists()
        if self.state.phase == "done" or (asked and not self.state.step):
            return None
        code = self._child.returncode if self._child is not None else None
        return explain_end(self.state, self.read_log(), code, self.resumable)

    def read_log(self) -> str:
        """The end of what it printed."""
        try:
            with (self.run / "log.txt").open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - _LOG_BYTES))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def _terminate(self) -> None:
        if self._child is not None:
            self._child.terminate()
            return
        if not self.alive:  # its number may be another program's by now
            return
        holder = self._lock.holder() or {}
        if holder.get("host") == platform.node() and isinstance(holder.get("pid"), int):
            with suppress(OSError):
                os.kill(holder["pid"], signal.SIGTERM)


def new_run_folder(project_folder: Path) -> Path:
    """Name of a run that there was not yet: ``PROJECT/runs/0004``."""
    return project_folder / "runs" / f"{max(_numbers(project_folder), default=0) + 1:04d}"


def last_run(project_folder: Path) -> TrainingProcess | None:
    """The training that goes on, or else the last one that was begun in napari; None: none was."""
    lock = FolderLock(project_folder, "train", "being trained")
    holder = lock.holder() or {}
    if lock.is_taken() and holder.get("run") and holder.get("host") == platform.node():
        run = Path(str(holder["run"]))
    else:
        numbers = _numbers(project_folder)
        if not numbers:
            return None
        run = project_folder / "runs" / f"{max(numbers):04d}"
    process = TrainingProcess(project_folder, run)
    process.poll()
    return process


def running_elsewhere(project_folder: Path) -> str:
    """Computer on which the project is being trained, if it is not this one; else empty."""
    lock = FolderLock(project_folder, "train", "being trained")
    if not lock.is_taken():
        return ""
    host = str((lock.holder() or {}).get("host", "another computer"))
    return "" if host == platform.node() else host


def _numbers(project_folder: Path) -> list[int]:
    try:
        names = os.listdir(project_folder / "runs")
    except OSError:
        return []
    return [int(name) for name in names if name.isascii() and name.isdigit()]
