"""Puts a result into the viewer: into our own layer if nobody changed it, else a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_swin_umamba.plugin.layer_view import data_to_world
from napari_swin_umamba.plugin.reading import Reading
from napari_swin_umamba.plugin.reruns import (
    find_layer,
    largest_number_elsewhere,
    note_written,
    origin,
)
from napari_swin_umamba.plugin.result_layer import (
    METADATA_KEY,
    Placement,
    SegmentedSlice,
    class_colors,
    class_features,
    place_result,
    result_name,
    smallest_dtype,
)
from napari_swin_umamba.plugin.transform import result_transform

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["add_result"]


def add_result(
    viewer: ViewerModel, image: Image, reading: Reading, segmented: SegmentedSlice
) -> Labels:
    """Show a segmented slice.

    Parameters
    ----------
    viewer
        Where `image` is a layer.
    image
        The layer that was segmented.
    reading
        The slice of it that was segmented.
    segmented
        The result.

    Returns
    -------
    Labels
        The layer written to: the one of an earlier run of the same model on the same image if
        nobody has changed this slice of it, else a new one.
    """
    dtype = smallest_dtype(segmented)
    placement = place_result(reading, dtype)
    source = origin(str(image.unique_id), segmented.provenance["model_path"])
    layer = find_layer(viewer.layers, placement, source, dtype)
    is_new = layer is None
    if layer is None:
        layer = _new_layer(image, reading, placement, segmented, source, dtype)
    values = segmented.labels.astype(dtype)
    if segmented.instances:
        values[values > 0] += largest_number_elsewhere(layer.data, placement)
    layer.data[placement.index] = values
    note_written(layer, placement, values)
    if is_new:
        viewer.add_layer(layer)
    else:
        layer.metadata[METADATA_KEY].update(segmented.provenance)
        _move_to(layer, image, reading, placement)
        layer.refresh()
    return layer


def _new_layer(
    image: Image,
    reading: Reading,
    placement: Placement,
    segmented: SegmentedSlice,
    source: dict[str, str],
    dtype: np.dtype[Any],
) -> Labels:
    looks: dict[str, Any] = {}
    if not segmented.instances:
        looks["colormap"] = DirectLabelColormap(color_dict=class_colors(segmented.plan))
        looks["features"] = class_features(segmented.plan)
    return Labels(
        np.zeros(placement.shape, dtype),
        name=result_name(image.name, segmented.provenance["model"]),
        metadata={METADATA_KEY: {**segmented.provenance, **source}},
        **result_transform(image, reading.kept_axes, placement.offset),
        **looks,
    )


def _move_to(layer: Labels, image: Image, reading: Reading, placement: Placement) -> None:
    """Follow an image that was moved or scaled since the earlier run."""
    transform = result_transform(image, reading.kept_axes, placement.offset)
    wanted = Labels(np.zeros((1,) * layer.ndim, layer.data.dtype), **transform)
    if layer.units == wanted.units and np.allclose(data_to_world(layer), data_to_world(wanted)):
        return
    for name, value in transform.items():
        setattr(layer, name, value)
