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
    sizes = np.bincount(labels.ravel())
    keep = sizes >= max(min_pixels, 1)
    keep[0] = False
    values, first = np.unique(labels, return_index=True)
    ordered = values[np.argsort(first)]
    ordered = ordered[keep[ordered]]
    numbers = np.zeros(len(sizes), np.int32)
    numbers[ordered] = np.arange(1, len(ordered) + 1)
    numbered: np.ndarray = numbers[labels]
    return numbered
