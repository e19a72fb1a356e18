"""An image with what is known about its axes and its place in the world."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_swin_umamba.images.units import known_spacing

__all__ = ["Image", "StoredGrid"]


@dataclass(frozen=True, eq=False)
class StoredGrid:
    """How a volume file stores its grid: what writing labels back onto that grid needs."""

    order: tuple[int, ...]
    """For each spatial axis of the array, which axis of the file it is. Files count from the axis
    that varies fastest: 0 is x, 2 is z of an axial acquisition."""
    time: tuple[float, float] = (1.0, 0.0)
    """Step and start of a time axis, in whatever unit the file has."""
    nifti: Any = None
    """The nibabel header of a NIfTI file."""
    itk: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]] | None = None
    """Origin, spacing and direction (row by row) of NRRD or MetaImage, along the file's spatial
    axes, as ITK has them: numbers that make no detour compare equal."""
    zarr: Any = None
    """What an OME-Zarr image says about itself: a :class:`~.ngff.Multiscale`."""
    says_labels: bool = False
    """An OME-Zarr, NRRD or MetaImage file says that its values are labels, as those that we write
    do."""


@dataclass(frozen=True, eq=False)
class Image:
    """An image as it is stored: values untouched, axes named."""

    array: np.ndarray
    """Any real dtype, shape as `axes` says. Of OME-Zarr, an array of dask: values are read when
    they are needed."""
    axes: str
    """One letter per axis: T time, C channels, Z planes, Y rows, X columns, in this order; a last
    C holds colours (RGB or RGBA). ``"YX"``, ``"CYX"``, ``"YXC"``, ``"TCZYX"``, ``"ZYXC"``, ..."""
    spacing: tuple[float, ...] | None = None
    """Distance of neighbours along the spatial axes in the array's order, in `unit`; None if the
    file does not say."""
    unit: str | None = None
    """Unit of lengths as pint and napari know it: ``"millimeter"``, ``"micrometer"``, ..."""
    path: Path | None = None
    """Where it was read from."""
    notes: tuple[str, ...] = ()
    """What the reader assumed or left out, for people."""
    affine: np.ndarray | None = None
    """Matrix (n + 1, n + 1) that takes indices along the n spatial axes to world coordinates in
    `unit`, or None if the file does not say. World axes are z, y, x of LPS as in DICOM and ITK:
    they point to superior, posterior and left; for a 2D image they are y, x. Its columns are as
    long as `spacing`, its largest entries on the diagonal."""
    grid: StoredGrid | None = None
    """How its file stores the grid; None for formats without geometry."""

    @property
    def pixel_size(self) -> float | None:
        """Area or volume of a pixel, in squares or cubes of `unit`; None if it is not known.

        The root of Gram's determinant of the affine: right for axes at any angle.
        """
        if self.affine is None:
            known = known_spacing(self.spacing, sum(axis in "ZYX" for axis in self.axes))
            return None if known is None else prod(known)
        columns = self.affine[:-1, :-1]
        return float(np.sqrt(np.linalg.det(columns.T @ columns)))
