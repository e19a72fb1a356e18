"""Where a layer's voxels lie, as an image has it: the other way round of ``image_layer``.

A writer gets a layer as plain data, not as a layer, so napari's transform is put together here.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import Image, StoredGrid, read_geometry
from napari_swin_umamba.images.geometry import spacing_of
from napari_swin_umamba.images.units import is_time_unit, same_length_factor, unit_name

__all__ = ["axes_of_layer", "data_to_world", "grid_of_layer", "is_moved", "turns"]

_LETTERS = {
    **dict.fromkeys(("t", "time", "frame", "frames"), "T"),
    **dict.fromkeys(("z", "plane", "slice"), "Z"),
    **dict.fromkeys(("y", "row"), "Y"),
    **dict.fromkeys(("x", "column", "col"), "X"),
}


def data_to_world(meta: Mapping[str, Any], ndim: int) -> np.ndarray:
    """Matrix (ndim + 1, ndim + 1) from data to world coordinates, out of a layer data tuple.

    napari turns what it has sheared and scaled, moves it, and applies ``affine`` to that.
    """
    matrix = np.eye(ndim + 1)
    scale = np.diag(np.asarray(meta.get("scale", np.ones(ndim)), dtype=float))
    matrix[:ndim, :ndim] = _rotation(meta, ndim) @ _shear(meta, ndim) @ scale
    matrix[:ndim, ndim] = meta.get("translate", np.zeros(ndim))
    affine = meta.get("affine")
    return matrix if affine is None else np.asarray(affine, dtype=float) @ matrix


def axes_of_layer(name: str, ndim: int, meta: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
    """Return the axes that a file gets, out of T, Z, Y, X, and which of the layer's each one is.

    Labels (or a unit of time) say which axis is which; axes that nobody named are taken in their
    order, a first of four as time.

    Raises
    ------
    InputError
        There are no 2 to 4 axes, or there is time and not two or three others.
    """
    if not 2 <= ndim <= 4:
        raise InputError(
            f"{name}: the layer has {ndim} axes, files hold 2 to 4 (T, Z, Y, X); save a part of it"
        )
    labels = [str(label).lower() for label in meta.get("axis_labels") or ()]
    letters = [_LETTERS.get(label) for label in labels] or [None] * ndim
    units = [str(unit) for unit in meta.get("units") or ()] or [""] * ndim
    times = [axis for axis in range(ndim) if letters[axis] == "T" or is_time_unit(units[axis])]
    if not times and ndim == 4:
        times = [0]
    space = [axis for axis in range(ndim) if axis not in times[:1]]
    if not 2 <= len(space) <= 3:
        raise InputError(
            f"{name}: the layer has {len(space)} axes beside time, files hold 2 or 3 (Z, Y, X)"
        )
    names = "ZYX"[-len(space) :]
    if sorted(str(letters[axis]) for axis in space) == sorted(names):
        space.sort(key=lambda axis: names.index(str(letters[axis])))
    return ("T" if times else "") + names, (*times[:1], *space)


def grid_of_layer(name: str, shape: tuple[int, ...], meta: Mapping[str, Any]) -> Image:
    """Describe where a layer lies, with the header of its source file if that has the same grid.

    Parameters
    ----------
    name
        What is written, for messages.
    shape
        Of the layer's data.
    meta
        Arguments of the layer; ``metadata["source_image"]`` or ``metadata["path"]`` may name
        the file of its image.

    Returns
    -------
    Image
        Without values, its axes in the order of :func:`axes_of_layer`.

    Raises
    ------
    InputError
        The axes do not fit a file, or the layer's transform mixes time and space.
    """
    ndim = len(shape)
    axes, order = axes_of_layer(name, ndim, meta)
    shape = tuple(shape[axis] for axis in order)
    # napari's world has the layer's axes: both sides of the matrix change places.
    corners = [*order, ndim]
    matrix = data_to_world(meta, ndim)[np.ix_(corners, corners)]
    units = [str(meta["units"][axis]) for axis in order] if meta.get("units") else []
    first = int(axes.startswith("T"))
    if first and (matrix[0, 1:ndim].any() or matrix[1:ndim, 0].any()):
        raise InputError(
            f"{name}: the layer's transform mixes time and space, which no file can hold; reset "
            "the layer's rotation and shear"
        )
    affine = matrix[first:, first:]
    unit = _to_one_unit(affine, units[first:])
    array = np.broadcast_to(np.zeros((), np.uint8), shape)
    rank = len(affine) - 1
    time = (float(matrix[0, 0]), float(matrix[0, ndim])) if first else (1.0, 0.0)
    grid = StoredGrid(tuple(reversed(range(rank))), time)
    image = Image(array, axes, spacing_of(affine), unit, affine=affine, grid=grid)
    return _same_grid_in_file(image, meta) or image


def turns(image: Image) -> bool:
    """Whether a grid is turned, flipped or sheared, not only stretched and moved."""
    if image.affine is None or image.spacing is None:
        return False
    rank = len(image.spacing)
    return not np.allclose(
        image.affine[:rank, :rank], np.diag(image.spacing), atol=1e-6 * max(image.spacing)
    )


def is_moved(image: Image) -> bool:
    """Whether a grid begins elsewhere than at the world's origin."""
    return image.affine is not None and bool(np.abs(image.affine[:-1, -1]).max() > 0)


