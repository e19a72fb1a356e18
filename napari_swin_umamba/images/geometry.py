"""Where the voxels of a file lie: one world for all formats, and the order of the array's axes.

World coordinates are LPS (to the left, posterior, superior of the patient) as in DICOM and ITK,
listed as z, y, x like the axes of an array. NIfTI says RAS: left and posterior change sign. A
matrix *of the file* has a column per axis of the file, from the fastest (x) to the slowest; a
matrix *of the array* has its columns in the array's order.
"""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np

from napari_swin_umamba.errors import InputError

__all__ = [
    "best_order",
    "checked_affine",
    "directions_of",
    "is_orthogonal",
    "lps_from_ras",
    "ras_from_lps",
    "reorder_columns",
    "spacing_of",
]

# Rows S, P, L from rows R, A, S.
_RAS_TO_LPS = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])


def lps_from_ras(affine: np.ndarray) -> np.ndarray:
    """Turn the rows of a NIfTI affine (4, 4) from R, A, S into z, y, x of LPS."""
    world = np.array(affine, dtype=float)
    world[:3] = _RAS_TO_LPS @ world[:3]
    return world


def ras_from_lps(affine: np.ndarray) -> np.ndarray:
    """Undo :func:`lps_from_ras`."""
    world = np.array(affine, dtype=float)
    world[:3] = _RAS_TO_LPS.T @ world[:3]
    return world


def spacing_of(affine: np.ndarray) -> tuple[float, ...]:
    """Lengths of the columns of an affine (n + 1, n + 1): the distances of neighbours."""
    size = len(affine) - 1
    return tuple(float(step) for step in np.linalg.norm(affine[:size, :size], axis=0))


def directions_of(affine: np.ndarray) -> np.ndarray:
    """Columns (n, n) of an affine (n + 1, n + 1), brought to length 1."""
    size = len(affine) - 1
    return np.asarray(affine[:size, :size] / np.array(spacing_of(affine)))


def is_orthogonal(affine: np.ndarray, tolerance: float = 1e-4) -> bool:
    """Whether the axes of an affine (n + 1, n + 1) are at right angles."""
    directions = directions_of(affine)
    return bool(np.abs(directions.T @ directions - np.eye(len(directions))).max() < tolerance)


def checked_affine(path: Path, affine: np.ndarray) -> np.ndarray:
    """Return an affine (n + 1, n + 1) that can be inverted.

    Raises
    ------
    InputError
        It holds NaN, or its axes lie in one plane.
    """
    if not np.isfinite(affine).all():
        raise InputError(
            f"{path}: the header's geometry (affine) holds NaN or infinite numbers; "
            "write the file anew from its source"
        )
    if min(spacing_of(affine)) <= 0 or abs(np.linalg.det(directions_of(affine))) < 1e-6:
        raise InputError(
            f"{path}: the header's geometry (affine) is singular: its axes do not span space; "
            "write the file anew from its source"
        )
    return affine


def best_order(affine: np.ndarray) -> tuple[int, ...]:
    """Choose which axis of the file becomes which axis of the array.

    napari slices along array axes and cannot show a layer whose affine swaps them, so every array
    axis is the one that runs most along its world axis (z, y, x).

    Parameters
    ----------
    affine : (n + 1, n + 1)
        Of the file.

    Returns
    -------
    tuple of int
        For each array axis, the axis of the file. The plain reversal on a tie.
    """
    cosines = np.abs(directions_of(affine))
    plain = tuple(reversed(range(len(cosines))))

    def fit(order: tuple[int, ...]) -> float:
        return float(np.prod(cosines[range(len(cosines)), order])) + 1e-6 * (order == plain)

    return max(permutations(plain), key=fit)


def reorder_columns(affine: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """Take the columns of an affine (n + 1, n + 1) in another order; the origin stays."""
    return np.asarray(affine[:, [*order, len(order)]])
