"""Versions of a slice that a model should find the same in: mirrored, or moved a little.

Mirrored, where the model learned from mirrored images. Models of volumes did not, for scans of
patients lie all the same way: what they find in a mirrored slice says nothing. Moved slices are
known to all of them, since patches are cut anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from napari_swin_umamba.plan import Plan
from napari_swin_umamba.segmentation.disagreement import Bytes

__all__ = ["FAR", "NEAR", "Mirrored", "Moved", "Version", "slice_versions"]

FAR = ((5, 7), (-7, -5))
"""Rows and columns: no multiples of what the network halves its maps by."""
NEAR = ((1, 2), (-2, -1))
"""So little that what is found hardly depends on how far it lies from the edge of the image."""


class Version(Protocol):
    """A change of a slice, and the way back."""

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Change a slice ``(C, Y, X)``."""

    def back(self, found: Bytes, plain: Bytes) -> Bytes:
        """Undo it in a prediction ``(classes, Y, X)``; as `plain` where nothing is known."""


@dataclass(frozen=True)
class Mirrored:
    """Along one axis."""

    axis: int
    """Of ``(C, Y, X)``."""

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Mirror."""
        return np.ascontiguousarray(np.flip(pixels, self.axis))

    def back(self, found: Bytes, plain: Bytes) -> Bytes:
        """Mirror again."""
        return np.flip(found, self.axis)


@dataclass(frozen=True)
class Moved:
    """By whole pixels; the edge is repeated into the gap."""

    rows: int
    columns: int

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Move down and to the right."""
        rows, columns = abs(self.rows), abs(self.columns)
        padded = np.pad(pixels, ((0, 0), (rows, rows), (columns, columns)), mode="edge")
        height, width = pixels.shape[1:]
        top, left = rows - self.rows, columns - self.columns
        return np.ascontiguousarray(padded[:, top : top + height, left : left + width])

    def back(self, found: Bytes, plain: Bytes) -> Bytes:
        """Move up and to the left."""
        back = plain.copy()
        back[:, *_kept(self.rows, self.columns)] = found[:, *_kept(-self.rows, -self.columns)]
        return back


def slice_versions(
    plan: Plan, shape: tuple[int, int], steps: Sequence[tuple[int, int]] = FAR
) -> list[Version]:
    """Versions that a model should find the same in.

    Parameters
    ----------
    plan
        Of the model.
    shape
        Rows and columns of the slice.
    steps
        How far it is moved, where mirroring says nothing.
    """
    if plan.mirror_axes:
        return [Mirrored(axis + 1) for axis in plan.mirror_axes]
    rows, columns = (size // 4 for size in shape)
    return [
        Moved(int(np.clip(down, -rows, rows)), int(np.clip(right, -columns, columns)))
        for down, right in steps
    ]


def _kept(rows: int, columns: int) -> tuple[slice, slice]:
    """Pixels of a slice that stay in sight when it is moved."""
    return _span(rows), _span(columns)


def _span(step: int) -> slice:
    return slice(None, -step) if step > 0 else slice(-step, None)
