"""How nearly convex a shape is."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull

__all__ = ["convexity", "mean_convexity"]


def convexity(mask: np.ndarray) -> float:
    """Share of its convex hull that a shape fills.

    Parameters
    ----------
    mask
        ``(Y, X)``, at least one pixel set. Pixels are squares, so one pixel is convex.
    """
    rows, columns = np.nonzero(mask)
    # A row's pixels between its first and its last add no corner to the hull.
    ends = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
    first, last = columns[ends], columns[np.r_[ends[1:] - 1, len(rows) - 1]] + 1
    rows = rows[ends]
    corners = np.concatenate(
        [np.stack([rows + down, across], 1) for down in (0, 1) for across in (first, last)]
    )
    return float(len(columns) / ConvexHull(corners).volume)


def mean_convexity(sizes: list[int], convexities: list[float]) -> float:
    """Mean of several shapes, large ones counting more."""
    return float(np.average(convexities, weights=sizes))
