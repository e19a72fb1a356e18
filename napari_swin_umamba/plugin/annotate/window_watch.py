"""Notices that a window of napari is about to close, in time to save what was painted."""

from __future__ import annotations

import weakref
from typing import Any

from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMainWindow, QMessageBox, QWidget

__all__ = ["call_when_window_closes"]

_WATCHED = "napari_swin_umamba_watched"


class _WindowWatch(QObject):
    """Looks at widgets that come into a window, and at the end of such windows.

    Not a method of the widget, for the reason that ``dock_watch`` has.
    """

    def __init__(self) -> None:
        super().__init__()
        self.widgets: weakref.WeakSet[Any] = weakref.WeakSet()

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        """Begin to watch the window of a widget that is shown; save before a window closes."""
        kind = event.type()
        if kind == QEvent.Type.Show and watched in self.widgets:
            main = _main_window(watched.window())
            if main is not None and not main.property(_WATCHED):
                main.setProperty(_WATCHED, True)
                main.installEventFilter(self)
        elif kind == QEvent.Type.Close and watched.property(_WATCHED):
            alive = [one for one in self.widgets if isalive(one)]
            inside = [one for one in alive if _main_window(one.window()) is watched]
            for widget in inside:
                problem = widget.unsaved_problem()
                if problem and not _close_anyway(watched, problem):
                    event.ignore()
                    return True
        return False


_watch: _WindowWatch | None = None


def call_when_window_closes(widget: Any) -> None:
    """Have ``widget.unsaved_problem()`` called before napari's window closes.

    Where it returns a problem, the person is asked whether to close all the same.

    Parameters
    ----------
    widget
        Not yet docked.
    """
    global _watch
    if _watch is None:
        _watch = _WindowWatch()
    _watch.widgets.add(widget)
    widget.installEventFilter(_watch)


def _main_window(window: QWidget | None) -> QWidget | None:
    """The main window that a floating dock belongs to."""
    while window is not None and not isinstance(window, QMainWindow):
        parent = window.parentWidget()
        window = parent.window() if parent is not None else None
    return window


def _close_anyway(window: QWidget, problem: str) -> bool:
    box = QMessageBox(window)
    box.setIcon(QMessageBox.Icon.Warning)
    box.setWindowTitle("What you painted is not saved")
    box.setText(f"The last strokes could not be saved: {problem}")
    box.setInformativeText("Keep napari open, mend that, and they are saved by themselves.")
    keep = box.addButton("Keep napari open", QMessageBox.ButtonRole.RejectRole)
    lose = box.addButton("Close and lose them", QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(keep)
    box.setEscapeButton(keep)
    box.exec()
    return box.clickedButton() is lose
