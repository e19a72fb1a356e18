"""From interior and boundary probabilities to numbered objects."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

__all__ = ["instances_from_boundary"]


def instances_from_boundary(probabilities: np.ndarray, min_object_pixels: int = 16) -> np.ndarray:
    """Number the objects of an image.

    Parameters
    ----------
    probabilities
        ``(3, Y, X)``: background, interior of objects, boundary of objects.
    min_object_pixels
        Smaller objects are dropped.

    Returns
    -------
    np.ndarray
        ``(Y, X)``, int32: 0 background, objects 1, 2, ... in the order of their first pixel.
        Touching objects have different numbers and no gap between them.
    """
    interior = probabilities[1]
    foreground = probabilities[0] < 0.5
    seeds, _ = ndimage.label(interior > 0.5)
    labels = watershed(-interior, seeds, mask=foreground)  # type: ignore[no-untyped-call]
    return _number(labels, min_object_pixels)


def _number(labels: np.ndarray, min_object_pixels: int) -> np.ndarray:
    """Drop small objects and number the others 1, 2, ... in the order of their first pixel."""
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    keep = sizes >= max(min_object_pixels, 1)
    numbers = np.zeros(len(sizes), np.int32)
    values, first = np.unique(labels, return_index=True)
    ordered = [value for value in values[np.argsort(first)] if keep[value]]
    numbers[ordered] = np.arange(1, len(ordered) + 1)
    numbered: np.ndarray = numbers[labels]
    return numbered
