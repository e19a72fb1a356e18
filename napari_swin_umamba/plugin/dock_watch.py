"""Notices that napari takes a widget out of a dock that was closed."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject

__all__ = ["call_when_undocked"]


class _DockWatch(QObject):
    """Looks at the events of widgets.

    Not a method of the widget: Qt calls it while Python collects the widget's remains, which ends
    the program.
    """

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        """Tell a widget that was in a dock and is in none any more."""
        if event.type() == QEvent.Type.ParentChange:
            callback = getattr(watched, _CALLBACK, None)
            if callback is not None and watched.parent() is not None:
                watched.setProperty("docked", True)
            elif callback is not None and watched.property("docked"):
                watched.removeEventFilter(self)
                callback()
        return False


_CALLBACK = "shut_down"
_watch: _DockWatch | None = None


def call_when_undocked(widget: Any) -> None:
    """Have ``widget.shut_down()`` called when napari closes its dock.

    Parameters
    ----------
    widget
        Not yet docked.
    """
    global _watch
    if _watch is None:
        _watch = _DockWatch()
    widget.installEventFilter(_watch)
