"""Holes in numbered objects."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

__all__ = ["fill_holes"]

_EIGHT = np.ones((3, 3), bool)


def fill_holes(labels: np.ndarray) -> np.ndarray:
    """Give the background that one object encloses to that object.

    Parameters
    ----------
    labels
        ``(Y, X)`` integers: 0 background, other values one object each.

    Returns
    -------
    np.ndarray
        A copy with holes filled. Background that reaches the edge of the image, or touches two
        objects, is no hole. Objects' pixels hang together by their sides, so the background does
        by its corners as well: an outline with a gap as small as that encloses nothing.
    """
    filled: np.ndarray = labels.copy()
    pieces = np.zeros(labels.shape, np.int32)
    count = ndimage.label(labels == 0, _EIGHT, output=pieces)
    if count == 0:
        return filled
    lowest = np.full(count + 1, np.iinfo(np.int64).max)
    highest = np.zeros(count + 1, np.int64)
    for here, there in ((np.s_[:-1, :], np.s_[1:, :]), (np.s_[:, :-1], np.s_[:, 1:])):
        for a, b in ((here, there), (there, here)):
            beside = (pieces[a] > 0) & (labels[b] != 0)
            np.minimum.at(lowest, pieces[a][beside], labels[b][beside])
            np.maximum.at(highest, pieces[a][beside], labels[b][beside])
    holes = lowest == highest
    for edge in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
        holes[edge] = False
    holes[0] = False
    inside = holes[pieces]
    filled[inside] = highest[pieces[inside]]
    return filled
