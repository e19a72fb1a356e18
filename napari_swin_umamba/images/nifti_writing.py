"""Write labels as NIfTI, onto the grid of the image they belong to."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, BinaryIO

import nibabel
import numpy as np

from napari_swin_umamba.images.geometry import is_orthogonal, ras_from_lps, reorder_columns
from napari_swin_umamba.images.image import Image, StoredGrid
from napari_swin_umamba.images.units import known_spacing, same_length_factor
from napari_swin_umamba.images.volume_axes import file_order, spatial_axes

__all__ = ["NIFTI_LABEL", "write_nifti"]

NIFTI_LABEL = 1002
"""NIFTI_INTENT_LABEL: the values are names of things."""

_UNITS = {"meter": "meter", "micrometer": "micron", "nanometer": "micron"}
_SCANNER, _ALIGNED = 1, 2  # NIFTI_XFORM codes
_LONGEST = 32767  # voxels along an axis of NIfTI-1


def write_nifti(path: Path, labels: np.ndarray, axes: str, like: Image, compress: bool) -> None:
    """Write labels plane by plane, so that the volume is never copied.

    Parameters
    ----------
    path
        Where to.
    labels : ([T,] [Z,] Y, X)
        Unsigned 8 or 16 bits, or int32.
    axes
        ``"YX"``, ``"ZYX"`` or ``"TZYX"``.
    like
        Says where the labels lie. If it was read from NIfTI, its header is kept but for dtype,
        scaling and intent; else units that NIfTI lacks become millimetres or micrometres.
    compress
        Whether to gzip.
    """
    space = spatial_axes(axes)
    grid = like.grid or StoredGrid(tuple(reversed(range(len(space)))))
    if grid.nifti is not None:
        raw = grid.nifti.as_byteswapped("<").copy()
    else:
        raw = _new_header(like, grid, labels.shape)
    stored = file_order(labels, axes, grid.order)
    _set_shape(raw, stored.shape[::-1], timed=axes.startswith("T"), source=grid.nifti)
    raw.set_data_dtype(labels.dtype)
    raw["magic"] = b"n+2" if isinstance(raw, nibabel.Nifti2Header) else b"n+1"
    raw["vox_offset"] = len(raw.binaryblock) + 4
    raw["scl_slope"], raw["scl_inter"] = 1, 0
    raw["cal_min"], raw["cal_max"] = 0, 0
    raw["intent_code"], raw["intent_name"] = NIFTI_LABEL, b""
    raw["intent_p1"], raw["intent_p2"], raw["intent_p3"] = 0, 0, 0
    with open(path, "wb") as file:
        if compress:
            # No name and no time: the same labels make the same file.
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as zipped:
                _write(zipped, raw, stored)  # type: ignore[arg-type]
        else:
            _write(file, raw, stored)


def _write(file: BinaryIO, raw: Any, stored: np.ndarray) -> None:
    file.write(raw.binaryblock + bytes(4))  # four zeros: no extensions
    for plane in stored:
        file.write(np.ascontiguousarray(plane, plane.dtype.newbyteorder("<")).data)


def _set_shape(raw: Any, shape: tuple[int, ...], timed: bool, source: Any) -> None:
    """Set dim, from the fastest axis: as many axes as the source has, without its channels."""
    dims = [*shape]
    if source is not None and not timed:
        if int(source["dim"][0]) == 2:
            dims = dims[:2]
        elif int(source["dim"][0]) >= 4 and int(source["dim"][4]) == 1:
            dims = [*dims, 1]
    raw["dim"] = [len(dims), *dims, *[1] * (7 - len(dims))]


def _new_header(like: Image, grid: StoredGrid, shape: tuple[int, ...]) -> Any:
    """A header for a grid that comes from another format."""
    kind = nibabel.Nifti2Header if max(shape) > _LONGEST else nibabel.Nifti1Header
    raw = kind(endianness="<")
    rank = len(grid.order)
    unit = _UNITS.get(like.unit or "", "mm")
    factor = same_length_factor(like.unit, {"micron": "micrometer", "mm": "millimeter"}.get(unit))
    pixdim = np.ones(8)
    pixdim[4] = grid.time[0]
    inverse = tuple(grid.order.index(axis) for axis in range(rank))
    spacing = known_spacing(like.spacing, rank)
    if spacing is not None:
        pixdim[1 : rank + 1] = [spacing[axis] * factor for axis in inverse]
    raw["pixdim"] = pixdim
    raw["toffset"] = grid.time[1]
    if like.affine is not None:
        affine = np.eye(4)
        rows = [*range(3 - rank, 3), 3]
        columns = [*range(rank), 3]
        affine[np.ix_(rows, columns)] = reorder_columns(like.affine, inverse)
        if rank == 2:  # rows z, y, x, columns of the file: the third points along z
            affine[0, :3], affine[1:3, 2] = (0, 0, 1), 0
        affine[:3] *= factor
        ras = ras_from_lps(affine)
        if is_orthogonal(ras):
            raw.set_qform(ras, _SCANNER)
            raw.set_sform(ras, _SCANNER)
        else:  # a quaternion holds no shear
            raw.set_sform(ras, _ALIGNED)
    if like.unit is not None and spacing is not None:
        raw.set_xyzt_units(unit)
    return raw
