"""The Labels layer that a run yields: name, values, colours, class names, provenance."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.reading import Reading
from napari_swin_umamba.plugin.words import count, duration, sentence

__all__ = [
    "METADATA_KEY",
    "Placement",
    "Runtime",
    "SegmentedSlice",
    "class_colors",
    "class_features",
    "describe_done",
    "place_result",
    "result_name",
    "smallest_dtype",
]

METADATA_KEY = "napari-swin-umamba"
"""Key of our entry in a layer's metadata."""

LARGEST_LAYER = 2**31
"""Bytes from which a layer gets only the slice, not the whole image's size."""

_UNNAMED_CLASS = "#999999"


@dataclass(frozen=True)
class Runtime:
    """Where a run computed, in words."""

    text: str
    """Device and scan: ``Runs on: CPU, 2 threads · Numba scan``."""
    reason: str
    """Why this scan."""


@dataclass(frozen=True)
class SegmentedSlice:
    """What the worker hands back."""

    labels: np.ndarray
    """(rows, columns) integers: class ids, or object numbers counted from 1."""
    instances: bool
    """The labels number objects."""
    plan: Plan
    notes: tuple[str, ...] = ()
    """What was assumed on the way, in words."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Model, settings, device, versions: JSON values only."""
    seconds: float = 0.0
    runtime: Runtime | None = None


@dataclass(frozen=True)
class Placement:
    """A Labels layer's shape, and where in it a slice goes."""

    shape: tuple[int, ...]
    index: tuple[int | slice, ...]
    """Index of the slice in the layer's data."""
    offset: tuple[int, ...] | None
    """Position in the image of the layer's first pixel, if the layer holds one slice only."""
    slice_key: str
    """Name of the slice within the image."""


def place_result(reading: Reading, dtype: np.dtype[Any], limit: int = LARGEST_LAYER) -> Placement:
    """Decide on the layer for a slice.

    As large as the image, so that slices gather in one layer that can be edited and saved; but
    one slice thick where the image is so large that such a layer could fill the memory.

    Parameters
    ----------
    reading
        What was segmented.
    dtype
        Type of the labels.
    limit
        Bytes that a layer of the image's size may take.
    """
    shape = tuple(reading.view.shape[axis] for axis in reading.kept_axes)
    index = {axis: reading.view.index[axis] for axis in reading.fixed_axes}
    if not index or math.prod(shape) * dtype.itemsize <= limit:
        place = tuple(index.get(axis, slice(None)) for axis in reading.kept_axes)
        return Placement(shape, place, None, reading.slice_key)
    return Placement(
        shape=tuple(1 if axis in index else reading.view.shape[axis] for axis in reading.kept_axes),
        index=tuple(0 if axis in index else slice(None) for axis in reading.kept_axes),
        offset=tuple(index.get(axis, 0) for axis in reading.kept_axes),
        slice_key=reading.slice_key,
    )


def result_name(image: str, model: str) -> str:
    """Name of the Labels layer; napari adds a number if it is taken."""
    return f"{image} – {model}"


def smallest_dtype(segmented: SegmentedSlice) -> np.dtype[Any]:
    """Return the dtype of the layer: objects get room for more, classes one byte where it fits."""
    if segmented.instances:
        return np.dtype(np.int32)
    return np.dtype(np.uint8 if segmented.plan.num_classes <= 255 else np.int32)


def class_colors(plan: Plan) -> dict[int | None, str]:
    """Colour of each label value for ``DirectLabelColormap``; grey for values without a class."""
    colors: dict[int | None, str] = {None: _UNNAMED_CLASS, 0: "transparent"}
    return colors | {item.id: item.color for item in plan.classes[1:]}


def class_features(plan: Plan) -> dict[str, list[Any]]:
    """Features table of a Labels layer: napari shows the class name under the cursor."""
    return {
        "index": [item.id for item in plan.classes],
        "class": [item.name for item in plan.classes],
    }


def describe_done(segmented: SegmentedSlice, layer_name: str) -> str:
    """Say what was found: ``Found 124 objects in 3.2 s. Layer: “field 3 – nuclei”.``"""
    found = f"Found {_found(segmented)} in {duration(segmented.seconds)}. Layer: “{layer_name}”."
    return " ".join([found, *map(sentence, segmented.notes)])


def _found(segmented: SegmentedSlice) -> str:
    labels, plan = segmented.labels, segmented.plan
    if segmented.instances:
        return count(int(np.count_nonzero(np.bincount(labels.ravel(), minlength=1)[1:])), "object")
    pixels = np.bincount(labels.ravel(), minlength=plan.num_classes)
    found = [
        f"{item.name} {100 * pixels[item.id] / max(labels.size, 1):.1f} %"
        for item in plan.classes[1:]
        if pixels[item.id]
    ]
    return f"{', '.join(found)} of the pixels" if found else "nothing but background"
