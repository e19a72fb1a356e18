"""A napari that paints by mouse events until it is killed, and notes when each stroke ended.

Run with a folder, which must hold ``project``, and a seed. Every stroke has a cell of a slice to
itself. Each line of ``strokes.jsonl`` is one stroke: the clock (monotonic, the same for all
processes) at its end, the slice, the cell's first row and column, and the cell's checksum.
"""

from __future__ import annotations

import json
import os
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import napari
import numpy as np
from qtpy.QtCore import QEvent, QPointF, QSettings, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_swin_umamba.plugin.annotate.annotate_widget import AnnotateWidget

CELL = 12
"""Rows and columns of a stroke's cell."""


def main() -> None:
    folder = Path(sys.argv[1])
    user = QSettings.Scope.UserScope
    QSettings.setPath(QSettings.Format.IniFormat, user, str(folder / "settings"))
    napari.settings.get_settings(folder / "napari.yaml")
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(900, 700)
    dock = AnnotateWidget(viewer)
    viewer.window.add_dock_widget(dock)
    dock.open_project(folder / "project")
    wait_for(lambda: bool(dock.opened.images.current))
    layer = dock.opened.annotation_layer()
    rng = np.random.default_rng(int(sys.argv[2]))
    slices, rows, columns = layer.data.shape
    cells = [
        (place, row, column)
        for place in range(slices)
        for row in range(0, rows, CELL)
        for column in range(0, columns, CELL)
    ]
    rng.shuffle(cells)
    with open(folder / "strokes.jsonl", "w", encoding="utf-8") as log:
        for place, row, column in cells:
            viewer.dims.set_current_step(0, place)
            layer.selected_label = int(rng.integers(1, 4))
            paint(viewer, layer, rng.uniform(2, CELL - 3, (4, 2)) + (row, column))
            cell = layer.data[place, row : row + CELL, column : column + CELL]
            check = zlib.crc32(np.ascontiguousarray(cell, np.int32).tobytes())
            json.dump([time.monotonic(), int(place), int(row), int(column), check], log)
            log.write("\n")
            log.flush()
            os.fsync(log.fileno())
    wait_for(lambda: False)


def paint(viewer: Any, layer: Any, corners: np.ndarray) -> None:
    viewer.layers.selection.active = layer
    layer.mode, layer.brush_size = "paint", 2
    QApplication.processEvents()
    canvas = viewer.window._qt_viewer.canvas
    transform = canvas.layer_to_visual[layer].node.get_transform("visual", "canvas")
    places = [QPointF(*map(float, transform.map([x, y])[:2])) for y, x in corners + 0.5]
    left, up = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    send(canvas.native, QEvent.Type.MouseButtonPress, places[0], left, left)
    for place in places[1:]:
        until = time.monotonic() + 0.015  # vispy drops moves that come sooner
        wait_for(lambda until=until: time.monotonic() > until)
        send(canvas.native, QEvent.Type.MouseMove, place, up, left)
    send(canvas.native, QEvent.Type.MouseButtonRelease, places[-1], left, up)


def send(native: Any, kind: Any, place: Any, button: Any, buttons: Any) -> None:
    there = QPointF(native.mapToGlobal(place.toPoint()))
    none = Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(native, QMouseEvent(kind, place, there, button, buttons, none))


def wait_for(condition: Any) -> None:
    while not condition():
        QApplication.processEvents()
        time.sleep(0.001)


if __name__ == "__main__":
    main()
