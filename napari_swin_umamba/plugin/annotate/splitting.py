"""Two objects that were painted as one. Without napari."""

from __future__ import annotations

import numpy as np

__all__ = ["split_object"]

_APART = 0.6
"""Two middles of one object are at least this many of its half widths apart."""


def split_object(mask: np.ndarray) -> list[np.ndarray]:
    """Split an object: into its pieces, or at its waist.

    Parameters
    ----------
    mask
        (rows, columns), bool: the object.

    Returns
    -------
    list of np.ndarray
        Masks of the parts, the largest first; one, if it neither lies in pieces nor has a waist.
    """
    from scipy import ndimage

    pieces, number = ndimage.label(mask)
    if number < 2:
        pieces, number = _at_waist(mask)
    parts = [pieces == one for one in range(1, number + 1)]
    return sorted(parts, key=np.count_nonzero, reverse=True) or [mask]


def _at_waist(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Number two parts that grow from the two widest places."""
    from scipy import ndimage
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    padded = np.pad(mask, 1)
    width = ndimage.gaussian_filter(ndimage.distance_transform_edt(padded), 1)
    apart = max(2, round(_APART * float(width.max(initial=0))))
    middles = peak_local_max(width, min_distance=apart, num_peaks=2, labels=padded.astype(int))
    if len(middles) < 2:
        return mask.astype(int), int(mask.any())
    seeds = np.zeros(padded.shape, int)
    for number, (row, column) in enumerate(middles, start=1):
        seeds[row, column] = number
    return watershed(-width, seeds, mask=padded)[1:-1, 1:-1], 2
