"""Lets a person click something on the canvas, and draw a region around something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Shapes
from qtpy.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["ClickTool", "RegionTool"]

_REGION_NAME = "region to accept"


class ClickTool(QObject):
    """While it is on, clicks on a layer are told and do not paint."""

    clicked = Signal(tuple)
    """Index of the pixel, along the layer's axes."""
    ended = Signal()
    """It was switched off by something else: a tool of napari was chosen."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._layer: Labels | None = None
        self._mode = "pan_zoom"

    @property
    def on(self) -> bool:
        """Whether clicks are told."""
        return self._layer is not None

    def start(self, layer: Labels) -> None:
        """Begin to listen."""
        self.stop()
        self._layer, self._mode = layer, str(layer.mode)
        layer.mode = "pan_zoom"
        layer.mouse_drag_callbacks.append(self._on_press)
        layer.events.mode.connect(self._on_mode)

    def stop(self) -> None:
        """Listen no more; the layer's tool is again what it was."""
        if self._layer is None:
            return
        layer, self._layer = self._layer, None
        layer.events.mode.disconnect(self._on_mode)
        if self._on_press in layer.mouse_drag_callbacks:
            layer.mouse_drag_callbacks.remove(self._on_press)
        if layer.editable and str(layer.mode) == "pan_zoom":
            layer.mode = self._mode

    def _on_mode(self, _event: Any) -> None:
        if self._layer is not None and str(self._layer.mode) != "pan_zoom":
            self.stop()
            self.ended.emit()

    def _on_press(self, layer: Labels, event: Any) -> None:
        if event.button != 1 or len(event.dims_displayed) != 2:
            return
        place = np.round(layer.world_to_data(event.position)).astype(int)
        if all(0 <= one < size for one, size in zip(place, layer.data.shape, strict=True)):
            self.clicked.emit(tuple(int(one) for one in place))


class RegionTool(QObject):
    """Lets a person draw around something, in a layer that goes as soon as they have."""

    drawn = Signal(object)
    """Corners of the region, (n, ndim), in pixels of the layer it was drawn over."""
    ended = Signal()
    """No region is being drawn any more."""

    def __init__(self, viewer: ViewerModel, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._shapes: Shapes | None = None
        self._over: Labels | None = None

    @property
    def on(self) -> bool:
        """Whether a region is being drawn."""
        return self._shapes is not None

    def start(self, over: Labels, tool: str) -> None:
        """Let the person draw.

        Parameters
        ----------
        over
            The layer.
        tool
            ``"add_polygon_lasso"`` or ``"add_rectangle"``.
        """
        self.stop()
        self._over = over
        self._shapes = Shapes(
            ndim=over.ndim,
            name=_REGION_NAME,
            scale=over.scale,
            translate=over.translate,
            rotate=over.rotate,
            shear=over.shear,
            affine=over.affine,
            units=over.units,
            axis_labels=over.axis_labels,
            edge_color="#e69f00",
            face_color="#e69f0033",
            edge_width=0.5,
        )
        self._viewer.add_layer(self._shapes)
        self._viewer.layers.selection.active = self._shapes
        self._shapes.mode = tool
        self._shapes.events.data.connect(self._on_data)
        self._viewer.layers.events.removed.connect(self._on_removed)

    def stop(self) -> None:
        """Take the drawing away."""
        if self._shapes is None:
            return
        shapes, self._shapes = self._shapes, None
        shapes.events.data.disconnect(self._on_data)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        if shapes in self._viewer.layers:
            self._viewer.layers.remove(shapes)
        if self._over is not None and self._over in self._viewer.layers:
            self._viewer.layers.selection.active = self._over
        self.ended.emit()

    def _on_data(self, event: Any) -> None:
        if str(getattr(event, "action", "")) not in ("added", "ActionType.ADDED"):
            return
        QTimer.singleShot(0, self._take)  # napari is still at work on its shape

    def _take(self) -> None:
        if self._shapes is None or not self._shapes.data:
            return
        corners = np.asarray(self._shapes.data[-1], dtype=float)
        self.stop()
        self.drawn.emit(corners)

    def _on_removed(self, event: Any) -> None:
        if event.value == self._shapes:
            self.stop()