def _to_one_unit(affine: np.ndarray, units: list[str]) -> str | None:
    """Bring the rows of an affine to the unit of its last axis, in place; None: no length."""
    names = [unit_name(unit) for unit in units]
    if len(names) != len(affine) - 1 or None in names:
        return None
    for row, name in enumerate(names):
        affine[row] *= same_length_factor(name, names[-1])
    return names[-1]


def _same_grid_in_file(image: Image, meta: Mapping[str, Any]) -> Image | None:
    """The source file's own description, if it is still there and tells of the same grid."""
    metadata = meta.get("metadata")
    if not isinstance(metadata, Mapping):
        return None
    # "source_image": of a result of ours; "path": of a label map that our reader opened.
    path = metadata.get("source_image") or metadata.get("path")
    if not isinstance(path, str | Path):
        return None
    source = None
    with suppress(InputError):  # moved, replaced, or of a format without geometry
        source = read_geometry(path)
    if source is None or image.affine is None or not _same_shape(source, image):
        return None
    theirs = source.affine
    if theirs is None:
        theirs = np.diag([*(source.spacing or np.ones(len(image.affine) - 1)), 1.0])
    rank = len(theirs) - 1
    ours = image.affine.copy()
    ours[:rank] *= same_length_factor(image.unit, source.unit)
    tolerance = 1e-4 * np.linalg.norm(ours[:rank, :rank], axis=0).min()
    return source if np.allclose(ours, theirs, rtol=1e-5, atol=tolerance) else None


def _same_shape(source: Image, image: Image) -> bool:
    sizes = dict(zip(source.axes, source.array.shape, strict=True))
    sizes.pop("C", None)
    return sizes == dict(zip(image.axes, image.array.shape, strict=True))


def _rotation(meta: Mapping[str, Any], ndim: int) -> np.ndarray:
    rotate = meta.get("rotate")
    return np.eye(ndim) if rotate is None else np.asarray(rotate, dtype=float)


def _shear(meta: Mapping[str, Any], ndim: int) -> np.ndarray:
    """Shear matrix (ndim, ndim); napari hands out the entries above the diagonal."""
    shear = np.asarray(meta.get("shear", np.eye(ndim)), dtype=float)
    if shear.ndim == 2:
        return shear
    matrix = np.eye(ndim)
    matrix[np.triu_indices(ndim, k=1)] = shear
    return matrix
