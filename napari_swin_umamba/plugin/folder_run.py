"""A run over a folder: the dialog's choice on one side, a sentence for the dock on the other."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_swin_umamba.plugin.folder_job import FolderTask, describe_summary, run_folder
from napari_swin_umamba.plugin.loaded_model import LoadedModel
from napari_swin_umamba.plugin.runner import Runner
from napari_swin_umamba.plugin.worker import Failure

__all__ = ["FolderRun"]


class FolderRun(QObject):
    """Segments the images of one folder at a time."""

    progress = Signal(object)
    """A ``Progress``."""
    ended = Signal(str, str, str)
    """Kind of notice, what became of the folder, and details of a failure."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._runner = Runner(self)
        self._task: FolderTask | None = None
        self._runner.progress.connect(self.progress)
        self._runner.ended.connect(self._finish)

    @property
    def running(self) -> bool:
        """Whether a folder is being segmented."""
        return self._runner.running

    def start(self, task: FolderTask, models: LoadedModel) -> None:
        """Begin; call only while nothing runs."""
        self._task = task
        self._runner.start(partial(run_folder, task, models))

    def stop(self) -> None:
        """Ask it to stop before the next tile; ``ended`` follows."""
        self._runner.stop()

    def shut_down(self) -> None:
        """Stop without waiting."""
        self._runner.abandon()

    def _finish(self, outcome: Any) -> None:
        task, self._task = self._task, None
        assert task is not None
        if isinstance(outcome, Failure):
            self.ended.emit("error", outcome.message, outcome.details)
        elif outcome is None:
            self.ended.emit("hint", "Stopped; the files that were done stay.", "")
        else:
            kind = "warning" if outcome.failed or outcome.problem else "done"
            self.ended.emit(kind, describe_summary(outcome, task.labels), "")
