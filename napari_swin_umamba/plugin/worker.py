"""One run in a thread of its own: plain callables become Qt signals here."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass

from napari.qt.threading import WorkerBase, WorkerBaseSignals
from qtpy.QtCore import Signal

from napari_swin_umamba.errors import Cancelled, InputError
from napari_swin_umamba.plugin.job import LoadedModel, Progress, SegmentTask, run_segmentation
from napari_swin_umamba.plugin.result_layer import SegmentedSlice
from napari_swin_umamba.plugin.words import sentence

__all__ = ["Failure", "SegmentWorker"]

_REPORT_INTERVAL = 0.1
"""Seconds between two updates of the progress bar: more would only keep the window busy."""


@dataclass(frozen=True)
class Failure:
    """Why a run yielded nothing."""

    message: str
    """One or two sentences: what happened, what to do."""
    details: str = ""
    """Traceback, for whoever is asked for help; empty if the message says it all."""


class _Signals(WorkerBaseSignals):
    progress = Signal(object)  # Progress
    ended = Signal(object)  # SegmentedSlice, Failure, or None when it was stopped


class SegmentWorker(WorkerBase):
    """Runs a task; ``quit()`` (napari calls it when it closes) stops it before the next tile."""

    signals: _Signals

    def __init__(self, task: SegmentTask, models: LoadedModel) -> None:
        super().__init__(SignalsClass=_Signals)
        self._task = task
        self._models = models
        self._reported = 0.0

    def work(self) -> None:
        """Segment, and emit exactly one ``ended``."""
        outcome = self._outcome()
        self.signals.ended.emit(None if self.abort_requested else outcome)

    def _outcome(self) -> SegmentedSlice | Failure | None:
        try:
            return run_segmentation(
                self._task, self._models, self._report, lambda: self.abort_requested
            )
        except Cancelled:
            return None
        except InputError as error:
            return Failure(sentence(str(error)))
        except Exception as error:  # noqa: BLE001 - the end of the thread: show it, don't lose it
            return _failure(error)

    def _report(self, progress: Progress) -> None:
        now = time.monotonic()
        if not progress.fraction or now - self._reported >= _REPORT_INTERVAL:
            self._reported = now
            self.signals.progress.emit(progress)


def _failure(error: Exception) -> Failure:
    details = "".join(traceback.format_exception(error))
    # torch.OutOfMemoryError is a RuntimeError; its name is looked at so that torch is not imported.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return Failure(
            "Not enough memory. Close other programs or layers, or segment a smaller image.",
            details,
        )
    first_line = str(error).strip().splitlines()[:1]
    what = f"{type(error).__name__}: {first_line[0]}" if first_line else type(error).__name__
    return Failure(f"The run failed ({what}). Nothing was changed.", details)
