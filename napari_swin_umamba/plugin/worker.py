"""One run in a thread of its own. No Qt: the window asks for news, the thread never calls it.

napari's thread workers (superqt's ``WorkerBase``) are not used: they swap Python's process-wide
warning filters while they run, which breaks ``warnings.catch_warnings`` in the window's thread,
and they emit signals of objects that the window may be deleting (docs/decisions/0032).
"""

from __future__ import annotations

import atexit
import threading
import traceback
from dataclasses import dataclass

from napari_swin_umamba.errors import Cancelled, InputError
from napari_swin_umamba.plugin.job import LoadedModel, Progress, SegmentTask, run_segmentation
from napari_swin_umamba.plugin.result_layer import SegmentedSlice
from napari_swin_umamba.plugin.words import sentence

__all__ = ["Failure", "SegmentThread"]

_EXIT_PATIENCE = 30.0
"""Seconds that the end of the program waits for the tile in progress."""


@dataclass(frozen=True)
class Failure:
    """Why a run yielded nothing."""

    message: str
    """One or two sentences: what happened, what to do."""
    details: str = ""
    """Traceback, for whoever is asked for help; empty if the message says it all."""


class SegmentThread:
    """Runs a task. All methods are for the window's thread."""

    def __init__(self, task: SegmentTask, models: LoadedModel) -> None:
        self._task = task
        self._models = models
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="swin-umamba", daemon=True)
        self.progress: Progress | None = None
        """The latest news."""
        self.outcome: SegmentedSlice | Failure | None = None
        """What came of it, once :attr:`ended`; None: it was stopped."""

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self._ended.is_set()

    def start(self) -> None:
        """Begin."""
        atexit.register(self._stop_at_exit)
        self._thread.start()

    def stop(self) -> None:
        """Ask the run to stop before its next tile; its result, if any, is dropped."""
        self._stop.set()

    def _work(self) -> None:
        outcome = self._outcome()
        self.outcome = None if self._stop.is_set() else outcome
        self._ended.set()
        atexit.unregister(self._stop_at_exit)

    def _outcome(self) -> SegmentedSlice | Failure | None:
        try:
            return run_segmentation(self._task, self._models, self._report, self._stop.is_set)
        except Cancelled:
            return None
        except InputError as error:
            return Failure(sentence(str(error)))
        except Exception as error:  # noqa: BLE001 - the end of the thread: show it, don't lose it
            return _failure(error)

    def _report(self, progress: Progress) -> None:
        self.progress = progress

    def _stop_at_exit(self) -> None:
        # A thread that is still inside a kernel when Python shuts down can abort the program.
        self._stop.set()
        self._thread.join(_EXIT_PATIENCE)


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
