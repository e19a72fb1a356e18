"""Read NRRD and MetaImage volumes, with SimpleITK."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.geometry import (
    best_order,
    checked_affine,
    reorder_columns,
    spacing_of,
)
from napari_swin_umamba.images.image import Image, StoredGrid
from napari_swin_umamba.images.itk_header import read_itk_header
from napari_swin_umamba.images.volume_axes import ordered_axes, placeholder

__all__ = ["affine_of_itk", "quiet_itk", "read_itk"]


def read_itk(path: Path, kind: str, data: bool = True) -> Image:
    """Read an NRRD or MetaImage file of 2 to 4 dimensions, the fourth being time.

    Parameters
    ----------
    path
        The file; its data may lie in another one.
    kind
        ``"nrrd"`` or ``"meta"``.
    data
        Whether to read the values; without, the array is zeros that take no memory.

    Raises
    ------
    InputError
        The header is broken, the data are missing or cut off, or there are more dimensions.
    """
    header = read_itk_header(path, nrrd=kind == "nrrd")
    reader = sitk.ImageFileReader()
    # The name's ending must not decide, so the reader is named.
    reader.SetImageIO("NrrdImageIO" if kind == "nrrd" else "MetaImageIO")
    reader.SetFileName(str(path))
    with quiet_itk(), _plain_errors(path):
        reader.ReadImageInformation()
        dimension, channels = reader.GetDimension(), reader.GetNumberOfComponents()
        if not 2 <= dimension <= 4:
            raise InputError(f"{path} has {dimension} dimensions; 2 to 4 can be read")
        itk, time = _geometry(path, reader)
        affine = checked_affine(path, affine_of_itk(*itk))
        shape = tuple(reversed(reader.GetSize()))
        if data:
            array = sitk.GetArrayFromImage(reader.Execute())
            if array.dtype.kind not in "iuf":
                raise InputError(f"{path} holds {array.dtype} values; real numbers are needed")
        else:
            array = placeholder(shape if channels == 1 else (*shape, channels), np.dtype(np.uint8))
    array = np.moveaxis(array, -1, 0) if channels > 1 else array[np.newaxis]
    array = array if dimension == 4 else array[:, np.newaxis]
    order = best_order(affine)
    array, axes = ordered_axes(path, array, order, colours=False, first="CT")
    grid = StoredGrid(order, time, itk=itk, says_labels=header.says_labels)
    if not header.knows_spacing:
        note = "the file does not say the voxel size"
        return Image(array, axes, path=path, notes=(note,), grid=grid)
    affine = reorder_columns(affine, order)
    return Image(array, axes, spacing_of(affine), header.unit, path, (), affine, grid)


def _geometry(
    path: Path, reader: sitk.ImageFileReader
) -> tuple[tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]], tuple[float, float]]:
    """Origin, spacing and direction in space; step and start of time."""
    dimension = reader.GetDimension()
    rank = min(dimension, 3)
    origin, spacing = reader.GetOrigin(), reader.GetSpacing()
    direction = np.reshape(reader.GetDirection(), (dimension, dimension))
    if dimension == 4 and (direction[3, :3].any() or direction[:3, 3].any()):
        raise InputError(f"{path}: its fourth axis is not time: it points into space")
    turned = tuple(direction[:rank, :rank].ravel().tolist())
    time = (spacing[3], origin[3]) if dimension == 4 else (1.0, 0.0)
    return (tuple(origin[:rank]), tuple(spacing[:rank]), turned), time


def affine_of_itk(
    origin: tuple[float, ...], spacing: tuple[float, ...], direction: tuple[float, ...]
) -> np.ndarray:
    """Affine (n + 1, n + 1) of the file's axes in z, y, x of LPS, from ITK's x, y, z of LPS."""
    rank = len(origin)
    affine = np.eye(rank + 1)
    affine[:rank, :rank] = (np.reshape(direction, (rank, rank)) * np.array(spacing))[::-1]
    affine[:rank, rank] = origin[::-1]
    return affine


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Keep ITK's warnings off the terminal: what matters becomes an exception."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Turn ITK's errors, many lines with addresses and its own sources, into the last reason."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        reason = re.sub(r"^\[nrrd\] \w+: *", "", reason)
        if reason.startswith("Reason:"):  # MetaIO gives the system's last error, mostly "Success"
            reason = "its header or data make no sense to ITK"
        raise InputError(f"{path} cannot be read, it may be damaged: {reason}") from error
