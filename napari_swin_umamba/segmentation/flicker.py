"""How often labels blink: what slice-wise segmentation gets wrong that a volume would not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_swin_umamba.errors import InputError

__all__ = ["Flicker", "measure_flicker"]


@dataclass(frozen=True, eq=False)
class Flicker:
    """Voxels that differ from the same value in the slice before and the slice after.

    A structure that grows, shrinks or ends changes from one slice to the next and stays changed.
    What appears or vanishes for one slice alone is most often a mistake of a network that sees
    slices one by one, and no reference labels are needed to count it.
    """

    blinking: np.ndarray
    """``(slices,)``, int64: such voxels of each slice; 0 for the first and the last."""
    labelled: np.ndarray
    """``(slices,)``, int64: voxels labelled in a slice or in one beside it; 0 as before."""

    @property
    def share(self) -> float | None:
        """Share of the labelled voxels that blink, 0 to 1; None if none is labelled."""
        total = int(self.labelled.sum())
        return int(self.blinking.sum()) / total if total else None


def measure_flicker(labels: np.ndarray, axis: int = 0) -> Flicker:
    """Count the voxels whose value differs from that of both neighbouring slices, which agree.

    Parameters
    ----------
    labels
        Whole numbers of any shape, 0 where there is nothing: class ids, or objects numbered through
        the slices.
    axis
        Along which slices follow each other.

    Returns
    -------
    Flicker
        Counts of each slice.

    Raises
    ------
    InputError
        There is no such axis.
    """
    if not -labels.ndim <= axis < labels.ndim:
        raise InputError(f"labels of shape {labels.shape} have no axis {axis}")
    slices = np.moveaxis(labels, axis, 0)
    blinking, labelled = (np.zeros(len(slices), np.int64) for _ in range(2))
    for index in range(1, len(slices) - 1):
        before, here, after = slices[index - 1 : index + 2]
        blinking[index] = np.count_nonzero((before == after) & (here != before))
        labelled[index] = np.count_nonzero((before != 0) | (here != 0) | (after != 0))
    return Flicker(blinking, labelled)
