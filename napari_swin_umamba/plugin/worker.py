"""Work in a thread of its own. No Qt: the window asks for news, the thread never calls it.

napari's thread workers (superqt's ``WorkerBase``) are not used: they swap Python's process-wide
warning filters while they run, which breaks ``warnings.catch_warnings`` in the window's thread,
and they emit signals of objects that the window may be deleting (docs/decisions/0032).
"""

from __future__ import annotations

import atexit
import queue
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from napari_swin_umamba.errors import Cancelled, InputError, is_out_of_memory
from napari_swin_umamba.plugin.words import sentence

__all__ = ["Channel", "Failure", "JobThread", "Progress", "Question", "Work"]

_EXIT_PATIENCE = 30.0
"""Seconds that the end of the program waits for the tile in progress."""
_WAITING = 8
"""Results that may wait for the window; the work waits when there are more. Few: slices that are
known already come in fast, and while the window makes the layers, it and the work share Python."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands."""

    text: str
    fraction: float | None = None
    """Between 0 and 1; None: not known."""


@dataclass(frozen=True)
class Failure:
    """Why a run ended early."""

    message: str
    """One or two sentences: what happened, what to do."""
    details: str = ""
    """Traceback, for whoever is asked for help; empty if the message says it all."""


class Question:
    """A result that the work waits for an answer to."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.answer: Any = None

    def reply(self, answer: Any) -> None:
        """Let the work go on; for the window's thread."""
        self.answer = answer
        self.answered.set()


class Channel:
    """What the work in a thread uses to speak to the window, and to hear whether to stop."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._results: queue.Queue[Any] = queue.Queue(_WAITING)
        self.progress: Progress | None = None
        """The latest news."""

    def report(self, progress: Progress) -> None:
        """Say where the work stands."""
        self.progress = progress

    def deliver(self, result: Any) -> None:
        """Hand over a result; waits while the window has many to take.

        Raises
        ------
        Cancelled
            The work is to stop.
        """
        while True:
            self.stop_if_asked()
            try:
                self._results.put(result, timeout=0.1)
                return
            except queue.Full:
                continue

    def ask(self, question: Question) -> Any:
        """Hand over a question and wait for the window's answer.

        Raises
        ------
        Cancelled
            The work is to stop.
        """
        self.deliver(question)
        while not question.answered.wait(0.05):
            self.stop_if_asked()
        return question.answer

    def should_stop(self) -> bool:
        """Whether the work is to stop."""
        return self._stop.is_set()

    def stop_if_asked(self) -> None:
        """Raise if the work is to stop.

        Raises
        ------
        Cancelled
            It is.
        """
        if self._stop.is_set():
            raise Cancelled("stopped")

    def stop(self) -> None:
        """Ask the work to stop; for the window's thread."""
        self._stop.set()

    def results(self) -> Iterator[Any]:
        """Take the results that wait, oldest first; for the window's thread."""
        while True:
            try:
                yield self._results.get_nowait()
            except queue.Empty:
                return

    @property
    def has_results(self) -> bool:
        """Whether results wait."""
        return not self._results.empty()


Work = Callable[[Channel], Any]
"""What runs in a thread; its return value is the outcome."""


class JobThread:
    """Runs a piece of work. All methods are for the window's thread."""

    def __init__(self, work: Work) -> None:
        self.channel = Channel()
        self._work = work
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="swin-umamba", daemon=True)
        self.outcome: Any = None
        """What came of it, once :attr:`ended`: what the work returned, a :class:`Failure`, or
        None if it was stopped."""

    @property
    def ended(self) -> bool:
        """Whether the work is over."""
        return self._ended.is_set()

    def start(self) -> None:
        """Begin."""
        atexit.register(self._stop_at_exit)
        self._thread.start()

    def stop(self) -> None:
        """Ask the work to stop before its next tile; its outcome, if any, is dropped."""
        self.channel.stop()

    def _run(self) -> None:
        outcome = self._outcome()
        self.outcome = None if self.channel.should_stop() else outcome
        self._ended.set()
        atexit.unregister(self._stop_at_exit)

    def _outcome(self) -> Any:
        try:
            return self._work(self.channel)
        except Cancelled:
            return None
        except InputError as error:
            return Failure(sentence(str(error)))
        except Exception as error:  # noqa: BLE001 - the end of the thread: show it, don't lose it
            return _failure(error)

    def _stop_at_exit(self) -> None:
        # A thread that is still inside a kernel when Python shuts down can abort the program.
        self.channel.stop()
        self._thread.join(_EXIT_PATIENCE)


def _failure(error: Exception) -> Failure:
    details = "".join(traceback.format_exception(error))
    if is_out_of_memory(error):
        return Failure(
            "Not enough memory. Close other programs or layers, choose CPU under Options, or "
            "segment the visible region only.",
            details,
        )
    if isinstance(error, OSError):
        reason = f"{error.strerror}: {error.filename}" if error.filename else str(error)
        return Failure(
            f"A file could not be read ({reason}). What was finished is kept. Look whether its "
            "disk is connected, then run again.",
            details,
        )
    first_line = str(error).strip().splitlines()[:1]
    what = f"{type(error).__name__}: {first_line[0]}" if first_line else type(error).__name__
    return Failure(
        f"The run failed ({what}). What was finished is kept. Copy the details and report it.",
        details,
    )
