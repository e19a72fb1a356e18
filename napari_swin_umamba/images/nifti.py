"""Read NIfTI volumes: the values that the header announces, and no byte more."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.geometry import best_order, reorder_columns, spacing_of
from napari_swin_umamba.images.image import Image, StoredGrid
from napari_swin_umamba.images.limits import check_size
from napari_swin_umamba.images.magic import GZIP_MAGIC
from napari_swin_umamba.images.nifti_header import NiftiHeader, open_nifti, read_header
from napari_swin_umamba.images.volume_axes import ordered_axes, placeholder

__all__ = ["read_nifti"]

_BLOCK = 2**24  # bytes read at once: GzipFile makes a copy of what it is asked for


def read_nifti(path: Path, data: bool = True) -> Image:
    """Read a NIfTI file (1 or 2, gzipped or not).

    Integers stay integers unless the header scales them. The fourth axis is T, the fifth C.

    Parameters
    ----------
    path
        The file.
    data
        Whether to read the values; without, the array is zeros that take no memory.

    Raises
    ------
    InputError
        The header is broken, or the file is cut off or damaged.
    """
    with open_nifti(path) as file:
        header = read_header(path, file)
        _check(path, header)
        if data:
            array = _scaled(header, _values(path, file, header))
        else:
            array = placeholder(header.stored_shape, header.dtype)
    affine, spacing = header.affine, header.spacing
    rank = len(header.space)
    order = best_order(affine) if affine is not None else tuple(reversed(range(rank)))
    if affine is not None:
        affine = reorder_columns(affine, order)
        # A header's float32 holds 7 digits: 0.7, not 0.699999988.
        spacing = tuple(float(f"{step:.7g}") for step in spacing_of(affine))
    elif spacing is not None:
        spacing = tuple(spacing[axis] for axis in order)
    array, axes = ordered_axes(path, array, order, colours=bool(header.colours), first="CT")
    step, start = float(header.raw["pixdim"][4]), float(header.raw["toffset"])
    time = (step if np.isfinite(step) and step > 0 else 1.0, start if np.isfinite(start) else 0.0)
    grid = StoredGrid(order, time, nifti=header.raw)
    return Image(array, axes, spacing, header.unit, path, header.notes, affine, grid)


def _check(path: Path, header: NiftiHeader) -> None:
    with open(path, "rb") as file:
        deflated = file.read(2) == GZIP_MAGIC
    available = path.stat().st_size - (0 if deflated else header.offset)
    itemsize = header.dtype.itemsize
    check_size(path, header.stored_shape, itemsize, max(available, 0), deflated)


def _values(path: Path, file: BinaryIO, header: NiftiHeader) -> np.ndarray:
    """Stored values, in this computer's byte order, of :attr:`NiftiHeader.stored_shape`."""
    array = np.empty(header.stored_shape, header.dtype)
    left = header.offset - file.tell()
    while left > 0 and (skipped := len(file.read(min(left, _BLOCK)))):
        left -= skipped
    target = array.reshape(-1).view(np.uint8)
    done = 0
    while done < len(target):
        read = file.readinto(target[done : done + _BLOCK].data)  # type: ignore[attr-defined]
        if not read:
            raise InputError(
                f"{path} is cut off: it holds {done:,} of {len(target):,} bytes of values"
            )
        done += read
    file.read(1)  # at its end, gzip compares the checksum
    native: np.dtype[Any] = header.dtype.newbyteorder("=")
    return array if array.dtype == native else array.byteswap(inplace=True).view(native)


def _scaled(header: NiftiHeader, array: np.ndarray) -> np.ndarray:
    """Apply scl_slope and scl_inter; float32 where that holds every stored value."""
    slope, inter = header.raw.get_slope_inter()
    if header.colours or slope is None or (slope, inter) == (1.0, 0.0):
        return array
    wide = array.dtype.itemsize > (4 if array.dtype.kind == "f" else 2)
    scaled: np.ndarray = array.astype(np.float64 if wide else np.float32)
    np.multiply(scaled, slope, out=scaled)
    np.add(scaled, inter, out=scaled)
    return scaled
