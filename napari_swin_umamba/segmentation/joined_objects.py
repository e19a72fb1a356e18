"""Objects that are two by their shape, though nothing shows a border between them.

Where nuclei press against each other, the network may see no boundary. Their outline has a waist
all the same. So an object that is far from convex is divided at its waists, if what results is
nearer to it (docs/decisions/0015). Waists are found as passes between peaks of the distance to the
outline, the classical watershed of binary shapes (Soille, Morphological Image Analysis, ch. 9).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from napari_swin_umamba.segmentation.convexity import convexity, mean_convexity

__all__ = ["divide_joined_objects"]

_CONVEX = 0.92
"""Fill their hull enough to be one object for certain."""
_NEARLY_CONVEX = 0.85
"""Parts must fill so much of their hulls on average: bends and rings have no better halves."""
_GAIN = 0.03
"""By how much the parts must be more convex than the whole."""
_WAIST = 0.1
"""How much lower a pass between two peaks must be, relative to the highest peak."""
_SMALLEST = 60
"""Pixels of an object that has a shape to speak of."""
_SMALLEST_PART = 20
_EIGHT = np.ones((3, 3), bool)


def divide_joined_objects(labels: np.ndarray) -> np.ndarray:
    """Divide the objects whose shape is that of several convex ones.

    Parameters
    ----------
    labels
        ``(Y, X)`` integers: 0 background, other values one object each.

    Returns
    -------
    np.ndarray
        A copy, in which parts of divided objects have numbers of their own: the first keeps the
        object's, others follow on the largest. What is not background stays so.
    """
    divided: np.ndarray = labels.copy()
    following = int(labels.max(initial=0)) + 1
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        inside = np.pad(labels[box] == number, 1)  # the edge of the box is an edge of the object
        parts = _parts(inside)[1:-1, 1:-1]
        for part in range(2, int(parts.max()) + 1):
            divided[box][parts == part] = following
            following += 1
    return divided


def _parts(inside: np.ndarray) -> np.ndarray:
    """Number the parts of a shape, 1 where it is one object; 0 outside."""
    whole = inside.astype(np.int32)
    if np.count_nonzero(inside) < _SMALLEST:
        return whole
    before = convexity(inside)
    if before > _CONVEX:
        return whole
    # Smoothed: single pixels of the outline make no waist.
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(inside), 1.0) * inside
    # Where not even small peaks are several, as in most objects, high ones need no search.
    if ndimage.label(inside & (depth == ndimage.maximum_filter(depth, 3)), _EIGHT)[1] < 2:
        return whole
    peaks, count = ndimage.label(h_maxima(depth, _WAIST * depth.max()), _EIGHT)
    if count < 2:
        return whole
    parts: np.ndarray = watershed(-depth, peaks, mask=inside)
    sizes = np.bincount(parts.ravel())[1:]
    if sizes.min() < _SMALLEST_PART:
        return whole
    after = [convexity(parts == part) for part in range(1, count + 1)]
    mean = mean_convexity(sizes.tolist(), after)
    return parts if mean > max(before + _GAIN, _NEARLY_CONVEX) else whole
