"""Interpolation of a volume's slices as nnU-Net v2 does it, one slice at a time.

nnU-Net (``default_resampling.py``) resamples a volume at once, or the slices across its coarsest
axis apart from each other. Its 2D configurations never change the number of slices that the
network sees. Along that axis the spline then passes through its own points, so each slice can be
interpolated alone, with the limits of the whole volume where ``skimage.transform.resize`` would
clip to those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates
from skimage.transform import resize

__all__ = ["Limits", "SliceResampling", "apart_axis", "limits_of"]

_ANISOTROPIC = 3
"""``ANISO_THRESHOLD`` of nnU-Net: ratio of spacings beyond which slices are taken apart."""

Limits = tuple[np.ndarray, np.ndarray]
"""Lowest and highest values that an interpolated slice is clipped to, of a shape that broadcasts
with ``(C, rows, columns)``."""


def apart_axis(
    separate: bool | None, spacing: Sequence[float], other: Sequence[float]
) -> int | None:
    """Axis across which slices are resampled apart from each other; None: all at once.

    Parameters
    ----------
    separate
        Always, never, or (None) where the spacing is anisotropic.
    spacing, other
        Of the three axes, before and after resampling.
    """
    if separate is None:
        coarse = [item for item in (spacing, other) if max(item) / min(item) > _ANISOTROPIC]
        if not coarse:
            return None
        spacing = coarse[0]
    elif not separate:
        return None
    largest = [axis for axis in range(3) if max(spacing) / spacing[axis] == 1]
    return largest[0] if len(largest) == 1 else None


@dataclass(frozen=True)
class SliceResampling:
    """Brings slices to other rows and columns."""

    source: tuple[int, int]
    target: tuple[int, int]
    apart: int | None
    """Axis of the volume across which slices are interpolated apart: 0 is that of the slices,
    1 their rows, 2 their columns; None: the volume as a whole."""
    order: int
    """Of the spline."""
    order_z: int
    """Of the spline along rows or columns that are apart."""

    def __call__(self, values: np.ndarray, limits: Limits | None = None) -> np.ndarray:
        """Interpolate ``(C, *source)`` to ``(C, *target)``, float32; itself if they are the same.

        Parameters
        ----------
        values
            One slice.
        limits
            What :func:`limits_of` says of its volume; None: each channel's own.
        """
        if self.source == self.target:
            return values
        out = np.empty((len(values), *self.target), np.float32)
        for index, (channel, target) in enumerate(zip(values, out, strict=True)):
            own = limits is None or self.apart == 0
            wide = self._resize(channel.astype(np.float64), clip=own)
            if not own:
                assert limits is not None
                np.clip(wide, *(side[index] for side in limits), out=wide)
            target[:] = self._along_apart(wide)
        return out

    def _resize(self, values: np.ndarray, clip: bool) -> np.ndarray:
        """Resize all but the axis that is apart."""
        rows = self.source[0] if self.apart == 1 else self.target[0]
        columns = self.source[1] if self.apart == 2 else self.target[1]
        if values.shape == (rows, columns):
            return values
        resized: np.ndarray = resize(
            values, (rows, columns), self.order, mode="edge", anti_aliasing=False, clip=clip
        )
        return resized

    def _along_apart(self, values: np.ndarray) -> np.ndarray:
        """Resample the axis that is apart, with pixel centres as ``resize`` has them."""
        if values.shape == self.target:
            return values
        places = [
            old / new * (np.arange(new) + 0.5) - 0.5
            for old, new in zip(values.shape, self.target, strict=True)
        ]
        grid = np.meshgrid(*places, indexing="ij")
        sampled: np.ndarray = map_coordinates(values, grid, order=self.order_z, mode="nearest")
        return sampled


def limits_of(volume: np.ndarray, apart: int | None) -> Limits | None:
    """Return what slices of a volume ``(C, Z, Y, X)`` are clipped to when they are interpolated.

    Of the whole volume, or with rows or columns apart, of each of them; None where each slice has
    its own limits.
    """
    if apart == 0:
        return None
    axes = {None: (1, 2, 3), 1: (1, 3), 2: (1, 2)}[apart]
    low, high = (reduce(axis=axes, keepdims=True)[:, 0] for reduce in (volume.min, volume.max))
    return low, high
