"""Numbers of objects, one for each, without gaps."""

from __future__ import annotations

import numpy as np

__all__ = ["number_in_order"]


def number_in_order(labels: np.ndarray, min_pixels: float = 1) -> np.ndarray:
    """Drop small objects and number the others 1, 2, ... in the order of their first pixel.

    Parameters
    ----------
    labels
        ``(Y, X)`` integers: 0 background, other values one object each.
    min_pixels
        Objects of fewer pixels become background.

    Returns
    -------
    np.ndarray
        ``(Y, X)``, int32.
    """
    pixels = labels.ravel()
    sizes = np.bincount(pixels)
    keep = sizes >= max(min_pixels, 1)
    keep[0] = False
    # Of values assigned to one place the last stays: backwards, that is the first pixel.
    first = np.zeros(len(sizes), np.intp)
    first[pixels[::-1]] = np.arange(len(pixels) - 1, -1, -1)
    kept = np.flatnonzero(keep)
    numbers = np.zeros(len(sizes), np.int32)
    numbers[kept[np.argsort(first[kept])]] = np.arange(1, len(kept) + 1)
    numbered: np.ndarray = numbers[labels]
    return numbered
