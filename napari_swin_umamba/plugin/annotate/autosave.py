"""Writes in a thread of its own, soon after it was asked to, and again where the disk refused.

Without Qt: the window asks for news. What waits is kept by name, so that ten strokes on a slice are
one file; what failed stays and is tried again until it succeeds. Only monotonic time counts: the
computer's clock may be set meanwhile.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field

from napari_swin_umamba.errors import InputError

__all__ = ["Autosave"]

DELAY = 0.4
"""Seconds from the first stroke that waits to its file: time for more to come along."""
RETRY = 2.0
"""Seconds between two attempts at what the disk refused."""
PATIENCE = 60.0
"""Seconds that whoever wants everything on disk waits for it."""


@dataclass
class _Waiting:
    write: Callable[[], object]
    due: float
    problem: str = field(default="")


class Autosave:
    """A thread that writes. All methods are for the window's thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: dict[Hashable, _Waiting] = {}
        self._writing: Hashable | None = None
        self._written: list[Hashable] = []
        self._asked: set[Hashable] = set()
        self._closing = False
        self._at_end: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._run, name="swin-umamba-autosave", daemon=True)
        self._thread.start()
        atexit.register(self._flush_at_exit)

    @property
    def busy(self) -> bool:
        """Whether something is not on disk yet, or news was not asked for."""
        with self._condition:
            return bool(self._waiting) or self._writing is not None or bool(self._written)

    @property
    def problem(self) -> str:
        """Why something could not be written so far; empty if all goes well."""
        with self._condition:
            return self._problem()

    @property
    def unsaved(self) -> int:
        """Number of things that wait."""
        with self._condition:
            return len(self._waiting) + (self._writing is not None)

    def submit(self, name: Hashable, write: Callable[[], object]) -> None:
        """Have something written soon.

        Parameters
        ----------
        name
            What waits under the same name is replaced.
        write
            Writes what is there when it is called; raises ``InputError`` where it cannot.
        """
        with self._condition:
            known = self._waiting.get(name)
            if known is not None:
                known.write = write
            else:
                self._waiting[name] = _Waiting(write, time.monotonic() + DELAY)
            self._condition.notify_all()

    def take_written(self) -> list[Hashable]:
        """Return the names of what was written since the last time, oldest first."""
        with self._condition:
            written, self._written = self._written, []
        return written

    def flush(self, patience: float = PATIENCE) -> None:
        """Write all that waits, now.

        Parameters
        ----------
        patience
            Seconds to wait at most.

        Raises
        ------
        InputError
            Something could not be written; it goes on waiting.
        """
        until = time.monotonic() + patience
        with self._condition:
            self._asked = set(self._waiting)
            for waiting in self._waiting.values():
                waiting.due = 0.0
            self._condition.notify_all()
            while self._asked or self._writing is not None:
                if not self._condition.wait(until - time.monotonic()):
                    raise InputError(
                        "the disk has not answered; what was painted is kept in napari"
                    )
            if self._problem():
                raise InputError(self._problem())

    def close(self, at_end: Callable[[], object] = lambda: None) -> None:
        """End the thread once all is written; what the disk refuses goes on being tried.

        Parameters
        ----------
        at_end
            Called in the thread when nothing waits any more.
        """
        with suppress(InputError):
            self.flush()
        with self._condition:
            self._closing, self._at_end = True, at_end
            self._condition.notify_all()
        if not self.problem:
            self._thread.join(PATIENCE)

    def _flush_at_exit(self) -> None:
        if self._thread.is_alive():
            with suppress(InputError):
                self.flush()

    def _problem(self) -> str:
        return next((one.problem for one in self._waiting.values() if one.problem), "")

    def _run(self) -> None:
        while True:
            with self._condition:
                while (name := self._next()) is None:
                    if self._closing and not self._waiting:
                        self._end()
                        return
                    self._condition.wait(self._pause())
                waiting = self._waiting.pop(name)
                self._writing = name
                self._asked.discard(name)
            problem = _try(waiting.write)
            with self._condition:
                self._writing = None
                if problem:
                    retry = _Waiting(waiting.write, time.monotonic() + RETRY, problem)
                    newer = self._waiting.get(name)
                    if newer is not None:
                        retry.write = newer.write
                    self._waiting[name] = retry
                else:
                    self._written.append(name)
                self._condition.notify_all()

    def _end(self) -> None:
        atexit.unregister(self._flush_at_exit)
        self._at_end()

    def _next(self) -> Hashable | None:
        now = time.monotonic()
        due = (name for name, waiting in self._waiting.items() if waiting.due <= now)
        return next(due, None)

    def _pause(self) -> float | None:
        if not self._waiting:
            return None
        first = min(waiting.due for waiting in self._waiting.values())
        return max(0.0, first - time.monotonic())


def _try(write: Callable[[], object]) -> str:
    """Write; return why that did not work."""
    try:
        write()
    except InputError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, strokes must not be dropped for it
        return " ".join(f"{type(error).__name__}: {error}".split())
    return ""
