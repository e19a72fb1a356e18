"""Write label images and label maps of volumes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import as_path, atomic_path
from napari_swin_umamba.images.image import Image
from napari_swin_umamba.images.names import VOLUME_SUFFIXES, suffix_of
from napari_swin_umamba.images.ngff import is_labels_place
from napari_swin_umamba.images.raster import write_png
from napari_swin_umamba.images.units import known_spacing
from napari_swin_umamba.images.volume_axes import without_channels
from napari_swin_umamba.plan import SegmentationClass

__all__ = ["LABEL_SUFFIXES", "write_labels"]

LABEL_SUFFIXES = (".tif", ".tiff", ".png", *VOLUME_SUFFIXES, ".zarr")
"""Lower-case endings of the files and folders that :func:`write_labels` writes."""

_AXES = {2: "YX", 3: "ZYX", 4: "TZYX"}


def write_labels(
    path: str | os.PathLike[str],
    labels: np.ndarray,
    like: Image | None = None,
    overwrite: bool = False,
    classes: Sequence[SegmentationClass] = (),
) -> Path:
    """Write labels whole or not at all, onto the grid of the image they belong to.

    Parameters
    ----------
    path
        The ending is the format: ``.tif``, ``.tiff`` (any number of labels, keeps the voxel
        size; ``.ome.tif`` is OME-TIFF), ``.png`` (2D, up to 65535 labels), or with the place in the
        world ``.nii.gz``, ``.nii``, ``.nrrd``, ``.mha`` and ``.mhd`` (one file, with its data
        inside). ``.zarr`` is a folder, OME-Zarr; ``IMAGE.zarr/labels/NAME`` puts labels into the
        image that is there.
        Missing folders are made.
    labels : ([T,] [Z,] Y, X)
        Integers from 0 or bool. Stored in the smallest of 8, 16 and 32 bits.
    like
        The image they belong to: says which axes they have (its own but C), voxel size, and
        place. A NIfTI image's header is kept in a NIfTI label map.
    overwrite
        Whether an existing file may be replaced.
    classes
        Names and colours of the values, which NRRD (``.seg.nrrd`` opens in 3D Slicer as a
        segmentation) and OME-Zarr keep; none if the labels number objects.

    Returns
    -------
    Path
        The file or folder.

    Raises
    ------
    InputError
        The path exists or cannot be written, the labels are not of the image's size, or the file
        format cannot hold them.
    """
    path = as_path(path)
    suffix = ".zarr" if is_labels_place(path) else suffix_of(path)
    if suffix not in LABEL_SUFFIXES:
        raise InputError(
            f"cannot write labels to {path.name}: the name must end in .tif or .png, or for "
            f"volumes in one of {', '.join(VOLUME_SUFFIXES)}"
        )
    axes = _axes(path, labels, like)
    stored = _smallest(path, labels, signed=suffix in VOLUME_SUFFIXES)
    if suffix == ".zarr":
        from napari_swin_umamba.images.ome_zarr_writing import write_ome_zarr

        write_ome_zarr(path, stored, axes, like, classes, overwrite)
        return path
    if suffix == ".png" and stored.dtype.itemsize > 2:
        raise InputError(f"{path.name}: PNG holds up to 65535 labels; use the ending .tif")
    with atomic_path(path, overwrite) as temporary:
        if suffix == ".png":
            write_png(temporary, stored)
        elif suffix in VOLUME_SUFFIXES:
            _write_volume(temporary, path.name, stored, axes, like, classes)
        else:
            from napari_swin_umamba.images.tiff_writing import write_label_tiff

            count = len(axes.removeprefix("T"))
            spacing = known_spacing(like.spacing, count) if like is not None else None
            unit = like.unit if like is not None else None
            ome = path.name.lower().endswith((".ome.tif", ".ome.tiff"))
            write_label_tiff(temporary, stored, axes, spacing, unit, ome)
    return path


def _write_volume(
    path: Path,
    name: str,
    labels: np.ndarray,
    axes: str,
    like: Image | None,
    classes: Sequence[SegmentationClass],
) -> None:
    like = like or Image(labels, axes)
    suffix = suffix_of(Path(name))
    if suffix.startswith(".nii"):
        from napari_swin_umamba.images.nifti_writing import write_nifti

        write_nifti(path, labels, axes, like, compress=suffix == ".nii.gz")
    else:
        from napari_swin_umamba.images.itk_writing import write_itk

        write_itk(path, labels, axes, like, name, classes)


def _axes(path: Path, labels: np.ndarray, like: Image | None) -> str:
    """Axes of the labels, which the format must be able to hold."""
    if labels.ndim not in _AXES or labels.size == 0 or labels.dtype.kind not in "bui":
        raise InputError(
            "labels must be a non-empty array of integers with 2 to 4 dimensions, not "
            f"{labels.dtype} {labels.shape}"
        )
    axes = _AXES[labels.ndim]
    if like is not None:
        axes = without_channels(like.axes)
        shape = tuple(
            size for axis, size in zip(like.axes, like.array.shape, strict=True) if axis != "C"
        )
        if labels.shape != shape:
            raise InputError(
                f"labels of shape {labels.shape} do not fit an image of shape {shape} ({axes})"
            )
    suffix = suffix_of(path)
    if suffix == ".png" and axes != "YX":
        raise InputError(f"{path.name}: PNG holds one 2D image, not {axes}; use the ending .tif")
    if suffix in VOLUME_SUFFIXES and axes == "TYX":
        raise InputError(f"{path.name}: {suffix} holds no film without Z; use the ending .tif")
    return axes


def _smallest(path: Path, labels: np.ndarray, signed: bool) -> np.ndarray:
    """Bring labels to 8, 16 or 32 bits; `signed`: 32 bits are int32, which all readers know."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > np.iinfo(np.uint32).max:
        raise InputError(f"labels must lie in 0..2^32-1, not {low}..{high}")
    if signed and high > np.iinfo(np.int32).max:
        raise InputError(
            f"{path.name}: {suffix_of(path)} holds labels up to 2^31-1, not {high}; use the "
            "ending .tif"
        )
    dtype = np.min_scalar_type(high)
    if signed and dtype == np.uint32:
        dtype = np.dtype(np.int32)
    return labels.astype(dtype, copy=False)
