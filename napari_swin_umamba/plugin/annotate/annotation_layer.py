"""The Labels layer that is painted on, and what is heard of it: every change, whoever made it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from napari.layers import Image, Labels

from napari_swin_umamba.plugin.annotate.image_files import kept_axes
from napari_swin_umamba.plugin.annotate.looks import OPACITY, first_value, layer_looks
from napari_swin_umamba.plugin.annotate.stored_annotation import StoredAnnotation
from napari_swin_umamba.plugin.annotate.touched import slice_index, touched_slices
from napari_swin_umamba.plugin.transform import move_layer, result_transform
from napari_swin_umamba.project import Settings
from napari_swin_umamba.project.annotation import Position

__all__ = ["MARK", "TRANSFORM_EVENTS", "AnnotationLayer", "is_annotation"]

MARK = "napari-swin-umamba-annotation"
"""Key in a layer's metadata: the id of the image that is annotated."""
_HISTORY = ("_undo_history", "_redo_history")
_KEPT = (
    "brush_size",
    "contiguous",
    "contour",
    "n_edit_dimensions",
    "name",
    "opacity",
    "preserve_labels",
    "show_selected_label",
)
TRANSFORM_EVENTS = ("affine", "rotate", "scale", "shear", "translate", "units")
"""Of a layer, when it is put somewhere else."""


def is_annotation(layer: Any) -> bool:
    """Whether a layer is an annotation of a project."""
    return isinstance(layer, Labels) and MARK in layer.metadata


class AnnotationLayer:
    """A Labels layer that lies on an image, follows it, and tells which slices changed.

    Parameters
    ----------
    image_layer
        What is annotated.
    data
        What was painted so far.
    stored
        The files behind it.
    settings
        Of the project.
    on_change
        Called with the slices that changed, at the end of each stroke, undo and the like; with
        None if that is not known.
    read_only
        Nothing can be painted.
    """

    def __init__(
        self,
        image_layer: Image,
        data: np.ndarray,
        stored: StoredAnnotation,
        settings: Settings,
        on_change: Callable[[Iterable[Position] | None], None],
        read_only: bool = False,
    ) -> None:
        self.image_layer = image_layer
        self.stored = stored
        self.on_change = on_change
        self._kept = kept_axes(image_layer, stored.image)
        self._read_only = read_only
        self.layer = self._make(data, settings)
        self.layer.selected_label = first_value(settings)
        self.data: Any = self.layer.data
        """The array that is saved: the layer's, unless a person gave the layer another size."""
        self._painted: set[Position] = set()
        self._painted_largest = 0
        self._tops = self._history_tops()
        self._connect()

    def renew(self, settings: Settings) -> None:
        """Make another layer in place of one that left the viewer, with its undo steps.

        napari gives a layer that comes back its tools a second time, without taking the first ones
        away: a click would count twice.

        Parameters
        ----------
        settings
            Of the project.
        """
        old, data = self.layer, self.data
        self.disconnect()
        self.layer = self._make(data, settings)
        for name in (*_KEPT, "selected_label"):
            setattr(self.layer, name, getattr(old, name))
        for name in _HISTORY:  # napari's own; where it is not there, the steps are lost
            if old.data is data and hasattr(old, name):
                setattr(self.layer, name, getattr(old, name))
        self.data = self.layer.data
        self._tops = self._history_tops()
        self._connect()

    def _make(self, data: np.ndarray, settings: Settings) -> Labels:
        layer = Labels(
            data,
            name=f"{self.stored.image.name} – annotation",
            metadata={MARK: self.stored.image.id},
            opacity=OPACITY,
            **result_transform(self.image_layer, self._kept),
            **layer_looks(settings),
        )
        layer.editable = not self._read_only
        return layer

    def _connect(self) -> None:
        events = self.layer.events
        events.paint.connect(self._on_paint)
        events.set_data.connect(self._on_shown_anew)
        events.data.connect(self._on_data)
        for name in TRANSFORM_EVENTS:
            getattr(self.image_layer.events, name).connect(self._on_image_moved)

    @property
    def fits(self) -> bool:
        """Whether the layer holds an annotation of this image; not if it got other data."""
        data = self.layer.data
        whole = np.dtype(getattr(data, "dtype", "O")).kind in "bui"
        return whole and tuple(getattr(data, "shape", ())) == self.stored.image.label_shape

    @property
    def largest(self) -> int:
        """The largest value that any slice ever held, be it on disk yet or not."""
        for position in self._painted:
            here = self.layer.data[slice_index(self.stored.image, position)]
            self._painted_largest = max(self._painted_largest, int(np.max(here, initial=0)))
        self._painted.clear()
        return max(self.stored.largest, self._painted_largest)

    def image_axes(self, letters: str) -> tuple[int, ...]:
        """Axes of the image layer, by the letters that the project has for them."""
        return tuple(self._kept[self.stored.image.label_axes.index(axis)] for axis in letters)

    def disconnect(self) -> None:
        """Hear no more."""
        self.layer.events.paint.disconnect(self._on_paint)
        self.layer.events.set_data.disconnect(self._on_shown_anew)
        self.layer.events.data.disconnect(self._on_data)
        for name in TRANSFORM_EVENTS:
            getattr(self.image_layer.events, name).disconnect(self._on_image_moved)

    def _on_paint(self, event: Any) -> None:
        self._tops = self._history_tops()
        touched = touched_slices(self.stored.image, event.value)
        self._painted |= touched  # napari may tell of it before the array has changed
        self.on_change(touched)

    def _on_shown_anew(self, _event: Any) -> None:
        """Undo and redo tell nobody, but the layer is drawn anew and its history is another."""
        tops = self._history_tops()
        if tops == self._tops:
            self.on_change(())  # perhaps a program wrote into the array: the slice shown tells
            return
        self._tops = tops
        changed: set[Position] = set()
        for name in _HISTORY:
            for item in list(getattr(self.layer, name, ()))[-1:]:
                changed |= touched_slices(self.stored.image, item)
        self.on_change(changed)

    def _on_data(self, _event: Any) -> None:
        """Another array: all of it may differ."""
        if self.fits:
            self.data = self.layer.data
        self.on_change(None)

    def _on_image_moved(self, _event: Any) -> None:
        move_layer(self.layer, result_transform(self.image_layer, self._kept))

    def _history_tops(self) -> tuple[int, ...]:
        """What undo and redo would do next, by identity; napari's own, so it may not be there."""
        tops = []
        for name in _HISTORY:
            history = getattr(self.layer, name, None)
            tops += [len(history), id(history[-1])] if history else [0, 0]
        return tuple(tops)
