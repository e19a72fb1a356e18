"""The layers that a run yields: name, values, colours, class names, size. Without napari."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from napari_swin_umamba.images.slices import Position
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.layer_view import Window
from napari_swin_umamba.plugin.reading import Reading

__all__ = [
    "LARGEST_LAYER",
    "METADATA_KEY",
    "Place",
    "class_colors",
    "class_features",
    "is_result",
    "label_dtype",
    "place_result",
    "result_name",
    "slice_key",
]

METADATA_KEY = "napari-swin-umamba"
"""Key of our entry in a layer's metadata."""

LARGEST_LAYER = 2**31
"""Bytes from which one slice gets a layer of its own, not one of the whole image's size."""

_UNNAMED_CLASS = "#999999"

Index = tuple[int | slice, ...]


@dataclass(frozen=True)
class Place:
    """A result layer's size, and where in the image it lies."""

    kind: Literal["image", "slice", "region"]
    """As large as the image, one slice of it, or a part of a slice."""
    shape: tuple[int, ...]
    offset: tuple[int, ...] | None = None
    """Position in the image of the layer's first pixel; None: the image's first."""
    only: str | None = None
    """The slice or the part of one that the layer is for; None: for all slices."""

    def index(self, target: Index) -> Index:
        """Turn an index into labels of the image's size into one into this layer."""
        if self.offset is None:
            return target
        return tuple(
            slice(item.start - start, item.stop - start)
            if isinstance(item, slice)
            else item - start
            for item, start in zip(target, self.offset, strict=True)
        )


def place_result(
    reading: Reading,
    dtype: np.dtype[Any],
    *,
    whole: bool = False,
    position: Position = (),
    window: Window | None = None,
    limit: int = LARGEST_LAYER,
) -> Place:
    """Decide on the layer for a result.

    As large as the image, so that slices gather in one layer that can be edited and saved. But one
    slice thick where only one is wanted of an image so large that such a layer could fill the
    memory, and as large as the region for a part of a slice.

    Parameters
    ----------
    reading
        What is segmented.
    dtype
        Type of the labels.
    whole
        All slices are segmented.
    position
        The slice, unless `whole`.
    window
        The part of the slice; None: all of it.
    limit
        Bytes that a layer of the image's size may take where one slice is wanted.
    """
    layout = reading.in_window(window)
    shape = layout.labels_shape
    too_large = bool(position) and math.prod(shape) * dtype.itemsize > limit
    if whole or (window is None and not too_large):
        return Place("image", shape)
    places = dict(zip(layout.fixed_axes, position, strict=True))
    spans = dict(zip(layout.plane, layout.bounds, strict=True))
    sizes, offset = [], []
    for axis in layout.kept_axes:
        start, stop = (places[axis], places[axis] + 1) if axis in places else spans[axis]
        sizes.append(stop - start)
        offset.append(start)
    only = slice_key(layout.fixed_axes, position)
    if window is not None:
        only += " " + " ".join(f"{start}-{stop}" for start, stop in window)
    return Place("slice" if window is None else "region", tuple(sizes), tuple(offset), only.strip())


def slice_key(axes: Sequence[int], position: Position) -> str:
    """Name of a slice within its image, ``""`` for a plain 2D image."""
    return " ".join(f"{axis}:{place}" for axis, place in zip(axes, position, strict=True))


def result_name(image: str, model: str) -> str:
    """Name of the Labels layer; napari adds a number if it is taken."""
    return f"{image} – {model}"


def is_result(layer: Any) -> bool:
    """Whether a run of ours made a layer: labels, or probabilities beside them."""
    return METADATA_KEY in layer.metadata


def label_dtype(plan: Plan, instances: bool) -> np.dtype[Any]:
    """Return the dtype of the layer: objects get room for more, classes one byte where it fits."""
    if instances:
        return np.dtype(np.int32)
    return np.dtype(np.uint8 if plan.num_classes <= 255 else np.int32)


def class_colors(plan: Plan) -> dict[int | None, str]:
    """Colour of each label value for ``DirectLabelColormap``; grey for values without a class."""
    colors: dict[int | None, str] = {None: _UNNAMED_CLASS, 0: "transparent"}
    return colors | {item.id: item.color for item in plan.label_classes[1:]}


def class_features(plan: Plan) -> dict[str, list[Any]]:
    """Features table of a Labels layer: napari shows the class name under the cursor."""
    return {
        "index": [item.id for item in plan.label_classes],
        "class": [item.name for item in plan.label_classes],
    }
