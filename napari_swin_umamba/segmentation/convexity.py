"""How nearly convex a shape is."""

from __future__ import annotations

from statistics import fmean

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
    # A row's pixels between its first and its last add no corner to the hull.
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask.argmax(axis=1)[rows]
    last = mask.shape[1] - mask[:, ::-1].argmax(axis=1)[rows]
    corners = np.array([[rows, first], [rows, last], [rows + 1, first], [rows + 1, last]])
    hull = ConvexHull(corners.transpose(0, 2, 1).reshape(-1, 2))
    return float(np.count_nonzero(mask) / hull.volume)


def mean_convexity(sizes: list[int], convexities: list[float]) -> float:
    """Mean of several shapes, large ones counting more."""
    return fmean(convexities, sizes)
