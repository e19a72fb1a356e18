"""One run at a time: starts threads, asks them for news, lets go of them cleanly."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from napari.layers import Image
from qtpy.QtCore import QObject, QTimer, Signal

from napari_swin_umamba.plugin.job import LoadedModel, Progress, SegmentTask
from napari_swin_umamba.plugin.result_layer import SegmentedSlice
from napari_swin_umamba.plugin.worker import Failure, SegmentThread

__all__ = ["Run", "Runner"]

_NEWS_INTERVAL = 50
"""Milliseconds between two questions for news: smooth, and rare enough to leave the window free."""


@dataclass(frozen=True, eq=False)
class Run:
    """A run in progress or just ended."""

    task: SegmentTask
    layer: Image
    """The layer that is segmented."""
    outcome: SegmentedSlice | Failure | None = None
    """What came of it; None: it was stopped, or goes on."""


class Runner(QObject):
    """Owns the thread of the run in progress, and the model used last."""

    progress = Signal(object)
    """A ``Progress``."""
    ended = Signal(object)
    """A :class:`Run` with its outcome; nothing is running any more."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.current: Run | None = None
        self._models = LoadedModel()
        self._thread: SegmentThread | None = None
        self._told: Progress | None = None
        self._news = QTimer(self)
        self._news.setInterval(_NEWS_INTERVAL)
        self._news.timeout.connect(self._ask_for_news)
        self._threads = set[SegmentThread]()
        # Once Qt has deleted this object nobody is left to take a result; no method of ours then.
        self.destroyed.connect(partial(_stop_all, self._threads))

    def start(self, task: SegmentTask, layer: Image) -> None:
        """Begin a run in a thread of its own; call only while nothing runs."""
        assert self.current is None
        self.current = Run(task, layer)
        self._thread = SegmentThread(task, self._models)
        self._threads.add(self._thread)
        self._thread.start()
        self._news.start()

    def stop(self) -> None:
        """Ask the run to stop before its next tile; ``ended`` follows."""
        if self._thread is not None:
            self._thread.stop()

    def abandon(self) -> None:
        """Stop the run without waiting for its end, and free the model."""
        self.stop()
        self._let_go()
        self._models = LoadedModel()

    def _ask_for_news(self) -> None:
        thread, run = self._thread, self.current
        if thread is None or run is None:
            return
        if thread.progress is not self._told and thread.progress is not None:
            self._told = thread.progress
            self.progress.emit(thread.progress)
        if thread.ended:
            self._let_go()
            self.ended.emit(replace(run, outcome=thread.outcome))

    def _let_go(self) -> None:
        self._news.stop()
        if self._thread is not None:
            self._threads.discard(self._thread)
        self.current = self._thread = self._told = None


def _stop_all(threads: set[SegmentThread], _deleted: QObject | None = None) -> None:
    for thread in threads:
        thread.stop()
