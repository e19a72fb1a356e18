"""The window's side of a training: looks what is new, tells the sections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QObject, QTimer, Signal

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.training_end import Trouble
from napari_swin_umamba.plugin.annotate.training_process import (
    TrainingProcess,
    last_run,
    new_run_folder,
    running_elsewhere,
)

__all__ = ["TrainingWatch"]

_INTERVAL = 250
"""Milliseconds between two looks."""
_ENDING_LOOKS = 240
"""Looks after the end was told, until the process is gone: it may have to give memory back."""


class TrainingWatch(QObject):
    """Follows the training of one project.

    Parameters
    ----------
    project_folder
        Of the project.
    parent
        Takes it along when it is deleted.
    read_only
        Only look: the training is that of another window.
    """

    news = Signal()
    """Something happened in the training."""
    begun = Signal()
    """Another training is followed."""
    ended = Signal(object)
    """It is over: a :class:`Trouble`, or None if it reached its end or was stopped."""

    def __init__(self, project_folder: Path, parent: QObject, read_only: bool = False) -> None:
        super().__init__(parent)
        self._project, self._read_only = project_folder, read_only
        self._live = True
        self._looks = 0
        self.process: TrainingProcess | None = None
        """The training that goes on, or the last one."""
        self.trouble: Trouble | None = None
        """Why that one ended early."""
        self._timer = QTimer(self)
        self._timer.setInterval(_INTERVAL)
        self._timer.timeout.connect(self.look)

    @property
    def running(self) -> bool:
        """Whether a training goes on."""
        return self._timer.isActive()

    def attach(self) -> None:
        """Find the training that goes on, or the last one."""
        self.process = None if running_elsewhere(self._project) else last_run(self._project)
        self.trouble = None
        if self.process is None:
            return
        if self.process.alive and not self.process.state.over:
            self._follow(self.process)
        else:
            self.trouble = self.process.trouble()
        self.begun.emit()

    def start(self, arguments: Sequence[str]) -> None:
        """Begin a training.

        Raises
        ------
        InputError
            It cannot be begun.
        """
        run = new_run_folder(self._project)
        self._follow(TrainingProcess.start(self._project, run, arguments))
        self.begun.emit()

    def resume(self, device: str) -> None:
        """Go on with the last training.

        Raises
        ------
        InputError
            It cannot be begun.
        """
        assert self.process is not None
        arguments = ["--resume", "--device", device]
        self._follow(TrainingProcess.start(self._project, self.process.run, arguments))
        self.begun.emit()

    def stop(self) -> None:
        """Ask the training to end.

        Raises
        ------
        InputError
            It cannot be asked.
        """
        if self.process is not None:
            self.process.stop()
            self.news.emit()

    def set_live(self, wanted: bool) -> None:
        """Have the weights of the moment written, or not."""
        self._live = wanted
        if self.process is not None and self.running:
            self._ask_for_live(wanted)

    def look(self) -> None:
        """Take what is new."""
        process = self.process
        if process is None:
            self._timer.stop()
            return
        alive = process.alive  # before its last events are read
        try:
            changed = process.poll()
        except InputError:
            changed = False
        if process.state.over:
            self._looks += 1
        if not alive or (process.state.over and self._looks > _ENDING_LOOKS):
            self._timer.stop()
            self._ask_for_live(False)
            self.trouble = process.trouble()
            self.ended.emit(self.trouble)
        elif changed:
            self.news.emit()

    def shut_down(self) -> None:
        """Look no more; the training goes on."""
        if self.running:
            self._ask_for_live(False)
        self._timer.stop()

    def _follow(self, process: TrainingProcess) -> None:
        self.process, self.trouble, self._looks = process, None, 0
        self._ask_for_live(self._live)
        self._timer.start()

    def _ask_for_live(self, wanted: bool) -> None:
        if self.process is not None and not self._read_only:
            self.process.ask_for_live(wanted)
