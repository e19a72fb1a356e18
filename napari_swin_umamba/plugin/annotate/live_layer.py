"""The layer that shows what a model in training sees: written again and again, never over paint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_swin_umamba.plugin.job_messages import Begun, SegmentedSlice, SegmentTask
from napari_swin_umamba.plugin.reruns import digest, may_write, note_written
from napari_swin_umamba.plugin.result_layer import (
    METADATA_KEY,
    label_dtype,
    place_result,
    slice_key,
)
from napari_swin_umamba.plugin.result_making import make_labels_layer
from napari_swin_umamba.plugin.transform import move_layer, result_transform

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["LiveLayer", "is_live"]

_MARK = "live"


def is_live(layer: Labels) -> bool:
    """Whether a layer is written again and again: nothing to take over from."""
    ours = layer.metadata.get(METADATA_KEY)
    return isinstance(ours, dict) and bool(ours.get(_MARK))


class LiveLayer:
    """One layer for one image and one training.

    Parameters
    ----------
    viewer
        Where it is shown.
    image
        What is predicted.
    name
        Of the layer.
    """

    def __init__(self, viewer: ViewerModel, image: Image, name: str) -> None:
        self._viewer, self.image, self._name = viewer, image, name
        self.layer: Labels | None = None
        self._kind: Any = None
        self._resting = False

    def write(self, task: SegmentTask, begun: Begun, result: SegmentedSlice) -> bool:
        """Show a slice; return False if a person painted there, so that it is left."""
        dtype = label_dtype(begun.plan, begun.instances)
        place = place_result(task.reading, dtype, position=result.position)
        kind = (place, np.dtype(dtype), begun.plan.classes, task.layout.fixed_axes)
        there = self.layer is not None and self.layer in self._viewer.layers
        if not there or kind != self._kind:
            self.remove()
            self._make(task, begun, np.zeros(place.shape, dtype), place.offset)
            self._kind = kind
        assert self.layer is not None
        if self._resting:
            self._resting, self.layer.visible = False, True
        key = place.only or slice_key(task.layout.fixed_axes, result.position)
        index = place.index(task.layout.target(result.position))
        if not may_write(self.layer, key, index):
            return False
        values = result.labels.astype(dtype)
        self.layer.data[index] = values
        note_written(self.layer, key, values, begun.run)
        move_layer(self.layer, self._transform(task, place.offset))
        self.layer.refresh(extent=False, highlight=False, thumbnail=False)
        return True

    def rest(self) -> None:
        """Empty and hide the layer until it is written to again, unless a person painted on it.

        Removing one takes napari half a second where no GPU draws, adding it again as long.
        """
        layer = self.layer
        if layer is None or layer not in self._viewer.layers or self._resting:
            return
        if not self._is_untouched(layer):
            layer.metadata[METADATA_KEY].pop(_MARK, None)
            self.layer = None  # it is the person's from now on
            return
        layer.visible, self._resting = False, True
        layer.metadata[METADATA_KEY]["slices"] = {}
        layer.data[...] = 0

    def remove(self) -> None:
        """Take the layer out of the viewer, unless a person painted on it."""
        layer, self.layer, self._resting = self.layer, None, False
        if layer is not None and layer in self._viewer.layers and self._is_untouched(layer):
            self._viewer.layers.remove(layer)

    @staticmethod
    def _is_untouched(layer: Labels) -> bool:
        written = layer.metadata.get(METADATA_KEY, {}).get("slices", {})
        ours = {item["digest"] for item in written.values()}
        planes = np.reshape(layer.data, (-1, *layer.data.shape[-2:]))
        return all(not plane.any() or digest(plane) in ours for plane in planes)

    def _transform(self, task: SegmentTask, offset: tuple[int, ...] | None) -> dict[str, Any]:
        return result_transform(self.image, task.reading.kept_axes, offset)

    def _make(
        self, task: SegmentTask, begun: Begun, data: np.ndarray, offset: tuple[int, ...] | None
    ) -> None:
        mark = {"image_id": str(self.image.unique_id), _MARK: True}
        transform = self._transform(task, offset)
        self.layer = make_labels_layer(self.image, begun, data, self._name, mark, transform)
        self.layer.opacity = 0.5
        selection = set(self._viewer.layers.selection)
        self._viewer.add_layer(self.layer)
        place = list(self._viewer.layers).index(self.image)
        self._viewer.layers.move(len(self._viewer.layers) - 1, place + 1)  # below what is painted
        if selection:
            self._viewer.layers.selection = selection
