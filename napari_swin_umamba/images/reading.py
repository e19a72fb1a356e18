"""Read images and label images from files; the content of a file decides, not its name."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.files import as_path
from napari_swin_umamba.images.axes import channel_index, check_axes, resolve_axes
from napari_swin_umamba.images.image import Image
from napari_swin_umamba.images.magic import (
    DICOM_MAGIC,
    GZIP_MAGIC,
    META_START,
    NRRD_MAGIC,
    is_dicom_folder,
    is_nifti,
)
from napari_swin_umamba.images.ngff import is_zarr
from napari_swin_umamba.images.raster import JPEG_MAGIC, PNG_MAGIC, read_raster
from napari_swin_umamba.images.tiff import TIFF_MAGICS, read_tiff
from napari_swin_umamba.images.volume_axes import renamed_axes

__all__ = ["read_geometry", "read_image", "read_labels"]

_START = 4096  # bytes; a MetaImage may begin with comments

_VOLUMES = ("nifti", "nrrd", "meta", "zarr", "dicom")
"""Kinds that know where they lie in the world."""

_T = TypeVar("_T")


def read_image(
    path: str | os.PathLike[str],
    axes: str | None = None,
    channel_axis: int | str | None = None,
    series: str | None = None,
) -> Image:
    """Read an image or a volume.

    PNG, JPEG, TIFF (OME, ImageJ), NIfTI, NRRD, MetaImage, OME-Zarr, DICOM (a file or a folder).

    Values are as stored; nothing is rescaled but by a NIfTI header's own slope. 16-bit colour
    stays 16-bit. A palette picture becomes RGB. The array of a volume is the file's, transposed
    at most, so that its axes run along z, y and x of the world; ``Image.affine`` says how.

    Parameters
    ----------
    path
        The file.
    axes
        One letter per axis, such as ``"YXC"``, ``"CYX"`` or ``"ZYX"``, where the file does not
        say or is wrong.
    channel_axis
        Which axis holds channels, where the file does not say or is wrong: a letter (``"T"``,
        ``"Z"``) of the axes that the image is read with, or a number, counted from 0 in their order
        (-1 is the last). In place of `axes`.
    series
        UID or number of a DICOM series, where a folder holds several.

    Returns
    -------
    Image
        Array, axes, spacing, unit and place in the world as far as the file tells.

    Raises
    ------
    InputError
        No such file, a folder, an empty or damaged file, no image, or axes that nobody named.
    """
    axes = check_axes(axes)
    path, kind = _identify(path)
    if series is not None and not (kind == "dicom" and path.is_dir()):
        raise InputError(f"{path} is no folder of DICOM files, which alone holds series (--series)")
    if channel_axis is not None:
        if axes is not None:
            raise InputError("give either the axes or the channel axis (--axes, --channel-axis)")
        return _with_channel_axis(path, kind, channel_axis, series)
    if kind == "tiff":
        image = _guarded(path, lambda: read_tiff(path, axes))
    elif kind in ("png", "jpeg"):
        array, notes = _guarded(path, lambda: read_raster(path))
        stored = "YX" if array.ndim == 2 else "YXC"
        if axes is not None:
            stored, _ = resolve_axes(array.shape, axes, channels=1)
        image = Image(array, stored, path=path, notes=notes)
    else:
        image = _guarded(path, lambda: _read_volume(path, kind, series=series))
        image = replace(image, axes=renamed_axes(path, image.axes, axes))
    if image.array.size == 0:
        raise InputError(f"{path} holds an empty image: its shape is {image.array.shape}")
    return image


def _with_channel_axis(path: Path, kind: str, channel_axis: int | str, series: str | None) -> Image:
    if kind == "tiff":
        image = _guarded(path, lambda: read_tiff(path, channel_axis=channel_axis))
        if image.array.size == 0:
            raise InputError(f"{path} holds an empty image: its shape is {image.array.shape}")
        return image
    image = read_image(path, series=series)
    index = channel_index(path, image.axes, channel_axis)
    if image.axes[index] == "C":
        return image
    if image.axes[index] != "T":
        raise InputError(
            f"{path} has axes {image.axes}: {image.axes[index]} is an axis of space there, so it "
            "cannot hold channels (--channel-axis)"
        )
    return replace(image, axes=renamed_axes(path, image.axes, image.axes.replace("T", "C")))


def read_geometry(path: str | os.PathLike[str]) -> Image:
    """Read the header of a NIfTI, NRRD or MetaImage file: all of :func:`read_image` but values.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Image
        Its array has the file's shape, takes no memory and holds zeros.

    Raises
    ------
    InputError
        As :func:`read_image`, or the file is of another kind.
    """
    path, kind = _identify(path)
    if kind not in _VOLUMES:
        raise InputError(f"{path} is a {kind.upper()} image, which knows no place in the world")
    return _guarded(path, lambda: _read_volume(path, kind, data=False))


def _read_volume(path: Path, kind: str, data: bool = True, series: str | None = None) -> Image:
    # Imported here: SimpleITK, nibabel and zarr take time, and a micrograph needs none of them.
    if kind == "nifti":
        from napari_swin_umamba.images.nifti import read_nifti

        return read_nifti(path, data)
    if kind == "zarr":
        from napari_swin_umamba.images.ome_zarr import read_ome_zarr

        return read_ome_zarr(path, data)
    if kind == "dicom":
        from napari_swin_umamba.images.dicom import read_dicom

        return read_dicom(path, series, data)
    from napari_swin_umamba.images.itk import read_itk

    return read_itk(path, kind, data)


def read_labels(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a label image or a mask: one whole number per pixel or voxel, 0 the background.

    Parameters
    ----------
    path
        PNG, TIFF, NIfTI, NRRD or MetaImage. A palette image gives its indices; a bool mask
        gives 0 and 1; a colour image is taken if its channels agree.

    Returns
    -------
    np.ndarray
        ``([T,] [Z,] Y, X)``, int32, axes in the order of :func:`read_image`.

    Raises
    ------
    InputError
        As :func:`read_image`, or the file holds no labels: colours, JPEG, fractions, negative
        or very large values.
    """
    path, kind = _identify(path)
    if kind == "jpeg":
        raise InputError(f"{path} is a JPEG: it changes values; save masks as PNG or TIFF")
    if kind == "tiff":
        image = _guarded(path, lambda: read_tiff(path, indices=True))
        array, axes = image.array, image.axes
    elif kind == "png":
        array, _ = _guarded(path, lambda: read_raster(path, indices=True))
        axes = "YX" if array.ndim == 2 else "YXC"
    else:
        image = _guarded(path, lambda: _read_volume(path, kind))
        array, axes = np.asarray(image.array), image.axes
    if "C" in axes:
        array = _one_channel(path, array, axes)
    return _whole_numbers(path, array)


