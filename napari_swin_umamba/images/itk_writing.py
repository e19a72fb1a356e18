"""Write labels as NRRD or MetaImage, with SimpleITK, onto the grid of their image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.geometry import (
    directions_of,
    is_orthogonal,
    reorder_columns,
    spacing_of,
)
from napari_swin_umamba.images.image import Image, StoredGrid
from napari_swin_umamba.images.itk import quiet_itk
from napari_swin_umamba.images.itk_header import CONTENT_KEY
from napari_swin_umamba.images.segments import segment_fields
from napari_swin_umamba.images.units import known_spacing, same_length_factor
from napari_swin_umamba.images.volume_axes import file_order
from napari_swin_umamba.plan import SegmentationClass

__all__ = ["write_itk"]

_Numbers = tuple[float, ...]


def write_itk(
    path: Path,
    labels: np.ndarray,
    axes: str,
    like: Image,
    name: str,
    classes: Sequence[SegmentationClass] = (),
) -> None:
    """Write labels, compressed. ITK's lengths are millimetres: others are converted.

    ``.mhd`` becomes one file that holds its data itself (``ElementDataFile = LOCAL``), which
    every reader of MetaImage takes: two files cannot be replaced at once.

    Parameters
    ----------
    path
        Ends in ``.nrrd``, ``.mha`` or ``.mhd``.
    labels : ([T,] [Z,] Y, X)
        Integers.
    axes
        ``"YX"``, ``"ZYX"`` or ``"TZYX"``.
    like
        Says where the labels lie.
    name
        Of the file in the end: one that ends in ``.seg.nrrd`` describes segments.
    classes
        Names and colours of values; NRRD keeps them.

    Raises
    ------
    InputError
        The axes of the grid are not at right angles, or segments are to hold a film.
    """
    segmentation = name.lower().endswith(".seg.nrrd")
    if segmentation and axes.startswith("T"):
        raise InputError(f"{name}: .seg.nrrd holds no film; use the ending .nrrd or .nii.gz")
    grid = like.grid or StoredGrid(tuple(reversed(range(len(axes.removeprefix("T"))))))
    origin, spacing, direction = _itk_grid(name, like, grid)
    stored = np.ascontiguousarray(file_order(labels, axes, grid.order))
    if segmentation and stored.ndim == 2:  # Slicer: "the spatial dimension must be still 3"
        stored = stored[np.newaxis]
        origin, spacing, direction = _in_space(like, origin, spacing, direction)
    image = sitk.GetImageFromArray(stored, isVector=False)
    if axes.startswith("T"):
        rank = len(origin)
        square = np.eye(rank + 1)
        square[:rank, :rank] = np.reshape(direction, (rank, rank))
        direction = tuple(square.ravel().tolist())
        spacing, origin = (*spacing, grid.time[0]), (*origin, grid.time[1])
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    image.SetMetaData(CONTENT_KEY, "labels")
    if path.suffix.lower() == ".nrrd" and not axes.startswith("T") and (classes or segmentation):
        for key, value in segment_fields(stored, classes).items():
            image.SetMetaData(key, value)
    target = path.with_suffix(".mha") if path.suffix.lower() == ".mhd" else path
    with quiet_itk():
        try:
            sitk.WriteImage(image, str(target), useCompression=True)
        except RuntimeError as error:
            target.unlink(missing_ok=True)
            reason = str(error).strip().splitlines()[-1]
            raise OSError(f"SimpleITK: {reason}") from error
    if target != path:
        os.replace(target, path)


def _in_space(
    like: Image, origin: _Numbers, spacing: _Numbers, direction: _Numbers
) -> tuple[_Numbers, _Numbers, _Numbers]:
    """Place a plane among volumes: at 0 along the third axis, or as its NIfTI header says."""
    if like.grid is not None and like.grid.nifti is not None:
        full = np.diag([-1.0, -1.0, 1.0, 1.0]) @ like.grid.nifti.get_best_affine()
        full *= same_length_factor(like.unit, "millimeter")
        steps = np.linalg.norm(full[:3, :3], axis=0)
        if steps.all() and is_orthogonal(full):
            turned = (full[:3, :3] / steps).ravel()
            return tuple(full[:3, 3].tolist()), tuple(steps.tolist()), tuple(turned.tolist())
    square = np.eye(3)
    square[:2, :2] = np.reshape(direction, (2, 2))
    return (*origin, 0.0), (*spacing, 1.0), tuple(square.ravel().tolist())


def _itk_grid(
    name: str, like: Image, grid: StoredGrid
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Origin, spacing and direction along the file's axes, in millimetres."""
    rank = len(grid.order)
    factor = same_length_factor(like.unit, "millimeter")
    if grid.itk is not None:
        origin, spacing, direction = grid.itk
        if factor == 1:
            return origin, spacing, direction
        scaled = [tuple(value * factor for value in part) for part in (origin, spacing)]
        return scaled[0], scaled[1], direction
    inverse = tuple(grid.order.index(axis) for axis in range(rank))
    if like.affine is None:
        known = known_spacing(like.spacing, rank) or (1.0,) * rank
        steps = tuple(known[axis] * factor for axis in inverse)
        return (0.0,) * rank, steps, tuple(np.eye(rank).ravel().tolist())
    affine = reorder_columns(like.affine, inverse)
    if not is_orthogonal(affine):
        raise InputError(
            f"{name}: the image's axes are not at right angles, which this format cannot hold; "
            "save it as NIfTI (.nii.gz)"
        )
    origin = tuple((affine[:rank, rank] * factor)[::-1].tolist())
    spacing = tuple(step * factor for step in spacing_of(affine))
    return origin, spacing, tuple(directions_of(affine)[::-1].ravel().tolist())
