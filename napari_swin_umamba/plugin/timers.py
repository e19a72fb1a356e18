"""Timers of the window."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer

__all__ = ["make_timer"]


def make_timer(
    parent: QObject, interval: int, slot: Callable[[], object], repeat: bool = False
) -> QTimer:
    """Make a timer that somebody starts later; started again, it begins anew.

    Parameters
    ----------
    parent
        Whom it ends with.
    interval
        Milliseconds.
    slot
        What is called then.
    repeat
        Call it again and again, until the timer is stopped.
    """
    timer = QTimer(parent)
    timer.setSingleShot(not repeat)
    timer.setInterval(interval)
    timer.timeout.connect(slot)
    return timer
