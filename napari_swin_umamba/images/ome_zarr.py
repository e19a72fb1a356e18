"""Read OME-Zarr images, lazily: values come from the disk when they are needed."""

from __future__ import annotations

from math import ceil, prod
from pathlib import Path
from typing import Any, Literal

import dask.array as da
import numpy as np
import zarr

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.image import Image, StoredGrid
from napari_swin_umamba.images.limits import check_size
from napari_swin_umamba.images.ngff import Multiscale, common_unit, find_image, read_multiscale
from napari_swin_umamba.images.units import same_length_factor, unit_name
from napari_swin_umamba.images.zarr_store import CheckedStore

__all__ = ["read_ome_zarr"]

_MOST_CHUNKS = 100_000  # that dask keeps a task for; a larger array is read in larger pieces


class _Array:
    """A zarr array whose errors name the file: they come up long after it was opened."""

    def __init__(self, path: Path, array: Any) -> None:
        self._path, self._array = path, array
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype
        self.ndim = len(self.shape)

    def __getitem__(self, index: Any) -> np.ndarray:
        try:
            return np.asarray(self._array[index])
        except InputError:
            raise
        except MemoryError as error:
            raise InputError(f"{self._path} does not fit into memory") from error
        except Exception as error:  # noqa: BLE001 - codecs raise anything on damaged bytes
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"{self._path} cannot be read, it may be damaged: {reason}") from error


def read_ome_zarr(path: Path, data: bool = True) -> Image:
    """Read the finest level of an OME-Zarr image (NGFF 0.1 to 0.5), or of labels in one.

    Parameters
    ----------
    path
        The folder of the image.
    data
        Makes no difference: nothing is read but metadata.

    Returns
    -------
    Image
        Its array is one of dask. Axes of length 1 are dropped, but for Z, Y, X. OME-Zarr says how
        far apart voxels are and where they begin, not which way the axes point: an affine comes
        from a translation only.

    Raises
    ------
    InputError
        It is no image, contradicts itself, or its labels would not fit into memory.
    """
    group, notes = find_image(path)
    described = read_multiscale(group)
    level = described.levels[0]
    labels = prod(
        size for size, axis in zip(level.shape, described.axes, strict=True) if axis != "c"
    )
    check_size(group, (labels,), 1, None, deflated=False)
    version: Literal[2, 3] = 3 if described.version == "0.5" else 2
    folder = group / level.path
    store = CheckedStore(folder, level)
    stored = _Array(folder, zarr.open_array(store=store, mode="r", zarr_format=version))
    array = da.from_array(stored, chunks=_chunks(level.shape, level.chunks), asarray=False)
    axes = "".join(described.axes).upper()
    wanted = "".join(axis for axis in "TCZYX" if axis in axes)
    array = array.transpose([axes.index(axis) for axis in wanted])
    dropped = [i for i, axis in enumerate(wanted) if axis in "TC" and array.shape[i] == 1]
    array = array.squeeze(axis=tuple(dropped))
    kept = "".join(axis for i, axis in enumerate(wanted) if i not in dropped)
    return _placed(group, described, array, kept, notes)


def _placed(
    group: Path, described: Multiscale, array: Any, axes: str, notes: tuple[str, ...]
) -> Image:
    level = described.levels[0]
    index = {axis.upper(): i for i, axis in enumerate(described.axes)}
    space = [index[axis] for axis in axes if axis in "ZYX"]
    units = tuple(described.units[i] for i in space)
    unit = common_unit(units)
    scale = np.array([level.scale[i] for i in space])
    origin = np.array([level.translation[i] for i in space])
    if unit is not None:
        factors = [same_length_factor(unit_name(own), unit) for own in units]
        scale, origin = scale * factors, origin * factors
    time = (level.scale[index["T"]], level.translation[index["T"]]) if "T" in index else (1.0, 0.0)
    order = tuple(reversed(range(len(space))))
    grid = StoredGrid(order, time, zarr=described, says_labels=described.is_label)
    if unit is None and (scale == 1).all() and not origin.any():
        notes = (*notes, "the file does not say the size of a voxel")
        return Image(array, axes, path=group, notes=notes, grid=grid)
    spacing = tuple(np.abs(scale).tolist())
    affine = None
    if origin.any() or (scale < 0).any():
        affine = np.diag([*scale, 1.0])
        affine[:-1, -1] = origin
    return Image(array, axes, spacing, unit, group, notes, affine, grid)


def _chunks(shape: tuple[int, ...], chunks: tuple[int, ...]) -> tuple[int, ...]:
    """The array's chunks, the first axes joined until there are not too many."""
    pieces = list(chunks)
    for axis in range(len(shape)):
        counts = [ceil(size / piece) for size, piece in zip(shape, pieces, strict=True)]
        if prod(counts) <= _MOST_CHUNKS:
            break
        pieces[axis] *= min(counts[axis], ceil(prod(counts) / _MOST_CHUNKS))
    return tuple(pieces)