def _one_channel(path: Path, array: np.ndarray, axes: str) -> np.ndarray:
    """Take the common value of colour channels that agree; an alpha channel is ignored."""
    colors = array[..., :3]
    if not axes.endswith("C") or (colors != colors[..., :1]).any():
        raise InputError(
            f"{path} is not a label image (axes {axes}, shape {array.shape}); one number per "
            "pixel is needed, as a grey PNG or TIFF or a volume without channels"
        )
    return array[..., 0]


def _whole_numbers(path: Path, array: np.ndarray) -> np.ndarray:
    if array.size == 0:
        raise InputError(f"{path} holds an empty image: its shape is {array.shape}")
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.floor(array))).all():
        raise InputError(f"{path} is not a label image: it holds fractions or NaN")
    low, high = array.min(), array.max()
    if array.dtype.kind not in "buif" or low < 0 or high > np.iinfo(np.int32).max:
        raise InputError(
            f"{path} is not a label image: its values ({array.dtype}) reach from {low} to {high}"
        )
    return array.astype(np.int32)


def _identify(path: str | os.PathLike[str]) -> tuple[Path, str]:
    """Return the path and ``"png"``, ``"jpeg"``, ``"tiff"`` or one of :data:`_VOLUMES`.

    The first bytes decide; of a folder, what lies in it.
    """
    path = as_path(path)
    try:
        if path.is_dir():
            if is_zarr(path):
                return path, "zarr"
            if is_dicom_folder(path):
                return path, "dicom"
            raise InputError(
                f"{path} is a folder, but neither OME-Zarr nor a DICOM series; give an image file"
            )
        with open(path, "rb") as file:
            start = file.read(_START)
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}") from error
    except OSError as error:
        name = shown(str(path), 250)
        raise InputError(f"cannot read {name}: {error.strerror or error}") from error
    if not start:
        raise InputError(f"{path} is empty (0 bytes)")
    for kind, magics in (
        ("png", PNG_MAGIC),
        ("jpeg", JPEG_MAGIC),
        ("tiff", TIFF_MAGICS),
        ("nrrd", NRRD_MAGIC),
    ):
        if start.startswith(magics):
            return path, kind
    if start[128:132] == DICOM_MAGIC:
        return path, "dicom"
    if META_START.match(start) and b"NDims" in start:
        return path, "meta"
    if is_nifti(_unzipped(start)):
        return path, "nifti"
    raise InputError(
        f"{path} is not a PNG, JPEG or TIFF image, nor a NIfTI, NRRD, MetaImage or DICOM volume, "
        "whatever its name says"
    )


def _unzipped(start: bytes) -> bytes:
    """Decompress the first bytes of a gzip file, as far as they tell its kind."""
    if not start.startswith(GZIP_MAGIC):
        return start
    with suppress(zlib.error):
        return zlib.decompressobj(wbits=31).decompress(start, 540)
    return b""


def _guarded(path: Path, read: Callable[[], _T]) -> _T:
    """Turn whatever a parser raises on a damaged file into one line."""
    try:
        return read()
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path} does not fit into memory") from error
    except Exception as error:  # noqa: BLE001 - parsers raise anything on damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be read, it may be damaged: {reason}") from error
