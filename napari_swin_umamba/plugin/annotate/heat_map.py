"""An image layer that shows where predictions of a slice disagree. It is never saved."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image
from napari.utils.colormaps import Colormap, ensure_colormap
from qtpy.QtCore import QObject, Signal

from napari_swin_umamba.plugin.annotate.annotation_layer import TRANSFORM_EVENTS
from napari_swin_umamba.plugin.annotate.image_files import kept_axes
from napari_swin_umamba.plugin.annotate.open_image import OpenImage
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.touched import slice_index
from napari_swin_umamba.plugin.result_layer import METADATA_KEY
from napari_swin_umamba.plugin.transform import move_layer, result_transform
from napari_swin_umamba.project import Slice

__all__ = ["HeatMap"]

_KEPT_BYTES = 500_000_000
_OPACITY = 0.8


def _colors() -> Colormap:
    """Inferno that fades to nothing: what the model is sure of stays to be seen."""
    shares = np.linspace(0, 1, 256)
    colors = ensure_colormap("inferno").map(shares)
    colors[:, 3] = shares**0.5
    return Colormap(colors, name="disagreement")


class HeatMap(QObject):
    """Keeps maps of slices, and shows those of the image shown while it is on."""

    removed = Signal()
    """A person removed the layer: it is off."""

    def __init__(self, opened: OpenProject, parent: QObject) -> None:
        super().__init__(parent)
        self._opened = opened
        self._maps: dict[Slice, np.ndarray] = {}
        self._bytes = 0
        self._on = False
        self.layer: Image | None = None
        self._image: OpenImage | None = None
        opened.images.shown.connect(self._on_shown)
        opened.viewer.layers.events.removed.connect(self._on_removed)
        opened.closed.connect(self._shut_down)

    def knows(self, wanted: Slice) -> bool:
        """Whether there is a map of a slice."""
        return wanted in self._maps

    @property
    def empty(self) -> bool:
        """Whether there are no maps."""
        return not self._maps

    def clear(self) -> None:
        """Forget all maps."""
        self._maps.clear()
        self._bytes = 0
        if self.layer is not None:
            self.layer.data[...] = 0
            self._refresh()

    def add(self, where: Slice, pixels: np.ndarray) -> None:
        """Keep the map of a slice, and show it; not if there is no room for more.

        Parameters
        ----------
        where
            The slice.
        pixels
            (rows, columns), uint8.
        """
        if self._bytes + pixels.nbytes > _KEPT_BYTES:
            return
        self._maps[where] = pixels
        self._bytes += pixels.nbytes
        if self.layer is not None:
            self._write(where)
            self._refresh()

    def set_on(self, on: bool) -> None:
        """Show the maps, or do not."""
        self._on = on
        self._show()

    def _show(self) -> None:
        """Have a layer of the image shown, or none."""
        image = self._opened.images.shown_image if self._on else None
        if self._image is not image:
            self._take_away()
        if image is None or self.layer is not None:
            return
        kept = kept_axes(image.image_layer, image.reference)
        layer = Image(
            np.zeros(image.reference.label_shape, np.uint8),  # memory is used where it is written
            name=f"{image.reference.name} – where predictions disagree",
            contrast_limits=(0, 255),
            colormap=_colors(),
            blending="translucent",
            opacity=_OPACITY,
            metadata={METADATA_KEY: {"heat_map_of": image.reference.id}},
            **result_transform(image.image_layer, kept),
        )
        self.layer, self._image = layer, image
        for where in self._maps:
            self._write(where)
        layers = self._opened.viewer.layers
        selection = set(layers.selection)
        self._opened.viewer.add_layer(layer)
        painted = image.annotation.layer
        if painted in layers:  # below what is painted, above predictions
            layers.move(len(layers) - 1, list(layers).index(painted))
        layers.selection = selection
        for name in TRANSFORM_EVENTS:
            getattr(image.image_layer.events, name).connect(self._on_image_moved)

    def _take_away(self) -> None:
        layer, image = self.layer, self._image
        self.layer = self._image = None
        if image is not None:
            for name in TRANSFORM_EVENTS:
                getattr(image.image_layer.events, name).disconnect(self._on_image_moved)
        if layer is not None and layer in self._opened.viewer.layers:
            self._opened.viewer.layers.remove(layer)

    def _write(self, where: Slice) -> None:
        image_id, position = where
        if self.layer is None or self._image is None or self._image.reference.id != image_id:
            return
        self.layer.data[slice_index(self._image.reference, position)] = self._maps[where]

    def _refresh(self) -> None:
        if self.layer is not None:
            self.layer.refresh(extent=False, highlight=False, thumbnail=False)

    def _on_shown(self, _image_id: str) -> None:
        self._show()

    def _on_image_moved(self, _event: Any) -> None:
        if self.layer is not None and self._image is not None:
            kept = kept_axes(self._image.image_layer, self._image.reference)
            move_layer(self.layer, result_transform(self._image.image_layer, kept))

    def _on_removed(self, event: Any) -> None:
        if self.layer is not None and event.value == self.layer:
            self._on = False
            self._take_away()
            self.removed.emit()

    def _shut_down(self) -> None:
        self._opened.viewer.layers.events.removed.disconnect(self._on_removed)
        self._on = False
        self._take_away()
        self._maps.clear()
