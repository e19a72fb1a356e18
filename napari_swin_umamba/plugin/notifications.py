"""Messages as napari's own notifications, over the canvas and wherever else napari puts them.

The dock says the same (docs/decisions/0032); this is for whoever does not look at the dock.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import napari
import qtpy
from napari.utils.notifications import Notification, NotificationSeverity, notification_manager
from qtpy.QtCore import QCoreApplication, QThread, QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QApplication, QWidget

from napari_swin_umamba import __version__

__all__ = ["NotificationKind", "notify", "versions"]

NotificationKind = Literal["info", "warning", "error"]

_logger = logging.getLogger(__name__)

_SLID_IN = 300
"""Milliseconds until napari has moved a notification to its place."""
_UNFOLDED = 200
"""Milliseconds until it is unfolded."""


class _Notification(Notification):
    """Says who speaks; napari would show the address of its notification manager."""

    @property
    def source(self) -> str:
        return "Swin-UMamba"


def notify(kind: NotificationKind, message: str, details: str = "") -> None:
    """Show a notification, with *Copy details* if there are any.

    Where no window is open, napari only keeps it in its records and, by the person's settings,
    prints it. An error shown like this has no traceback dialog: the details hold what it would say.

    Parameters
    ----------
    kind
        The severity; a person may have set napari to show none below a certain one.
    message
        One or two sentences: what happened and, above all, what to do.
    details
        What *Copy details* copies, between the message and the versions of what is installed.

    Raises
    ------
    RuntimeError
        Called from another thread than the window's.
    """
    application = QCoreApplication.instance()
    if application is not None and application.thread() != QThread.currentThread():
        raise RuntimeError("notify() is for the window's thread")

    def copy(_widget: Any = None) -> None:  # napari hands over what shows the notification
        _copy(f"{message}\n\n{details}\n\n{versions()}\n")

    actions = (("Copy details", copy),) if details else ()
    notification = _Notification(message, NotificationSeverity(kind), actions)
    try:
        notification_manager.dispatch(notification)
        _unfold(message)
    except Exception:  # whoever listens, a broken message must not break what it is about
        _logger.exception("napari did not show: %s", message)


def _unfold(message: str) -> None:
    """Show the whole message: napari shows its first line, and what to do is in the second."""
    if not isinstance(QCoreApplication.instance(), QApplication):
        return
    for widget in QApplication.allWidgets():
        label, expand = getattr(widget, "message", None), getattr(widget, "expand", None)
        if type(widget).__name__ != "NapariQtNotification" or label is None or expand is None:
            continue
        if label.text() == message and not widget.property("expanded"):
            _later(widget, _SLID_IN, expand)
            _later(widget, _SLID_IN + _UNFOLDED, partial(_show_rest, widget))


def _show_rest(widget: Any) -> None:
    """Make room for the last lines: napari reckons with a wider text."""
    rest = widget.message.sizeHint().height() - widget.message.height()
    if rest > 0:
        widget.setGeometry(widget.geometry().adjusted(0, -rest, 0, 0))


def _later(widget: QWidget, milliseconds: int, slot: Callable[[], object]) -> None:
    timer = QTimer(widget)  # its child, so that both go together
    timer.setSingleShot(True)
    timer.timeout.connect(slot)
    timer.start(milliseconds)


def versions() -> str:
    """Return the versions that matter to whoever is asked for help, one a line."""
    binding = qtpy.PYSIDE_VERSION if qtpy.API_NAME.startswith("PySide") else qtpy.PYQT_VERSION
    lines = {
        "napari-swin-umamba": __version__,
        "napari": napari.__version__,
        qtpy.API_NAME: f"{binding} (Qt {qtpy.QT_VERSION})",
        "Python": platform.python_version(),
        "platform": platform.platform(),
    }
    return "\n".join(f"{name}: {version}" for name, version in lines.items())


def _copy(text: str) -> None:
    clipboard = QGuiApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)
