"""One run at a time: starts workers, passes on what they say, lets go of them cleanly."""

from __future__ import annotations

from dataclasses import dataclass

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_swin_umamba.plugin.job import LoadedModel, SegmentTask
from napari_swin_umamba.plugin.result_layer import SegmentedSlice
from napari_swin_umamba.plugin.worker import Failure, SegmentWorker

__all__ = ["Run", "Runner"]


@dataclass(frozen=True, eq=False)
class Run:
    """A run in progress or just ended."""

    task: SegmentTask
    layer: Image
    """The layer that is segmented."""
    outcome: SegmentedSlice | Failure | None = None
    """What came of it; None: it was stopped, or goes on."""


class Runner(QObject):
    """Owns the worker of the run in progress and the model used last."""

    progress = Signal(object)
    """A ``Progress``."""
    ended = Signal(object)
    """A :class:`Run` with its outcome; nothing is running any more."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.current: Run | None = None
        self._models = LoadedModel()
        self._worker: SegmentWorker | None = None
        # Once Qt has deleted this object nobody is left to take a result; no method of ours then.
        workers = self._workers = set[SegmentWorker]()
        self.destroyed.connect(lambda: [worker.quit() for worker in workers])

    def start(self, task: SegmentTask, layer: Image) -> None:
        """Begin a run in a thread of its own; call only while nothing runs."""
        assert self.current is None
        self.current = Run(task, layer)
        self._worker = SegmentWorker(task, self._models)
        self._workers.add(self._worker)
        self._worker.signals.progress.connect(self.progress)
        self._worker.signals.ended.connect(self._on_ended)
        self._worker.start()

    def stop(self) -> None:
        """Ask the run to stop before its next tile; ``ended`` follows."""
        if self._worker is not None:
            self._worker.quit()

    def abandon(self) -> None:
        """Stop the run without waiting for its end, and free the model."""
        self.stop()
        self._let_go()
        self._models = LoadedModel()

    def _on_ended(self, outcome: SegmentedSlice | Failure | None) -> None:
        run = self.current
        self._let_go()
        if run is not None:
            self.ended.emit(Run(run.task, run.layer, outcome))

    def _let_go(self) -> None:
        if self._worker is not None:
            self._worker.signals.progress.disconnect(self.progress)
            self._worker.signals.ended.disconnect(self._on_ended)
            self._workers.discard(self._worker)
        self.current = self._worker = None
