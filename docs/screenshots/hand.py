"""The hand of a person: clicks, menus, dialogs and strokes, by events of mouse and keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QFileDialog,
    QLineEdit,
    QListWidget,
    QScrollArea,
    QToolButton,
    QWidget,
)
from studio import Studio

Pixels = Sequence[tuple[float, float]]
"""Rows and columns that a stroke goes through."""

_LEFT, _NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton


class Hand:
    """Works in the window of a studio."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def look_at(self, widget: QWidget) -> None:
        """Scroll the dock until a widget is seen."""
        self.studio.wait(0.1)  # until it has its place
        above = widget.parentWidget()
        while above is not None and not isinstance(above, QScrollArea):
            above = above.parentWidget()
        if isinstance(above, QScrollArea):
            above.ensureWidgetVisible(widget, 0, 8)
        self.studio.wait(0.1)

    def click(self, button: QAbstractButton) -> None:
        """Click a button.

        Raises
        ------
        RuntimeError
            A person could not click it.
        """
        self.look_at(button)
        if not (button.isVisible() and button.isEnabled()):
            raise RuntimeError(f"“{button.text()}” cannot be clicked: {button.toolTip()}")
        QTest.mouseClick(button, _LEFT, pos=button.rect().center())
        self.studio.wait(0.1)

    def tick(self, box: QAbstractButton, on: bool = True) -> None:
        """Tick a box, or unfold a heading; or the other way round."""
        if box.isChecked() != on:
            self.look_at(box)
            # On the box itself: the rest of the row may be wider than what is clickable.
            QTest.mouseClick(box, _LEFT, pos=box.rect().center() - box.rect().center() / 2)
            self.studio.wait(0.1)
        if box.isChecked() != on:
            raise RuntimeError(f"“{box.text()}” cannot be changed: {box.toolTip()}")

    def choose(self, combo: QComboBox, text: str) -> None:
        """Choose the entry of a list that begins with some words."""
        texts = [combo.itemText(index) for index in range(combo.count())]
        index = next(i for i, one in enumerate(texts) if one.startswith(text))
        combo.setCurrentIndex(index)
        combo.activated.emit(index)
        self.studio.wait(0.1)

    def click_row(self, items: QListWidget, row: int) -> None:
        """Click a row of a list."""
        self.look_at(items)
        place = items.visualItemRect(items.item(row)).center()
        QTest.mouseClick(items.viewport(), _LEFT, pos=place)
        self.studio.wait(0.05)

    def menu(self, button: QToolButton, text: str) -> None:
        """Choose an entry of a button's menu."""
        menu = button.menu()
        menu.aboutToShow.emit()
        next(one for one in menu.actions() if text in one.text()).trigger()
        self.studio.wait(0.1)

    def in_dialog(self, button: QAbstractButton, fill: Callable[[Any], None]) -> None:
        """Click a button and do something in the dialog that it opens.

        Parameters
        ----------
        button
            Opens it.
        fill
            Gets the dialog; must close it.
        """
        self.then(fill)
        self.click(button)

    def then(self, fill: Callable[[Any], None]) -> None:
        """Do something in the next dialog, as soon as it is there; it must be closed."""

        def look() -> None:
            dialog = QApplication.activeModalWidget()
            if dialog is None or not dialog.isVisible():
                QTimer.singleShot(50, look)
                return
            try:
                fill(dialog)
            except Exception:
                dialog.close()
                raise

        QTimer.singleShot(50, look)

    def write(self, edit: QLineEdit, text: str) -> None:
        """Type into a line, in place of what is there."""
        edit.selectAll()
        QTest.keyClicks(edit, text)

    def with_file(self, button: QAbstractButton, path: Path) -> None:
        """Click a button that asks for a file, and choose one."""
        before = QFileDialog.getSaveFileName, QFileDialog.getOpenFileName

        def answer(*_: Any) -> tuple[str, str]:
            return str(path), ""

        QFileDialog.getSaveFileName = QFileDialog.getOpenFileName = answer
        try:
            self.click(button)
        finally:
            QFileDialog.getSaveFileName, QFileDialog.getOpenFileName = before

    def stroke(self, layer: Any, pixels: Pixels, size: int = 3) -> None:
        """Draw a stroke on the canvas, with the label that is chosen.

        Parameters
        ----------
        layer
            A Labels layer.
        pixels
            Corners of the stroke.
        size
            Of the brush.
        """
        self.studio.viewer.layers.selection.active = layer
        layer.mode, layer.brush_size = "paint", size
        self._drag(layer, pixels)

    def click_pixel(self, layer: Any, pixel: tuple[float, float]) -> None:
        """Click a pixel of a layer, with the tool that is chosen."""
        self._drag(layer, [pixel])
        self.studio.wait(0.2)

    def _drag(self, layer: Any, pixels: Pixels) -> None:
        self.studio.wait(0.02)
        canvas = self.studio.viewer.window._qt_viewer.canvas
        transform = canvas.layer_to_visual[layer].node.get_transform("visual", "canvas")
        places = [QPointF(*map(float, transform.map([x + 0.5, y + 0.5])[:2])) for y, x in pixels]
        kinds = QEvent.Type
        _send(canvas.native, kinds.MouseMove, places[0], _NONE, _NONE)
        _send(canvas.native, kinds.MouseButtonPress, places[0], _LEFT, _LEFT)
        for place in places[1:]:
            self.studio.wait(0.015)  # vispy drops moves that come sooner
            _send(canvas.native, kinds.MouseMove, place, _NONE, _LEFT)
        _send(canvas.native, kinds.MouseButtonRelease, places[-1], _LEFT, _NONE)
        self.studio.wait(0.01)


def _send(native: Any, kind: Any, place: QPointF, button: Any, buttons: Any) -> None:
    there = QPointF(native.mapToGlobal(place.toPoint()))
    none = Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(native, QMouseEvent(kind, place, there, button, buttons, none))
    time.sleep(0.001)
