"""Chooses an image layer and follows the layer list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox

from napari_swin_umamba.plugin.parts import make_narrow
from napari_swin_umamba.plugin.result_layer import is_result

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["ImageCombo", "is_image"]

_LAYER_EVENTS = (
    "affine",
    "axis_labels",
    "data",
    "name",
    "rotate",
    "scale",
    "shear",
    "translate",
    "units",
)


def is_image(layer: Any) -> bool:
    """Whether a layer is an image to segment; our own layers of probabilities are none."""
    return isinstance(layer, Image) and not is_result(layer)


class ImageCombo(QComboBox):
    """The image layers by name."""

    chosen = Signal()
    """Another layer is chosen, or none."""
    changed = Signal()
    """The layer chosen was renamed, moved, or got other data."""
    removed = Signal(object)
    """A layer, of whatever kind, left the viewer."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._layers: list[Image] = []
        self._connected = False
        make_narrow(self)
        self.currentIndexChanged.connect(lambda _: self.chosen.emit())

    def layer(self) -> Image | None:
        """Return the layer chosen."""
        index = self.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def select(self, layer: Image) -> None:
        """Choose a layer of the viewer."""
        self.setCurrentIndex(self._layers.index(layer))

    def connect_viewer(self, remembered: str = "") -> None:
        """Follow the viewer; the layer active now is chosen, else the one of a name remembered."""
        if self._connected:
            return
        self._connected = True
        events = self._viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removed.connect(self._on_removed)
        events.reordered.connect(self._refill)
        self._refill()
        active = self._viewer.layers.selection.active
        named = [layer for layer in self._layers if layer.name == remembered]
        if is_image(active):
            self.select(active)
        elif named:
            self.select(named[0])

    def disconnect_viewer(self) -> None:
        """Stop following the viewer."""
        if not self._connected:
            return
        self._connected = False
        events = self._viewer.layers.events
        events.inserted.disconnect(self._on_inserted)
        events.removed.disconnect(self._on_removed)
        events.reordered.disconnect(self._refill)
        for layer in self._layers:
            self._listen(layer, False)
        self._layers = []

    def _on_inserted(self, event: Any) -> None:
        self._refill()
        # What a person has just opened is what they want to work on.
        if is_image(event.value) and self.isEnabled():
            self.select(event.value)

    def _on_removed(self, event: Any) -> None:
        self._refill()
        self.removed.emit(event.value)

    def _refill(self, _event: Any = None) -> None:
        chosen = self.layer()
        layers = [layer for layer in self._viewer.layers if is_image(layer)]
        for layer in self._layers:
            self._listen(layer, False)
        for layer in layers:
            self._listen(layer, True)
        self._layers = layers[::-1]  # the order of the layer list, topmost first
        self.blockSignals(True)
        self.clear()
        self.addItems([layer.name for layer in self._layers])
        self.setCurrentIndex(self._layers.index(chosen) if chosen in self._layers else 0)
        self.blockSignals(False)
        if self.layer() != chosen:
            self.chosen.emit()

    def _listen(self, layer: Image, listen: bool) -> None:
        for name in _LAYER_EVENTS:
            event = getattr(layer.events, name)
            slot = self._on_renamed if name == "name" else self._on_layer_event
            if listen:
                event.connect(slot)
            else:
                event.disconnect(slot)

    def _on_renamed(self, _event: Any) -> None:
        for index, layer in enumerate(self._layers):
            self.setItemText(index, layer.name)
        self.changed.emit()

    def _on_layer_event(self, event: Any) -> None:
        if event.source == self.layer():
            self.changed.emit()
