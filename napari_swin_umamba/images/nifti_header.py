"""What a NIfTI header says: shape, dtype, units and where the voxels lie."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import nibabel
import numpy as np

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.geometry import checked_affine, lps_from_ras
from napari_swin_umamba.images.magic import GZIP_MAGIC

__all__ = ["NiftiHeader", "open_nifti", "read_header"]

_CLASSES = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}
_UNITS = {1: "meter", 2: "millimeter", 3: "micrometer"}
_COLOURS = {128: 3, 2304: 4}
_MOST_BEFORE_DATA = 2**26  # bytes of extensions; more is no header
_VECTOR = 1007  # NIFTI_INTENT_VECTOR: the fifth axis holds the components of one value


@dataclass(frozen=True)
class NiftiHeader:
    """A header that was checked."""

    raw: Any
    """nibabel's header."""
    dtype: np.dtype[Any]
    """Of the stored values, in the file's byte order; colours are uint8."""
    colours: int
    """Samples of one voxel: 0 (grey), 3 or 4."""
    channels: int
    """Length of the fifth axis."""
    times: int
    """Length of the fourth axis."""
    space: tuple[int, ...]
    """Lengths of the spatial axes, the file's fastest first: two of a 2D image, three else."""
    offset: int
    """Byte at which the values begin."""
    affine: np.ndarray | None
    """Of the file's spatial axes, in :mod:`geometry`'s world; None if the codes are 0."""
    spacing: tuple[float, ...] | None
    """Along the file's spatial axes where `affine` is None."""
    unit: str
    notes: tuple[str, ...]

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """``(C, T, [Z,] Y, X[, colours])``: the values in C order as the file has them."""
        colours = (self.colours,) if self.colours else ()
        return self.channels, self.times, *reversed(self.space), *colours


def open_nifti(path: Path) -> BinaryIO:
    """Open a NIfTI file for reading, decompressed if its first bytes are gzip's."""
    with open(path, "rb") as file:
        zipped = file.read(2) == GZIP_MAGIC
    return gzip.open(path, "rb") if zipped else open(path, "rb")  # type: ignore[return-value]


def read_header(path: Path, file: BinaryIO) -> NiftiHeader:
    """Read a header from an open file; nothing behind it is touched.

    Raises
    ------
    InputError
        It is no header of one file, its dtype is none of real numbers or colours, it has axes
        beyond the fifth, or its geometry is broken.
    """
    start = file.read(4)
    order = "<" if start[1:2] in (b"\1", b"\2") else ">"
    size = int(np.frombuffer(start, order + "i4")[0]) if len(start) == 4 else 0
    block = start + file.read(size - 4) if size in _CLASSES else b""
    if len(block) != size:
        raise InputError(f"{path} is cut off: its NIfTI header has {len(block)} of {size} bytes")
    raw = _CLASSES[size](block, endianness=order, check=False)
    if bytes(raw["magic"])[:2] == b"ni":
        raise InputError(f"{path} is the header of a .hdr/.img pair; convert it to one .nii file")
    dtype, colours = _dtype(path, raw)
    rank = int(raw["dim"][0])
    if not 1 <= rank <= 7:
        raise InputError(f"{path} is damaged: its header announces {rank} axes (dim[0])")
    dims = [int(length) for length in raw["dim"][1 : rank + 1]]
    if min(dims) <= 0:
        raise InputError(f"{path} holds an empty image: its shape is {tuple(dims)}")
    if rank == 1 or any(length > 1 for length in dims[5:]):
        raise InputError(f"{path} holds no image or volume: its shape is {tuple(dims)}")
    affine, spacing, notes = _geometry(path, raw)
    planar = rank == 2 and (affine is None or _is_axial(affine))
    if planar and affine is not None:
        affine = affine[1:, [0, 1, 3]]
    padded = dims + [1] * 5
    unit = _UNITS.get(int(raw["xyzt_units"]) & 7)
    if unit is None:
        notes = (*notes, "the file does not say the unit of lengths; millimetres assumed")
    return NiftiHeader(
        raw=raw,
        dtype=dtype,
        colours=colours,
        channels=padded[4],
        times=padded[3],
        space=tuple(padded[: 2 if planar else 3]),
        offset=_offset(path, raw, size),
        affine=affine,
        spacing=None if spacing is None else spacing[: 2 if planar else 3],
        unit=unit or "millimeter",
        notes=notes,
    )


def _dtype(path: Path, raw: Any) -> tuple[np.dtype[Any], int]:
    code = int(raw["datatype"])
    try:
        dtype = raw.get_data_dtype()
    except Exception as error:
        raise InputError(f"{path}: values of NIfTI's datatype {code} are not known") from error
    if code in _COLOURS:
        return np.dtype(np.uint8), _COLOURS[code]
    if dtype.kind not in "iuf":
        raise InputError(f"{path} holds values of dtype {dtype}; real numbers are needed")
    return dtype, 0


def _offset(path: Path, raw: Any, size: int) -> int:
    offset = float(raw["vox_offset"])
    if not 0 <= offset <= _MOST_BEFORE_DATA:
        raise InputError(
            f"{path} is damaged: its header says that the data begin at byte {offset:g}"
        )
    return max(int(offset), size + 4)


def _geometry(
    path: Path, raw: Any
) -> tuple[np.ndarray | None, tuple[float, ...] | None, tuple[str, ...]]:
    """Affine (4, 4) or None, else spacing; and what was assumed."""
    if int(raw["sform_code"]) > 0:
        affine = np.asarray(raw.get_sform(), dtype=float)
    elif int(raw["qform_code"]) > 0:
        pixdim = np.asarray(raw["pixdim"], dtype=float)
        if not np.isfinite(pixdim[1:4]).all() or (pixdim[1:3] <= 0).any():
            raise InputError(
                f"{path}: the header's geometry is broken: its voxel sizes (pixdim) are "
                f"{', '.join(f'{step:g}' for step in pixdim[1:4])}"
            )
        try:
            affine = np.asarray(raw.get_qform(), dtype=float)
        except Exception as error:
            raise InputError(f"{path}: the header's geometry (qform) is broken: {error}") from error
    else:
        pixdim = np.abs(np.asarray(raw["pixdim"][1:4], dtype=float))
        known = bool(np.isfinite(pixdim).all() and (pixdim[: int(raw["dim"][0])] > 0).all())
        note = "the file says voxel sizes but not where it lies (qform and sform codes are 0)"
        return None, tuple(pixdim.tolist()) if known else None, (note,)
    if int(raw["dim"][0]) == 2 and not affine[:3, 2].any():
        affine[:3, 2] = np.cross(affine[:3, 0], affine[:3, 1])  # 2D: no distance of planes
        affine[:3, 2] /= np.linalg.norm(affine[:3, 2]) or 1
    return lps_from_ras(checked_affine(path, affine)), None, ()


def _is_axial(affine: np.ndarray) -> bool:
    """Whether the first two axes of the file stay in a plane of constant z."""
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(cosines[0, :2]).max() < 1e-4)
