"""Which axes of a layer are those of a volume that a model prepares as a whole. Without Qt."""

from __future__ import annotations

import numpy as np

from napari_swin_umamba.images import Image, StoredGrid
from napari_swin_umamba.plan import VolumePlan
from napari_swin_umamba.plugin.layer_view import LayerView
from napari_swin_umamba.segmentation.volume_frame import VolumeFrame, frame_of

__all__ = ["frame_of_layer", "letters_of_layer"]

_TIME_LABELS = frozenset({"t", "time", "frame", "frames"})


def letters_of_layer(view: LayerView, channel_axis: int | None) -> str:
    """Return a letter for each axis of a layer: C, Z, Y, X, and T for whatever else there is.

    The last three axes in space are z, y, x, unless labels name them in another order.
    """
    letters = ["T"] * len(view.shape)
    if channel_axis is not None:
        letters[channel_axis] = "C"
    space = [
        axis
        for axis in range(len(view.shape))
        if axis != channel_axis
        and view.axis_labels[axis].lower() not in _TIME_LABELS
        and not view.units[axis].endswith("second")
    ][-3:]
    names = "ZYX"[-len(space) :]
    labels = [view.axis_labels[axis].upper() for axis in space]
    for axis, letter in zip(
        space, labels if sorted(labels) == sorted(names) else names, strict=True
    ):
        letters[axis] = letter
    return "".join(letters)


def frame_of_layer(
    view: LayerView, channel_axis: int | None, plan: VolumePlan
) -> tuple[VolumeFrame, str, tuple[str, ...]]:
    """Return the axes of a layer in a network's order, the letters of all, and what was assumed.

    As :func:`napari_swin_umamba.segment` decides for the file that the layer was opened from.
    """
    letters = letters_of_layer(view, channel_axis)
    space = [letters.index(letter) for letter in "ZYX" if letter in letters]
    grid = affine = None
    if len(view.stored_order) == len(space):
        grid = StoredGrid(view.stored_order)
        affine = np.diag([*(float(view.directions[axis]) for axis in space), 1.0])
    values = np.broadcast_to(np.zeros((), np.uint8), view.shape)
    frame, notes = frame_of(plan, letters, Image(values, letters, affine=affine, grid=grid))
    return frame, letters, notes
