"""How much predictions of one slice disagree, pixel by pixel. Arrays only: no network, no window.

A model that has understood a structure finds the same in the slice mirrored or moved a little;
where it guesses, it finds something else. And what it finds in one slice but in neither of the two
beside it is most often a mistake (as in :mod:`~napari_swin_umamba.segmentation.flicker`). No
reference labels are needed for either.

Probabilities are kept as whole numbers from 0 to 255: a quarter of the memory, and finer than the
disagreements that matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Disagreement", "compare_predictions", "in_bytes", "root_mean_square"]

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Disagreement:
    """Of the predictions of one slice."""

    pixels: Bytes
    """``(Y, X)``, to be looked at: the largest difference of any class' probability, times 255."""
    score: float
    """Root mean square of both below, 0 to 1: few pixels in doubt count, faint noise not."""
    changed: float
    """Root mean square over the slice of the difference to mirrored or moved versions, 0 to 1."""
    neighbours: float
    """The same of what differs from both neighbours; 0 for a slice that does not have two."""


def compare_predictions(
    plain: Bytes,
    versions: Sequence[Bytes],
    neighbours: Sequence[Bytes],
    close: Sequence[Bytes] = (),
) -> Disagreement:
    """Compare predictions of a slice.

    Parameters
    ----------
    plain
        ``(classes, Y, X)``: probabilities, from :func:`in_bytes`.
    versions
        Of mirrored or moved versions of the slice, mirrored or moved back.
    neighbours
        Of the slices beside it: two, or fewer at the ends.
    close
        Of versions that are closer to the slice: they tell more precisely where it is doubtful, and
        count in the map, on the average, in place of `versions`. None: there are no others.

    Returns
    -------
    Disagreement
        Of all of them.
    """
    nothing = np.zeros(plain.shape[1:], np.uint8)
    changed = nothing
    for other in versions:
        changed = np.maximum(changed, _difference(plain, other))
    beside = nothing
    if len(neighbours) == 2:
        beside = np.minimum(*(_difference(plain, other) for other in neighbours))
    both = np.maximum(changed, beside)
    seen = both
    if close:
        differences = np.stack([_difference(plain, other) for other in close])
        seen = np.maximum(np.rint(differences.mean(axis=0)).astype(np.uint8), beside)
    scores = (root_mean_square(one) for one in (both, changed, beside))
    return Disagreement(seen, *scores)


def in_bytes(probabilities: NDArray[np.floating]) -> Bytes:
    """Turn probabilities from 0 to 1 into whole numbers from 0 to 255."""
    return np.rint(255 * probabilities).astype(np.uint8)


def root_mean_square(differences: Bytes) -> float:
    """Root of the mean of the squares of a map, 0 to 1."""
    if not differences.size:
        return 0.0
    counts = np.bincount(differences.ravel(), minlength=256)
    squares = float(counts @ np.arange(256, dtype=np.int64) ** 2)
    return float(np.sqrt(squares / differences.size)) / 255


def _difference(one: Bytes, other: Bytes) -> Bytes:
    """Largest difference of any class, ``(Y, X)``."""
    different: Bytes = (np.maximum(one, other) - np.minimum(one, other)).max(axis=0)
    return different
