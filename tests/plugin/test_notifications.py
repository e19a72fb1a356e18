"""Notifications in a real window: they appear, and Copy details fills the clipboard."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("napari")

MESSAGE = "Not enough memory. Close other programs or layers, or segment a smaller image."


@pytest.fixture
def shown(
    make_napari_viewer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], list[Any]]]:
    """The notifications over the canvas; connected as napari does when it starts."""
    from napari._qt.dialogs.qt_notification import NapariQtNotification
    from napari.utils.notifications import notification_manager

    monkeypatch.setattr(NapariQtNotification, "DISMISS_AFTER", 0)
    monkeypatch.setattr(NapariQtNotification, "FADE_IN_RATE", 0)
    make_napari_viewer(show=True)
    notification_manager.notification_ready.connect(NapariQtNotification.show_notification)
    yield lambda: list(NapariQtNotification._instances)
    notification_manager.notification_ready.disconnect(NapariQtNotification.show_notification)
    notification_manager.records.clear()
    for notification in list(NapariQtNotification._instances):
        notification.close()


def buttons(notification: Any) -> dict[str, Any]:
    from qtpy.QtWidgets import QPushButton

    found = notification.row2_widget.findChildren(QPushButton)
    return {button.text(): button for button in found}


@pytest.mark.parametrize("kind", ["info", "warning", "error"])
def test_without_details_there_is_only_the_message(
    kind: Any, shown: Callable[[], list[Any]]
) -> None:
    from napari.utils.notifications import notification_manager

    from napari_swin_umamba.plugin.notifications import notify

    notify(kind, MESSAGE)
    (notification,) = shown()
    assert notification.isVisible()
    assert notification.message.text() == MESSAGE
    assert notification.source_label.text() == "Source: Swin-UMamba"
    assert buttons(notification) == {}
    assert str(notification_manager.records[-1].severity) == kind


@pytest.mark.parametrize("message", [MESSAGE, f"It failed ({5 * 'a reason, '}). {MESSAGE}"])
def test_the_whole_message_is_seen(
    message: str, shown: Callable[[], list[Any]], qtbot: Any
) -> None:
    from napari_swin_umamba.plugin.notifications import notify

    notify("error", message, "details")
    (notification,) = shown()
    needed = notification.message.sizeHint().height
    qtbot.waitUntil(lambda: notification.message.height() >= needed() > 20)
    window = notification.parent().rect()
    assert window.contains(notification.geometry())


def test_a_notification_closed_at_once_is_left_alone(
    shown: Callable[[], list[Any]], qtbot: Any
) -> None:
    from napari_swin_umamba.plugin.notifications import notify

    notify("error", MESSAGE)
    (notification,) = shown()
    notification.close()
    qtbot.wait(400)


def test_copy_details_fills_the_clipboard(shown: Callable[[], list[Any]], qtbot: Any) -> None:
    import napari
    from qtpy.QtCore import Qt
    from qtpy.QtGui import QGuiApplication
    from qtpy.QtWidgets import QDialog

    from napari_swin_umamba import __version__
    from napari_swin_umamba.plugin.notifications import notify

    QGuiApplication.clipboard().clear()
    notify("error", MESSAGE, "Traceback (most recent call last):\nMemoryError")
    (notification,) = shown()
    dialogs = {id(w) for w in QGuiApplication.instance().topLevelWidgets() if _is(w, QDialog)}
    assert list(buttons(notification)) == ["Copy details"]  # and no View Traceback
    qtbot.mouseClick(buttons(notification)["Copy details"], Qt.MouseButton.LeftButton)

    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0] == MESSAGE
    assert "MemoryError" in lines
    assert f"napari-swin-umamba: {__version__}" in lines
    assert f"napari: {napari.__version__}" in lines
    assert any(line.startswith(("PyQt", "PySide")) and "Qt 6." in line for line in lines)
    assert {line.partition(":")[0] for line in lines[-2:]} == {"Python", "platform"}
    qtbot.waitUntil(lambda: not shown())  # it goes away: it has done what it was for
    after = {id(w) for w in QGuiApplication.instance().topLevelWidgets() if _is(w, QDialog)}
    assert after <= dialogs


def _is(widget: Any, kind: type) -> bool:
    return isinstance(widget, kind) and bool(widget.isVisible())


def test_a_broken_listener_breaks_nothing(qapp: Any, caplog: pytest.LogCaptureFixture) -> None:
    from napari.utils.notifications import notification_manager

    from napari_swin_umamba.plugin.notifications import notify

    def broken(_event: Any) -> None:
        raise OSError("no terminal")

    notification_manager.notification_ready.connect(broken)
    try:
        notify("warning", MESSAGE)
    finally:
        notification_manager.notification_ready.disconnect(broken)
    assert MESSAGE in caplog.text


def test_other_threads_are_refused(qapp: Any) -> None:
    from napari_swin_umamba.plugin.notifications import notify

    caught: list[BaseException] = []

    def work() -> None:
        try:
            notify("info", MESSAGE)
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(caught) == 1


@pytest.mark.window  # imports Qt
def test_without_an_application_it_is_kept() -> None:
    code = f"""
from napari.utils.notifications import notification_manager
from napari_swin_umamba.plugin.notifications import notify, versions
notify("error", {MESSAGE!r}, "details")
assert notification_manager.records[-1].message == {MESSAGE!r}
print(versions())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "napari-swin-umamba: " in done.stdout
