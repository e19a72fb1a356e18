"""Strokes as a person draws them who knows where things are."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Stroke", "strokes", "whole_slice"]

Stroke = tuple[int, list[tuple[float, float]], int]
"""Label of an annotation, rows and columns, size of the brush."""

_FEWEST = 12
"""Pixels of a class, below which nobody would see it."""


def strokes(truth: np.ndarray) -> list[Stroke]:
    """A line down each class, a ring of background around them, a line of it further off.

    Where there is no class: lines of background from side to side.

    Parameters
    ----------
    truth
        (rows, columns): 0 for background, 1, 2, … for the classes.
    """
    found: list[Stroke] = []
    for label in range(1, int(truth.max()) + 1):
        if (truth == label).sum() >= _FEWEST:
            found.append((label + 1, _middle(truth == label), 3))
    rows, columns = truth.shape
    if (truth > 0).any():
        found.append((1, _ring(truth > 0), 2))
    else:
        found += [(1, [(row, 4), (row, columns - 5)], 3) for row in range(12, rows - 8, 10)]
    found.append((1, [(3, 4), (3, columns - 5), (rows - 5, columns - 5)], 3))
    return found


def whole_slice(truth: np.ndarray) -> list[Stroke]:
    """Every pixel of every class, row by row."""
    found: list[Stroke] = []
    for label in range(1, int(truth.max()) + 1):
        for row in np.flatnonzero((truth == label).any(axis=1)):
            columns = np.flatnonzero(truth[row] == label)
            for part in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
                ends = [(float(row), float(part[0])), (float(row), float(part[-1]))]
                found.append((label + 1, ends, 1))
    return found


def _middle(region: np.ndarray) -> list[tuple[float, float]]:
    rows = np.flatnonzero(region.any(axis=1))
    places = [(float(row), float(np.median(np.flatnonzero(region[row])))) for row in rows[1:-1:2]]
    return places or [(float(rows[0]), float(np.median(np.flatnonzero(region[rows[0]]))))]


def _ring(region: np.ndarray) -> list[tuple[float, float]]:
    from scipy.ndimage import distance_transform_edt
    from skimage.measure import find_contours

    distance: Any = distance_transform_edt(~region)
    contour = max(find_contours(distance, 3.5), key=len)
    return [(float(row), float(column)) for row, column in contour[::3]]
