"""Gaps of a timer in Qt's event loop, and how long methods keep the window's thread."""

from __future__ import annotations

import functools
import gc
import importlib
import inspect
import pkgutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, QTimer

TICK_MS = 5


class Recorder:
    """Records while it is on."""

    def __init__(self) -> None:
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._last = self._seconds = 0.0
        self._recording = False
        self._gaps: list[float] = []
        self._slots: dict[str, list[float]] = {}
        self._computed: dict[str, float] = {}
        self._nested: dict[str, float] = {}
        self._depth = 0
        self._apart: dict[str, float] = {}
        self._apart_now = self._apart_computing_now = 0.0
        self._collecting_since = self._collecting = 0.0
        gc.callbacks.append(self._on_collection)
        self.notes: dict[str, float] = {}
        """Further figures of what was recorded last, by what they are."""

    @contextmanager
    def on(self) -> Iterator[None]:
        """Record what happens inside."""
        self._gaps, self._slots, self._computed, self._nested, self._apart = [], {}, {}, {}, {}
        self.notes, self._collecting = {}, 0.0
        self._last = start = time.perf_counter()
        self._recording = True
        self._timer.start(TICK_MS)
        try:
            yield
        finally:
            self._timer.stop()
            self._recording = False
            self._seconds = time.perf_counter() - start

    def summary(self) -> dict[str, Any]:
        """Return the figures, in milliseconds, of what was recorded last."""
        gaps = np.array(self._gaps) * 1000
        slots = {name: max(times) * 1000 for name, times in self._slots.items()}
        return {
            "seconds": self._seconds,
            "ticks": len(gaps),
            "gap_median_ms": float(np.median(gaps)),
            "gap_p99_ms": float(np.percentile(gaps, 99)),
            "gap_max_ms": float(gaps.max()),
            "gap_share_over_50_ms": float(gaps[gaps > 50].sum() / gaps.sum()),
            "slot_max_ms": max(slots.values(), default=0.0),
            # Beside the time that passed, that of the thread itself: it waits for others, too.
            "slot_max_computing_ms": max(self._computed.values(), default=0.0) * 1000,
            "slots_ms": _largest_first(slots),
            "slots_computing_ms": _largest_first(_ms(self._computed)),
            "methods_ms": _largest_first(_ms(self._nested)),
            "apart_ms": _ms(self._apart),
            # Python's own pauses, in whichever thread: a part of gaps and of slots.
            "longest_collection_ms": 1000 * self._collecting,
            "notes": self.notes,
        }

    def _on_collection(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_since = time.perf_counter()
        else:
            took = time.perf_counter() - self._collecting_since
            self._collecting = max(self._collecting, took)

    def _tick(self) -> None:
        now = time.perf_counter()
        self._gaps.append(now - self._last)
        self._last = now

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Time the calls of a function in the main thread; a slot is one that Qt calls."""
        parameters = inspect.signature(function).parameters.values()
        # PyQt passes as many arguments of a signal as the slot takes, by trial and error.
        most = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
        if any(p.kind == p.VAR_POSITIONAL for p in parameters):
            most = None  # type: ignore[assignment]

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            args = args[:most]
            if not self._recording or threading.current_thread() is not threading.main_thread():
                return function(*args, **kwargs)
            self._depth += 1
            start, start_computing = time.perf_counter(), time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                took = time.perf_counter() - start
                self._depth -= 1
                self._nested[name] = max(took, self._nested.get(name, 0.0))
                if self._depth == 0:
                    self._slots.setdefault(name, []).append(took - self._apart_now)
                    computed = time.thread_time() - start_computing - self._apart_computing_now
                    self._apart_now = self._apart_computing_now = 0.0
                    self._computed[name] = max(computed, self._computed.get(name, 0.0))

        return run

    def time_apart(self, kind: type, name: str) -> None:
        """Count the time in a method of napari not as that of the slot that calls it."""
        function = getattr(kind, name)

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            if not self._recording or self._depth == 0:
                return function(*args, **kwargs)
            start, start_computing = time.perf_counter(), time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                took = time.perf_counter() - start
                self._apart[name] = max(took, self._apart.get(name, 0.0))
                self._apart_now += took
                self._apart_computing_now += time.thread_time() - start_computing

        setattr(kind, name, run)


def _ms(seconds: dict[str, float]) -> dict[str, float]:
    return {name: 1000 * value for name, value in seconds.items()}


def _largest_first(times: dict[str, float]) -> dict[str, float]:
    return dict(sorted(times.items(), key=lambda item: -item[1]))


def time_methods(package: str, recorder: Recorder) -> None:
    """Have the methods of all classes of a package timed, from outside."""
    folder = importlib.import_module(package)
    for module in pkgutil.iter_modules(folder.__path__, f"{package}."):
        loaded = importlib.import_module(module.name)
        for kind in vars(loaded).values():
            if inspect.isclass(kind) and kind.__module__ == module.name:
                for name, member in list(vars(kind).items()):
                    if isinstance(member, FunctionType) and not name.startswith("__"):
                        timed = recorder.timed(f"{kind.__name__}.{name}", member)
                        setattr(kind, name, timed)
