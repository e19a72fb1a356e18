"""One job at a time: starts threads, asks them for news, lets go of them cleanly."""

from __future__ import annotations

import time

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from napari_swin_umamba.plugin.heap import collect_once
from napari_swin_umamba.plugin.worker import JobThread, Progress, Work

__all__ = ["Runner"]

_NEWS_INTERVAL = 50
"""Milliseconds between two questions for news: smooth, and rare enough to leave the window free."""
_TELLING_INTERVAL = 0.2
"""Seconds between two reports of progress: each has the window painted, where no GPU draws the
canvas too, and takes that time from the job."""
_TAKING_TIME = 0.02
"""Seconds spent on taking results before the window gets its turn again."""


class Runner(QObject):
    """Owns the thread of the job in progress."""

    progress = Signal(object)
    """A ``Progress``."""
    delivered = Signal(object)
    """A result, in the order in which the job handed them over."""
    news_taken = Signal()
    """What had come was delivered; said at each look, also when nothing had: what came in a burst
    before may wait for its turn to be drawn."""
    ended = Signal(object)
    """The outcome of the job; nothing is running any more."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._thread: JobThread | None = None
        self._told: Progress | None = None
        self._tell_from = 0.0
        self._news = QTimer(self)
        self._news.setInterval(_NEWS_INTERVAL)
        self._news.timeout.connect(self._ask_for_news)
        # Once Qt has deleted this object nobody is left to take a result. A function of the module:
        # one of the object's own would be called while Python takes the object apart.
        self.destroyed.connect(_stop_orphans)

    @property
    def running(self) -> bool:
        """Whether a job goes on."""
        return self._thread is not None

    def start(self, work: Work) -> None:
        """Begin a job in a thread of its own; call only while nothing runs."""
        assert self._thread is None
        self._thread = JobThread(work)
        _active.add(self)
        self._thread.start()
        self._news.start()

    def stop(self) -> None:
        """Ask the job to stop before its next step; ``ended`` follows."""
        if self._thread is not None:
            self._thread.stop()

    def abandon(self) -> None:
        """Stop the job without waiting for its end."""
        self.stop()
        self._let_go()

    def abandon_deleted(self) -> None:
        """Stop the job of an object that Qt has deleted."""
        self.stop()
        _active.discard(self)

    def _ask_for_news(self) -> None:
        thread = self._thread
        if thread is None:
            return
        ended = thread.ended  # before the results are taken: none can come after it
        progress, now = thread.channel.progress, time.perf_counter()
        if progress is not None and progress is not self._told and now > self._tell_from:
            self._told, self._tell_from = progress, now + _TELLING_INTERVAL
            self.progress.emit(progress)
        if not self._take_results(thread):
            return
        if ended and self._thread is thread:
            self._let_go()
            self.ended.emit(thread.outcome)
            QTimer.singleShot(0, collect_once)

    def _take_results(self, thread: JobThread) -> bool:
        """Pass results on for a moment; return whether all were taken with time to spare.

        A first result makes layers and an end shows a table: each gets a turn of its own.
        """
        until, in_time = time.perf_counter() + _TAKING_TIME, True
        for result in thread.channel.results():
            self.delivered.emit(result)
            if self._thread is not thread:  # a slot let go of the job
                return False
            if time.perf_counter() > until:
                in_time = False
                break
        self.news_taken.emit()
        return in_time and not thread.channel.has_results

    def _let_go(self) -> None:
        self._news.stop()
        _active.discard(self)
        self._thread = self._told = None
        self._tell_from = 0.0


_active: set[Runner] = set()
"""Those with a job in progress: kept, since Python must not collect them before its end."""


def _stop_orphans(_deleted: QObject | None = None) -> None:
    for runner in list(_active):
        if not isalive(runner):
            runner.abandon_deleted()
