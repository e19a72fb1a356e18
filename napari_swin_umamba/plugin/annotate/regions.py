"""A region drawn over a layer, as a mask of pixels. Without napari."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["region_mask"]


def region_mask(
    corners: np.ndarray, plane: tuple[int, int], shape: tuple[int, ...]
) -> tuple[tuple[Any, ...], np.ndarray]:
    """Pixels inside a polygon in a plane of an array.

    Parameters
    ----------
    corners
        (n, ndim), in pixels. Along the axes that are none of the plane's, all are the same.
    plane
        The axes it was drawn in, ascending.
    shape
        Of the array.

    Returns
    -------
    tuple
        Index of the smallest box that holds the region, and which of its pixels are inside.
    """
    from skimage.draw import polygon2mask

    index: list[Any] = [
        int(np.clip(np.round(corners[0, axis]), 0, size - 1)) for axis, size in enumerate(shape)
    ]
    spans = []
    for axis in plane:
        start = int(np.clip(np.floor(corners[:, axis].min()), 0, shape[axis]))
        stop = int(np.clip(np.ceil(corners[:, axis].max()) + 1, start, shape[axis]))
        index[axis] = slice(start, stop)
        spans.append((start, stop))
    (top, bottom), (left, right) = spans
    inside = corners[:, list(plane)] - (top, left)
    return tuple(index), polygon2mask((bottom - top, right - left), inside)
