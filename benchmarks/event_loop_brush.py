"""napari's brush, drawn by the mouse as fast as the canvas follows, for ``event_loop.py``."""

from __future__ import annotations

import math
import time
from typing import Any

from event_loop_scenarios import Studio
from napari.layers import Labels
from qtpy.QtCore import QEvent, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

__all__ = ["Brush"]

_INTERVAL_MS = 15
"""Between two moves, at least: vispy drops those that come sooner than 10 ms after the last."""
_MOVES_A_STROKE = 40


class Brush:
    """Paints strokes in circles.

    Parameters
    ----------
    studio
        The window.
    layer
        To paint on; the slice shown.
    """

    def __init__(self, studio: Studio, layer: Labels) -> None:
        self._studio, self._layer = studio, layer
        self._canvas = studio.viewer.window._qt_viewer.canvas
        self._canvas._scene_canvas.events.draw.connect(self._on_drawn, position="last")
        self._timer = QTimer()
        self._timer.timeout.connect(self._move)
        self._moved: float | None = None
        self._moves = 0
        self._frames: list[float] = []

    def draw(self, seconds: float) -> list[float]:
        """Paint for some time.

        Parameters
        ----------
        seconds
            How long.

        Returns
        -------
        list of float
            Seconds from each move of the mouse until the canvas was drawn with it.
        """
        layer = self._layer
        layer.mode, layer.brush_size, layer.selected_label = "paint", 8, 1
        self._studio.viewer.layers.selection.active = layer
        self._studio.live(0.2)
        self._frames, self._moved, self._moves = [], None, 0
        self._timer.start(_INTERVAL_MS)
        self._studio.live(seconds)
        self._timer.stop()
        self._send(QEvent.Type.MouseButtonRelease, Qt.MouseButton.LeftButton, pressed=False)
        self._studio.live(0.2)
        return self._frames

    def put_away(self) -> None:
        """Take the tool away."""
        self._layer.mode = "pan_zoom"
        self._canvas._scene_canvas.events.draw.disconnect(self._on_drawn)

    def _move(self) -> None:
        if self._moved is not None:  # the last move is not drawn yet
            return
        kinds = QEvent.Type
        if self._moves % _MOVES_A_STROKE == 0:
            if self._moves:
                self._send(kinds.MouseButtonRelease, Qt.MouseButton.LeftButton, pressed=False)
            self._send(kinds.MouseMove, Qt.MouseButton.NoButton, pressed=False)
            self._send(kinds.MouseButtonPress, Qt.MouseButton.LeftButton, pressed=True)
        self._moves += 1
        self._moved = time.perf_counter()
        self._send(kinds.MouseMove, Qt.MouseButton.NoButton, pressed=True)

    def _on_drawn(self, _event: Any) -> None:
        if self._moved is not None:
            self._frames.append(time.perf_counter() - self._moved)
            self._moved = None

    def _send(self, kind: QEvent.Type, button: Qt.MouseButton, pressed: bool) -> None:
        rows, columns = self._layer.data.shape[-2:]
        angle = 2 * math.pi * self._moves / 31
        reach = 0.1 + 0.3 * (self._moves // _MOVES_A_STROKE % 5) / 5
        row = rows * (0.5 + reach * math.sin(angle))
        column = columns * (0.5 + reach * math.cos(angle))
        visual = self._canvas.layer_to_visual[self._layer].node
        x, y = visual.get_transform("visual", "canvas").map([column, row])[:2]
        native, place = self._canvas.native, QPointF(float(x), float(y))
        there = QPointF(native.mapToGlobal(place.toPoint()))
        buttons = Qt.MouseButton.LeftButton if pressed else Qt.MouseButton.NoButton
        modifiers = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(native, QMouseEvent(kind, place, there, button, buttons, modifiers))
